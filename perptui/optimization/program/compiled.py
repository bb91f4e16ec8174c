"""The convex program (method §6), compiled once per shape and solved again with new data.

maximise  mu'w - rho'|w| - lam_c·[(half-spread + fee)'|z| + impact'|z|^{3/2}] - ½ gamma w'Sigma w

subject to the limits of `constraints`. |w| and |z| are epigraph variables; both only ever help
when they are as small as they can be, so each limit holds for the true absolute values.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cvxpy as cp
import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.rows import hard_rows, limit_rows, relaxed
from perptui.optimization.program.solution import (
    DECIMALS,
    RESIDUAL_MAX,
    Solution,
    largest_excess,
)
from perptui.optimization.program.structure import Structure
from perptui.optimization.program.terms import Terms

SOLVER = "CLARABEL"


@dataclass(frozen=True)
class Attempt:
    """One way to ask the solver: objective units per unit of equity, tolerance, equilibration."""

    scale: float
    tolerance: float = 1e-9
    equilibrate: bool = True


ATTEMPTS = (
    Attempt(1e4),
    Attempt(1e4, equilibrate=False),
    Attempt(1e3),
    Attempt(1e2),
    Attempt(1e4, tolerance=1e-8),
)
"""Tried in turn until one is optimal; basis points of equity first, 1e-8 of one is still 1e-12."""
PHASE_1 = (Attempt(1.0), Attempt(1.0, equilibrate=False), Attempt(1.0, 1e-7), Attempt(1.0, 1e-6))
"""Phase 1 is for words: four digits are enough."""
KEPT_SHAPES = 8


class Program:
    """One compiled shape: data go in as parameters, answers come out.

    Parameters
    ----------
    structure : Structure
        What is fixed at compilation.
    """

    def __init__(self, structure: Structure) -> None:
        self._terms = Terms(structure)
        terms, data = self._terms, self._terms.data
        count = structure.contracts
        self._mu = cp.Parameter(count)
        self._rho = cp.Parameter(count, nonneg=True)
        self._cost = cp.Parameter(count, nonneg=True)
        self._impact = cp.Parameter(count, nonneg=True)
        self._risk = cp.Parameter(nonneg=True)
        objective = (
            self._mu @ terms.w
            - self._rho @ terms.size
            - self._cost @ terms.trade
            # The power cone, not its second-order form: that one stalls at the cone's apex, z = 0.
            - self._impact @ cp.power(terms.trade, 1.5, approx=False)
            - self._risk * cp.sum_squares(terms.spread)
        )
        self._limits = {
            name: left <= right for name, (left, right) in limit_rows(terms, data).items()
        }
        self._problem = cp.Problem(
            cp.Maximize(objective), hard_rows(terms, data) + list(self._limits.values())
        )

    @property
    def compiles_once(self) -> bool:
        """Whether the parameters enter as cvxpy needs them, not to compile at each solve."""
        return bool(self._problem.is_dpp())

    def solve(self, inputs: ProgramInputs, attempts: Sequence[Attempt] = ATTEMPTS) -> Solution:
        """Return the optimum; only the solver's `optimal` with limits that hold is one.

        Raises
        ------
        OptimizationError
            When an input is not finite: an infinite bound would vanish without a word.
        """
        self._terms.fill(inputs)
        status = "failed"
        for attempt in attempts:
            self._fill_objective(inputs, attempt.scale)
            status = run(self._problem, attempt)
            if status == "optimal":
                return self._accepted(inputs, attempt.scale)
            if status == "infeasible":
                return Solution.without_answer("infeasible", inputs)
        return Solution.without_answer("failed", inputs, f"{SOLVER} ended with {status}")

    def _fill_objective(self, inputs: ProgramInputs, scale: float) -> None:
        self._mu.value = scale * inputs.gain
        self._rho.value = scale * inputs.uncertainty
        self._cost.value = scale * inputs.cost_aversion * inputs.linear_cost
        self._impact.value = scale * inputs.cost_aversion * inputs.impact
        self._risk.value = 0.5 * scale * inputs.risk_aversion

    def _accepted(self, inputs: ProgramInputs, scale: float) -> Solution:
        found = np.clip(np.array(self._terms.w.value), inputs.lower, inputs.upper)
        weights = np.round(found, DECIMALS) + 0.0
        residual = largest_excess(weights, inputs)
        if residual > RESIDUAL_MAX:
            detail = f"a limit is exceeded by {residual:.2g}"
            return Solution.without_answer("failed", inputs, detail, residual)
        prices = {
            name: np.maximum(np.atleast_1d(np.array(row.dual_value, dtype=float)), 0.0) / scale
            for name, row in self._limits.items()
        }
        return Solution("optimal", weights, residual, prices=prices, exact=found, solver=SOLVER)


class Relaxation:
    """Phase 1: the least sum of violations, each limit in units of its own scale."""

    def __init__(self, structure: Structure) -> None:
        self._terms = Terms(structure)
        rows = limit_rows(self._terms, self._terms.data)
        self._slacks, limits, penalty = relaxed(rows)
        # A trace of trading cost decides between relaxations that are equally small.
        objective = penalty + 1e-4 * cp.sum(self._terms.trade)
        self._problem = cp.Problem(
            cp.Minimize(objective), hard_rows(self._terms, self._terms.data) + limits
        )

    def solve(self, inputs: ProgramInputs) -> dict[str, FloatArray]:
        """Return the slack each limit needs, by name as in `limit_excess`; empty: no answer."""
        self._terms.fill(inputs)
        if not any(run(self._problem, attempt) == "optimal" for attempt in PHASE_1):
            return {}
        return {name: np.atleast_1d(slack.value) for name, slack in self._slacks.items()}


def run(problem: cp.Problem, attempt: Attempt) -> str:
    """Solve and return the status in one word.

    Never from a warm workspace: the answer must not depend on what was solved before.
    """
    tolerances = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), attempt.tolerance)
    try:
        with warnings.catch_warnings():
            # An inaccurate answer is refused by its status, and the objective that cvxpy works out
            # at |z| = -1e-12 is not used: both warnings would only repeat that.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            problem.solve(
                solver=SOLVER,
                warm_start=False,
                equilibrate_enable=attempt.equilibrate,
                **tolerances,
            )
    except cp.error.SolverError:
        return "failed"
    return str(problem.status)


@lru_cache(maxsize=KEPT_SHAPES)
def compiled(structure: Structure) -> Program:
    """Return the program of a shape, compiled at its first use and kept."""
    return Program(structure)


@lru_cache(maxsize=KEPT_SHAPES)
def compiled_relaxation(structure: Structure) -> Relaxation:
    """Return the phase-1 program of a shape, compiled at its first use and kept."""
    return Relaxation(structure)
