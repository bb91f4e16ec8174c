"""How the estimators of funding did in the past, which decides their weights and the deviation.

At origins a day apart each estimator states the mean hourly rate of the coming spans from what was
known then; what came is held against it once it is known. Rows g are origins, s spans, j members.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.process import Persistence, reach, sum_variances
from perptui.estimation.funding.series import Settled, Totals, known_by
from perptui.estimation.recursion import divided
from perptui.model.clock import HOUR_MS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MEMBERS = ("quoted", "ewma 1 d", "ewma 7 d", "autoregression")
SPANS_H = (0.0, 24.0, 72.0, 168.0, 336.0, 720.0)
"""Hours ahead at which members are judged; 0 is the next settlement."""
JUDGED_DAYS = 180
HALFLIFE_DAYS = 60.0
SHARPNESS = 4.0
"""Weights go by mean absolute error to the power -4: by the squared precision, robustly."""
PRIOR_DAYS = 100.0
"""What the pooled errors below count for."""
PRIOR_ERRORS = np.array(
    [
        [0.71, 0.77, 1.00, 0.72],
        [0.82, 0.78, 1.00, 0.80],
        [1.02, 0.86, 1.00, 0.92],
        [1.19, 0.97, 1.00, 0.98],
        [1.31, 1.06, 1.00, 0.98],
        [1.39, 1.14, 1.00, 0.94],
    ]
)
"""Mean absolute error over that of the 7-day EWMA, (S, J): geometric means over the ten contracts
of Binance and five of Bybit up to 2022-12."""
PRIOR_SCALE = np.array([0.78, 0.73, 0.85, 1.12, 1.55, 2.27])
"""By how much the stated deviation was too small, (S,), on the same contracts and days."""
MOST_SCALE = 3.0
"""A contract's own scale is held within this factor of the pooled one."""
PRIOR_SPANS = 10.0
"""What the pooled scale counts for, in spans that do not overlap."""
ONE_SD, TWO_SD = 0.6827, 0.9545


@dataclass(frozen=True, slots=True)
class Levels:
    """What was known at each origin, by the hour; each (G,).

    `last` is the last settled rate and `interval_h` its hours; `local` the stationary variance as
    recent changes have it; `theta` the anchored level.
    """

    last: FloatArray
    interval_h: FloatArray
    day: FloatArray
    week: FloatArray
    theta: FloatArray
    local: FloatArray


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of the last origin: `weight` (S, J) sums to one over members; `scale` (S,) multiplies sd.

    `log_hours` (S,) are the spans' logarithms, the first that of the present interval.
    """

    log_hours: tuple[float, ...]
    weight: tuple[tuple[float, ...], ...]
    scale: tuple[float, ...]

    def at(self, hours: float) -> tuple[tuple[float, ...], float]:
        """Return weights and scale for a span, linear in its logarithm, the ends held."""
        logs = self.log_hours
        where = min(max(math.log(max(hours, 1e-3)), logs[0]), logs[-1])
        k = min(max(bisect_left(logs, where), 1), len(logs) - 1)
        share = (where - logs[k - 1]) / (logs[k] - logs[k - 1])
        low, high = self.weight[k - 1], self.weight[k]
        weight = tuple((1.0 - share) * a + share * b for a, b in zip(low, high, strict=True))
        return weight, (1.0 - share) * self.scale[k - 1] + share * self.scale[k]


def judge(settled: Settled, origins: IntArray, levels: Levels, process: Persistence) -> Verdict:
    """Return weights and deviation scale from forecasts whose spans have ended.

    The scale is of the members weighted as they are now.
    """
    hours = np.maximum(np.array(SPANS_H)[None, :], levels.interval_h[:, None])
    came, covered, known = _outcomes(settled, origins)
    said = _members(levels, process, hours)
    error = (came[:, :, None] - said * covered[:, :, None]) * known[:, :, None]
    weight = _weights(np.abs(error), known)
    mean = (weight * said).sum(axis=2)
    miss = (weight * error).sum(axis=2)
    between = (weight * (said - mean[:, :, None]) ** 2).sum(axis=2) * covered**2
    spread = process_variance(process.stationary, levels.local)[:, None]
    own = sum_variances(spread, process.kappa[:, None], levels.interval_h[:, None], hours)
    first = min(float(levels.interval_h[-1]), 0.5 * SPANS_H[1])
    return Verdict(
        tuple(math.log(span) for span in (first, *SPANS_H[1:])),
        tuple(tuple(row) for row in weight.tolist()),
        tuple(_scale(miss, own + between, known).tolist()),
    )


def process_variance(window: FloatArray, local: FloatArray) -> FloatArray:
    """Return the stationary variance in use: the mean of the window's and the recent one."""
    both: FloatArray = 0.5 * (window + local)
    return both


