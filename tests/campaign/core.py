"""The venue's truth: orders that fill at once, rest, fill later, expire; trades; positions.

It knows no network and no fault: what it does is true. `WorldVenue` is what the desk gets of it.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal

from perptui.model.clock import ManualClock
from perptui.model.order import Fill, LegState, OrderIntent, Side
from tests.campaign.true_order import TrueOrder
from tests.campaign.truth import (
    Counting,
    Foreign,
    Opened,
    Outside,
    Over,
    Swept,
    Taken,
    Traded,
    Truth,
)

FEE = Decimal("0.0005")
LIVES = {
    "fill": 50,
    "half": 6,
    "expire": 5,
    "slow": 10,
    "slow_half": 5,
    "slow_cancel": 4,
    "rest": 12,
}
"""What becomes of an order that was taken, and how often."""
REST_MS = 24_000
"""The longest that an order which was to be immediate rests before the venue ends it."""


class Core:
    """One account at one venue; everything that happens is written into the truth.

    Parameters
    ----------
    steps : mapping of str to Decimal
        Quantity step of each contract.
    marks : dict of str to Decimal
        Marks now; the world moves them.
    positions : dict of str to Decimal
        Signed positions at the start.
    """

    def __init__(
        self,
        clock: ManualClock,
        rng: random.Random,
        steps: Mapping[str, Decimal],
        marks: dict[str, Decimal],
        positions: dict[str, Decimal],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._steps = steps
        self.skew_ms = 0
        self.marks = marks
        self.positions = positions
        self.orders: list[TrueOrder] = []
        self.trades: list[Fill] = []
        self.truth = Truth(clock.utc_ms)
        self.truth.add(Opened(ts_ms=clock.utc_ms(), seq=0, positions=dict(positions)))
        self.reuse_trade_id = False
        self.changed_ms = self._clock.utc_ms()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._countdowns: dict[str, int] = {}
        self._numbers = Counter[str]()

    def now_ms(self) -> int:
        """Return the venue's own time."""
        return self._clock.utc_ms() + self.skew_ms

    @property
    def busy(self) -> bool:
        """True while anything is still to happen by itself."""
        return bool(self._due)

    @property
    def counting(self) -> bool:
        """True while a dead man's countdown runs."""
        return bool(self._countdowns)

    def later(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Let `action` happen after `delay_ms` of the desk's time."""
        self._numbers["due"] += 1
        due = self._clock.utc_ms() + delay_ms
        heapq.heappush(self._due, (due, self._numbers["due"], action))

    def run(self) -> None:
        """Let happen what is due."""
        now = self._clock.utc_ms()
        while self._due and self._due[0][0] <= now:
            self._run_out(self._due[0][0])
            heapq.heappop(self._due)[2]()
        self._run_out(now)

    # ------------------------------------------------------------------ the dead man's switch

    def count_down(self, instrument: str, countdown_ms: int) -> None:
        """Cancel the contract's orders after a time unless called again before; 0: never."""
        self._countdowns.pop(instrument, None)
        ts_ms = self._clock.utc_ms()
        self.truth.add(
            Counting(ts_ms=ts_ms, seq=0, instrument=instrument, countdown_ms=countdown_ms)
        )
        if countdown_ms:
            self._countdowns[instrument] = self._clock.utc_ms() + countdown_ms

    def _run_out(self, now: int) -> None:
        """Let the countdowns end that are over by `now`: whatever is open goes, stops too."""
        for instrument in [key for key, due in self._countdowns.items() if due <= now]:
            del self._countdowns[instrument]
            swept = [one for one in self.orders if one.alive and one.instrument == instrument]
            stops = tuple(one.client_id for one in swept if one.protective)
            self.truth.add(
                Swept(ts_ms=self._clock.utc_ms(), seq=0, instrument=instrument, stops=stops)
            )
            for order in swept:
                self.end(order, LegState.CANCELED)

    # ------------------------------------------------------------------ orders

    def open_by_client_id(self, client_id: str) -> TrueOrder | None:
        """Return the open order of that client id: ids are unique among open orders only."""
        return next((o for o in self.orders if o.alive and o.client_id == client_id), None)

    def find(self, client_id: str) -> TrueOrder | None:
        """Return the newest order of that client id."""
        return next((o for o in reversed(self.orders) if o.client_id == client_id), None)

    def take(self, intent: OrderIntent, client_id: str, life: str) -> TrueOrder:
        """Accept an order and let it live as `life` says."""
        order = TrueOrder(
            order_id=str(7_000 + len(self.orders)),
            client_id=client_id,
            instrument=intent.id,
            side=intent.side,
            contracts=intent.contracts,
            limit_price=intent.limit_price,
            reduce_only=intent.reduce_only,
            protective=intent.protective,
            trigger_price=intent.trigger_price,
            ts_ms=self.now_ms(),
        )
        self.orders.append(order)
        self.truth.add(
            Taken(
                ts_ms=self._clock.utc_ms(),
                seq=0,
                order_id=order.order_id,
                client_id=client_id,
                instrument=order.instrument,
                side=order.side,
                contracts=order.contracts,
                protective=order.protective,
            )
        )
        if not order.protective:
            getattr(self, f"_{life}")(order)
        return order

    def _fill(self, order: TrueOrder) -> None:
        cut = self._part(order.contracts, "0.4")
        if cut and self._rng.random() < 0.4:
            self._trade(order, cut)
        self._trade(order, order.contracts - order.filled)

    def _half(self, order: TrueOrder) -> None:
        self._trade(order, self._part(order.contracts, "0.5"))
        self.end(order, LegState.EXPIRED)

    def _expire(self, order: TrueOrder) -> None:
        self.end(order, LegState.EXPIRED)

    def _slow(self, order: TrueOrder) -> None:
        first, second = sorted(self._rng.randint(50, 9_000) for _ in range(2))
        self.later(first, lambda: self._trade(order, self._part(order.contracts, "0.3")))
        self.later(second, lambda: self._trade(order, order.contracts - order.filled))

    def _slow_half(self, order: TrueOrder) -> None:
        first, second = sorted(self._rng.randint(50, 9_000) for _ in range(2))
        self.later(first, lambda: self._trade(order, self._part(order.contracts, "0.5")))
        self.later(second, lambda: self.end(order, LegState.EXPIRED))

    def _slow_cancel(self, order: TrueOrder) -> None:
        self.later(self._rng.randint(50, 9_000), lambda: self.end(order, LegState.CANCELED))

    def _rest(self, order: TrueOrder) -> None:
        self.later(REST_MS, lambda: self.end(order, LegState.EXPIRED))

    def _part(self, contracts: Decimal, share: str) -> Decimal:
        return contracts * Decimal(share)

    def _trade(self, order: TrueOrder, wanted: Decimal) -> None:
        step = self._steps[order.instrument]
        contracts = (wanted / step).to_integral_value(ROUND_DOWN) * step
        held = self.positions.get(order.instrument, Decimal(0))
        if order.reduce_only:
            against = -held if order.side is Side.BUY else held
            contracts = min(contracts, max(against, Decimal(0)))
        if not order.alive:
            return
        if contracts > 0:
            self._execute(order, contracts)
        if order.filled == order.contracts:
            self.end(order, LegState.FILLED)
        elif order.reduce_only and not self.positions.get(order.instrument):
            self.end(order, LegState.EXPIRED)

    def _execute(self, order: TrueOrder, contracts: Decimal) -> None:
        better = Decimal(self._rng.randint(0, 9)) / 10
        price = order.limit_price - better if order.side is Side.BUY else order.limit_price + better
        order.filled += contracts
        order.turnover += contracts * price
        order.state = LegState.PARTIAL
        order.ts_ms, self.changed_ms = self._clock.utc_ms(), self._clock.utc_ms()
        held = self.positions.get(order.instrument, Decimal(0))
        signed = contracts if order.side is Side.BUY else -contracts
        self.positions[order.instrument] = held + signed
        self._number(order.instrument, contracts)
        trade = self._trade_of(order, contracts, price)
        self.trades.append(trade)
        self.truth.add(
            Traded(
                ts_ms=self._clock.utc_ms(),
                seq=0,
                order_id=order.order_id,
                client_id=order.client_id,
                trade_id=trade.trade_id,
                instrument=trade.id,
                side=trade.side,
                contracts=contracts,
                price=price,
            )
        )

    def _trade_of(self, order: TrueOrder, contracts: Decimal, price: Decimal) -> Fill:
        return Fill(
            id=order.instrument,
            trade_id=str(self._numbers[order.instrument]),
            venue_order_id=order.order_id,
            side=order.side,
            contracts=contracts,
            price=price,
            fee_usd=contracts * price * FEE,
            ts_ms=self._clock.utc_ms(),
        )

    def _number(self, instrument: str, contracts: Decimal) -> None:
        """Let the next trade have a number of its own, or that of an earlier one of other size."""
        last = next((one for one in reversed(self.trades) if one.id == instrument), None)
        if self.reuse_trade_id and last is not None and last.contracts != contracts:
            self.reuse_trade_id = False
            return
        self._numbers[instrument] += 1

    def end(self, order: TrueOrder, state: LegState) -> None:
        """Let an order that works come to its end."""
        if not order.alive:
            return
        order.state = state
        order.ts_ms, self.changed_ms = self._clock.utc_ms(), self._clock.utc_ms()
        self.truth.add(
            Over(
                ts_ms=self._clock.utc_ms(),
                seq=0,
                order_id=order.order_id,
                client_id=order.client_id,
                state=state,
                filled=order.filled,
            )
        )

    # ------------------------------------------------------------------ other hands

    def move_outside(self, instrument: str, after: Decimal, why: str) -> None:
        """Change a position without an order of the desk."""
        before = self.positions.get(instrument, Decimal(0))
        self.positions[instrument] = after
        self.changed_ms = self._clock.utc_ms()
        self.truth.add(
            Outside(
                ts_ms=self._clock.utc_ms(),
                seq=0,
                instrument=instrument,
                before=before,
                after=after,
                why=why,
            )
        )

    def place_outside(
        self, client_id: str, instrument: str, side: Side, contracts: Decimal
    ) -> None:
        """Let another hand place an order, which rests for good and is filled in part, or not."""
        order = TrueOrder(
            order_id=str(7_000 + len(self.orders)),
            client_id=client_id,
            instrument=instrument,
            side=side,
            contracts=contracts,
            limit_price=self.marks[instrument],
            reduce_only=False,
            protective=False,
            trigger_price=None,
            ts_ms=self.now_ms(),
            foreign=True,
        )
        self.orders.append(order)
        self.truth.add(
            Foreign(
                ts_ms=self._clock.utc_ms(),
                seq=0,
                order_id=order.order_id,
                client_id=client_id,
                instrument=instrument,
            )
        )
        if self._rng.random() < 0.4:
            self.later(self._rng.randint(50, 6_000), lambda: self._fill_outside(order))

    def _fill_outside(self, order: TrueOrder) -> None:
        step = self._steps[order.instrument]
        if not order.alive or order.contracts <= step:
            return
        order.filled, order.state = order.filled + step, LegState.PARTIAL
        order.turnover += step * order.limit_price
        self._number(order.instrument, step)
        self.trades.append(self._trade_of(order, step, order.limit_price))
        held = self.positions.get(order.instrument, Decimal(0))
        after = held + (step if order.side is Side.BUY else -step)
        self.move_outside(order.instrument, after, "another hand's order")

    def reached(self, instrument: str, side: Side, trigger: Decimal) -> bool:
        """Return whether the mark has reached a trigger."""
        mark = self.marks[instrument]
        return mark >= trigger if side is Side.BUY else mark <= trigger

    def trigger_stops(self) -> None:
        """Execute the stops whose trigger the mark has reached."""
        for order in self.orders:
            trigger = order.trigger_price
            if not order.alive or trigger is None:
                continue
            if self.reached(order.instrument, order.side, trigger):
                order.triggered = True
                self._trade(order, order.contracts)
                self.end(order, LegState.EXPIRED)
