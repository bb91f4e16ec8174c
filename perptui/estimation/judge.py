"""The court: what the forecasts of the past were worth, as rows for the screen and as words.

It sees forecasts beside what came after them, nothing else, and says "too few" where a test has no
power. Everything here is of days up to the last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.estimation.calibration import bias_statistic, ratio_bands
from perptui.estimation.combination import SCORE_HALFLIFE_DAYS, complete_mean, delayed
from perptui.estimation.confidence_set import ConfidenceSet, confidence_set
from perptui.estimation.coverage import Coverage, judge_coverage
from perptui.estimation.evaluate import (
    DieboldMariano,
    MincerZarnowitz,
    diebold_mariano,
    mincer_zarnowitz,
    qlike,
    squared_error,
    too_few,
)
from perptui.estimation.panel import IntArray
from perptui.estimation.recursion import BoolArray, FloatArray, divided, ewma
from perptui.model.forecast import CalibrationVerdict, CoverageVerdict, ModelScore

COMBINED = "combined"
STEP_DAYS, STEPS = 30, 12
"""Of scores over time: a year by months."""
SIGNIFICANT_T = 2.0
SIGNIFICANT_P = 0.05
NOTABLE_SILENCE = 0.02
"""Of the days asked; a model's first weeks are no news."""
NOTABLE_BIAS = 0.1
"""Of level or slope: long samples refuse forecasts for less than anyone would trade on."""


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
    made = np.stack([delayed(each, horizon) for each in (*forecasts, combined)])
    losses, errors = qlike(target, made), squared_error(target, made)
    known: BoolArray = np.isfinite(losses)
    heard: IntArray = np.cumsum(known.any(axis=2), axis=1, dtype=np.int64).T
    ahead = _over_contracts(losses[:-1] - losses[-1])
    path = _comparable_path(ahead, losses[-1], horizon)
    wider = _over_contracts(errors[:-1] - errors[-1])
    best = int(np.argmin([_mean(each) for each in ahead]))
    case = _Case(
        horizon=horizon,
        days=heard[-1].tolist(),
        qlike=path[-1],
        mse=_comparable_path(wider, errors[-1], horizon)[-1],
        best=best,
        met=_over_contracts(losses - losses[best]),
        slopes=[mincer_zarnowitz(target, each, horizon, weighted=True) for each in made],
        held=confidence_set(_common(losses, heard), horizon),
    )
    scores = tuple(
        _score(case, row, name, float(weight))
        for row, (name, weight) in enumerate(zip((*names, COMBINED), (*weights, 1.0), strict=True))
    )
    words = (
        *_combination_words(names, [_duel(-each, horizon) for each in ahead]),
        *_silence_words(names, known[:-1]),
        *_bias_words(scores, case.slopes),
        *_set_words(scores, case.held),
    )
    steps = _steps(path, heard, horizon)
    return ModelCourt(scores[:-1], scores[-1], case.days[-1], words, steps)


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known of K models, the combination last: mean losses (K,), `met` (K, T)."""

    horizon: int
    days: Sequence[int]
    qlike: FloatArray
    mse: FloatArray
    best: int
    met: FloatArray
    slopes: Sequence[MincerZarnowitz]
    held: ConfidenceSet


def _score(case: _Case, row: int, name: str, weight: float) -> ModelScore:
    days, horizon = case.days[row], case.horizon
    held = case.held.kept
    return ModelScore(
        name=name,
        weight=weight,
        qlike=_shown(case.qlike[row], days, horizon),
        observations=days,
        mse=_shown(case.mse[row], days, horizon),
        slope_p=case.slopes[row].p_value,
        against_best=_against(row, case.best, _duel(case.met[row], horizon)),
        kept=held[row] if held is not None and days else None,
    )


def _steps(path: FloatArray, heard: IntArray, horizon: int) -> tuple[tuple[float | None, ...], ...]:
    """Return rows of `path` (T, K) every 30 days up to the last, from where one is known on."""
    rows = range(len(path) - 1, max(len(path) - 1 - STEP_DAYS * STEPS, -1), -STEP_DAYS)
    shown = [
        tuple(
            _shown(value, int(days), horizon)
            for value, days in zip(path[row], heard[row], strict=True)
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


def _combination_words(names: Sequence[str], met: Sequence[DieboldMariano]) -> tuple[str, ...]:
    judged = [
        (
            f"{name} (DM t {signed(each.statistic or 0.0)}, {each.observations} d)",
            each.statistic or 0.0,
        )
        for name, each in zip(names, met, strict=True)
        if each.mean is not None
    ]
    if not judged:
        return (f"variance models not judged: {met[0].text}",)
    lines = []
    for verb, chosen in (
        ("beats", [told for told, t in judged if t <= -SIGNIFICANT_T]),
        ("level with", [told for told, t in judged if abs(t) < SIGNIFICANT_T]),
        ("loses to", [told for told, t in judged if t >= SIGNIFICANT_T]),
    ):
        if chosen:
            lines.append(f"combined {verb} {', '.join(chosen)}")
    return tuple(lines)


def _silence_words(names: Sequence[str], spoken: BoolArray) -> tuple[str, ...]:
    """Return which models (M, T, N) were silent where another spoke of a contract and it came."""
    asked: BoolArray = np.logical_or.reduce(spoken)
    all_days, total = int(asked.any(axis=1).sum()), int(asked.sum())
    lines = []
    for name, each in zip(names, spoken, strict=True):
        share = (total - int(each.sum())) / max(total, 1)
        if share >= NOTABLE_SILENCE:
            silent = round(share * all_days)
            lines.append(f"{name} silent: {silent} of {all_days} days")
    return tuple(lines)


def _bias_words(scores: Sequence[ModelScore], slopes: Sequence[MincerZarnowitz]) -> tuple[str, ...]:
    """Return which models are off by a tenth, in level or in slope, and refused for it."""
    told = []
    for score, found in zip(scores, slopes, strict=True):
        p, slope, level = found.p_value, found.slope, found.level
        if p is None or slope is None or level is None or p >= SIGNIFICANT_P:
            continue
        if max(abs(level - 1.0), abs(slope - 1.0)) >= NOTABLE_BIAS:
            told.append(
                f"{score.name}: realised {level:.2f} of forecast, slope {slope:.2f}, "
                f"Mincer-Zarnowitz p {probability(p)}"
            )
    return tuple(told)


def _set_words(scores: Sequence[ModelScore], held: ConfidenceSet) -> tuple[str, ...]:
    """Return whom the set holds, and how much of the weight: a model stays while it is in."""
    if held.kept is None:
        judged = scores[-1].qlike is not None
        return (f"90 % confidence set: {held.text}",) if judged else ()
    inside = [score.name for score in scores if score.kept]
    outside = [score.name for score in scores if score.kept is False]
    line = f"90 % confidence set ({held.observations} d): {', '.join(inside)}"
    if outside:
        weight = sum(score.weight for score in scores[:-1] if score.kept)
        line += f"; outside {', '.join(outside)}; {weight:.0%} of the weight inside".replace(
            "%", " %"
        )
    return (line,)


def signed(value: float) -> str:
    """Return one decimal with a true minus sign: "−2.9"."""
    return f"{value:.1f}".replace("-", "−")


def probability(p: float) -> str:
    """Return a p-value as tables print it: ".61", "<.001"."""
    if p < 0.001:
        return "<.001"
    return f"{p:.2f}".removeprefix("0") if p >= 0.01 else f"{p:.3f}".removeprefix("0")


def judge_value_at_risk(
    book: str, method: str, level: float, returns: FloatArray, value_at_risk: FloatArray
) -> CoverageVerdict:
    """Return the verdict on one book's VaR by one method.

    Parameters
    ----------
    level : float
        .95 or .99.
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
        text=_coverage_words(book, method, level, found),
    )


def _coverage_words(book: str, method: str, level: float, found: Coverage) -> str:
    head = f"{level:.0%} VaR of {book} ({method})".replace("%", " %", 1)
    if found.kupiec.p_value is None:
        return f"{head}: {found.text}, {found.exceedances} beyond"
    parts = [
        f"{found.exceedances} of {found.observations} beyond",
        f"{found.expected:.0f} expected",
        f"Kupiec {probability(found.kupiec.p_value)}",
    ]
    for name, verdict in (
        ("conditional", found.conditional),
        ("DQ", found.dynamic_quantile),
    ):
        if verdict.p_value is not None:
            parts.append(f"{name} {probability(verdict.p_value)}")
    return f"{head}: {', '.join(parts)}, {found.light}"


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
