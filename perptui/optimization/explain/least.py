"""The least relaxed value of one setting with which, alone, a book exists (method §6, Infeasible).

Most settings widen their limits in proportion: one small cone program. Two do not, and are found by
repeating it: the distance to liquidation, which moves the stress itself, and the correlation with
the market.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

import numpy as np

from perptui.optimization.explain.feasibility import TOLERANCE, Feasibility, correlation_of
from perptui.optimization.explain.limit_rows import CORRELATION, TARGET, Key
from perptui.optimization.explain.relaxation import (
    CORRELATION_SETTING,
    STRESS,
    Relaxation,
    relaxation_of,
)
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import CORRELATION_OFF

MARGIN = 2e-5
"""By how much of itself a least value is relaxed further: a set of books without an inside is
lost to rounding."""
MARGIN_MIN = 1e-7
"""At least, weight units."""
HALVINGS = 40
STRESS_PRECISION = 1e-6
"""Of the least distance, fraction of price."""


def needed(key: Key, inputs: ProgramInputs, limits: Feasibility) -> float | None:
    """Return the least relaxed value of the setting behind `key`, in its units.

    Returns
    -------
    float or None
        None where no value of that setting alone would do.
    """
    way = relaxation_of(key, inputs)
    if way.setting == STRESS:
        return _distance(way, inputs)
    if way.setting == CORRELATION_SETTING:
        return _correlation(limits, inputs)
    found = limits.widened(way.give, way.most)
    if found.status != "solved":
        return None
    if key[0] == TARGET:
        return _target(way, float(found.weights[key[1]]))
    least = MARGIN_MIN / max(way.give.values())
    amount = found.amount + max(MARGIN * abs(way.value_after(found.amount)), least)
    return way.value_after(amount if way.most is None else min(amount, way.most))


def _target(way: Relaxation, nearest: float) -> float:
    """Return the nearest possible weight, a little farther from the one asked for."""
    side = float(np.sign(nearest - way.limit))
    return nearest + side * max(MARGIN * abs(nearest), MARGIN_MIN)


def _distance(way: Relaxation, inputs: ProgramInputs) -> float | None:
    """Return the largest common move that some book survives: what survives more survives less."""

    def lacking(move: float) -> float:
        moved = Feasibility(with_stress_move(inputs, move))
        keys = frozenset(moved.keys)
        return moved.conflict(keys).amount

    return _largest(lacking, way.limit)


def with_stress_move(inputs: ProgramInputs, move: float) -> ProgramInputs:
    """Return the inputs with ±`move` as the two common stresses."""
    stress = inputs.limits.stress.copy()
    stress[0], stress[1] = move, -move
    return replace(inputs, limits=replace(inputs.limits, stress=stress))


def _largest(lacking: Callable[[float], float], limit: float) -> float | None:
    """Return the largest value below `limit` at which nothing lacks, by bisection."""
    if lacking(0.0) > TOLERANCE:
        return None
    low, high = 0.0, limit
    for _ in range(HALVINGS):
        if high - low <= STRESS_PRECISION * limit:
            break
        middle = 0.5 * (low + high)
        if lacking(middle) > TOLERANCE:
            high = middle
        else:
            low = middle
    return low


def _correlation(limits: Feasibility, inputs: ProgramInputs) -> float | None:
    """Return the least correlation with the market of a book that keeps all else (Dinkelbach)."""
    rest = frozenset(limits.keys) - {CORRELATION}
    found = limits.conflict(rest)
    if found.amount > TOLERANCE:
        return None
    values = [
        _less_alike(start, rest, limits) for start in (found.weights, *limits.least_alike(rest))
    ]
    return min(min(values) * (1.0 + MARGIN), CORRELATION_OFF)


def _less_alike(weights: FloatArray, rest: Set[Key], limits: Feasibility) -> float:
    """Return the correlation where the descent from a book ends."""
    arrays = limits.inputs.limits
    least = correlation_of(weights, arrays)
    for _ in range(HALVINGS):
        after = limits.less_alike(rest, weights, least)
        if after.status != "solved":
            break
        weights, value = after.weights, correlation_of(after.weights, arrays)
        if value >= least - STRESS_PRECISION:
            break
        least = value
    return least
