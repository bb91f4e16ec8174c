"""The audit trail for people: export as canonical lines, show what was confirmed, describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from perptui.journal.chain import read_stored
from perptui.journal.database import Database
from perptui.journal.events import (
    Alarm,
    ApprovalAsked,
    ApprovalDeclined,
    Baseline,
    Body,
    CancelOutcome,
    CancelSending,
    DeadManSet,
    Event,
    External,
    FillSeen,
    GateSaidNo,
    Genesis,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    LegSettled,
    Migrated,
    PermissionsSeen,
    Reconciled,
    SettleAsked,
    Started,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
    VenueHeld,
)
from perptui.journal.stored import Stored
from perptui.journal.verify import is_database, read_lines
from perptui.model.errors import JournalError
from perptui.model.money import plain, to_cents
from perptui.model.record import Record


class Bound(Record, frozen=True):
    """The first or last event that is meant: by `number`, or by venue time `utc_ms`, inclusive."""

    number: int | None = None
    utc_ms: int | None = None


MAX_SEQ = 2**63 - 1
"""The largest number that the database has for an event."""
ALL = Bound()
"""No bound: from the first event on, to the last one."""


def stored_events(path: Path, since: int = 1, until: int | None = None) -> Iterator[Stored]:
    """Yield the events of a journal database or of an exported file, from `since` to `until`.

    Raises
    ------
    JournalError
        When it cannot be read.
    """
    if not is_database(path):
        for event in read_lines(path):
            if until is not None and event.seq > until:
                return
            if event.seq >= since:
                yield event
        return
    database = Database.reader(path)
    try:
        with database.reading() as connection:
            last = until if until is None else min(until, MAX_SEQ)
            yield from read_stored(connection, since, last)
    finally:
        database.close()


def export_lines(path: Path, since: Bound = ALL, until: Bound = ALL) -> Iterator[bytes]:
    """Yield every event as one canonical JSON line, with its line end.

    Parameters
    ----------
    since, until : Bound
        The first and the last event, by number or by venue time.
    """
    first = since.number or 1
    last = until.number
    for event in stored_events(path, first, last):
        early = since.utc_ms is not None and event.ts < since.utc_ms
        late = until.utc_ms is not None and event.ts > until.utc_ms
        if not early and not late:
            yield event.line + b"\n"


def confirmed_text(path: Path, seq: int) -> str:
    """Return the screen that event `seq` is about, byte for byte as the desk rendered it.

    Raises
    ------
    JournalError
        When there is no such event, it is not about a ticket or a leg of one, or its text is none
        that a desk renders: what a forger put there must not reach a terminal.
    """
    screens: dict[str, tuple[str, ...]] = {}
    for event in stored_events(path, until=seq):
        if event.kind != "PROPOSED" and event.seq != seq:
            continue
        _, body = event.opened()
        if isinstance(body, TicketProposed):
            names = (body.ticket.id, *(leg.client_id for leg in body.ticket.legs))
            screens.update(dict.fromkeys(names, body.ticket.text))
        if event.seq == seq:
            text = screens.get(_subject(body))
            if text is None:
                raise JournalError(
                    f"expected an event about a ticket at {seq}, was {event.kind}; "
                    "name a PROPOSED, CONFIRMED, APPROVED, SENDING or FILL event"
                )
            if not all(line.isprintable() for line in text):
                raise JournalError(
                    f"expected the ticket's text at {seq} to be printable, was with control "
                    "characters: no desk wrote it; read its exported line"
                )
            return "\n".join(text) + "\n"
    raise JournalError(f"expected an event {seq}, was none; see `perptui audit export`")


def _subject(body: Body) -> str:
    """Return the ticket or the leg that an event is about, "" when it is about neither."""
    match body:
        case TicketProposed():
            return body.ticket.id
        case FillSeen():
            return body.fill.client_id
        case LegSending() | LegOutcome() | LegMoved() | CancelSending() | CancelOutcome():
            return body.client_id
        case SettleAsked() | LegSettled():
            return body.client_id
        case (
            TicketConfirmed()
            | ApprovalAsked()
            | TicketApproved()
            | ApprovalDeclined()
            | TicketEnded()
            | GateSaidNo()
        ):
            return body.ticket
        case _:
            return ""


def _short(client_id: str) -> str:
    return f"leg {client_id[:8]}"


def describe(event: Event, leg_name: Callable[[str], str] = _short) -> str:
    """Return the event in one line of words, for the journal view.

    Parameters
    ----------
    leg_name : callable, optional
        Names a leg by its client id; the id's beginning unless something better is known.
    """
    body = event.record()
    text = (
        _about_ticket(body) or _about_desk(body) or _about_venue(body) or _about_leg(body, leg_name)
    )
    return text or event.kind.lower()


def _about_ticket(body: Body) -> str:
    match body:
        case TicketProposed():
            return f"ticket {body.ticket.id} shown, {len(body.ticket.legs)} legs"
        case TicketConfirmed():
            return f"ticket {body.ticket} confirmed"
        case ApprovalAsked():
            return f"ticket {body.ticket} waits for a second person: {'; '.join(body.reasons)}"
        case TicketApproved():
            return f"ticket {body.ticket} approved"
        case ApprovalDeclined():
            return f"approval of ticket {body.ticket} {body.state}: {body.reason}"
        case TicketEnded():
            reason = f": {body.reason}" if body.reason else ""
            return f"ticket {body.ticket} {body.state}{reason}"
        case GateSaidNo():
            return f"refused: {body.text}"
        case _:
            return ""


def _about_leg(body: Body, leg_name: Callable[[str], str]) -> str:
    match body:
        case LegSending():
            words = ["sending,", f"{to_cents(body.notional_usd):,.2f}", "USD"]
        case LegOutcome():
            words = [body.state.value, body.code, body.text]
        case LegMoved():
            words = [body.state.value + ",", "filled", plain(body.filled)]
        case SettleAsked():
            words = [f"settle as {body.state}? A second person by `:settle`: {body.reason}"]
        case LegSettled():
            said = "; ".join(filter(None, (body.reason, body.asked_by, *body.evidence)))
            words = [f"settled as {body.state} by a person, filled {plain(body.filled)}: {said}"]
        case CancelSending():
            words = ["cancel sending"]
        case CancelOutcome():
            words = ["cancel", body.state.value, body.text]
        case FillSeen():
            fill = body.fill
            size = f"{fill.side.value} {plain(fill.contracts)}"
            return f"fill {size} {fill.id} at {plain(fill.price)}"
        case _:
            return ""
    return " ".join(word for word in (leg_name(body.client_id), *words) if word)


def _about_desk(body: Body) -> str:
    match body:
        case Genesis():
            return f"journal of desk {body.desk}, account {body.account}"
        case Started():
            return f"desk started, version {body.version}, lease {body.fence}"
        case Reconciled():
            return "reconciled, clean" if body.clean else f"not clean: {'; '.join(body.reasons)}"
        case External() | Alarm():
            return body.text
        case KillChanged():
            return f"{body.state}" + (f": {body.reason}" if body.reason else "")
        case Migrated():
            return f"journal brought from version {body.before} to {body.after}"
        case _:
            return ""


def _about_venue(body: Body) -> str:
    match body:
        case Baseline():
            return f"first sight of {body.venue}: {len(body.positions)} positions"
        case PermissionsSeen():
            return f"permissions of the key at {body.venue}: {body.text}"
        case VenueHeld():
            return f"orders to {body.venue} {body.state}: {body.text}"
        case DeadManSet():
            span = f"{body.countdown_ms} ms" if body.countdown_ms else "off"
            return f"dead man's switch of {body.instrument} {span}, {body.state}"
        case _:
            return ""
