import numpy as np
import pytest

from perptui.estimation.funding.risk import (
    IDENTITY_SHARE,
    daily_funding,
    daily_persistence,
    fit_funding_slope,
    funding_shocks,
    price_funding_covariance,
    shock_correlation,
)
from perptui.estimation.funding.series import Settled
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError
from tests.estimation.funding.made import NOW, autoregressive, series

SLOPE, PHI, SD = 4e-3, 0.6, 0.03
"""Of a day: funding moves by 4e-3 of a return, .6 of a shock remains, returns of 3 %."""


def market(days: int, coins: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Daily funding sums and returns, (D, N), of the process that the covariance assumes."""
    rng = np.random.default_rng(seed)
    returns = SD * rng.standard_normal((days, coins))
    noise = 1e-4 * rng.standard_normal((days, coins))
    funding = np.zeros((days, coins))
    for t in range(1, days):
        funding[t] = PHI * funding[t - 1] + SLOPE * returns[t] + noise[t]
    return funding + 3e-4, returns


def test_days_are_summed_where_their_hours_are_covered() -> None:
    eight, one = autoregressive(12), autoregressive(60, 1)
    keep = np.arange(12) != 7
    holed = Settled(eight.ts_ms[keep], eight.rate[keep], eight.interval_h[keep])
    found = daily_funding([eight, one, holed], NOW, 4)
    assert found[:, 0] == pytest.approx(eight.rate.reshape(4, 3).sum(axis=1))
    assert np.isnan(found[:2, 1]).all()
    assert found[3, 1] == pytest.approx(one.rate[-24:].sum())
    assert np.isnan(found[:, 2]).tolist() == [False, False, True, False]
    before = daily_funding([eight], NOW - DAY_MS, 3)
    assert before[:, 0] == pytest.approx(found[:3, 0])


def test_daily_persistence_is_the_slope_on_the_day_before() -> None:
    funding, _ = market(4000, 3, 7)
    holed = funding.copy()
    holed[np.random.default_rng(8).random(funding.shape) < 0.2] = np.nan
    for daily in (funding, holed):
        assert daily_persistence(daily) == pytest.approx(np.full(3, PHI), abs=0.05)
    falling = np.where(np.arange(200) % 2 == 0, 1e-4, -1e-4)
    young = np.append(np.full(175, np.nan), funding[:25, 0])
    still = np.full(200, 3e-4)
    rising = np.linspace(0.0, 1.0, 200)
    found = daily_persistence(np.column_stack([falling, young, still, rising]))
    assert found.tolist() == [0.0, 0.0, 0.0, 0.98]


def test_shocks_are_what_did_not_carry_over() -> None:
    funding, returns = market(4000, 2, 1)
    shocks = funding_shocks(funding, np.full(2, PHI))
    assert np.isnan(shocks[0]).all()
    assert np.corrcoef(shocks[100:, 0], returns[100:, 0])[0, 1] > 0.7
    cut = funding_shocks(funding[:900], np.full(2, PHI))
    assert cut.tobytes() == shocks[:900].tobytes()


def test_the_slope_is_that_of_weighted_least_squares() -> None:
    funding, returns = market(400, 1, 2)
    shocks = funding_shocks(funding, np.array([PHI]))
    fit = fit_funding_slope(shocks, returns)
    weight = 0.5 ** (np.arange(400)[::-1] / 90)
    use = np.isfinite(shocks[:, 0])
    root = np.sqrt(weight[use])
    expected = np.linalg.lstsq(
        (root * returns[use, 0])[:, None], root * shocks[use, 0], rcond=None
    )[0]
    assert fit.own[0] == pytest.approx(expected[0])
    assert fit.slope[0] == pytest.approx(fit.pooled)
    assert fit.own[0] == pytest.approx(SLOPE, rel=0.1)


def test_slopes_are_shrunk_to_the_pooled_one_and_a_young_contract_gets_it() -> None:
    funding, returns = market(300, 12, 3)
    shocks = funding_shocks(funding, np.full(12, PHI))
    shocks[:-20, 11] = np.nan
    fit = fit_funding_slope(shocks, returns)
    assert np.isnan(fit.own[11])
    assert fit.slope[11] == pytest.approx(fit.pooled)
    # One true slope: the shrunk ones are nearer to it than the contracts' own.
    away = np.abs(fit.own[:11] - SLOPE), np.abs(fit.slope[:11] - SLOPE)
    assert away[1].mean() < away[0].mean()
    assert fit.days.tolist() == [299.0] * 11 + [20.0]


def test_nothing_to_regress_is_no_slope_and_wrong_shapes_are_refused() -> None:
    nothing = fit_funding_slope(np.full((50, 2), np.nan), np.zeros((50, 2)))
    assert nothing.slope.tolist() == [0.0, 0.0]
    with pytest.raises(EstimationError, match="one shape"):
        fit_funding_slope(np.zeros((50, 2)), np.zeros((50, 3)))


@pytest.mark.parametrize("days", [1, 7])
def test_the_covariance_over_the_horizon_is_that_of_monte_carlo(days: int) -> None:
    paths = 60_000
    rng = np.random.default_rng(4)
    rate, total, price = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    for _ in range(days):
        r = SD * rng.standard_normal(paths)
        rate = PHI * rate + SLOPE * r + 1e-4 * rng.standard_normal(paths)
        total, price = total + rate, price + r
    found = price_funding_covariance(
        np.array([SLOPE]), np.array([PHI]), np.array([SD**2]), np.array([total.var()]), days
    )[0]
    error = total.std() * price.std() / np.sqrt(paths)
    assert found == pytest.approx(np.mean(total * price), abs=5 * error)


def test_covariance_keeps_its_sign_and_stays_within_what_is_possible() -> None:
    slope = np.array([-4e-3, 4e-3, 5.0])
    found = price_funding_covariance(
        slope, np.array([0.5, 1.0, 0.5]), np.full(3, 9e-4), np.full(3, 1e-6), 2.5
    )
    # 2.5 days at phi .5: 1 + 1.5 + .5·1.75 = 3.375; at phi 1: 1 + 2 + .5·3 = 4.5.
    assert found[:2] == pytest.approx([-4e-3 * 9e-4 * 3.375, 4e-3 * 9e-4 * 4.5])
    assert found[2] == pytest.approx(0.95 * np.sqrt(2.5 * 9e-4 * 1e-6))


def test_shocks_across_contracts_are_positive_semidefinite() -> None:
    rng = np.random.default_rng(5)
    common = rng.standard_normal((400, 1))
    shocks = 1e-4 * (common + 0.7 * rng.standard_normal((400, 6)))
    full = shock_correlation(shocks)
    # Of two contracts 1/(1 + .49) = .67, less the tenth of the identity.
    off = full[~np.eye(6, dtype=bool)]
    assert off.mean() == pytest.approx((1 - IDENTITY_SHARE) * 0.67, abs=0.08)
    holed = shocks.copy()
    holed[rng.random((400, 6)) < 0.5] = np.nan
    holed[:, 5] = np.nan
    found = shock_correlation(holed)
    assert np.allclose(np.diag(found), 1.0)
    assert np.array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() >= IDENTITY_SHARE - 1e-9
    assert found[5, :5].tolist() == [0.0] * 5
    wild = shocks.copy()
    wild[200] = 1.0
    assert np.isfinite(shock_correlation(wild)).all()


def test_many_contracts_with_holes_stay_positive_semidefinite() -> None:
    rng = np.random.default_rng(6)
    shocks = rng.standard_normal((120, 500)) * 1e-4
    shocks[rng.random(shocks.shape) < 0.3] = np.nan
    assert np.linalg.eigvalsh(shock_correlation(shocks)).min() > 0.0


def test_a_series_of_hours_makes_the_days_of_eight_hours() -> None:
    hourly = series(np.full(72, 1e-5), 1)
    assert daily_funding([hourly], NOW, 3)[:, 0] == pytest.approx([24e-5] * 3)
