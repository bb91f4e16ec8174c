"""The least relaxed value of one setting with which, alone, a book exists (method §6, Infeasible).

Most settings widen their limits in proportion: one small cone program. Two do not, and are found by
repeating it: the distance to liquidation, which moves the stress itself, and the correlation with
the market.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import numpy as np

from perptui.model.explanation import as_said
from perptui.optimization.explain.existence import Existence, Pose
from perptui.optimization.explain.feasibility import Feasibility, correlation_of
from perptui.optimization.explain.found import TOLERANCE
from perptui.optimization.explain.limit_rows import CORRELATION, TARGET, Key
from perptui.optimization.explain.relaxation import (
    COMMON_MOVES,
    CORRELATION_SETTING,
    STRESS,
    Relaxation,
    relaxation_of,
)
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.search import Search
from perptui.risk.arrays import CORRELATION_OFF, cheap_excess

MARGIN = 2e-5
"""By how much of itself a least value is relaxed further: a set of books without an inside is
lost to rounding."""
MARGIN_MIN = 1e-7
"""At least, weight units."""
HALVINGS = 40
STRESS_PRECISION = 1e-6
"""Of the least distance, fraction of price."""
FURTHER = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0)
"""Shares of a relaxation by which it is tried further where it does not do in the program."""
FOR_LOTS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
"""The same where no book in whole lots does; between the first that does and the last that does not
it is halved."""
UNSURE = "what it needs alone the solver did not find"
NO_LOTS = "with what it needs alone no book in whole lots was found"
SHORT = 0.995
"""Share of a relaxation at which the least one no longer does."""


@dataclass(frozen=True, eq=False)
class Need:
    """The least relaxed value of a setting, in its units, and the book (N,) found there."""

    value: float
    book: FloatArray


@dataclass(frozen=True)
class Proof:
    """The least value of a setting that a book bears out, or None and, in words, why there is none.

    `why` is `UNSURE` or `NO_LOTS`.
    """

    value: float | None
    why: str = ""


def needed(key: Key, inputs: ProgramInputs, limits: Feasibility) -> Search[Need | None]:
    """Return the least relaxed value of the setting behind `key`.

    Returns
    -------
    Need or None
        None where no value of that setting alone would do.
    """
    way = relaxation_of(key, inputs)
    if way.setting == STRESS:
        return (yield from _distance(way, limits))
    if way.setting == CORRELATION_SETTING:
        return (yield from _correlation(limits))
    found = yield from limits.widened(way.give, way.most, way.stops)
    if found.status != "solved":
        return None
    if key[0] == TARGET:
        return Need(_target(way, float(found.weights[key[1]])), found.weights)
    least = MARGIN_MIN / max(way.give.values())
    amount = found.amount + max(MARGIN * abs(way.value_after(found.amount)), least)
    amount = amount if way.most is None else min(amount, way.most)
    return Need(way.value_after(amount), found.weights)


def _target(way: Relaxation, nearest: float) -> float:
    """Return the nearest possible weight, a little farther from the one asked for."""
    side = float(np.sign(nearest - way.limit))
    return nearest + side * max(MARGIN * abs(nearest), MARGIN_MIN)


def _distance(way: Relaxation, limits: Feasibility) -> Search[Need | None]:
    """Return the largest common move that some book survives: what survives more survives less.

    From the distance that one book survives to the book with most room there, and so on: each
    survives more than the last, and the steps shrink as Newton's do (Dinkelbach 1967).
    """
    inputs, move = limits.inputs, 0.0
    give: set[Key] | None = None
    for _ in range(HALVINGS):
        moved = limits.moved(with_stress_move(inputs, move))
        found = yield from moved.conflict(frozenset(moved.keys), give)
        if give is None and found.amount > TOLERANCE:
            return None
        further = _survived(found.weights, move, way.limit, inputs)
        # The first book only has to exist; from there on only the stress need have room.
        done = give is not None and further - move <= STRESS_PRECISION * way.limit
        move, give = further, set(way.give)
        if done:
            break
    if CORRELATION in limits.keys:
        # Under that cap any book is looked for, not the one with most room.
        move = yield from _halved(way, limits, move)
    return Need(move, found.weights)


def _halved(way: Relaxation, limits: Feasibility, low: float) -> Search[float]:
    """Return the largest move above `low` that some book survives, by bisection."""
    high = way.limit
    while high - low > STRESS_PRECISION * way.limit:
        middle = 0.5 * (low + high)
        moved = limits.moved(with_stress_move(limits.inputs, middle))
        if (yield from moved.clash(frozenset(moved.keys))):
            high = middle
        else:
            low = middle
    return low


def _survived(book: FloatArray, low: float, high: float, inputs: ProgramInputs) -> float:
    """Return the largest move from `low` up to `high` that a book survives both ways."""

    def lacking(move: float) -> float:
        limits = with_stress_move(inputs, move).limits
        excess = cheap_excess(book[None, :], inputs.before, limits)
        return max(float(excess[name].max()) for name in COMMON_MOVES)

    return _largest(lacking, low, high)


def with_stress_move(inputs: ProgramInputs, move: float) -> ProgramInputs:
    """Return the inputs with ±`move` as the two common stresses."""
    stress = inputs.limits.stress.copy()
    stress[0], stress[1] = move, -move
    return replace(inputs, limits=replace(inputs.limits, stress=stress))


def _largest(lacking: Callable[[float], float], low: float, high: float) -> float:
    """Return the largest value from `low` up to `high` at which nothing lacks, by bisection."""
    finest = STRESS_PRECISION * high / 4.0
    for _ in range(HALVINGS):
        if high - low <= finest:
            break
        middle = 0.5 * (low + high)
        if lacking(middle) > TOLERANCE:
            high = middle
        else:
            low = middle
    return low


def _correlation(limits: Feasibility) -> Search[Need | None]:
    """Return the least correlation with the market of a book that keeps all else (Dinkelbach)."""
    rest = frozenset(limits.keys) - {CORRELATION}
    found = yield from limits.conflict(rest)
    if found.amount > TOLERANCE:
        return None
    least = Need(CORRELATION_OFF, found.weights)
    for start in (found.weights, *(yield from limits.least_alike(rest))):
        least = min(least, (yield from _less_alike(start, rest, limits)), key=lambda one: one.value)
    return replace(least, value=min(least.value * (1.0 + MARGIN), CORRELATION_OFF))


def _less_alike(weights: FloatArray, rest: Set[Key], limits: Feasibility) -> Search[Need]:
    """Return the correlation where the descent from a book ends."""
    arrays = limits.inputs.limits
    least = Need(correlation_of(weights, arrays), weights)
    for _ in range(HALVINGS):
        after = yield from limits.less_alike(rest, least.book, least.value)
        if after.status != "solved":
            break
        value = correlation_of(after.weights, arrays)
        if value >= least.value - STRESS_PRECISION:
            break
        least = Need(value, after.weights)
    return least


def proven(way: Relaxation, need: Need, limits: Feasibility, pose: Pose) -> Search[Proof]:
    """Return the least value of a setting with which the program, posed anew with it, has a book.

    One in whole lots: what no lots keep is no way out. A setting may act in more places than its
    limits: on what regime and drawdown leave, on how far one proposal reaches, on funding's caps.
    No value where nothing near what is needed does.

    Parameters
    ----------
    need : Need
        What the limits by themselves ask for.
    limits : Feasibility
        Of the program as it is.
    """
    exists = Existence(way.setting, limits, pose, need.book)
    change = need.value - way.limit
    share = yield from _borne_out(way.limit, change, exists)
    if share is None:
        return Proof(None, UNSURE)

    def said(times: float) -> float:
        # The value that is said, and taken, is what has to do.
        return as_said(way.limit + share * times * change, way.limit)

    def in_lots(times: float) -> Search[bool]:
        return (yield from exists.in_lots(said(times)))

    bad = 1.0
    for more in FOR_LOTS:
        if (yield from in_lots(1.0 + more)):
            return Proof(said((yield from _least_share(1.0 + more, bad, in_lots))))
        bad = 1.0 + more
    return Proof(None, NO_LOTS)


def _borne_out(limit: float, change: float, exists: Existence) -> Search[float | None]:
    """Return the least share of a change from `limit`, near the whole, with which a book exists."""

    def does(share: float) -> Search[bool]:
        return (yield from exists.at(limit + share * change))

    if (yield from does(1.0)):
        good, bad = (SHORT, 0.0) if (yield from does(SHORT)) else (1.0, SHORT)
        return (yield from _least_share(good, bad, does))
    bad = 1.0
    for more in FURTHER:
        if (yield from does(1.0 + more)):
            return (yield from _least_share(1.0 + more, bad, does))
        bad = 1.0 + more
    return None


def _least_share(good: float, bad: float, does: Callable[[float], Search[bool]]) -> Search[float]:
    """Return the least share that does, above one that does not, by bisection."""
    while good - bad > (1.0 - SHORT) * good:
        middle = 0.5 * (good + bad)
        if (yield from does(middle)):
            good = middle
        else:
            bad = middle
    return good
