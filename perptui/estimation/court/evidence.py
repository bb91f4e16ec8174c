"""What the court found, in a trader's words: a line a finding, and only what is worth one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perptui.estimation.court.comparison import DieboldMariano, MincerZarnowitz
from perptui.estimation.court.confidence_set import ConfidenceSet
from perptui.estimation.court.coverage import Coverage
from perptui.estimation.recursion import BoolArray
from perptui.model.forecast import ModelScore

SIGNIFICANT_T = 2.0
SIGNIFICANT_P = 0.05
NOTABLE_SILENCE = 0.02
"""Of the days asked; a model's first weeks are no news."""
NOTABLE_BIAS = 0.1
"""Of level or slope: long samples refuse forecasts for less than anyone would trade on."""


def combination_words(names: Sequence[str], met: Sequence[DieboldMariano]) -> tuple[str, ...]:
    """Return whom the combination beats, by the tests `met` of its loss less each model's."""
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


def silence_words(names: Sequence[str], spoken: BoolArray) -> tuple[str, ...]:
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


def bias_words(scores: Sequence[ModelScore], slopes: Sequence[MincerZarnowitz]) -> tuple[str, ...]:
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


def set_words(scores: Sequence[ModelScore], held: ConfidenceSet) -> tuple[str, ...]:
    """Return whom the set holds, and how much of the weight: a model stays while it is in.

    Where the combination beats every single model there is nothing to say of their weights.
    """
    if held.kept is None:
        judged = scores[-1].qlike is not None
        return (f"90 % confidence set: {held.text}",) if judged else ()
    inside = [score.name for score in scores if score.kept]
    outside = [score.name for score in scores if score.kept is False]
    line = f"90 % confidence set ({held.observations} d): {', '.join(inside)}"
    if inside == [scores[-1].name]:
        return (f"{line} alone",)
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


def coverage_words(book: str, method: str, level: float, found: Coverage) -> str:
    """Return the sentence on one VaR of `book`."""
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
