"""Phase 1 (method §6): whether a book keeps every limit, by their least relaxation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.answer import Answer, Attempt
from perptui.optimization.program.compiled import Compiled, compiled
from perptui.optimization.program.data import relaxed_numbers
from perptui.optimization.program.duals import slacks_of
from perptui.optimization.program.redundancy import could_bind, risk_could_bind
from perptui.optimization.program.solution import RESIDUAL_MAX
from perptui.optimization.program.structure import Structure
from perptui.optimization.program.workspaces import CLARABEL, workspace

ATTEMPTS = (
    Attempt(CLARABEL, 1.0, 1e-9),
    Attempt(CLARABEL, 1.0, 1e-9, equilibrate=False),
    Attempt(CLARABEL, 1.0, 1e-7),
)
"""Phase 1 is for words: four digits are enough."""
LEFT_OUT = 1e-5
"""Price of slack of a limit that is left out: none but for the solver's sake."""

Left = frozenset[tuple[str, int]]


def clashes(inputs: ProgramInputs) -> bool:
    """Return whether no book keeps every limit; no answer of phase 1 proves nothing."""
    left = _soft(inputs)
    program, answer = _relaxed(inputs, left)
    if answer.status != "optimal":
        return False
    return _needed(slacks_of(program, answer, inputs.limits.row_names), left) > RESIDUAL_MAX


def _soft(inputs: ProgramInputs) -> Left:
    """Return the rows of soft limits: those are no part of a clash."""
    soft = (name for name, price in inputs.soft_prices.items() if price > 0.0)
    rows = range(max(len(inputs.before), len(inputs.limits.equity_share)))
    return frozenset((name, row) for name in soft for row in rows)


def _needed(slacks: Mapping[str, FloatArray], left: Left) -> float:
    """Return the largest slack among the limits that are not left out.

    Linear limits of one name share one slack.
    """
    amounts = [
        float(value)
        for name, slack in slacks.items()
        for row, value in enumerate(slack)
        if (name, row) not in left
    ]
    return max(amounts, default=0.0)


def _relaxed(inputs: ProgramInputs, left: Left) -> tuple[Compiled, Answer]:
    """Return the answer of phase 1, optimal or that of the last attempt."""
    hard = replace(inputs, soft_prices={})
    binds = risk_could_bind(hard, gross=False)
    structure = Structure.relaxed(hard, volatility=binds)
    program, kept = compiled(structure), could_bind(hard, structure)
    posed = relaxed_numbers(program, hard, _slack_prices(program, inputs.limits.row_names, left))
    for attempt in ATTEMPTS:
        answer = workspace(structure, kept, attempt.solver).solve(posed.numbers, attempt)
        if answer.status == "optimal":
            break
    return program, answer


def _slack_prices(program: Compiled, names: tuple[str, ...], left: Left) -> dict[str, FloatArray]:
    prices = {}
    for name in program.slacks:
        price = np.ones(len(program.columns[f"slack_{name}"]))
        for row in range(len(price)):
            of = (name, row)
            if name == "rows":
                of = (names[row], 0) if row < len(names) else ("", 0)
            if of in left:
                price[row] = LEFT_OUT
        prices[name] = price
    return prices
