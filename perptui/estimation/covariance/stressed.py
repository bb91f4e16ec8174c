"""The covariance under stress: coins closer together and everything more volatile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

VOLATILITY_FACTOR = 2.0
"""k: "volatility doubled" (method §3.7)."""
TOWARDS_ONE = 0.5
"""l of the stressed correlation (1-l)·R + l·11'."""


def stressed_correlation(matrix: FloatArray, towards_one: float = TOWARDS_ONE) -> FloatArray:
    """Return (1-l)·R + l·11' (C, C): positive where R is, unit diagonal.

    Raises
    ------
    EstimationError
        When l is not in [0, 1].
    """
    if not 0.0 <= towards_one <= 1.0:
        raise EstimationError(f"expected l in 0..1, was {towards_one}; mend the stress")
    stressed: FloatArray = (1.0 - towards_one) * matrix + towards_one
    np.fill_diagonal(stressed, 1.0)
    return stressed


def check_volatility_factor(factor: float) -> None:
    """Refuse a factor that would calm instead of stress.

    Raises
    ------
    EstimationError
        When it is not finite or below 1.
    """
    if not (np.isfinite(factor) and factor >= 1.0):
        raise EstimationError(f"expected a volatility factor of 1 or more, was {factor}; mend it")
