"""Small markets written to disk, and the snapshots that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from perptui.history.dataset import History
from perptui.model.account import Account
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.instrument import Instrument, MarginTier
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import Bar, FundingQuote, FundingSettlement, Quote
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters

AS_OF = parse_iso("2024-08-05T12:34:56Z")
HOUR = AS_OF // HOUR_MS * HOUR_MS
CAPS = (1.0, 1.0, 0.5, 0.25)
CUSHION = (0.5, 0.5, 1.0, 2.0)
BALANCED = StrategyParameters(
    "balanced", "balanced-1", 14.0, 4.0, 1.0, 0.5, 63.0, 125.0, 0.3, CAPS, 0.1,
    follow_regime=False, combined_volatility=False, margin_cushion=CUSHION,
    cluster_correlation=0.7, cluster_gross_max=2.0,
)  # fmt: skip
TACTICAL = StrategyParameters(
    "tactical", "tactical-1", 2.0, 6.0, 1.0, 0.5, 10.0, 21.0, 0.3, CAPS, 0.1,
    follow_regime=True, combined_volatility=True, margin_cushion=CUSHION,
    cluster_correlation=1.0, cluster_gross_max=3.0,
)  # fmt: skip
# One coin on both venues.
BOTH = [("binanceusdm", "BTC"), ("binanceusdm", "ETH"), ("bybit", "BTC")]


def instrument(venue: str, coin: str) -> Instrument:
    return Instrument(
        id=f"{venue}:{coin}/USDT:USDT",
        venue=venue,
        symbol=f"{coin}/USDT:USDT",
        venue_symbol=f"{coin}USDT",
        coin=coin,
        settle="USDT",
        contract_size=Decimal(1),
        tick=Decimal("0.01"),
        step=Decimal("0.001"),
        min_contracts=Decimal("0.001"),
        min_notional_usd=Decimal(5),
        tiers=(MarginTier(Decimal(0), None, Decimal("0.01"), Decimal(0), Decimal(50)),),
    )


def closes(seed: int, hours: int, *, sigma: float = 0.007, common: int = 1) -> np.ndarray:
    shared = np.random.default_rng(common).standard_normal(24 * 800)[-hours:]
    own = np.random.default_rng(1000 + seed).standard_normal(hours)
    return np.asarray(100.0 * np.exp(np.cumsum(sigma * (0.8 * shared + 0.6 * own))))


def bars_of(prices: np.ndarray, end_ms: int = HOUR, width_h: int = 1) -> tuple[Bar, ...]:
    """Bars whose last closes at `end_ms`."""
    bars = []
    for k, close in enumerate(prices.tolist()):
        opened = float(prices[k - 1]) if k else close
        ts = end_ms - (len(prices) - k) * width_h * HOUR_MS
        top, low = max(opened, close) * 1.001, min(opened, close) * 0.999
        bars.append(Bar(ts, opened, top, low, close, 2_000.0))
    return tuple(bars)


def write_bars(
    history: History, one: Instrument, prices: np.ndarray, kind: str = "1h", end_ms: int = HOUR
) -> None:
    width = 8 if kind == "8h" else 1
    rows = bars_of(prices, end_ms, width)
    history.append(BarSeries(one.venue, one.venue_symbol, kind, rows))


def write_funding(
    history: History, one: Instrument, count: int = 200, seed: int = 0, end_ms: int = HOUR
) -> None:
    rng = np.random.default_rng(50 + seed)
    last = end_ms // (8 * HOUR_MS) * 8 * HOUR_MS
    rates = 1e-4 + 5e-5 * rng.standard_normal(count)
    rows = [
        FundingSettlement(last - (count - 1 - k) * 8 * HOUR_MS, float(rate), 8.0)
        for k, rate in enumerate(rates)
    ]
    history.append(FundingSeries(one.venue, one.venue_symbol, tuple(rows)))


def market(
    history: History, ids: Sequence[tuple[str, str]], days: int = 60
) -> tuple[Instrument, ...]:
    """Write `days` of hourly bars and funding of each (venue, coin); one coin, nearly one price."""
    found = []
    for venue, coin in ids:
        one = instrument(venue, coin)
        prices = closes(sum(map(ord, coin)), 24 * days)
        noise = np.random.default_rng(len(venue)).normal(0, 2e-4, len(prices))
        write_bars(history, one, prices * np.exp(noise))
        write_funding(history, one, seed=len(venue))
        found.append(one)
    return tuple(sorted(found, key=lambda one: one.id))


def snapshot(
    instruments: Sequence[Instrument],
    as_of_ms: int = AS_OF,
    *,
    rate: str = "0.0002",
    spread: str | None = "0.02",
) -> MarketSnapshot:
    mark = Decimal(100)
    wing = None if spread is None else Decimal(spread) / 2
    next_ms = (as_of_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
    return MarketSnapshot(
        as_of_ms=as_of_ms,
        instruments=tuple(instruments),
        quotes=tuple(
            Quote(
                one.id,
                as_of_ms,
                mark,
                bid=None if wing is None else mark - wing,
                ask=None if wing is None else mark + wing,
            )
            for one in instruments
        ),
        funding=tuple(
            FundingQuote(one.id, as_of_ms, Decimal(rate), next_ms, 8.0) for one in instruments
        ),
        accounts=(Account("binanceusdm", "main", "USDT", as_of_ms, Decimal(1000), Decimal(1000)),),
    )
