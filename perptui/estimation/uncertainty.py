"""Uncertainty of expected returns: Omega, which the robust program takes (method §1.3)."""

from __future__ import annotations

import numpy as np

from perptui.estimation.recursion import FloatArray
from perptui.model.errors import EstimationError

_TOLERANCE = 1e-9
"""How far an eigenvalue may lie below zero, relative to the largest, by rounding alone."""


def uncertainty_matrix(
    drift_variance: FloatArray,
    return_correlation: FloatArray,
    funding_variance: FloatArray,
    funding_correlation: FloatArray,
    horizon_days: float,
) -> FloatArray:
    """Return Omega, the covariance of the errors of the expected returns over H, (N, N), PSD.

    The drift's part is H² sqrt(k_i k_j) Sigma_ij/L_eff: with p = k sigma²/L_eff = tau²(1-k), the
    posterior variance of a daily drift, it is H² sqrt(p_i p_j) times the returns' correlation, and
    nothing where the drift is left out (k = 0). Funding's part has the variance that E[F] owes to
    its parameters, and the correlation of funding shocks. The two are taken to be independent.

    Parameters
    ----------
    drift_variance : (N,) array
        p, of the daily drift of each contract's coin; 0 where the drift is left out.
    return_correlation : (N, N) array
    funding_variance : (N,) array
        Of E[F] over the horizon.
    funding_correlation : (N, N) array
    horizon_days : float
        H.

    Raises
    ------
    EstimationError
        When a variance is negative or not finite, or a correlation matrix is not symmetric,
        positive semidefinite, with ones on its diagonal.
    """
    drift = _part("drift", horizon_days**2 * drift_variance, return_correlation)
    return drift + _part("funding", funding_variance, funding_correlation)


def _part(name: str, variance: FloatArray, correlation: FloatArray) -> FloatArray:
    if not (variance >= 0.0).all() or not np.isfinite(variance).all():
        raise EstimationError(
            f"expected {name} variances that are finite and not negative, "
            f"was {variance[~(variance >= 0.0) | ~np.isfinite(variance)][:1]}; mend its estimator"
        )
    deviation = np.sqrt(variance)
    whole: FloatArray = _checked(name, correlation) * np.outer(deviation, deviation)
    return whole


def _checked(name: str, correlation: FloatArray) -> FloatArray:
    """Return the matrix, symmetric to the last bit and without an eigenvalue below zero."""
    even = (correlation + correlation.T) / 2.0
    unit = np.abs(np.diag(even) - 1.0).max(initial=0.0) <= _TOLERANCE
    if not unit or not np.abs(even - correlation).max(initial=0.0) <= _TOLERANCE:
        raise EstimationError(
            f"expected a symmetric {name} correlation with a diagonal of ones, was another matrix; "
            "repair it first"
        )
    eigenvalues = np.linalg.eigvalsh(even)
    if not eigenvalues[0] >= -_TOLERANCE * eigenvalues[-1]:
        raise EstimationError(
            f"expected a positive semidefinite {name} correlation, "
            f"was a least eigenvalue of {eigenvalues[0]:.1e}; repair it first"
        )
    # Rounding may have left one just below zero: a mix with the identity lifts them all.
    lift = max(0.0, -float(eigenvalues[0])) * 2.0
    lifted: FloatArray = (even + lift * np.eye(len(even))) / (1.0 + lift)
    return lifted
