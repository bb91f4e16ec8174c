"""The cheapest widening under a CVaR cap: from below by rows, from above by books that keep it.

Each round solves with rows that CVaR never falls under (`tail_bounds`). Between the book found so,
which exceeds the cap, and one that keeps it lie books that keep it and cost less; the rounds end
where both cost the same.
"""

from __future__ import annotations

from collections.abc import Callable

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.cone import Widening
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.explain.limit_rows import CVAR, Entries
from perptui.optimization.explain.tail_bounds import TailRows
from perptui.optimization.inputs import FloatArray
from perptui.optimization.search import Search
from perptui.risk.arrays import LimitArrays, book_shortfall

ROUNDS = 60
"""Most rounds of one question."""
APPROACHES = 12
"""Cones set about a book, one after the other."""
STEADY, AHEAD = 1e-2, 1.5
"""Relative change of an amount from which on a cone is held tighter by what its book exceeds CVaR
by, and how many times as much."""
MIXTURES = 8
"""Halvings on the way from one book to another."""
CLOSE = 2e-5
"""Difference of two amounts, relative, that is none: least values are made wider by more."""

Cone = tuple[Entries, FloatArray]
"""Rows of a second-order cone, and their bounds."""


class TailSearch:
    """One question under a CVaR cap.

    Parameters
    ----------
    tail : TailRows
        What is known of CVaR; it grows.
    solve : callable
        Answers with the rows of `tail` or, where one is given, with a cone in CVaR's place.
    """

    def __init__(
        self,
        limits: LimitArrays,
        tail: TailRows,
        widening: Widening,
        solve: Callable[[Cone | None], Found],
    ) -> None:
        self._limits, self._tail = limits, tail
        self._widening, self._solve = widening, solve
        # Where room is looked for, all that is asked is whether limits clash.
        self._asks_whether = widening.low[0] < 0.0

    def found(self) -> Search[Found]:
        """Return the cheapest widening, its book within the cap on all scenarios.

        Raises
        ------
        OptimizationError
            When the rounds do not end.
        """
        above: Found | None = None
        for _ in range(ROUNDS):
            found = self._solve(None)
            yield
            clear = self._asks_whether and found.amount > TOLERANCE
            if found.status != "solved" or clear:
                return found
            if self._over(found) <= TOLERANCE:
                return found
            if above is None:
                above = yield from self._approached(found)
            if above is not None:
                above = self._nearest(found, above)
                near = above.amount - found.amount <= CLOSE * abs(above.amount)
                if near or (self._asks_whether and above.amount <= TOLERANCE):
                    return above
            self._look(above or found)
        raise OptimizationError(f"expected an answer within {ROUNDS} rounds, was none; widen CVaR")

    def _approached(self, start: Found) -> Search[Found | None]:
        """Return a book that keeps CVaR and is nearly the cheapest, if one is found.

        With a cone in CVaR's place, set about the book found last: there it is CVaR itself.
        """
        found, tighter = start, 0.0
        for turn in range(APPROACHES):
            before, shape = found.amount, self._tail.shape(found.weights, tighter)
            found = self._solve(shape)
            yield
            if found.status != "solved":
                break
            self._look(found)
            over = self._over(found)
            steady = abs(found.amount - before) <= STEADY * abs(before)
            asked_all = self._asks_whether
            if over <= TOLERANCE and (steady or (asked_all and found.amount <= TOLERANCE)):
                return found
            if asked_all and found.amount > TOLERANCE and turn:
                break
            if steady:
                tighter += AHEAD * over
        return None

    def _nearest(self, below: Found, above: Found) -> Found:
        """Return the cheapest mixture of two answers that keeps CVaR: all limits are convex."""
        best, share = above, 1.0
        for step in range(1, MIXTURES + 1):
            tried = share - 0.5**step
            mixed = Found(
                "solved",
                tried * above.amount + (1.0 - tried) * below.amount,
                tried * above.weights + (1.0 - tried) * below.weights,
                above.prices,
                tried * above.given + (1.0 - tried) * below.given,
            )
            if self._over(mixed) <= TOLERANCE:
                best, share = mixed, tried
        return best

    def _over(self, found: Found) -> float:
        """Return by how much a book exceeds CVaR on all scenarios, beyond what that gives way."""
        limits = self._limits
        more = self._widening.give.get(CVAR, 0.0)
        room = more * float(found.given[self._widening.column[CVAR]]) if more else 0.0
        value = float(book_shortfall(found.weights[None, :], limits)[0])
        return value - limits.cvar_max - max(room, 0.0)

    def _look(self, found: Found) -> None:
        limits = self._limits
        self._tail.look(found.weights, limits.scenarios @ found.weights + limits.scenario_offset)
