"""The market as the desk sees it, which clouds over."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import msgspec

from perptui.model.clock import ManualClock
from perptui.model.instrument import Instrument
from perptui.model.market import Book, BookLevel, FundingQuote, Quote
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.schema import Settings
from tests.campaign.truth import Lost, Mark, Sky
from tests.campaign.weather import CONTRACTS, MARKS, SOL
from tests.campaign.world import WorldVenue
from tests.desk.dealing import DeskPicture
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

DEPTH = Decimal(100_000)
EQUITY = Decimal(30_000)


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
        self._made_of: tuple[object, ...] = ()
        self._sky: dict[str, str] = {}
        for identifier, price in self.core.marks.items():
            self._note_mark(identifier, price)

    def _note_mark(self, identifier: str, price: Decimal) -> None:
        truth = self.core.truth
        truth.add(Mark(**truth.now(), instrument=identifier, price=price))

    def move(self, identifier: str, factor: Decimal) -> None:
        """Move a mark; stops whose trigger it reaches are executed."""
        self.move_to(identifier, (self.core.marks[identifier] * factor).quantize(Decimal("0.1")))

    def move_to(self, identifier: str, price: Decimal) -> None:
        """Move a mark to a price."""
        self.core.marks[identifier] = price
        self._note_mark(identifier, price)
        self.core.trigger_stops()

    def snapshot(self) -> MarketSnapshot | None:
        if self.blank:
            return None
        if self.stale_text and self.kept is not None:
            return self.kept
        now_ms, account = self.clock.utc_ms(), self.venue.now()
        marks = self.core.marks.items()
        made_of = (now_ms, account, self.contracts, self.funds, self.peak, *self.missing, *marks)
        if self.kept is not None and self._made_of == made_of:
            return self.kept
        self._made_of = made_of
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
            accounts=(account,),
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

    def fall(self, peak: Decimal | None) -> None:
        """Let equity once have been at `peak`, USD; None: it never was higher than now."""
        self.peak = peak
        self.sky("drawdown", "" if peak is None else "25 %")

    def lose(self, amount: Decimal) -> None:
        """Let the account lose `amount`, USD, at once."""
        self.earned -= amount
        truth = self.core.truth
        truth.add(Lost(**truth.now(), share=amount / EQUITY))

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
