"""The volatility regime: a rule of two thresholds with dwell, on ratios to a 180-day level.

The book is one equal part of each coin, hourly. The fast leg is its EWMA volatility with a
half-life of 24 h, the slow leg that of its last 10 d, each over the level of the last 180 d.
Everything is causal: an hour's label uses that hour and those before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided, ewma
from perptui.model.clock import HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import RegimeForecast
from perptui.model.strategy import REGIMES, StrategyParameters

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CALM, NORMAL, STRESS, CRISIS = range(4)
LEVEL_H = 180 * 24
LEAST_LEVEL_H = 20 * 24
DWELL_H = 24
"""Hours below the leaving threshold before stress or crisis ends."""
RATE_LIMIT = 0.25
"""Exposure rises by at most this much a bar, and falls at once (method §5)."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One measure of volatility against its level, and its thresholds.

    `effective_h` is how many hours speak in it: (1+b)/(1-b) of an EWMA.
    """

    name: str
    effective_h: float
    enter: float
    leave: float


FAST_HALFLIFE_H = 24.0
SLOW_WINDOW_H = 240
FAST = Leg("24 h", 2.0 * FAST_HALFLIFE_H / math.log(2.0), 1.5, 1.0)
SLOW = Leg("10 d", float(SLOW_WINDOW_H), 1.25, 1.0)
LEGS = (FAST, SLOW)
CRISIS_ENTER, CRISIS_LEAVE = 2.0, 1.5
"""Volatility doubled (method §5)."""
CALM_ENTER, CALM_LEAVE = 0.9, 1.1
KURTOSIS = 30.0
"""Of hourly book returns over the volatility known before them: 27 to 30 on five coins 2020-25."""


@dataclass(frozen=True, slots=True)
class RegimePath:
    """By hour: labels (T,) as indices into `REGIMES`, and the legs' ratios (T, 2), NaN at first."""

    labels: IntArray
    ratios: FloatArray
    legs_on: tuple[bool, ...]
    """Which legs are in stress at the last hour."""
    quiet_hours: int
    """Hours for which all of these have stood below the threshold at which they leave."""


