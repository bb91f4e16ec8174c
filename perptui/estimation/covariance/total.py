"""Covariance of what a perpetual earns, r - F: price, funding, and what they share."""

from __future__ import annotations

import math

import numpy as np

from perptui.estimation.recursion import FloatArray, divided

LARGEST_SHARE = 1.0 - math.sqrt(0.5)
"""Of a price move that funding may take back: Var(r-F) keeps half of Var(r) (method §2)."""


def total_covariance(
    sigma: FloatArray, shared: FloatArray, funding_variance: FloatArray
) -> FloatArray:
    """Return the covariance of r - F over the horizon, (N, N), positive definite if `sigma` is.

    F = beta r + e with beta = Cov(r, F)/Var(r), so r - F = (1-beta) r - e and the covariance is
    (1-beta_i)(1-beta_j) Sigma_ij, plus Var(e) = Var(F) - beta² Var(r) on the diagonal. The
    diagonal is Var(r) + Var(F) - 2 Cov(r, F), at least Var(r)/2 (beta is held to 1 - sqrt(1/2)).

    Parameters
    ----------
    sigma : (N, N) array
        Of price returns r.
    shared : (N,) array
        Cov(r, F), with its sign.
    funding_variance : (N,) array
        Var(F).
    """
    variance = np.diag(sigma)
    beta = np.minimum(divided(shared, variance, variance > 0, 0.0), LARGEST_SHARE)
    own = np.maximum(funding_variance - beta**2 * variance, 0.0)
    total: FloatArray = np.outer(1.0 - beta, 1.0 - beta) * sigma
    total[np.diag_indices(len(total))] += own
    return total
