import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.estimation.covariance import (
    assemble,
    basis_variance,
    correlate,
    correlation_of,
    is_positive,
    nearest_correlation,
    standardise,
)
from perptui.estimation.panel import Closes, build_panel
from perptui.model.clock import HOUR_MS, parse_iso

END = parse_iso("2024-08-05T00:00Z")
TRUE = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, -0.2], [0.3, -0.2, 1.0]])


def correlated(rows: int, seed: int = 4) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((rows, 3))
    return np.asarray(draws @ np.linalg.cholesky(TRUE).T, dtype=np.float64)


def test_returns_are_divided_by_the_volatility_of_the_day_before_and_clipped() -> None:
    daily = 0.03 * correlated(200)
    daily[150] = 1.0
    z = standardise(daily, 21.0)
    variance = pd.DataFrame(daily**2).ewm(halflife=21.0).mean().shift(1)
    expected = np.clip(daily / np.sqrt(variance.to_numpy()), -4.2, 4.2)
    np.testing.assert_allclose(z[5:], expected[5:], rtol=1e-9)
    assert np.isnan(z[:5]).all()
    assert (z[150] == 4.2).all()


def test_the_correlation_is_that_of_pandas_on_the_same_weights() -> None:
    z = correlated(400)
    products = pd.DataFrame({"ab": z[:, 0] * z[:, 1], "aa": z[:, 0] ** 2, "bb": z[:, 1] ** 2})
    means = products.ewm(halflife=63.0).mean().iloc[-1]
    result = correlate(z, 63.0)
    assert result.matrix[0, 1] == pytest.approx(means["ab"] / np.sqrt(means["aa"] * means["bb"]))
    np.testing.assert_array_equal(np.diag(result.matrix), 1.0)
    np.testing.assert_array_equal(result.matrix, result.matrix.T)
    assert not result.repaired


def test_the_true_correlation_is_found() -> None:
    result = correlate(correlated(20_000), 5_000.0)
    # Effective observations: 2·halflife/ln 2; three standard errors of a zero correlation.
    np.testing.assert_allclose(result.matrix, TRUE, atol=3 / np.sqrt(10_000 / np.log(2)))


def test_a_pair_without_common_days_gets_the_mean_of_the_others_and_is_counted() -> None:
    z = correlated(200)
    z[:100, 1] = np.nan
    z[90:, 2] = np.nan
    result = correlate(z, 63.0)
    assert result.unknown_pairs == 1
    rest = [result.matrix[0, 1], result.matrix[0, 2]]
    assert result.matrix[1, 2] == pytest.approx(np.mean(rest), abs=1e-6)


def test_one_coin_has_no_pairs() -> None:
    result = correlate(correlated(100)[:, :1], 21.0)
    assert result.matrix.tolist() == [[1.0]]
    assert not result.repaired


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 12))
def test_pairwise_holes_never_leave_a_matrix_that_is_not_positive(seed: int, coins: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((60, 1)) + 0.3 * rng.standard_normal((60, coins))
    z[rng.random(z.shape) < 0.4] = np.nan
    matrix = correlate(z, 21.0).matrix
    assert is_positive(matrix)
    np.testing.assert_allclose(np.diag(matrix), 1.0)


def test_the_nearest_correlation_is_the_published_one() -> None:
    """Higham (2002), section 4: the 3 x 3 example and its distance .5278."""
    given_matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    nearest = nearest_correlation(given_matrix)
    assert nearest[0, 1] == pytest.approx(0.7607, abs=5e-5)
    assert nearest[0, 2] == pytest.approx(0.1573, abs=5e-5)
    assert np.linalg.norm(nearest - given_matrix) == pytest.approx(0.5278, abs=5e-5)
    assert is_positive(nearest)


def two_venues(phi: float, shock: float, seed: int = 9, hours: int = 24 * 60) -> list[Closes]:
    rng = np.random.default_rng(seed)
    coin = np.cumsum(rng.normal(0, 0.008, hours))
    basis = np.zeros(hours)
    for t, eta in enumerate(rng.normal(0, shock, hours)):
        basis[t] = phi * basis[t - 1] + eta
    close_ms = (END - HOUR_MS * np.arange(hours)[::-1]).astype(np.int64)
    return [
        Closes(f"{venue}:C/U:U", "C", close_ms, 90 * np.exp(coin + sign * basis / 2), HOUR_MS)
        for venue, sign in (("v", 1.0), ("w", -1.0))
    ]


def test_the_basis_has_the_variance_of_its_autoregression_over_the_horizon() -> None:
    panels = [build_panel(two_venues(0.9, 0.001, seed), END, 50) for seed in range(12)]
    found = np.array([basis_variance(panel, 2.0) for panel in panels])
    # The prices differ by b with Var over n hours shock²/(1-phi²)·(1-phi^2n); two equal parts.
    between = 0.001**2 / (1 - 0.9**2) * (1 - 0.9 ** (2 * 48))
    # A stationary variance from 720 hours has a relative error of sqrt(2/720·(1+phi²)/(1-phi²)).
    error = np.sqrt(2 / 720 * 1.81 / 0.19) / np.sqrt(12)
    assert found.sum(axis=1).mean() == pytest.approx(between, rel=4 * error)
    np.testing.assert_allclose(found[:, 0], found[:, 1])


def test_the_basis_has_a_floor_and_a_lone_contract_stands_on_it() -> None:
    still = basis_variance(build_panel(two_venues(0.5, 1e-9), END, 50), 3.0)
    assert still.tolist() == [pytest.approx(3 * 4e-8)] * 2
    alone = basis_variance(build_panel(two_venues(0.5, 0.001)[:1], END, 50), 3.0)
    assert alone.tolist() == [pytest.approx(3 * 4e-8)]


def test_a_basis_that_does_not_come_back_grows_with_the_horizon() -> None:
    wandering = two_venues(1.0, 0.0005)
    short, long = (basis_variance(build_panel(wandering, END, 50), h) for h in (1.0, 10.0))
    assert long[0] > 3 * short[0]


def test_sigma_is_positive_by_construction_with_one_coin_on_two_venues() -> None:
    owner = np.array([0, 0, 1, 2, 2])
    own = np.full(5, 4e-8)
    sigma = assemble(np.array([0.01, 0.02, 0.04]), TRUE, owner, own)
    assert sigma[0, 0] == pytest.approx(0.01 + 4e-8)
    assert sigma[0, 1] == pytest.approx(0.01)
    assert sigma[0, 2] == pytest.approx(0.7 * np.sqrt(0.01 * 0.02))
    assert np.linalg.eigvalsh(sigma)[0] >= 4e-8 * (1 - 1e-6)
    matrix = correlation_of(sigma)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    assert matrix[0, 1] == pytest.approx(0.01 / (0.01 + 4e-8))
