"""The optimum under every limit: soft ones, the correlation cap, the CVaR cap, and all others.

What is linear, quadratic or a cone the program holds itself (`solve`). Around it, from the inside
out: rounds for the CVaR cap, rows for the correlation with the market, levels of soft limits.
"""

from __future__ import annotations

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.market_correlation import solve_with_correlation
from perptui.optimization.program.soft import solve_with_soft_limits
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.tail_cuts import solve_with_tail


def optimum(inputs: ProgramInputs) -> Solution:
    """Return the best book that keeps every limit, or why there is none.

    The same inputs give the same bytes, whatever was solved before.
    """
    return solve_with_soft_limits(inputs, _with_correlation)


def _with_correlation(inputs: ProgramInputs) -> Solution:
    return solve_with_correlation(inputs, solve_with_tail)
