"""Projections: tickets, legs, fills, positions, counters, kill state; made from events alone.

`project` is the only writer of these tables. It runs inside the transaction that appends the event,
so either both are there after a crash or neither; replaying all events makes the same tables again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from perptui.journal.events import (
    SETTLED_KEY,
    Alarm,
    ApprovalAsked,
    ApprovalDeclined,
    Baseline,
    Body,
    CancelSending,
    External,
    FillSeen,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    LegSettled,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.queries import has_notice
from perptui.model.clock import DAY_MS
from perptui.model.errors import JournalError
from perptui.model.instrument import split_id
from perptui.model.money import plain
from perptui.model.order import TERMINAL_STATES, Side
from perptui.model.order import LegState as L

_SETTLING = frozenset({L.OPEN, L.PARTIAL, L.FILLED, L.CANCELED, L.EXPIRED})

TRANSITIONS: dict[L, frozenset[L]] = {
    L.PROPOSED: frozenset({L.CONFIRMED, L.NOT_SENT}),
    L.CONFIRMED: frozenset({L.APPROVED, L.SENDING, L.NOT_SENT}),
    L.APPROVED: frozenset({L.SENDING, L.NOT_SENT}),
    L.SENDING: frozenset({L.ACKED, L.REJECTED, L.NOT_SENT, L.UNKNOWN}),
    L.ACKED: _SETTLING | {L.NEVER_ACCEPTED},
    L.UNKNOWN: _SETTLING | {L.NEVER_ACCEPTED},
    L.OPEN: _SETTLING - {L.OPEN},
    L.PARTIAL: _SETTLING - {L.OPEN},
    L.FILLED: frozenset(),
    L.CANCELED: frozenset(),
    L.EXPIRED: frozenset(),
    L.REJECTED: frozenset(),
    L.NOT_SENT: frozenset(),
    L.NEVER_ACCEPTED: frozenset(),
}
"""Life of a leg: the states that may follow each. A terminal state is left by nothing."""


class Stamp(NamedTuple):
    """What an event is besides its body: number, venue time in ms, the uid of who did it."""

    seq: int
    ts: int
    uid: int


def project(connection: sqlite3.Connection, stamp: Stamp, body: Body) -> None:
    """Change the projections as the event of `stamp` and `body` says.

    Raises
    ------
    JournalError
        When the event is impossible here: an illegal transition, a used token, a fill seen before.
    """
    apply = _PROJECTORS.get(type(body))
    if apply is not None:
        apply(connection, stamp, body)
    if isinstance(body, LegOutcome | LegMoved | LegSettled):
        _settle(connection, body.client_id)
    elif isinstance(body, FillSeen):
        _settle(connection, body.fill.client_id)


def _proposed(connection: sqlite3.Connection, stamp: Stamp, body: TicketProposed) -> None:
    ticket = body.ticket
    connection.execute(
        "INSERT INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?, 'PROPOSED', '')",
        (
            ticket.id,
            stamp.seq,
            ticket.purpose,
            ticket.trader,
            ticket.created_ms,
            ticket.proposal_digest,
            ticket.token,
        ),
    )
    for leg in ticket.legs:
        intent = leg.intent
        connection.execute(
            "INSERT INTO leg VALUES (?, ?, ?, ?, ?, ?, ?, 'PROPOSED', '0', NULL, '', '', '', "
            "NULL, NULL, '0', 0, ?, ?)",
            (
                leg.client_id,
                ticket.id,
                leg.index,
                intent.id,
                split_id(intent.id)[0],
                intent.side.value,
                plain(intent.contracts),
                intent.kind.value,
                None if intent.trigger_price is None else plain(intent.trigger_price),
            ),
        )


def _confirmed(connection: sqlite3.Connection, stamp: Stamp, body: TicketConfirmed) -> None:
    _change_ticket(connection, body.ticket, "PROPOSED", "CONFIRMED", "")
    shown = (body.ticket, body.token)
    if not connection.execute("SELECT 1 FROM ticket WHERE id = ? AND token = ?", shown).fetchone():
        raise JournalError(f"expected the token that {body.ticket} was shown with, was another")
    connection.execute(
        "INSERT INTO confirmation VALUES (?, ?, ?, ?, ?)",
        (body.token, body.ticket, stamp.seq, stamp.ts, stamp.uid),
    )
    _change_legs(connection, body.ticket, L.CONFIRMED)


def _approval_asked(connection: sqlite3.Connection, stamp: Stamp, body: ApprovalAsked) -> None:
    connection.execute(
        "INSERT INTO approval VALUES (?, ?, ?, ?, ?, 'PENDING', NULL, '')",
        (body.ticket, stamp.seq, stamp.uid, "\n".join(body.reasons), body.expires_ms),
    )


def _approved(connection: sqlite3.Connection, stamp: Stamp, body: TicketApproved) -> None:
    row = connection.execute(
        "SELECT token FROM confirmation WHERE ticket = ?", (body.ticket,)
    ).fetchone()
    if row is None or row[0] != body.token:
        raise JournalError(
            f"expected the token that {body.ticket} was confirmed with, was another; look again"
        )
    trader, expires_ms = _decide(connection, stamp, body.ticket, "APPROVED", "")
    if trader == stamp.uid:
        raise JournalError(
            f"expected a second person to approve {body.ticket}, was the one who confirmed it"
        )
    if stamp.ts >= expires_ms:
        raise JournalError(f"expected an approval of {body.ticket} in time, was late; solve again")
    _change_legs(connection, body.ticket, L.APPROVED)


def _declined(connection: sqlite3.Connection, stamp: Stamp, body: ApprovalDeclined) -> None:
    _decide(connection, stamp, body.ticket, body.state, body.reason)


def _decide(
    connection: sqlite3.Connection, stamp: Stamp, ticket: str, state: str, reason: str
) -> tuple[int, int]:
    """Decide a pending approval; return the uid that confirmed the ticket, and its expiry."""
    row = connection.execute(
        "UPDATE approval SET state = ?, uid = ?, reason = ? "
        "WHERE ticket = ? AND state = 'PENDING' RETURNING trader_uid, expires_ms",
        (state, stamp.uid, reason, ticket),
    ).fetchone()
    if row is None:
        raise JournalError(f"expected a pending approval of {ticket}, was none; look again")
    return int(row[0]), int(row[1])


def _ended(connection: sqlite3.Connection, _: Stamp, body: TicketEnded) -> None:
    before = "CONFIRMED" if body.state == "DONE" or _refused(connection, body) else "PROPOSED"
    _change_ticket(connection, body.ticket, before, body.state, body.reason)
    if body.state == "DONE":
        return
    for (identifier,) in connection.execute(
        "SELECT client_id FROM leg WHERE ticket = ?", (body.ticket,)
    ).fetchall():
        _change_leg(connection, identifier, L.NOT_SENT)
        _settle(connection, identifier)


def _refused(connection: sqlite3.Connection, body: TicketEnded) -> bool:
    """Return True when the second person's approval was asked for and did not come."""
    row = connection.execute(
        "SELECT state FROM approval WHERE ticket = ?", (body.ticket,)
    ).fetchone()
    return row is not None and row[0] not in {"PENDING", "APPROVED"}


