import numpy as np
import pytest
from numpy.typing import NDArray

from perptui.estimation.drift.blend import effective_lookback
from perptui.estimation.uncertainty import uncertainty_matrix
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]


def correlation(seed: int, size: int = 5, factors: int = 3) -> FloatArray:
    """A correlation matrix of rank `factors` or full."""
    loadings = np.random.default_rng(seed).normal(0, 1, (size, factors))
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    matrix: FloatArray = loadings @ loadings.T
    return matrix


def test_the_drifts_part_is_the_methods_formula() -> None:
    """Method §1.3: H² sqrt(k_i k_j) Sigma_ij/L_eff, and H² tau²(1-k) on the diagonal."""
    horizon, tau = 7.0, 0.002
    sigma = np.array([0.03, 0.05, 0.04, 0.06, 0.02])
    R = 0.5 * correlation(1) + 0.5 * np.eye(5)
    lookback = float(effective_lookback(np.array([0.2, 0.3, 0.5])))
    k = tau**2 / (tau**2 + sigma**2 / lookback)
    funding = np.array([1e-6, 4e-6, 0.0, 2e-6, 9e-6])
    shocks = 0.7 * correlation(2) + 0.3 * np.eye(5)
    found = uncertainty_matrix(tau**2 * (1 - k), R, funding, shocks, horizon)
    drift = horizon**2 * np.sqrt(np.outer(k, k)) * R * np.outer(sigma, sigma) / lookback
    assert found == pytest.approx(drift + shocks * np.sqrt(np.outer(funding, funding)))
    assert np.diag(found) == pytest.approx(horizon**2 * tau**2 * (1 - k) + funding)


def test_it_is_the_covariance_of_the_posteriors_errors() -> None:
    """Monte Carlo: with drifts drawn as the returns co-move, errors of k·m co-move as Omega says.

    With equal variances prior tau² R and noise sigma² R/L give the posterior tau²(1-k) R.
    """
    rng = np.random.default_rng(4)
    R, tau, sigma, lookback = 0.6 * np.ones((3, 3)) + 0.4 * np.eye(3), 0.003, 0.03, 20.0
    root = np.linalg.cholesky(R)
    k = tau**2 / (tau**2 + sigma**2 / lookback)
    true = tau * rng.standard_normal((400_000, 3)) @ root.T
    seen = true + sigma / np.sqrt(lookback) * rng.standard_normal((400_000, 3)) @ root.T
    errors = 5.0 * (true - k * seen)
    p = np.full(3, tau**2 * (1 - k))
    wanted = uncertainty_matrix(p, R, np.zeros(3), np.eye(3), 5.0)
    assert wanted == pytest.approx(np.cov(errors.T), rel=0.02)


def test_without_a_drift_funding_alone_is_uncertain() -> None:
    funding = np.array([1e-6, 4e-6])
    shocks = np.array([[1.0, 0.5], [0.5, 1.0]])
    found = uncertainty_matrix(np.zeros(2), np.eye(2), funding, shocks, 3.0)
    assert found == pytest.approx(np.array([[1e-6, 1e-6], [1e-6, 4e-6]]))


def test_it_is_positive_semidefinite_where_contracts_move_as_one() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        singular = correlation(seed, size=30, factors=2)
        found = uncertainty_matrix(
            rng.exponential(1e-6, 30) * (rng.random(30) > 0.3),
            singular,
            rng.exponential(1e-8, 30),
            correlation(seed + 100, size=30, factors=1),
            7.0,
        )
        assert (found == found.T).all()
        eigenvalues = np.linalg.eigvalsh(found)
        assert eigenvalues[0] >= -1e-14 * eigenvalues[-1]


def test_what_is_no_correlation_or_no_variance_is_refused() -> None:
    fine, ones = np.eye(3), np.full(3, 1e-6)
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    with pytest.raises(EstimationError, match="positive semidefinite drift correlation"):
        uncertainty_matrix(ones, impossible, ones, fine, 7.0)
    with pytest.raises(EstimationError, match="symmetric funding correlation"):
        uncertainty_matrix(ones, fine, ones, np.diag([1.0, 2.0, 1.0]), 7.0)
    skew = fine.copy()
    skew[0, 1] = 0.1
    with pytest.raises(EstimationError, match="symmetric drift correlation"):
        uncertainty_matrix(ones, skew, ones, fine, 7.0)
    for bad in (-1e-9, np.nan, np.inf):
        with pytest.raises(EstimationError, match="funding variances"):
            uncertainty_matrix(ones, fine, np.array([1e-6, bad, 1e-6]), fine, 7.0)
    with pytest.raises(EstimationError, match="funding correlation"):
        uncertainty_matrix(ones, fine, ones, np.full((3, 3), np.nan), 7.0)