def _outcomes(
    settled: Settled, origins: IntArray
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return the sum settled over each span, the hours it is for, and whether it is known."""
    count, last = len(settled.ts_ms), int(settled.ts_ms[-1])
    from_ = known_by(settled, origins)[:, None]
    ends = origins[:, None] + (np.array(SPANS_H) * HOUR_MS).astype(np.int64)[None, :]
    until = np.searchsorted(settled.ts_ms, ends.ravel(), side="right").reshape(ends.shape)
    until[:, 0] = np.minimum(from_[:, 0] + 1, count)
    known = ends <= last
    known[:, 0] = from_[:, 0] < count
    totals = Totals.of(settled)
    covered = totals.hours[until] - totals.hours[from_]
    return totals.rate[until] - totals.rate[from_], covered, known & (covered > 0.0)


def _members(levels: Levels, process: Persistence, hours: FloatArray) -> FloatArray:
    """Return the mean hourly rate that each member states for each span, (G, S, J)."""
    lasting = reach(process.kappa[:, None], levels.interval_h[:, None], hours)
    theta, last = levels.theta[:, None], levels.last[:, None]
    flat = np.ones_like(hours)
    return np.stack(
        [
            last * flat,
            levels.day[:, None] * flat,
            levels.week[:, None] * flat,
            theta + (last - theta) * lasting,
        ],
        axis=2,
    )


def _weights(missed: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return each member's weight at the last origin, (S, J).

    The decayed mean absolute error (G, S, J), with the pooled one (scaled to this contract)
    counting for `PRIOR_DAYS` origins, to the power -SHARPNESS.
    """
    age = np.arange(len(missed))[::-1]
    fading = 2.0 ** (-age / HALFLIFE_DAYS)
    count = (fading @ known)[:, None]
    total = np.tensordot(fading, missed, axes=1)
    mean = divided(total, count, np.broadcast_to(count > 0.0, total.shape), 0.0)
    floor = 1e-12 * mean.max(axis=1, keepdims=True) + 1e-300
    scale = np.exp(np.log(np.maximum(mean, floor) / PRIOR_ERRORS).mean(axis=1, keepdims=True))
    score = (count * mean / scale + PRIOR_DAYS * PRIOR_ERRORS) / (count + PRIOR_DAYS)
    raw = (score / score.min(axis=1, keepdims=True)) ** -SHARPNESS
    weight: FloatArray = raw / raw.sum(axis=1, keepdims=True)
    return weight


def _scale(miss: FloatArray, variance: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return by how much the stated deviation was too small, (S,).

    Errors have fat tails, so no one factor gives both 68 % within one deviation and 95 % within
    two; the factor is the root mean square of the two that would each do, shrunk to the pooled
    one by how few spans without overlap there were.
    """
    stated = np.sqrt(variance)
    usable = known & (stated > 0.0)
    z = np.sort(divided(np.abs(miss), stated, usable), axis=0)
    count = usable.sum(axis=0)
    one, two = _sorted_quantile(z, count, ONE_SD), _sorted_quantile(z, count, TWO_SD) / 2.0
    own = np.where(count > 0, 0.5 * (one**2 + two**2), 0.0)
    apart = count * np.minimum(1.0, 24.0 / np.maximum(np.array(SPANS_H), 24.0))
    own = np.clip(own, (PRIOR_SCALE / MOST_SCALE) ** 2, (PRIOR_SCALE * MOST_SCALE) ** 2)
    scale: FloatArray = np.sqrt(
        (apart * own + PRIOR_SPANS * PRIOR_SCALE**2) / (apart + PRIOR_SPANS)
    )
    return scale


def _sorted_quantile(z: FloatArray, count: IntArray, share: float) -> FloatArray:
    """Return a quantile (linear) of the first `count` rows of each sorted column; 0 of none."""
    place = share * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(z.shape[1])
    at = z[low, columns] + (place - low) * (z[high, columns] - z[low, columns])
    quantile: FloatArray = np.where(count > 0, at, 0.0)
    return quantile