def _change_legs(connection: sqlite3.Connection, ticket: str, after: L) -> None:
    rows = connection.execute("SELECT client_id FROM leg WHERE ticket = ?", (ticket,)).fetchall()
    for (identifier,) in rows:
        _change_leg(connection, identifier, after)


def _change_ticket(
    connection: sqlite3.Connection, ticket: str, before: str, after: str, reason: str
) -> None:
    changed = connection.execute(
        "UPDATE ticket SET state = ?, reason = ? WHERE id = ? AND state = ?",
        (after, reason, ticket, before),
    ).rowcount
    if changed != 1:
        raise JournalError(
            f"expected ticket {ticket} to be {before}, was not; it cannot become {after}"
        )


def _change_leg(connection: sqlite3.Connection, identifier: str, after: L) -> L:
    """Move a leg to `after` and return where it was."""
    row = connection.execute("SELECT state FROM leg WHERE client_id = ?", (identifier,)).fetchone()
    if row is None:
        raise JournalError(f"expected a leg of this journal, was {identifier!r}; reconcile")
    before = L(row[0])
    if after not in TRANSITIONS[before]:
        raise JournalError(
            f"expected a legal change of leg {identifier}, was {before} to {after}; reconcile"
        )
    connection.execute("UPDATE leg SET state = ? WHERE client_id = ?", (after.value, identifier))
    return before


