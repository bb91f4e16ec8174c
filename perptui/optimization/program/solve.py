"""The program's front door: the optimum of a set of inputs, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.compiled import (
    ATTEMPTS,
    Attempt,
    compiled,
    compiled_relaxation,
)
from perptui.optimization.program.polish import polished
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution
from perptui.optimization.program.structure import Structure


def solve(inputs: ProgramInputs, attempts: Sequence[Attempt] = ATTEMPTS) -> Solution:
    """Solve the program of `inputs`; what fails numerically is infeasible when phase 1 says so.

    The optimum is exact where its conditions could be proved (`Solution.polished`).
    """
    return polished(inputs, solve_roughly(inputs, attempts))


def solve_roughly(inputs: ProgramInputs, attempts: Sequence[Attempt] = ATTEMPTS) -> Solution:
    """Return what `solve` does, as exact as the solver left it."""
    solution = compiled(Structure.of(inputs)).solve(inputs, attempts)
    if solution.status == "failed":
        slacks = phase_one(inputs).values()
        if max((float(slack.max(initial=0.0)) for slack in slacks), default=0.0) > RESIDUAL_MAX:
            return Solution.without_answer("infeasible", inputs, "phase 1 needs slack")
    return solution


def phase_one(inputs: ProgramInputs) -> dict[str, FloatArray]:
    """Return the slack each limit needs, by name as in `limit_excess`; empty: no answer."""
    return compiled_relaxation(Structure.of(inputs)).solve(inputs)
