import importlib
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perptui.estimation.court.comparison import (
    diebold_mariano,
    long_run_covariance,
    mincer_zarnowitz,
    too_few,
)
from perptui.estimation.losses import qlike, squared_error, tick_loss

FloatArray = NDArray[np.float64]

# Untyped, and here only as arch's dependency: a second implementation.
sm: Any = importlib.import_module("statsmodels.api")


def forecasts(seed: int, rows: int = 300) -> tuple[FloatArray, FloatArray]:
    """Realised and forecast daily variances that follow each other loosely."""
    rng = np.random.default_rng(seed)
    level = np.exp(0.3 * np.cumsum(rng.normal(0, 0.3, rows)) * 0.5) * 1.6e-3
    return level * rng.chisquare(6, rows) / 6, level * np.exp(rng.normal(0.1, 0.2, rows))


def test_qlike_costs_what_the_method_states() -> None:
    loss = qlike(np.array([4.0, 4.0, 4.0]), np.array([4.0, 2.0, 8.0]))
    assert loss[0] == 0.0
    assert loss[1] == pytest.approx(0.307, abs=5e-4)
    assert loss[2] == pytest.approx(0.193, abs=5e-4)
    assert loss[1] == pytest.approx(2 - math.log(2) - 1, rel=1e-14)


def test_nothing_is_judged_without_a_variance() -> None:
    assert np.isnan(qlike(np.array([0.0, 1.0, np.nan]), np.array([1.0, 0.0, 1.0]))).all()


def test_squared_error_is_the_square_of_the_miss() -> None:
    loss = squared_error(np.array([0.0030, 0.0010, np.nan]), np.array([0.0025, 0.0012, 0.001]))
    assert loss[:2] == pytest.approx([2.5e-7, 4e-8])
    assert np.isnan(loss[2])


def test_the_tick_loss_is_least_at_the_quantile() -> None:
    returns = np.random.default_rng(2).standard_t(5, 40_000) * 0.02
    tried = np.linspace(0.02, 0.06, 401)
    means = [tick_loss(returns, np.full(returns.shape, var), 0.05).mean() for var in tried]
    assert tried[int(np.argmin(means))] == pytest.approx(-np.quantile(returns, 0.05), abs=2e-4)
    # By hand: .05·(.01 + .03) above the quantile, .95·.02 for a loss of .05 beyond it.
    by_hand = tick_loss(np.array([0.01, -0.05, np.nan]), np.full(3, 0.03), 0.05)
    assert by_hand[:2] == pytest.approx([0.002, 0.019])
    assert np.isnan(by_hand[2])


def test_the_long_run_covariance_is_newey_wests_with_holes_kept_in_place() -> None:
    x = np.array([1.0, -2.0, np.nan, 4.0, 0.5])
    # Squares 1 + 4 + 16 + .25; lag 1: -2 + 2 (weight 2/3); lag 2: -8 (1, 4) and none else (1/3).
    by_hand = 21.25 + 2 * (2 / 3) * (-2.0 + 2.0) + 2 * (1 / 3) * (-2.0 * 4.0)
    assert long_run_covariance(x[:, None], 2)[0, 0] == pytest.approx(by_hand)


@pytest.mark.parametrize("horizon", [1, 7])
def test_mincer_zarnowitz_is_that_of_statsmodels(horizon: int) -> None:
    realised, forecast = forecasts(7)
    found = mincer_zarnowitz(realised, forecast, horizon)
    kernel = {"maxlags": horizon - 1}
    fit = sm.OLS(realised, sm.add_constant(forecast)).fit(cov_type="HAC", cov_kwds=kernel)
    wald = fit.wald_test((np.eye(2), np.array([0.0, 1.0])), use_f=False, scalar=True)
    assert found.intercept == pytest.approx(fit.params[0], rel=1e-8)
    assert found.slope == pytest.approx(fit.params[1], rel=1e-8)
    assert found.statistic == pytest.approx(float(wald.statistic), rel=1e-7)
    assert found.p_value == pytest.approx(float(wald.pvalue), rel=1e-6)
    assert found.observations == 300
    assert found.level == pytest.approx(realised.sum() / forecast.sum())


