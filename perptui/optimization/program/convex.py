"""One convex program solved: attempts in turn, and only answers that numbers confirm.

What is not convex, or takes several programs, is around it: `optimum`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.answer import Answer, Attempt
from perptui.optimization.program.compiled import Compiled, compiled
from perptui.optimization.program.data import Posed, optimum_numbers
from perptui.optimization.program.duals import (
    bound_price,
    prices_of,
    size_slope,
    slacks_of,
    tier_slope,
    trade_slope,
)
from perptui.optimization.program.phase_one import clashes
from perptui.optimization.program.redundancy import could_bind, risk_could_bind, without_accounts
from perptui.optimization.program.solution import (
    DECIMALS,
    RESIDUAL_MAX,
    Solution,
    stated_excess,
)
from perptui.optimization.program.structure import Structure
from perptui.optimization.program.terms import limit_values
from perptui.optimization.program.workspaces import CLARABEL, PIQP, workspace
from perptui.risk.arrays import account_excess, robust_risk

CONIC = (
    Attempt(CLARABEL, 1e4, 1e-9),
    Attempt(CLARABEL, 1e4, 1e-9, equilibrate=False),
    Attempt(CLARABEL, 1e3, 1e-9),
    Attempt(CLARABEL, 1e3, 1e-9, equilibrate=False),
    Attempt(CLARABEL, 1e2, 1e-9),
    Attempt(CLARABEL, 1e4, 1e-8),
)
"""Tried in turn until one is optimal; basis points of equity first, 1e-8 of one is still 1e-12."""
QUADRATIC = (
    Attempt(PIQP, 1e2, 1e-11),
    Attempt(PIQP, 1e4, 1e-11),
    Attempt(PIQP, 1e4, 1e-9),
    *CONIC,
)
"""Without cones: PIQP first, a quarter faster in parts of 1e-2; its last digits need 1e-11."""
CLASH = "phase 1 needs slack"
LAZY_MAX = 1e-9
"""Excess of the risk limit, weight units, up to which it is as good as kept."""


def solve_roughly(inputs: ProgramInputs, attempts: Sequence[Attempt] | None = None) -> Solution:
    """Return the optimum as exact as its solver left it; "infeasible" where phase 1 needs slack.

    Only a solver's `optimal` is an answer, and only where every limit that is stated holds in
    numbers: CVaR is what `inputs.tail_rows` makes of it, the correlation with the market what the
    linear rows do.

    Raises
    ------
    OptimizationError
        When an input is not finite.
    """
    started = perf_counter()
    solution = _lazily(inputs, attempts)
    if solution.status == "failed" and clashes(inputs):
        solution = Solution.without_answer("infeasible", inputs, CLASH)
    return solution.timed(perf_counter() - started)


def _lazily(inputs: ProgramInputs, attempts: Sequence[Attempt] | None) -> Solution:
    """Return the optimum; the cone of the risk limit is stated only where it may bind.

    A book that is best without the risk limit and keeps it is best with it; so it is of the limits
    of accounts, most rows of a program without cones, in its first attempt.
    """
    binds = risk_could_bind(inputs)
    plain = Structure.of(inputs, volatility=False)
    if not binds or not plain.conic:
        solution = _attempted(inputs, plain, attempts)
        if not binds or solution.status == "infeasible":
            return solution
        if solution.status == "optimal" and _keeps_risk(solution, inputs):
            return solution
    return _attempted(inputs, Structure.of(inputs), attempts)


def _keeps_risk(solution: Solution, inputs: ProgramInputs) -> bool:
    limits = inputs.limits
    risk = float(robust_risk(solution.exact[None, :], limits)[0])
    most = limits.volatility_max + float(np.sum(limits.room.get("volatility", 0.0)))
    return risk - most <= LAZY_MAX


def _attempted(
    inputs: ProgramInputs, structure: Structure, attempts: Sequence[Attempt] | None
) -> Solution:
    program, kept = compiled(structure), could_bind(inputs, structure)
    stated = limit_values(inputs, structure)
    detail, residual, asked = "", 0.0, False
    for groups, attempt in _turns(kept, structure, attempts):
        posed = optimum_numbers(program, inputs, attempt.scale, stated)
        answer = workspace(structure, groups, attempt.solver).solve(posed.numbers, attempt)
        if answer.status != "optimal":
            detail = f"{answer.solver} ended with {answer.status}"
            if answer.status == "infeasible" and not asked:
                asked = True
                # Further attempts would cost more than to ask whether it is so.
                if clashes(inputs):
                    return Solution.without_answer("infeasible", inputs, CLASH)
            continue
        exact = np.clip(answer.found[program.columns["w"]], inputs.lower, inputs.upper)
        weights = np.round(exact, DECIMALS) + 0.0
        residual = stated_excess(weights, inputs, volatility=structure.volatility)
        if residual <= RESIDUAL_MAX:
            reading = _Reading(program, answer, posed, inputs, attempt.scale)
            return reading.solution(exact, weights, residual)
        detail = f"a limit is exceeded by {residual:.2g}"
    return Solution.without_answer("failed", inputs, detail, residual)


def _turns(
    kept: frozenset[str], structure: Structure, attempts: Sequence[Attempt] | None
) -> Iterator[tuple[frozenset[str], Attempt]]:
    """Yield each attempt with the groups of limits that it states."""
    if structure.conic:
        yield from ((kept, attempt) for attempt in attempts or CONIC)
        return
    fewer = without_accounts(kept)
    if fewer is not kept:
        yield fewer, (attempts or QUADRATIC)[0]
    yield from ((kept, attempt) for attempt in attempts or QUADRATIC)


class Nearby:
    """Programs without the risk limit that differ in their objectives only; no limit is verified.

    Limits of accounts, margins in stress above all, are most of a program's rows and rarely bind:
    they are left out until an optimum without them exceeds one.

    Parameters
    ----------
    inputs : ProgramInputs
        Any of them: what the limits say is read once.
    """

    def __init__(self, inputs: ProgramInputs, solver: str) -> None:
        self._structure = Structure.of(inputs, volatility=False)
        self._program = compiled(self._structure)
        self._solver, self._limits = solver, inputs.limits
        self._all = could_bind(inputs, self._structure)
        self._kept = without_accounts(self._all)
        self._stated = limit_values(inputs, self._structure)
        self._answer: Answer | None = None
        self._scale = 1.0

    def weights(self, inputs: ProgramInputs, attempt: Attempt) -> FloatArray | None:
        """Return the optimum to `DECIMALS`, None: there was none.

        PIQP's last bits are not the same from one run to the next: nothing may rest on them.
        """
        posed = optimum_numbers(self._program, inputs, attempt.scale, self._stated)
        answer = workspace(self._structure, self._kept, self._solver).solve(posed.numbers, attempt)
        if answer.status != "optimal":
            return None
        self._answer, self._scale = answer, attempt.scale
        found = np.round(answer.found[self._program.columns["w"]], DECIMALS) + 0.0
        found = np.clip(found, inputs.lower, inputs.upper)
        if self._kept is not self._all and self._exceeds(found):
            self._kept = self._all
            return self.weights(inputs, attempt)
        return found

    def _exceeds(self, weights: FloatArray) -> bool:
        parts = account_excess(weights[None, :], self._limits).values()
        return max(float(part.max()) for part in parts) > RESIDUAL_MAX

    def solution(self, weights: FloatArray) -> Solution:
        """Return the last optimum with the prices of its limits, and nothing else of its duals.

        Their last bits are not the same from one run to the next: polishing takes them off.

        Raises
        ------
        ValueError
            When there was none.
        """
        if self._answer is None:
            raise ValueError("expected an optimum, was none; solve first")
        answer = self._answer
        return Solution(
            "optimal",
            weights,
            prices=prices_of(self._program, answer, self._limits, self._scale),
            exact=weights,
            solver=answer.solver,
            iterations=answer.iterations,
        )


class _Reading:
    """A solver's answer, read in the desk's terms."""

    def __init__(
        self,
        program: Compiled,
        answer: Answer,
        posed: Posed,
        inputs: ProgramInputs,
        scale: float,
    ) -> None:
        self._program, self._answer, self._posed = program, answer, posed
        self._inputs, self._scale = inputs, scale

    def solution(self, exact: FloatArray, weights: FloatArray, residual: float) -> Solution:
        """Return it as the optimum."""
        program, answer, inputs, scale = self._program, self._answer, self._inputs, self._scale
        return Solution(
            "optimal",
            weights,
            residual,
            prices=prices_of(program, answer, inputs.limits, scale),
            exact=exact,
            size_slope=size_slope(program, answer, exact, scale),
            trade_slope=trade_slope(program, answer, exact - inputs.before, scale),
            bound_price=bound_price(program, answer, self._posed, inputs, scale),
            tier_slope=tier_slope(program, answer, exact, inputs.limits, scale),
            slacks=slacks_of(program, answer, inputs.limits.row_names),
            solver=answer.solver,
            iterations=answer.iterations,
        )
