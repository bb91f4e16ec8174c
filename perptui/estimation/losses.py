"""Losses that judge forecasts, elementwise; NaN where there is no verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided

FloatArray = NDArray[np.float64]


def qlike(realised: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return s²/h - ln(s²/h) - 1, elementwise; 0 for a perfect forecast (Patton 2011).

    NaN where either is NaN or not positive: no verdict, rather than a good one. Under-forecasting
    variance by a factor of two costs .307, over-forecasting .193.
    """
    usable = (realised > 0) & (forecast > 0)
    ratio = divided(realised, forecast, usable)
    loss: FloatArray = ratio - np.log(ratio) - 1.0
    return loss


def squared_error(realised: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return (s² - h)², elementwise, in the square of their unit; NaN where either is NaN."""
    loss: FloatArray = (realised - forecast) ** 2
    return loss


def tick_loss(returns: FloatArray, value_at_risk: FloatArray, tail: float) -> FloatArray:
    """Return the quantile score (p - 1[r < q])·(r - q) with q = -VaR, elementwise, never negative.

    Its mean is least for the true p-quantile of `returns` (Koenker & Bassett 1978). `value_at_risk`
    is a positive loss fraction; `tail` p is .05 for the 95 % VaR.
    """
    above = returns + value_at_risk
    loss: FloatArray = np.where(above < 0, (tail - 1.0) * above, tail * above)
    return loss
