"""Shrinkage of covariance and correlation matrices: linear to three targets, and nonlinear.

Samples are (T, N) without holes for the estimators of whole covariances; the intensity for the
desk's correlation takes holes and exponential weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import decay, divided
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

LEAST_ROWS_NONLINEAR = 12
"""Effective rows that the kernel of the nonlinear estimator needs (Ledoit & Wolf 2020)."""
CONCENTRATION = 0.2
"""Columns by rows above which nonlinear shrinkage is worth its cost (method §3.5)."""
TARGETS = ("one factor", "identity", "constant correlation", "nonlinear", "by size", "none")
"""What a correlation may be shrunk to; the first is the desk's."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A covariance matrix (N, N), positive semidefinite, and the weight of the target in it."""

    matrix: FloatArray
    intensity: float


def ledoit_wolf_identity(x: FloatArray) -> Shrunk:
    """Return the sample covariance of `x` (T, N) shrunk to its mean variance times I.

    Ledoit & Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".

    Raises
    ------
    EstimationError
        When `x` has holes or fewer than two rows.
    """
    centred, sample = _moments(x)
    target = np.eye(len(sample)) * (np.trace(sample) / len(sample))
    apart = float(np.sum((sample - target) ** 2))
    squares = centred**2
    error = float(np.sum(squares.T @ squares / len(x) - sample**2)) / len(x)
    return _mixed(sample, target, error, apart)


def ledoit_wolf_single_factor(x: FloatArray) -> Shrunk:
    """Return the sample covariance of `x` (T, N) shrunk to a one-factor model of itself.

    The factor is the equal-weight mean of the columns. Ledoit & Wolf (2003), "Improved estimation
    of the covariance matrix of stock returns".

    Raises
    ------
    EstimationError
        When `x` has holes or fewer than two rows.
    """
    centred, sample = _moments(x)
    target = one_factor(sample)
    rows = np.full(len(x), 1.0 / len(x))
    error, apart = _single_factor_terms(centred, rows)
    return _mixed(sample, target, error / len(x), apart)


def ledoit_wolf_constant_correlation(x: FloatArray) -> Shrunk:
    """Return the sample covariance of `x` (T, N) shrunk to its variances with one correlation.

    Ledoit & Wolf (2004), "Honey, I shrunk the sample covariance matrix".

    Raises
    ------
    EstimationError
        When `x` has holes, fewer than two rows or two columns, or a constant column.
    """
    centred, sample = _moments(x)
    size, deviation = len(sample), np.sqrt(np.diag(sample))
    moves = deviation > 1e-12 * np.max(np.abs(x), axis=0)
    if size < 2 or not moves.all():
        raise EstimationError(
            f"expected two or more columns that move, were {int(moves.sum())}; leave constants out"
        )
    scale = np.outer(deviation, deviation)
    off = ~np.eye(size, dtype=bool)
    mean = float((sample / scale)[off].mean())
    target = np.where(off, mean * scale, sample)
    squares, cubes = centred**2, centred**3
    pi = squares.T @ squares / len(x) - sample**2
    theta = cubes.T @ centred / len(x) - np.diag(sample)[:, None] * sample
    shared = np.outer(1.0 / deviation, deviation) * theta
    rho = float(np.trace(pi)) + mean * float(shared[off].sum())
    apart = float(np.sum((sample - target) ** 2))
    return _mixed(sample, target, (float(pi.sum()) - rho) / len(x), apart)


def shrink_sample(x: FloatArray, target: str) -> Shrunk:
    """Return the sample covariance of `x` (T, N) shrunk to one of `TARGETS`.

    "by size" is nonlinear where N/T is above .2 and to one factor below; nonlinear has no
    intensity: 1 stands there.

    Raises
    ------
    EstimationError
        When there is no such target, or the sample is refused by its estimator.
    """
    if target == "by size":
        target = "nonlinear" if x.shape[1] > CONCENTRATION * len(x) else "one factor"
    linear = {
        "one factor": ledoit_wolf_single_factor,
        "identity": ledoit_wolf_identity,
        "constant correlation": ledoit_wolf_constant_correlation,
    }
    if target in linear:
        return linear[target](x)
    if target == "nonlinear":
        return Shrunk(analytical_nonlinear(x), 1.0)
    if target == "none":
        return Shrunk(_moments(x)[1], 0.0)
    raise EstimationError(
        f"expected one of {', '.join(TARGETS)}, was {target!r}; mend the estimate's settings"
    )


def analytical_nonlinear(x: FloatArray) -> FloatArray:
    """Return the covariance of `x` (T, N) with each eigenvalue shrunk by the kernel formula.

    Ledoit & Wolf (2020), "Analytical nonlinear shrinkage of large-dimensional covariance
    matrices", equations 4.3 to 4.10 and C.8 for more columns than rows: Epanechnikov kernel,
    bandwidth n^(-1/3)·eigenvalue, n one less than the rows because the mean is removed.

    Raises
    ------
    EstimationError
        When `x` has holes, fewer than 13 rows, or a sample covariance of lower rank than it may.
    """
    if len(x) - 1 < LEAST_ROWS_NONLINEAR:
        raise EstimationError(
            f"expected {LEAST_ROWS_NONLINEAR + 1} rows or more, was {len(x)}; shrink linearly"
        )
    centred, _ = _moments(x)
    n, size = len(x) - 1, x.shape[1]
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred / n)
    found = eigenvalues[max(0, size - n) :]
    if found[0] <= 1e-12 * found[-1]:
        raise EstimationError(
            f"expected columns apart from each other, was a sample of rank below {len(found)}; "
            "leave constants and copies out"
        )
    shrunk = _kernel_shrinkage(found, size, n)
    matrix: FloatArray = (vectors * shrunk) @ vectors.T
    return matrix


