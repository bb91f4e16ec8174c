import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.regime import CRASHES, END, HOURLY, JUDGED, Book, crash_rows, read_book, score
from perptui.estimation.regime.inputs import MONDAY_MS
from perptui.estimation.regime.rule import CALM, CRISIS, NORMAL, STRESS
from perptui.estimation.regime.vote import (
    ENTER,
    LIVE_HOURS,
    MODELS,
    SLOW_H,
    TRACK_DAYS,
    WEIGHTS,
    RegimePath,
    confirmed,
    forecast_regime,
    label_hours,
    pooled,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError
from perptui.model.strategy import StrategyParameters


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


def moods(days: int, seed: int = 13) -> np.ndarray:
    """Hourly returns whose volatility changes every few weeks, (24·days,)."""
    rng = np.random.default_rng(seed)
    level = np.exp(np.repeat(rng.normal(0.0, 0.5, days // 15 + 1), 15 * 24)[: 24 * days])
    return np.asarray(rng.standard_t(5, 24 * days) * 0.004 * level, dtype=np.float64)


def test_silent_models_leave_their_weight_to_the_others() -> None:
    votes = np.array(
        [
            [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [math.nan] * 4],
            [[0.5, 0.5, 0.0, 0.0], [math.nan] * 4, [math.nan] * 4],
            [[0.0, 0.0, 1.0, 0.0], [math.nan] * 4, [math.nan] * 4],
        ]
    )
    pool = pooled(votes)
    by_hand = WEIGHTS[0] * votes[0, 0] + WEIGHTS[1] * votes[1, 0] + WEIGHTS[2] * votes[2, 0]
    assert pool[0] == pytest.approx(by_hand)
    assert pool[1] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert np.isnan(pool[2]).all()
    assert sum(WEIGHTS) == pytest.approx(1.0)


def labelled(*rows: tuple[int, float, float, float, float]) -> list[int]:
    pool = np.array([row[1:] for row in rows for _ in range(row[0])])
    ends = np.cumsum([row[0] for row in rows]) - 1
    return [int(label) for label in confirmed(pool)[ends]]


def test_stress_is_entered_in_an_hour_and_left_after_three() -> None:
    calm, stress, crisis = (0.9, 0.1, 0.0, 0.0), (0.0, 0.2, 0.7, 0.1), (0.0, 0.0, 0.2, 0.8)
    assert labelled((9, *calm), (1, *stress)) == [CALM, STRESS]
    assert labelled((1, *stress), (SLOW_H - 1, *calm), (1, *calm)) == [STRESS, STRESS, CALM]
    assert labelled((1, *calm), (1, *crisis), (SLOW_H, *stress)) == [CALM, CRISIS, STRESS]
    assert labelled((1, *crisis), (SLOW_H - 1, *stress)) == [CRISIS, CRISIS]
    between = (0.0, 0.5, 0.5, 0.0)
    assert labelled((5, *between), (1, *stress), (50, *between)) == [NORMAL, STRESS, STRESS]


def test_one_voice_alone_makes_no_stress_and_two_do() -> None:
    assert max(WEIGHTS) < ENTER
    assert min(a + b for a, b in itertools.pairwise(WEIGHTS)) > ENTER


def test_nothing_known_is_normal() -> None:
    assert confirmed(np.full((4, 4), math.nan)).tolist() == [NORMAL] * 4


def test_the_forecast_tells_since_when_why_and_who_said_so() -> None:
    book = moods(400)
    book[-30:] = np.random.default_rng(1).normal(0.0, 0.04, 30)
    end = parse_iso("2024-08-05T12:00Z")
    path = label_hours(book, end - len(book) * HOUR_MS)
    forecast = forecast_regime(path, end, 0.6, strategy())
    assert forecast.label == "crisis"
    assert sum(forecast.probabilities) == pytest.approx(1.0)
    hours = (end - forecast.since_ms) // HOUR_MS
    assert path.labels[-1 - hours] == CRISIS
    assert path.labels[-2 - hours] != CRISIS
    assert any("> 2: crisis" in line for line in forecast.evidence)
    assert (
        "vote: rule crisis, hidden Markov crisis, jump crisis; stress or crisis with"
        in (forecast.evidence[-2])
    )
    assert "target 30% a year over forecast 60%" in forecast.evidence[-1]
    assert [vote.model for vote in forecast.votes] == list(MODELS)
    for vote in forecast.votes:
        assert sum(vote.probabilities) == pytest.approx(1.0)
    assert path.confidence == pytest.approx(sum(forecast.probabilities[2:]))
    fixed = forecast_regime(path, end, 0.6, strategy(follow_regime=False, name="balanced"))
    assert fixed.evidence[-1].endswith("balanced does not follow it")


def test_the_track_is_what_was_known_then() -> None:
    book = moods(400)
    start = parse_iso("2024-01-03T07:00Z")
    end = start + len(book) * HOUR_MS
    track = forecast_regime(label_hours(book, start), end, 0.6, strategy()).track
    assert len(track.ts_ms) == 60 * 6
    assert set(np.diff(track.ts_ms).tolist()) == {4 * HOUR_MS}
    assert all(stamp % (4 * HOUR_MS) == 0 for stamp in track.ts_ms)
    for index in (0, 100, 233):
        known = (track.ts_ms[index] - start) // HOUR_MS
        then = label_hours(book[:known], start)
        assert tuple(then.probabilities[-1].tolist()) == track.probabilities[index]


def test_the_last_hours_alone_give_the_same_regime() -> None:
    book = moods(400)
    start = parse_iso("2024-01-03T07:00Z")
    whole, recent = label_hours(book, start), label_hours(book, start, recent_hours=LIVE_HOURS)
    shown = slice(-TRACK_DAYS * 24, None)
    np.testing.assert_array_equal(whole.labels[shown], recent.labels[shown])
    np.testing.assert_allclose(whole.probabilities[shown], recent.probabilities[shown], atol=1e-3)
    assert np.isnan(recent.votes[1, :-LIVE_HOURS]).all()
    np.testing.assert_array_equal(whole.votes[0], recent.votes[0])


def test_labels_use_no_later_hour() -> None:
    book = moods(300)
    whole = label_hours(book, MONDAY_MS)
    for rows in np.random.default_rng(3).integers(24 * 200, 24 * 300, 5).tolist():
        early = label_hours(book[:rows], MONDAY_MS)
        assert early.labels.tobytes() == whole.labels[:rows].tobytes()
        assert early.probabilities.tobytes() == whole.probabilities[:rows].tobytes()


def test_with_half_a_year_missing_the_models_are_silent_and_say_so() -> None:
    path = label_hours(moods(100))
    forecast = forecast_regime(path, MONDAY_MS + 100 * DAY_MS, 0.6, strategy())
    assert [vote.probabilities for vote in forecast.votes[1:]] == [(), ()]
    assert "180 up to a Monday are needed" in forecast.votes[1].text
    assert "rule" in forecast.evidence[-2]
    assert "hidden Markov silent, jump silent" in forecast.evidence[-2]
    np.testing.assert_allclose(path.probabilities[-1], path.votes[0, -1])


def test_the_evidence_names_each_leg_and_how_long_it_has_been_quiet() -> None:
    whole = label_hours(moods(60))

    def lines(fast: float, slow: float, legs_on: tuple[bool, bool], quiet: int) -> tuple[str, ...]:
        path: RegimePath = replace(
            whole, ratios=np.array([[fast, slow]]), legs_on=legs_on, quiet_hours=quiet
        )
        return forecast_regime(path, 0, 0.6, strategy()).evidence[:-2]

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


@pytest.mark.parametrize("hole", [slice(24 * 150, 24 * 190), slice(24 * 399, 24 * 400 - 1)])
def test_a_gap_leaves_every_probability_known(hole: slice) -> None:
    book = moods(400)
    book[hole] = np.nan
    path = label_hours(book)
    assert np.isfinite(path.probabilities[20 * 24 :]).all()
    np.testing.assert_allclose(path.probabilities[20 * 24 :].sum(axis=1), 1.0)


def test_one_jump_is_a_crisis_for_its_day_and_no_state_of_its_own() -> None:
    book = np.random.default_rng(8).normal(0.0, 0.004, 24 * 400)
    book[-100] = -0.5
    path = label_hours(book)
    assert (path.labels[-100:-76] == CRISIS).all()
    assert np.isfinite(path.probabilities[-1]).all()
    assert np.median(path.labels[: -24 * 10]) <= NORMAL


@dataclass(frozen=True)
class Judged:
    book: Book
    path: RegimePath


@pytest.fixture(scope="module")
def judged(history_dir: Path) -> Judged:
    book = read_book(History(history_dir), "five", "binanceusdm", HOURLY, "1h")
    return Judged(book, label_hours(book.returns, book.start_ms))


@pytest.mark.unmeasured
@pytest.mark.history
def test_crashes_are_seen_by_the_end_of_their_day(judged: Judged) -> None:
    rows = crash_rows(judged.book)
    assert len(rows) == len(CRASHES) == 5
    assert (judged.path.labels[rows] >= STRESS).all()


@pytest.mark.unmeasured
@pytest.mark.history
def test_every_line_of_acceptance_holds_on_real_history(judged: Judged) -> None:
    found = score(judged.path.labels, judged.book, JUDGED, END)
    assert found.quiet >= 0.70
    assert sorted(found.quiet_years) == [2021, 2022, 2023, 2024, 2025]
    assert min(found.quiet_years.values()) >= 0.60
    assert found.entries <= 20.0
    assert found.ratio >= 1.4
    assert found.chance < 0.01


@pytest.mark.unmeasured
@pytest.mark.history
def test_a_live_panel_agrees_with_the_long_path(judged: Judged) -> None:
    """400 days are what the desk keeps: at each crash they give the label that all history does."""
    for row in crash_rows(judged.book)[1:]:
        first = row + 1 - 400 * 24
        live = label_hours(
            judged.book.returns[first : row + 1],
            judged.book.start_ms + first * HOUR_MS,
            recent_hours=LIVE_HOURS,
        )
        assert live.labels[-1] == judged.path.labels[row]
        np.testing.assert_allclose(
            live.probabilities[-1], judged.path.probabilities[row], atol=0.02
        )
