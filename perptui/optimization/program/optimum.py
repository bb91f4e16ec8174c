"""The optimum under every limit: soft ones, the correlation cap, the CVaR cap, and all others.

What is linear, quadratic or a cone the program holds itself (`solve`). Around it, from the inside
out: rounds for the CVaR cap, rows for the correlation with the market, levels of soft limits.
"""

from __future__ import annotations

from dataclasses import replace

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.active import SHORTFALL
from perptui.optimization.program.market_correlation import solve_with_correlation
from perptui.optimization.program.soft import solve_with_soft_limits
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.tail_cuts import (
    moved_with_tail,
    solve_with_tail,
    solve_with_tail_near,
)
from perptui.optimization.program.units import from_units, in_units, unit_of, unit_of_answer

COARSER = 0.0625
"""Unit over the last one in which a program is solved again that no solver ended with."""


def optimum(inputs: ProgramInputs) -> Solution:
    """Return the best book that keeps every limit, or why there is none.

    The same inputs give the same bytes, whatever was solved before.
    """
    unit = unit_of(inputs)
    found = _in_units(inputs, unit)
    if found.polished or found.status == "infeasible":
        return found
    other = unit_of_answer(found) if found.status == "optimal" else COARSER * unit
    if other == unit:
        return found
    again = _in_units(inputs, other)
    return again if again.polished or found.status == "failed" else found


def _in_units(inputs: ProgramInputs, unit: float) -> Solution:
    asked = in_units(inputs, unit)
    return from_units(solve_with_soft_limits(asked, _with_correlation), inputs, unit)


def optimum_near(inputs: ProgramInputs, near: Solution) -> Solution:
    """Return what `optimum` does, sooner where it lies near another optimum.

    Parameters
    ----------
    near : Solution
        Optimal, of the same program with other bounds. Where nothing is proved from there, or what
        it is part of is more than one program, everything is solved afresh.
    """
    if near.polished and not inputs.soft_levels and not inputs.limits.caps_correlation:
        capped = SHORTFALL[0] in near.prices and bool(near.prices[SHORTFALL[0]].any())
        unit = unit_of(inputs)
        asked, from_there = in_units(inputs, unit), replace(near, exact=near.exact / unit)
        if capped:
            found: Solution | None = solve_with_tail_near(asked, from_there.exact)
        else:
            found = moved_with_tail(asked, from_there)
        if found is not None and found.polished:
            return from_units(found, inputs, unit)
    return optimum(inputs)


def _with_correlation(inputs: ProgramInputs) -> Solution:
    return solve_with_correlation(inputs, solve_with_tail)
