"""Roots of matrices as cones take them: triangular, which is half the work."""

from __future__ import annotations

import numpy as np

from perptui.optimization.inputs import FloatArray


def root_rows(root: FloatArray) -> int:
    """Return how many rows `triangular` leaves: no more than there are contracts."""
    return int(min(root.shape))


def is_diagonal(root: FloatArray | None) -> bool:
    """Return whether a root is square with nothing beside its diagonal."""
    if root is None or root.shape[0] != root.shape[1]:
        return False
    return bool(np.count_nonzero(root) == np.count_nonzero(np.diagonal(root)))


def triangular(root: FloatArray) -> FloatArray:
    """Return R, (R, N), with R'R = F'F: upper triangular unless F has fewer rows than columns."""
    if len(root) < root.shape[1]:
        return root
    return np.asarray(np.linalg.qr(root, mode="r"))


def triangular_at(root: FloatArray, offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return R and p, one longer than R, with |(R w, 0) + p| = |F w + o| for every w.

    Its last entry is what of o no book can make up for.
    """
    if len(root) < root.shape[1]:
        return root, np.append(offset, 0.0)
    if not offset.any():
        return triangular(root), np.zeros(root.shape[1] + 1)
    base, upper = np.linalg.qr(root)
    within = base.T @ offset
    beyond = np.sqrt(max(float(offset @ offset - within @ within), 0.0))
    return np.asarray(upper), np.append(within, beyond)
