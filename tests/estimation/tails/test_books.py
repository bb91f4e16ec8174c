import dataclasses

import numpy as np
import pytest

from perptui.estimation.tails.books import (
    METHODS,
    TailInputs,
    horizon_windows,
    past_returns,
    shape,
    standardised_days,
    tail_risks,
)
from perptui.estimation.tails.cornish_fisher import cornish_fisher_tail
from perptui.estimation.tails.filtered import FundingDraw, horizon_scenarios
from perptui.estimation.tails.parametric import normal_tail
from perptui.model.errors import EstimationError
from perptui.model.forecast import TailRisk

N = 3
LONG = np.array([0.5, 0.3, 0.2])


def inputs_of(
    daily: np.ndarray, horizon: float, mean_funding: float = 0.0, daily_variance: float = 0.0004
) -> TailInputs:
    variance = np.full(daily.shape, daily_variance)
    funding = FundingDraw(np.full(N, mean_funding * horizon), np.zeros(N))
    return TailInputs(
        daily=daily,
        funding=np.full(daily.shape, mean_funding),
        covariance=horizon * daily_variance * np.eye(N),
        mean=-funding.mean,
        scenarios=horizon_scenarios(daily, variance, funding, horizon, seed=7),
    )


def normal_days(days: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.02, (days, N))


def by_method(rows: tuple[TailRisk, ...], level: float = 0.95) -> dict[str, TailRisk]:
    return {row.method: row for row in rows if row.level == level}


def test_every_method_finds_the_tail_of_a_normal_book() -> None:
    rows = tail_risks({"book": LONG}, inputs_of(normal_days(3000), 1.0))
    deviation = 0.02 * np.sqrt(LONG @ LONG)
    assert [(row.method, row.level) for row in rows] == [
        (method, level) for level in (0.95, 0.99) for method in METHODS
    ]
    for row in rows:
        true = normal_tail(0.0, float(deviation), row.level)
        assert row.var == pytest.approx(true.var, rel=0.08), row
        assert row.shortfall == pytest.approx(true.shortfall, rel=0.08), row
        # A normal sample stands on the edge of Cornish-Fisher's region: K < 0 is outside.
        gave_way = row.method == "Cornish-Fisher" and bool(row.text)
        assert gave_way or not row.text
        assert (row.error > 0) == (row.method == "FHS" or gave_way)


def test_funding_that_a_long_pays_makes_its_losses_larger_in_every_method() -> None:
    daily = normal_days(800)
    free = by_method(tail_risks({"long": LONG}, inputs_of(daily, 1.0)))
    dear = by_method(tail_risks({"long": LONG}, inputs_of(daily, 1.0, mean_funding=0.003)))
    short = by_method(tail_risks({"short": -LONG}, inputs_of(daily, 1.0)))
    earning = by_method(tail_risks({"short": -LONG}, inputs_of(daily, 1.0, mean_funding=0.003)))
    for method in METHODS:
        assert dear[method].var - free[method].var == pytest.approx(0.003, abs=2e-4)
        assert earning[method].shortfall - short[method].shortfall == pytest.approx(
            -0.003, abs=2e-4
        )


def test_outside_of_its_region_cornish_fisher_gives_way_and_says_so() -> None:
    daily = normal_days(600)
    daily[100::50] = -0.12
    rows = tail_risks({"book": LONG}, inputs_of(daily, 1.0))
    for level in (0.95, 0.99):
        found = by_method(rows, level)
        assert "quantile not monotone: FHS instead" in found["Cornish-Fisher"].text
        assert "skewness -" in found["Cornish-Fisher"].text
        for field in ("var", "shortfall", "error"):
            assert getattr(found["Cornish-Fisher"], field) == getattr(found["FHS"], field)


def test_few_days_are_said_and_not_measured() -> None:
    daily = normal_days(200)
    daily[:150, 0] = np.nan
    found = by_method(tail_risks({"book": LONG}, inputs_of(daily, 1.0)))
    assert found["historical"].text == "50 separate periods of 1 d, 60 needed: FHS instead"
    assert found["Student t"].text == "30 of 60 days with all contracts: FHS instead"
    assert found["Cornish-Fisher"].text == found["Student t"].text
    assert found["historical"].var == found["FHS"].var
    only_others = np.array([0.0, 0.5, 0.5])
    assert not by_method(tail_risks({"book": only_others}, inputs_of(daily, 1.0)))[
        "historical"
    ].text


