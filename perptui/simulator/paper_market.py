"""The market of a paper account: the readings of a real venue, constant between two of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from perptui.model.clock import HOUR_MS
from perptui.model.market import Book, FundingQuote, Quote
from perptui.model.order import Side
from perptui.model.paper import SettledFunding
from perptui.risk.contract_rules import ContractRules
from perptui.simulator.book import Books
from perptui.simulator.market import Market, Series, Settlement

LABEL = "LIVE DATA"
POINTS_KEPT = 5_000
SETTLED_KEPT = 5_000
USUAL_HOURS = 8.0


class Point(msgspec.Struct, frozen=True):
    """Mark, index and the middle of the book from `ts_ms` on, USD."""

    ts_ms: int
    mark: float
    index: float
    middle: float


class LiveSource:
    """Names the contracts; there is no series behind them."""

    label = LABEL
    kind = "live"
    detail = "prices, funding and books of the real venue"
    seed: int | None = None
    start_ms = 0
    end_ms: int | None = None

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.rates: dict[str, float] = {}

    def extend(self, to_ms: int) -> None:
        """Nothing is known of the future."""

    def funding_estimate(self, symbol: str, utc_ms: int) -> float:
        """Return the venue's own rate of the open interval."""
        return self.rates.get(symbol, 0.0)

    def list_contract(self, symbol: str) -> None:
        """Let `symbol` be traded."""
        none = np.empty(0)
        stamps = np.empty(0, np.int64)
        empty = (none, none, none, none, none, none, np.empty(0, np.bool_), stamps, none, none)
        self.series.setdefault(symbol, Series(symbol, 0, *empty))


