"""Holds hundreds of neighbouring books against every hard limit, at the cost of a few.

CVaR on ten thousand paths costs more than all other limits together. It is judged on the paths that
are worst for a book nearby, which can only understate it; from one book to the next by its
subgradient, which understates it too; and a book that is to be kept by all of its paths.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.tail_bound import surely_keep_tail
from perptui.risk.arrays import LimitArrays, book_shortfall, cheap_excess, weight_excess
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
        self._around = book
        self._near: LimitArrays | None = None
        self._priced = self._inputs
        if self._soft and self._inputs.limits.has_tail:
            self._priced = replace(self._inputs, limits=self._paths())
        self.stand_at(book)

    def _paths(self) -> LimitArrays:
        """Return the limits with the paths looked at only, which few books ever need."""
        if self._near is None:
            limits = self._inputs.limits
            returns = limits.scenarios @ self._around + limits.scenario_offset
            worst = worst_of(returns, limits.tail, WORST)
            self._near = replace(
                limits,
                scenarios=np.ascontiguousarray(limits.scenarios[worst]),
                scenario_offset=limits.scenario_offset[worst],
                tail=limits.tail * len(returns) / len(worst),
            )
        return self._near

    def stand_at(self, book: FloatArray) -> None:
        """Make `book` the one from which others are judged by the slope of CVaR."""
        self._book = book
        self._tangent: tuple[float, FloatArray] | None = None

    def _tangent_here(self) -> tuple[float, FloatArray]:
        """Return CVaR on the paths looked at, and its slope, at the book stood at."""
        if self._tangent is None:
            near = self._paths()
            returns = near.scenarios @ self._book + near.scenario_offset
            self._tangent = shortfall_slope(near.scenarios, returns, near.tail)
        return self._tangent

    def objective(self, books: FloatArray) -> FloatArray:
        """Return the program's objective of books (M, N), shape (M,)."""
        return self._priced.objective(books)

    def total(self, books: FloatArray, below: float = math.inf) -> FloatArray:
        """Return the sum of excesses of books (M, N), weight units, (M,); 0 where none is.

        That of CVaR is a bound from below, true of the book stood at.

        Parameters
        ----------
        below : float
            Those of accounts and of CVaR are left out where the others are no less together.
        """
        if below < math.inf:
            total = self._of_weights(books)
            near = np.flatnonzero(total < below)
            if len(near):
                total[near] = self.total(books[near])
            return total
        total = self._cheap(books)
        if self._doubts_tail(books):
            value, slope = self._tangent_here()
            bound = value + (books - self._book) @ slope
            total += np.maximum(bound - self._inputs.limits.cvar_max + HEADROOM, 0.0)
        return total

    def _doubts_tail(self, books: FloatArray) -> bool:
        """Return whether some of the books (M, N) may be beyond a hard cap on CVaR."""
        return self._tail and not surely_keep_tail(books, self._inputs.limits)

    def total_near(self, books: FloatArray) -> FloatArray:
        """Return `total` with CVaR itself on the paths looked at, (M,)."""
        total = self._cheap(books)
        if self._doubts_tail(books):
            near = self._paths()
            beyond = book_shortfall(books, near) - near.cvar_max + HEADROOM
            total += np.maximum(beyond, 0.0)
        return total

    def _cheap(self, books: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(self._hard(books), 0.0).sum(axis=1))

    def _of_weights(self, books: FloatArray) -> FloatArray:
        """Return what `_cheap` does, of the limits that no account and no correlation is in."""
        limits = self._inputs.limits
        parts = weight_excess(books, self._inputs.before, limits)
        hard = [
            part - limits.room.get(name, 0.0)
            for name, part in parts.items()
            if name not in self._soft
        ]
        return np.asarray(np.maximum(_kept_off(np.concatenate(hard, axis=1)), 0.0).sum(axis=1))

    def _hard(self, books: FloatArray) -> FloatArray:
        """Return the excess of every hard limit but CVaR, `HEADROOM` kept off, (M, K)."""
        parts = cheap_excess(books, self._inputs.before, self._inputs.limits)
        hard = [part for name, part in parts.items() if name not in self._soft]
        return _kept_off(np.concatenate(hard, axis=1))

    def excess(self, book: FloatArray) -> float:
        """Return the largest excess of a book (N,) over all hard limits, on all paths.

        CVaR that surely keeps its cap is no part of it.
        """
        books, limits = book[None, :], self._inputs.limits
        worst = float(self._hard(books).max(initial=-1.0))
        if self._doubts_tail(books):
            beyond = book_shortfall(books, limits) - limits.cvar_max
            worst = max(worst, float(_kept_off(beyond)[0]))
        return worst


def _kept_off(excess: FloatArray) -> FloatArray:
    """Return excesses with `HEADROOM` added.

    Not where they are 0 exactly: a limit of nothing is kept by nothing, and by nothing else.
    """
    return np.where(excess == 0.0, 0.0, excess + HEADROOM)
