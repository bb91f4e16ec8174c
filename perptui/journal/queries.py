"""What the projections say, as records. Reading only."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

import msgspec

from perptui.journal.events import KINDS, Actor, Body
from perptui.model.clock import DAY_MS
from perptui.model.order import TERMINAL_STATES, LegState, OrderKind, Side
from perptui.model.record import Record

_SIDES = {one.value: one for one in Side}
_STATES = {one.value: one for one in LegState}
_ORDER_KINDS = {one.value: one for one in OrderKind}
LIVE_STATES = tuple(state for state in LegState if state not in TERMINAL_STATES)


class LegRow(Record, frozen=True):
    """One leg as the journal knows it.

    `executed` is the sum of its fills, in contracts; `settled` is True when nothing more is to be
    learned: the state is terminal and its fills are all here.
    """

    client_id: str
    ticket: str
    number: int
    instrument: str
    venue: str
    side: Side
    contracts: Decimal
    state: LegState
    filled: Decimal
    average_price: Decimal | None
    venue_order_id: str
    code: str
    note: str
    sent_ms: int | None
    executed: Decimal
    settled: bool
    kind: OrderKind = OrderKind.LIMIT_IOC
    trigger_price: Decimal | None = None

    @property
    def protective(self) -> bool:
        """True of a stop that rests at the venue until it is triggered."""
        return self.kind is OrderKind.STOP_MARKET


class ApprovalRow(Record, frozen=True):
    """A ticket's approval: `state` PENDING, APPROVED, REJECTED, EXPIRED or VOID; `uid` decided."""

    ticket: str
    seq: int
    trader_uid: int
    reasons: tuple[str, ...]
    expires_ms: int
    state: str
    uid: int | None
    reason: str


class TicketHead(Record, frozen=True):
    """One ticket as the journal knows it; `seq` is the event that proposed it."""

    id: str
    seq: int
    purpose: str
    trader: str
    created_ms: int
    digest: str
    token: str
    state: str
    reason: str


class KillRow(Record, frozen=True):
    """The kill state, why, and the uid that set it (-1: never set)."""

    state: str
    reason: str
    uid: int


class FillRow(Record, frozen=True):
    """A fill as it was journalled."""

    instrument: str
    trade_id: str
    client_id: str
    side: Side
    contracts: Decimal
    price: Decimal
    fee_usd: Decimal
    ts_ms: int


class Noted(Record, frozen=True):
    """One event that no projection has: its number, venue time, who did it, and what."""

    seq: int
    ts_ms: int
    actor: Actor
    body: Body


_LEG = (
    "SELECT client_id, ticket, number, instrument, venue, side, contracts, state, filled, "
    "average_price, venue_order_id, code, note, sent_ms, executed, settled, kind, trigger_price "
    "FROM leg"
)


_FILL = "SELECT instrument, trade_id, client_id, side, contracts, price, fee_usd, ts_ms FROM fill"
_OF_TICKET = "client_id IN (SELECT client_id FROM leg WHERE ticket = ?)"
_APPROVAL = "SELECT ticket, seq, trader_uid, reasons, expires_ms, state, uid, reason FROM approval"
_TICKET = "SELECT id, seq, purpose, trader, created_ms, digest, token, state, reason FROM ticket"


