"""The book with the most room below every limit, and the book in lots beside it.

What asks whether a book in lots exists, and what looks for one near an optimum, come upon the same.
"""

from __future__ import annotations

from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.found import Found
from perptui.optimization.explain.limit_rows import TARGET
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.rounding import Rounded, rounding
from perptui.optimization.search import Search

MOVES = 8
"""That mend a book in lots: where it has room, few do."""


def room(limits: Feasibility) -> Search[Found]:
    """Return the book with the most room below every limit; targets stay where they are fixed.

    Raises
    ------
    OptimizationError
        When the solver gives no answer to trust.
    """
    every = frozenset(limits.keys)
    free = frozenset(key for key in every if key[0] != TARGET)
    return (yield from limits.conflict(every, None if free == every else free))


def roomiest_in_lots(book: FloatArray, inputs: ProgramInputs) -> Search[Rounded]:
    """Return the book in lots beside the one with the most room: where it has some, few moves do.

    Parameters
    ----------
    book : (N,) array
        As `room` gives it.
    """
    return (yield from rounding(book, inputs, MOVES, pairs=False))
