from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from perptui.estimation.covariance.correlation import pairwise_correlation, standardise
from perptui.estimation.covariance.mixture import forecast_mixture, maximum_likelihood_weights
from perptui.estimation.recursion import ewma
from perptui.model.errors import EstimationError


def market(days: int, coins: int, seed: int) -> np.ndarray:
    """Returns of one factor whose volatility triples in the last fifth."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((days, 1)) + 0.7 * rng.standard_normal((days, coins))
    scale = np.where(np.arange(days) >= 0.8 * days, 0.06, 0.02)
    return np.asarray(scale[:, None] * returns, dtype=np.float64)


def factors_of(daily: np.ndarray, window: int) -> np.ndarray:
    """Return (3, window + 1, C, C): Cholesky factors of precision, by the batch formulas."""
    experts: list[list[np.ndarray]] = []
    for fast, slow in ((10.0, 21.0), (21.0, 63.0), (63.0, 125.0)):
        path = []
        for end in range(len(daily) - window, len(daily) + 1):
            past = daily[:end]
            deviation = np.sqrt(ewma(past**2, fast)[-1])
            matrix, _ = pairwise_correlation(standardise(past, fast), slow)
            sigma = matrix * np.outer(deviation, deviation)
            if not experts:
                sigma = sigma + 0.05 * np.diag(np.diag(sigma))
            path.append(np.linalg.cholesky(np.linalg.inv(sigma)))
        experts.append(path)
    return np.array(experts)


def weights_by_cvxpy(factors: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Johansson et al. (2023), section 3.2, term by term in the returns' own units."""
    weights = cp.Variable(len(factors), nonneg=True)
    terms = []
    for day, row in enumerate(returns):
        combined = sum(weights[k] * factors[k, day] for k in range(len(factors)))
        terms.append(cp.sum(cp.log(cp.diag(combined))) - 0.5 * cp.sum_squares(combined.T @ row))
    problem: Any = cp.Problem(cp.Maximize(sum(terms)), [cp.sum(weights) == 1])
    problem.solve(solver="CLARABEL")
    return np.asarray(weights.value, dtype=np.float64)


@pytest.mark.parametrize(("seed", "days"), [(0, 250), (1, 205), (2, 400)])
def test_the_weights_are_those_of_a_convex_solver(seed: int, days: int) -> None:
    daily = market(days, 6, seed)
    factors = factors_of(daily, 10)
    mixture = forecast_mixture(daily)
    np.testing.assert_allclose(
        mixture.weights, weights_by_cvxpy(factors[:, :-1], daily[-10:]), atol=2e-5
    )
    assert mixture.days == 10
    factor = np.einsum("k,kij->ij", mixture.weights, factors[:, -1])
    np.testing.assert_allclose(mixture.sigma @ factor @ factor.T, np.eye(6), atol=1e-9)


def test_a_right_expert_gets_all_the_weight() -> None:
    rng = np.random.default_rng(0)
    right = np.broadcast_to(np.eye(3), (21, 3, 3))
    wrong = 5.0 * right
    weights = maximum_likelihood_weights(
        np.array([wrong, right, 4 * wrong]), rng.standard_normal((21, 3))
    )
    # Between L = I and L = 5 I the likeliest multiple of I is 1/sd of the draws.
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1] > 0.9


def test_the_likeliest_multiple_is_mixed_of_two_around_it() -> None:
    """With L = a·I the optimum is a² = n/sum r², whatever the experts are mixed of."""
    returns = np.random.default_rng(4).standard_normal((30, 2))
    best = np.sqrt(returns.size / np.sum(returns**2))
    eye = np.broadcast_to(np.eye(2), (30, 2, 2))
    weights = maximum_likelihood_weights(np.array([0.5 * eye, 2.0 * eye]), returns)
    assert 0.5 * weights[0] + 2.0 * weights[1] == pytest.approx(best, rel=1e-6)


def test_when_volatility_jumps_the_fast_expert_speaks() -> None:
    mixture = forecast_mixture(market(205, 6, 1)[:175])
    assert mixture.weights[0] > 0.5


def test_returns_of_any_scale_give_the_same_weights() -> None:
    daily = market(250, 5, 3)
    scaled = forecast_mixture(1e-6 * daily)
    np.testing.assert_allclose(scaled.weights, forecast_mixture(daily).weights, atol=1e-7)


def test_too_few_complete_days_give_equal_weights() -> None:
    daily = market(250, 5, 3)
    daily[-7:, 2] = np.nan
    mixture = forecast_mixture(daily)
    assert mixture.days == 0
    np.testing.assert_array_equal(mixture.weights, np.full(3, 1 / 3))


def test_a_coin_that_came_late_does_not_take_part() -> None:
    daily = market(250, 5, 3)
    daily[:225, 1] = np.nan
    mixture = forecast_mixture(daily)
    assert mixture.coins.tolist() == [0, 2, 3, 4]
    assert mixture.sigma.shape == (4, 4)


def test_history_that_is_too_short_or_constant_is_refused() -> None:
    with pytest.raises(EstimationError, match="with 30 days of returns before the last 10"):
        forecast_mixture(market(35, 3, 0))
    constant = market(100, 3, 0)
    constant[:, 1] = 0.0
    with pytest.raises(EstimationError, match="expected coins that move, was 1 constant"):
        forecast_mixture(constant)
