"""The answer of the optimiser: its optimum, and the book in lots beside it."""

from __future__ import annotations

from dataclasses import dataclass

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.lots import IntArray
from perptui.optimization.program.solution import Solution


@dataclass(frozen=True, eq=False)
class Rebalance:
    """Answer of the optimiser for one set of inputs.

    Attributes
    ----------
    solution : Solution
        The continuous optimum and its status; "infeasible" with `COARSE` as its detail where no
        lots are near it that keep every limit.
    target : (N,) array
        Its weights; those before the trade where there is no optimum.
    steps : (N,) integer array
        Trade of each contract in steps of its lot, signed.
    rounded : (N,) array
        Weights after that trade.
    solved : ProgramInputs or None
        The program that `solution` is the optimum of, where that is not the one posed: trades too
        small to be made are left out of it.
    """

    solution: Solution
    target: FloatArray
    steps: IntArray
    rounded: FloatArray
    solved: ProgramInputs | None = None
