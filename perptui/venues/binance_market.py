"""What Binance USD-M says of the market: clock, contracts, prices, funding, bars and books."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from perptui.model.errors import BadResponse
from perptui.model.instrument import Instrument, split_id
from perptui.model.market import Bar, Book, FundingQuote, FundingSettlement, Quote
from perptui.venues import parse_market
from perptui.venues import wire_binance as wire
from perptui.venues.base import Reading
from perptui.venues.binance_link import BinanceLink, Kept
from perptui.venues.fields import stamp
from perptui.venues.parse_market import Names

FEE_QUERIES_AT_MOST = 20
"""Fees are asked for contract by contract (weight 20): not for a whole venue's list."""

SHARED_S = 0.5
"""Marks and funding travel in one payload: one this young serves both."""

INTERVALS_S = 20.0
VOLUME_S = 60.0
"""Seconds for which funding intervals and the day's volume are kept."""

LARGEST_PAGE = 1000
DEPTH_WEIGHTS = {5: 2.0, 10: 2.0, 20: 2.0, 50: 2.0, 100: 5.0, 500: 10.0, 1000: 20.0}
"""Numbers of levels that Binance takes, and what each weighs."""

DEEPEST = 1000
BAR_WEIGHTS = ((99, 1.0), (499, 2.0), (LARGEST_PAGE, 5.0))
"""Most rows of a page of bars, and what it weighs."""


