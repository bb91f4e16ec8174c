"""What is learnt from whole UTC days: variances, covariance, drift and their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance.correlation import standardise
from perptui.estimation.covariance.forecast import (
    CovarianceForecast,
    CovarianceSettings,
    forecast_covariance,
)
from perptui.estimation.drift.forecast import Drift, forecast_drift
from perptui.estimation.liquidity import Liquidity, estimate_liquidity
from perptui.estimation.panel import (
    SMALLEST_DAILY_VOLATILITY,
    Panel,
    build_panel,
    equal_weight_book,
    merge_by_coin,
)
from perptui.estimation.recursion import FloatArray, divided
from perptui.estimation.variance.forecast import (
    MODELS,
    REALISED_HALFLIFE_DAYS,
    VarianceForecasts,
    forecast_variances,
)
from perptui.estimation.variance.intraday import elasticity_of
from perptui.estimation.variance.realised import (
    RealisedMeasures,
    downside_deviation,
    realised_measures,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import VolatilityTrack
from perptui.model.instrument import Instrument
from perptui.model.strategy import StrategyParameters
from perptui.quant.court import Sitting, sit
from perptui.quant.funding import DayFunding, day_funding
from perptui.quant.gather import LOOKBACK_DAYS, Gathered, gather_all
from perptui.quant.side import Side, day_side
from perptui.quant.soundness import LEAST_DAYS, RECENT_DAYS
from perptui.quant.tails import DayTails, day_tails
from perptui.quant.track import book_path, mean_pair_correlation, volatility_track

IntArray = NDArray[np.int64]

DOWNSIDE_DAYS = 180
JUMP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Elasticities:
    """Relative change of a forecast per relative change of the fast mean, 0 to 1.

    Of the forecast in force, the combination and each of the M models.
    """

    in_force: float
    combined: float
    models: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DayView:
    """What whole days up to midnight say, for one strategy; D days, N contracts, C coins.

    Attributes
    ----------
    combined : bool
        Whether the strategy uses the combination of variance models, or EWMA alone.
    owner : (N,) array
        The coin of each contract.
    spokesmen : (C,) array
        The contract of each coin with the longest history, whose price is the coin's.
    variances : VarianceForecasts
        Of contracts; `in_force` (N,) is the one that the strategy uses, at midnight.
    coin_variance : (D, C) array
        The forecast in force by coin, daily.
    fast : (N,) array
        Fast mean of realised variances at midnight, NaN where there is none; `elasticity` is how
        much of its relative changes the forecasts take over.
    fast_halflife_days : float
        Of that fast mean.
    mean_correlation : float
        Over pairs of coins.
    book : (24·D,) array
        Hourly returns of the equal-weight book.
    downside, jump_share : (N,) arrays
        Downside deviation of the last 180 days, annualised; share of jumps in the realised
        variance of the last 30. NaN where not known.
    """

    gathered: tuple[Gathered, ...]
    left_out: tuple[str, ...]
    panel: Panel
    horizon_days: float
    combined: bool
    owner: IntArray
    spokesmen: IntArray
    variances: VarianceForecasts
    in_force: FloatArray
    coin_variance: FloatArray
    fast: FloatArray
    fast_halflife_days: float
    elasticity: Elasticities
    covariance: CovarianceForecast
    mean_correlation: float
    drift: Drift
    book: FloatArray
    track: VolatilityTrack
    funding: DayFunding
    liquidity: Liquidity
    downside: FloatArray
    jump_share: FloatArray
    tails: DayTails
    sitting: Sitting
    side: Side

    @property
    def start_ms(self) -> int:
        """When the first hour began."""
        return self.panel.end_ms - self.panel.days * DAY_MS


def day_view(
    instruments: tuple[Instrument, ...],
    strategy: StrategyParameters,
    history: History,
    midnight_ms: int,
) -> DayView:
    """Return what the bars closed by `midnight_ms` say.

    Raises
    ------
    EstimationError
        When no instrument has history to estimate from.
    """
    gathered, left_out, panel = _moving(*gather_all(instruments, history, midnight_ms), midnight_ms)
    names, owner = panel.by_coin()
    variances = forecast_variances(panel, strategy.volatility_halflife_days, strategy.horizon_days)
    in_force = variances.combined if strategy.combined_volatility else variances.ewma
    coin_variance = merge_by_coin(in_force, owner, len(names))
    z = standardise(
        merge_by_coin(panel.common_daily, owner, len(names)), strategy.volatility_halflife_days
    )
    correlations = mean_pair_correlation(z, strategy.correlation_halflife_days)
    spokesmen = _spokesmen(panel, owner)
    hours = equal_weight_book(panel)
    book = book_path(coin_variance, correlations, hours)
    funding = day_funding(gathered, panel)
    covariance = forecast_covariance(panel, _settings(strategy), coin_variance[-1], z)
    return DayView(
        gathered=gathered,
        left_out=left_out,
        panel=panel,
        horizon_days=strategy.horizon_days,
        combined=strategy.combined_volatility,
        owner=owner,
        spokesmen=spokesmen,
        variances=variances,
        in_force=in_force[-1],
        coin_variance=coin_variance,
        fast=variances.own[1][-1],
        fast_halflife_days=min(REALISED_HALFLIFE_DAYS, strategy.volatility_halflife_days),
        elasticity=_elasticities(variances, strategy.combined_volatility),
        covariance=covariance,
        mean_correlation=float(correlations[-1]),
        drift=forecast_drift(
            panel.log_price[:, spokesmen], coin_variance, correlations, strategy.horizon_days
        ),
        book=hours,
        track=volatility_track(book, midnight_ms),
        funding=funding,
        liquidity=estimate_liquidity(
            [one.traded for one in gathered], np.full(len(gathered), np.nan), in_force[-1]
        ),
        downside=downside_deviation(panel.daily[-DOWNSIDE_DAYS:]),
        jump_share=_jump_share(realised_measures(panel)),
        tails=day_tails(panel, coin_variance, covariance.basis, funding, strategy.horizon_days),
        sitting=sit(panel, gathered, variances, _weights(variances, strategy), book),
        side=day_side(panel, gathered),
    )


def _settings(strategy: StrategyParameters) -> CovarianceSettings:
    return CovarianceSettings(
        strategy.volatility_halflife_days,
        strategy.correlation_halflife_days,
        strategy.horizon_days,
        mixture=strategy.combined_correlation,
    )


def _weights(variances: VarianceForecasts, strategy: StrategyParameters) -> FloatArray:
    """Return the weight of each variance model as the strategy uses them, (M,)."""
    if strategy.combined_volatility:
        return variances.weights
    return np.asarray(np.eye(len(MODELS))[0], dtype=np.float64)


def _moving(
    gathered: tuple[Gathered, ...], left_out: tuple[str, ...], midnight_ms: int
) -> tuple[tuple[Gathered, ...], tuple[str, ...], Panel]:
    """Leave out, with its reason, each contract whose closes at midnight do not move.

    Raises
    ------
    EstimationError
        When none is left.
    """
    panel = _panel_of(gathered, midnight_ms)
    known = np.isfinite(panel.daily[-RECENT_DAYS:])
    squares = np.where(known, panel.daily[-RECENT_DAYS:], 0.0) ** 2
    moves = np.sqrt(squares.sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    if (moves >= SMALLEST_DAILY_VOLATILITY).all():
        return gathered, left_out, panel
    kept, reasons = [], list(left_out)
    for one, move in zip(gathered, moves.tolist(), strict=True):
        if move >= SMALLEST_DAILY_VOLATILITY:
            kept.append(one)
        else:
            reasons.append(
                f"{one.instrument.id}: expected closes at 00:00 UTC that move, was {move:.1e} a "
                f"day over {RECENT_DAYS} days; check the feed"
            )
    if not kept:
        raise EstimationError(f"expected a contract that moves, was none ({'; '.join(reasons)})")
    return tuple(kept), tuple(reasons), _panel_of(tuple(kept), midnight_ms)


def _panel_of(gathered: tuple[Gathered, ...], midnight_ms: int) -> Panel:
    longest = max(one.days for one in gathered)
    days = min(max(longest, LEAST_DAYS), LOOKBACK_DAYS)
    return build_panel([one.closes for one in gathered], midnight_ms, days)


def _spokesmen(panel: Panel, owner: IntArray) -> IntArray:
    """Return each coin's contract with the longest history, of those whose last price is known."""
    seen = np.isfinite(panel.log_price)
    known = seen.sum(axis=0) + len(seen) * seen[-1]
    members = [np.flatnonzero(owner == coin) for coin in range(int(owner.max()) + 1)]
    return np.array([these[np.argmax(known[these])] for these in members], dtype=np.int64)


def _elasticities(variances: VarianceForecasts, uses_combined: bool) -> Elasticities:
    fast = variances.own[1]
    combined = elasticity_of(variances.combined, fast)
    return Elasticities(
        combined if uses_combined else elasticity_of(variances.ewma, fast),
        combined,
        tuple(elasticity_of(model, fast) for model in variances.combination.levelled),
    )


def _jump_share(measures: RealisedMeasures) -> FloatArray:
    jump, variance = measures.jump[-JUMP_DAYS:], measures.variance[-JUMP_DAYS:]
    both = np.isfinite(jump) & np.isfinite(variance)
    total = np.where(both, variance, 0.0).sum(axis=0)
    return divided(np.where(both, jump, 0.0).sum(axis=0), total, total > 0.0)
