"""Whether a program posed anew has a book at all: proven by a book, held against every limit.

A book that keeps every limit in numbers proves itself, so that nothing is optimised here: a program
at the very edge of what its limits leave takes a solver many times as long as any other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.explain.roomiest import room, roomiest_in_lots
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.lots import Lots
from perptui.optimization.program.solution import DECIMALS, RESIDUAL_MAX, largest_excess
from perptui.optimization.search import Search

Pose = Callable[[str], ProgramInputs]
"""Poses the whole program anew with one assignment more, as a what-if would."""


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
        inputs = self._posed(value)
        if any(keeps(book, inputs) for book in self._books):
            return True
        found = yield from self._roomiest(self._limits.moved(inputs))
        if found is None or not keeps(found.weights, inputs):
            return False
        self._books.append(found.weights)
        return True

    def in_lots(self, value: float) -> Search[bool]:
        """Return whether the book with the most room keeps every limit in whole lots, too.

        Where its room is less than the finest lot none is tried. The answer to that value comes
        upon the same book, by the same steps, where it finds no better one.
        """
        inputs = self._posed(value)
        found = yield from self._roomiest(self._limits.moved(inputs))
        if found is None or -found.amount < float(Lots.of(inputs).unit.min()):
            return False
        if (yield from roomiest_in_lots(found.weights, inputs)).excess > 0.0:
            return False
        # What is known of CVaR moves the book by a trifle: the answer begins without it.
        anew = yield from self._roomiest(Feasibility(inputs))
        return (
            anew is not None and (yield from roomiest_in_lots(anew.weights, inputs)).excess <= 0.0
        )

    def _posed(self, value: float) -> ProgramInputs:
        return self._pose(f"{self._setting}={value!r}")

    def _roomiest(self, limits: Feasibility) -> Search[Found | None]:
        """Return the book with the most room, None where none keeps every limit."""
        try:
            found = yield from room(limits)
        except OptimizationError:
            return None
        return found if found.amount <= TOLERANCE else None


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
