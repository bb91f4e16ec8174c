"""What a parsed record promises, whatever bytes it was made from."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any

from perptui.model.account import Account, CashFlow
from perptui.model.instrument import Instrument, MarginTier
from perptui.model.market import Bar, Book, FundingQuote, FundingSettlement, Quote
from perptui.model.order import Fill, LegState, OrderReport
from perptui.model.record import Record
from perptui.model.text import safe_text

LONGEST = 300
SANE = Decimal(10) ** 21


def faults_of(found: object) -> list[str]:
    """Return what is wrong with a parser's result, in words; [] when nothing is."""
    return [*_numbers(found), *_meaning(found)]


def _numbers(found: object) -> list[str]:
    """Every number is finite and of sane size, every text is one that may be shown."""
    if isinstance(found, Record):
        names = found.__struct_fields__
        return [fault for name in names for fault in _numbers(getattr(found, name))]
    if isinstance(found, dict):
        return [fault for pair in found.items() for item in pair for fault in _numbers(item)]
    if isinstance(found, list | tuple | frozenset):
        return [fault for item in found for fault in _numbers(item)]
    if isinstance(found, Decimal | float):
        sane = Decimal(found).is_finite() and abs(Decimal(found)) <= SANE
        return [] if sane else [f"a number of sane size, was {found!r}"]
    if isinstance(found, str) and not isinstance(found, Enum):
        return (
            [] if safe_text(found, LONGEST) == found else [f"a text that may be shown: {found!r}"]
        )
    known = found is None or isinstance(found, bool | int | Enum)
    return [] if known else [f"a value of a known kind, was {type(found)}"]


def _meaning(found: object) -> list[str]:
    if isinstance(found, list | tuple):
        return [fault for item in found for fault in _meaning(item)]
    check = _CHECKS.get(type(found))
    if check is None or check(found):
        return []
    return [f"a {type(found).__name__} that keeps its promise, was {found!r}"[:300]]


def _quote(quote: Quote) -> bool:
    both = quote.bid is not None and quote.ask is not None
    crossed = both and not 0 < (quote.bid or 0) < (quote.ask or 0)
    index = quote.index is None or quote.index > 0
    volume = quote.volume_24h_usd is None or quote.volume_24h_usd >= 0
    return quote.mark > 0 and not crossed and index and volume


def _bar(bar: Bar) -> bool:
    inside = bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    return bar.low > 0 and inside and bar.volume >= 0 and bar.ts_ms % 3_600_000 == 0


def _book(book: Book) -> bool:
    falls = all(one.price > other.price for one, other in pairwise(book.bids))
    rises = all(one.price < other.price for one, other in pairwise(book.asks))
    sized = all(level.contracts > 0 and level.price > 0 for level in (*book.bids, *book.asks))
    return falls and rises and sized and book.bids[0].price < book.asks[0].price


def _order(report: OrderReport) -> bool:
    whole = report.state is not LegState.FILLED or report.filled == report.contracts
    return 0 <= report.filled <= report.contracts and report.contracts > 0 and whole


def _fill(fill: Fill) -> bool:
    return fill.contracts > 0 and fill.price > 0 and bool(fill.trade_id and fill.venue_order_id)


def _account(account: Account) -> bool:
    held = [position.id for position in account.positions]
    entered = all(p.contracts != 0 and p.entry_price > 0 for p in account.positions)
    return held == sorted(held) and entered


def _tier(tier: MarginTier) -> bool:
    above = tier.cap_usd is None or tier.cap_usd > tier.floor_usd >= 0
    return above and 0 < tier.rate < 1


def _instrument(instrument: Instrument) -> bool:
    return instrument.tick > 0 and instrument.step > 0 and instrument.contract_size > 0


def _funding(quote: FundingQuote) -> bool:
    return abs(quote.rate) < 1 and 1 <= quote.interval_h <= 24


def _settlement(settled: FundingSettlement) -> bool:
    return abs(settled.rate) < 1 and 1 <= settled.interval_h <= 24


def _cashflow(flow: CashFlow) -> bool:
    return flow.kind in {"funding", "fee", "realised", "transfer"}


_CHECKS: dict[type, Callable[[Any], bool]] = {
    Quote: _quote,
    Bar: _bar,
    Book: _book,
    OrderReport: _order,
    Fill: _fill,
    Account: _account,
    MarginTier: _tier,
    Instrument: _instrument,
    FundingQuote: _funding,
    FundingSettlement: _settlement,
    CashFlow: _cashflow,
}