def _kernel_shrinkage(found: FloatArray, size: int, n: int) -> FloatArray:
    """Return the shrunk eigenvalues (size,), rising positions, from the sample's min(size, n)."""
    width = n ** (-1.0 / 3.0)
    x = (found[:, None] - found[None, :]) / (width * found[None, :])
    root = np.sqrt(5.0)
    kernel = 0.75 / root * np.maximum(1.0 - x**2 / 5.0, 0.0)
    density = np.mean(kernel / (width * found[None, :]), axis=1)
    at_edge = np.abs(x) == root
    logarithm = np.log(np.abs((root - x) / (root + x)), where=~at_edge, out=np.zeros(x.shape))
    transform = -0.3 / np.pi * x + 0.75 / root / np.pi * (1.0 - x**2 / 5.0) * logarithm
    hilbert = np.mean(transform / (width * found[None, :]), axis=1)
    ratio = size / n
    if size <= n:
        real = 1.0 - ratio - np.pi * ratio * found * hilbert
        below: FloatArray = (np.pi * ratio * found * density) ** 2 + real**2
        return found / below
    edge = 0.3 / width**2 + 0.75 / root / width * (1.0 - 0.2 / width**2) * np.log(
        (1.0 + root * width) / (1.0 - root * width)
    )
    at_zero = edge / np.pi * float(np.mean(1.0 / found))
    null = 1.0 / (np.pi * (size - n) / n * at_zero)
    positive = 1.0 / (np.pi**2 * found * (density**2 + hilbert**2))
    return np.concatenate([np.full(size - n, null), positive])


def one_factor(matrix: FloatArray) -> FloatArray:
    """Return the one-factor model of a covariance or correlation matrix, same diagonal, (N, N).

    The factor is the equal-weight mean: F_ij = c_i c_j / v with c the covariances with it and v
    its variance (Ledoit & Wolf 2003). Positive where each |c_i| is below sqrt(v·matrix_ii).
    """
    total = matrix.sum(axis=1)
    variance = float(total.sum())
    target = np.outer(total, total) / variance if variance > 0 else np.zeros(matrix.shape)
    np.fill_diagonal(target, np.diag(matrix))
    return target


def single_factor_intensity(z: FloatArray, halflife_days: float) -> float:
    """Return d in [0, 1] for (1-d)·R + d·(one-factor R), R the EWMA correlation of `z` (D, C).

    Ledoit & Wolf's (2003) optimum (pi - rho)/(gamma·T) with every mean taken at the EWMA's
    weights w, each pair on its joint days, and T the effective number of days 1/sum(w²), which is
    2.9 half-lives on a long history. 0 with fewer than three coins, where both agree.
    """
    if z.shape[1] < 3:
        return 0.0
    weights = decay(halflife_days) ** np.arange(len(z))[::-1]
    weights = weights / weights.sum()
    error, apart = _single_factor_terms(z, weights)
    if apart <= 0.0:
        return 0.0
    return float(np.clip(error * float(weights @ weights) / apart, 0.0, 1.0))


def _single_factor_terms(z: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Return pi - rho and gamma of Ledoit & Wolf (2003) with weighted means over joint days.

    Only off-diagonal terms are summed: on the diagonal pi and rho are the same and gamma is 0.
    """
    seen = np.isfinite(z)
    any_seen: NDArray[np.bool_] = np.any(seen, axis=1)
    present = seen.astype(np.float64)
    joint = present.T @ (weights[:, None] * present)
    x = np.where(seen, z, 0.0)
    market = divided(x.sum(axis=1), present.sum(axis=1), any_seen, 0.0)[:, None]

    def mean(left: FloatArray, right: FloatArray) -> FloatArray:
        return divided((weights[:, None] * left).T @ right, joint, joint > 0, 0.0)

    s, alone = mean(x, x), np.diag(joint)
    with_market = divided(x.T @ (weights * market[:, 0]), alone, alone > 0, 0.0)
    variance = float(weights @ market[:, 0] ** 2) / max(float(weights @ any_seen), 1e-300)
    if variance <= 0.0:
        return 0.0, 0.0
    off = ~np.eye(len(s), dtype=bool) & (joint > 0)
    slope = with_market / variance
    pi = mean(x**2, x**2) - s**2
    a = mean(x**2 * market, x) - with_market[:, None] * s
    b = mean(x * market**2, x) - variance * s
    rho = 2.0 * slope[None, :] * a - np.outer(slope, slope) * b
    gap = np.outer(slope, with_market) - s
    return float((pi - rho)[off].sum()), float((gap[off] ** 2).sum())


def _moments(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    if x.ndim != 2 or len(x) < 2:
        raise EstimationError(f"expected two or more rows of returns, was {x.shape}; wait for more")
    holes = int(np.count_nonzero(~np.isfinite(x)))
    if holes:
        raise EstimationError(
            f"expected returns without holes, were {holes} of {x.size}; take joint days only"
        )
    centred = x - x.mean(axis=0)
    return centred, centred.T @ centred / len(x)


def _mixed(sample: FloatArray, target: FloatArray, error: float, apart: float) -> Shrunk:
    intensity = float(np.clip(error / apart, 0.0, 1.0)) if apart > 0 else 0.0
    return Shrunk((1.0 - intensity) * sample + intensity * target, intensity)
