"""The court: what the forecasts of the past were worth, as rows for the screen and as words.

It sees forecasts beside what came after them, nothing else, and says "too few" where a test has no
power. Everything here is of days up to the last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.estimation.court.calibration import bias_statistic, ratio_bands
from perptui.estimation.court.comparison import (
    DieboldMariano,
    MincerZarnowitz,
    diebold_mariano,
    mincer_zarnowitz,
    too_few,
)
from perptui.estimation.court.confidence_set import ConfidenceSet, confidence_set
from perptui.estimation.court.coverage import judge_coverage
from perptui.estimation.court.evidence import (
    bias_words,
    combination_words,
    coverage_words,
    set_words,
    silence_words,
)
from perptui.estimation.losses import qlike, squared_error
from perptui.estimation.panel import IntArray
from perptui.estimation.recursion import BoolArray, FloatArray, divided, ewma
from perptui.estimation.variance.combination import SCORE_HALFLIFE_DAYS, complete_mean, delayed
from perptui.model.forecast import CalibrationVerdict, CoverageVerdict, ModelScore

COMBINED = "combined"
STEP_DAYS, STEPS = 30, 12
"""Of scores over time: a year by months."""


@dataclass(frozen=True, slots=True)
class ModelCourt:
    """The variance models' verdicts.

    Attributes
    ----------
    scores : tuple of ModelScore
        One a model, in the order given; `against_best` is against the best of these.
    combined : ModelScore
        Of the combination, with weight 1; `against_best` below 0 where it beats that best model.
    days : int
        On which a forecast met its outcome.
    words : tuple of str
        The evidence, for a trader.
    steps : tuple of tuples of float, optional
        Mean QLIKE of models and combination as it stood every 30 days, oldest first, at most 12;
        the last row is that of the scores. None where days were too few by then.
    """

    scores: tuple[ModelScore, ...]
    combined: ModelScore
    days: int
    words: tuple[str, ...]
    steps: tuple[tuple[float | None, ...], ...]


def judge_models(
    names: Sequence[str],
    forecasts: FloatArray,
    combined: FloatArray,
    realised: FloatArray,
    weights: FloatArray,
    horizon: int,
) -> ModelCourt:
    """Return the verdicts on variance models and on their combination.

    Contracts of one day are one piece of evidence: losses are averaged over them before a test
    (Mincer-Zarnowitz: their scores are added up). Two models meet on what both forecast; mean
    losses are the combination's, which speaks wherever a model does, plus the mean difference to
    it where both spoke, and the best is the model of the least. The 90 % confidence set is of days
    and contracts for which every model that ever speaks did.

    Parameters
    ----------
    names : sequence of str, M
    forecasts : (M, D, N) array
        Of the mean daily variance of days t+1..t+H, made at the end of day t; NaN where silent.
    combined : (D, N) array
        Of the same.
    realised : (D, N) array
        Realised variance by day.
    weights : (M,) array
        In the combination at the end.
    horizon : int
        H, days.
    """
    target = complete_mean(realised, horizon)
    case = _case_of(
        target, np.stack([delayed(each, horizon) for each in (*forecasts, combined)]), horizon
    )
    scores = tuple(
        _score(case, row, name, float(weight))
        for row, (name, weight) in enumerate(zip((*names, COMBINED), (*weights, 1.0), strict=True))
    )
    words = (
        *combination_words(names, [_duel(-each, horizon) for each in case.ahead]),
        *silence_words(names, case.known[:-1]),
        *bias_words(scores, case.slopes),
        *set_words(scores, case.held),
    )
    days = int(case.heard[-1, -1])
    return ModelCourt(scores[:-1], scores[-1], days, words, _steps(case))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known of K models, the combination last, on T days.

    Attributes
    ----------
    known : (K, T, N) array of bool
        Where a forecast met its outcome.
    heard : (T, K) array of int
        On how many days so far.
    qlike, mse : (T, K), (K,) arrays
        Mean losses as of each day, and at the end.
    ahead, met : (K - 1, T), (K, T) arrays
        Losses less the combination's, and less the best model's.
    """

    horizon: int
    known: BoolArray
    heard: IntArray
    qlike: FloatArray
    mse: FloatArray
    ahead: FloatArray
    best: int
    met: FloatArray
    slopes: Sequence[MincerZarnowitz]
    held: ConfidenceSet


def _case_of(target: FloatArray, made: FloatArray, horizon: int) -> _Case:
    losses, errors = qlike(target, made), squared_error(target, made)
    known: BoolArray = np.isfinite(losses)
    heard: IntArray = np.cumsum(known.any(axis=2), axis=1, dtype=np.int64).T
    ahead = _over_contracts(losses[:-1] - losses[-1])
    wider = _over_contracts(errors[:-1] - errors[-1])
    best = int(np.argmin([_mean(each) for each in ahead]))
    return _Case(
        horizon=horizon,
        known=known,
        heard=heard,
        qlike=_comparable_path(ahead, losses[-1], horizon),
        mse=_comparable_path(wider, errors[-1], horizon)[-1],
        ahead=ahead,
        best=best,
        met=_over_contracts(losses - losses[best]),
        slopes=[mincer_zarnowitz(target, each, horizon, weighted=True) for each in made],
        held=confidence_set(_common(losses, heard), horizon),
    )


def _score(case: _Case, row: int, name: str, weight: float) -> ModelScore:
    days, horizon = int(case.heard[-1, row]), case.horizon
    held = case.held.kept
    return ModelScore(
        name=name,
        weight=weight,
        qlike=_shown(case.qlike[-1, row], days, horizon),
        observations=days,
        mse=_shown(case.mse[row], days, horizon),
        slope_p=case.slopes[row].p_value,
        against_best=_against(row, case.best, _duel(case.met[row], horizon)),
        kept=held[row] if held is not None and days else None,
    )


