"""Whether a program posed anew has a book at all: proven by a book, held against every limit.

A book that keeps every limit in numbers proves itself, so that nothing is optimised here: a program
at the very edge of what its limits leave takes a solver many times as long as any other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.found import TOLERANCE
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.lots import Lots
from perptui.optimization.program.solution import DECIMALS, RESIDUAL_MAX, largest_excess
from perptui.optimization.rounding import rounding
from perptui.optimization.search import Search

Pose = Callable[[str], ProgramInputs]
"""Poses the whole program anew with one assignment more, as a what-if would."""

MOVES = 8
"""That mend a book in lots: where it has room, few do."""


class Existence:
    """One program, posed anew with one value after another of one setting.

    Parameters
    ----------
    limits : Feasibility
        Of the program as it is: what it knows of CVaR serves the others.
    book : (N,) array
        One that may keep the limits already.
    """

    def __init__(self, setting: str, limits: Feasibility, pose: Pose, book: FloatArray) -> None:
        self._setting, self._limits, self._pose = setting, limits, pose
        self._books = [book]

    def at(self, value: float) -> Search[bool]:
        """Return whether a book is found that keeps every limit of the program with this value."""
        inputs = self._pose(f"{self._setting}={value!r}")
        if any(keeps(book, inputs) for book in self._books):
            return True
        limits = self._limits.moved(inputs)
        try:
            found = yield from limits.conflict(frozenset(limits.keys))
        except OptimizationError:
            return False
        if found.amount > TOLERANCE or not keeps(found.weights, inputs):
            return False
        self._books.append(found.weights)
        return True

    def in_lots(self, value: float) -> Search[bool]:
        """Return whether the book with the most room keeps every limit in whole lots, too.

        Where its room is less than the finest lot none is tried. Targets that the trader fixed are
        rounded to the lots beside them, and kept by no others.
        """
        inputs = self._pose(f"{self._setting}={value!r}")
        if inputs.edited:
            return True
        limits = self._limits.moved(inputs)
        try:
            found = yield from limits.conflict(frozenset(limits.keys))
        except OptimizationError:
            return False
        if -found.amount < float(Lots.of(inputs).unit.min()):
            return False
        rounded = yield from rounding(found.weights, inputs, MOVES)
        return rounded.excess <= 0.0


def keeps(book: FloatArray, inputs: ProgramInputs) -> bool:
    """Return whether a book (N,) keeps every hard limit and bound as closely as an optimum has to.

    It is judged as the answer of a solver is: within its bounds, rounded.
    """
    if book.shape != inputs.before.shape:
        return False
    within = np.clip(book, inputs.lower, inputs.upper)
    if float(np.abs(within - book).max(initial=0.0)) > RESIDUAL_MAX:
        return False
    return largest_excess(np.round(within, DECIMALS) + 0.0, inputs) <= RESIDUAL_MAX
