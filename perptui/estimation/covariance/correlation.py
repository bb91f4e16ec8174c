"""Correlation of coins apart from their volatility: the iterated EWMA, in a batch and by the day.

Returns are divided by the volatility forecast before them, clipped, and averaged with a slower
half-life of their own (Engle 2002; Barratt & Boyd 2022; method §3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance.repair import repair
from perptui.estimation.recursion import decay, divided, ewma, lagged
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CLIP = 4.2
"""Standardised returns are clipped here (method §3.1)."""
LEAST_JOINT_DAYS = 20
_BURN_IN = 5


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation matrix (C, C) of coins, PSD, and what had to be done for it.

    Attributes
    ----------
    repaired : bool
        Whether the nearest correlation matrix was taken (Higham 2002).
    unknown_pairs : int
        Pairs with too few common days, which have the mean of the others.
    shrinkage : float
        d of (1-d)·R + d·(one-factor R); 0 where nothing was shrunk.
    least_before, distance : float
        Least eigenvalue before the repair, Frobenius distance of the repair.
    """

    matrix: FloatArray
    repaired: bool
    unknown_pairs: int
    shrinkage: float = 0.0
    least_before: float = np.nan
    distance: float = 0.0


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
    the mean of the others, and is counted. The least eigenvalue is at least 1e-8 of the largest.
    """
    matrix, unknown = pairwise_correlation(z, halflife_days)
    done = repair(matrix)
    return Correlation(
        done.matrix,
        done.repaired,
        unknown,
        least_before=done.least_before,
        distance=done.distance,
    )


def pairwise_correlation(z: FloatArray, halflife_days: float) -> tuple[FloatArray, int]:
    """Return what `correlate` does before it repairs: the matrix, and how many pairs are unknown.

    With holes it may have negative eigenvalues; a book's variance through it may then be negative.
    """
    return _scaled(*_decayed_products(z, decay(halflife_days)))


def _decayed_products(z: FloatArray, b: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return sums of b^age·z_i z_j, of b^age·z_i² on days of j, and the joint days."""
    seen = np.isfinite(z)
    present = seen.astype(np.float64)
    root = np.sqrt(b ** np.arange(len(z))[::-1])[:, None]
    weighted = np.where(seen, z, 0.0) * root
    return weighted.T @ weighted, (weighted**2).T @ present, present.T @ present


def _scaled(products: FloatArray, squares: FloatArray, joint: FloatArray) -> tuple[FloatArray, int]:
    """Return sums of z_i z_j over the roots of their squares on joint days, and unknown pairs."""
    scale = np.sqrt(squares * squares.T)
    known = (joint >= LEAST_JOINT_DAYS) & (scale > 0)
    matrix = divided(products, scale, known, 0.0)
    np.fill_diagonal(known, val=True)
    unknown = int(np.count_nonzero(~known)) // 2
    if unknown:
        rest = matrix[known & ~np.eye(len(matrix), dtype=bool)]
        matrix[~known] = float(rest.mean()) if len(rest) else 0.0
    np.fill_diagonal(matrix, 1.0)
    return np.clip((matrix + matrix.T) / 2.0, -1.0, 1.0), unknown


@dataclass(frozen=True, slots=True)
class CorrelationState:
    """Everything that the iterated EWMA remembers of C coins: a new day costs O(C²).

    Attributes
    ----------
    volatility_decay, correlation_decay : float
        Weight that one day loses.
    sums, weights, days : (C,) array
        Decayed sum of squared returns, its weights, days seen.
    products, squares : (C, C) array
        Decayed sums of z_i z_j, and of z_i² on the days of j.
    joint : (C, C) array
        Days on which both were known.
    """

    volatility_decay: float
    correlation_decay: float
    sums: FloatArray
    weights: FloatArray
    days: FloatArray
    products: FloatArray
    squares: FloatArray
    joint: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Daily variance forecast of each coin, (C,); NaN before its first day."""
        return divided(self.sums, self.weights, self.weights > 0)

    def correlation(self) -> tuple[FloatArray, int]:
        """Return what `pairwise_correlation` returns for the days so far, within 1e-12."""
        return _scaled(self.products, self.squares, self.joint)


def state_of(
    daily: FloatArray, volatility_halflife_days: float, correlation_halflife_days: float
) -> CorrelationState:
    """Return the state after the days of `daily` (D, C), which may be none; NaN is a hole."""
    fast, slow = decay(volatility_halflife_days), decay(correlation_halflife_days)
    seen = np.isfinite(daily)
    ages: FloatArray = fast ** np.arange(len(daily), dtype=np.float64)[::-1]
    return CorrelationState(
        fast,
        slow,
        ages @ np.where(seen, daily, 0.0) ** 2,
        ages @ seen.astype(np.float64),
        seen.sum(axis=0).astype(np.float64),
        *_decayed_products(standardise(daily, volatility_halflife_days), slow),
    )


def advance(state: CorrelationState, returns: FloatArray) -> CorrelationState:
    """Return the state after one more day of log returns (C,); NaN is a hole.

    Raises
    ------
    EstimationError
        When there are not as many returns as coins.
    """
    if returns.shape != state.sums.shape:
        raise EstimationError(
            f"expected a day of {len(state.sums)} coins, was {returns.shape}; begin anew"
        )
    z = _standardised_row(state, returns)
    known = np.isfinite(z).astype(np.float64)
    filled = np.where(np.isfinite(z), z, 0.0)
    seen = np.isfinite(returns)
    slow, fast = state.correlation_decay, state.volatility_decay
    return CorrelationState(
        fast,
        slow,
        fast * state.sums + np.where(seen, returns, 0.0) ** 2,
        fast * state.weights + seen,
        state.days + seen,
        slow * state.products + np.outer(filled, filled),
        slow * state.squares + np.outer(filled**2, known),
        state.joint + np.outer(known, known),
    )


def _standardised_row(state: CorrelationState, returns: FloatArray) -> FloatArray:
    variance = state.variance
    usable = (variance > 0) & (state.days >= _BURN_IN) & np.isfinite(returns)
    z = divided(returns, np.sqrt(np.where(usable, variance, 1.0)), usable)
    clipped: FloatArray = np.clip(z, -CLIP, CLIP)
    return clipped


def correlation_of(sigma: FloatArray) -> FloatArray:
    """Return the correlation matrix of a covariance matrix."""
    deviation = np.sqrt(np.diag(sigma))
    matrix: FloatArray = sigma / np.outer(deviation, deviation)
    np.fill_diagonal(matrix, 1.0)
    return matrix