def _sending(connection: sqlite3.Connection, stamp: Stamp, body: LegSending) -> None:
    before = _change_leg(connection, body.client_id, L.SENDING)
    asked = connection.execute(
        "SELECT 1 FROM approval JOIN leg USING (ticket) WHERE client_id = ?", (body.client_id,)
    ).fetchone()
    if asked is not None and before is not L.APPROVED:
        raise JournalError(
            f"expected leg {body.client_id} to be approved by a second person, was not; wait"
        )
    connection.execute(
        "UPDATE leg SET sent_ms = ?, fence = ? WHERE client_id = ?",
        (stamp.ts, body.fence, body.client_id),
    )
    key = (stamp.ts // DAY_MS, body.trader)
    row = connection.execute(
        "SELECT notional_usd FROM counter WHERE day = ? AND trader = ?", key
    ).fetchone()
    total = (Decimal(row[0]) if row else Decimal(0)) + body.notional_usd
    connection.execute("INSERT OR REPLACE INTO counter VALUES (?, ?, ?)", (*key, plain(total)))


def _outcome(connection: sqlite3.Connection, _: Stamp, body: LegOutcome) -> None:
    _change_leg(connection, body.client_id, body.state)
    connection.execute(
        "UPDATE leg SET code = ?, note = ?, venue_order_id = ? WHERE client_id = ?",
        (body.code, body.text, body.venue_order_id, body.client_id),
    )


def _moved(connection: sqlite3.Connection, _: Stamp, body: LegMoved) -> None:
    _change_leg(connection, body.client_id, body.state)
    (before,) = connection.execute(
        "SELECT filled FROM leg WHERE client_id = ?", (body.client_id,)
    ).fetchone()
    if body.filled < Decimal(before):
        raise JournalError(
            f"expected at least {before} filled of {body.client_id}, was {body.filled}; reconcile"
        )
    average = None if body.average_price is None else plain(body.average_price)
    connection.execute(
        "UPDATE leg SET filled = ?, average_price = ?, note = ?, "
        "venue_order_id = coalesce(nullif(?, ''), venue_order_id) WHERE client_id = ?",
        (plain(body.filled), average, body.evidence, body.venue_order_id, body.client_id),
    )


def _settled(connection: sqlite3.Connection, stamp: Stamp, body: LegSettled) -> None:
    if body.state not in TERMINAL_STATES:
        raise JournalError(
            f"expected a final state of leg {body.client_id}, was {body.state}; name one"
        )
    _notice(connection, stamp, SETTLED_KEY + body.client_id)
    row = connection.execute(
        "SELECT state, average_price FROM leg WHERE client_id = ?", (body.client_id,)
    ).fetchone()
    if row is None or row[0] != body.state:
        average = None if row is None or row[1] is None else Decimal(row[1])
        note = f"settled by a person: {body.reason}"
        moved = LegMoved(body.client_id, body.state, body.filled, average, "", note)
        _moved(connection, stamp, moved)


def _fill(connection: sqlite3.Connection, _: Stamp, body: FillSeen) -> None:
    fill = body.fill
    try:
        connection.execute(
            "INSERT INTO fill VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                fill.id,
                fill.trade_id,
                fill.client_id,
                fill.side.value,
                plain(fill.contracts),
                plain(fill.price),
                plain(fill.fee_usd),
                fill.ts_ms,
            ),
        )
    except sqlite3.IntegrityError:
        raise JournalError(
            f"expected a new fill of a leg of this journal, was {fill.trade_id} on {fill.id}; "
            "reconcile"
        ) from None
    (executed,) = connection.execute(
        "SELECT executed FROM leg WHERE client_id = ?", (fill.client_id,)
    ).fetchone()
    connection.execute(
        "UPDATE leg SET executed = ? WHERE client_id = ?",
        (plain(Decimal(executed) + fill.contracts), fill.client_id),
    )
    signed = fill.contracts if fill.side is Side.BUY else -fill.contracts
    _set_position(connection, fill.id, _position(connection, fill.id) + signed)


