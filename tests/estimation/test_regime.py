import math
from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.panel import Closes, build_panel
from perptui.estimation.regime import (
    CALM,
    CRISIS,
    DWELL_H,
    NORMAL,
    STRESS,
    RegimePath,
    Rule,
    exposure_scale,
    forecast_regime,
    label_hours,
    probabilities,
    trailing_mean,
    volatility_ratios,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError
from perptui.model.strategy import StrategyParameters

CRASHES = ("2021-05-19", "2022-05-09", "2022-06-13", "2022-11-08", "2024-08-05")
COINS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")


def strategy(**changes: object) -> StrategyParameters:
    values: dict[str, object] = {
        "name": "tactical",
        "model_version": "t-1",
        "horizon_days": 2.0,
        "risk_aversion": 6.0,
        "cost_aversion": 1.0,
        "uncertainty": 0.5,
        "volatility_halflife_days": 10.0,
        "correlation_halflife_days": 21.0,
        "volatility_target": 0.3,
        "exposure_by_regime": (1.0, 0.9, 0.5, 0.25),
        "exposure_min": 0.1,
        "follow_regime": True,
        "combined_volatility": True,
        "margin_cushion": (0.5, 0.5, 1.0, 2.0),
        "cluster_correlation": 1.0,
        "cluster_gross_max": 3.0,
    }
    return StrategyParameters(**(values | changes))  # type: ignore[arg-type]


def fed(*steps: tuple[int, float, float]) -> list[int]:
    """Labels after each block of (hours, fast ratio, slow ratio)."""
    rule = Rule()
    return [[rule.step(fast, slow) for _ in range(hours)][-1] for hours, fast, slow in steps]


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
    assert fed((1, 2.01, 0.95), (DWELL_H - 1, 1.4, 0.95), (1, 1.4, 0.95)) == [
        CRISIS,
        CRISIS,
        STRESS,
    ]
    assert fed((1, 0.9, 2.01)) == [CRISIS]
    assert fed((1, 2.01, 0.95), (99, 1.6, 0.95)) == [CRISIS, CRISIS]


def test_calm_has_two_thresholds_too() -> None:
    assert fed((1, 0.89, 0.5), (1, 1.09, 0.5), (1, 1.11, 0.5), (1, 0.91, 0.5)) == [
        CALM,
        CALM,
        NORMAL,
        NORMAL,
    ]


def test_an_unknown_ratio_says_nothing() -> None:
    nan = float("nan")
    assert fed((10, nan, nan)) == [NORMAL]
    assert fed((1, 1.6, nan)) == [STRESS]


def test_ratios_are_those_of_their_definition() -> None:
    book = np.random.default_rng(6).normal(0, 0.01, 24 * 200)
    ratios = volatility_ratios(book)
    level = math.sqrt(np.mean(book[-180 * 24 :] ** 2))
    b = 0.5 ** (1 / 24)
    weights = b ** np.arange(len(book))[::-1]
    fast = math.sqrt(np.sum(weights * book**2) / weights.sum())
    slow = math.sqrt(np.mean(book[-240:] ** 2))
    assert ratios[-1] == pytest.approx([fast / level, slow / level])
    assert np.isnan(ratios[: 20 * 24 - 1]).all()


def test_the_trailing_mean_leaves_holes_out() -> None:
    x = np.array([1.0, np.nan, 3.0, 5.0, 9.0])
    mean = trailing_mean(x, 3, 2)
    assert np.isnan(mean[:2]).all()
    assert mean[2:].tolist() == [2.0, 4.0, pytest.approx(17 / 3)]


def test_probabilities_sum_to_one_and_follow_the_ratio() -> None:
    calm = probabilities(CALM, (False, False), np.array([0.5, 0.6]), 30.0)
    edge = probabilities(NORMAL, (False, False), np.array([1.5, 0.9]), 30.0)
    crisis = probabilities(CRISIS, (True, True), np.array([3.0, 1.9]), 30.0)
    for chances in (calm, edge, crisis):
        assert sum(chances) == pytest.approx(1.0)
        assert min(chances) >= 0.0
    assert calm[0] > 0.9
    # On the threshold it is as likely above as below.
    assert edge[2] + edge[3] == pytest.approx(0.5)
    assert crisis[3] > 0.9
    # Stress that holds is judged by the threshold at which it leaves.
    held = probabilities(STRESS, (True, False), np.array([1.2, 0.9]), 30.0)
    fresh = probabilities(NORMAL, (False, False), np.array([1.2, 0.9]), 30.0)
    assert held[2] > 0.6 > fresh[2]


def test_the_probability_has_the_error_of_an_estimated_volatility() -> None:
    # ½ sqrt((kurtosis-1)/n), n = 2·24/ln 2: one deviation above the threshold is Phi(1).
    deviation = 0.5 * math.sqrt(29 / (48 / math.log(2)))
    ratio = np.array([1.5 * math.exp(deviation), 0.1])
    chances = probabilities(NORMAL, (False, False), ratio, 30.0)
    assert chances[2] + chances[3] == pytest.approx(0.841345, abs=1e-6)


def test_the_exposure_is_the_target_over_the_forecast_within_the_regimes_caps() -> None:
    certain = (0.0, 0.0, 1.0, 0.0)
    assert exposure_scale((1.0, 0.0, 0.0, 0.0), 0.6, strategy(), None) == pytest.approx(0.5)
    assert exposure_scale(certain, 0.4, strategy(), None) == pytest.approx(0.5)
    assert exposure_scale((0.0, 0.0, 0.0, 1.0), 6.0, strategy(), None) == pytest.approx(0.1)
    mixed = (0.2, 0.3, 0.4, 0.1)
    by_hand = 0.2 * 0.75 + 0.3 * 0.75 + 0.4 * 0.5 + 0.1 * 0.25
    assert exposure_scale(mixed, 0.4, strategy(), None) == pytest.approx(by_hand)


def test_the_exposure_rises_by_a_quarter_a_bar_and_falls_at_once() -> None:
    calm, crisis = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
    assert exposure_scale(calm, 0.3, strategy(), 0.25) == pytest.approx(0.5)
    assert exposure_scale(calm, 0.3, strategy(), 0.9) == pytest.approx(1.0)
    assert exposure_scale(crisis, 0.3, strategy(), 1.0) == pytest.approx(0.25)


def test_the_forecast_tells_since_when_and_why() -> None:
    rng = np.random.default_rng(13)
    book = rng.normal(0, 0.005, 24 * 190)
    book[-30:] *= 6.0
    path = label_hours(book)
    end = parse_iso("2024-08-05T12:00Z")
    forecast = forecast_regime(path, end, 0.6, strategy())
    assert forecast.label == "crisis"
    hours = (end - forecast.since_ms) // HOUR_MS
    assert path.labels[-1 - hours] == CRISIS
    assert path.labels[-2 - hours] != CRISIS
    assert any("> 2: crisis" in line for line in forecast.evidence)
    assert "exposure 0.25: target 30% a year over forecast 60%" in forecast.evidence[-1]
    fixed = forecast_regime(path, end, 0.6, strategy(follow_regime=False, name="balanced"))
    assert fixed.evidence[-1].endswith("balanced does not follow it")


def test_the_evidence_names_each_leg_and_how_long_it_has_been_quiet() -> None:
    def lines(fast: float, slow: float, legs_on: tuple[bool, bool], quiet: int) -> tuple[str, ...]:
        path = RegimePath(np.array([STRESS]), np.array([[fast, slow]]), legs_on, quiet)
        return forecast_regime(path, 0, 0.6, strategy()).evidence[:-1]

    assert lines(1.2, 1.3, (True, True), 0) == (
        "24 h volatility 1.20 x its 180 d level (stress until below 1 for 24 h)",
        "10 d volatility 1.30 x its 180 d level (> 1.25: stress)",
    )
    assert lines(0.9, 0.8, (True, False), 7) == (
        "24 h volatility 0.90 x its 180 d level (stress until below 1 for 24 h)",
        "10 d volatility 0.80 x its 180 d level",
        "quiet for 7 h",
    )


def test_twenty_days_are_needed() -> None:
    with pytest.raises(EstimationError, match="480 hours"):
        label_hours(np.random.default_rng(1).normal(0, 0.01, 479))
    assert label_hours(np.random.default_rng(1).normal(0, 0.01, 480)).labels[-1] in {CALM, NORMAL}


def test_labels_use_no_later_hour() -> None:
    book = np.random.default_rng(2).standard_t(4, 24 * 300) * 0.006
    whole, early = label_hours(book), label_hours(book[: 24 * 250])
    np.testing.assert_array_equal(whole.labels[: 24 * 250], early.labels)


def real_book(history_dir: Path, end_ms: int, days: int) -> np.ndarray:
    history = History(history_dir)
    series = []
    for symbol in COINS:
        bars = history.bars("binanceusdm", symbol, "1h", end_ms)
        series.append(Closes(symbol, symbol, bars.close_ms, bars.close, HOUR_MS))
    return np.asarray(build_panel(series, end_ms, days).hourly.mean(axis=1), dtype=np.float64)


@pytest.mark.history
@pytest.mark.parametrize("day", CRASHES)
def test_crashes_are_seen_by_the_end_of_their_day(history_dir: Path, day: str) -> None:
    book = real_book(history_dir, parse_iso(f"{day}T00:00Z") + DAY_MS, 240)
    assert label_hours(book).labels[-1] >= STRESS


@pytest.mark.history
def test_most_real_hours_are_calm_or_normal_and_stress_is_not_entered_often(
    history_dir: Path,
) -> None:
    book = real_book(history_dir, parse_iso("2025-06-30T00:00Z"), 1720)
    labels = label_hours(book).labels[180 * 24 :]
    assert (labels < STRESS).mean() >= 0.70
    entries = np.count_nonzero((labels[1:] >= STRESS) & (labels[:-1] < STRESS))
    assert entries / (len(labels) / (365 * 24)) <= 20
