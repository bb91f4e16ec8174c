"""A better book in lots, where lots are coarse and rounding lost much of what the optimum gains.

Rounding moves one contract at a time and leaves trades that are too small out one by one. Where a
lot is a large part of the book limits pull two or three contracts together (net, beta), and a trade
left out makes another worth its while. There whole neighbourhoods are judged at once: every
combination of a few moves of a few contracts. The walk goes from best to best until none is better.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import Judge
from perptui.optimization.lots import IntArray, Lots, allowed, books_after, truncated
from perptui.optimization.program.solution import Solution
from perptui.optimization.rounding import GAIN_MIN, Rounded

COARSE_FROM = 1e-3
"""Weight of the smallest trade of a contract from which lots are coarse."""
MATTERS = 0.01
"""Share of what the optimum gains, lost by rounding, from which another book is looked for."""
NUMBERS_AT_ONCE = 4_000
"""Weights of the books in one neighbourhood."""
NUMBERS_MAX = 9_000
"""Weights of the books in all neighbourhoods of one walk: of two walks, some 15 ms."""
NEIGHBOURHOODS = (((1, 2, 3, 5), 3), (tuple(range(1, 9)), 2), ((1, 2, 3), 2), ((1,), 2), ((1,), 1))
"""Steps that contracts are moved by, either way, and how many move at once: tried in turn.