def _settle(connection: sqlite3.Connection, identifier: str) -> None:
    """Mark a leg of which nothing more is to be learned: terminal, and all its fills are here."""
    state, filled, executed = connection.execute(
        "SELECT state, filled, executed FROM leg WHERE client_id = ?", (identifier,)
    ).fetchone()
    here = Decimal(executed) >= Decimal(filled) or has_notice(connection, SETTLED_KEY + identifier)
    settled = L(state) in TERMINAL_STATES and here
    connection.execute("UPDATE leg SET settled = ? WHERE client_id = ?", (int(settled), identifier))


def _position(connection: sqlite3.Connection, instrument: str) -> Decimal:
    row = connection.execute(
        "SELECT contracts FROM position WHERE instrument = ?", (instrument,)
    ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


def _set_position(connection: sqlite3.Connection, instrument: str, contracts: Decimal) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO position VALUES (?, ?)", (instrument, plain(contracts))
    )


def _baseline(connection: sqlite3.Connection, stamp: Stamp, body: Baseline) -> None:
    connection.execute("INSERT INTO baseline VALUES (?, ?)", (body.venue, stamp.seq))
    for instrument, contracts in body.positions.items():
        _set_position(connection, instrument, contracts)


def _external(connection: sqlite3.Connection, stamp: Stamp, body: External) -> None:
    if body.key:
        _notice(connection, stamp, body.key)
    if body.what == "position" and body.after is not None:
        _set_position(connection, body.id, body.after)


def _alarm(connection: sqlite3.Connection, stamp: Stamp, body: Alarm) -> None:
    _notice(connection, stamp, body.key)


def _killed(connection: sqlite3.Connection, stamp: Stamp, body: KillChanged) -> None:
    connection.execute(
        "UPDATE kill SET state = ?, reason = ?, uid = ?",
        (body.state, body.reason, stamp.uid),
    )


def _cancel(connection: sqlite3.Connection, stamp: Stamp, body: CancelSending) -> None:
    connection.execute(
        "INSERT INTO cancel SELECT ?, client_id, venue, ? FROM leg WHERE client_id = ?",
        (stamp.seq, stamp.ts, body.client_id),
    )


def _notice(connection: sqlite3.Connection, stamp: Stamp, key: str) -> None:
    connection.execute("INSERT OR IGNORE INTO notice VALUES (?, ?)", (key, stamp.seq))


_PROJECTORS: dict[type[Body], Callable[[sqlite3.Connection, Stamp, Any], None]] = {
    TicketProposed: _proposed,
    TicketConfirmed: _confirmed,
    ApprovalAsked: _approval_asked,
    TicketApproved: _approved,
    ApprovalDeclined: _declined,
    TicketEnded: _ended,
    LegSending: _sending,
    LegOutcome: _outcome,
    LegMoved: _moved,
    LegSettled: _settled,
    FillSeen: _fill,
    Baseline: _baseline,
    External: _external,
    Alarm: _alarm,
    KillChanged: _killed,
    CancelSending: _cancel,
}
"""What changes a projection; the other kinds of event only stand in the chain."""
