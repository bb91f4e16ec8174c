"""Covariance: volatility and correlation apart, coins and venue basis apart, always PSD.

Correlation is the iterated EWMA of Engle (2002) and Barratt & Boyd (2022): returns are divided by
the volatility forecast before them, clipped, and averaged with a slower half-life of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import Panel
from perptui.estimation.recursion import decay, divided, ewma, lagged

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLIP = 4.2
"""Standardised returns are clipped here (method §3.1)."""
BASIS_FLOOR_PER_DAY = 2e-4
"""Least standard deviation of a contract against its coin: 2 bp a day (method §3.4)."""
BASIS_WINDOW_H = 30 * 24
LEAST_JOINT_DAYS = 20
LEAST_EIGENVALUE = 1e-8
"""Relative to the largest; below it the correlation is repaired."""
_BURN_IN = 5


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation matrix (C, C), whether it had to be repaired, and pairs without joint days."""

    matrix: FloatArray
    repaired: bool
    unknown_pairs: int


def standardise(daily: FloatArray, halflife_days: float) -> FloatArray:
    """Return z = r / s of the day before, clipped at 4.2; (D, N), NaN in holes and at first."""
    variance = lagged(ewma(daily**2, halflife_days))
    seen_before = np.cumsum(np.isfinite(daily), axis=0) - np.isfinite(daily)
    usable = (variance > 0) & (seen_before >= _BURN_IN)
    z = divided(daily, np.sqrt(variance), usable)
    clipped: FloatArray = np.clip(z, -CLIP, CLIP)
    return clipped


def correlate(z: FloatArray, halflife_days: float) -> Correlation:
    """Return the EWMA correlation of standardised returns `z` (D, C), unit diagonal, PSD.

    Each pair uses the days on which both are known. A pair with fewer than `LEAST_JOINT_DAYS` gets
    the mean of the others, and is counted.
    """
    matrix, unknown = pairwise_correlation(z, halflife_days)
    repaired = not is_positive(matrix)
    return Correlation(nearest_correlation(matrix) if repaired else matrix, repaired, unknown)


def pairwise_correlation(z: FloatArray, halflife_days: float) -> tuple[FloatArray, int]:
    """Return what `correlate` does before it repairs: the matrix, and how many pairs are unknown.

    With holes it may have negative eigenvalues; a book's variance through it may then be negative.
    """
    seen = np.isfinite(z)
    root = np.sqrt(decay(halflife_days) ** np.arange(len(z))[::-1])[:, None]
    weighted = np.where(seen, z, 0.0) * root
    squares = (weighted**2).T @ seen.astype(np.float64)
    scale = np.sqrt(squares * squares.T)
    joint = seen.T.astype(np.float64) @ seen.astype(np.float64)
    known = (joint >= LEAST_JOINT_DAYS) & (scale > 0)
    matrix = divided(weighted.T @ weighted, scale, known, 0.0)
    np.fill_diagonal(known, val=True)
    unknown = int(np.count_nonzero(~known)) // 2
    if unknown:
        rest = matrix[known & ~np.eye(len(matrix), dtype=bool)]
        matrix[~known] = float(rest.mean()) if len(rest) else 0.0
    np.fill_diagonal(matrix, 1.0)
    return np.clip((matrix + matrix.T) / 2.0, -1.0, 1.0), unknown


def is_positive(matrix: FloatArray) -> bool:
    """Return whether the least eigenvalue of a symmetric matrix is 1e-8 of the largest, or more."""
    eigenvalues = np.linalg.eigvalsh(matrix)
    return bool(eigenvalues[0] >= LEAST_EIGENVALUE * eigenvalues[-1])


def nearest_correlation(matrix: FloatArray, rounds: int = 200) -> FloatArray:
    """Return the correlation matrix nearest to `matrix` in the Frobenius norm (Higham 2002).

    Alternating projections with Dykstra's correction, onto matrices whose eigenvalues are at least
    1e-8 and onto those with a unit diagonal; the last step rescales to an exact unit diagonal.
    """
    y, correction = matrix.copy(), np.zeros(matrix.shape)
    for _ in range(rounds):
        r = y - correction
        eigenvalues, vectors = np.linalg.eigh(r)
        x = (vectors * np.maximum(eigenvalues, 2 * LEAST_EIGENVALUE * len(matrix))) @ vectors.T
        correction = x - r
        previous, y = y, x.copy()
        np.fill_diagonal(y, 1.0)
        if np.linalg.norm(y - previous) <= 1e-10 * np.linalg.norm(y):
            break
    scale = np.sqrt(np.diag(x))
    nearest: FloatArray = x / np.outer(scale, scale)
    return (nearest + nearest.T) / 2.0


def basis_variance(panel: Panel, horizon_days: float) -> FloatArray:
    """Return each contract's variance against its coin over the horizon, (N,).

    The log price against the mean of the coin's contracts follows an AR(1) by the hour over the
    last 30 days; over H it has (n/(n-1))·s²/(1-phi²)·(1-phi^{48H}), and H days of its hourly
    changes' variance when it does not come back (phi >= 1). n/(n-1) undoes that a coin's mean
    holds the contract itself. Never below (2 bp)²·H.
    """
    _, owner = panel.by_coin()
    floor = BASIS_FLOOR_PER_DAY**2 * horizon_days
    variance = np.full(len(panel.ids), floor)
    recent = panel.hourly[-BASIS_WINDOW_H:]
    for coin in range(int(owner.max()) + 1):
        members = np.flatnonzero(owner == coin)
        joint = recent[:, members][np.isfinite(recent[:, members]).all(axis=1)]
        if len(members) < 2 or len(joint) < 48:
            continue
        level = np.cumsum(joint - joint.mean(axis=1, keepdims=True), axis=0)
        correction = len(members) / (len(members) - 1)
        for column, member in zip(level.T, members, strict=True):
            found = correction * _horizon_variance(column, horizon_days * 24.0)
            variance[member] = max(floor, found)
    return variance


def _horizon_variance(level: FloatArray, hours: float) -> float:
    centred = level - level.mean()
    before, after = centred[:-1], centred[1:]
    spread = float(before @ before)
    if spread == 0.0:
        return 0.0
    phi = float(before @ after) / spread
    if phi >= 1.0:
        return hours * float(np.var(np.diff(level)))
    shock = float(np.var(after - phi * before))
    kept = max(phi, 0.0)
    return float(shock / (1.0 - kept**2) * (1.0 - kept ** (2.0 * hours)))


def assemble(
    coin_variance: FloatArray, correlation: FloatArray, owner: IntArray, own_variance: FloatArray
) -> FloatArray:
    """Return Sigma = A Sigma_coin A' + diag(d²), (N, N): positive definite by construction.

    Parameters
    ----------
    coin_variance : (C,) array
        Over the horizon.
    correlation : (C, C) array
        Of coins, PSD.
    owner : (N,) array
        Column of its coin for each contract.
    own_variance : (N,) array
        d²: what a contract has beyond its coin, over the horizon; positive.
    """
    deviation = np.sqrt(coin_variance)
    of_coins = correlation * np.outer(deviation, deviation)
    sigma: FloatArray = of_coins[np.ix_(owner, owner)] + np.diag(own_variance)
    return sigma


def correlation_of(sigma: FloatArray) -> FloatArray:
    """Return the correlation matrix of a covariance matrix."""
    deviation = np.sqrt(np.diag(sigma))
    matrix: FloatArray = sigma / np.outer(deviation, deviation)
    np.fill_diagonal(matrix, 1.0)
    return matrix
