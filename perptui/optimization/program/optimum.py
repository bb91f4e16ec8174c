"""The optimum under every limit: soft ones, the correlation cap, the CVaR cap, and all others.

What is linear, quadratic or a cone the program holds itself (`solve`). Around it, from the inside
out: rounds for the CVaR cap, rows for the correlation with the market, levels of soft limits.
"""

from __future__ import annotations

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.active import SHORTFALL
from perptui.optimization.program.market_correlation import solve_with_correlation
from perptui.optimization.program.neighbour import moved
from perptui.optimization.program.soft import solve_with_soft_limits
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.tail_cuts import solve_with_tail, solve_with_tail_near


def optimum(inputs: ProgramInputs) -> Solution:
    """Return the best book that keeps every limit, or why there is none.

    The same inputs give the same bytes, whatever was solved before.
    """
    return solve_with_soft_limits(inputs, _with_correlation)


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
        found = solve_with_tail_near(inputs, near.exact) if capped else moved(inputs, near)
        if found is not None and found.polished:
            return found
    return optimum(inputs)


def _with_correlation(inputs: ProgramInputs) -> Solution:
    return solve_with_correlation(inputs, solve_with_tail)
