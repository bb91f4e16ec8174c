"""Made-up markets with stated numbers, for tests of the optimiser."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from perptui.model.account import Account, Position
from perptui.model.forecast import (
    Estimates,
    FundingForecast,
    InstrumentForecast,
    RegimeForecast,
    ReturnForecast,
    VolatilityForecast,
    VolatilityTrack,
)
from perptui.model.instrument import Instrument, MarginTier
from perptui.model.limit import Limits
from perptui.model.market import FundingQuote, Quote
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters

NOW_MS = 1_700_000_000_000
D = Decimal
# Floors, rates and the deductions method §11 works out for them.
TIERS = tuple(
    MarginTier(D(floor), D(cap) if cap else None, D(rate), D(amount), D(leverage))
    for floor, cap, rate, amount, leverage in (
        ("0", "50000", "0.004", "0", "125"),
        ("50000", "250000", "0.005", "50", "100"),
        ("250000", "1000000", "0.01", "1300", "50"),
        ("1000000", "", "0.025", "16300", "20"),
    )
)

BALANCED = StrategyParameters(
    name="balanced",
    model_version="test-1",
    horizon_days=10.0,
    risk_aversion=4.0,
    cost_aversion=1.0,
    uncertainty=0.5,
    volatility_halflife_days=63.0,
    correlation_halflife_days=125.0,
    volatility_target=0.3,
    exposure_by_regime=(1.0, 1.0, 0.5, 0.25),
    exposure_min=0.1,
    follow_regime=False,
    combined_volatility=False,
    margin_cushion=(0.5, 0.5, 1.0, 2.0),
    cluster_correlation=0.8,
    cluster_gross_max=2.0,
)

LIMITS = Limits(
    gross_max=3.0,
    net_min=-1.0,
    net_max=1.0,
    coin_net_max=0.8,
    coin_gross_max=1.2,
    venue_gross_max=3.0,
    margin_ratio_max=0.35,
    liquidation_distance_min=0.2,
    turnover_max=1.0,
    volatility_max=0.6,
    participation_max=0.01,
    drawdown_max=0.1,
    beta_max=1.5,
    cvar_max=0.3,
    standalone_risk_max=1.0,
    market_correlation_max=1.0,
    first_component_max=1.0,
    free_collateral_min=0.1,
    trade_min_usd=D(0),
    order_notional_max_usd=D(500000),
    ticket_notional_max_usd=D(2000000),
    day_notional_max_usd=D(5000000),
    trader_day_notional_max_usd=D(5000000),
    ticket_legs_max=20,
    depth_max=1.0,
    collar_bps=30.0,
    collar_reducing_max_bps=200.0,
    daily_loss_max=0.05,
    messages_per_second=5,
    messages_per_minute=60,
    cancels_reserved=20,
    rejections_max=3,
    restricted=(),
)
# Nothing binds: for closed forms.
WIDE = Limits(
    gross_max=50.0,
    net_min=-50.0,
    net_max=50.0,
    coin_net_max=50.0,
    coin_gross_max=50.0,
    venue_gross_max=50.0,
    margin_ratio_max=1.0,
    liquidation_distance_min=0.0,
    turnover_max=50.0,
    volatility_max=50.0,
    participation_max=1.0,
    drawdown_max=0.9,
    beta_max=50.0,
    cvar_max=50.0,
    standalone_risk_max=50.0,
    market_correlation_max=1.0,
    first_component_max=50.0,
    free_collateral_min=0.0,
    trade_min_usd=D(0),
    order_notional_max_usd=D("1e12"),
    ticket_notional_max_usd=D("1e13"),
    day_notional_max_usd=D("1e13"),
    trader_day_notional_max_usd=D("1e13"),
    ticket_legs_max=200,
    depth_max=1.0,
    collar_bps=30.0,
    collar_reducing_max_bps=200.0,
    daily_loss_max=0.5,
    messages_per_second=5,
    messages_per_minute=60,
    cancels_reserved=20,
    rejections_max=3,
    restricted=(),
)


def instrument(coin: str, venue: str = "binanceusdm", step: str = "0.001") -> Instrument:
    """Return a linear contract of a coin, tick 0.1 and smallest order 5 USD."""
    return Instrument(
        id=f"{venue}:{coin}/USDT:USDT",
        venue=venue,
        symbol=f"{coin}/USDT:USDT",
        venue_symbol=f"{coin}USDT",
        coin=coin,
        settle="USDT",
        contract_size=D(1),
        tick=D("0.1"),
        step=D(step),
        min_contracts=D(step),
        min_notional_usd=D(5),
        tiers=TIERS,
    )


def snapshot(
    instruments: Sequence[Instrument],
    marks: Mapping[str, str],
    equity: Mapping[str, str],
    positions: Mapping[str, str] | None = None,
    peak: str | None = None,
) -> MarketSnapshot:
    """Return a snapshot; `marks` and `positions` (signed contracts) by id, `equity` by venue."""
    rows = tuple(sorted(instruments, key=lambda one: one.id))
    held = {name: D(value) for name, value in (positions or {}).items()}
    venue_of = {one.id: one.venue for one in rows}
    return MarketSnapshot(
        as_of_ms=NOW_MS,
        instruments=rows,
        quotes=tuple(Quote(one.id, NOW_MS, D(marks[one.id])) for one in rows),
        funding=tuple(
            FundingQuote(one.id, NOW_MS, D("0.0001"), NOW_MS + 3_600_000, 8.0) for one in rows
        ),
        accounts=tuple(
            Account(
                venue=venue,
                name="main",
                collateral="USDT",
                ts_ms=NOW_MS,
                wallet_usd=D(value),
                equity_usd=D(value),
                positions=tuple(
                    Position(name, contracts, D(marks[name]))
                    for name, contracts in held.items()
                    if venue_of[name] == venue
                ),
            )
            for venue, value in equity.items()
        ),
        peak_equity_usd=None if peak is None else D(peak),
    )


def estimates(
    instruments: Sequence[Instrument],
    marks: Mapping[str, str],
    expected: Sequence[float],
    covariance: Sequence[Sequence[float]],
    *,
    horizon_days: float = 10.0,
    deviation: Sequence[float] | None = None,
    volume_usd_day: float = 1e9,
    half_spread: float = 0.0001,
    label: str = "normal",
    exposure: float = 1.0,
) -> Estimates:
    """Return estimates in the order of `instruments`, which must be sorted by id."""
    sigma = np.array(covariance)
    spread = np.sqrt(np.diag(sigma))
    correlation = sigma / np.outer(spread, spread)
    annual = spread * np.sqrt(365.0 / horizon_days)
    rows = []
    for index, one in enumerate(instruments):
        vol = float(annual[index])
        rows.append(
            InstrumentForecast(
                id=one.id,
                coin=one.coin,
                venue=one.venue,
                mark=float(marks[one.id]),
                expected_return=float(expected[index]),
                expected_return_sd=0.0 if deviation is None else float(deviation[index]),
                drift=ReturnForecast(0.0, 0.0, 0.0, 0.0),
                funding=FundingForecast(0.0001, 8.0, 0.1095, 0.003, 0.001),
                volatility=VolatilityForecast(vol, vol, vol),
                volume_usd_day=volume_usd_day,
                half_spread=half_spread,
            )
        )
    probabilities = {"calm": (1.0, 0.0, 0.0, 0.0), "normal": (0.0, 1.0, 0.0, 0.0)}
    return Estimates(
        as_of_ms=NOW_MS,
        horizon_days=horizon_days,
        instruments=tuple(rows),
        correlation=tuple(map(tuple, correlation.tolist())),
        covariance=tuple(map(tuple, sigma.tolist())),
        regime=RegimeForecast(
            label, probabilities.get(label, (0.0, 0.0, 0.0, 1.0)), NOW_MS, exposure, ()
        ),
        track=VolatilityTrack((), (), ()),
        models=(),
    )


def covariance(
    volatilities: Sequence[float], correlation: float, horizon_days: float = 10.0
) -> list[list[float]]:
    """Return Sigma over the horizon from annual volatilities and one pair correlation."""
    spread = np.array(volatilities) * np.sqrt(horizon_days / 365.0)
    matrix = np.full((len(spread), len(spread)), correlation)
    np.fill_diagonal(matrix, 1.0)
    return [[float(value) for value in row] for row in matrix * np.outer(spread, spread)]
