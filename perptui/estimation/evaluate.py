"""Losses that judge variance forecasts."""

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
