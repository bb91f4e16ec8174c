"""Variance within the day: forecasts of whole days, moved by the share of a day that has passed."""

from __future__ import annotations

import numpy as np

from perptui.estimation.recursion import FloatArray, decay
from perptui.estimation.variance.forecast import REALISED_HALFLIFE_DAYS

LEAST_SHARE = 2.0 / 24.0
"""Of a day: fewer hours say nothing of its pace."""


def pace_of(
    fast: FloatArray,
    variance: FloatArray,
    share: FloatArray,
    halflife_days: float = REALISED_HALFLIFE_DAYS,
) -> FloatArray:
    """Return by how much the day so far changes the fast mean of realised variances, (N,).

    The mean takes the day in by its share f of a day: v' = b^f v + (1-b^f)·RV/f; this is v'/v.
    One where the day is younger than two hours, or the contract has no such mean. A forecast
    follows by (v'/v)^`elasticity_of` it.

    Parameters
    ----------
    fast : (N,) array
        v at midnight, daily variance; NaN where unknown.
    variance, share : (N,) arrays
        RV since midnight and f.
    halflife_days : float
        Of the mean: b halves in it.
    """
    usable = (share >= LEAST_SHARE) & (fast > 0)
    part = np.where(usable, share, 1.0)
    kept = decay(halflife_days) ** part
    ratio = kept + (1.0 - kept) * variance / part / np.where(usable, fast, 1.0)
    pace: FloatArray = np.where(usable, ratio, 1.0)
    return pace


def elasticity_of(forecast: FloatArray, fast: FloatArray) -> float:
    """Return how much of a relative change of `fast` the forecast took over, 0 to 1.

    The slope through the origin of the day's changes of ln forecast on those of ln fast, over all
    days and contracts (D, N) where both are known; 0 where there are none.
    """
    known = (forecast > 0) & (fast > 0)
    changes = []
    for x in (forecast, fast):
        logs = np.log(np.where(known, x, 1.0))
        changes.append(np.where(known[1:] & known[:-1], np.diff(logs, axis=0), 0.0))
    spread = float((changes[1] ** 2).sum())
    return float(np.clip((changes[0] * changes[1]).sum() / spread, 0.0, 1.0)) if spread else 0.0
