import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.value_at_risk import read_market
from perptui.estimation.court.comparison import diebold_mariano, mincer_zarnowitz
from perptui.estimation.court.confidence_set import confidence_set
from perptui.estimation.court.judge import (
    ModelCourt,
    judge_calibration,
    judge_models,
    judge_value_at_risk,
    volatility_band,
)
from perptui.estimation.losses import qlike
from perptui.estimation.panel import Panel
from perptui.estimation.variance.combination import complete_mean, delayed
from perptui.estimation.variance.forecast import MODELS, VarianceForecasts, forecast_variances
from perptui.model.clock import parse_iso

FloatArray = NDArray[np.float64]

HOURLY = 5
"""The first contracts of `read_market`, which have hourly bars."""

NAMES = ("ewma", "realised", "garch")
WEIGHTS = np.array([0.2, 0.7, 0.1])


def market(days: int, contracts: int = 4) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Forecasts (3, D, N) of which the second is nearest, their combination, and what came."""
    rng = np.random.default_rng(17)
    level = 1e-3 * np.exp(np.cumsum(rng.normal(0, 0.05, (days + 1, contracts)), axis=0))
    noise = rng.normal(0, 1, (3, days, contracts)) * np.array([0.5, 0.1, 0.4])[:, None, None]
    forecasts = level[1:] * np.exp(noise)
    forecasts[0] /= 1.6
    combined = np.exp(np.einsum("m,mdn->dn", WEIGHTS, np.log(forecasts)))
    realised = level[:-1] * rng.chisquare(8, (days, contracts)) / 8
    return forecasts, combined, realised


def court(days: int, horizon: int = 1) -> ModelCourt:
    forecasts, combined, realised = market(days)
    return judge_models(NAMES, forecasts, combined, realised, WEIGHTS, horizon)


@pytest.mark.parametrize("horizon", [1, 7])
def test_the_scores_are_those_of_the_tests_they_name(horizon: int) -> None:
    forecasts, combined, realised = market(400)
    found = court(400, horizon)
    target = complete_mean(realised, horizon)
    losses = [qlike(target, delayed(each, horizon)) for each in (*forecasts, combined)]
    by_day = [loss.mean(axis=1) for loss in losses]
    age = np.arange(400)[::-1] / (60.0 * horizon)
    rows = (*found.scores, found.combined)
    for score, loss, made in zip(rows, by_day, (*forecasts, combined), strict=True):
        known = np.isfinite(loss)
        mean = np.average(loss[known], weights=0.5 ** age[known])
        assert score.qlike == pytest.approx(mean)
        assert score.observations == 400 - horizon
        error = ((target - delayed(made, horizon)) ** 2).mean(axis=1)
        assert score.mse == pytest.approx(np.average(error[known], weights=0.5 ** age[known]))
        slope = mincer_zarnowitz(target, delayed(made, horizon), horizon, weighted=True)
        assert score.slope_p == pytest.approx(slope.p_value)
        met = diebold_mariano(loss, by_day[1], horizon)
        assert score.against_best == pytest.approx(met.statistic or 0.0)
    assert [score.weight for score in rows] == [0.2, 0.7, 0.1, 1.0]
    assert found.scores[1].against_best == 0.0
    assert found.days == 400 - horizon


def test_the_words_say_whom_the_combination_beats_and_why_a_model_is_off() -> None:
    found = court(400)
    assert found.words[0].startswith("combined beats ewma (DM t −")
    assert "garch (DM t −" in found.words[0]
    assert found.words[0].endswith(", 399 d)")
    assert any(line.startswith("ewma: realised 1.") for line in found.words)
    assert not any("silent" in line for line in found.words)


def test_a_model_is_judged_on_what_it_said_and_its_silence_is_counted() -> None:
    forecasts, combined, realised = market(500)
    forecasts[2, :300] = np.nan
    found = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, 1)
    assert found.scores[2].observations == 199
    assert "garch silent: 300 of 499 days" in found.words
    assert any("garch (DM t −" in line and "199 d)" in line for line in found.words)
    # Where it met the best, day by day: the same as with the days before cut off.
    late = judge_models(NAMES, forecasts[:, 300:], combined[300:], realised[300:], WEIGHTS, 1)
    assert found.scores[2].against_best == pytest.approx(late.scores[2].against_best)
    # Its mean loss is the combination's plus what it lost more where it spoke.
    weights = 0.5 ** (np.arange(500)[::-1] / 60.0)
    mine, ours = (qlike(realised, delayed(x, 1)).mean(axis=1) for x in (forecasts[2], combined))
    more = np.average((mine - ours)[301:], weights=weights[301:])
    whole = np.average(ours[1:], weights=weights[1:])
    assert found.combined.qlike == pytest.approx(whole)
    assert found.scores[2].qlike == pytest.approx(whole + more)
    forecasts[2] = np.nan
    mute = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, 1)
    assert (mute.scores[2].qlike, mute.scores[2].against_best) == (None, None)
    assert "garch silent: 499 of 499 days" in mute.words


def test_too_few_days_give_words_and_no_number() -> None:
    found = court(60)
    for score in (*found.scores, found.combined):
        assert (score.qlike, score.mse, score.slope_p, score.against_best) == (None,) * 4
        assert score.observations == 59
    assert found.words == ("variance models not judged: too few: 59 of 60 days",)
    assert court(61).combined.qlike is not None
    assert court(5, 7).days == 0


def test_what_came_later_changes_nothing_and_the_same_days_give_the_same_bytes() -> None:
    forecasts, combined, realised = market(400)
    cut = (forecasts[:, :300].copy(), combined[:300].copy(), realised[:300].copy())
    first = judge_models(NAMES, *cut, WEIGHTS, 7)
    realised[300:] *= 9.0
    again = judge_models(NAMES, forecasts[:, :300], combined[:300], realised[:300], WEIGHTS, 7)
    assert first == again


def test_the_confidence_set_is_found_and_told_with_the_weight_it_holds() -> None:
    forecasts, combined, realised = market(300)
    found = court(300)
    losses = [qlike(realised, delayed(each, 1)).mean(axis=1) for each in (*forecasts, combined)]
    assert tuple(score.kept for score in (*found.scores, found.combined)) == (
        confidence_set(np.column_stack(losses)).kept
    )
    # The second is the nearest to what came, by far; the combination gives it .7.
    assert [score.kept for score in (*found.scores, found.combined)] == [False, True, False, False]
    assert found.words[-1] == (
        "90 % confidence set (299 d): realised; outside ewma, garch, combined; "
        "70 % of the weight inside"
    )
    early = court(200)
    assert {score.kept for score in (*early.scores, early.combined)} == {None}
    assert early.words[-1] == "90 % confidence set: too few: 199 of 250 days"
    forecasts[2] = np.nan
    mute = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, 1)
    assert (mute.scores[1].kept, mute.scores[2].kept) == (True, None)


def test_models_that_are_alike_are_all_in_the_set() -> None:
    _, combined, realised = market(300)
    same = np.stack([combined, combined, combined])
    found = judge_models(NAMES, same, combined, realised, WEIGHTS, 1)
    assert found.words[-1] == "90 % confidence set (299 d): ewma, realised, garch, combined"


@pytest.mark.parametrize("horizon", [1, 7])
def test_scores_over_time_are_those_that_were_shown_then(horizon: int) -> None:
    forecasts, combined, realised = market(500)
    found = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, horizon)
    assert len(found.steps) == 12
    for back, row in enumerate(reversed(found.steps)):
        end = 500 - 30 * back
        then = judge_models(
            NAMES, forecasts[:, :end], combined[:end], realised[:end], WEIGHTS, horizon
        )
        assert row == pytest.approx([score.qlike for score in (*then.scores, then.combined)])
    now = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, horizon)
    assert found.steps[-1] == tuple(score.qlike for score in (*now.scores, now.combined))


def test_scores_over_time_begin_when_there_are_some() -> None:
    forecasts, combined, realised = market(130)
    forecasts[2, :100] = np.nan
    found = judge_models(NAMES, forecasts, combined, realised, WEIGHTS, 1)
    # Of the ends of days 130, 100 and 70: 60 outcomes are needed; the last model has 29.
    assert [[value is None for value in row] for row in found.steps] == [
        [False, False, True, False]
    ] * 3
    assert court(60).steps == ()


def test_a_value_at_risk_gets_its_verdict_and_its_sentence() -> None:
    returns = np.full(500, 0.001)
    returns[::20] = -0.04
    verdict = judge_value_at_risk("equal", "filtered", 0.95, returns, np.full(500, 0.03))
    assert (verdict.observations, verdict.exceedances) == (500, 25)
    assert verdict.kupiec_p == pytest.approx(1.0)
    assert verdict.light == "green"
    assert verdict.text.startswith(
        "95 % VaR of equal (filtered): 25 of 500 beyond, 25 expected, Kupiec 1.00, conditional ."
    )
    assert verdict.text.endswith(", green")
    few = judge_value_at_risk("equal", "filtered", 0.99, returns[:400], np.full(400, 0.05))
    assert (few.kupiec_p, few.christoffersen_p, few.dynamic_quantile_p) == (None, None, None)
    assert few.light == ""
    assert few.text == "99 % VaR of equal (filtered): too few: 400 of 500 days, 0 beyond"


@pytest.mark.parametrize(
    ("factor", "word"), [(1.0, "right"), (0.5, "underrated"), (2.0, "overrated")]
)
def test_calibration_says_which_way_risk_was_misjudged(factor: float, word: str) -> None:
    rng = np.random.default_rng(3)
    returns = 0.02 * rng.standard_t(5, 300) / math.sqrt(5 / 3)
    found = judge_calibration("carry", returns, np.full(300, 0.02 * factor))
    assert found.text.startswith(f"risk of carry {word}: bias ")
    assert found.bias == pytest.approx(float(np.std(returns, ddof=1)) / (0.02 * factor))
    few = judge_calibration("carry", returns[:29], np.full(29, 0.02))
    assert (few.bias, few.text) == (None, "risk of carry: too few: 29 of 30 days")


def test_the_band_holds_realised_volatility_and_knows_no_later_day() -> None:
    rng = np.random.default_rng(5)
    forecast = 1e-3 * np.exp(rng.normal(0, 0.4, 600))
    realised = forecast * rng.chisquare(3, 600) / 3
    low, high = volatility_band(realised, forecast)
    deviation = np.sqrt(realised)
    inside = (low <= deviation) & (deviation <= high)
    assert 0.91 <= inside[100:].mean() <= 0.99
    cut = volatility_band(realised[:400], forecast[:400])
    assert cut[0].tobytes() == low[:400].tobytes()
    assert cut[1].tobytes() == high[:400].tobytes()
    forecast[7] = np.nan
    assert np.isnan(volatility_band(realised, forecast)[0][7])


@pytest.fixture(scope="module")
def forecast_until(history_dir: Path) -> tuple[Panel, VarianceForecasts]:
    """Ten contracts' daily variances and the forecasts of them, 2020 to 2022."""
    panel = read_market(history_dir, parse_iso("2023-01-01T00:00Z")).panel
    return panel, forecast_variances(panel, 21.0)