Of fine lots it is as many steps as make a coarse one. A neighbourhood of too many books is left
out; of single steps it is looked through for the contracts that are farthest from the optimum.
"""
STEPS_MAX = 12
"""Neighbourhoods of one walk."""
CLOSELY = 8
"""Promising books of a neighbourhood that are held against every path."""


def better_book(rounded: Rounded, wanted: Solution, inputs: ProgramInputs) -> Rounded:
    """Return a better book in lots where lots are coarse and much was lost; else `rounded` itself.

    Parameters
    ----------
    wanted : Solution
        The optimum before any trade was left out as too small.
    inputs : ProgramInputs
        The program that the answer is explained by: what is left out of it is not traded.
    """
    if not _worth_looking(rounded, wanted.weights, inputs):
        return rounded
    # A soft limit is exceeded by what rounding has to, and not for a better book.
    hard = replace(inputs, soft_prices={}, soft_levels=())
    best, seen = rounded, set[bytes]()
    for start in (rounded.steps, truncated(wanted.weights, inputs, Lots.of(inputs))):
        walk = _Walk(start, wanted.weights, hard, seen, moves_edited=rounded.excess > 0)
        found = walk.end()
        if found is not None and (best.excess > 0 or _gain(found, best, inputs) > GAIN_MIN):
            best = found
    return best


def _worth_looking(rounded: Rounded, wanted: FloatArray, inputs: ProgramInputs) -> bool:
    lots = Lots.of(inputs)
    traded = np.abs(wanted - inputs.before) > 0
    if float(np.maximum(lots.unit, lots.least)[traded].max(initial=0.0)) < COARSE_FROM:
        return False
    if rounded.excess > 0:
        return True
    most, found, hold = inputs.objective(np.array([wanted, rounded.weights, inputs.before]))
    return bool(most - found > max(MATTERS * abs(most - hold), GAIN_MIN))


def _gain(one: Rounded, other: Rounded, inputs: ProgramInputs) -> float:
    worth = inputs.objective(np.array([one.weights, other.weights]))
    return float(worth[0] - worth[1])


class _Walk:
    """From one book in lots to the best of its neighbours, until none is better.

    A target that the trader fixed stays at its lot: only to mend a limit that nothing else mends,
    and that rounding left broken, `moves_edited` has it go to the lot on its other side.
    """

    def __init__(
        self,
        steps: IntArray,
        wanted: FloatArray,
        inputs: ProgramInputs,
        seen: set[bytes],
        *,
        moves_edited: bool,
    ) -> None:
        self._inputs, self._lots, self._seen = inputs, Lots.of(inputs), seen
        self._steps, self._left = steps, NUMBERS_MAX
        self._wanted = (wanted - inputs.before) / self._lots.unit
        self._judge = Judge(inputs, self._book)
        kept = np.array([one in inputs.fixed for one in inputs.ids])
        self._free = np.flatnonzero(~kept)
        more = self._lots.edited if moves_edited else np.zeros_like(kept)
        self._mending = np.flatnonzero(~kept | more)

    @property
    def _book(self) -> FloatArray:
        return books_after(self._steps, self._inputs, self._lots)

    def end(self) -> Rounded | None:
        """Return the book at the end of the walk; None where it breaks a limit."""
        for _ in range(STEPS_MAX):
            if self._steps.tobytes() in self._seen:
                return None
            self._seen.add(self._steps.tobytes())
            better = self._better()
            if better is None:
                break
            self._steps = better
            self._judge.stand_at(self._book)
        excess = self._judge.excess(self._book)
        return Rounded(self._steps, self._book, excess) if excess <= 0 else None

    def _better(self) -> IntArray | None:
        """Return the best neighbour, None where none is better than the book stood at."""
        broken = float(self._judge.total_near(self._book[None, :])[0])
        better = self._better_of(self._free, broken)
        if better is None and broken > 0 and len(self._mending) > len(self._free):
            return self._better_of(self._mending, broken)
        return better

    def _better_of(self, contracts: IntArray, broken: float) -> IntArray | None:
        """Return the best neighbour by moves of these contracts, None where none is better."""
        far = np.abs(self._wanted - self._steps)[contracts] * self._lots.unit[contracts]
        contracts = contracts[np.argsort(-far, kind="stable")]
        tried: set[int] = set()
        for sizes, together in NEIGHBOURHOODS:
            # Fewer moves of as many contracts, or fewer, are part of what was looked through.
            if tried.issuperset(sizes):
                continue
            options = self._options(contracts, sizes)
            most = min(NUMBERS_AT_ONCE, self._left) // len(self._steps)
            fitting = _fitting([len(one) for one in options], together, most)
            if fitting == len(contracts):
                tried.update(sizes)
            elif len(sizes) > 1 or fitting < together:
                continue
            moves = self._combined(contracts[:fitting], options[:fitting], together)
            better = self._best(moves, broken)
            if better is not None:
                return better
        return None

    def _best(self, moves: IntArray, broken: float) -> IntArray | None:
        """Return the move that gains most and breaks nothing; where that is asked, breaks least."""
        self._left -= moves.size
        books = books_after(moves, self._inputs, self._lots)
        worth = self._judge.objective(np.vstack([self._book, books]))
        gain = worth[1:] - worth[0]
        if broken <= 0:
            gaining = np.flatnonzero(gain > GAIN_MIN)
            moves, books, gain = moves[gaining], books[gaining], gain[gaining]
        total = self._judge.total(books, np.inf if broken <= 0 else broken)
        better = np.flatnonzero(total <= 0 if broken <= 0 else total < broken)
        order = better[np.lexsort((-gain[better], total[better]))]
        for at in order[:CLOSELY]:
            near = float(self._judge.total_near(books[at][None, :])[0])
            if near < broken or (near <= 0 and self._judge.excess(books[at]) <= 0):
                return np.asarray(moves[at])
        return None

    def _combined(self, contracts: IntArray, options: list[list[int]], together: int) -> IntArray:
        """Return the trades (M, N) after every combination of options of so many contracts."""
        found = [np.zeros((0, len(self._steps)), dtype=np.int64)]
        for chosen in combinations(range(len(options)), min(together, len(options))):
            grid = np.array(list(product(*(options[one] for one in chosen))), dtype=np.int64)
            moves = np.tile(self._steps, (len(grid), 1))
            moves[:, contracts[list(chosen)]] = grid.reshape(len(grid), len(chosen))
            found.append(moves)
        every = np.concatenate(found)
        return np.asarray(every[(every != self._steps).any(axis=1)])

    def _options(self, contracts: IntArray, sizes: tuple[int, ...]) -> list[list[int]]:
        """Return the trades that each contract may have instead, its own first."""
        lots, now = self._lots, self._steps
        least = np.ceil(lots.least / lots.unit - 1e-9).astype(np.int64)
        close = -np.rint(self._inputs.before / lots.unit).astype(np.int64)
        beside = np.floor(self._wanted).astype(np.int64)
        grain = np.maximum((COARSE_FROM / lots.unit).astype(np.int64), 1)
        moved = [now + way * size * grain for size in sizes for way in (1, -1)]
        none = np.zeros_like(now)
        tried = np.stack([now, *moved, none, least, -least, close, beside, beside + 1])
        let = allowed(tried, self._inputs, lots) | (tried == now)
        return [list(dict.fromkeys(tried[let[:, at], at].tolist())) for at in contracts]


def _fitting(options: list[int], together: int, most: int) -> int:
    """Return of how many contracts, the first ones, no more than `most` combinations are made.

    Parameters
    ----------
    options : list of int
        How many each contract has.
    together : int
        Contracts that are combined; all of them where there are fewer.
    """
    ways = [1] + [0] * together
    for place, one in enumerate(options):
        for chosen in range(together, 0, -1):
            ways[chosen] += ways[chosen - 1] * one
        if ways[min(together, place + 1)] > most:
            return place
    return len(options)
