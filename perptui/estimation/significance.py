"""Probabilities of test statistics; scipy is loaded when the first one is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def student_two_sided(t: float, freedom: float) -> float:
    """Return P(|X| >= |t|) of a Student t with `freedom` degrees of freedom."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(t)))


def chi_squared_beyond(statistic: float, freedom: float) -> float:
    """Return P(X >= statistic) of a chi-squared X with `freedom` degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, max(statistic, 0.0)))


def chi_squared_quantiles(probability: float, freedom: FloatArray) -> FloatArray:
    """Return x with P(X <= x) = `probability`, elementwise; `freedom` need not be whole."""
    from scipy.special import gammaincinv

    quantiles: FloatArray = 2.0 * gammaincinv(freedom / 2.0, probability)
    return quantiles


def binomial_at_most(count: int, trials: int, probability: float) -> float:
    """Return P(X <= count) of a binomial X."""
    from scipy.special import bdtr

    return float(bdtr(count, trials, probability))
