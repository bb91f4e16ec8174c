"""The venue of one session as the desk reaches it: its answers go wrong on their way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from perptui.model.account import Account, Position
from perptui.model.clock import ManualClock
from perptui.model.order import Fill, LegState, OrderIntent, OrderReport, Outcome, Side
from perptui.venues import parse_account, parse_stop
from perptui.venues.base import Reading
from perptui.venues.classify import classify
from perptui.venues.failures import Redactor, failure
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.transport import Exchange
from tests.campaign import fates
from tests.campaign.core import LIVES, Core
from tests.campaign.coverage import Coverage
from tests.campaign.themes import PLAIN, Theme
from tests.campaign.true_order import TrueOrder
from tests.campaign.truth import Armed, CancelSent, Hung, Sent
from tests.campaign.weather import NAMES, SYMBOLS, Weather
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import VENUE, account

REDACTOR = Redactor(fates.CANARY)
RECEIVE_WINDOW_MS = 5_000
LATEST_MS = 25_000
"""A request that was inside the window when it came in is looked at no later than this."""
TIMEOUT_S = 10.0
CRAWLING = "504 -1007"
CRAWLS_MS = 18_000
ACCEPTANCE_MS = 35_000
"""Receive window and 30 s, after which an order cannot be accepted any more."""
Met = tuple[str, str | None]
"""The venue's true answer, and the code where it is a refusal."""
Meet = Callable[[bool], Met]
"""Lets a request meet the venue; True: its answer will not be heard."""
ReadBack = Callable[[bytes, int], OrderReport | None]


def _nobody_dies(_: str) -> None:
    """Let the process live."""