def volatility_ratios(book: FloatArray) -> FloatArray:
    """Return each leg's volatility over its 180-day level, (T, 2), from hourly returns (T,).

    The level is the root mean square of the last 180 d, of what there is while there is less, and
    NaN below 20 days.
    """
    squares = book**2
    level = trailing_mean(squares, LEVEL_H, LEAST_LEVEL_H)
    fast = ewma(squares, FAST_HALFLIFE_H)
    slow = trailing_mean(squares, SLOW_WINDOW_H, SLOW_WINDOW_H // 2)
    legs = np.column_stack([fast, slow])
    ratios: FloatArray = np.sqrt(divided(legs, level[:, None], (level > 0)[:, None]))
    return ratios


def trailing_mean(x: FloatArray, window: int, least: int) -> FloatArray:
    """Return the mean of the finite values among the last `window`, NaN below `least` of them."""
    seen = np.isfinite(x)
    total = np.concatenate([[0.0], np.cumsum(np.where(seen, x, 0.0))])
    count = np.concatenate([[0], np.cumsum(seen)])
    end = np.arange(1, len(x) + 1)
    begin = np.maximum(end - window, 0)
    hours = count[end] - count[begin]
    return np.maximum(divided(total[end] - total[begin], hours, hours >= least), 0.0)


def label_hours(book: FloatArray) -> RegimePath:
    """Return the regime of each hour of an equal-weight book's hourly returns (T,).

    Raises
    ------
    EstimationError
        With fewer than 20 days of hours.
    """
    ratios = volatility_ratios(book)
    if not np.isfinite(ratios[-1]).all():
        raise EstimationError(
            f"expected {LEAST_LEVEL_H} hours of the book for its regime, "
            f"was {int(np.isfinite(book).sum())}; fetch history"
        )
    rule = Rule()
    labels = [rule.step(fast, slow) for fast, slow in ratios.tolist()]
    return RegimePath(np.array(labels, dtype=np.int64), ratios, rule.legs_on, rule.quiet)


class Rule:
    """The rule's memory: which legs are on, how long each has been quiet, and the label."""

    def __init__(self) -> None:
        self.label = NORMAL
        self._on = [False] * len(LEGS)
        self._quiet = [0] * len(LEGS)
        self._crisis_quiet = 0

    @property
    def legs_on(self) -> tuple[bool, ...]:
        """Which legs are in stress."""
        return tuple(self._on)

    @property
    def quiet(self) -> int:
        """Hours since every leg that is on fell below the threshold at which it leaves."""
        held = [hours for hours, on in zip(self._quiet, self._on, strict=True) if on]
        return min(held, default=0)

    def step(self, *ratios: float) -> int:
        """Return the label after one more hour; a NaN ratio says nothing of its leg."""
        for k, (leg, ratio) in enumerate(zip(LEGS, ratios, strict=True)):
            self._quiet[k] = self._quiet[k] + 1 if ratio < leg.leave else 0
            if ratio > leg.enter:
                self._on[k] = True
            elif self._quiet[k] >= DWELL_H:
                self._on[k] = False
        highest = max(ratios)
        self._crisis_quiet = self._crisis_quiet + 1 if highest < CRISIS_LEAVE else 0
        if highest > CRISIS_ENTER:
            self.label = CRISIS
        elif self.label != CRISIS or self._crisis_quiet >= DWELL_H:
            self.label = STRESS if any(self._on) else self._low(highest)
        return self.label

    def _low(self, highest: float) -> int:
        return CALM if highest < (CALM_LEAVE if self.label == CALM else CALM_ENTER) else NORMAL


def probabilities(
    state: int, legs_on: tuple[bool, ...], ratio: FloatArray, kurtosis: float
) -> tuple[float, float, float, float]:
    """Return P(calm), P(normal), P(stress), P(crisis) given the state and the legs' ratios (2,).

    A ratio is an estimate: a variance of n effective hours has a log volatility with standard
    deviation ½ sqrt((kurtosis-1)/n). The probability is that the true ratio stands
    beyond the threshold that holds in this state; the worse leg speaks.
    """
    normal = NormalDist()

    def above(leg: int, threshold: float) -> float:
        deviation = 0.5 * math.sqrt(max(kurtosis - 1.0, 2.0) / LEGS[leg].effective_h)
        return normal.cdf(float(np.log(ratio[leg] / threshold)) / deviation)

    def either(thresholds: Iterable[float]) -> float:
        return max(above(leg, threshold) for leg, threshold in enumerate(thresholds))

    crisis = CRISIS_LEAVE if state == CRISIS else CRISIS_ENTER
    calm = CALM_LEAVE if state == CALM else CALM_ENTER
    p_crisis = either([crisis] * len(LEGS))
    stress = either(leg.leave if on else leg.enter for leg, on in zip(LEGS, legs_on, strict=True))
    p_stress = max(stress, p_crisis)
    p_normal = max(either([calm] * len(LEGS)), p_stress)
    return 1.0 - p_normal, p_normal - p_stress, p_stress - p_crisis, p_crisis


def exposure_scale(
    chances: tuple[float, ...],
    volatility: float,
    strategy: StrategyParameters,
    before: float | None,
) -> float:
    """Return e = sum over regimes of P_s·min(max(target/forecast, e_min), cap_s), rate-limited.

    `volatility` is the annualised forecast of the equal-weight book; `before` the scale of the
    previous bar: e rises by at most .25 above it (method §5).
    """
    wanted = max(strategy.volatility_target / volatility, strategy.exposure_min)
    caps = strategy.exposure_by_regime
    scale = sum(chance * min(wanted, cap) for chance, cap in zip(chances, caps, strict=True))
    return scale if before is None else min(scale, before + RATE_LIMIT)


def forecast_regime(
    path: RegimePath,
    end_ms: int,
    volatility: float,
    strategy: StrategyParameters,
    exposure_before: float | None = None,
) -> RegimeForecast:
    """Return the regime at the last hour, its exposure and the evidence in words.

    Parameters
    ----------
    path : RegimePath
        From `label_hours`; its last hour ended at `end_ms`.
    volatility : float
        Annualised forecast of the equal-weight book.
    exposure_before : float, optional
        The scale of the previous bar.
    """
    label, ratio = int(path.labels[-1]), path.ratios[-1]
    chances = probabilities(label, path.legs_on, ratio, KURTOSIS)
    exposure = exposure_scale(chances, volatility, strategy, exposure_before)
    changes = np.flatnonzero(path.labels != label)
    same = len(path.labels) - (int(changes[-1]) + 1 if len(changes) else 0)
    evidence = (*_leg_evidence(path), _exposure_evidence(exposure, volatility, strategy))
    since_ms = end_ms - (same - 1) * HOUR_MS
    return RegimeForecast(REGIMES[label], chances, since_ms, exposure, evidence)


def _leg_evidence(path: RegimePath) -> tuple[str, ...]:
    lines = []
    for leg, on, ratio in zip(LEGS, path.legs_on, path.ratios[-1], strict=True):
        text = f"{leg.name} volatility {ratio:.2f} x its 180 d level"
        if ratio > CRISIS_ENTER:
            text += f" (> {CRISIS_ENTER:g}: crisis)"
        elif ratio > leg.enter:
            text += f" (> {leg.enter:g}: stress)"
        elif on:
            text += f" (stress until below {leg.leave:g} for {DWELL_H} h)"
        lines.append(text)
    if any(path.legs_on) and path.quiet_hours:
        lines.append(f"quiet for {path.quiet_hours} h")
    return tuple(lines)


def _exposure_evidence(exposure: float, volatility: float, strategy: StrategyParameters) -> str:
    text = (
        f"exposure {exposure:.2f}: target {strategy.volatility_target:.0%} a year over "
        f"forecast {volatility:.0%}, capped by regime"
    )
    return text if strategy.follow_regime else f"{text}; {strategy.name} does not follow it"
