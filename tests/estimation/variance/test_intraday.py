"""The day so far, by hand, and against the mean that takes whole days in."""

import numpy as np
import pytest

from perptui.estimation.recursion import ewma
from perptui.estimation.variance.forecast import REALISED_HALFLIFE_DAYS
from perptui.estimation.variance.intraday import LEAST_SHARE, elasticity_of, pace_of


def test_the_mean_takes_the_day_in_by_its_share() -> None:
    kept = 2.0 ** (-0.5 / 5.0)
    # Half a day with .0003 runs at .0006 a day.
    by_hand = (kept * 4e-4 + (1 - kept) * 6e-4) / 4e-4
    found = pace_of(np.array([4e-4]), np.array([3e-4]), np.array([0.5]), 5.0)
    assert found[0] == pytest.approx(by_hand, rel=1e-14)


def test_a_whole_day_is_the_next_step_of_the_ewma() -> None:
    days = np.exp(np.random.default_rng(3).normal(-8.0, 0.5, (3000, 2)))
    mean = ewma(days, REALISED_HALFLIFE_DAYS)
    pace = pace_of(mean[-2], days[-1], np.ones(2))
    np.testing.assert_allclose(mean[-2] * pace, mean[-1], rtol=1e-12)


def test_a_quicker_mean_takes_more_of_the_day() -> None:
    fast, variance, share = np.array([4e-4]), np.array([4e-3]), np.array([0.5])
    slow, quick = (pace_of(fast, variance, share, days)[0] for days in (10.0, 2.0))
    assert 1.0 < slow < quick


@pytest.mark.parametrize(
    ("fast", "share"), [(np.nan, 0.5), (4e-4, 0.0), (4e-4, LEAST_SHARE - 1e-9)]
)
def test_nothing_is_said_of_a_young_day_or_without_a_mean(fast: float, share: float) -> None:
    assert pace_of(np.array([fast]), np.array([1.0]), np.array([share])).tolist() == [1.0]


def test_a_power_of_the_mean_has_that_elasticity() -> None:
    fast = np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.2, (300, 3)), axis=0))
    assert elasticity_of(7.0 * fast**0.37, fast) == pytest.approx(0.37, rel=1e-12)
    # A forecast that moves against it takes nothing over; one that overshoots, all of it.
    assert elasticity_of(1.0 / fast, fast) == 0.0
    assert elasticity_of(fast**2, fast) == 1.0


def test_elasticity_leaves_holes_out_and_is_nothing_where_nothing_is_known() -> None:
    rng = np.random.default_rng(5)
    fast = np.exp(np.cumsum(rng.normal(0, 0.2, (400, 2)), axis=0))
    forecast = fast**0.6
    forecast[100:120, 0] = 50.0
    fast[99:121, 0] = np.nan
    assert elasticity_of(forecast, fast) == pytest.approx(0.6, rel=1e-12)
    assert elasticity_of(np.full((9, 1), np.nan), np.ones((9, 1))) == 0.0
    assert elasticity_of(np.ones((9, 1)), np.ones((9, 1))) == 0.0


def test_own_noise_of_a_forecast_does_not_bias_it() -> None:
    rng = np.random.default_rng(6)
    steps = rng.normal(0, 0.2, (20_000, 1))
    fast = np.exp(np.cumsum(steps, axis=0) * 0.01)
    forecast = fast**0.5 * np.exp(np.cumsum(rng.normal(0, 0.001, (20_000, 1)), axis=0))
    # Standard error of a slope: .001/(.002·sqrt(20,000)) = .0035.
    assert elasticity_of(forecast, fast) == pytest.approx(0.5, abs=0.014)
