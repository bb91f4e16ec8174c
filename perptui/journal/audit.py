"""The audit trail for people: export as canonical lines, show what was confirmed, describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from perptui.journal.chain import read
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
    Migrated,
    PermissionsSeen,
    Reconciled,
    Started,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.verify import is_database, read_lines
from perptui.model.errors import JournalError
from perptui.model.money import plain, to_cents
from perptui.model.order import Ticket


def events_of(path: Path) -> Iterator[Event]:
    """Yield the events of a journal database or of an exported file.

    Raises
    ------
    JournalError
        When it cannot be read, or an event is malformed.
    """
    if not is_database(path):
        yield from read_lines(path)
        return
    database = Database.reader(path)
    try:
        yield from read(database.connection)
    finally:
        database.close()


def export_lines(path: Path) -> Iterator[bytes]:
    """Yield every event as one canonical JSON line, with its line end."""
    for event in events_of(path):
        yield event.line + b"\n"


def confirmed_text(path: Path, seq: int) -> str:
    """Return the screen that event `seq` is about, byte for byte as the desk rendered it.

    Raises
    ------
    JournalError
        When there is no such event, or it is not about a ticket.
    """
    shown: dict[str, Ticket] = {}
    for event in events_of(path):
        if event.seq > seq:
            break
        body = event.record()
        if isinstance(body, TicketProposed):
            shown[body.ticket.id] = body.ticket
        if event.seq == seq:
            ticket = shown.get(_ticket_of(body))
            if ticket is None:
                raise JournalError(
                    f"expected an event about a ticket at {seq}, was {event.kind}; "
                    "name a PROPOSED, CONFIRMED, ENDED or REFUSED event"
                )
            return "\n".join(ticket.text) + "\n"
    raise JournalError(f"expected an event {seq}, was none; see `perptui audit export`")


def _ticket_of(body: Body) -> str:
    if isinstance(body, TicketProposed):
        return body.ticket.id
    if isinstance(
        body,
        TicketConfirmed
        | ApprovalAsked
        | TicketApproved
        | ApprovalDeclined
        | TicketEnded
        | GateSaidNo,
    ):
        return body.ticket
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
        case DeadManSet():
            span = f"{body.countdown_ms} ms" if body.countdown_ms else "off"
            return f"dead man's switch of {body.instrument} {span}, {body.state}"
        case _:
            return ""