class BinanceMarket(BinanceLink):
    """Reads that need no key, but for tiers and fees."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._premium: Kept[list[wire.PremiumIndex]] | None = None
        self._intervals: Kept[dict[str, int]] | None = None
        self._volumes: Kept[dict[str, Decimal]] | None = None

    async def server_time(self) -> Reading[int]:
        """Return the venue's own clock, ms."""
        exchange, payload = await self._read(wire.ServerTime, "fetch_time", weight=1)
        venue_ms = stamp(payload.serverTime, "serverTime")
        self._calls.find_step()
        return self._reading(venue_ms, venue_ms, exchange, "time")

    async def instruments(self) -> Reading[tuple[Instrument, ...]]:
        """Return the wanted contracts with tiers and fees, sorted by id."""
        info, exchange, missing = await self._load_markets()
        names = self._names
        brackets, more = await self._brackets(names)
        fees, still_more = await self._fees(names)
        rows = parse_market.by_symbol(info.symbols, lambda row: row.symbol, names.wanted)
        found = sorted(
            (
                parse_market.instrument(
                    row, names.identifier(symbol), brackets.get(symbol), fees.get(symbol)
                )
                for symbol, row in rows.items()
            ),
            key=lambda instrument: instrument.id,
        )
        self._instruments = {instrument.id: instrument for instrument in found}
        gaps = tuple(sorted((*missing, *more, *still_more)))
        return self._reading(tuple(found), info.serverTime, exchange, "instruments", gaps)

    async def _brackets(
        self, names: Names
    ) -> tuple[dict[str, list[wire.Bracket]], tuple[str, ...]]:
        if self._api_key is None:
            return {}, tuple(f"{names.identifier(symbol)}.tiers" for symbol in names.wanted)
        _, rows = await self._read(list[wire.Brackets], "fetch_leverage_tiers", weight=1)
        found = parse_market.by_symbol(rows, lambda row: row.symbol, names.wanted)
        absent = [symbol for symbol in names.wanted if symbol not in found]
        missing = tuple(f"{names.identifier(symbol)}.tiers" for symbol in absent)
        return {symbol: row.brackets for symbol, row in found.items()}, missing

    async def _fees(self, names: Names) -> tuple[dict[str, wire.Commission], tuple[str, ...]]:
        if self._api_key is None or len(names.wanted) > FEE_QUERIES_AT_MOST:
            fields = ("taker_fee", "maker_fee")
            absent = (f"{names.identifier(s)}.{field}" for s in names.wanted for field in fields)
            return {}, tuple(absent)
        found: dict[str, wire.Commission] = {}
        for symbol in names.wanted:
            _, name = split_id(names.identifier(symbol))
            _, row = await self._read(wire.Commission, "fetch_trading_fee", name, weight=20)
            if row.symbol != symbol:
                raise BadResponse(f"expected the fees of {symbol}, was another's; refuse them")
            found[symbol] = row
        return found, ()

    async def _premium_index(self) -> Kept[list[wire.PremiumIndex]]:
        kept = self._premium
        if kept is None or self._age(kept) > SHARED_S:
            exchange, rows = await self._read(
                list[wire.PremiumIndex], "fetch_mark_prices", weight=10, unique_keys=False
            )
            kept = self._premium = Kept(rows, exchange)
        return kept

    async def quotes(self) -> Reading[tuple[Quote, ...]]:
        """Return mark, index, best prices and the day's volume; `last` is not read."""
        names = self._names
        premium, (exchange, tops), volumes = await asyncio.gather(
            self._premium_index(),
            self._read(list[wire.BookTicker], "fetch_bids_asks", weight=5, unique_keys=False),
            self._day_volumes(names),
        )
        found, missing = parse_market.quotes(premium.value, tops, volumes, names)
        oldest = min(premium.exchange, exchange, key=lambda one: one.received_mono)
        return self._reading(found, max(q.ts_ms for q in found), oldest, "quotes", missing)

    async def _day_volumes(self, names: Names) -> dict[str, Decimal]:
        kept = self._volumes
        if kept is None or self._age(kept) > VOLUME_S:
            exchange, rows = await self._read(
                list[wire.DayTicker], "fetch_tickers", weight=40, unique_keys=False
            )
            kept = self._volumes = Kept(parse_market.volumes(rows, names), exchange)
        return kept.value

    async def funding(self) -> Reading[tuple[FundingQuote, ...]]:
        """Return the open funding interval of the wanted contracts, sorted by id."""
        names = self._names
        premium, hours = await asyncio.gather(self._premium_index(), self._hours(names))
        found, missing = parse_market.funding(premium.value, hours, names)
        if any(name.endswith(".interval") for name in missing):
            self._intervals = None
        venue_ms = max((quote.ts_ms for quote in found), default=None)
        return self._reading(found, venue_ms, premium.exchange, "funding", missing)

    async def _hours(self, names: Names) -> dict[str, int]:
        kept = self._intervals
        if kept is None or self._age(kept) > INTERVALS_S:
            exchange, rows = await self._read(
                list[wire.FundingInfo], "fetch_funding_intervals", weight=1
            )
            kept = self._intervals = Kept(parse_market.funding_hours(rows, names), exchange)
        return kept.value

    async def bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of traded prices, rising in time."""
        return await self._bars(identifier, since_ms, limit, {}, "bars")

    async def mark_bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of the mark price; their volume is 0."""
        return await self._bars(identifier, since_ms, limit, {"price": "mark"}, "mark_bars")

    async def _bars(
        self, identifier: str, since_ms: int | None, limit: int, params: dict[str, str], call: str
    ) -> Reading[tuple[Bar, ...]]:
        symbol, _ = self._symbols_of(identifier)
        rows_asked = min(limit + (since_ms is None), LARGEST_PAGE)
        exchange, rows = await self._read(
            list[wire.Kline],
            "fetch_ohlcv",
            symbol,
            "1h",
            since_ms,
            rows_asked,
            params,
            weight=_weight_of_bars(rows_asked),
            unique_keys=False,
        )
        now_ms = self._clock.utc_ms()
        found = parse_market.bars(rows, now_ms, traded=not params)
        kept = found[-limit:] if since_ms is None else found[:limit]
        return self._reading(kept, None, exchange, f"{call} {identifier}")

    async def funding_history(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[FundingSettlement, ...]]:
        """Return settled funding rates, rising in time."""
        symbol, venue_symbol = self._symbols_of(identifier)
        hours = await self._hours(self._names)
        exchange, rows = await self._read(
            list[wire.FundingRate],
            "fetch_funding_rate_history",
            symbol,
            since_ms,
            min(limit, LARGEST_PAGE),
            weight=1,
        )
        usual = hours.get(venue_symbol, parse_market.DEFAULT_FUNDING_HOURS)
        found = parse_market.settlements(rows, venue_symbol, usual)
        return self._reading(found, None, exchange, f"funding_history {identifier}")

    async def book(self, identifier: str, depth: int) -> Reading[Book]:
        """Return the order book to `depth` levels a side."""
        symbol, _ = self._symbols_of(identifier)
        levels = next((levels for levels in DEPTH_WEIGHTS if levels >= depth), DEEPEST)
        exchange, payload = await self._read(
            wire.Depth,
            "fetch_order_book",
            symbol,
            levels,
            weight=DEPTH_WEIGHTS[levels],
            unique_keys=False,
        )
        found = parse_market.book(payload, identifier, exchange.received_ms)
        cut = Book(found.id, found.ts_ms, found.bids[:depth], found.asks[:depth])
        return self._reading(cut, payload.T, exchange, f"book {identifier}")


def _weight_of_bars(rows: int) -> float:
    return next(weight for most, weight in BAR_WEIGHTS if rows <= most)
