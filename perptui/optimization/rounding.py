"""From weights to whole lots that keep every limit (method §6, Lots).

A position is truncated toward zero, which keeps every limit that is monotone in |w|. What is not
monotone (net, coin net, beta, first component, correlation with the market, hedged volatility,
stressed margin, CVaR, turnover across zero) is mended by single steps, each the best of its round;
the last word has the exact check in Decimal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import Judge
from perptui.optimization.lots import BoolArray, IntArray, Lots, allowed, books_after, truncated
from perptui.optimization.search import Search, run

GAIN_MIN = 1e-9
"""Least gain of the objective, fraction of equity, that is worth a step."""
MOVE_SIZES, MOVE_REACH = 9, 64
"""Moves that mend are 1, 4, ... up to 4^8 steps; at least up to this many."""
PAIRED_NUMBERS_MAX = 1_000_000
"""Weights in all pairs of moves together; the smallest moves come first."""
NUMBERS_AT_ONCE = 40_000
"""Weights of the books that are judged between two pauses."""
MOVES_A_CONTRACT = 4
"""Moves of one rounding, a contract."""
SLOW_MOVES = 4
"""Moves in a row that would not mend the limits with as many of their kind as are left."""
BESIDE = 1.0 + 1e-6
"""Steps from its target within which a lot is beside it."""
LOOKED_AT = 16
"""Moves that mend whose CVaR is worked out, the most promising first."""

Moves = Callable[[IntArray], IntArray]
"""The trades (M, N) that moves make, by their numbers (M,)."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """A book in lots.

    Attributes
    ----------
    steps : (N,) integer array
        Trade of each contract in steps, signed.
    weights : (N,) array
        The book after it.
    excess : float
        Largest excess of a hard limit, weight units; positive: the book breaks a limit.
    """

    steps: IntArray
    weights: FloatArray
    excess: float


def round_to_lots(target: FloatArray, inputs: ProgramInputs) -> Rounded:
    """Return a book in lots beside `target`, as good as single steps make it.

    No contract goes beyond the lots on either side of its target but to mend a limit, or to leave
    out its trade. At most 4N moves, fewer where they mend too little. Deterministic: ties go to the
    first.
    """
    return run(rounding(target, inputs))


def rounding(
    target: FloatArray, inputs: ProgramInputs, most: int | None = None, *, pairs: bool = True
) -> Search[Rounded]:
    """Return what `round_to_lots` does, by a search that pauses in its moves and between them.

    Parameters
    ----------
    most : int, optional
        Moves after which it is given up.
    pairs : bool
        Whether two contracts are moved at once where no single move mends anything, which takes a
        hundred times as long.
    """
    lots = Lots.of(inputs)
    search = _Search(truncated(target, inputs, lots), target, inputs, lots, pairs=pairs)
    slow = 0
    for left in reversed(range(MOVES_A_CONTRACT * len(target) if most is None else most)):
        broken = search.broken
        if not (yield from search.step()):
            break
        hopeless = search.broken > (broken - search.broken) * left
        slow = slow + 1 if search.broken > 0 and hopeless else 0
        if slow == SLOW_MOVES:
            break
        yield
    return search.found()


def hold_lots(inputs: ProgramInputs) -> Rounded:
    """Return the book as it is."""
    none = np.zeros(len(inputs.contracts), dtype=np.int64)
    return Rounded(none, inputs.before, Judge(inputs, inputs.before).excess(inputs.before))


class _Search:
    """Greedy best improvement in single steps.

    While a limit is broken the best move is the one that breaks limits least; after that, the one
    that gains most among those that keep them all.
    """

    def __init__(
        self,
        steps: IntArray,
        target: FloatArray,
        inputs: ProgramInputs,
        lots: Lots,
        *,
        pairs: bool,
    ) -> None:
        self._paired = pairs
        self._steps, self._target, self._inputs, self._lots = steps, target, inputs, lots
        self._judge = Judge(inputs, self._book)
        self._kept = np.array([one in inputs.fixed for one in inputs.ids])
        self._broken = self._total()
        self._excess: float | None = None

    @property
    def broken(self) -> float:
        """By how much hard limits are broken altogether, on the paths looked at."""
        return self._broken

    def _total(self) -> float:
        return float(self._judge.total(self._book[None, :])[0])

    @property
    def _book(self) -> FloatArray:
        return books_after(self._steps, self._inputs, self._lots)

    def found(self) -> Rounded:
        """Return where the search stands, held against every limit and every path."""
        return Rounded(self._steps, self._book, self._on_all_paths())

    def _on_all_paths(self) -> float:
        if self._excess is None:
            self._excess = self._judge.excess(self._book)
        return self._excess

    def step(self) -> Search[bool]:
        """Make the best move; False where none is for the better."""
        moved = (yield from self._mending()) if self._broken > 0 else self._gaining()
        if moved is None and self._broken <= 0 and self._on_all_paths() > 0:
            # On all paths the tail is worse than on those looked at: look at others.
            self._judge.look_around(self._book)
            self._broken = self._total()
            moved = (yield from self._mending()) if self._broken > 0 else None
        if moved is None:
            return False
        self._steps, self._excess = moved, None
        self._judge.stand_at(self._book)
        # A move that only gains keeps every limit, or it would not have been made.
        self._broken = self._total() if self._broken > 0 else 0.0
        return True

    def _gaining(self) -> IntArray | None:
        """Return the trades after the moves that gain most, None where none gains.

        The best single move, and behind it, in the order of their gains, as many of the others as
        still gain and keep every limit when those before them are made.
        """
        moves = self._neighbours(self._kept, 1, beside=True)
        if not len(moves):
            return None
        books = books_after(moves, self._inputs, self._lots)
        gain = self._judge.objective(np.vstack([self._book, books]))
        gain = gain[1:] - gain[0]
        gaining = np.flatnonzero(gain > GAIN_MIN)
        if not len(gaining):
            return None
        gaining = gaining[self._judge.total(books[gaining]) <= 0]
        order = gaining[np.argsort(-gain[gaining], kind="stable")]
        changed = (moves[order] != self._steps).argmax(axis=1)
        _, first = np.unique(changed, return_index=True)
        best_each = order[np.sort(first)]
        for place in range(len(best_each)):
            kept = self._longest(moves[best_each[place:]])
            if kept is not None:
                return kept
        return None

    def _longest(self, moves: IntArray) -> IntArray | None:
        """Return the trades after as many of the moves, made in turn, as all gain and keep all."""
        together = self._steps + np.cumsum(moves - self._steps, axis=0)
        books = books_after(together, self._inputs, self._lots)
        objective = self._judge.objective(np.vstack([self._book, books]))
        good = (np.diff(objective) > GAIN_MIN) & (self._judge.total_near(books) <= 0)
        count = len(good) if good.all() else int(good.argmin())
        return np.asarray(together[count - 1]) if count else None

    def _mending(self) -> Search[IntArray | None]:
        """Return the move that breaks limits least, or None when none breaks them less.

        Moves of 1, 4, 16, ... steps, as far as the coarsest lot reaches: fine lots make up for
        coarse ones. Where no single move mends anything, two at once: limits may pull apart, as
        net and turnover do. A target that the trader fixed may go to the lot on its other side.
        """
        lots = self._lots
        reach = float(lots.unit.max() / lots.unit.min())
        most = max(4.0 * reach, MOVE_REACH)
        kept = self._kept & ~lots.edited
        moves = np.concatenate(
            [self._neighbours(kept, 4**power) for power in range(MOVE_SIZES) if 4**power <= most]
        )
        found = yield from self._least_broken(len(moves), lambda at: np.asarray(moves[at]))
        if found is not None or not self._paired:
            return found
        yield
        return (yield from self._least_broken(*self._pairs(moves)))

    def _least_broken(self, count: int, moves: Moves) -> Search[IntArray | None]:
        """Return the one of `count` moves that breaks limits least, None where none does less."""
        # The bound on CVaR sorts out most of them; the few left are looked at closely.
        bound = yield from self._bounds(count, moves)
        better = np.flatnonzero(bound < self._broken)
        books = books_after(moves(better), self._inputs, self._lots)
        order = np.lexsort((-self._judge.objective(books), bound[better]))[:LOOKED_AT]
        if not len(order):
            return None
        total = self._judge.total_near(books[order])
        best = int(total.argmin())
        return moves(better[order])[best] if total[best] < self._broken else None

    def _bounds(self, count: int, moves: Moves) -> Search[FloatArray]:
        """Return by how much each of the moves breaks limits at least, (count,)."""
        at_once = max(NUMBERS_AT_ONCE // self._steps.size, 1)
        bounds = [np.zeros(0)]
        for start in range(0, count, at_once):
            if start:
                yield
            trades = moves(np.arange(start, min(start + at_once, count)))
            books = books_after(trades, self._inputs, self._lots)
            bounds.append(self._judge.total(books, self._broken))
        return np.concatenate(bounds)

    def _pairs(self, moves: IntArray) -> tuple[int, Moves]:
        """Return how many trades make two moves at once, on two contracts, and what they are."""
        fitting = int((2.0 * PAIRED_NUMBERS_MAX / max(self._steps.size, 1)) ** 0.5)
        deltas = moves[:fitting] - self._steps
        one, two = np.triu_indices(len(deltas), 1)
        changed = (deltas != 0).argmax(axis=1)
        apart = changed[one] != changed[two]
        one, two = one[apart], two[apart]
        return len(one), lambda at: np.asarray(self._steps + deltas[one[at]] + deltas[two[at]])

    def _neighbours(self, kept: BoolArray, size: int, *, beside: bool = False) -> IntArray:
        """Return the trades `size` steps away, (M, N), and those that drop one contract's trade.

        With `beside`, no contract goes farther from its target than the lots next to it.
        """
        steps, lots = self._steps, self._lots
        options = np.stack([steps + size, steps - size, np.zeros_like(steps)])
        taken = allowed(options, self._inputs, lots) & (options != steps) & ~kept
        if beside:
            after = self._inputs.before + options * lots.unit
            taken &= (np.abs(after - self._target) < lots.unit * BESIDE) | (options == 0)
        option, contract = np.nonzero(taken)
        moves = np.tile(steps, (len(option), 1))
        moves[np.arange(len(option)), contract] = options[option, contract]
        return moves
