import numpy as np
import pytest

from perptui.estimation.losses import qlike
from perptui.estimation.recursion import lagged
from perptui.estimation.variance.har import har_forecasts, har_regressors, least_pairs
from perptui.model.errors import EstimationError


def wandering(days: int, seed: int = 0, contracts: int = 2) -> np.ndarray:
    """Daily variances whose logarithm is an AR(1), each seen with an error."""
    rng = np.random.default_rng(seed)
    level = np.zeros(contracts)
    rows = []
    for _ in range(days):
        level = 0.97 * level + 0.2 * rng.normal(size=contracts)
        rows.append(level + 0.3 * rng.normal(size=contracts))
    return 1e-3 * np.exp(np.array(rows))


@pytest.mark.parametrize("horizon", [1, 7])
@pytest.mark.parametrize("row", [260, 299])
def test_the_forecast_is_that_of_least_squares_on_complete_pairs(horizon: int, row: int) -> None:
    variance = wandering(300)
    regressors = har_regressors(variance)
    forecast = har_forecasts(variance, horizon)
    for column in range(2):
        known = np.flatnonzero(np.isfinite(regressors[2][:, column]))
        pairs = known[known <= row - horizon]
        x = np.column_stack([np.ones(300), *(each[:, column] for each in regressors)])
        later = np.log([variance[t + 1 : t + 1 + horizon, column].mean() for t in pairs])
        slopes, rest, _, _ = np.linalg.lstsq(x[pairs], later)
        written = np.exp(x[row] @ slopes + 0.5 * rest[0] / (len(pairs) - 4))
        assert forecast[row, column] == pytest.approx(written, rel=1e-9)


def test_regressors_are_means_over_days_weeks_and_months() -> None:
    variance = wandering(60)
    days, week, month = har_regressors(variance)
    assert days[59] == pytest.approx(np.log(variance[59]))
    assert week[59] == pytest.approx(np.log(variance[53:].mean(axis=0)))
    assert month[59] == pytest.approx(np.log(variance[30:].mean(axis=0)))
    assert np.isnan(week[3]).all()
    assert np.isnan(month[18]).all()


@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_no_forecast_uses_a_later_day(horizon: int) -> None:
    variance = wandering(500, seed=1)
    whole = har_forecasts(variance, horizon)
    assert np.isfinite(whole[-1]).all()
    for cut in (90, 250, 333, 499):
        np.testing.assert_array_equal(har_forecasts(variance[:cut], horizon), whole[:cut])


def test_it_waits_for_its_pairs() -> None:
    forecast = har_forecasts(wandering(400), 1)
    first = int(np.flatnonzero(np.isfinite(forecast[:, 0]))[0])
    # 19 days before a month's mean, then 60 pairs, the last of them complete a day later.
    assert first == 19 + least_pairs(1)
    assert least_pairs(1) == 60
    assert least_pairs(7) == 180
    assert np.isnan(har_forecasts(wandering(60), 7)).all()
    assert har_forecasts(wandering(3), 7).shape == (3, 2)


def test_it_beats_the_mean_of_a_month_when_variance_wanders() -> None:
    variance = wandering(1500, seed=2)
    har = np.nanmean(qlike(variance, lagged(har_forecasts(variance, 1)))[300:])
    month = np.nanmean(qlike(variance, lagged(np.exp(har_regressors(variance)[2])))[300:])
    assert har < 0.9 * month


def test_holes_and_days_without_variance_are_no_observations() -> None:
    variance = wandering(400, seed=3)
    holed = variance.copy()
    holed[200] = 0.0
    holed[210] = np.nan
    forecast = har_forecasts(holed, 1)
    assert np.isnan(forecast[[200, 210]]).all()
    assert np.isfinite(forecast[220:]).all()
    np.testing.assert_allclose(forecast[-1], har_forecasts(variance, 1)[-1], rtol=0.2)


@pytest.mark.parametrize(
    "variance",
    [
        np.full((300, 1), 4e-4),
        np.zeros((300, 1)),
        np.full((300, 1), np.nan),
        wandering(5),
        np.zeros((0, 2)),
    ],
)
def test_a_series_without_variation_gives_no_number(variance: np.ndarray) -> None:
    assert np.isnan(har_forecasts(variance, 1)).all()


def test_one_jump_is_not_drawn_out_of_range() -> None:
    variance = wandering(300, seed=4)
    variance[250] *= 1e6
    forecast = har_forecasts(variance, 1)
    month = np.exp(har_regressors(variance)[2])
    ratio = forecast[250:] / month[250:]
    assert (ratio <= 10 * (1 + 1e-9)).all()
    assert (ratio >= 0.1 * (1 - 1e-9)).all()


def test_a_horizon_has_at_least_a_day() -> None:
    with pytest.raises(EstimationError, match="at least 1 day, was 0"):
        har_forecasts(wandering(100), 0)
