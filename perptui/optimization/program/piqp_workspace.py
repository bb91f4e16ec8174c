"""A kept PIQP workspace (Schwan, Jiang, Kuhn and Jones 2023) for programs without cones.

Three traps are walled off here. An infinite bound would remove its row for good: no bound is ever
infinite. An update with another sparsity pattern is only printed: patterns are fixed by the layout
and compared. Results are views into the workspace: they are copied.
"""

from __future__ import annotations

import numpy as np
import piqp
import scipy.sparse as sp

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.answer import Answer, Attempt, Numbers
from perptui.optimization.program.layout import Layout

NAME = "PIQP"
STATUS = {
    "PIQP_SOLVED": "optimal",
    "PIQP_PRIMAL_INFEASIBLE": "infeasible",
    "PIQP_MAX_ITER_REACHED": "too many iterations",
    "PIQP_DUAL_INFEASIBLE": "an unbounded objective",
}


class PiqpWorkspace:
    """One layout's workspace: the same patterns again and again, new numbers each time.

    Raises
    ------
    OptimizationError
        When the layout has cones, or numbers are not finite.
    """

    def __init__(self, layout: Layout) -> None:
        cones = layout.cones
        if cones.second_order or cones.powers:
            raise OptimizationError("expected a program without cones, was one with; use Clarabel")
        self._layout = layout
        self._equal = layout.part(0, cones.zero)
        self._less = layout.part(cones.zero, cones.zero + cones.positive)
        self._solver: piqp.SparseSolver | None = None
        self._patterns: tuple[FloatArray, ...] = ()

    def solve(self, numbers: Numbers, attempt: Attempt) -> Answer:
        """Return the solver's answer; the same for the same numbers, whatever came before.

        The preconditioner is computed anew at each update and no iterate is kept.
        """
        layout, zero = self._layout, self._layout.cones.zero
        quadratic = layout.quadratic.fill(numbers.quadratic)
        equal, less = self._equal.fill(numbers.matrix), self._less.fill(numbers.matrix)
        cost, bounds = numbers.cost[layout.columns], numbers.bounds[layout.rows]
        for values in (quadratic.data, equal.data, less.data, cost, bounds):
            if not np.isfinite(values).all():
                raise OptimizationError("expected finite limits and data, was infinity or NaN")
        solver = self._load(quadratic, cost, equal, bounds[:zero], less, bounds[zero:])
        return self._run(solver, attempt)

    def _load(
        self,
        quadratic: sp.csc_matrix,
        cost: FloatArray,
        equal: sp.csc_matrix,
        equal_to: FloatArray,
        less: sp.csc_matrix,
        less_than: FloatArray,
    ) -> piqp.SparseSolver:
        """Return the workspace with these numbers, made anew where any pattern differs."""
        patterns = tuple(
            part for one in (quadratic, equal, less) for part in (one.indptr, one.indices)
        )
        same = len(patterns) == len(self._patterns) and all(
            one is other or np.array_equal(one, other)
            for one, other in zip(patterns, self._patterns, strict=True)
        )
        if self._solver is not None and same:
            self._solver.update(P=quadratic, c=cost, A=equal, b=equal_to, G=less, h_u=less_than)
            return self._solver
        self._patterns = patterns
        self._solver = piqp.SparseSolver()
        self._solver.settings.preconditioner_reuse_on_update = False
        self._solver.setup(P=quadratic, c=cost, A=equal, b=equal_to, G=less, h_u=less_than)

        return self._solver

    def _run(self, solver: piqp.SparseSolver, attempt: Attempt) -> Answer:
        layout = self._layout
        settings = solver.settings
        settings.eps_abs = settings.eps_rel = attempt.tolerance
        settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = attempt.tolerance
        status = solver.solve()
        result = solver.result
        found, duals = np.zeros(layout.shape[1]), np.zeros(layout.shape[0])
        found[layout.columns] = np.array(result.x)
        duals[layout.rows] = np.concatenate([result.y, result.z_u])
        word = STATUS.get(status.name, status.name)
        return Answer(word, found, duals, int(result.info.iter), NAME)
