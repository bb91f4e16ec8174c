"""What a day's hours say of its variance: semivariances, bipower variation, the jump part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.panel import IntArray, Panel
from perptui.estimation.recursion import BoolArray, FloatArray, divided

HOURS = 24
LEAST_MOVED_HOURS = 18
"""Hours with a new price that bipower variation needs: a product with an hour that has none is 0,
and what is missing would be called a jump. Three bars a day never reach it."""
YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class RealisedMeasures:
    """Variance of each day's log return as its hours show it; each array is (D, N).

    Attributes
    ----------
    variance : (D, N) array
        RV, that of the panel: sum of r², scaled from the hours covered to 24. NaN in a day with
        fewer than 12 hours.
    downside, upside : (D, N) array
        RS- and RS+, the parts of RV from negative and positive returns (Barndorff-Nielsen,
        Kinnebrock & Shephard 2010); they add up to RV.
    bipower : (D, N) array
        BV = (pi/2)·n/(n-1)·sum of |r_k||r_{k-1}| over the n = 24 hours of the day, scaled as RV
        (Barndorff-Nielsen & Shephard 2004; n/(n-1) makes up for the n-1 products). NaN with fewer
        than `LEAST_MOVED_HOURS` moves.
    jump : (D, N) array
        max(RV - BV, 0), NaN where BV is.
    moves : (D, N) array of int
        Hours of the day in which the price moved.
    coarse : (N,) array of bool
        Whether RV and its parts come from bars wider than an hour, three a day as a rule.
    """

    variance: FloatArray
    downside: FloatArray
    upside: FloatArray
    bipower: FloatArray
    jump: FloatArray
    moves: IntArray
    coarse: BoolArray


def realised_measures(panel: Panel) -> RealisedMeasures:
    """Return the measures of every day of the panel, each from that day's hours alone."""
    days, width = panel.variance.shape
    hours = panel.closing.reshape(days, HOURS, width)
    seen = np.where(np.isfinite(hours), hours, 0.0)
    squares = seen**2
    total = squares.sum(axis=1)
    usable = np.isfinite(panel.variance) & (total > 0)
    scale = divided(panel.variance, total, usable)
    downside = scale * np.where(seen < 0, squares, 0.0).sum(axis=1)
    moves = np.count_nonzero(seen, axis=1)
    products = (np.abs(seen[:, 1:]) * np.abs(seen[:, :-1])).sum(axis=1)
    enough = moves >= LEAST_MOVED_HOURS
    factor = 0.5 * np.pi * HOURS / (HOURS - 1)
    bipower = np.where(enough, factor * scale * products, np.nan)
    return RealisedMeasures(
        variance=panel.variance,
        downside=downside,
        upside=panel.variance - downside,
        bipower=bipower,
        jump=np.maximum(panel.variance - bipower, 0.0),
        moves=moves.astype(np.int64),
        coarse=~panel.is_hourly,
    )


def downside_deviation(
    returns: FloatArray, acceptable: float = 0.0, periods_a_year: float = YEAR_DAYS
) -> FloatArray:
    """Return the annualised downside deviation of `returns` (T, ...), along the first axis.

    sqrt(periods·mean(min(r - MAR, 0)²)), the mean over all T, not the losers only (method §4).
    A NaN is a hole and is left out; a column without an observation is NaN.

    Parameters
    ----------
    returns : (T, ...) array
        Per period, fractions.
    acceptable : float
        MAR, per period.
    periods_a_year : float
    """
    seen = np.isfinite(returns)
    shortfall = np.minimum(np.where(seen, returns, acceptable) - acceptable, 0.0)
    count = np.atleast_1d(seen.sum(axis=0))
    total = np.atleast_1d((shortfall**2).sum(axis=0))
    deviation: FloatArray = np.sqrt(periods_a_year * divided(total, count, count > 0))
    return deviation.reshape(returns.shape[1:])
