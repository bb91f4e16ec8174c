"""Log-HAR: the variance of the days ahead from those of the last day, week and month (Corsi 2009).

One regression per contract and horizon, refitted on every day from what was complete by then.
"""

from __future__ import annotations

import numpy as np

from perptui.estimation.recursion import BoolArray, FloatArray, divided
from perptui.model.errors import EstimationError

WEEK_DAYS = 7
MONTH_DAYS = 30
LEAST_WEEK = 5
LEAST_MONTH = 20
"""Days that the mean of a week or a month must hold."""
LEAST_PAIRS = 60
"""Regressors with a complete target, below which there is no forecast; times H for H days ahead,
whose targets overlap, but never more than `MOST_PAIRS`."""
MOST_PAIRS = 180
LEAST_DETERMINANT = 1e-8
"""Least determinant of the regressors' correlation matrix: below, the slopes mean nothing."""
LARGEST_STEP = np.log(10.0)
"""A forecast stays within a factor of ten of the last month's mean: a line fitted to few days must
not be drawn out to nonsense."""


def har_forecasts(variance: FloatArray, horizon: int) -> FloatArray:
    """Return the mean daily variance expected over the next `horizon` days, (D, N).

    ln of the mean of RV over days t+1..t+H is regressed, for each horizon anew, on
    (1, ln RV_t, ln mean of 7 days, ln mean of 30 days) by least squares over all pairs whose target
    was complete by t; the forecast is exp(b'x_t + s²/2), s² the residual variance (n - 4 degrees of
    freedom). NaN before there are `least_pairs(horizon)` pairs, on a day without a realised
    variance, and where the regressors do not vary.

    Parameters
    ----------
    variance : (D, N) array
        Realised variance by day; NaN or not positive is a hole.
    horizon : int
        H, days.

    Raises
    ------
    EstimationError
        When `horizon` is less than one day.
    """
    if horizon < 1:
        raise EstimationError(f"expected a horizon of at least 1 day, was {horizon}; lengthen it")
    known = np.where(variance > 0, variance, np.nan)
    regressors = har_regressors(known)
    target = _later_mean(known, horizon)
    slopes, intercept, residual, usable = _fitted(regressors, target, horizon)
    log_forecast = intercept + 0.5 * residual
    for slope, regressor in zip(slopes, regressors, strict=True):
        log_forecast = log_forecast + slope * regressor
    month = regressors[-1]
    near = np.clip(log_forecast, month - LARGEST_STEP, month + LARGEST_STEP)
    forecast: FloatArray = np.exp(np.where(usable, near, np.nan))
    return forecast


def least_pairs(horizon: int) -> int:
    """Return how many complete pairs the regression for `horizon` days ahead needs."""
    return min(LEAST_PAIRS * horizon, MOST_PAIRS)


def har_regressors(known: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ln RV, ln of its mean over 7 and over 30 days up to each day, (D, N) each."""
    return (
        np.log(known),
        np.log(_trailing_mean(known, WEEK_DAYS, LEAST_WEEK)),
        np.log(_trailing_mean(known, MONTH_DAYS, LEAST_MONTH)),
    )


def _trailing_mean(x: FloatArray, days: int, least: int) -> FloatArray:
    """Return the mean of the finite values of rows t-days+1..t, NaN with fewer than `least`.

    Summed term by term, never as a difference of running sums: what stood before the window must
    leave no trace in it.
    """
    seen = np.isfinite(x)
    filled, counted = np.where(seen, x, 0.0), seen.astype(np.int64)
    total, count = np.zeros(x.shape), np.zeros(x.shape, dtype=np.int64)
    for lag in range(min(days, len(x))):
        total[lag:] += filled[: len(x) - lag]
        count[lag:] += counted[: len(x) - lag]
    return divided(total, count, count >= least)


def _later_mean(x: FloatArray, horizon: int) -> FloatArray:
    """Return ln of the mean of rows t+1..t+H, at row t + H where it is complete; NaN elsewhere."""
    return np.log(_trailing_mean(x, horizon, horizon))


def _fitted(
    regressors: tuple[FloatArray, ...], target: FloatArray, horizon: int
) -> tuple[list[FloatArray], FloatArray, FloatArray, BoolArray]:
    """Return slopes, intercept and residual variance by day, and where they can be used.

    `target[t]` belongs to the regressors of t - horizon: sums up to row t are then of complete
    pairs. The regression in moments about the running mean is a 3×3 system, solved elementwise.
    """
    before = [_delayed(x, horizon) for x in regressors]
    paired = np.isfinite(target)
    for x in before:
        paired = paired & np.isfinite(x)
    columns = [np.where(paired, x, 0.0) for x in (*before, target)]
    count = np.cumsum(paired, axis=0)
    # Moments about a level of each contract's own keep digits that ln RV of -7 would cost.
    level = _first(np.where(paired, target, np.nan))
    columns = [np.where(paired, x - level, 0.0) for x in columns]
    means = [divided(np.cumsum(x, axis=0), count, count > 0, 0.0) for x in columns]
    moments = {
        (i, j): np.cumsum(columns[i] * columns[j], axis=0) - count * means[i] * means[j]
        for i in range(4)
        for j in range(i, 4)
    }
    slopes, usable = _solved(moments)
    usable &= count >= least_pairs(horizon)
    explained = sum(b * moments[i, 3] for i, b in enumerate(slopes))
    residual = divided(np.maximum(moments[3, 3] - explained, 0.0), count - 4, usable)
    intercept = level + means[3]
    for b, mean in zip(slopes, means[:3], strict=True):
        intercept = intercept - b * (mean + level)
    return slopes, intercept, residual, usable


def _delayed(x: FloatArray, rows: int) -> FloatArray:
    delayed = np.full(x.shape, np.nan)
    delayed[rows:] = x[: max(len(x) - rows, 0)]
    return delayed


def _first(x: FloatArray) -> FloatArray:
    """Return each column's first finite value, (N,); 0 in a column without one."""
    seen = np.isfinite(x)
    if not len(x):
        return np.zeros(x.shape[1])
    first: FloatArray = np.where(seen.any(axis=0), x[seen.argmax(axis=0), np.arange(x.shape[1])], 0)
    return first


def _solved(moments: dict[tuple[int, int], FloatArray]) -> tuple[list[FloatArray], BoolArray]:
    """Return the three slopes by Cramer's rule, and where the system can be solved."""
    a, b, c = moments[0, 0], moments[0, 1], moments[0, 2]
    d, e, f = moments[1, 1], moments[1, 2], moments[2, 2]
    y = [moments[i, 3] for i in range(3)]
    minor = [d * f - e * e, c * e - b * f, b * e - c * d]
    determinant = a * minor[0] + b * minor[1] + c * minor[2]
    scale = a * d * f
    usable = (scale > 0) & (determinant > LEAST_DETERMINANT * scale)
    inverse = (
        minor,
        [minor[1], a * f - c * c, b * c - a * e],
        [minor[2], b * c - a * e, a * d - b * b],
    )
    slopes = [
        divided(row[0] * y[0] + row[1] * y[1] + row[2] * y[2], determinant, usable, 0.0)
        for row in inverse
    ]
    return slopes, usable
