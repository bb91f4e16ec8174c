"""The Ornstein-Uhlenbeck process of funding: fitted at mixed intervals, and its sums.

Seen every d hours it is an AR(1) with phi_d = exp(-kappa d) (method §1.2). One kappa serves pairs
of all distances, so that a contract settled at 8 h, then 2 h, has one persistence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.series import Settled, known_by
from perptui.estimation.recursion import divided
from perptui.model.clock import DAY_MS, HOUR_MS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_SETTLEMENTS = 60
"""Fewer pairs and persistence is not estimated: each rate is then taken for a fresh draw."""
LARGEST_PHI = 0.98
LEAST_SD = 1e-12
"""By the hour: rates that move less are constant but for rounding."""
MOST_DISTANCES = 8
"""Distances between settlements that a fit takes in: the commonest; the rest are gaps."""
_GRID = np.linspace(np.log(1e-4), np.log(2.0), 200)
"""Of ln kappa, by the hour: half-lives from 290 days to 20 minutes."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """The process fitted at each origin; every array is (G,).

    `kappa` by the hour, infinite where persistence was not estimated or not found; `stationary`
    the variance of the hourly rate under it; `count` the pairs of settlements in the window.
    """

    kappa: FloatArray
    stationary: FloatArray
    count: IntArray


def sum_weight(phi: float, n: float) -> float:
    """Return (1-phi^n)/(1-phi) = 1 + phi + ... + phi^(n-1); n at phi = 1."""
    return n if phi == 1.0 else (1.0 - phi**n) / (1.0 - phi)


def sum_mean(
    theta: float, phi: float, n: int, *, last: float | None = None, first: float | None = None
) -> float:
    """Return E of the sum of the next n rates of an AR(1).

    With the coming rate `first` known: n theta + (first-theta)(1-phi^n)/(1-phi); with the `last`
    settled one alone: n theta + (last-theta) phi (1-phi^n)/(1-phi).

    Raises
    ------
    ValueError
        Unless exactly one of `last` and `first` is given.
    """
    if (last is None) == (first is None):
        raise ValueError("expected one of last and first, was both or none; give one")
    start = phi * (last - theta) if first is None and last is not None else (first or 0.0) - theta
    return n * theta + start * sum_weight(phi, n)


def sum_variance(shock_variance: float, phi: float, n: int) -> float:
    """Return Var of the sum of the next n rates of an AR(1) given the last settled one.

    V(n) = s²/(1-phi)² · [n - 2 phi (1-phi^n)/(1-phi) + phi² (1-phi^{2n})/(1-phi²)], which is s²
    times the sum over k = 1..n of ((1-phi^k)/(1-phi))².
    """
    if n <= 0:
        return 0.0
    bracket = n - 2 * phi * sum_weight(phi, n) + phi**2 * sum_weight(phi**2, n)
    return shock_variance / (1.0 - phi) ** 2 * bracket


def corrected_phi(phi: FloatArray, count: FloatArray | float) -> FloatArray:
    """Return phi + (1+3 phi)/T, at most .98: Kendall's (1954) correction of the downward bias."""
    corrected: FloatArray = np.minimum(phi + (1.0 + 3.0 * phi) / count, LARGEST_PHI)
    return corrected


