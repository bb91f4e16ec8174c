import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.estimation.covariance.correlation import (
    advance,
    correlate,
    correlation_of,
    pairwise_correlation,
    standardise,
    state_of,
)
from perptui.estimation.covariance.repair import is_positive
from perptui.estimation.recursion import ewma
from perptui.model.errors import EstimationError

TRUE = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, -0.2], [0.3, -0.2, 1.0]])


def correlated(rows: int, seed: int = 4) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((rows, 3))
    return np.asarray(draws @ np.linalg.cholesky(TRUE).T, dtype=np.float64)


def with_holes(rows: int, coins: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    returns = 0.03 * (rng.standard_normal((rows, 1)) + rng.standard_normal((rows, coins)))
    returns[rng.random(returns.shape) < 0.1] = np.nan
    returns[: rows // 3, 0] = np.nan
    return np.asarray(returns, dtype=np.float64)


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


def test_a_constant_coin_has_no_known_pair() -> None:
    daily = 0.03 * correlated(200)
    daily[:, 1] = 0.0
    result = correlate(standardise(daily, 21.0), 63.0)
    assert result.unknown_pairs == 2
    assert result.matrix[0, 1] == result.matrix[1, 2] == pytest.approx(result.matrix[0, 2])


def test_a_scale_does_not_matter_down_to_the_smallest() -> None:
    daily = 0.03 * correlated(200)
    expected = correlate(standardise(daily, 21.0), 63.0).matrix
    tiny = correlate(standardise(1e-14 * daily, 21.0), 63.0).matrix
    np.testing.assert_allclose(tiny, expected, rtol=1e-12)


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
    raw, _ = pairwise_correlation(z, 21.0)
    result = correlate(z, 21.0)
    assert is_positive(result.matrix)
    assert result.repaired == (not is_positive(raw))
    assert result.least_before == pytest.approx(np.linalg.eigvalsh(raw)[0])
    assert result.distance == pytest.approx(np.linalg.norm(result.matrix - raw))
    np.testing.assert_allclose(np.diag(result.matrix), 1.0)


@pytest.mark.parametrize("halflives", [(10.0, 21.0), (63.0, 125.0)])
def test_day_by_day_gives_what_the_batch_gives(halflives: tuple[float, float]) -> None:
    daily = with_holes(500, 8, 3)
    state = state_of(daily[:0], *halflives)
    for row in daily:
        state = advance(state, row)
    batch, unknown = pairwise_correlation(standardise(daily, halflives[0]), halflives[1])
    matrix, counted = state.correlation()
    assert counted == unknown
    np.testing.assert_allclose(matrix, batch, rtol=0, atol=1e-12)
    np.testing.assert_allclose(state.variance, ewma(daily**2, halflives[0])[-1], rtol=1e-12)


def test_a_state_from_a_batch_goes_on_like_one_from_the_first_day() -> None:
    daily = with_holes(300, 5, 8)
    state = state_of(daily[:200], 21.0, 63.0)
    for row in daily[200:]:
        state = advance(state, row)
    whole = state_of(daily, 21.0, 63.0)
    np.testing.assert_allclose(state.products, whole.products, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state.correlation()[0], whole.correlation()[0], rtol=0, atol=1e-12)


def test_a_day_of_other_coins_is_refused() -> None:
    state = state_of(with_holes(50, 5, 8), 21.0, 63.0)
    with pytest.raises(EstimationError, match="expected a day of 5 coins, was \\(4,\\)"):
        advance(state, np.zeros(4))


def test_a_covariance_has_its_correlation() -> None:
    deviation = np.array([0.1, 0.2, 3.0])
    matrix = correlation_of(TRUE * np.outer(deviation, deviation))
    np.testing.assert_allclose(matrix, TRUE)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
