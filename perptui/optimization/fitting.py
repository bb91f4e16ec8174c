"""A book in lots that keeps every limit, where the one beside the optimum does not.

Lots are coarse against a small account, and limits may pull apart. Then the program is solved again
with room left below the limits that lots broke; after that books on the way to the one with the
most room are tried, moves of two contracts at once, smaller trades on the way to the optimum, and
the empty book. What the trader fixed stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.roomiest import room, roomiest_in_lots
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import HEADROOM, Judge
from perptui.optimization.lots import Lots, books_after, whole_trades
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution
from perptui.optimization.rounding import Rounded, hold_lots, round_to_lots, rounding
from perptui.optimization.search import run
from perptui.risk.arrays import LimitArrays, limit_excess, plain_risk

SHARES = (1.0, 1.0 - 1e-6, 0.9999, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5)
"""Of the trades to a target, tried in turn until lots of them will do."""
ROUNDS = 3
"""Times that the program is solved again with more room for lots."""
TOWARD_ROOM = (0.03, 0.1, 0.3, 0.6)
"""Shares of the way from an optimum to the book with the most room: it grows in proportion."""
NEAR = 1e-5
"""What such a book may be worth less than the optimum, fraction of equity, and be taken at once."""
SPARE = 2.0
"""Room left below a limit, in multiples of how far lots were beyond it."""
OF_ACCOUNTS = frozenset({"venue_gross", "margin_ratio", "free_collateral"})
"""Limits that are multiples of an account's own equity."""
OF_CONTRACTS = {"participation": "trade_max", "standalone_risk": "size_max"}
FLOORS = {
    "net_min": "net_min",
    "free_collateral": "free_collateral_min",
    "stablecoin": "stablecoin_min",
}
"""Fields of `LimitArrays` by the names of their limits, where they are named otherwise."""


def fitted(solution: Solution, inputs: ProgramInputs) -> Rounded:
    """Return a book in lots near an optimum, the best that was found to keep every hard limit.

    Where none was, the first one found; its excess is positive.
    """
    first = run(rounding(solution.weights, inputs, pairs=False))
    found = first
    if first.excess > 0 or (not first.steps.any() and trades(solution.weights, inputs)):
        found = _other(solution, first, inputs) or first
    return found if inputs.edited else _or_held(found, inputs)


def trades(weights: FloatArray, inputs: ProgramInputs) -> bool:
    """Return whether a book is more than a lot from the one before the trade."""
    return bool((np.abs(weights - inputs.before) > Lots.of(inputs).least).any())


def _or_held(rounded: Rounded, inputs: ProgramInputs) -> Rounded:
    """Return the book as it is where that is better, or keeps limits that the rounded one breaks.

    Lots too coarse for the limits may leave nothing near the optimum.
    """
    hold = hold_lots(inputs)
    # Where nothing is traded the sums are those of before: no room is needed beside the limit.
    if hold.excess > HEADROOM:
        return rounded
    gain = inputs.objective(np.array([rounded.weights, hold.weights]))
    return hold if rounded.excess > 0 or gain[0] < gain[1] else rounded


def _other(solution: Solution, first: Rounded, inputs: ProgramInputs) -> Rounded | None:
    """Return another book in lots that keeps every hard limit, None where none is found.

    What takes long is only tried where what does not leads nowhere, or far from the optimum.
    """
    tightened = _tightened(first, inputs)
    mended = _first_kept(islice(tightened, 1))
    if mended is not None:
        return mended
    near = _first_kept(_toward_room(solution, inputs))
    if near is not None and _lost(near, solution, inputs) <= NEAR:
        return near
    far = _first_kept(_at_length(solution, tightened, inputs))
    found = [one for one in (far, near) if one is not None]
    return min(found, key=lambda one: _lost(one, solution, inputs), default=None)


def _first_kept(books: Iterator[Rounded]) -> Rounded | None:
    return next((one for one in books if one.excess <= 0), None)


def _lost(rounded: Rounded, solution: Solution, inputs: ProgramInputs) -> float:
    """Return what a book is worth less than an optimum, fraction of equity."""
    best, found = inputs.objective(np.array([solution.weights, rounded.weights]))
    return float(best - found)


def _toward_room(solution: Solution, inputs: ProgramInputs) -> Iterator[Rounded]:
    """Yield books in lots on the way to the one with the most room, by moves of one contract."""
    roomiest = _roomiest(inputs)
    if roomiest is None:
        return
    for share in TOWARD_ROOM:
        toward = solution.weights + share * (roomiest - solution.weights)
        yield run(rounding(toward, inputs, pairs=False))
    yield run(roomiest_in_lots(roomiest, inputs))


