"""r - F against a simulated market, and against the sum of its variances."""

import numpy as np
import pytest

from perptui.estimation.covariance.total import total_covariance

SIGMA = np.array([[0.04, 0.03, 0.01], [0.03, 0.09, 0.02], [0.01, 0.02, 0.05]])
BETA = np.array([0.08, -0.02, 0.0])
OWN = np.array([1e-4, 2e-4, 4e-5])


def test_it_is_the_covariance_of_simulated_returns_less_funding() -> None:
    rng = np.random.default_rng(5)
    returns = rng.multivariate_normal(np.zeros(3), SIGMA, 400_000)
    funding = BETA * returns + np.sqrt(OWN) * rng.standard_normal(returns.shape)
    variance = np.diag(SIGMA)
    found = total_covariance(SIGMA, BETA * variance, BETA**2 * variance + OWN)
    assert found == pytest.approx(np.cov(returns - funding, rowvar=False), abs=4e-4)


def test_its_diagonal_is_price_and_funding_less_twice_what_they_share() -> None:
    variance = np.diag(SIGMA)
    shared, funding = BETA * variance, BETA**2 * variance + OWN
    found = np.diag(total_covariance(SIGMA, shared, funding))
    assert found == pytest.approx(variance + funding - 2 * shared, rel=1e-12)


def test_a_hedge_takes_half_of_the_variance_at_most() -> None:
    variance = np.diag(SIGMA)
    found = total_covariance(SIGMA, 0.6 * variance, 0.36 * variance)
    assert (np.diag(found) >= 0.5 * variance - 1e-15).all()
    assert np.linalg.eigvalsh(found)[0] > 0.0