class LiveMarket(Market):
    """Prices and funding as they were read, by the venue's own symbols."""

    def __init__(self) -> None:
        self.live = LiveSource()
        super().__init__(self.live)
        self._points: dict[str, list[Point]] = {}
        self._open: dict[str, tuple[int, float]] = {}
        self._settled: dict[tuple[str, int], Settlement] = {}
        self._volume: dict[str, float] = {}

    # ------------------------------------------------------------------ what is read

    def observe(self, symbol: str, quote: Quote, now_ms: int) -> None:
        """Take a quote as the price from `now_ms` on."""
        mark = float(quote.mark)
        index = mark if quote.index is None else float(quote.index)
        if quote.volume_24h_usd is not None:
            self._volume[symbol] = float(quote.volume_24h_usd)
        self._add(symbol, Point(now_ms, mark, index, float(middle_of(quote))))

    def _add(self, symbol: str, point: Point) -> None:
        points = self._points.setdefault(symbol, [])
        at = bisect_right(points, point.ts_ms, key=lambda one: one.ts_ms)
        if at and points[at - 1].ts_ms == point.ts_ms:
            points[at - 1] = point
        else:
            points.insert(at, point)
        del points[:-POINTS_KEPT]

    def observe_funding(self, symbol: str, quote: FundingQuote) -> None:
        """Take the open interval's rate, which settles at its stamp unless another is read."""
        self.live.rates[symbol] = float(quote.rate)
        self._open[symbol] = (quote.next_ms, quote.interval_h)
        self._keep(Settlement(symbol, quote.next_ms, float(quote.rate), quote.interval_h))

    def observe_settled(self, symbol: str, settled: SettledFunding) -> None:
        """Take a settlement of the past, and the mark at its stamp."""
        self._keep(Settlement(symbol, settled.ts_ms, float(settled.rate), settled.interval_h))
        if settled.mark is not None:
            mark = float(settled.mark)
            self._add(symbol, Point(settled.ts_ms, mark, mark, mark))

    def _keep(self, settlement: Settlement) -> None:
        self._settled[settlement.symbol, settlement.ts_ms] = settlement
        while len(self._settled) > SETTLED_KEPT:
            del self._settled[next(iter(self._settled))]

    def newest(self) -> dict[str, Point]:
        """Return the newest point of each contract."""
        return {symbol: points[-1] for symbol, points in self._points.items()}

    def pending(self, now_ms: int) -> tuple[Settlement, ...]:
        """Return what is to settle after `now_ms`, as known."""
        return tuple(row for row in self._settled.values() if row.ts_ms > now_ms)

    def restore(self, points: dict[str, Point], pending: tuple[Settlement, ...]) -> None:
        """Take back what `newest` and `pending` gave."""
        for symbol, point in points.items():
            self._add(symbol, point)
        for row in pending:
            self._keep(row)
            self.live.rates[row.symbol] = row.rate
            self._open[row.symbol] = (row.ts_ms, row.hours)

    # ------------------------------------------------------------------ what is asked

    def _at(self, symbol: str, utc_ms: int) -> Point:
        points = self._points[symbol]
        at = bisect_right(points, utc_ms, key=lambda one: one.ts_ms)
        return points[max(at - 1, 0)]

    def _between(self, symbol: str, begin_ms: int, end_ms: int) -> list[Point]:
        points = self._points[symbol]
        later = [point for point in points if begin_ms < point.ts_ms <= end_ms]
        return [self._at(symbol, begin_ms), *later]

    def listed(self, utc_ms: int) -> tuple[str, ...]:
        """Return the contracts that have a price."""
        return tuple(symbol for symbol in self.symbols if symbol in self._points)

    def last(self, symbol: str, utc_ms: int) -> float:
        """Return the middle of the book, USD."""
        return self._at(symbol, utc_ms).middle

    def mark(self, symbol: str, utc_ms: int) -> float:
        """Return the venue's mark, USD."""
        return self._at(symbol, utc_ms).mark

    def index(self, symbol: str, utc_ms: int) -> float:
        """Return the venue's index price, USD."""
        return self._at(symbol, utc_ms).index

    def extremes(self, symbol: str, begin_ms: int, end_ms: int) -> tuple[float, float]:
        """Return lowest and highest middle in [begin, end]."""
        found = [point.middle for point in self._between(symbol, begin_ms, end_ms)]
        return min(found), max(found)

    def mark_extremes(self, symbol: str, begin_ms: int, end_ms: int) -> tuple[float, float]:
        """Return lowest and highest mark in [begin, end]."""
        found = [point.mark for point in self._between(symbol, begin_ms, end_ms)]
        return min(found), max(found)

    def depth(self, symbol: str, utc_ms: int) -> tuple[float, float]:
        """Return nothing: the venue's own books are what there is."""
        return 0.0, 0.0

    def day_volume(self, symbol: str, utc_ms: int) -> tuple[float, float]:
        """Return (base coin, USD) of the venue's last 24 hours; 0 where it did not say."""
        worth = self._volume.get(symbol, 0.0)
        return worth / self.last(symbol, utc_ms), worth

    def next_settlement(self, symbol: str, utc_ms: int) -> tuple[int, float]:
        """Return stamp and interval (hours) of the first settlement after `utc_ms`."""
        stamp, hours = self._open.get(symbol, (0, USUAL_HOURS))
        interval = int(hours * HOUR_MS)
        return (stamp if stamp > utc_ms else (utc_ms // interval + 1) * interval), hours

    def settlements(
        self, begin_ms: int, end_ms: int, symbols: Sequence[str] | None = None
    ) -> list[Settlement]:
        """Return settlements with begin < stamp <= end, in order of time."""
        found = (
            row
            for row in self._settled.values()
            if begin_ms < row.ts_ms <= end_ms and (symbols is None or row.symbol in symbols)
        )
        return sorted(found, key=lambda row: row.ts_ms)


def middle_of(quote: Quote) -> Decimal:
    """Return the middle of best bid and ask; the mark where one is missing."""
    if quote.bid is None or quote.ask is None:
        return quote.mark
    return (quote.bid + quote.ask) / 2


class LiveBooks(Books):
    """The real venue's books as last read, less what this account took from them.

    A book moves with the middle until it is read again; a contract whose book was never read has
    none, and nothing fills there.
    """

    def __init__(self, market: LiveMarket, rules: dict[str, ContractRules]) -> None:
        super().__init__(market, rules)
        self._live = market
        self._read: dict[str, tuple[Book, Decimal]] = {}

    def observe(self, symbol: str, book: Book, middle: Decimal) -> None:
        """Take a book, read while the middle was `middle`.

        The real book does not know what this account took: that stays away for its half-life.
        """
        self._read[symbol] = (book, middle)

    def levels(self, symbol: str, side: Side, utc_ms: int) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield (price, quantity) of the book that a taker of `side` meets, best first."""
        book, middle = self._read.get(symbol, (None, Decimal(0)))
        if book is None:
            return
        tick = self._rules[symbol].tick
        moved = Decimal(repr(self._live.last(symbol, utc_ms))) - middle
        shift = (moved / tick).to_integral_value() * tick
        taken = Decimal(repr(self._outstanding(symbol, side, utc_ms)))
        for level in book.asks if side is Side.BUY else book.bids:
            left = level.contracts - taken
            taken = max(Decimal(0), -left)
            lots = left // self._rules[symbol].step
            if lots > 0 and level.price + shift > 0:
                yield level.price + shift, lots * self._rules[symbol].step
