"""A venue in memory that keeps a true ledger: orders, trades, positions; deterministic.

Each submit takes the next word of `script` (then "fill"): what the venue does with the order and
what its answer comes to are two things, so that "accepted, but nobody knows" exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from perptui.model.account import Account, CashFlow, Position
from perptui.model.clock import Clock
from perptui.model.errors import VenueUnavailable
from perptui.model.instrument import Instrument
from perptui.model.market import Bar, Book, FundingQuote, FundingSettlement, Quote
from perptui.model.order import Fill, LegState, OrderIntent, OrderReport, Outcome, Side
from perptui.venues.base import Reading, SimulatedControl
from tests.desk.market import FUNDING, INSTRUMENTS, POSITIONS, QUOTES, VENUE, account, book_around

T = TypeVar("T")

UNKNOWN = Outcome(LegState.UNKNOWN, "504", "no answer")
LATE_MS = 10_000
FEE = Decimal("0.0005")


async def _nothing(_: str) -> None:
    """Do nothing."""


FILLED = {"fill", "blind", "ack", "hang", "half"}


class LedgerVenue:
    """Implements `perptui.venues.base.Venue`.

    Words of `script`: fill; half (half fills, the rest expires); expire (nothing fills); rest
    (stays open); ack (fills, the answer says only that it was taken); blind (fills, the answer is
    lost); late (fills ten seconds from now, the answer is lost); lost (never arrives, nor does an
    answer); reject; not_sent; hang (fills, and the answer never comes).

    Stops take the words of `stop_script` (then "rest"): rest; blind; lost; reject (would trigger at
    once); not_sent; hang. They wait until a test calls `trigger`.

    Of `armed_script` SENDING is a request for a countdown whose answer never comes.
    """

    def __init__(self, clock: Clock, script: Sequence[str] = ()) -> None:
        self._clock = clock
        self.script = list(script)
        self.orders: dict[str, OrderReport] = {}
        self.stops: dict[str, OrderReport] = {}
        self.stop_script: list[str] = []
        self.armed: list[tuple[str, int]] = []
        self.armed_script: list[LegState] = []
        self.foreign: list[OrderReport] = []
        self.submitted: list[str] = []
        self.canceled: list[str] = []
        self.cancel_script: list[LegState] = []
        self.trades: list[Fill] = []
        self.positions = {held.id: held.contracts for held in POSITIONS}
        self.down: set[str] = set()
        self.pending: list[tuple[int, OrderIntent, str]] = []
        self.hanging = asyncio.Event()
        self.prices: dict[str, Decimal] = {}
        self.one_way = True
        self.pinned = "simulated"
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], Awaitable[None]] = _nothing

    @property
    def name(self) -> str:
        return VENUE

    @property
    def host(self) -> str:
        return self.pinned

    @property
    def control(self) -> SimulatedControl | None:
        return None

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _arrive(self) -> None:
        """Let the orders arrive that were long on their way."""
        now_ms = self._clock.utc_ms()
        due = [entry for entry in self.pending if entry[0] <= now_ms]
        self.pending = [entry for entry in self.pending if entry[0] > now_ms]
        for _, intent, client_id in due:
            self.accept(intent, client_id, "fill")

    def _reading(self, value: T, call: str) -> Reading[T]:
        if call in self.down:
            raise VenueUnavailable(f"expected an answer to {call}, was none; wait")
        return Reading(value, self._clock.utc_ms(), self._clock.monotonic(), call)

    async def server_time(self) -> Reading[int]:
        self._arrive()
        return self._reading(self._clock.utc_ms(), "server_time")

    async def instruments(self) -> Reading[tuple[Instrument, ...]]:
        return self._reading(INSTRUMENTS, "instruments")

    def now(self) -> Account:
        """The margin account as it is."""
        held = tuple(
            Position(identifier, contracts, Decimal(1000))
            for identifier, contracts in sorted(self.positions.items())
            if contracts
        )
        base = account(ts_ms=self._clock.utc_ms())
        return msgspec.structs.replace(base, positions=held, one_way=self.one_way)

    async def account(self) -> Reading[Account]:
        return self._reading(self.now(), "account")

    async def quotes(self) -> Reading[tuple[Quote, ...]]:
        return self._reading(QUOTES, "quotes")

    async def funding(self) -> Reading[tuple[FundingQuote, ...]]:
        return self._reading(FUNDING, "funding")

    async def bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        return self._reading((), f"bars {identifier} {since_ms} {limit}")

    async def mark_bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        return self._reading((), f"mark bars {identifier} {since_ms} {limit}")

    async def funding_history(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[FundingSettlement, ...]]:
        return self._reading((), f"funding history {identifier} {since_ms} {limit}")

    async def book(self, identifier: str, depth: int) -> Reading[Book]:
        mark = next(quote.mark for quote in QUOTES if quote.id == identifier)
        return self._reading(book_around(identifier, mark), f"book {depth}")

    async def cashflows(self, since_ms: int) -> Reading[tuple[CashFlow, ...]]:
        return self._reading((), f"cashflows {since_ms}")

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        found = (fill for fill in self.trades if fill.id == identifier and fill.ts_ms >= since_ms)
        return self._reading(tuple(found), "fills")

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        working = {LegState.OPEN, LegState.PARTIAL}
        known = (*self.orders.values(), *self.stops.values())
        mine = [report for report in known if report.state in working]
        return self._reading((*mine, *self.foreign), "open_orders")

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        found = self.orders.get(client_id)
        assert found is None or found.id == identifier
        return self._reading(found, "order")

    async def stop(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        found = self.stops.get(client_id)
        assert found is None or found.id == identifier
        return self._reading(found, "stop")

    async def _submit_stop(self, intent: OrderIntent, client_id: str) -> Outcome:
        word = self.stop_script.pop(0) if self.stop_script else "rest"
        if word == "reject":
            return Outcome(LegState.REJECTED, "-2021", "would trigger at once")
        if word == "not_sent":
            return Outcome(LegState.NOT_SENT, "429", "too many requests")
        if word == "lost":
            return UNKNOWN
        report = OrderReport(
            id=intent.id,
            client_id=client_id,
            venue_order_id=f"algo:{len(self.stops) + 1}",
            state=LegState.OPEN,
            side=intent.side,
            contracts=intent.contracts,
            filled=Decimal(0),
            average_price=None,
            ts_ms=self._clock.utc_ms(),
            kind=intent.kind,
            trigger_price=intent.trigger_price,
        )
        self.stops[client_id] = report
        await self.after(client_id)
        if word == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        return UNKNOWN if word == "blind" else Outcome(LegState.ACKED, report=report)

    def trigger(self, client_id: str) -> OrderReport:
        """Let a stop's mark be reached: it closes what is there of its position at the trigger."""
        stop = self.stops[client_id]
        assert stop.trigger_price is not None
        held = self.positions.get(stop.id, Decimal(0))
        against = held if stop.side is Side.SELL else -held
        filled = max(Decimal(0), min(stop.contracts, against))
        ended = LegState.FILLED if filled == stop.contracts else LegState.EXPIRED
        report = msgspec.structs.replace(
            stop,
            venue_order_id=f"{len(self.orders) + len(self.stops) + 1000}",
            state=ended,
            filled=filled,
            average_price=stop.trigger_price if filled else None,
        )
        self.stops[client_id] = report
        if filled:
            self.trade(report, filled, stop.trigger_price)
        return report

    async def cancel_stop(self, identifier: str, client_id: str) -> Outcome:
        self.canceled.append(client_id)
        if self.cancel_script:
            return Outcome(self.cancel_script.pop(0), "lost", "nothing came of it")
        report = self.stops.get(client_id)
        if report is None or report.id != identifier or report.state is not LegState.OPEN:
            return Outcome(LegState.REJECTED, "-2011", "unknown order")
        self.stops[client_id] = msgspec.structs.replace(report, state=LegState.CANCELED)
        return Outcome(LegState.ACKED)

    async def arm_dead_man(self, identifier: str, countdown_ms: int) -> Outcome:
        self.armed.append((identifier, countdown_ms))
        state = self.armed_script.pop(0) if self.armed_script else LegState.ACKED
        if state is LegState.SENDING:
            self.hanging.set()
            await asyncio.Event().wait()
        return Outcome(state)

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        self.submitted.append(client_id)
        self.before(client_id)
        if intent.protective:
            return await self._submit_stop(intent, client_id)
        word = self.script.pop(0) if self.script else "fill"
        if word == "reject":
            return Outcome(LegState.REJECTED, "-2019", "margin is insufficient")
        if word == "not_sent":
            return Outcome(LegState.NOT_SENT, "429", "too many requests")
        if word == "late":
            self.pending.append((self._clock.utc_ms() + LATE_MS, intent, client_id))
        if word in {"lost", "late"}:
            return UNKNOWN
        report = self.accept(intent, client_id, word)
        await self.after(client_id)
        if word == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        if word == "blind":
            return UNKNOWN
        return Outcome(LegState.ACKED, report=None if word == "ack" else report)

    def accept(self, intent: OrderIntent, client_id: str, word: str) -> OrderReport:
        """Let the order happen as `word` says, whatever is answered."""
        filled, price = Decimal(0), self.prices.get(intent.id, intent.mark_price)
        if word in FILLED:
            filled = intent.contracts / 2 if word == "half" else intent.contracts
        states = {"rest": LegState.OPEN, "expire": LegState.EXPIRED, "half": LegState.EXPIRED}
        report = OrderReport(
            id=intent.id,
            client_id=client_id,
            venue_order_id=f"{len(self.orders) + 1}",
            state=states.get(word, LegState.FILLED),
            side=intent.side,
            contracts=intent.contracts,
            filled=filled,
            average_price=price if filled else None,
            ts_ms=self._clock.utc_ms(),
        )
        self.orders[client_id] = report
        if filled:
            self.trade(report, filled, price)
        return report

    def trade(self, report: OrderReport, contracts: Decimal, price: Decimal) -> None:
        """Execute `contracts` of an order."""
        self.trades.append(
            Fill(
                id=report.id,
                trade_id=f"{len(self.trades) + 1}",
                venue_order_id=report.venue_order_id,
                side=report.side,
                contracts=contracts,
                price=price,
                fee_usd=contracts * price * FEE,
                ts_ms=self._clock.utc_ms(),
            )
        )
        signed = contracts if report.side is Side.BUY else -contracts
        self.positions[report.id] = self.positions.get(report.id, Decimal(0)) + signed

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        self.canceled.append(client_id)
        if self.cancel_script:
            return Outcome(self.cancel_script.pop(0), "lost", "nothing came of it")
        report = self.orders.get(client_id)
        if report is None or report.id != identifier or report.state is not LegState.OPEN:
            return Outcome(LegState.REJECTED, "-2011", "unknown order")
        report = msgspec.structs.replace(report, state=LegState.CANCELED)
        self.orders[client_id] = report
        return Outcome(LegState.ACKED, report=report)
