"""Variance forecasts of single contracts: several models, and what their scores make of them.

Each gives, at the end of every day, the mean daily variance of the log return over the next H days.
Annualise with sqrt(365·h). A model that cannot speak for a contract says why; EWMA speaks instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.panel import IntArray, Panel
from perptui.estimation.recursion import FloatArray, divided, ewma
from perptui.estimation.variance.combination import (
    LEAST_SCORES,
    SCORE_HALFLIFE_DAYS,
    Combination,
    combine,
)
from perptui.estimation.variance.garch import Specification
from perptui.estimation.variance.garch_walk import walk_forward_garch
from perptui.estimation.variance.har import LEAST_MONTH, har_forecasts, least_pairs

MODELS = ("ewma", "realised", "har", "garch", "gjr")
PREFERRED = np.array([name in {"har", "garch"} for name in MODELS])
"""Those that share the weight where they speak; the others are judged beside them, and weighted
where none of these speaks. On ten coins, 2021 to 2022, log-HAR and GARCH make up the best pool of
each set that was tried, for one day ahead and for seven; GJR, EGARCH or realised beside them gain
nothing, and EWMA is outside the 90 % model confidence set of both."""
_GARCH = {"garch": Specification("garch"), "gjr": Specification("gjr")}
REALISED_HALFLIFE_DAYS = 5.0
"""Of the mean of daily realised variances. On five coins to 2022 its QLIKE is within 7 % of the
best half-life's for horizons of 1, 2 and 7 days; for 14 days 25 would be 9 % better."""
LEAST_OBSERVATIONS = 10
"""Days that a mean of variances needs before it is called a forecast."""


@dataclass(frozen=True, slots=True)
class VarianceForecasts:
    """M models on D days for N contracts; row t is made at the end of day t.

    Attributes
    ----------
    horizon : int
        H, days: each forecast is of the mean daily variance of days t+1..t+H.
    own : (M, D, N) array
        What each of `MODELS` says itself, not levelled; NaN where it is silent.
    combination : Combination
        The models levelled, weighted, judged and combined.
    weights, losses, squared_errors : (M,) array
        At the end: mean weight over contracts; mean QLIKE and squared error over contracts and
        days with EWMA's forecasts where a model is silent, NaN when too few.
    observations : (M,) array of int
        Days on which each model was judged on what it said itself.
    scores : int
        Days that were judged.
    fallbacks : tuple of tuples of str, by model and contract
        Why EWMA speaks in its place at the end; "" where it speaks itself.
    """

    horizon: int
    own: FloatArray
    combination: Combination
    weights: FloatArray
    losses: FloatArray
    squared_errors: FloatArray
    observations: IntArray
    scores: int
    fallbacks: tuple[tuple[str, ...], ...]

    @property
    def ewma(self) -> FloatArray:
        """The EWMA of squared daily returns as it is, (D, N)."""
        forecast: FloatArray = self.own[0]
        return forecast

    @property
    def realised(self) -> FloatArray:
        """The EWMA of realised variances as it is, (D, N); EWMA's where there are none."""
        forecast: FloatArray = np.where(np.isfinite(self.own[1]), self.own[1], self.own[0])
        return forecast

    @property
    def combined(self) -> FloatArray:
        """The weighted geometric mean of the levelled models, (D, N)."""
        return self.combination.combined

    @property
    def daily_losses(self) -> FloatArray:
        """Mean QLIKE over contracts by day, (D, M); NaN for a model without any loss by then."""
        return mean_over_contracts(self.combination.losses).T


def forecast_variances(
    panel: Panel, halflife_days: float, horizon_days: float = 1.0
) -> VarianceForecasts:
    """Return the forecasts of every day of the panel; each uses days up to its own only.

    Parameters
    ----------
    panel : Panel
    halflife_days : float
        Of the EWMA of squared daily returns: the strategy's.
    horizon_days : float
        H, rounded, at least one day.
    """
    horizon = max(round(horizon_days), 1)
    own, fallbacks = _own_forecasts(panel, halflife_days, horizon)
    found = combine(own, panel.variance, horizon, PREFERRED)
    daily = mean_over_contracts(found.losses)
    scores = int(np.isfinite(daily[0]).sum())
    errors = mean_over_contracts(found.squared_errors)
    return VarianceForecasts(
        horizon=horizon,
        own=own,
        combination=found,
        weights=mean_over_contracts(found.weights[:, -1:])[:, 0],
        losses=_recent_mean(daily, scores, horizon),
        squared_errors=_recent_mean(errors, scores, horizon),
        observations=found.scores[:, -1].max(axis=1),
        scores=scores,
        fallbacks=fallbacks,
    )


def _own_forecasts(
    panel: Panel, halflife_days: float, horizon: int
) -> tuple[FloatArray, tuple[tuple[str, ...], ...]]:
    squares = panel.daily**2
    pair_days = least_pairs(horizon) + horizon + LEAST_MONTH - 1
    plain = (
        (mean_variance(squares, halflife_days), squares, LEAST_OBSERVATIONS),
        (
            mean_variance(panel.variance, min(REALISED_HALFLIFE_DAYS, halflife_days)),
            panel.variance,
            LEAST_OBSERVATIONS,
        ),
        (har_forecasts(panel.variance, horizon), panel.variance, pair_days),
    )
    walked = [walk_forward_garch(panel, horizon, one) for one in _GARCH.values()]
    own = np.stack([forecast for forecast, _, _ in plain] + [one.variance for one in walked])
    words = [
        _fallback_words(forecast[-1], np.isfinite(observed).sum(axis=0), needed)
        for forecast, observed, needed in plain
    ]
    return own, (*words, *(one.reasons for one in walked))


def _fallback_words(last: FloatArray, days: IntArray, needed: int) -> tuple[str, ...]:
    """Return for each contract why there is no forecast on the last day; "" where there is one."""
    words = []
    for forecast, count in zip(last, days, strict=True):
        if forecast > 0:
            words.append("")
        elif count < needed:
            words.append(f"{count} of {needed} days")
        else:
            words.append("no realised variance on the last day")
    return tuple(words)


def mean_variance(squares: FloatArray, halflife_days: float) -> FloatArray:
    """Return the EWMA of daily variances (D, N), NaN while there are fewer than ten of them."""
    enough = np.cumsum(np.isfinite(squares), axis=0) >= LEAST_OBSERVATIONS
    mean: FloatArray = np.where(enough, ewma(squares, halflife_days), np.nan)
    return mean


def mean_over_contracts(x: FloatArray) -> FloatArray:
    """Return the mean of finite values over contracts, (..., N) to (...); NaN where none is."""
    seen = np.isfinite(x)
    count = seen.sum(axis=-1)
    total = np.where(seen, x, 0.0).sum(axis=-1)
    return divided(total, count, count > 0)


def _recent_mean(daily: FloatArray, scores: int, horizon: int) -> FloatArray:
    """Return the EWMA of daily means (M, D) at the end, (M,); NaN with fewer than 20 days."""
    if scores < LEAST_SCORES:
        return np.full(len(daily), np.nan)
    recent: FloatArray = ewma(daily.T, SCORE_HALFLIFE_DAYS * horizon)[-1]
    return recent
