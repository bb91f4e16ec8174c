"""The equal-weight book through time: its forecast at each day's end, and what came after."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perptui.estimation.court.judge import volatility_band
from perptui.estimation.recursion import FloatArray, divided, ewma, lagged
from perptui.model.clock import DAY_MS
from perptui.model.forecast import VolatilityTrack

YEAR_DAYS = 365.0
TRACK_DAYS = 60


@dataclass(frozen=True, slots=True)
class BookPath:
    """One equal part of each coin, by day (D,).

    `forecast` is the daily variance forecast at each day's end; `realised` the realised variance
    of the day itself, `returns` its log return; NaN where not all of its hours are known.
    """

    forecast: FloatArray
    realised: FloatArray
    returns: FloatArray


def mean_pair_correlation(z: FloatArray, halflife_days: float) -> FloatArray:
    """Return the mean correlation over pairs by day, (D,), from standardised returns (D, C).

    The sum over pairs of z_i z_j is ((sum z)² - sum z²)/2, so no matrix is built. Zero while
    fewer than two coins are known.
    """
    seen = np.isfinite(z)
    count = seen.sum(axis=1)
    filled = np.where(seen, z, 0.0)
    squares = (filled**2).sum(axis=1)
    pairs = divided(filled.sum(axis=1) ** 2 - squares, count * (count - 1), count > 1)
    single = divided(squares, count, count > 1)
    above, below = ewma(pairs, halflife_days), ewma(single, halflife_days)
    mean: FloatArray = np.clip(divided(above, below, below > 0, 0.0), 0.0, 0.99)
    return mean


def book_volatility(coin_variance: FloatArray, correlation: FloatArray) -> float:
    """Return the annualised volatility of one equal part of each coin, from daily variances."""
    deviation = np.sqrt(coin_variance)
    daily = float(deviation @ correlation @ deviation) / len(deviation) ** 2
    return math.sqrt(YEAR_DAYS * max(daily, 0.0))


def book_path(
    coin_variance: FloatArray, mean_correlation: FloatArray, book: FloatArray
) -> BookPath:
    """Return the equal-weight book by day.

    With one correlation rho for all pairs its variance is ((1-rho) sum s² + rho (sum s)²)/C² over
    the C coins known that day.

    Parameters
    ----------
    coin_variance : (D, C) array
        Daily variances forecast at each day's end.
    mean_correlation : (D,) array
        rho, mean over pairs.
    book : (24·D,) array
        Hourly returns.
    """
    known = np.isfinite(coin_variance)
    deviation = np.sqrt(np.where(known, coin_variance, 0.0))
    coins = known.sum(axis=1)
    squares, total = (deviation**2).sum(axis=1), deviation.sum(axis=1)
    above = (1.0 - mean_correlation) * squares + mean_correlation * total**2
    hours = book.reshape(-1, 24)
    return BookPath(
        forecast=divided(above, coins**2, coins > 0),
        realised=(hours**2).sum(axis=1),
        returns=hours.sum(axis=1),
    )


def volatility_track(book: BookPath, end_ms: int) -> VolatilityTrack:
    """Return the last 60 days: volatility forecast at each day's end, and realised after it.

    The band holds 19 of 20 realised values of a right forecast, from the days before.
    """
    before = lagged(book.forecast)
    low, high = volatility_band(book.realised, before)
    rows = np.flatnonzero(np.isfinite(before) & np.isfinite(book.realised) & (before > 0))
    rows = rows[rows >= len(before) - TRACK_DAYS]
    year = math.sqrt(YEAR_DAYS)
    banded = rows if np.isfinite(low[rows]).all() else rows[:0]
    made = end_ms - (len(before) - rows) * DAY_MS
    return VolatilityTrack(
        ts_ms=tuple(made.tolist()),
        forecast=tuple((year * np.sqrt(before[rows])).tolist()),
        realised=tuple((year * np.sqrt(book.realised[rows])).tolist()),
        low=tuple((year * low[banded]).tolist()),
        high=tuple((year * high[banded]).tolist()),
    )
