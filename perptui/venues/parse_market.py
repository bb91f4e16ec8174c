"""Binance market payloads -> model records. Missing stays missing, odd is refused.

Each function takes a decoded payload and a `Names`, and returns records with the list of optional
fields that the venue did not give, as ``id.field``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import msgspec

from perptui.model.clock import HOUR_MS, MINUTE_MS
from perptui.model.instrument import Instrument, MarginTier
from perptui.model.market import Bar, Book, BookLevel, FundingQuote, FundingSettlement, Quote
from perptui.model.money import plain
from perptui.model.text import safe_text
from perptui.venues import wire_binance as wire
from perptui.venues.fields import bad, float_of, fraction, number, positive, stamp, unsigned

DEFAULT_FUNDING_HOURS = 8
"""Binance lists only the contracts whose interval is another."""

LONGEST_FUNDING_HOURS = 24

Row = TypeVar("Row")


class Names(msgspec.Struct, frozen=True):
    """Instrument ids by the venue's own symbols: all linear contracts, and those wanted."""

    known: Mapping[str, str]
    wanted: tuple[str, ...]

    def identifier(self, venue_symbol: str) -> str:
        """Return the instrument id of the venue's symbol, or raise BadResponse."""
        found = self.known.get(venue_symbol)
        if found is None:
            raise bad("a contract of the market list", venue_symbol, "load the markets again")
        return found


def by_symbol(
    rows: Iterable[Row], symbol_of: Callable[[Row], str], wanted: Iterable[str]
) -> dict[str, Row]:
    """Return the wanted rows by symbol.

    Raises
    ------
    BadResponse
        When a wanted symbol comes twice, or the list is empty.
    """
    names = frozenset(wanted)
    found: dict[str, Row] = {}
    empty = True
    for row in rows:
        empty = False
        symbol = symbol_of(row)
        if symbol not in names:
            continue
        if symbol in found:
            raise bad("each symbol once", symbol)
        found[symbol] = row
    if empty:
        raise bad("at least one contract", [])
    return found


def _filter(symbol: wire.Symbol, kind: str) -> wire.Filter:
    for rule in symbol.filters:
        if rule.filterType == kind:
            return rule
    raise bad(f"a {kind} filter", symbol.symbol)


def tiers(rows: Sequence[wire.Bracket]) -> tuple[MarginTier, ...]:
    """Return a maintenance schedule, floors rising and without gaps; the last step is open.

    Raises
    ------
    BadResponse
        For an empty schedule, a gap, a rate outside 0..1, or a deduction that breaks continuity.
    """
    ordered = sorted(rows, key=lambda row: row.notionalFloor)
    schedule: list[MarginTier] = []
    for row in ordered:
        floor, cap = unsigned(row.notionalFloor, "floor"), positive(row.notionalCap, "cap")
        rate, deduction = fraction(row.maintMarginRatio, "rate"), unsigned(row.cum, "cum")
        expected_floor = schedule[-1].cap_usd if schedule else Decimal(0)
        if floor != expected_floor or cap <= floor or rate <= 0:
            raise bad("steps that rise without gaps", plain(floor))
        leverage = positive(row.initialLeverage, "initialLeverage")
        schedule.append(MarginTier(floor, cap, rate, deduction, leverage))
    if not schedule:
        raise bad("at least one margin step", [])
    return (*schedule[:-1], msgspec.structs.replace(schedule[-1], cap_usd=None))


def instrument(
    symbol: wire.Symbol,
    identifier: str,
    brackets: Sequence[wire.Bracket] | None,
    fees: wire.Commission | None,
) -> Instrument:
    """Return one contract with its steps, minimums, fees and tiers.

    Raises
    ------
    BadResponse
        When a filter, step or fee is missing or not usable.
    """
    venue, _, name = identifier.partition(":")
    price, lot = _filter(symbol, "PRICE_FILTER"), _filter(symbol, "LOT_SIZE")
    notional = _filter(symbol, "MIN_NOTIONAL")
    found = Instrument(
        id=identifier,
        venue=venue,
        symbol=name,
        venue_symbol=symbol.symbol,
        coin=safe_text(symbol.baseAsset),
        settle=safe_text(symbol.marginAsset),
        contract_size=Decimal(1),
        tick=positive(price.tickSize, "tickSize"),
        step=positive(lot.stepSize, "stepSize"),
        min_contracts=positive(lot.minQty, "minQty"),
        min_notional_usd=unsigned(notional.notional, "notional"),
        max_contracts=positive(lot.maxQty, "maxQty"),
        active=symbol.status == "TRADING",
        tiers=tiers(brackets) if brackets is not None else (),
    )
    if fees is None:
        return found
    taker = fraction(fees.takerCommissionRate, "takerCommissionRate")
    if taker < 0:
        raise bad("a taker fee that is paid", fees.takerCommissionRate)
    return msgspec.structs.replace(
        found,
        taker_fee=taker,
        maker_fee=fraction(fees.makerCommissionRate, "makerCommissionRate"),
    )


