"""The rule: volatility ratios, a fast and a slow leg, two thresholds and dwell (method §5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.regime.inputs import FAST_HALFLIFE_H, SLOW_WINDOW_H

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CALM, NORMAL, STRESS, CRISIS = range(4)
DWELL_H = 24
"""Hours below the leaving threshold before stress or crisis ends."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One measure of volatility against its level, and its thresholds.

    `effective_h` is how many hours speak in it: (1+b)/(1-b) of an EWMA.
    """

    name: str
    effective_h: float
    enter: float
    leave: float


FAST = Leg("24 h", 2.0 * FAST_HALFLIFE_H / math.log(2.0), 1.5, 1.0)
SLOW = Leg("10 d", float(SLOW_WINDOW_H), 1.25, 1.0)
LEGS = (FAST, SLOW)
CRISIS_ENTER, CRISIS_LEAVE = 2.0, 1.5
"""Volatility doubled (method §5)."""
CALM_ENTER, CALM_LEAVE = 0.9, 1.1
KURTOSIS = 30.0
"""Of hourly book returns over the volatility known before them: 27 to 30 on five coins 2020-25."""


@dataclass(frozen=True, slots=True)
class RulePath:
    """By hour: labels (T,), which legs are in stress (T, 2), hours since each was quiet (T, 2)."""

    labels: IntArray
    legs_on: BoolArray
    quiet: IntArray


def follow_rule(ratios: FloatArray) -> RulePath:
    """Return the rule's labels under the legs' ratios (T, 2); a NaN says nothing of its leg.

    A leg enters stress above its first threshold and leaves after `DWELL_H` hours below its
    second. Either leg doubled is a crisis, which steps down through stress. Calm has two
    thresholds too.
    """
    enter, leave = (np.array([getattr(leg, side) for leg in LEGS]) for side in ("enter", "leave"))
    quiet = streak(ratios < leave)
    on = held(ratios > enter, quiet >= DWELL_H)
    highest = np.fmax(ratios[:, 0], ratios[:, 1])
    crisis = held(highest > CRISIS_ENTER, streak(highest < CRISIS_LEAVE) >= DWELL_H)
    stress = crisis | on.any(axis=1)
    calm = held(~stress & (highest < CALM_ENTER), stress | ~(highest < CALM_LEAVE))
    labels = np.where(crisis, CRISIS, np.where(stress, STRESS, np.where(calm, CALM, NORMAL)))
    return RulePath(labels.astype(np.int64), on, quiet)


def streak(holds: BoolArray) -> IntArray:
    """Return for how many rows in a row, up to each, `holds` (T, ...) has held."""
    row = np.arange(1, len(holds) + 1).reshape(-1, *[1] * (holds.ndim - 1))
    broken = np.maximum.accumulate(np.where(holds, 0, row), axis=0)
    streak: IntArray = row - broken
    return streak


def held(enters: BoolArray, leaves: BoolArray) -> BoolArray:
    """Return whether each row stands after an entry that no leaving followed; entries win."""
    row = np.arange(1, len(enters) + 1).reshape(-1, *[1] * (enters.ndim - 1))
    entered = np.maximum.accumulate(np.where(enters, row, 0), axis=0)
    left = np.maximum.accumulate(np.where(leaves & ~enters, row, 0), axis=0)
    held: BoolArray = entered > left
    return held


def rule_probabilities(
    path: RulePath, ratios: FloatArray, kurtosis: float = KURTOSIS
) -> FloatArray:
    """Return P(calm), P(normal), P(stress), P(crisis) by hour, (T, 4).

    A ratio is an estimate: a variance of n effective hours has a log volatility with standard
    deviation ½ sqrt((kurtosis-1)/n). The probability is that the true ratio stands beyond the
    threshold that holds in this state; the worse leg speaks. NaN where no leg does.
    """
    spread = np.array([0.5 * math.sqrt((kurtosis - 1.0) / leg.effective_h) for leg in LEGS])
    enter, leave = (np.array([getattr(leg, side) for leg in LEGS]) for side in ("enter", "leave"))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(ratios)
    label = path.labels[:, None]

    def beyond(threshold: FloatArray) -> FloatArray:
        chances = normal_cdf((logs - np.log(threshold)) / spread)
        return np.fmax(chances[:, 0], chances[:, 1])

    crisis = beyond(np.where(label == CRISIS, CRISIS_LEAVE, CRISIS_ENTER))
    stress = np.fmax(beyond(np.where(path.legs_on, leave, enter)), crisis)
    normal = np.fmax(beyond(np.where(label == CALM, CALM_LEAVE, CALM_ENTER)), stress)
    return np.column_stack([1.0 - normal, normal - stress, stress - crisis, crisis])


def normal_cdf(x: FloatArray) -> FloatArray:
    """Return Phi(x) within 1e-7 (Abramowitz & Stegun 7.1.26); NaN stays NaN.

    `scipy.special` would do, and takes longer to import than all of the regime takes.
    """
    size = np.abs(x) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = 0.254829592 + t * (
        -0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))
    )
    tail = 0.5 * t * series * np.exp(-size * size)
    result: FloatArray = np.where(x > 0, 1.0 - tail, tail)
    return result
