"""Correlation matrices that are not positive: the nearest one that is, and what the repair did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_EIGENVALUE = 1e-8
"""Relative to the largest; below it the correlation is repaired (method §3.6)."""
_TOLERANCE = 1e-10
_SUFFICIENT_DECREASE = 1e-4
_MOST_NEWTON = 60
_MOST_HALVINGS = 30
_MOST_CONJUGATE = 60


@dataclass(frozen=True, slots=True)
class Repair:
    """A correlation matrix (C, C) and what was done to make it positive.

    Attributes
    ----------
    repaired : bool
        Whether anything was done.
    least_before : float
        Least eigenvalue of what was given.
    distance : float
        Frobenius distance from what was given; 0 where nothing was done.
    """

    matrix: FloatArray
    repaired: bool
    least_before: float
    distance: float


def repair(matrix: FloatArray) -> Repair:
    """Return `matrix` (C, C) itself where it is positive, else the nearest correlation matrix."""
    eigenvalues = np.linalg.eigvalsh(matrix)
    least = float(eigenvalues[0])
    if least >= LEAST_EIGENVALUE * float(eigenvalues[-1]):
        return Repair(matrix, repaired=False, least_before=least, distance=0.0)
    nearest = nearest_correlation(matrix)
    distance = float(np.linalg.norm(nearest - matrix))
    return Repair(nearest, repaired=True, least_before=least, distance=distance)


def is_positive(matrix: FloatArray) -> bool:
    """Return whether the least eigenvalue of a symmetric matrix is 1e-8 of the largest, or more."""
    eigenvalues = np.linalg.eigvalsh(matrix)
    return bool(eigenvalues[0] >= LEAST_EIGENVALUE * eigenvalues[-1])


def nearest_correlation(matrix: FloatArray) -> FloatArray:
    """Return the correlation matrix nearest to `matrix` in the Frobenius norm (Higham 2002).

    Found by the semismooth Newton method of Qi & Sun (2006) on the dual: minimise
    ½||(G + Diag(y))_+||² - t·sum(y), whose gradient diag((G + Diag(y))_+) - t vanishes where the
    projection has the diagonal t. With G = matrix - e·I and t = 1 - e its eigenvalues are at least
    e = 2e-8·C; the last step rescales to an exact unit diagonal.
    """
    size = len(matrix)
    floor = 2.0 * LEAST_EIGENVALUE * size
    given = (matrix + matrix.T) / 2.0 - floor * np.eye(size)
    target = 1.0 - floor
    shift = np.zeros(size)
    point = _Dual.at(given, shift, target)
    for _ in range(_MOST_NEWTON):
        if np.linalg.norm(point.gradient) <= _TOLERANCE * size:
            break
        step = _conjugate_gradients(point.curvature(), -point.gradient)
        shift, point = _descend(given, target, shift, step, point)
    nearest = point.projection + floor * np.eye(size)
    scale = np.sqrt(np.diag(nearest))
    nearest = nearest / np.outer(scale, scale)
    np.fill_diagonal(nearest, 1.0)
    symmetric: FloatArray = (nearest + nearest.T) / 2.0
    return symmetric


@dataclass(frozen=True, slots=True)
class _Dual:
    """The dual at one point: its value, gradient, projection, and the decomposition of it."""

    value: float
    gradient: FloatArray
    projection: FloatArray
    eigenvalues: FloatArray
    vectors: FloatArray

    @classmethod
    def at(cls, given: FloatArray, shift: FloatArray, target: float) -> _Dual:
        eigenvalues, vectors = np.linalg.eigh(given + np.diag(shift))
        kept = np.maximum(eigenvalues, 0.0)
        projection = (vectors * kept) @ vectors.T
        value = 0.5 * float(kept @ kept) - target * float(shift.sum())
        return cls(value, np.diag(projection) - target, projection, eigenvalues, vectors)

    def curvature(self) -> Callable[[FloatArray], FloatArray]:
        """Return h -> V h, an element of the generalised Hessian times h.

        V h = diag(P (W ∘ (P' Diag(h) P)) P') with W 1 between positive eigenvalues, 0 between
        negative ones, a/(a - b) across. The side with fewer eigenvalues is multiplied out.
        """
        negative = self.eigenvalues <= 0.0
        few = negative if 2 * negative.sum() <= len(negative) else ~negative
        complement = few is negative
        # Rows of `weight` are the few; across it is |other|/(|few| + |other|) of what V leaves out.
        mine, others = np.abs(self.eigenvalues[few]), np.abs(self.eigenvalues[~few])
        across = mine[:, None] / (mine[:, None] + others[None, :])
        inner, outer = self.vectors[:, few], self.vectors[:, ~few]

        def times(h: FloatArray) -> FloatArray:
            middle = inner.T * h
            among = inner @ (middle @ inner)
            between = outer @ (across * (middle @ outer)).T
            covered = np.einsum("ij,ij->i", among, inner)
            crossing = 2.0 * np.einsum("ij,ij->i", between, inner)
            part: FloatArray = covered + crossing
            return h - part if complement else part

        return times


def _descend(
    given: FloatArray, target: float, shift: FloatArray, step: FloatArray, point: _Dual
) -> tuple[FloatArray, _Dual]:
    """Return the first of shift + step, + step/2, ... at which the dual falls enough."""
    slope = float(point.gradient @ step)
    length = 1.0
    for _ in range(_MOST_HALVINGS):
        candidate = shift + length * step
        reached = _Dual.at(given, candidate, target)
        rounding = 1e-14 * abs(point.value)
        if reached.value <= point.value + _SUFFICIENT_DECREASE * length * slope + rounding:
            return candidate, reached
        length /= 2.0
    return candidate, reached


def _conjugate_gradients(
    times: Callable[[FloatArray], FloatArray], right: FloatArray
) -> FloatArray:
    """Return x with (V + small·I) x = right, to a hundredth or better."""
    small = min(1e-3, 0.1 * float(np.linalg.norm(right)))
    x = np.zeros(len(right))
    residual = right.copy()
    direction = residual.copy()
    left = float(residual @ residual)
    enough = min(1e-2, np.sqrt(left)) ** 2 * left
    for _ in range(_MOST_CONJUGATE):
        if left <= enough:
            break
        moved = times(direction) + small * direction
        length = left / float(direction @ moved)
        x += length * direction
        residual -= length * moved
        before, left = left, float(residual @ residual)
        direction = residual + (left / before) * direction
    return x