class WorldVenue(LedgerVenue):
    """The venue as the desk reaches it: the true core behind a network that fails."""

    def __init__(
        self, clock: ManualClock, core: Core, rng: random.Random, theme: Theme = PLAIN
    ) -> None:
        super().__init__(clock)
        self.usual = {**LIVES, **theme.lives}
        self._theme = theme
        self.core = core
        self.clock = clock
        self.weather = Weather()
        self.coverage = Coverage()
        self._now: tuple[tuple[object, ...], Account] | None = None
        self.reached: Callable[[str], None] = _nobody_dies
        self.lives = self.usual
        self._rng = rng
        self._old: list[tuple[int, dict[str, Decimal]]] = []

    # ------------------------------------------------------------------ reads

    async def _travel(self, call: str) -> None:
        """Let a query go to the venue and back; raise what a fault makes of it."""
        await self._wait(0.01, 0.2)
        self.core.run()
        weather, now_ms = self.weather, self.core.now_ms()
        dark = call in {"order", "stop"} and weather.dark_from_ms <= now_ms < weather.dark_until_ms
        if self._rng.random() >= self.weather.reads and not dark:
            return
        name = "502 HTML" if dark else self._rng.choice(fates.READ_FAULTS)
        fate = fates.FATES[name]
        if fate.status is None:
            self.core.truth.add(Hung(ts_ms=self.clock.utc_ms(), seq=0, call=call))
            await asyncio.sleep(TIMEOUT_S)
        exchange = fates.exchange_of(fate, '{"serverTime": 1}', self.core.now_ms())
        error = failure(f"{VENUE} {call}", exchange, "no reason", BINANCE, REDACTOR)
        self.coverage.note(name, call, type(error).__name__)
        raise error

    async def _wait(self, least: float, most: float) -> None:
        await asyncio.sleep(self._rng.uniform(least, most) * self.weather.pace)

    async def server_time(self) -> Reading[int]:
        await self._travel("server_time")
        return self._reading(self.core.now_ms(), "server_time")

    def _positions(self) -> dict[str, Decimal]:
        now_ms = self.core.now_ms()
        self._old.append((now_ms, dict(self.core.positions)))
        if self.weather.account_lag_ms:
            for at_ms, positions in self._old:
                if at_ms >= now_ms - self.weather.account_lag_ms:
                    self.coverage.note("account lags", "account", "read")
                    return positions
        return self.core.positions

    def now(self) -> Account:
        key = (self.core.now_ms(), self.one_way, *self.core.positions.items())
        if self._now is None or self._now[0] != key:
            held = tuple(
                Position(identifier, contracts, Decimal(1000))
                for identifier, contracts in sorted(self.core.positions.items())
                if contracts
            )
            base = account(ts_ms=self.core.now_ms())
            found = msgspec.structs.replace(base, positions=held, one_way=self.one_way)
            self._now = (key, found)
        return self._now[1]

    async def account(self) -> Reading[Account]:
        await self._travel("account")
        held = tuple(
            Position(identifier, contracts, Decimal(1000))
            for identifier, contracts in sorted(self._positions().items())
            if contracts
        )
        found = msgspec.structs.replace(self.now(), positions=held)
        return self._reading(found, "account")

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        await self._travel("fills")
        seen_ms = self.core.now_ms() - self.weather.fills_lag_ms
        found = [
            fill
            for fill in self.core.trades
            if fill.id == identifier and since_ms <= fill.ts_ms <= seen_ms
        ]
        if self.weather.fills_lag_ms:
            self.coverage.note("fills lag", "fills", "read")
        if found and self._rng.random() < self.weather.reads:
            self.coverage.note("fills twice", "fills", "read")
            found += found
        return self._reading(tuple(self._named(fill) for fill in found), "fills")

    def _named(self, fill: Fill) -> Fill:
        """Name the client id of every third trade: some venues do, some do not."""
        if int(fill.trade_id) % 3:
            return fill
        owner = next(o for o in self.core.orders if o.order_id == fill.venue_order_id)
        return msgspec.structs.replace(fill, client_id=owner.client_id)

    def _empty(self, call: str) -> bool:
        if self.core.now_ms() < self.weather.empty_until_ms:
            self.coverage.note("restart, empty list", call, "nothing found")
            return True
        return False

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        await self._travel("open_orders")
        found = [] if self._empty("open_orders") else [o for o in self.core.orders if o.alive]
        return self._reading(tuple(order.report() for order in found), "open_orders")

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        await self._travel("order")
        hidden = self._empty("order")
        found = None if hidden else self._own(identifier, client_id, protective=False)
        if (
            found is not None
            and found.filled
            and self.core.now_ms() < self.weather.forgets_until_ms
        ):
            self.coverage.note("order forgotten", "order", "nothing found")
            found = None
        return self._reading(None if found is None else found.report(), "order")

    async def stop(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        await self._travel("stop")
        hidden = self._empty("stop")
        found = None if hidden else self._own(identifier, client_id, protective=True)
        return self._reading(None if found is None else found.report(), "stop")

    def _own(self, identifier: str, client_id: str, *, protective: bool) -> TrueOrder | None:
        found = self.core.find(client_id)
        if found is None or found.instrument != identifier or found.protective != protective:
            return None
        return found

    # ------------------------------------------------------------------ writes

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        theme, writes = self._theme, self.weather.writes
        name = self._crawling() if self.weather.crawls else self._fault(theme.faults, writes)
        self._note_sent(intent, client_id, name)
        meet = self._meet_stop if intent.protective else self._meet_order
        read_back = (
            parse_stop.acknowledgement if intent.protective else parse_account.acknowledgement
        )
        return await self._write(
            "submit stop" if intent.protective else "submit",
            name,
            client_id,
            lambda blind: meet(intent, client_id, blind=blind),
            lambda body, now_ms: read_back(body, intent, client_id, NAMES, now_ms),
        )

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        return await self._write(
            "cancel",
            self._note_cancel(identifier, client_id),
            client_id,
            lambda _: self._end(identifier, client_id, protective=False),
            lambda body, now_ms: parse_account.cancellation(
                body, identifier, client_id, NAMES, now_ms
            ),
        )

    async def cancel_stop(self, identifier: str, client_id: str) -> Outcome:
        return await self._write(
            "cancel stop",
            self._note_cancel(identifier, client_id),
            client_id,
            lambda _: self._end(identifier, client_id, protective=True),
            lambda body, _: parse_stop.cancellation(body, identifier, client_id),
        )

    async def arm_dead_man(self, identifier: str, countdown_ms: int) -> Outcome:
        name, symbol, truth = self._deaf(), SYMBOLS[identifier], self.core.truth
        truth.add(Armed(**truth.now(), instrument=identifier, countdown_ms=countdown_ms, fate=name))

        def count_down(_: bool) -> tuple[str, str | None]:
            self.core.count_down(identifier, countdown_ms)
            return fates.countdown_body(symbol, countdown_ms), None

        return await self._write(
            "dead man",
            name,
            symbol,
            count_down,
            lambda body, _: parse_stop.countdown(body, symbol, countdown_ms),
        )

    def _crawling(self) -> str:
        """Let queries answer while the order is on its way, go dark, and then find nothing."""
        weather, now_ms = self.weather, self.core.now_ms()
        weather.dark_from_ms = now_ms + CRAWLS_MS
        weather.dark_until_ms = now_ms + ACCEPTANCE_MS + 1_500
        weather.empty_until_ms = weather.dark_until_ms + self._rng.randint(2_000, 3_400)
        return CRAWLING

    def _deaf(self) -> str:
        """Return the fault that strikes the next request which is no order, "" for none."""
        theme, writes = self._theme, self.weather.writes
        likely = writes if theme.others is None or not writes else theme.others
        return self._fault(theme.requests or theme.faults, likely)

    def _fault(self, oftener: Mapping[str, float], likely: float) -> str:
        """Return the fault that strikes the next write, "" for none."""
        if self._rng.random() >= likely:
            return ""
        return fates.draw(self._rng, oftener)

    async def _write(
        self, call: str, name: str, named: str, meet: Meet, read_back: ReadBack
    ) -> Outcome:
        """Let a request meet the venue through the fault `name`; classify what comes back.

        Parameters
        ----------
        named : str
            What the answer names the request by.
        """
        order, fate = call.startswith("submit"), fates.FATES.get(name)
        self.reached("left" if order else f"{call} left")
        await self._wait(0.02, 0.4)
        self.core.run()
        truth, refused = "", None
        where, least_ms = "now" if fate is None else fates.arrival(self._rng, fate), 300
        if order and self.weather.crawls:
            where, least_ms, self.weather.crawls = "late", CRAWLS_MS, False
        if where == "now":
            truth, refused = meet(fate is not None)
        elif where == "late" and order:
            self.core.later(self._rng.randint(least_ms, LATEST_MS), lambda: _ignore(meet(True)))
        self.reached("arrived" if order else f"{call} arrived")
        if fate is not None and fate.status is None and fate.sent:
            await asyncio.sleep(TIMEOUT_S)
        else:
            await self._wait(0.02, 0.4)
        met = name or ("none" if refused is None else f"400 {refused}")
        exchange = self._captured(fate or _REFUSALS.get(refused or ""), truth, named)
        outcome = classify(
            exchange, lambda body: read_back(body, exchange.received_ms), BINANCE, REDACTOR
        )
        self.coverage.note(met, call, outcome.state)
        return outcome

    def _captured(self, fate: fates.Fate | None, truth: str, named: str) -> Exchange:
        other = truth.replace(named, "pt" + "0" * 30)
        return fates.exchange_of(fate, truth, self.core.now_ms(), other)

    def _note_sent(self, intent: OrderIntent, client_id: str, fate: str) -> None:
        self.core.truth.add(
            Sent(
                **self.core.truth.now(),
                client_id=client_id,
                instrument=intent.id,
                side=intent.side,
                contracts=intent.contracts,
                limit_price=intent.limit_price,
                reduce_only=intent.reduce_only,
                kind=intent.kind,
                trigger_price=intent.trigger_price,
                fate=fate,
            )
        )

    def _note_cancel(self, identifier: str, client_id: str) -> str:
        name, truth = self._deaf(), self.core.truth
        truth.add(CancelSent(**truth.now(), client_id=client_id, instrument=identifier, fate=name))
        return name

    def _meet_order(self, intent: OrderIntent, client_id: str, *, blind: bool) -> Met:
        """Let the order meet the venue; return the true answer, or the code of a refusal."""
        core = self.core
        if core.open_by_client_id(client_id) is not None:
            return "", "-4116"
        held = core.positions.get(intent.id, Decimal(0))
        against = -held if intent.side is Side.BUY else held
        if intent.reduce_only and against <= 0:
            return "", "-2022"
        life = self._rng.choices(list(self.lives), list(self.lives.values()))[0]
        if blind and self._rng.random() < self._theme.blind_expires:
            life = "expire"
        order = core.take(intent, client_id, life)
        return fates.order_body(order.report(), SYMBOLS[intent.id]), None

    def _meet_stop(self, intent: OrderIntent, client_id: str, *, blind: bool) -> Met:
        """Let the stop meet the venue, which refuses one that would trigger at once."""
        core = self.core
        if core.open_by_client_id(client_id) is not None:
            return "", "-4116"
        if intent.trigger_price is None or core.reached(
            intent.id, intent.side, intent.trigger_price
        ):
            return "", "-2021"
        order = core.take(intent, client_id, "wait")
        return fates.stop_body(
            order.report(), SYMBOLS[intent.id], reduce_only=intent.reduce_only
        ), None

    def _end(self, identifier: str, client_id: str, *, protective: bool) -> Met:
        """Cancel an order that works; return the venue's answer."""
        found = self.core.open_by_client_id(client_id)
        if found is None or found.instrument != identifier or found.protective != protective:
            return "", "-2011"
        waiting = found.report().venue_order_id
        self.core.end(found, LegState.CANCELED)
        if protective:
            return fates.stop_canceled_body(waiting, client_id), None
        return fates.order_body(found.report(), SYMBOLS[identifier]), None


def _ignore(_: object) -> None:
    """Nobody hears the answer to a request that came late."""


_REFUSALS = {
    **{code.removeprefix("400 "): fate for code, fate in fates.FATES.items()},
    "-2011": fates.Fate("now", 400, '{"code": -2011, "msg": "Unknown order sent."}', "REJECTED"),
}
"""What the venue answers where it really refuses, by code."""
