import math
from statistics import NormalDist

import numpy as np
import pytest

from perptui.estimation.regime.rule import (
    CALM,
    CRISIS,
    CRISIS_ENTER,
    CRISIS_LEAVE,
    DWELL_H,
    LEGS,
    NORMAL,
    STRESS,
    RulePath,
    follow_rule,
    normal_cdf,
    rule_probabilities,
)


def fed(*steps: tuple[int, float, float]) -> list[int]:
    """Labels after each block of (hours, fast ratio, slow ratio)."""
    ratios = [row for hours, fast, slow in steps for row in [(fast, slow)] * hours]
    ends = np.cumsum([hours for hours, _, _ in steps]) - 1
    return [int(label) for label in follow_rule(np.array(ratios)).labels[ends]]


def test_the_fast_leg_enters_at_once_and_leaves_after_a_day_below_one() -> None:
    assert fed((50, 0.95, 0.95), (1, 1.51, 0.95)) == [NORMAL, STRESS]
    assert fed((1, 1.51, 0.95), (DWELL_H - 1, 0.99, 0.95)) == [STRESS, STRESS]
    assert fed((1, 1.51, 0.95), (DWELL_H, 0.99, 0.95)) == [STRESS, NORMAL]
    # One hour back above the leaving threshold starts the day again; 1.2 is not a new entry.
    assert fed((1, 1.51, 0.95), (23, 0.99, 0.95), (1, 1.01, 0.95), (23, 0.99, 0.95))[-1] == STRESS
    assert fed((99, 1.49, 0.95)) == [NORMAL]


def test_the_slow_leg_has_its_own_thresholds() -> None:
    assert fed((1, 0.95, 1.26)) == [STRESS]
    assert fed((1, 0.95, 1.24)) == [NORMAL]
    assert fed((1, 0.95, 1.26), (200, 0.95, 1.05)) == [STRESS, STRESS]
    assert fed((1, 0.95, 1.26), (DWELL_H, 0.95, 0.99)) == [STRESS, NORMAL]


def test_doubled_volatility_is_a_crisis_that_steps_down_through_stress() -> None:
    stepping = fed((1, 2.01, 0.95), (DWELL_H - 1, 1.4, 0.95), (1, 1.4, 0.95))
    assert stepping == [CRISIS, CRISIS, STRESS]
    assert fed((1, 0.9, 2.01)) == [CRISIS]
    assert fed((1, 2.01, 0.95), (99, 1.6, 0.95)) == [CRISIS, CRISIS]


def test_calm_has_two_thresholds_too() -> None:
    walked = fed((1, 0.89, 0.5), (1, 1.09, 0.5), (1, 1.11, 0.5), (1, 0.91, 0.5))
    assert walked == [CALM, CALM, NORMAL, NORMAL]


def test_an_unknown_ratio_says_nothing() -> None:
    nan = float("nan")
    assert fed((10, nan, nan)) == [NORMAL]
    assert fed((1, 1.6, nan)) == [STRESS]


def test_the_rule_is_the_state_machine_that_it_describes() -> None:
    """The rule hour by hour, as in words, against the whole path at once."""
    rng = np.random.default_rng(21)
    ratios = np.exp(np.cumsum(rng.normal(0.0, 0.06, (5000, 2)), axis=0) * 0.15)
    ratios[rng.random(ratios.shape) < 0.01] = np.nan
    on, quiet, crisis_quiet, label = [False, False], [0, 0], 0, NORMAL
    wanted = []
    for row in ratios.tolist():
        for k, (leg, ratio) in enumerate(zip(LEGS, row, strict=True)):
            quiet[k] = quiet[k] + 1 if ratio < leg.leave else 0
            if ratio > leg.enter:
                on[k] = True
            elif quiet[k] >= DWELL_H:
                on[k] = False
        known = [ratio for ratio in row if ratio == ratio]
        highest = max(known) if known else math.nan
        crisis_quiet = crisis_quiet + 1 if highest < CRISIS_LEAVE else 0
        if highest > CRISIS_ENTER:
            label = CRISIS
        elif label != CRISIS or crisis_quiet >= DWELL_H:
            low = CALM if highest < (1.1 if label == CALM else 0.9) else NORMAL
            label = STRESS if any(on) else low
        wanted.append(label)
    path = follow_rule(ratios)
    np.testing.assert_array_equal(path.labels, wanted)
    assert set(wanted) == {CALM, NORMAL, STRESS, CRISIS}
    assert path.legs_on[-1].tolist() == on
    assert path.quiet[-1].tolist() == quiet


def chances(
    label: int, legs_on: tuple[bool, bool], ratio: tuple[float, float], kurtosis: float = 30.0
) -> list[float]:
    path = RulePath(np.array([label]), np.array([legs_on]), np.zeros((1, 2), np.int64))
    row: list[float] = rule_probabilities(path, np.array([ratio]), kurtosis)[0].tolist()
    return row


def test_probabilities_sum_to_one_and_follow_the_ratio() -> None:
    calm = chances(CALM, (False, False), (0.5, 0.6))
    edge = chances(NORMAL, (False, False), (1.5, 0.9))
    crisis = chances(CRISIS, (True, True), (3.0, 1.9))
    for row in (calm, edge, crisis):
        assert sum(row) == pytest.approx(1.0)
        assert min(row) >= 0.0
    assert calm[0] > 0.9
    # On the threshold it is as likely above as below.
    assert edge[2] + edge[3] == pytest.approx(0.5, abs=1e-6)
    assert crisis[3] > 0.9
    # Stress that holds is judged by the threshold at which it leaves.
    held = chances(STRESS, (True, False), (1.2, 0.9))
    fresh = chances(NORMAL, (False, False), (1.2, 0.9))
    assert held[2] > 0.6 > fresh[2]


def test_the_probability_has_the_error_of_an_estimated_volatility() -> None:
    # ½ sqrt((kurtosis-1)/n), n = 2·24/ln 2: one deviation above the threshold is Phi(1).
    deviation = 0.5 * math.sqrt(29 / (48 / math.log(2)))
    row = chances(NORMAL, (False, False), (1.5 * math.exp(deviation), 0.1))
    assert row[2] + row[3] == pytest.approx(0.841345, abs=1e-6)


def test_no_leg_gives_no_probability() -> None:
    assert np.isnan(chances(NORMAL, (False, False), (math.nan, math.nan))).all()


def test_the_normal_distribution_is_that_of_the_standard_library() -> None:
    x = np.linspace(-8.0, 8.0, 401)
    exact = [NormalDist().cdf(value) for value in x.tolist()]
    np.testing.assert_allclose(normal_cdf(x), exact, atol=1.5e-7)
    assert np.isnan(normal_cdf(np.array([np.nan])))[0]
