import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from perptui.estimation.court.coverage import (
    conditional_coverage,
    dynamic_quantile,
    exceedances,
    independence,
    independence_statistic,
    judge_coverage,
    kupiec,
    kupiec_statistic,
    needed_days,
    traffic_zone,
)

FloatArray = NDArray[np.float64]
CRITICAL = float(stats.chi2.ppf(0.95, 1))


def accepted(days: int, tail: float) -> list[int]:
    """Counts that Kupiec's test accepts at 5 %."""
    return [x for x in range(days + 1) if kupiec_statistic(x, days, tail) < CRITICAL]


@pytest.mark.parametrize(
    ("days", "tail", "least", "most"),
    [
        (250, 0.01, 1, 6),  # method §13, as the two that follow
        (250, 0.05, 7, 19),
        # Kupiec (1995), as printed in Jorion, Value at Risk (3rd ed., 2007), table 6-2.
        (252, 0.01, 1, 6),
        (510, 0.01, 2, 10),
        (1000, 0.01, 5, 16),
        (252, 0.05, 7, 19),
        (510, 0.05, 17, 35),
        (1000, 0.05, 38, 64),
    ],
)
def test_kupiec_accepts_what_is_printed(days: int, tail: float, least: int, most: int) -> None:
    assert accepted(days, tail) == list(range(least, most + 1))


def test_kupiecs_true_size_and_power_are_those_of_the_binomial() -> None:
    one, five = stats.binom(250, 0.01), stats.binom(250, 0.05)
    assert 1 - (one.cdf(6) - one.cdf(0)) == pytest.approx(0.095, abs=5e-4)
    inside = accepted(250, 0.01)
    assert 1 - sum(stats.binom.pmf(inside, 250, 0.01)) == pytest.approx(0.095, abs=5e-4)
    assert 1 - sum(stats.binom.pmf(inside, 250, 0.02)) == pytest.approx(0.24, abs=5e-3)
    wide = accepted(250, 0.05)
    assert 1 - sum(stats.binom.pmf(wide, 250, 0.10)) == pytest.approx(0.88, abs=5e-3)
    assert 1 - (five.cdf(19) - five.cdf(6)) < 0.08


def test_kupiec_is_defined_without_and_with_nothing_but_exceedances() -> None:
    assert kupiec_statistic(0, 300, 0.05) == pytest.approx(-2 * 300 * math.log(0.95))
    assert kupiec_statistic(300, 300, 0.05) == pytest.approx(-2 * 300 * math.log(0.05))
    assert kupiec_statistic(15, 300, 0.05) == 0.0


def chain(quiet: int, in_between: int, alone: int, pairs: int) -> FloatArray:
    """Hits with these transitions: 0-0, 0-1 (= 1-0, or one more), 1-1."""
    hits = [0.0]
    for k in range(in_between):
        hits += [1.0] + [1.0] * (pairs if k == 0 else 0) + ([0.0] if k < alone else [])
    return np.array(hits + [0.0] * quiet)


def test_christoffersens_ratios_are_those_of_a_published_bank() -> None:
    """J.P. Morgan 1998: 20 exceptions in 252 days; 14 after a quiet day, 6 after another.

    Jorion, Value at Risk (3rd ed., 2007), §6.2.4 prints LR_uc 3.91, LR_ind 9.53, LR_cc 13.44.
    """
    hits = chain(quiet=218, in_between=14, alone=14, pairs=6)
    before, after = hits[:-1].astype(int), hits[1:].astype(int)
    assert np.bincount(2 * before + after).tolist() == [218, 14, 14, 6]
    assert kupiec_statistic(20, 252, 0.05) == pytest.approx(3.91, abs=5e-3)
    assert independence_statistic(hits) == pytest.approx(9.53, abs=5e-3)
    assert kupiec_statistic(20, 252, 0.05) + independence_statistic(hits) == pytest.approx(
        13.44, abs=5e-3
    )
    # The chain's 252 steps take 253 days, and the rate is judged on them all.
    joint = conditional_coverage(hits, 0.05)
    assert joint.statistic == pytest.approx(
        13.44 - 3.91 + kupiec_statistic(20, 253, 0.05), abs=0.01
    )
    assert joint.p_value is not None
    assert joint.statistic is not None
    assert joint.p_value == pytest.approx(math.exp(-joint.statistic / 2), rel=1e-12)


def test_independence_by_hand_and_with_a_hole() -> None:
    hits = np.array([0, 0, 1, 1, 0, 1, 0, 0, 0, 1], dtype=float)
    # 0-0 three times, 0-1 three, 1-0 two, 1-1 once; four hits among nine.
    chained = 3 * math.log(1 / 2) + 3 * math.log(1 / 2) + 2 * math.log(2 / 3) + math.log(1 / 3)
    one_rate = 5 * math.log(5 / 9) + 4 * math.log(4 / 9)
    assert independence_statistic(hits) == pytest.approx(2 * (chained - one_rate))
    # A hole breaks both pairs it stands in: 1-1 is gone, and 1-0 once.
    hits[3] = np.nan
    chained = 3 * math.log(1 / 2) + 3 * math.log(1 / 2)
    one_rate = 4 * math.log(4 / 7) + 3 * math.log(3 / 7)
    assert independence_statistic(hits) == pytest.approx(2 * (chained - one_rate))