def legs(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[LegRow]:
    """Return the legs that fit an SQL condition on the table, in the order they were made."""
    rows = connection.execute(f"{_LEG} WHERE {where} ORDER BY rowid", values).fetchall()
    return [_leg(row) for row in rows]


def _leg(row: tuple[Any, ...]) -> LegRow:
    return LegRow(
        client_id=row[0],
        ticket=row[1],
        number=row[2],
        instrument=row[3],
        venue=row[4],
        side=_SIDES[row[5]],
        contracts=Decimal(row[6]),
        state=_STATES[row[7]],
        filled=Decimal(row[8]),
        average_price=Decimal(row[9]) if row[9] is not None else None,
        venue_order_id=row[10],
        code=row[11],
        note=row[12],
        sent_ms=row[13],
        executed=Decimal(row[14]),
        settled=bool(row[15]),
        kind=_ORDER_KINDS[row[16]],
        trigger_price=Decimal(row[17]) if row[17] is not None else None,
    )


def approvals(
    connection: sqlite3.Connection, where: str, values: tuple[object, ...]
) -> list[ApprovalRow]:
    """Return the approvals that fit an SQL condition on the table, oldest first."""
    rows = connection.execute(f"{_APPROVAL} WHERE {where} ORDER BY seq", values).fetchall()
    return [
        ApprovalRow(
            ticket=row[0],
            seq=row[1],
            trader_uid=row[2],
            reasons=tuple(row[3].splitlines()),
            expires_ms=row[4],
            state=row[5],
            uid=row[6],
            reason=row[7],
        )
        for row in rows
    ]


def messages_since(connection: sqlite3.Connection, utc_ms: int) -> list[tuple[str, int, bool]]:
    """Return (venue, venue time in ms, whether a cancel) of what was sent since `utc_ms`."""
    rows = connection.execute(
        "SELECT venue, sent_ms, 0 FROM leg WHERE sent_ms >= ? UNION ALL "
        "SELECT venue, sent_ms, 1 FROM cancel WHERE sent_ms >= ? ORDER BY 2",
        (utc_ms, utc_ms),
    ).fetchall()
    return [(venue, sent_ms, bool(cancel)) for venue, sent_ms, cancel in rows]


def last_message(connection: sqlite3.Connection) -> int:
    """Return when something was sent last, venue time in ms; 0 when nothing was."""
    (leg,) = connection.execute("SELECT coalesce(max(sent_ms), 0) FROM leg").fetchone()
    (cancel,) = connection.execute("SELECT coalesce(max(sent_ms), 0) FROM cancel").fetchone()
    return max(int(leg), int(cancel))


def noted(connection: sqlite3.Connection, kinds: tuple[str, ...], since: int) -> list[Noted]:
    """Return the events of these kinds from number `since` on, oldest first."""
    marks = ", ".join("?" * len(kinds))
    rows = connection.execute(
        "SELECT seq, ts, actor, kind, body FROM event "  # noqa: S608  question marks only
        f"WHERE seq >= ? AND kind IN ({marks}) ORDER BY seq",
        (since, *kinds),
    ).fetchall()
    return [
        Noted(
            seq,
            ts,
            msgspec.json.decode(actor, type=Actor),
            msgspec.json.decode(body, type=KINDS[kind]),
        )
        for seq, ts, actor, kind, body in rows
    ]


def unsettled_legs(connection: sqlite3.Connection, venue: str) -> list[LegRow]:
    """Return the legs sent to `venue` of which something is still to be learned."""
    return legs(connection, "settled = 0 AND sent_ms IS NOT NULL AND venue = ?", (venue,))


def unsettled_by_venue(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many legs were sent to each venue of which something is still to be learned."""
    rows = connection.execute(
        "SELECT venue, count(*) FROM leg WHERE settled = 0 AND sent_ms IS NOT NULL "
        "GROUP BY venue ORDER BY venue"
    )
    return dict(rows.fetchall())


def live_legs(connection: sqlite3.Connection) -> list[LegRow]:
    """Return the legs, sent or not, that are in no terminal state."""
    marks = ", ".join("?" * len(LIVE_STATES))
    return legs(connection, f"state IN ({marks})", tuple(state.value for state in LIVE_STATES))


def legs_short_of_fills(connection: sqlite3.Connection) -> list[LegRow]:
    """Return the legs that are reported to be filled further than their fills here add up to."""
    sent = legs(connection, "settled = 0 AND sent_ms IS NOT NULL", ())
    return [leg for leg in sent if leg.executed < leg.filled]


def tickets(connection: sqlite3.Connection, count: int) -> list[TicketHead]:
    """Return the last `count` tickets, newest last."""
    rows = connection.execute(f"{_TICKET} ORDER BY seq DESC LIMIT ?", (count,)).fetchall()
    return [TicketHead(*row) for row in reversed(rows)]


def tickets_in(connection: sqlite3.Connection, state: str) -> list[TicketHead]:
    """Return the tickets in `state`, oldest first."""
    rows = connection.execute(f"{_TICKET} WHERE state = ? ORDER BY seq", (state,)).fetchall()
    return [TicketHead(*row) for row in rows]


def ticket_seq(connection: sqlite3.Connection, identifier: str) -> int | None:
    """Return the number of the event that proposed a ticket, None when there is no such ticket."""
    row = connection.execute("SELECT seq FROM ticket WHERE id = ?", (identifier,)).fetchone()
    return None if row is None else int(row[0])


def next_ticket(connection: sqlite3.Connection) -> str:
    """Return the id of the ticket to be made next: T1, T2, ..."""
    (count,) = connection.execute("SELECT count(*) FROM ticket").fetchone()
    return f"T{count + 1}"


def hash_of(connection: sqlite3.Connection, seq: int) -> str | None:
    """Return the hash of event `seq`, None when there is no such event."""
    row = connection.execute("SELECT hash FROM event WHERE seq = ?", (seq,)).fetchone()
    return None if row is None else str(row[0])


def positions(connection: sqlite3.Connection) -> dict[str, Decimal]:
    """Return the signed position that baseline, own fills and external changes add up to."""
    rows = connection.execute("SELECT instrument, contracts FROM position").fetchall()
    return {instrument: Decimal(contracts) for instrument, contracts in rows}


def day_notional_usd(
    connection: sqlite3.Connection, utc_ms: int, trader: str | None = None
) -> Decimal:
    """Return what was sent on the UTC day of `utc_ms`, by `trader` or by all, USD."""
    rows = connection.execute(
        "SELECT trader, notional_usd FROM counter WHERE day = ?", (utc_ms // DAY_MS,)
    ).fetchall()
    return sum((Decimal(notional) for name, notional in rows if trader in {None, name}), Decimal(0))


def fill(connection: sqlite3.Connection, instrument: str, trade_id: str) -> FillRow | None:
    """Return the fill of that trade, None when it is not here."""
    row = connection.execute(
        f"{_FILL} WHERE instrument = ? AND trade_id = ?", (instrument, trade_id)
    ).fetchone()
    return None if row is None else _fill_row(row)


def fills_of(connection: sqlite3.Connection, ticket: str) -> list[FillRow]:
    """Return the fills of a ticket's legs, in the order they were journalled."""
    rows = connection.execute(f"{_FILL} WHERE {_OF_TICKET} ORDER BY rowid", (ticket,)).fetchall()
    return [_fill_row(row) for row in rows]


def _fill_row(row: tuple[Any, ...]) -> FillRow:
    return FillRow(
        instrument=row[0],
        trade_id=row[1],
        client_id=row[2],
        side=Side(row[3]),
        contracts=Decimal(row[4]),
        price=Decimal(row[5]),
        fee_usd=Decimal(row[6]),
        ts_ms=row[7],
    )


def kill_state(connection: sqlite3.Connection) -> KillRow:
    """Return where the kill switch stands."""
    return KillRow(*connection.execute("SELECT state, reason, uid FROM kill").fetchone())


def has_notice(connection: sqlite3.Connection, key: str) -> bool:
    """Return True when the alarm or external change of that key was journalled before."""
    return connection.execute("SELECT 1 FROM notice WHERE key = ?", (key,)).fetchone() is not None


def has_baseline(connection: sqlite3.Connection, venue: str) -> bool:
    """Return True when the venue's account was seen before."""
    return (
        connection.execute("SELECT 1 FROM baseline WHERE venue = ?", (venue,)).fetchone()
        is not None
    )