@pytest.mark.unmeasured
@pytest.mark.history
def test_real_volatility_stays_in_its_band_nineteen_times_in_twenty(
    forecast_until: tuple[Panel, VarianceForecasts],
) -> None:
    panel, made = forecast_until
    for column in range(HOURLY):
        realised, forecast = panel.variance[1:, column], made.combined[:-1, column]
        low, high = volatility_band(realised, forecast)
        known = np.isfinite(low) & np.isfinite(realised)
        known[:200] = False
        deviation = np.sqrt(realised[known])
        outside = np.mean((deviation < low[known]) | (deviation > high[known]))
        assert 0.03 <= outside <= 0.07, panel.ids[column]


@pytest.mark.unmeasured
@pytest.mark.history
def test_real_verdicts_are_those_of_files_that_end_there(
    history_dir: Path, forecast_until: tuple[Panel, VarianceForecasts]
) -> None:
    panel, made = forecast_until
    early = read_market(history_dir, parse_iso("2022-05-12T00:00Z")).panel
    then = forecast_variances(early, 21.0)
    days = early.days
    weights = then.weights
    first = judge_models(MODELS, then.own, then.combined, early.variance, weights, 1)
    again = judge_models(
        MODELS, made.own[:, :days], made.combined[:days], panel.variance[:days], weights, 1
    )
    assert first == again
    assert first.combined.qlike is not None
    assert any(line.startswith("combined beats ewma") for line in first.words)