def _steps(case: _Case) -> tuple[tuple[float | None, ...], ...]:
    """Return mean losses every 30 days up to the last, from where one is known on."""
    last = len(case.qlike) - 1
    rows = range(last, max(last - STEP_DAYS * STEPS, -1), -STEP_DAYS)
    shown = [
        tuple(
            _shown(value, int(days), case.horizon)
            for value, days in zip(case.qlike[row], case.heard[row], strict=True)
        )
        for row in reversed(rows)
    ]
    return tuple(row for row in shown if any(value is not None for value in row))


def _mean(by_day: FloatArray) -> float:
    known = by_day[np.isfinite(by_day)]
    return float(known.mean()) if len(known) else float("inf")


def _duel(difference: FloatArray, horizon: int) -> DieboldMariano:
    return diebold_mariano(difference, np.zeros(len(difference)), horizon)


def _shown(mean: float, days: int, horizon: int) -> float | None:
    return float(mean) if not too_few(days, horizon) and np.isfinite(mean) else None


def _against(row: int, best: int, met: DieboldMariano) -> float | None:
    # A model does not meet itself: by definition nothing lies between it and the best.
    return 0.0 if row == best and not too_few(met.observations, 1) else met.statistic


def _comparable_path(ahead: FloatArray, base: FloatArray, horizon: int) -> FloatArray:
    """Return mean losses (T, K + 1) as of each day: of `base`, and what others lose more.

    `ahead` (K, T) are differences to `base` (T, N), which stands last; recent days weigh more. A
    model that was silent on wild days, or wild contracts, would otherwise look the better for it.
    """
    by_day = np.column_stack([*ahead, _over_contracts(base)])
    path = ewma(by_day, SCORE_HALFLIFE_DAYS * horizon)
    path[:, :-1] += path[:, -1:]
    return path


def _over_contracts(x: FloatArray) -> FloatArray:
    """Return the mean of what is finite over the last axis; NaN where nothing is.

    Rows without holes are most, and need no mask.
    """
    mean: FloatArray = x @ np.full(x.shape[-1], 1.0 / x.shape[-1])
    holed = ~np.isfinite(mean)
    if holed.any():
        mean[holed] = _mean_of_seen(x[holed])
    return mean


def _mean_of_seen(x: FloatArray) -> FloatArray:
    seen = np.isfinite(x)
    every = np.ones(x.shape[-1])
    count = seen @ every
    return divided(np.where(seen, x, 0.0) @ every, count, count > 0)


def _common(losses: FloatArray, heard: IntArray) -> FloatArray:
    """Return mean losses (T, K) over the contracts for which all models that ever speak did."""
    ever = heard[-1] > 0
    spoken = losses[ever]
    # A sum knows whether one of its terms is missing.
    together = np.isfinite(spoken.sum(axis=0))
    shared = np.full((heard.shape[0], len(ever)), np.nan)
    shared[:, ever] = _over_contracts(np.where(together, spoken, np.nan)).T
    return shared


def judge_value_at_risk(
    book: str,
    method: str,
    level: float,
    returns: FloatArray,
    value_at_risk: FloatArray,
    told: str = "",
) -> CoverageVerdict:
    """Return the verdict on one book's VaR by one method.

    Parameters
    ----------
    level : float
        .95 or .99.
    told : str
        What the sentence says of the book, after its name: "at today's weights".
    returns, value_at_risk : (T,) array
        Row t: the VaR, a positive loss fraction, and the return that followed it. Rows must not
        overlap; NaN where either is not known. `christoffersen_p` is of conditional coverage.
    """
    found = judge_coverage(returns, value_at_risk, 1.0 - level)
    return CoverageVerdict(
        book=book,
        method=method,
        level=level,
        observations=found.observations,
        exceedances=found.exceedances,
        kupiec_p=found.kupiec.p_value,
        christoffersen_p=found.conditional.p_value,
        dynamic_quantile_p=found.dynamic_quantile.p_value,
        light=found.light,
        text=coverage_words(f"{book} {told}".rstrip(), method, level, found),
    )


def judge_calibration(book: str, returns: FloatArray, deviation: FloatArray) -> CalibrationVerdict:
    """Return the bias statistic of one book's returns over deviations forecast before them.

    Both are (T,), per period, in the same unit; rows must not overlap; NaN where not known.
    """
    found = bias_statistic(returns, deviation)
    text = f"risk of {book}: {found.text}"
    if found.value is not None and found.low is not None and found.high is not None:
        verdict = "right"
        if not found.within:
            verdict = "underrated" if found.value > found.high else "overrated"
        text = (
            f"risk of {book} {verdict}: bias {found.value:.2f}, "
            f"band {found.low:.2f} to {found.high:.2f}, {found.observations} d"
        )
    return CalibrationVerdict(book, found.observations, found.value, found.low, found.high, text)


def volatility_band(
    realised: FloatArray, forecast: FloatArray, days: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return where realised volatility of `days` lies 19 times in 20 if the forecast is right.

    Parameters
    ----------
    realised, forecast : (T,) array
        Daily variances; row t of the forecast was made before day t.

    Returns
    -------
    low, high : (T,) array
        In the unit of volatility: each forecast's deviation times the band that the days before
        it give, so that no row knows a later day.
    """
    below, above = ratio_bands(realised, forecast, days)
    deviation = np.sqrt(np.where(forecast > 0, forecast, np.nan))
    return below[:-1] * deviation, above[:-1] * deviation
