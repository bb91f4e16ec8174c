"""Holds hundreds of neighbouring books against every hard limit, at the cost of a few.

CVaR on ten thousand paths costs more than all other limits together. It is judged on the paths that
are worst for a book nearby, which can only understate it; from one book to the next by its
subgradient, which understates it too; and a book that is to be kept by all of its paths.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import LimitArrays, book_shortfall, cheap_excess
from perptui.risk.tail import shortfall_slope, worst_of

HEADROOM = 1e-12
"""Room kept below each limit, weight units: float sums and exact sums then agree on it."""
WORST = 3.0
"""Paths that are looked at among the worst, in multiples of those that the tail holds."""


class Judge:
    """The limits of one program, and one book among those it is asked of.

    Soft limits are left to the objective, where exceeding them has its price.

    Parameters
    ----------
    inputs : ProgramInputs
    book : (N,) array
        Where the search begins.
    """

    def __init__(self, inputs: ProgramInputs, book: FloatArray) -> None:
        self._inputs = inputs
        self._soft = frozenset(inputs.soft_prices)
        self._tail = inputs.limits.has_tail and "cvar" not in self._soft
        self.look_around(book)

    def look_around(self, book: FloatArray) -> None:
        """Choose the paths that are worst for `book`, and stand there."""
        limits = self._inputs.limits
        self._near: LimitArrays = limits
        if limits.has_tail:
            returns = limits.scenarios @ book + limits.scenario_offset
            worst = worst_of(returns, limits.tail, WORST)
            self._near = replace(
                limits,
                scenarios=np.ascontiguousarray(limits.scenarios[worst]),
                scenario_offset=limits.scenario_offset[worst],
                tail=limits.tail * len(returns) / len(worst),
            )
        self._priced = replace(self._inputs, limits=self._near) if self._soft else self._inputs
        self.stand_at(book)

    def stand_at(self, book: FloatArray) -> None:
        """Make `book` the one from which others are judged by the slope of CVaR."""
        self._book = book
        if self._tail:
            near = self._near
            returns = near.scenarios @ book + near.scenario_offset
            self._shortfall, self._slope = shortfall_slope(near.scenarios, returns, near.tail)

    def objective(self, books: FloatArray) -> FloatArray:
        """Return the program's objective of books (M, N), shape (M,)."""
        return self._priced.objective(books)

    def total(self, books: FloatArray) -> FloatArray:
        """Return the sum of excesses of books (M, N), weight units, (M,); 0 where none is.

        That of CVaR is a bound from below, true of the book stood at.
        """
        total = self._cheap(books)
        if self._tail:
            bound = self._shortfall + (books - self._book) @ self._slope
            total += np.maximum(bound - self._near.cvar_max + HEADROOM, 0.0)
        return total

    def total_near(self, books: FloatArray) -> FloatArray:
        """Return `total` with CVaR itself on the paths looked at, (M,)."""
        return self._cheap(books) + np.maximum(self.tail_excess(books), 0.0)

    def _cheap(self, books: FloatArray) -> FloatArray:
        parts = cheap_excess(books, self._inputs.before, self._inputs.limits)
        total = np.zeros(len(books))
        for name, part in parts.items():
            if name not in self._soft:
                total += np.maximum(_kept_off(part), 0.0).sum(axis=1)
        return total

    def tail_excess(self, books: FloatArray) -> FloatArray:
        """Return by how much CVaR of books (M, N) is beyond its limit on the paths near, (M,)."""
        if not self._tail:
            return np.full(len(books), -1.0)
        return book_shortfall(books, self._near) - self._near.cvar_max + HEADROOM

    def excess(self, book: FloatArray) -> float:
        """Return the largest excess of a book (N,) over all hard limits, on all paths."""
        inputs, books = self._inputs, book[None, :]
        parts = cheap_excess(books, inputs.before, inputs.limits)
        worst = [
            float(_kept_off(part).max(initial=-1.0))
            for name, part in parts.items()
            if name not in self._soft
        ]
        if self._tail:
            beyond = book_shortfall(books, inputs.limits) - inputs.limits.cvar_max
            worst.append(float(_kept_off(beyond)[0]))
        return max(worst)


def _kept_off(excess: FloatArray) -> FloatArray:
    """Return excesses with `HEADROOM` added.

    Not where they are 0 exactly: a limit of nothing is kept by nothing, and by nothing else.
    """
    return np.where(excess == 0.0, 0.0, excess + HEADROOM)