def _at_length(
    solution: Solution, tightened: Iterator[Rounded], inputs: ProgramInputs
) -> Iterator[Rounded]:
    """Yield books in lots that moves of two contracts at once mend, the most wanted first."""
    yield round_to_lots(solution.weights, inputs)
    yield from tightened
    if inputs.edited:
        return
    for share in SHARES:
        if share == 1.0 or _keeps(
            inputs.before + share * (solution.weights - inputs.before), inputs
        ):
            yield round_to_lots(short_of(solution.weights, share, inputs), inputs)
    yield round_to_lots(short_of(np.zeros_like(inputs.before), 1.0, inputs), inputs)


def _tightened(rounded: Rounded, inputs: ProgramInputs) -> Iterator[Rounded]:
    """Yield books in lots of the program solved again, with room below the limits that lots broke.

    The first by moves of one contract alone.
    """
    tight = inputs.limits
    for turn in range(ROUNDS):
        tight = tightened(tight, rounded.weights, inputs)
        again = optimum(replace(inputs, limits=tight))
        if again.status != "optimal":
            break
        rounded = run(rounding(again.weights, inputs, pairs=turn > 0))
        yield rounded


def _roomiest(inputs: ProgramInputs) -> FloatArray | None:
    """Return the book (N,) with the most room below every limit, None where none is found."""
    try:
        found = run(room(Feasibility(inputs)))
    except OptimizationError:
        return None
    return found.weights if found.amount <= 0.0 else None


def _keeps(book: FloatArray, inputs: ProgramInputs) -> bool:
    """Return whether a book keeps every hard limit before it is rounded.

    Where the book before the trade breaks one, a part of the trade mostly does so too: lots of it
    would not mend that.
    """
    return Judge(inputs, book).excess(book) <= HEADROOM


def short_of(target: FloatArray, share: float, inputs: ProgramInputs) -> FloatArray:
    """Return the book (N,) after a share of the trades to `target`, each cut to whole steps.

    Trades are cut, not positions: the limits on trading are what is kept by it.
    """
    wanted = share * (target - inputs.before)
    lots = Lots.of(inputs)
    return books_after(whole_trades(wanted, inputs, lots), inputs, lots)


def tightened(limits: LimitArrays, book: FloatArray, inputs: ProgramInputs) -> LimitArrays:
    """Return `limits` with room left below each hard limit of `inputs` that a book is beyond.

    Parameters
    ----------
    limits : LimitArrays
        Those of `inputs`, or stricter ones.
    book : (N,) array
    """
    excess = limit_excess(book[None, :], inputs.before, inputs.limits)
    for name, part in excess.items():
        less = SPARE * np.maximum(part[0], 0.0)
        if name not in inputs.soft_prices and less.any():
            limits = replace(limits, **_with_less(limits, name, less, book))
    return limits


def widened(limits: LimitArrays, name: str, room: float, book: FloatArray) -> LimitArrays:
    """Return `limits` with one of them, as `limit_excess` names it, wider by `room`, weight units.

    Parameters
    ----------
    book : (N,) array
        Whose risk a correlation with the market is counted in.
    """
    excess = limit_excess(book[None, :], book, limits)[name][0]
    return replace(limits, **_with_less(limits, name, np.full_like(excess, -room), book))


def _with_less(
    limits: LimitArrays, name: str, less: FloatArray, book: FloatArray
) -> dict[str, Any]:
    """Return the fields of `limits` that make one limit stricter by `less` (k,), weight units."""
    most = float(less.max())
    if name in limits.row_names:
        of_name = np.array([one == name for one in limits.row_names])
        return {"row_max": limits.row_max - of_name * most}
    if name in OF_ACCOUNTS or name.startswith("stress_"):
        most /= float(limits.equity_share.min(where=limits.equity_share > 0.0, initial=1.0))
    if name == "market_correlation":
        most /= max(float(plain_risk(book[None, :], limits)[0]), abs(most))
    if name in FLOORS:
        field = FLOORS[name]
        return {field: getattr(limits, field) + most}
    if name.startswith("stress_"):
        return {"depeg": limits.depeg + most}
    if name in OF_CONTRACTS:
        field = OF_CONTRACTS[name]
        return {field: np.maximum(getattr(limits, field) - less, 0.0)}
    field = name if name == "net_max" else f"{name}_max"
    return {field: getattr(limits, field) - most}
