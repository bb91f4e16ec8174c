"""Whether deviations come out as forecast: the bias statistic, and realised over forecast.

Bands are where a right forecast's figure lies 19 times in 20. They are those of fat tails: with
normal returns' 1 ± sqrt(2/T) a right forecast of t5 returns is called wrong in 17 to 22 of 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.court.comparison import LEAST_WINDOWS
from perptui.estimation.recursion import divided
from perptui.estimation.variance.combination import complete_mean

FloatArray = NDArray[np.float64]

LEAST_RETURNS = 30
FREEDOM = 5.0
"""Of the Student t whose bands these are (method §13)."""
BANDS: tuple[tuple[int, float, float], ...] = (
    (30, 0.6621, 1.4490),
    (40, 0.7035, 1.3964),
    (50, 0.7274, 1.3610),
    (60, 0.7465, 1.3328),
    (75, 0.7713, 1.2996),
    (90, 0.7883, 1.2737),
    (120, 0.8142, 1.2430),
    (150, 0.8295, 1.2175),
    (180, 0.8424, 1.2012),
    (240, 0.8615, 1.1741),
    (300, 0.8759, 1.1592),
    (365, 0.8843, 1.1442),
    (500, 0.8999, 1.1227),
    (730, 0.9160, 1.1026),
    (1000, 0.9273, 1.0882),
    (1460, 0.9389, 1.0729),
    (2000, 0.9469, 1.0623),
    (3000, 0.9561, 1.0513),
)
"""(days, low, high) as `benchmarks/calibration_bands.py` prints them."""
LEAST_RATIOS = 60
USUAL_SPREAD = 1.2
"""Variance of a day's RV/h while there is no history of it: (K-1)/24 for 24 hourly returns with a
kurtosis K of 30, as that of five coins' book in 2020-25."""


@dataclass(frozen=True, slots=True)
class BiasStatistic:
    """sd of returns over their forecast deviation; `low`..`high` holds a right forecast's.

    None, with `text`, where there are too few.
    """

    value: float | None
    low: float | None
    high: float | None
    observations: int
    text: str = ""

    @property
    def within(self) -> bool | None:
        """Whether the value lies in the band; None where there is none."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class VolatilityRatio:
    """sqrt(sum RV / sum h) over the last `days`, and the band of a right forecast.

    None, with `text`, where a day of the window is not known.
    """

    days: int
    value: float | None
    low: float | None
    high: float | None
    text: str = ""


def bias_band(days: int) -> tuple[float, float]:
    """Return the 95 % band of sd(z) over `days` of t5 returns whose deviation is one.

    Logarithms between the rows of `BANDS` are interpolated in ln T; the last row speaks beyond it.
    """
    table = np.array(BANDS)
    at = math.log(days)
    low, high = (
        float(np.exp(np.interp(at, np.log(table[:, 0]), np.log(table[:, column]))))
        for column in (1, 2)
    )
    return low, high


def bias_statistic(returns: FloatArray, deviation: FloatArray) -> BiasStatistic:
    """Return sd(r/sigma), 1 in the divisor's place of freedom, from returns and forecasts (T,).

    Each deviation was forecast before the return of its row. Above one: risk was underrated.
    """
    z = divided(returns, deviation, np.isfinite(returns) & (deviation > 0))
    z = z[np.isfinite(z)]
    if len(z) < LEAST_RETURNS:
        text = f"too few: {len(z)} of {LEAST_RETURNS} days"
        return BiasStatistic(None, None, None, len(z), text)
    return BiasStatistic(float(z.std(ddof=1)), *bias_band(len(z)), len(z))


def ratio_bands(
    realised: FloatArray, forecast: FloatArray, days: int
) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % band of sqrt(sum RV/sum h) over `days` if the forecast is right.

    Logarithms of realised over forecast variance are close to normal (Andersen, Bollerslev,
    Diebold & Ebens 2001). With their deviation s over past windows of as many days and a mean
    ratio of one the band is exp(-s²/4 ± 1.96 s/2). On ten coins to 2022 it leaves out 2.4 % of days
    below and 2.4 % above; a chi-squared of the ratios' variance leaves out 1 %, all above.
    Without 60 windows, or ten that do not overlap, s² is that of a day's variance of 1.2.

    Parameters
    ----------
    realised, forecast : (T,) array
        Daily variances, each forecast made before the day of its row; NaN is a hole.

    Returns
    -------
    low, high : (T + 1,) array
        Row t knows the first t days.
    """
    usable = np.isfinite(realised) & (forecast > 0)
    both = np.where(usable[:, None], np.column_stack([realised, forecast]), np.nan)
    window = complete_mean(both, days)
    known = (window[:, 0] > 0) & (window[:, 1] > 0)
    ratio = np.log(divided(window[:, 0], window[:, 1], known, 1.0))
    count = _running(known.astype(np.float64))
    first, second = _running(ratio), _running(ratio**2)
    enough = count >= max(LEAST_RATIOS, LEAST_WINDOWS * days)
    mean = divided(first, count, enough, 0.0)
    usual = math.log1p(USUAL_SPREAD / days)
    squared = np.maximum(divided(second, count, enough, usual) - mean**2, 0.0)
    # Overlapping windows: their mean has the variance of count/days separate ones.
    squared *= divided(count, count - days, enough, 1.0)
    reach = NormalDist().inv_cdf(0.975) * np.sqrt(squared)
    return np.exp((-squared / 2.0 - reach) / 2.0), np.exp((-squared / 2.0 + reach) / 2.0)


def _running(x: FloatArray) -> FloatArray:
    total = np.zeros(len(x) + 1)
    np.cumsum(x, out=total[1:])
    return total


def volatility_ratio(realised: FloatArray, forecast: FloatArray, days: int) -> VolatilityRatio:
    """Return realised over forecast volatility of the last `days`, with the band of a right one.

    `realised` and `forecast` are daily variances (T,), each forecast made before the day of its
    row. The band is drawn from days before the window alone.
    """
    usable = np.isfinite(realised) & (forecast > 0)
    window = usable[-days:]
    if len(window) < days or not window.all():
        known = int(np.count_nonzero(window))
        return VolatilityRatio(days, None, None, None, f"too few: {known} of {days} days")
    value = math.sqrt(float(realised[-days:].sum()) / float(forecast[-days:].sum()))
    low, high = ratio_bands(realised[:-days], forecast[:-days], days)
    return VolatilityRatio(days, value, float(low[-1]), float(high[-1]))
