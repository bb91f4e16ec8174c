"""A small book with round numbers, for tests that check figures by hand.

BTC: 0.4 long at 96,000, mark 97,500: notional 39,000, unrealised +600, funding +0.02 %/8h.
ETH: 6 short at 3,300, mark 3,200: notional -19,200, unrealised +600, funding +0.01 %/4h.
Wallet 28,800, so equity is 30,000.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.model.account import Account, CashFlow, Position
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.instrument import Instrument, MarginTier
from perptui.model.limit import Limits
from perptui.model.market import Book, BookLevel, FundingQuote, Quote
from perptui.settings.load import load
from perptui.venues.base import Reading

NOW_MS = parse_iso("2024-08-05T07:20:00Z")
VENUE = "binanceusdm"
BTC = f"{VENUE}:BTC/USDT:USDT"
ETH = f"{VENUE}:ETH/USDT:USDT"
TIERS = (
    MarginTier(Decimal(0), Decimal(50000), Decimal("0.004"), Decimal(0), Decimal(125)),
    MarginTier(Decimal(50000), None, Decimal("0.005"), Decimal(50), Decimal(100)),
)


def instrument(identifier: str, venue_symbol: str, step: str) -> Instrument:
    """Return a linear contract of one coin per contract."""
    venue, _, symbol = identifier.partition(":")
    return Instrument(
        id=identifier,
        venue=venue,
        symbol=symbol,
        venue_symbol=venue_symbol,
        coin=symbol.partition("/")[0],
        settle="USDT",
        contract_size=Decimal(1),
        tick=Decimal("0.1"),
        step=Decimal(step),
        min_contracts=Decimal(step),
        min_notional_usd=Decimal(5),
        tiers=TIERS,
    )


INSTRUMENTS = (instrument(BTC, "BTCUSDT", "0.001"), instrument(ETH, "ETHUSDT", "0.01"))
QUOTES = (
    Quote(id=BTC, ts_ms=NOW_MS, mark=Decimal(97500)),
    Quote(id=ETH, ts_ms=NOW_MS, mark=Decimal(3200)),
)
FUNDING = (
    FundingQuote(BTC, NOW_MS, Decimal("0.0002"), parse_iso("2024-08-05T08:00:00Z"), 8.0),
    FundingQuote(ETH, NOW_MS, Decimal("0.0001"), parse_iso("2024-08-05T08:00:00Z"), 4.0),
)
POSITIONS = (
    Position(BTC, Decimal("0.4"), Decimal(96000)),
    Position(ETH, Decimal(-6), Decimal(3300)),
)


def book_around(identifier: str, mark: Decimal, contracts: str = "1000") -> Book:
    """Return a book of three levels a side, 1, 2 and 3 bp from `mark`."""
    away = tuple(mark * step / 10_000 for step in range(1, 4))
    size = Decimal(contracts)
    bids = tuple(BookLevel(mark - one, size) for one in away)
    asks = tuple(BookLevel(mark + one, size) for one in away)
    return Book(identifier, NOW_MS, bids, asks)


def account(ts_ms: int = NOW_MS, equity: str = "30000", wallet: str = "28800") -> Account:
    """Return the margin account with both positions."""
    return Account(
        venue=VENUE,
        name="main",
        collateral="USDT",
        ts_ms=ts_ms,
        wallet_usd=Decimal(wallet),
        equity_usd=Decimal(equity),
        positions=POSITIONS,
        available_usd=Decimal(21000),
    )


def reading(value: object, mono: float = 1000.0) -> Reading[object]:
    """Return a reading received at `mono`."""
    return Reading(value, NOW_MS, mono, "test")


def limits() -> Limits:
    """Return the shipped limits."""
    return load().settings.limits


def flow(kind: str, amount: str, ts_ms: int, number: int = 1, identifier: str = BTC) -> CashFlow:
    """Return something the venue booked for a contract; `number` tells entries apart."""
    return CashFlow(identifier, ts_ms, kind, Decimal(amount), f"{kind}:{number}")


def hours(count: float) -> int:
    """Return `count` hours in ms."""
    return round(count * HOUR_MS)
