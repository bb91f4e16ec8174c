"""The world of one session: a venue whose answers go wrong, and a picture that clouds over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal

import msgspec

from perptui.model.account import Account, Position
from perptui.model.clock import ManualClock
from perptui.model.instrument import Instrument
from perptui.model.market import Book, BookLevel, FundingQuote, Quote
from perptui.model.order import Fill, LegState, OrderIntent, OrderReport, Outcome
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.schema import Settings
from perptui.venues import parse_account
from perptui.venues.base import Reading
from perptui.venues.classify import classify
from perptui.venues.failures import Redactor, failure
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.parse_market import Names
from tests.campaign import fates
from tests.campaign.core import LIVES, Core
from tests.campaign.coverage import Coverage
from tests.campaign.truth import CancelSent, Mark, Sent, Sky
from tests.desk.dealing import DeskPicture
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import BTC, ETH, NOW_MS, VENUE, account, instrument

SOL = f"{VENUE}:SOL/USDT:USDT"
CONTRACTS = (
    instrument(BTC, "BTCUSDT", "0.001"),
    instrument(ETH, "ETHUSDT", "0.01"),
    instrument(SOL, "SOLUSDT", "1"),
)
MARKS = {BTC: Decimal(97500), ETH: Decimal(3200), SOL: Decimal(150)}
STEPS = {one.id: one.step for one in CONTRACTS}
SYMBOLS = {one.id: one.venue_symbol for one in CONTRACTS}
NAMES = Names({symbol: key for key, symbol in SYMBOLS.items()}, tuple(SYMBOLS.values()))
REDACTOR = Redactor(fates.CANARY)
RECEIVE_WINDOW_MS = 5_000
LATEST_MS = 25_000
"""A request that was inside the window when it came in is looked at no later than this."""
TIMEOUT_S = 10.0
LIE = "lying -2019"
"""Accepted, and said to be rejected; its own order and trades are there when asked for."""
DEPTH = Decimal(100_000)


class Weather(msgspec.Struct):
    """How likely faults are now; all zero once they stopped."""

    writes: float = 0.0
    reads: float = 0.0
    fills_lag_ms: int = 0
    account_lag_ms: int = 0
    empty_until_ms: int = 0
    dark_until_ms: int = 0
    forgets_until_ms: int = 0
    pace: float = 1.0

    def calm(self) -> None:
        """Let every fault stop."""
        self.writes = self.reads = 0.0
        self.fills_lag_ms = self.account_lag_ms = self.empty_until_ms = 0
        self.dark_until_ms = self.forgets_until_ms = 0


def _nobody_dies(_: str) -> None:
    """Let the process live."""


class WorldVenue(LedgerVenue):
    """The venue as the desk reaches it: the true core behind a network that fails."""

    def __init__(self, clock: ManualClock, core: Core, rng: random.Random) -> None:
        super().__init__(clock)
        self.core = core
        self.clock = clock
        self.weather = Weather()
        self.coverage = Coverage()
        self.reached: Callable[[str], None] = _nobody_dies
        self.lives = LIVES
        self._rng = rng
        self._lied: set[str] = set()
        self._old: list[tuple[int, dict[str, Decimal]]] = []

    # ------------------------------------------------------------------ reads

    async def _travel(self, call: str) -> None:
        """Let a query go to the venue and back; raise what a fault makes of it."""
        await self._wait(0.01, 0.2)
        self.core.run()
        dark = call == "order" and self.core.now_ms() < self.weather.dark_until_ms
        if self._rng.random() >= self.weather.reads and not dark:
            return
        name = "502 HTML" if dark else self._rng.choice(fates.READ_FAULTS)
        fate = fates.FATES[name]
        if fate.status is None:
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
        held = tuple(
            Position(identifier, contracts, Decimal(1000))
            for identifier, contracts in sorted(self.core.positions.items())
            if contracts
        )
        base = account(ts_ms=self.core.now_ms())
        return msgspec.structs.replace(base, positions=held, one_way=self.one_way)

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
        hidden = client_id not in self._lied and self._empty("order")
        found = None if hidden else self.core.find(client_id)
        if found is not None and found.instrument != identifier:
            found = None
        if (
            found is not None
            and found.filled
            and client_id not in self._lied
            and self.core.now_ms() < self.weather.forgets_until_ms
        ):
            self.coverage.note("order forgotten", "order", "nothing found")
            found = None
        return self._reading(None if found is None else found.report(), "order")

    # ------------------------------------------------------------------ writes

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        name = fates.draw(self._rng) if self._rng.random() < self.weather.writes else ""
        if name == LIE and self.weather.fills_lag_ms:
            name = ""  # a lie whose trades are late too is two faults
        if name == LIE:
            self._lied.add(client_id)
        self._note_sent(intent, client_id, name)
        self.reached("left")
        await self._wait(0.02, 0.4)
        self.core.run()
        fate = fates.FATES.get(name)
        truth, refused = "", None
        where = "now" if fate is None else fates.arrival(self._rng, fate)
        if where == "now":
            truth, refused = self._arrive_order(intent, client_id, blind=fate is not None)
        elif where == "late":
            self._arrive_late(intent, client_id)
        self.reached("arrived")
        if fate is not None and fate.status is None and fate.sent:
            await asyncio.sleep(TIMEOUT_S)
        else:
            await self._wait(0.02, 0.4)
        if refused is not None and fate is None:
            fate = fates.FATES[f"400 {refused}"]
        other = truth.replace(client_id, "pt" + "0" * 30)
        exchange = fates.exchange_of(fate, truth, self.core.now_ms(), other)
        outcome = classify(
            exchange,
            lambda body: parse_account.acknowledgement(
                body, intent, client_id, NAMES, exchange.received_ms
            ),
            BINANCE,
            REDACTOR,
        )
        met = name or ("none" if refused is None else f"400 {refused}")
        self.coverage.note(met, "submit", outcome.state)
        return outcome

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

    def _arrive_order(
        self, intent: OrderIntent, client_id: str, *, blind: bool = False
    ) -> tuple[str, str | None]:
        """Let the order meet the venue; return the true answer, or the code of a refusal."""
        core = self.core
        if core.open_by_client_id(client_id) is not None:
            return "", "-4116"
        held = core.positions.get(intent.id, Decimal(0))
        against = -held if intent.side.value == "buy" else held
        if intent.reduce_only and against <= 0:
            return "", "-2022"
        life = self._rng.choices(list(self.lives), list(self.lives.values()))[0]
        if blind and self._rng.random() < 0.3:
            life = "expire"
        order = core.take(intent, client_id, life)
        return fates.order_body(order.report(), SYMBOLS[intent.id]), None

    def _arrive_late(self, intent: OrderIntent, client_id: str) -> None:
        delay_ms = self._rng.randint(300, LATEST_MS)

        def arrive() -> None:
            self._arrive_order(intent, client_id, blind=True)

        self.core.later(delay_ms, arrive)

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        name = fates.draw(self._rng) if self._rng.random() < self.weather.writes else ""
        truth = self.core.truth
        truth.add(CancelSent(**truth.now(), client_id=client_id, instrument=identifier, fate=name))
        self.reached("cancel left")
        await self._wait(0.02, 0.4)
        self.core.run()
        fate = fates.FATES.get(name)
        body = ""
        if fate is None or fates.arrival(self._rng, fate) == "now":
            found = self.core.open_by_client_id(client_id)
            if found is not None:
                self.core.end(found, LegState.CANCELED)
                body = fates.order_body(found.report(), SYMBOLS[identifier])
        if fate is None and not body:
            fate = _NOT_OPEN
        if fate is not None and fate.status is None and fate.sent:
            await asyncio.sleep(TIMEOUT_S)
        exchange = fates.exchange_of(fate, body, self.core.now_ms(), body)
        outcome = classify(
            exchange,
            lambda answer: parse_account.cancellation(
                answer, identifier, client_id, NAMES, exchange.received_ms
            ),
            BINANCE,
            REDACTOR,
        )
        self.coverage.note(name or "none", "cancel", outcome.state)
        return outcome


_NOT_OPEN = fates.Fate("now", 400, '{"code": -2011, "msg": "Unknown order sent."}', "REJECTED")


class WorldPicture(DeskPicture):
    """The desk's picture: it can go stale, blank, lose a quote, a volume, or the clock's offset."""

    venue: WorldVenue

    def __init__(self, venue: WorldVenue, clock: ManualClock, settings: Settings) -> None:
        super().__init__(venue, clock, settings)
        self.core = venue.core
        self.contracts: tuple[Instrument, ...] = CONTRACTS
        self.offsets = {VENUE: 12}
        self.volumes = {BTC: 1e10, ETH: 5e9, SOL: 2e9}
        self.sigmas = {BTC: 0.6, ETH: 0.8, SOL: 1.1}
        self.missing: set[str] = set()
        self.thin: set[str] = set()
        self.funds = tuple(
            FundingQuote(one.id, NOW_MS, Decimal("0.0001"), NOW_MS + 7_200_000, 8.0)
            for one in CONTRACTS
        )
        self.quoted_ms = clock.utc_ms()
        self.kept: MarketSnapshot | None = None
        self._sky: dict[str, str] = {}
        for identifier, price in self.core.marks.items():
            self._note_mark(identifier, price)

    def _note_mark(self, identifier: str, price: Decimal) -> None:
        truth = self.core.truth
        truth.add(Mark(**truth.now(), instrument=identifier, price=price))

    def move(self, identifier: str, factor: Decimal) -> None:
        """Move a mark; stops whose trigger it reaches are executed."""
        price = (self.core.marks[identifier] * factor).quantize(Decimal("0.1"))
        self.core.marks[identifier] = price
        self._note_mark(identifier, price)
        self.core.trigger_stops()

    def snapshot(self) -> MarketSnapshot | None:
        if self.blank:
            return None
        if self.stale_text and self.kept is not None:
            return self.kept
        now_ms = self.clock.utc_ms()
        quotes = tuple(
            Quote(id=identifier, ts_ms=now_ms, mark=mark)
            for identifier, mark in sorted(self.core.marks.items())
            if identifier not in self.missing
        )
        self.kept = MarketSnapshot(
            as_of_ms=now_ms,
            instruments=self.contracts,
            quotes=quotes,
            funding=self.funds,
            accounts=(self.venue.now(),),
            peak_equity_usd=self.peak,
        )
        return self.kept

    def books(self) -> dict[str, Book]:
        found = {}
        for name, mark in self.core.marks.items():
            if name not in self.thin:
                away = mark / 10_000
                bids, asks = BookLevel(mark - away, DEPTH), BookLevel(mark + away, DEPTH)
                found[name] = Book(name, self.clock.utc_ms(), (bids,), (asks,))
        return found

    def sky(self, what: str, value: str) -> None:
        """Write down what is so from here on; "" is well."""
        if self._sky.get(what, "") != value:
            self._sky[what] = value
            truth = self.core.truth
            truth.add(Sky(**truth.now(), what=what, value=value))

    def cloud(self, what: str, value: str) -> None:
        """Let one thing be wrong with the picture from here on, or with "" right again."""
        if what == "settings" and not value:
            return  # settings that changed stay as they are
        if what == "stale":
            self.stale_text = value
        elif what == "blank":
            self.blank = bool(value)
        elif what == "quote":
            self.missing = {value} if value else set()
        elif what == "book":
            self.thin = {value} if value else set()
        elif what == "volume":
            self.volumes = {key: number for key, number in _VOLUMES.items() if key != value}
        else:
            self._cloud_more(what, value)
        self.sky(what, value)

    def _cloud_more(self, what: str, value: str) -> None:
        if what == "offset":
            self.offsets = {VENUE: int(value)} if value else {VENUE: 12}
        elif what == "offset unknown":
            self.offsets = {} if value else {VENUE: 12}
        elif what == "settings":
            self.digest = value
        elif what == "loss unknown":
            self.loss = None if value else 0.0
        elif what == "loss":
            self.loss = float(value) if value else 0.0
        elif what == "hedge mode":
            self.venue.one_way = not value
        elif what == "inactive":
            self.contracts = tuple(
                msgspec.structs.replace(one, active=one.id != value) for one in CONTRACTS
            )


_VOLUMES = {BTC: 1e10, ETH: 5e9, SOL: 2e9}
CLOUDS: dict[str, Callable[[random.Random], str]] = {
    "stale": lambda rng: "marks 9 s old",
    "blank": lambda rng: "no picture",
    "quote": lambda rng: rng.choice(sorted(MARKS)),
    "book": lambda rng: rng.choice(sorted(MARKS)),
    "volume": lambda rng: rng.choice(sorted(MARKS)),
    "offset": lambda rng: str(rng.choice((2_000, 2_500, -2_700, 60_000, -60_000))),
    "offset unknown": lambda rng: "1",
    "settings": lambda rng: f"{rng.getrandbits(64):064x}",
    "loss unknown": lambda rng: "1",
    "loss": lambda rng: rng.choice(("0.02", "0.3")),
    "hedge mode": lambda rng: "1",
    "inactive": lambda rng: rng.choice(sorted(MARKS)),
}
"""What can be wrong with the picture, and with what value."""