def quotes(
    premium: Sequence[wire.PremiumIndex],
    tops: Sequence[wire.BookTicker],
    volumes: Mapping[str, Decimal],
    names: Names,
) -> tuple[tuple[Quote, ...], tuple[str, ...]]:
    """Return quotes of the wanted contracts, sorted by id.

    A contract without a mark price is left out and listed. A crossed or zero top of book is
    listed too: neither side of it is believed.
    """
    marks = by_symbol(premium, lambda row: row.symbol, names.wanted)
    books = by_symbol(tops, lambda row: row.symbol, names.wanted)
    found: list[Quote] = []
    missing: list[str] = []
    for symbol in names.wanted:
        identifier = names.identifier(symbol)
        row = marks.get(symbol)
        if row is None:
            missing.append(f"{identifier}.mark")
            continue
        quote = _quote(row, books.get(symbol), volumes.get(symbol), identifier)
        found.append(quote)
        optional = ("index", "bid", "ask", "volume_24h_usd")
        missing += [f"{identifier}.{name}" for name in optional if getattr(quote, name) is None]
    if not found:
        raise bad("a mark price of a wanted contract", names.wanted)
    return tuple(sorted(found, key=lambda quote: quote.id)), tuple(sorted(missing))


def _quote(
    row: wire.PremiumIndex, top: wire.BookTicker | None, volume: Decimal | None, identifier: str
) -> Quote:
    bid = unsigned(top.bidPrice, "bidPrice") if top else Decimal(0)
    ask = unsigned(top.askPrice, "askPrice") if top else Decimal(0)
    sound = 0 < bid < ask
    index = unsigned(row.indexPrice, "indexPrice") if row.indexPrice else None
    return Quote(
        id=identifier,
        ts_ms=stamp(row.time, "time"),
        mark=positive(row.markPrice, "markPrice"),
        index=index or None,
        bid=bid if sound else None,
        ask=ask if sound else None,
        volume_24h_usd=volume,
    )


def volumes(rows: Sequence[wire.DayTicker], names: Names) -> dict[str, Decimal]:
    """Return the day's traded value of the wanted contracts, quote coin, by venue symbol."""
    found = by_symbol(rows, lambda row: row.symbol, names.wanted)
    return {symbol: unsigned(row.quoteVolume, "quoteVolume") for symbol, row in found.items()}


def funding_hours(rows: Sequence[wire.FundingInfo], names: Names) -> dict[str, int]:
    """Return the funding interval of each wanted contract, hours; unlisted ones have 8."""
    hours = dict.fromkeys(names.wanted, DEFAULT_FUNDING_HOURS)
    seen: set[str] = set()
    for row in rows:
        if row.symbol in seen:
            raise bad("each symbol once", row.symbol)
        seen.add(row.symbol)
        if row.symbol in hours:
            if not 1 <= row.fundingIntervalHours <= LONGEST_FUNDING_HOURS:
                raise bad("a funding interval of 1 to 24 hours", row.fundingIntervalHours)
            hours[row.symbol] = row.fundingIntervalHours
    return hours


