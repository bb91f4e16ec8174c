"""Limits that may give way (method §6): at a price, or level by level.

With prices the program itself has slacks (`ProgramInputs.soft_prices`), and nothing is left to do.
Level by level (`soft_levels`), limits give way only where they cannot all hold: first the most
important level is exceeded by as little as can be while the less important ones are left out, then,
with that as its limit, the next level; the program is solved with what they came to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solution import Solution
from perptui.optimization.soft_limits import with_room
from perptui.risk.arrays import limit_excess

Solve = Callable[[ProgramInputs], Solution]

LEFT_OUT = 10.0
"""By how much limits of less important levels give way meanwhile, weight units."""
INTERIOR = 1e-7
"""Room beyond the least violation, weight units: a set without an interior is hard to solve in."""
TRACE = 1e-4
"""Share of trading costs that decides between books which exceed a level by equally little."""


def solve_with_soft_limits(inputs: ProgramInputs, solve_program: Solve) -> Solution:
    """Return the optimum; `slacks` holds by how much each soft limit is exceeded.

    Parameters
    ----------
    solve_program : callable
        Solves inputs with or without soft prices.
    """
    if not inputs.soft_levels:
        return solve_program(inputs)
    hard = replace(inputs, soft_prices={}, soft_levels=())
    found = solve_program(hard)
    if found.status != "infeasible":
        return _with_slacks(found, inputs)
    return _level_by_level(hard, inputs, solve_program)


def _level_by_level(hard: ProgramInputs, inputs: ProgramInputs, solve_program: Solve) -> Solution:
    room: dict[str, FloatArray] = {}
    weights = inputs.before
    for place, names in enumerate(inputs.soft_levels):
        later = [name for level in inputs.soft_levels[place + 1 :] for name in level]
        asked = with_room(hard, {**room, **_much(inputs, later)}, weights)
        found = solve_program(violation_of(asked, names))
        if found.status != "optimal":
            return found
        weights = found.exact
        over = _over(asked, weights, names)
        room |= {name: np.where(more > 0.0, more + INTERIOR, 0.0) for name, more in over.items()}
    return _with_slacks(solve_program(with_room(hard, room, weights)), inputs)


def _much(inputs: ProgramInputs, names: list[str]) -> dict[str, FloatArray]:
    excess = limit_excess(inputs.before[None, :], inputs.before, inputs.limits)
    return {name: np.full_like(excess[name][0], LEFT_OUT) for name in names if name in excess}


def _over(
    inputs: ProgramInputs, weights: FloatArray, names: tuple[str, ...]
) -> Mapping[str, FloatArray]:
    excess = limit_excess(weights[None, :], inputs.before, inputs.limits)
    return {name: np.maximum(excess[name][0], 0.0) for name in names if name in excess}


def violation_of(inputs: ProgramInputs, names: tuple[str, ...]) -> ProgramInputs:
    """Return the program that minimises the violation of `names`, and trades little beside."""
    nothing = np.zeros_like(inputs.expected_return)
    return replace(
        inputs,
        expected_return=nothing,
        pull=None,
        uncertainty=nothing,
        holding_cost=None,
        ellipsoid=0.0,
        stablecoin_yield=0.0,
        impact=nothing,
        linear_cost=TRACE * (1.0 + nothing),
        cost_aversion=1.0,
        risk_aversion=TRACE,
        soft_prices=dict.fromkeys(names, 1.0),
    )


def _with_slacks(found: Solution, inputs: ProgramInputs) -> Solution:
    if found.status != "optimal":
        return found
    names = tuple(name for level in inputs.soft_levels for name in level)
    return replace(found, slacks=_over(inputs, found.exact, names))
