import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.estimation.funding.regime import (
    LEAST_CAP,
    REGIMES,
    RegimeState,
    day_apr,
    funding_caps,
    last_regime,
    next_regime,
    regime_path,
)
from tests.estimation.funding.made import series


def stepped(apr: list[float]) -> list[str]:
    """The regime by one step at a time."""
    state, found = RegimeState(negative=False, positive=False, extreme=False), []
    for one in apr:
        state = next_regime(state, one)
        found.append(state.label)
    return found


def test_thresholds_are_passed_beyond_and_left_a_fifth_before() -> None:
    # Method §5: -5 %, 15 %, 50 %, hysteresis 20 % of the threshold: left at -4 %, 12 %, 40 %.
    apr = [0.0, 0.15, 0.16, 0.13, 0.12, 0.119, 0.51, 0.41, 0.39, 0.13, 0.11, -0.05, -0.06, -0.041,
           -0.039, 0.0]  # fmt: skip
    expected = ["neutral", "neutral", "positive", "positive", "positive", "neutral", "extreme",
                "extreme", "positive", "positive", "neutral", "neutral", "negative", "negative",
                "neutral", "neutral"]  # fmt: skip
    assert list(regime_path(np.array(apr))) == expected
    assert stepped(apr) == expected


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=60))
def test_the_path_is_the_same_by_steps_at_once_and_cut(apr: list[float]) -> None:
    whole = regime_path(np.array(apr))
    assert list(whole) == stepped(apr)
    assert set(whole) <= set(REGIMES)
    k = max(1, len(apr) // 2)
    assert regime_path(np.array(apr[:k])) == whole[:k]
    assert last_regime(np.array(apr[:k])).label == whole[k - 1]


def test_the_day_up_to_each_settlement_is_annualised() -> None:
    found = day_apr(series(np.array([1e-4, 2e-4, 3e-4, 4e-4])))
    assert found == pytest.approx(np.array([1e-4, 1.5e-4, 2e-4, 3e-4]) * 3 * 365)


def test_the_side_that_pays_beyond_one_deviation_is_capped() -> None:
    mild = funding_caps(1e-3, 1e-3, 7.0, "positive")
    assert (mild.long, mild.short, mild.words) == (1.0, 1.0, ())
    # 1.5 sd: 1/1.5; 21 bp in 7 days is 11 % a year.
    some = funding_caps(2.1e-3, 1.4e-3, 7.0, "positive")
    assert [some.long, some.short] == pytest.approx([1 / 1.5, 1.0])
    assert some.words == ("a long pays 11% a year, 1.5 sd: its cap x0.67",)
    other = funding_caps(-2.1e-3, 1.4e-3, 7.0, "negative")
    assert [other.long, other.short] == pytest.approx([1.0, 1 / 1.5])
    assert "a short pays" in other.words[0]


def test_the_regime_sets_how_far_a_cap_comes_down() -> None:
    for regime, least in LEAST_CAP.items():
        assert funding_caps(3e-3, 1e-4, 7.0, regime).long == least
    # Below minus 50 % a year a short pays as a long does above 50 %.
    assert funding_caps(-2e-2, 1e-3, 7.0, "negative").short == 0.25


def test_unsteady_funding_brings_both_caps_down() -> None:
    steady = funding_caps(2e-3, 2e-3, 7.0, "positive")
    unsteady = funding_caps(2e-3, 8e-3, 7.0, "positive")
    # ±.8 % in 7 days is ±42 % a year against the 20 % of the neutral band.
    assert unsteady.long == unsteady.short == pytest.approx(0.2 / (8e-3 * 365 / 7))
    assert steady.long > unsteady.long
    assert "funding unsteady, ±42% a year" in unsteady.words[0]
    assert funding_caps(0.0, 0.5, 7.0, "neutral").long == 0.25


@given(st.floats(-0.05, 0.05), st.floats(0, 0.05), st.sampled_from(REGIMES))
def test_caps_are_shares_and_fall_with_what_the_side_pays(
    mean: float, sd: float, regime: str
) -> None:
    here, more = funding_caps(mean, sd, 7.0, regime), funding_caps(2 * mean, sd, 7.0, regime)
    for caps in (here, more):
        assert 0.25 <= caps.long <= 1.0
        assert 0.25 <= caps.short <= 1.0
    if mean > 0:
        assert more.long <= here.long <= here.short
    if mean < 0:
        assert more.short <= here.short <= here.long


def test_certain_funding_is_capped_at_the_floor_and_none_at_all_is_not() -> None:
    assert funding_caps(1e-3, 0.0, 7.0, "neutral").long == 0.75
    assert funding_caps(0.0, 0.0, 7.0, "neutral").long == 1.0
