"""Clarabel (Goulart and Chen 2024) for programs with cones: risk, impact, ellipsoid.

The solver is made anew for each solve: its equilibration belongs to the numbers it was made with,
so a kept one would answer by what it solved before.
"""

from __future__ import annotations

import clarabel
import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.program.answer import Answer, Attempt, Numbers
from perptui.optimization.program.layout import Layout

NAME = "CLARABEL"
STATUS = {
    "Solved": "optimal",
    "PrimalInfeasible": "infeasible",
    "AlmostSolved": "an inaccurate optimum",
    "AlmostPrimalInfeasible": "inaccurate infeasibility",
    "MaxIterations": "too many iterations",
    "InsufficientProgress": "no progress",
    "NumericalError": "a numerical error",
}


class ClarabelWorkspace:
    """One layout's patterns and cones."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        cones = layout.cones
        self._cones = [
            *([clarabel.ZeroConeT(cones.zero)] if cones.zero else []),
            *([clarabel.NonnegativeConeT(cones.positive)] if cones.positive else []),
            *(clarabel.SecondOrderConeT(size) for size in cones.second_order),
            *(clarabel.PowerConeT(power) for power in cones.powers),
        ]

    def solve(self, numbers: Numbers, attempt: Attempt) -> Answer:
        """Return the solver's answer, the same for the same numbers.

        Raises
        ------
        OptimizationError
            When numbers are not finite.
        """
        layout = self._layout
        quadratic = layout.quadratic.fill(numbers.quadratic)
        matrix = layout.matrix.fill(numbers.matrix)
        cost, bounds = numbers.cost[layout.columns], numbers.bounds[layout.rows]
        for values in (quadratic.data, matrix.data, cost, bounds):
            if not np.isfinite(values).all():
                raise OptimizationError("expected finite limits and data, was infinity or NaN")
        solver = clarabel.DefaultSolver(
            quadratic, cost, matrix, bounds, self._cones, _settings(attempt)
        )
        answer = solver.solve()
        found, duals = np.zeros(layout.shape[1]), np.zeros(layout.shape[0])
        found[layout.columns] = np.array(answer.x)
        duals[layout.rows] = np.array(answer.z)
        status = str(answer.status)
        word = STATUS.get(status, status)
        return Answer(word, found, duals, int(answer.iterations), NAME)


def _settings(attempt: Attempt) -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.presolve_enable = False
    settings.chordal_decomposition_enable = False
    settings.equilibrate_enable = attempt.equilibrate
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = attempt.tolerance
    return settings