def test_independence_is_defined_at_the_ends() -> None:
    assert independence_statistic(np.zeros(300)) == 0.0
    assert independence_statistic(np.ones(300)) == 0.0
    assert independence(np.zeros(300), 0.05).p_value == 1.0


def test_the_traffic_light_has_the_committees_zones() -> None:
    """Basel Committee (1996), table 2: 250 days of a 99 % VaR."""
    zones = [traffic_zone(count, 250, 0.01) for count in range(13)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 3
    for days, tail in ((500, 0.01), (1000, 0.05)):
        for count in range(120):
            reached = stats.binom.cdf(count, days, tail)
            wanted = "green" if reached < 0.95 else "yellow" if reached < 0.9999 else "red"
            assert traffic_zone(count, days, tail) == wanted


def test_no_verdict_where_a_test_has_no_power() -> None:
    assert (needed_days(0.05), needed_days(0.025), needed_days(0.01)) == (250, 250, 500)
    rng = np.random.default_rng(6)
    returns = rng.normal(0, 0.02, 499)
    short = judge_coverage(returns[:249], np.full(249, 0.033), 0.05)
    assert short.text == "too few: 249 of 250 days"
    assert short.light == ""
    for verdict in (
        short.kupiec, short.independence, short.conditional, short.dynamic_quantile
    ):  # fmt: skip
        assert (verdict.statistic, verdict.p_value) == (None, None)
        assert verdict.text == short.text
    enough = judge_coverage(returns[:250], np.full(250, 0.033), 0.05)
    assert enough.kupiec.p_value is not None
    assert enough.light
    assert judge_coverage(returns, np.full(499, 0.047), 0.01).text == "too few: 499 of 500 days"
    nothing = judge_coverage(np.full(400, np.nan), np.full(400, 0.03), 0.05)
    assert (nothing.observations, nothing.exceedances) == (0, 0)
    assert np.isnan(nothing.tick)


def test_the_counts_and_the_score_are_of_the_known_days() -> None:
    returns = np.array([-0.05, 0.01, -0.02, np.nan, -0.04])
    var = np.array([0.03, 0.03, np.nan, 0.03, 0.04])
    assert exceedances(returns, var).tolist()[:2] == [1.0, 0.0]
    found = judge_coverage(returns, var, 0.05)
    assert (found.observations, found.exceedances) == (3, 1)
    assert found.expected == pytest.approx(0.15)
    assert found.tick == pytest.approx((0.95 * 0.02 + 0.05 * 0.04 + 0.0) / 3)


def dependent(rng: np.random.Generator, days: int) -> tuple[FloatArray, FloatArray]:
    """Deviation that wanders, and returns drawn with it."""
    deviation = 0.02 * np.exp(np.convolve(rng.normal(0, 0.1, days + 19), np.ones(20), "valid"))
    return deviation, deviation * rng.standard_normal(days)


def test_the_dynamic_quantile_is_that_of_its_formula() -> None:
    """Engle & Manganelli (2004), theorem 4, written out with an explicit inverse."""
    rng = np.random.default_rng(12)
    deviation, returns = dependent(rng, 800)
    var = 1.5 * deviation
    hits = exceedances(returns, var)
    off = hits - 0.05
    design = np.column_stack([np.ones(796), var[4:], off[3:-1], off[2:-2], off[1:-3], off[:-4]])
    projected = design.T @ off[4:]
    statistic = projected @ np.linalg.inv(design.T @ design) @ projected / (0.05 * 0.95)
    found = dynamic_quantile(hits, var, 0.05)
    assert found.statistic == pytest.approx(float(statistic), rel=1e-8)
    assert found.p_value == pytest.approx(float(stats.chi2.sf(statistic, 6)), rel=1e-8)
    # A VaR that never moves adds nothing to the constant: one degree of freedom fewer.
    flat = dynamic_quantile(hits, np.full(800, 0.03), 0.05)
    assert flat.statistic is not None
    assert flat.p_value == pytest.approx(float(stats.chi2.sf(flat.statistic, 5)), rel=1e-8)


def test_sizes_and_power_by_simulation() -> None:
    rng = np.random.default_rng(13)
    wrong = {"kupiec": 0, "independence": 0, "conditional": 0, "dynamic": 0}
    caught = 0
    for _ in range(250):
        deviation, returns = dependent(rng, 2000)
        var = 1.6448536 * deviation
        hits = exceedances(returns, var)
        for name, verdict in (
            ("kupiec", kupiec(hits, 0.05)),
            ("independence", independence(hits, 0.05)),
            ("conditional", conditional_coverage(hits, 0.05)),
            ("dynamic", dynamic_quantile(hits, var, 0.05)),
        ):
            assert verdict.p_value is not None
            wrong[name] += verdict.p_value < 0.05
        blind = np.full(2000, -np.quantile(returns, 0.05))
        verdict = dynamic_quantile(exceedances(returns, blind), blind, 0.05)
        assert verdict.p_value is not None
        caught += verdict.p_value < 0.05
    # 12.5 of 250 are expected; 1 to 24 is three and a third standard deviations of the binomial.
    assert all(1 <= count <= 24 for count in wrong.values()), wrong
    # The right number of hits at the wrong times: seen by the dynamic test in most samples.
    assert caught > 190


def test_a_quantile_regression_needs_days_in_a_row() -> None:
    hits = np.zeros(600)
    hits[::2] = np.nan
    found = dynamic_quantile(hits, np.full(600, 0.03), 0.05)
    assert found.p_value is None
    assert found.text == "too few: 0 of 250 days without holes"
