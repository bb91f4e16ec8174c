"""Tests that tell a better forecast from a luckier one.

Every test lines its inputs up by row: row t of a forecast was made before row t of what it is held
against. A NaN is a hole: it says nothing, but time passes. With too little to say anything a test
gives None and words, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.court.significance import chi_squared_beyond, student_two_sided

FloatArray = NDArray[np.float64]

LEAST_JUDGED = 60
"""Rows below which neither regression nor comparison says anything."""
LEAST_WINDOWS = 10
"""Horizons that must fit side by side into the rows: overlapping ones are not separate."""
_COLLINEAR = 1e-10
"""1 - r² of two columns from which they are one."""


@dataclass(frozen=True, slots=True)
class MincerZarnowitz:
    """realised = a + b·forecast + e, and the Wald test of a = 0, b = 1.

    `intercept` has the unit of the forecast; `p_value` is of chi-squared with 2 degrees; `level` is
    the sum of what was realised over the sum of what was forecast (weighted: the mean of their
    ratios). None where `text` says why.
    """

    intercept: float | None
    slope: float | None
    statistic: float | None
    p_value: float | None
    observations: int
    text: str = ""
    level: float | None = None


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """Whether one loss is below another: `statistic` < 0 where the first is the better forecast.

    `mean` is the first loss less the second. None where `text` says why.
    """

    mean: float | None
    statistic: float | None
    observations: int
    text: str = ""

    @property
    def p_value(self) -> float | None:
        """Two-sided, of Student's t with one degree less than observations."""
        if self.statistic is None:
            return None
        return student_two_sided(self.statistic, self.observations - 1.0)


def long_run_covariance(scores: FloatArray, lag: int) -> FloatArray:
    """Return the Newey-West (1987) covariance of the sum of `scores` (T, K) over T, (K, K).

    Bartlett weights 1 - j/(lag+1). Rows with a NaN have no score, but keep their place, so that
    only rows j apart in time are products of lag j (Parzen 1963). Nothing is centred.
    """
    known = np.where(np.isfinite(scores).all(axis=1, keepdims=True), scores, 0.0)
    total = known.T @ known
    for j in range(1, min(lag, len(known) - 1) + 1):
        product = known[j:].T @ known[:-j]
        total += (1.0 - j / (lag + 1.0)) * (product + product.T)
    covariance: FloatArray = total
    return covariance


def too_few(observations: int, horizon: int) -> str:
    """Return why `observations` rows say nothing about forecasts of `horizon` rows; "" if enough.

    The words name how many rows it takes.
    """
    needed = max(LEAST_JUDGED, LEAST_WINDOWS * horizon)
    return "" if observations >= needed else f"too few: {observations} of {needed} days"


def mincer_zarnowitz(
    realised: FloatArray, forecast: FloatArray, horizon: int = 1, *, weighted: bool = False
) -> MincerZarnowitz:
    """Return the regression of `realised` on `forecast` and its test of a = 0, b = 1.

    Mincer & Zarnowitz (1969). Covariance is Newey & West's with lag `horizon` - 1. Columns are
    pooled: the scores of a row are added up before, so that columns may move together (Driscoll &
    Kraay 1998).

    Parameters
    ----------
    realised, forecast : (T,) or (T, N) array
        Of rows `horizon` ahead; a forecast must be positive, a NaN is a hole.
    weighted : bool
        Divide both sides by the forecast (Patton & Sheppard 2009), so that wild days and wild
        contracts do not speak alone.
    """
    y, h = (np.reshape(x, (len(x), -1)) for x in (realised, forecast))
    used = np.isfinite(y) & (h > 0)
    # Columns are summed up by products with ones: sums over short rows are slower.
    every = np.ones(y.shape[1])
    count = used @ every
    rows = int(np.count_nonzero(count))
    if text := too_few(rows, horizon):
        return _no_regression(rows, text)
    y, h = np.where(used, y, 0.0), np.where(used, h, np.inf if weighted else 0.0)
    x, z = (1.0 / h, y / h) if weighted else (h, y)
    sums = (count, x @ every, np.einsum("tn,tn->t", x, x), z @ every, np.einsum("tn,tn->t", x, z))
    return _regression(sums, rows, horizon, weighted=weighted)


def _regression(
    sums: Sequence[FloatArray], rows: int, horizon: int, *, weighted: bool
) -> MincerZarnowitz:
    """Return the regression of z on x and 1 (weighted: on 1 and x, which is 1/forecast).

    `sums` are over columns, by row: of 1, x, x², z and xz. The forecast's unit is its mean, so
    that what is solved knows none.
    """
    count, x, xx, z, xz = sums
    mean = float(x.sum() / count.sum())
    x, xx, xz = x / mean, xx / mean**2, xz / mean
    if weighted:
        unit, constant, slope, outcomes = 1.0 / mean, (xx, x), (x, count), (xz, z)
    else:
        unit, constant, slope, outcomes = mean, (count, x), (x, xx), (z / mean, xz / mean)
    rows_of = np.array([constant, slope])
    gram = rows_of.sum(axis=2)
    if _is_singular(gram):
        return _no_regression(rows, "forecast does not vary")
    came = np.array(outcomes)
    beta = np.linalg.solve(gram, came.sum(axis=1))
    scores = (came - np.tensordot(beta, rows_of, axes=(0, 1))).T
    meat = long_run_covariance(scores, horizon - 1)
    exact = float(np.vdot(scores, scores)) <= 1e-20 * float(np.vdot(came, came))
    if exact or _is_singular(meat):
        return _no_regression(rows, "forecast errors do not vary")
    off = gram @ (beta - np.array([0.0, 1.0]))
    wald = float(off @ np.linalg.solve(meat, off))
    return MincerZarnowitz(
        intercept=float(beta[0]) * unit,
        slope=float(beta[1]),
        statistic=wald,
        p_value=chi_squared_beyond(wald, 2),
        observations=rows,
        level=float(came[1 if weighted else 0].sum() / gram[1, int(weighted)]),
    )


def _is_singular(matrix: FloatArray) -> bool:
    scale = float(matrix[0, 0] * matrix[1, 1])
    return not scale - float(matrix[0, 1] ** 2) > _COLLINEAR * scale


def _no_regression(rows: int, text: str) -> MincerZarnowitz:
    return MincerZarnowitz(None, None, None, None, rows, text)


def diebold_mariano(loss: FloatArray, other: FloatArray, horizon: int = 1) -> DieboldMariano:
    """Return the test that two series of losses (T,) have the same mean.

    Diebold & Mariano (1995) with Newey-West's covariance of lag `horizon` - 1; the statistic is
    multiplied by sqrt((n + 1 - 2H + H(H-1)/n)/n) and read off Student's t with n - 1 degrees
    (Harvey, Leybourne & Newbold 1997, who derive it for the unweighted kernel).
    """
    difference = loss - other
    used = np.isfinite(difference)
    n = int(np.count_nonzero(used))
    if text := too_few(n, horizon):
        return DieboldMariano(None, None, n, text)
    mean = float(difference[used].mean())
    variance = float(long_run_covariance((difference - mean)[:, None], horizon - 1)[0, 0])
    size = float(np.abs(difference[used]).max())
    if not variance > (1e-12 * size) ** 2 * n:
        return DieboldMariano(mean, None, n, "the two do not differ from day to day")
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = correction * n * mean / math.sqrt(variance)
    return DieboldMariano(mean, statistic, n)