def test_a_past_of_one_jump_is_no_tail() -> None:
    inputs = inputs_of(normal_days(300), 1.0)
    jump = np.full(inputs.daily.shape, 0.0)
    jump[200] = -0.5
    found = by_method(tail_risks({"book": LONG}, dataclasses.replace(inputs, daily=jump)))
    assert "299 of 300 at 0" in found["historical"].text
    for method in ("historical", "Student t", "Cornish-Fisher"):
        assert found[method].text.endswith("FHS instead")
        assert found[method].var == found["FHS"].var


def test_days_are_scaled_where_separate_periods_are_too_few() -> None:
    daily = normal_days(300)
    row = by_method(tail_risks({"book": LONG}, inputs_of(daily, 7.0)))["historical"]
    assert row.text == "42 separate periods of 7 d, 60 needed: days scaled instead"
    one_day = by_method(tail_risks({"book": LONG}, inputs_of(daily, 1.0)))["historical"]
    assert row.var == pytest.approx(np.sqrt(7) * one_day.var)
    assert row.error == 0.0


def test_windows_add_days_that_follow_each_other() -> None:
    past = np.arange(10.0)
    past[4] = np.nan
    np.testing.assert_allclose(horizon_windows(past, 3.0), [3, 6, 18, 21, 24])
    np.testing.assert_allclose(horizon_windows(past[:2], 0.25), [0, 0.5])
    assert len(horizon_windows(past[:2], 3.0)) == 0


def test_the_past_of_a_book_is_the_sum_of_price_and_funding() -> None:
    daily = np.log(np.array([[1.1, 0.9, 2.0], [np.nan, 1.0, 1.0]]))
    funding = np.array([[0.01, -0.02, 0.5], [0.0, 0.03, 0.0]])
    book = np.array([1.0, -2.0, 0.0])
    past = past_returns(book, daily, funding)
    assert past[0] == pytest.approx((0.1 - 0.01) - 2 * (-0.1 + 0.02))
    assert np.isnan(past[1])


def test_the_shape_is_that_of_scipy_and_short_books_have_none() -> None:
    from scipy import stats

    days = np.random.default_rng(1).standard_t(5, 500)
    skewness, kurtosis = shape(days)
    assert skewness == pytest.approx(stats.skew(days))
    assert kurtosis == pytest.approx(stats.kurtosis(days))
    assert len(standardised_days(days[:20])) == 0
    assert len(standardised_days(days)) == 480
    assert standardised_days(0.01 * days).std() == pytest.approx(1.0, abs=0.2)


def test_a_book_that_holds_nothing_has_no_row() -> None:
    inputs = inputs_of(normal_days(100), 1.0)
    rows = tail_risks({"b": LONG, "empty": np.zeros(N), "a": -LONG}, inputs, levels=(0.95,))
    assert [row.book for row in rows] == ["a"] * 5 + ["b"] * 5


def test_inputs_that_do_not_fit_are_refused() -> None:
    inputs = inputs_of(normal_days(100), 1.0)
    with pytest.raises(EstimationError, match="3 finite weights of book"):
        tail_risks({"book": LONG[:2]}, inputs)
    with pytest.raises(EstimationError, match="3 finite weights of book"):
        tail_risks({"book": np.array([0.1, np.nan, 0.0])}, inputs)
    with pytest.raises(EstimationError, match="take the same days"):
        tail_risks({}, dataclasses.replace(inputs, funding=inputs.funding[1:]))
    with pytest.raises(EstimationError, match="covariance and scenarios of 3"):
        tail_risks({}, dataclasses.replace(inputs, covariance=np.eye(2)))
    with pytest.raises(EstimationError, match="finite mean"):
        tail_risks({}, dataclasses.replace(inputs, mean=np.full(N, np.nan)))


def test_inside_of_its_region_cornish_fisher_has_the_shape_of_days_that_add_up() -> None:
    inputs = inputs_of(0.02 * np.random.default_rng(3).standard_t(6, (900, N)), 7.0)
    row = by_method(tail_risks({"book": LONG}, inputs))["Cornish-Fisher"]
    skewness, kurtosis = shape(standardised_days(past_returns(LONG, inputs.daily, inputs.funding)))
    deviation = float(np.sqrt(LONG @ inputs.covariance @ LONG))
    # Sums of H independent days: skewness / sqrt(H), excess kurtosis / H.
    expected = cornish_fisher_tail(0.0, deviation, skewness / np.sqrt(7), kurtosis / 7, 0.95)
    assert (row.var, row.shortfall) == pytest.approx((expected.var, expected.shortfall))
    assert (row.error, row.text) == (0.0, "")
