"""The book's volatility through time: forecast at each day's end, realised after."""

from __future__ import annotations

import math

import numpy as np

from perptui.estimation.correlation import pairwise_correlation
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray, divided, ewma
from perptui.model.clock import DAY_MS
from perptui.model.forecast import VolatilityTrack
from perptui.model.strategy import StrategyParameters
from perptui.quant.gather import LEAST_DAYS

YEAR_DAYS = 365.0
TRACK_DAYS = 60


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


def volatility_track(
    panel: Panel,
    z: FloatArray,
    coin_variance: FloatArray,
    book: FloatArray,
    strategy: StrategyParameters,
) -> VolatilityTrack:
    """Return the equal-weight book's volatility: forecast at each day's end, realised after."""
    stamps, forecast, realised = [], [], []
    for day in range(max(LEAST_DAYS - 1, panel.days - 1 - TRACK_DAYS), panel.days - 1):
        known = np.isfinite(coin_variance[day])
        after = book[24 * (day + 1) : 24 * (day + 2)]
        if not (known.any() and np.isfinite(after).all()):
            continue
        correlation, _ = pairwise_correlation(
            z[: day + 1, known], strategy.correlation_halflife_days
        )
        stamps.append(panel.end_ms - (panel.days - 1 - day) * DAY_MS)
        forecast.append(book_volatility(coin_variance[day, known], correlation))
        realised.append(float(np.sqrt(YEAR_DAYS * (after**2).sum())))
    return VolatilityTrack(tuple(stamps), tuple(forecast), tuple(realised))
