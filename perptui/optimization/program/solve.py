"""The program's front door: the optimum of a set of inputs, or why there is none."""

from __future__ import annotations

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution


def solve(inputs: ProgramInputs) -> Solution:
    """Return the best book that keeps every limit; "infeasible" only where phase 1 needs slack.

    It is exact where its optimality conditions could be proved (`Solution.polished`); the same
    inputs give the same bytes, whatever was solved before.

    Raises
    ------
    OptimizationError
        When an input is not finite.
    """
    return optimum(inputs)
