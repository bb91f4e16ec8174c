"""What the bars alone say at one hour: variances, correlation, drift, the book's hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.basis import basis_variance
from perptui.estimation.correlation import Correlation, correlate, standardise
from perptui.estimation.panel import Panel, build_panel, equal_weight_book, merge_by_coin
from perptui.estimation.recursion import FloatArray
from perptui.estimation.regime import RegimePath, label_hours
from perptui.estimation.returns import Drift, forecast_drift
from perptui.estimation.volatility import VarianceForecasts, forecast_variances
from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.forecast import VolatilityTrack
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.quant.gather import LEAST_DAYS, LOOKBACK_DAYS, Gathered, gather_all
from perptui.quant.track import book_volatility, mean_pair_correlation, volatility_track

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MarketView:
    """What the bars say at one hour for one strategy.

    `owner` (N,) is the coin of each contract, `coin_variance` (D, C) the forecast in use,
    `own_variance` (N,) what a contract has beyond its coin over the horizon; `regime` is of the
    equal-weight book of coins, `book_volatility` its annualised forecast.
    """

    gathered: tuple[Gathered, ...]
    left_out: tuple[str, ...]
    panel: Panel
    owner: IntArray
    variances: VarianceForecasts
    coin_variance: FloatArray
    correlation: Correlation
    own_variance: FloatArray
    drift: Drift
    regime: RegimePath
    book_volatility: float
    track: VolatilityTrack


def market_view(
    snapshot: MarketSnapshot, strategy: StrategyParameters, history: History
) -> MarketView:
    """Return what the bars closed by the snapshot's hour say.

    Raises
    ------
    EstimationError
        When no instrument has history to estimate from.
    """
    hour_ms = snapshot.as_of_ms // HOUR_MS * HOUR_MS
    gathered, left_out = gather_all(snapshot.instruments, history, hour_ms)
    panel = _panel_of(gathered, hour_ms)
    names, owner = panel.by_coin()
    coins = len(names)
    variances = forecast_variances(panel, strategy.volatility_halflife_days, strategy.horizon_days)
    in_force = variances.combined if strategy.combined_volatility else variances.ewma
    coin_variance = merge_by_coin(in_force, owner, coins)
    z = standardise(
        merge_by_coin(panel.common_daily, owner, coins), strategy.volatility_halflife_days
    )
    correlation = correlate(z, strategy.correlation_halflife_days)
    book = equal_weight_book(panel)
    return MarketView(
        gathered=gathered,
        left_out=left_out,
        panel=panel,
        owner=owner,
        variances=variances,
        coin_variance=coin_variance,
        correlation=correlation,
        own_variance=basis_variance(panel, strategy.horizon_days),
        drift=forecast_drift(
            _coin_prices(panel, owner, coins),
            coin_variance,
            mean_pair_correlation(z, strategy.correlation_halflife_days),
            strategy.horizon_days,
        ),
        regime=label_hours(book),
        book_volatility=book_volatility(coin_variance[-1], correlation.matrix),
        track=volatility_track(panel, z, coin_variance, book, strategy),
    )


def _panel_of(gathered: tuple[Gathered, ...], hour_ms: int) -> Panel:
    longest = max(one.days for one in gathered)
    days = min(max(longest, LEAST_DAYS), LOOKBACK_DAYS)
    return build_panel([one.closes for one in gathered], hour_ms, days)


def _coin_prices(panel: Panel, owner: IntArray, coins: int) -> FloatArray:
    """Return log prices (D + 1, C): of each coin's contract with the longest history."""
    known = np.isfinite(panel.log_price).sum(axis=0)
    columns = []
    for coin in range(coins):
        members = np.flatnonzero(owner == coin)
        columns.append(panel.log_price[:, members[np.argmax(known[members])]])
    return np.column_stack(columns)
