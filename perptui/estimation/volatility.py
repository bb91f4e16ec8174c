"""Variance forecasts of single contracts: EWMA, realised, and the two combined by their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.evaluate import qlike
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import divided, ewma, lagged

FloatArray = NDArray[np.float64]

MODELS = ("ewma", "realised")
REALISED_HALFLIFE_DAYS = 5.0
"""Of the mean of daily realised variances. On five coins to 2022 its QLIKE is within 7 % of the
best half-life's for horizons of 1, 2 and 7 days; for 14 days 25 would be 9 % better."""
SCORE_HALFLIFE_DAYS = 60.0
SCORE_TEMPERATURE = 0.02
"""T0 of the weights exp(-(Q - min Q)/T0) (method §2)."""
EQUAL_SHARE = 0.1
LEVEL_RANGE = (0.7, 1.6)
LEAST_OBSERVATIONS = 10
"""Days that a mean of variances needs before it is called a forecast."""
LEAST_SCORES = 20
"""Scores below which a model's loss is not shown and weights stay equal."""


@dataclass(frozen=True, slots=True)
class VarianceForecasts:
    """Variance of a day's log return, made at the end of each day for the next.

    Attributes
    ----------
    ewma, realised : (D, N) array
        Of squared daily returns and of realised variances, as they are.
    combined : (D, N) array
        The weighted geometric mean of the level-corrected models.
    weights, losses : (2,) array
        Of `MODELS` at the end; losses are mean QLIKE over contracts, NaN when too few.
    scores : int
        Days that were judged.
    """

    ewma: FloatArray
    realised: FloatArray
    combined: FloatArray
    weights: FloatArray
    losses: FloatArray
    scores: int


def forecast_variances(panel: Panel, halflife_days: float) -> VarianceForecasts:
    """Return the forecasts of every day of the panel; each uses days up to its own only."""
    slow = mean_variance(panel.daily**2, halflife_days)
    fast = mean_variance(panel.variance, min(REALISED_HALFLIFE_DAYS, halflife_days))
    # A contract may have returns and no day's realised variance yet: its EWMA speaks instead.
    fast = np.where(np.isfinite(fast), fast, slow)
    levelled = np.stack([level_corrected(model, panel.variance) for model in (slow, fast)])
    daily_losses = [mean_over_contracts(qlike(panel.variance, lagged(h))) for h in levelled]
    losses = ewma(np.column_stack(daily_losses), SCORE_HALFLIFE_DAYS)
    scores = np.cumsum(np.isfinite(daily_losses[0]))
    weights = combination_weights(np.where(scores[:, None] >= LEAST_SCORES, losses, np.nan))
    combined = np.exp(np.einsum("dm,mdn->dn", weights, np.log(levelled)))
    shown = losses[-1] if scores[-1] >= LEAST_SCORES else np.full(len(MODELS), np.nan)
    return VarianceForecasts(slow, fast, combined, weights[-1], shown, int(scores[-1]))


def mean_variance(squares: FloatArray, halflife_days: float) -> FloatArray:
    """Return the EWMA of daily variances (D, N), NaN while there are fewer than ten of them."""
    enough = np.cumsum(np.isfinite(squares), axis=0) >= LEAST_OBSERVATIONS
    mean: FloatArray = np.where(enough, ewma(squares, halflife_days), np.nan)
    return mean


def level_corrected(forecast: FloatArray, realised: FloatArray) -> FloatArray:
    """Return `forecast` times clip(EWMA(realised)/EWMA(forecast of it), .7, 1.6), by day.

    Both are (D, N); `forecast[t]` was made for `realised[t + 1]`. Without a pair yet: unchanged.
    """
    before = lagged(forecast)
    paired = np.isfinite(before) & np.isfinite(realised)
    above = ewma(np.where(paired, realised, np.nan), SCORE_HALFLIFE_DAYS)
    below = ewma(np.where(paired, before, np.nan), SCORE_HALFLIFE_DAYS)
    ratio = divided(above, below, below > 0, 1.0)
    corrected: FloatArray = forecast * np.clip(ratio, *LEVEL_RANGE)
    return corrected


def mean_over_contracts(x: FloatArray) -> FloatArray:
    """Return the mean of each row's finite values, (D, N) to (D,); NaN where there is none."""
    seen = np.isfinite(x)
    count = seen.sum(axis=1)
    total = np.where(seen, x, 0.0).sum(axis=1)
    return divided(total, count, count > 0)


def combination_weights(losses: FloatArray) -> FloatArray:
    """Return the models' weights by day, (D, M) from mean losses (D, M); rows sum to one.

    omega_m is proportional to exp(-(Q_m - min Q)/T0), then 10 % toward equal (method §2); equal
    where a loss is NaN, which means too few to judge.
    """
    known = np.isfinite(losses).all(axis=1, keepdims=True)
    excess = np.where(known, losses, 0.0)
    raw = np.exp(-(excess - excess.min(axis=1, keepdims=True)) / SCORE_TEMPERATURE)
    share = raw / raw.sum(axis=1, keepdims=True)
    weights: FloatArray = (1.0 - EQUAL_SHARE) * share + EQUAL_SHARE / losses.shape[1]
    return weights
