import numpy as np
import pytest

from perptui.estimation.tails.residuals import complete_rows, funding_residuals, residual_rows
from perptui.model.errors import EstimationError
from tests.estimation.tails.test_filtered import N, correlated_rows


def test_residuals_are_returns_over_the_forecast_before_them() -> None:
    rng = np.random.default_rng(3)
    deviation = np.exp(rng.normal(-4, 0.3, (200, 2)))
    daily = np.vstack([np.zeros((1, 2)), deviation[:-1]]) * rng.normal(size=(200, 2))
    daily[50, 0] = np.nan
    raw = daily[1:] / deviation[:-1]
    expected = (raw - np.nanmean(raw, axis=0)) / np.nanstd(raw, axis=0)
    np.testing.assert_allclose(residual_rows(daily, deviation**2)[1:], expected)


def test_residuals_of_funding_are_what_the_day_before_did_not_foretell() -> None:
    rng = np.random.default_rng(8)
    shock = rng.normal(0, 1e-4, 4000)
    sums = np.zeros(4000)
    for day in range(1, 4000):
        sums[day] = 3e-4 + 0.8 * (sums[day - 1] - 3e-4) + shock[day]
    found = funding_residuals(sums[:, None])[:, 0]
    assert np.isnan(found[0])
    assert np.corrcoef(found[2:], shock[2:])[0, 1] > 0.999
    assert abs(np.corrcoef(found[2:], found[1:-1])[0, 1]) < 0.05


def test_a_contract_listed_late_keeps_its_variance_and_its_dependence() -> None:
    rows = correlated_rows(3000)
    true = np.asarray(np.corrcoef(rows.T))[3]
    rows[:2500, 3] = np.nan
    filled, made = complete_rows(rows, seed=1)
    assert made.tolist() == [0, 0, 0, 2500]
    np.testing.assert_array_equal(filled[2500:], rows[2500:])
    assert filled[:, 3].std() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(np.asarray(np.corrcoef(filled.T))[3], true, atol=0.1)


def test_a_contract_with_one_jump_borrows_the_shape_of_the_others() -> None:
    daily = 0.03 * correlated_rows(200)
    daily[:, 1] = 1e-5 * np.random.default_rng(1).normal(size=200)
    daily[120, 1] = 0.8
    rows = residual_rows(daily, np.full((200, N), 0.0009))
    assert np.isnan(rows[:, 1]).all()
    assert np.isfinite(rows[1:, [0, 2, 3]]).all()


def test_rows_that_say_nothing_are_refused() -> None:
    with pytest.raises(EstimationError, match=r"at least 60 residuals of a contract, was 59"):
        residual_rows(correlated_rows(60), np.ones((60, N)))
    still = correlated_rows(100)
    still[:, 1] = 0.0
    with pytest.raises(EstimationError, match=r"constant in column\(s\) \[1\]"):
        residual_rows(still, np.ones((100, N)))
    holed = correlated_rows(100)
    holed[7] = np.nan
    with pytest.raises(EstimationError, match="1 empty"):
        complete_rows(holed, 0)
    with pytest.raises(EstimationError, match="was 59 and 0 empty"):
        complete_rows(holed[8:67], 0)
