"""Projections: tickets, legs, fills, positions, counters, kill state; made from events alone.

`project` is the only writer of these tables. It runs inside the transaction that appends the event,
so either both are there after a crash or neither; replaying all events makes the same tables again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from perptui.journal.events import (
    Alarm,
    Baseline,
    Body,
    Event,
    External,
    FillSeen,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.model.clock import DAY_MS
from perptui.model.errors import JournalError
from perptui.model.instrument import split_id
from perptui.model.money import plain
from perptui.model.order import TERMINAL_STATES, Side
from perptui.model.order import LegState as L

_SETTLING = frozenset({L.OPEN, L.PARTIAL, L.FILLED, L.CANCELED, L.EXPIRED})

TRANSITIONS: dict[L, frozenset[L]] = {
    L.PROPOSED: frozenset({L.CONFIRMED, L.NOT_SENT}),
    L.CONFIRMED: frozenset({L.SENDING, L.NOT_SENT}),
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


def project(connection: sqlite3.Connection, event: Event) -> None:
    """Change the projections as `event` says.

    Raises
    ------
    JournalError
        When the event is impossible here: an illegal transition, a used token, a fill seen before.
    """
    body = event.record()
    apply = _PROJECTORS.get(type(body))
    if apply is not None:
        apply(connection, event, body)
    if isinstance(body, LegOutcome | LegMoved):
        _settle(connection, body.client_id)
    elif isinstance(body, FillSeen):
        _settle(connection, body.fill.client_id)


def _proposed(connection: sqlite3.Connection, event: Event, body: TicketProposed) -> None:
    ticket = body.ticket
    connection.execute(
        "INSERT INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?, 'PROPOSED', '')",
        (
            ticket.id,
            event.seq,
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
            "NULL, NULL, '0', 0)",
            (
                leg.client_id,
                ticket.id,
                leg.index,
                intent.id,
                split_id(intent.id)[0],
                intent.side.value,
                plain(intent.contracts),
            ),
        )


def _confirmed(connection: sqlite3.Connection, event: Event, body: TicketConfirmed) -> None:
    _change_ticket(connection, body.ticket, "PROPOSED", "CONFIRMED", "")
    connection.execute(
        "INSERT INTO confirmation VALUES (?, ?, ?, ?, ?)",
        (body.token, body.ticket, event.seq, event.ts, event.actor.uid),
    )
    for (identifier,) in connection.execute(
        "SELECT client_id FROM leg WHERE ticket = ?", (body.ticket,)
    ).fetchall():
        _change_leg(connection, identifier, L.CONFIRMED)


def _ended(connection: sqlite3.Connection, _: Event, body: TicketEnded) -> None:
    before = "CONFIRMED" if body.state == "DONE" else "PROPOSED"
    _change_ticket(connection, body.ticket, before, body.state, body.reason)
    if body.state == "DONE":
        return
    for (identifier,) in connection.execute(
        "SELECT client_id FROM leg WHERE ticket = ?", (body.ticket,)
    ).fetchall():
        _change_leg(connection, identifier, L.NOT_SENT)
        _settle(connection, identifier)


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


def _sending(connection: sqlite3.Connection, event: Event, body: LegSending) -> None:
    _change_leg(connection, body.client_id, L.SENDING)
    connection.execute(
        "UPDATE leg SET sent_ms = ?, fence = ? WHERE client_id = ?",
        (event.ts, body.fence, body.client_id),
    )
    key = (event.ts // DAY_MS, body.trader)
    row = connection.execute(
        "SELECT notional_usd FROM counter WHERE day = ? AND trader = ?", key
    ).fetchone()
    total = (Decimal(row[0]) if row else Decimal(0)) + body.notional_usd
    connection.execute("INSERT OR REPLACE INTO counter VALUES (?, ?, ?)", (*key, plain(total)))


def _outcome(connection: sqlite3.Connection, _: Event, body: LegOutcome) -> None:
    _change_leg(connection, body.client_id, body.state)
    connection.execute(
        "UPDATE leg SET code = ?, note = ?, venue_order_id = ? WHERE client_id = ?",
        (body.code, body.text, body.venue_order_id, body.client_id),
    )


def _moved(connection: sqlite3.Connection, _: Event, body: LegMoved) -> None:
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


def _fill(connection: sqlite3.Connection, _: Event, body: FillSeen) -> None:
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
    settled = L(state) in TERMINAL_STATES and Decimal(executed) >= Decimal(filled)
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


def _baseline(connection: sqlite3.Connection, event: Event, body: Baseline) -> None:
    connection.execute("INSERT INTO baseline VALUES (?, ?)", (body.venue, event.seq))
    for instrument, contracts in body.positions.items():
        _set_position(connection, instrument, contracts)


def _external(connection: sqlite3.Connection, event: Event, body: External) -> None:
    if body.key:
        _notice(connection, event, body.key)
    if body.what == "position" and body.after is not None:
        _set_position(connection, body.id, body.after)


def _alarm(connection: sqlite3.Connection, event: Event, body: Alarm) -> None:
    _notice(connection, event, body.key)


def _killed(connection: sqlite3.Connection, event: Event, body: KillChanged) -> None:
    connection.execute(
        "UPDATE kill SET state = ?, reason = ?, uid = ?",
        (body.state, body.reason, event.actor.uid),
    )


def _notice(connection: sqlite3.Connection, event: Event, key: str) -> None:
    connection.execute("INSERT OR IGNORE INTO notice VALUES (?, ?)", (key, event.seq))


_PROJECTORS: dict[type[Body], Callable[[sqlite3.Connection, Event, Any], None]] = {
    TicketProposed: _proposed,
    TicketConfirmed: _confirmed,
    TicketEnded: _ended,
    LegSending: _sending,
    LegOutcome: _outcome,
    LegMoved: _moved,
    FillSeen: _fill,
    Baseline: _baseline,
    External: _external,
    Alarm: _alarm,
    KillChanged: _killed,
}
"""What changes a projection; the other kinds of event only stand in the chain."""