def test_a_weighted_regression_divides_by_the_forecast() -> None:
    realised, forecast = forecasts(8)
    found = mincer_zarnowitz(realised, forecast, 3, weighted=True)
    design = np.column_stack([1.0 / forecast, np.ones(300)])
    fit = sm.OLS(realised / forecast, design).fit(cov_type="HAC", cov_kwds={"maxlags": 2})
    wald = fit.wald_test((np.eye(2), np.array([0.0, 1.0])), use_f=False, scalar=True)
    assert found.slope == pytest.approx(fit.params[1], rel=1e-7)
    assert found.statistic == pytest.approx(float(wald.statistic), rel=1e-6)
    assert found.level == pytest.approx((realised / forecast).mean())


def test_contracts_of_one_day_are_no_separate_evidence() -> None:
    """Driscoll-Kraay: five copies of one contract prove no more than the one."""
    realised, forecast = forecasts(9)
    alone = mincer_zarnowitz(realised, forecast, 2)
    copies = mincer_zarnowitz(np.tile(realised[:, None], 5), np.tile(forecast[:, None], 5), 2)
    assert copies.statistic == pytest.approx(alone.statistic)
    assert copies.observations == alone.observations


def test_a_right_forecast_is_seldom_refused_and_a_halved_one_always() -> None:
    rng = np.random.default_rng(4)
    refused = halved = 0
    for _ in range(200):
        forecast = 1e-3 * np.exp(rng.normal(0, 0.6, 400))
        realised = forecast * rng.chisquare(8, 400) / 8
        right = mincer_zarnowitz(realised, forecast, weighted=True).p_value
        low = mincer_zarnowitz(realised, forecast / 2, weighted=True).p_value
        assert right is not None
        assert low is not None
        refused += right < 0.05
        halved += low < 0.05
    assert refused <= 22  # 5 % of 200 and three and a half standard deviations
    assert halved == 200


def test_a_regression_on_a_constant_says_so() -> None:
    realised, _ = forecasts(3)
    found = mincer_zarnowitz(realised, np.full(300, 1e-3))
    assert found.p_value is None
    assert found.text == "forecast does not vary"
    exact = mincer_zarnowitz(realised, realised.copy())
    assert exact.p_value is None
    assert exact.text == "forecast errors do not vary"


@pytest.mark.parametrize("horizon", [1, 5])
def test_diebold_mariano_is_the_hac_t_with_the_small_sample_correction(horizon: int) -> None:
    realised, forecast = forecasts(5)
    mine, other = qlike(realised, forecast), qlike(realised, 3.0 * forecast)
    found = diebold_mariano(mine, other, horizon)
    kernel = {"maxlags": horizon - 1}
    fit = sm.OLS(mine - other, np.ones(300)).fit(cov_type="HAC", cov_kwds=kernel)
    correction = math.sqrt((300 + 1 - 2 * horizon + horizon * (horizon - 1) / 300) / 300)
    assert found.mean == pytest.approx(float((mine - other).mean()))
    assert found.statistic == pytest.approx(correction * float(fit.tvalues[0]), rel=1e-9)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.statistic is not None
    assert found.statistic < 0  # the better forecast is named first
    back = diebold_mariano(other, mine, horizon)
    assert back.statistic == pytest.approx(-found.statistic)


def test_holes_are_left_out_of_a_comparison() -> None:
    realised, forecast = forecasts(6)
    mine, other = qlike(realised, forecast), qlike(realised, np.full(300, 2e-3))
    whole = diebold_mariano(mine, other)
    gapped = np.insert(mine, [40, 200], np.nan), np.insert(other, [40, 200], 0.1)
    assert diebold_mariano(*gapped) == whole


def test_too_few_rows_say_nothing() -> None:
    realised, forecast = forecasts(1, rows=59)
    assert mincer_zarnowitz(realised, forecast).text == "too few: 59 of 60 days"
    assert diebold_mariano(realised, forecast).p_value is None
    assert too_few(69, 7) == "too few: 69 of 70 days"
    assert too_few(70, 7) == ""
    empty = mincer_zarnowitz(np.full(300, np.nan), np.full(300, 1.0))
    assert (empty.p_value, empty.observations) == (None, 0)


def test_equal_losses_cannot_be_told_apart() -> None:
    realised, forecast = forecasts(2)
    found = diebold_mariano(forecast, forecast.copy())
    assert (found.mean, found.statistic, found.p_value) == (0.0, None, None)
    assert found.text
    assert diebold_mariano(np.full(300, 0.3), np.full(300, 0.1)).statistic is None
    assert len(realised) == 300