def funding(
    premium: Sequence[wire.PremiumIndex], hours: Mapping[str, int], names: Names
) -> tuple[tuple[FundingQuote, ...], tuple[str, ...]]:
    """Return the open funding interval of the wanted contracts, sorted by id.

    Settlements are on the hours that an interval divides the day into. A stamp that is not
    contradicts the interval, which was told at another time or is the usual one for want of
    another: the contract is left out and listed.
    """
    rows = by_symbol(premium, lambda row: row.symbol, names.wanted)
    found: list[FundingQuote] = []
    missing: list[str] = []
    for symbol in names.wanted:
        identifier = names.identifier(symbol)
        row = rows.get(symbol)
        if row is None or not row.lastFundingRate or not row.nextFundingTime:
            missing.append(f"{identifier}.rate")
            continue
        if row.nextFundingTime % (hours[symbol] * HOUR_MS):
            missing.append(f"{identifier}.interval")
            continue
        found.append(
            FundingQuote(
                id=identifier,
                ts_ms=stamp(row.time, "time"),
                rate=fraction(row.lastFundingRate, "lastFundingRate"),
                next_ms=stamp(row.nextFundingTime, "nextFundingTime"),
                interval_h=float(hours[symbol]),
            )
        )
    return tuple(sorted(found, key=lambda quote: quote.id)), tuple(sorted(missing))


def bars(rows: Sequence[wire.Kline], now_ms: int, *, traded: bool) -> tuple[Bar, ...]:
    """Return the closed hourly bars, rising in time.

    Parameters
    ----------
    now_ms : int
        Venue time; a bar that has not ended by then is left out.
    traded : bool
        False for mark prices, whose volume means nothing and is 0 here.

    Raises
    ------
    BadResponse
        For stamps that do not rise or are not on the hour, or prices outside low..high.
    """
    found: list[Bar] = []
    for row in rows:
        ts_ms = stamp(row[0], "open time")
        if ts_ms % HOUR_MS or (found and ts_ms <= found[-1].ts_ms):
            raise bad("hourly bars that rise in time", ts_ms)
        if ts_ms + HOUR_MS <= now_ms:
            found.append(_bar(row, traded))
    return tuple(found)


def _bar(row: wire.Kline, traded: bool) -> Bar:
    opened, high, low, close = [float_of(text, "bar price") for text in row[1:5]]
    if low <= 0:
        raise bad("bar price above zero", row[1:5])
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise bad("open and close between low and high", row[1:5])
    volume = float_of(row[5], "bar volume") if traded else 0.0
    return Bar(row[0], opened, high, low, close, volume)


def settlements(
    rows: Sequence[wire.FundingRate], symbol: str, hours: int
) -> tuple[FundingSettlement, ...]:
    """Return settled rates, rising in time; the interval of each is the gap before it.

    The first one's gap is not in the payload: it takes `hours`, the interval now. Binance stamps
    are some milliseconds off the minute; they are rounded to it, as history keeps them.
    """
    found: list[FundingSettlement] = []
    for row in rows:
        if row.symbol != symbol:
            raise bad(f"settlements of {symbol}", row.symbol)
        ts_ms = round(stamp(row.fundingTime, "fundingTime") / MINUTE_MS) * MINUTE_MS
        if found and ts_ms <= found[-1].ts_ms:
            raise bad("settlements that rise in time", row.fundingTime)
        rate = float(fraction(row.fundingRate, "fundingRate"))
        gap_h = round((ts_ms - found[-1].ts_ms) / HOUR_MS) if found else hours
        known = 1 <= gap_h <= DEFAULT_FUNDING_HOURS
        found.append(FundingSettlement(ts_ms, rate, float(gap_h if known else hours)))
    return tuple(found)


def book(payload: wire.Depth, identifier: str, received_ms: int) -> Book:
    """Return an order book, best first.

    Raises
    ------
    BadResponse
        For an empty side, levels out of order, a level without size, or a crossed book.
    """
    bids, asks = _side(payload.bids, falling=True), _side(payload.asks, falling=False)
    if bids[0].price >= asks[0].price:
        raise bad("best bid below best ask", f"{bids[0].price} / {asks[0].price}")
    ts_ms = received_ms if payload.T is None else stamp(payload.T, "T")
    return Book(identifier, ts_ms, bids, asks)


def _side(levels: Sequence[tuple[str, str]], *, falling: bool) -> tuple[BookLevel, ...]:
    if not levels:
        raise bad("at least one level a side", [])
    found = tuple(
        BookLevel(positive(price, "level price"), positive(size, "level size"))
        for price, size in levels
    )
    for better, worse in pairwise(found):
        if (better.price <= worse.price) if falling else (better.price >= worse.price):
            raise bad("levels from best to worst", str(number(worse.price, "level price")))
    return found