def fit_persistence(settled: Settled, origins: IntArray, window_days: int) -> Persistence:
    """Fit the process at each origin, on the `window_days` before it, from what was known then.

    The exact discretisation is Gaussian with mean m + phi_d (u - m) and variance
    s² (1 - phi_d²); with m the window's mean and s² profiled out, kappa minimises
    N ln s² + sum over d of n_d ln(1 - phi_d²), s² = (1/N) sum of RSS_d/(1 - phi_d²), on a grid
    and by a parabola through its three lowest points. At one distance that is least squares.
    Kendall's correction acts at the mean distance d: phi_d = min(phi_d+(1+3 phi_d)/N, .98).
    """
    pairs = _Pairs.of(settled)
    until = np.maximum(known_by(settled, origins) - 1, 0)
    after = np.minimum(known_by(settled, origins - window_days * DAY_MS - 1), until)
    n, xx, xy, yy = pairs.moments(until, after)
    count = n.sum(axis=1).astype(np.int64)
    total = np.maximum(n.sum(axis=1), 1.0)
    log_kappa = _lowest(_profile(pairs.distance_h, n, xx, xy, yy, total))
    typical = np.maximum(n @ pairs.distance_h / total, 1.0)
    phi = np.exp(-np.exp(log_kappa) * typical)
    # An interior optimum: at the quick end of the grid nothing is left after one interval.
    phi = np.where(log_kappa >= _GRID[-1], 0.0, phi)
    corrected = corrected_phi(phi, total)
    known = (count >= LEAST_SETTLEMENTS) & (phi > 0.0)
    spread = (yy.sum(axis=1) + xx.sum(axis=1)) / (2.0 * total)
    known &= spread > LEAST_SD**2
    kappa = np.full(len(origins), np.inf)
    kappa[known] = -np.log(corrected[known]) / typical[known]
    return Persistence(kappa, spread, count)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Sums over neighbouring settlements by their distance; `sums` is (K, 6, T), from none on.

    The six are of 1, x, y, x², xy and y², x and y the hourly rates of a pair.
    """

    distance_h: FloatArray
    sums: FloatArray

    @classmethod
    def of(cls, settled: Settled) -> _Pairs:
        gaps = np.diff(settled.ts_ms)
        distances, counts = np.unique(gaps, return_counts=True)
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_DISTANCES])
        u = settled.hourly
        x, y = u[:-1], u[1:]
        six = np.array([np.ones(len(x)), x, y, x * x, x * y, y * y])
        sums = np.zeros((len(chosen), 6, len(x) + 1))
        for k, distance in enumerate(distances[chosen]):
            np.cumsum(six * (gaps == distance), axis=1, out=sums[k, :, 1:])
        return cls(distances[chosen] / HOUR_MS, sums)

    def moments(self, until: IntArray, after: IntArray) -> tuple[FloatArray, ...]:
        """Return n, sums of x², xy and y² about the window's mean, each (G, K)."""
        inside = self.sums[:, :, until] - self.sums[:, :, after]
        n, x, y, xx, xy, yy = inside.transpose(1, 2, 0)
        every = n.sum(axis=1)
        mean = divided((x + y).sum(axis=1), 2.0 * every, every > 0, 0.0)[:, None]
        return (
            n,
            np.maximum(xx - 2 * mean * x + n * mean**2, 0.0),
            xy - mean * (x + y) + n * mean**2,
            np.maximum(yy - 2 * mean * y + n * mean**2, 0.0),
        )


def _profile(
    distance_h: FloatArray,
    n: FloatArray,
    xx: FloatArray,
    xy: FloatArray,
    yy: FloatArray,
    total: FloatArray,
) -> FloatArray:
    """Return -2 ln L less constants over the grid of kappa, (G, grid)."""
    phi = np.exp(-np.outer(np.exp(_GRID), distance_h))
    left = 1.0 - phi**2
    squares = yy @ (1.0 / left).T - 2.0 * xy @ (phi / left).T + xx @ (phi**2 / left).T
    mean = np.maximum(squares / total[:, None], np.finfo(np.float64).tiny)
    profile: FloatArray = total[:, None] * np.log(mean) + n @ np.log(left).T
    return profile


def _lowest(profile: FloatArray) -> FloatArray:
    """Return where each row is lowest on the grid, by a parabola through three points."""
    best = np.argmin(profile, axis=1)
    middle = np.clip(best, 1, len(_GRID) - 2)
    rows = np.arange(len(profile))
    low, at, high = (profile[rows, middle + step] for step in (-1, 0, 1))
    bend = low - 2.0 * at + high
    shift = divided(0.5 * (low - high), bend, bend > 0.0, 0.0)
    inside = best == middle
    width = _GRID[1] - _GRID[0]
    where: FloatArray = np.where(inside, _GRID[middle] + np.clip(shift, -1, 1) * width, _GRID[best])
    return where


def reach(
    kappa: FloatArray, interval_h: FloatArray | float, hours: FloatArray | float
) -> FloatArray:
    """Return the share of a deviation now that lasts, on average, over the next `hours`.

    phi (1-phi^n) / (n (1-phi)) with phi = exp(-kappa d) and n = hours/d: the mean over the span
    of the AR(1)'s expected deviations from its level, per unit of the last one.
    """
    phi = np.minimum(np.exp(-kappa * interval_h), LARGEST_PHI)
    n = np.maximum(hours / np.asarray(interval_h), 1.0)
    share: FloatArray = phi * (1.0 - phi**n) / ((1.0 - phi) * n)
    return share


def sum_variances(
    stationary: FloatArray,
    kappa: FloatArray,
    interval_h: FloatArray | float,
    hours: FloatArray | float,
) -> FloatArray:
    """Return Var of the sum over the next `hours` given the last rate: V(n) of method §1.2."""
    phi = np.minimum(np.exp(-kappa * interval_h), LARGEST_PHI)
    n = np.maximum(hours / np.asarray(interval_h), 1.0)
    shock = stationary * (1.0 - phi**2) * np.asarray(interval_h) ** 2
    bracket = (
        n
        - 2.0 * phi * (1.0 - phi**n) / (1.0 - phi)
        + phi**2 * (1.0 - phi ** (2 * n)) / (1.0 - phi**2)
    )
    variance: FloatArray = shock / (1.0 - phi) ** 2 * np.maximum(bracket, 0.0)
    return variance
