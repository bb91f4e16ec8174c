"""Value at risk and expected shortfall of a normal and of a Student t return.

The t has the standard deviation that it is given: its quantile is scaled by sqrt((nu-2)/nu).
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.tails.sample import Tail, check_level, check_varies
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

FEWEST_DEGREES, MOST_DEGREES = 2.1, 100.0
"""Bounds of the fit: two degrees have no variance, a hundred are a normal in all but name."""
LEAST_RESIDUALS = 60
_GRID = 25
_ROUNDS = 4
_STEPS = 60
_NODES = 96


def normal_tail(mean: float, deviation: float, level: float) -> Tail:
    """Return VaR = -(mu + s z) and ES = -(mu - s phi(z)/a), a = 1 - level, z its quantile.

    Raises
    ------
    EstimationError
        When the deviation is negative or not finite, or the level is no probability.
    """
    _check_moments(mean, deviation, level)
    z = NormalDist().inv_cdf(1.0 - level)
    return Tail(-(mean + deviation * z), -mean + deviation * NormalDist().pdf(z) / (1.0 - level))


def student_tail(mean: float, deviation: float, degrees: float, level: float) -> Tail:
    """Return VaR and ES of mu + s sqrt((nu-2)/nu) T, T Student with nu degrees of freedom.

    ES of T beyond its quantile t is f(t)/a·(nu + t²)/(nu - 1) (McNeil, Frey & Embrechts 2005,
    eq. 2.25).

    Raises
    ------
    EstimationError
        As `normal_tail`, and when `degrees` is not above two.
    """
    _check_moments(mean, deviation, level)
    if not degrees > 2.0:
        raise EstimationError(
            f"expected more than two degrees of freedom, was {degrees}; it has no variance"
        )
    tail = 1.0 - level
    t = student_quantile(tail, degrees)
    scale = deviation * math.sqrt((degrees - 2.0) / degrees)
    shortfall = student_density(t, degrees) / tail * (degrees + t**2) / (degrees - 1.0)
    return Tail(-(mean + scale * t), -mean + scale * shortfall)


def _check_moments(mean: float, deviation: float, level: float) -> None:
    check_level(level)
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0.0):
        raise EstimationError(
            f"expected a finite mean and a deviation of 0 or more, was {mean} and {deviation}; "
            "leave the book out"
        )


def student_density(t: float, degrees: float) -> float:
    """Return the density of Student's t."""
    log_constant = _log_constant(degrees) - 0.5 * math.log(degrees)
    return math.exp(log_constant - 0.5 * (degrees + 1.0) * math.log1p(t**2 / degrees))


def _log_constant(degrees: float) -> float:
    gamma = math.lgamma(0.5 * (degrees + 1.0)) - math.lgamma(0.5 * degrees)
    return gamma - 0.5 * math.log(math.pi)


def student_probability(t: float, degrees: float) -> float:
    """Return P(T <= t) for t <= 0, to about twelve digits.

    With t = -sqrt(nu) tan(u) the density is c cos^{nu-1}(u), which Gauss-Legendre nodes integrate
    from arctan(|t|/sqrt(nu)) to pi/2.
    """
    begin = math.atan(-t / math.sqrt(degrees))
    half = (math.pi / 2.0 - begin) / 2.0
    nodes, weights = _nodes()
    height = np.cos(begin + half * (nodes + 1.0)) ** (degrees - 1.0)
    return math.exp(_log_constant(degrees)) * half * float(weights @ height)


@cache
def _nodes() -> tuple[FloatArray, FloatArray]:
    """Return the Gauss-Legendre nodes and weights on (-1, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def student_quantile(probability: float, degrees: float) -> float:
    """Return t with P(T <= t) = `probability`, below one half, by Newton's method.

    The normal quantile stands right of the t's. Left of zero the distribution function is convex,
    so that from there the steps come down to the root one after another. (`scipy.special` has it,
    and takes longer to import than all tails take.)
    """
    t = NormalDist().inv_cdf(probability)
    for _ in range(_STEPS):
        step = (student_probability(t, degrees) - probability) / student_density(t, degrees)
        t -= step
        if step <= 1e-12 * abs(t):
            break
    return t


def fit_degrees(residuals: FloatArray) -> float:
    """Return the degrees of freedom that maximise the likelihood of residuals (T,).

    The residuals are centred and scaled to unit variance; the t's scale is sqrt((nu-2)/nu), so
    that one parameter is left. Searched on 1/nu by successive grids between `FEWEST_DEGREES` and
    `MOST_DEGREES`.

    Raises
    ------
    EstimationError
        With fewer than `LEAST_RESIDUALS`, or as `check_varies` does.
    """
    if len(residuals) < LEAST_RESIDUALS:
        raise EstimationError(
            f"expected at least {LEAST_RESIDUALS} residuals for a t, was {len(residuals)}; wait"
        )
    check_varies(np.sort(residuals))
    deviation = float(residuals.std())
    squares = ((residuals - residuals.mean()) / deviation) ** 2
    low, high = 1.0 / MOST_DEGREES, 1.0 / FEWEST_DEGREES
    for _ in range(_ROUNDS):
        inverse = np.linspace(low, high, _GRID)
        best = int(np.argmax(_likelihoods(squares, 1.0 / inverse)))
        low, high = float(inverse[max(best - 1, 0)]), float(inverse[min(best + 1, _GRID - 1)])
    return float(1.0 / inverse[best])


def _likelihoods(squares: FloatArray, degrees: FloatArray) -> FloatArray:
    """Return the mean log-likelihood (M,) of the t with unit variance at each of `degrees` (M,)."""
    constant = np.array([_log_constant(each) for each in degrees.tolist()])
    spread = np.log1p(np.outer(1.0 / (degrees - 2.0), squares)).mean(axis=1)
    found: FloatArray = constant - 0.5 * np.log(degrees - 2.0) - 0.5 * (degrees + 1.0) * spread
    return found
