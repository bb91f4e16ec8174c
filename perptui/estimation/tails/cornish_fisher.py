"""Cornish-Fisher: a normal quantile corrected for skewness and kurtosis, where it is monotone.

q(z) = z + (z²-1)S/6 + (z³-3z)K/24 - (2z³-5z)S²/36 with K in excess of 3. S and K are the
expansion's parameters; near zero they are the skewness and kurtosis of q(Z) (Maillard 2012).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from perptui.estimation.tails.sample import Tail, check_level
from perptui.model.errors import EstimationError


def expanded_quantile(z: float, skewness: float, kurtosis: float) -> float:
    """Return q(z); `kurtosis` in excess of the normal's."""
    return (
        z
        + (z**2 - 1.0) * skewness / 6.0
        + (z**3 - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z**3 - 5.0 * z) * skewness**2 / 36.0
    )


def is_monotone(skewness: float, kurtosis: float) -> bool:
    """Return whether q rises everywhere: only then is it a quantile.

    q'(z) = A z² + B z + C with A = K/8 - S²/6, B = S/3, C = 1 - K/8 + 5S²/36 is nowhere negative
    when A >= 0, C >= 0 and B² <= 4AC (method §4).
    """
    a = kurtosis / 8.0 - skewness**2 / 6.0
    b = skewness / 3.0
    c = 1.0 - kurtosis / 8.0 + 5.0 * skewness**2 / 36.0
    return a >= 0.0 and c >= 0.0 and b**2 <= 4.0 * a * c


def cornish_fisher_tail(
    mean: float, deviation: float, skewness: float, kurtosis: float, level: float
) -> Tail:
    """Return VaR = -(mu + s q(z)) and the shortfall, the mean of q over the tail.

    With a = 1 - level and z its normal quantile, the Hermite polynomials He_n integrate to
    -He_{n-1}(z) phi(z) over the tail, so that the shortfall is
    -mu + s phi(z)/a·(1 + z S/6 + (z²-1)K/24 - (2z²-1)S²/36).

    Raises
    ------
    EstimationError
        Where q is not monotone, or an argument is not finite.
    """
    check_level(level)
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0.0):
        raise EstimationError(
            f"expected a finite mean and a deviation of 0 or more, was {mean} and {deviation}; "
            "leave the book out"
        )
    if not is_monotone(skewness, kurtosis):
        raise EstimationError(
            f"expected a monotone Cornish-Fisher quantile, was skewness {skewness:.2f} and "
            f"excess kurtosis {kurtosis:.2f}; take the filtered historical figure"
        )
    tail = 1.0 - level
    z = NormalDist().inv_cdf(tail)
    correction = (
        1.0
        + z * skewness / 6.0
        + (z**2 - 1.0) * kurtosis / 24.0
        - (2.0 * z**2 - 1.0) * skewness**2 / 36.0
    )
    var = -(mean + deviation * expanded_quantile(z, skewness, kurtosis))
    return Tail(var, -mean + deviation * NormalDist().pdf(z) / tail * correction)
