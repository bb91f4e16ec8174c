import math

import numpy as np
import pytest

from perptui.estimation.court.calibration import (
    BANDS,
    bias_band,
    bias_statistic,
    ratio_bands,
    volatility_ratio,
)


@pytest.mark.parametrize(
    ("days", "low", "high"), [(30, 0.66, 1.44), (90, 0.79, 1.28), (180, 0.84, 1.20)]
)
def test_the_bands_are_those_of_the_method(days: int, low: float, high: float) -> None:
    """Method §13 for t5; its two digits, and one of its own Monte Carlo."""
    assert bias_band(days) == pytest.approx((low, high), abs=0.011)


@pytest.mark.parametrize("days", [35, 105, 420])
def test_between_the_rows_the_band_is_what_a_simulation_finds(days: int) -> None:
    rng = np.random.default_rng(days)
    z = rng.standard_t(5, (10_000, days)) / math.sqrt(5 / 3)
    spread = z.std(axis=1, ddof=1)
    low, high = bias_band(days)
    # 500 paths are expected outside: 430 to 570 is three standard deviations.
    assert 430 <= np.count_nonzero((spread < low) | (spread > high)) <= 570
    assert np.quantile(spread, [0.025, 0.975]) == pytest.approx([low, high], abs=0.02)


def test_the_band_narrows_with_the_days_and_holds_one() -> None:
    table = np.array(BANDS)
    assert (np.diff(table[:, 0]) > 0).all()
    assert (np.diff(table[:, 1]) > 0).all()
    assert (np.diff(table[:, 2]) < 0).all()
    assert bias_band(100_000) == pytest.approx(BANDS[-1][1:])


def test_the_bias_statistic_is_the_deviation_of_standardised_returns() -> None:
    rng = np.random.default_rng(2)
    sigma = 0.02 * np.exp(rng.normal(0, 0.4, 200))
    returns = sigma * rng.standard_normal(200)
    right, low = bias_statistic(returns, sigma), bias_statistic(returns, sigma / 1.5)
    assert right.value is not None
    assert right.value == pytest.approx(float(np.std(returns / sigma, ddof=1)))
    assert right.within is True
    assert low.value == pytest.approx(1.5 * right.value)
    assert low.within is False
    holes = np.insert(returns, 50, np.nan), np.insert(sigma, 50, 0.02)
    assert bias_statistic(*holes) == right


def test_few_returns_have_no_bias_statistic() -> None:
    found = bias_statistic(np.full(40, 0.01), np.r_[np.zeros(11), np.full(29, 0.02)])
    assert (found.value, found.low, found.high, found.within) == (None, None, None, None)
    assert found.text == "too few: 29 of 30 days"


def test_the_ratio_is_realised_over_forecast_volatility() -> None:
    realised = np.array([1.0, 4.0, 2.0, 3.0]) * 1e-4
    forecast = np.array([9.0, 1.0, 1.0, 2.0]) * 1e-4
    found = volatility_ratio(realised, forecast, 3)
    assert found.value == pytest.approx(math.sqrt(9.0 / 4.0))
    # No history: a day's variance of 1.2, so .4 of the three days' mean.
    s = math.sqrt(math.log(1.4))
    assert found.low == pytest.approx(math.exp(-(s**2) / 4 - 1.959964 * s / 2))
    assert found.high == pytest.approx(math.exp(-(s**2) / 4 + 1.959964 * s / 2))
    gapped = volatility_ratio(np.r_[realised[:3], np.nan], forecast, 3)
    assert (gapped.value, gapped.text) == (None, "too few: 2 of 3 days")
    assert volatility_ratio(realised, forecast, 7).text == "too few: 4 of 7 days"


@pytest.mark.unmeasured
@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_right_forecast_stays_in_its_band_nineteen_times_in_twenty(days: int) -> None:
    """Realised variances of 24 hourly t5 returns about a lognormal level nobody can foresee."""
    rng = np.random.default_rng(days)
    trials = 500
    past = 200 + 20 * days  # twenty windows that do not overlap, and then some
    hourly = rng.standard_t(5, (trials, past + days, 24)) / math.sqrt(5 / 3)
    missed = np.exp(rng.normal(-0.08, 0.4, (trials, past + days)))
    outside = 0
    for row in (hourly**2).mean(axis=2) * missed:
        low, high = ratio_bands(row[:-days], np.ones(past), days)
        outside += not low[-1] <= math.sqrt(row[-days:].mean()) <= high[-1]
    # 5 % and three standard errors of 1 %.
    assert 0.02 <= outside / trials <= 0.08


def test_the_band_is_lognormal_with_the_deviation_of_past_windows() -> None:
    rng = np.random.default_rng(9)
    forecast = 1e-3 * np.exp(rng.normal(0, 0.3, 300))
    realised = forecast * rng.chisquare(4, 300) / 4
    realised[[20, 130]] = np.nan
    low, high = ratio_bands(realised, forecast, 7)
    assert len(low) == 301
    windows = []
    for end in range(7, 201):
        rows = slice(end - 7, end)
        windows.append(math.log(realised[rows].sum() / forecast[rows].sum()))
    count = int(np.isfinite(windows).sum())
    s = float(np.nanstd(windows)) * math.sqrt(count / (count - 7))
    assert low[200] == pytest.approx(math.exp((-(s**2) / 2 - 1.959964 * s) / 2), rel=1e-6)
    assert high[200] == pytest.approx(math.exp((-(s**2) / 2 + 1.959964 * s) / 2), rel=1e-6)
    # 76 days hold 63 windows without the hole; 70 are asked for.
    assert low[76] == pytest.approx(low[0])
    # Later days change nothing that was said before them.
    cut = ratio_bands(realised[:200], forecast[:200], 7)
    assert cut[1].tobytes() == high[:201].tobytes()
