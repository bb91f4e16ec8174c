"""A book in lots that keeps every limit, where the one beside the optimum does not.

Lots are coarse against a small account, and limits may pull apart. Then the program is solved again
with room left below the limits that lots broke; after that smaller trades on the way to the optimum
are tried, the empty book, and the one with the most room. What the trader fixed stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import HEADROOM, Judge
from perptui.optimization.lots import Lots, books_after, whole_trades
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution
from perptui.optimization.rounding import Rounded, hold_lots, round_to_lots
from perptui.optimization.search import run
from perptui.risk.arrays import LimitArrays, limit_excess, plain_risk

SHARES = (1.0, 1.0 - 1e-6, 0.9999, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5)
"""Of the trades to a target, tried in turn until lots of them will do."""
ROUNDS = 3
"""Times that the program is solved again with more room for lots."""
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
    first = round_to_lots(solution.weights, inputs)
    found = first
    if first.excess > 0 or (not first.steps.any() and trades(solution.weights, inputs)):
        others = (one for one in _others(solution, first, inputs) if one.excess <= 0)
        found = next(others, first)
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


def _others(solution: Solution, first: Rounded, inputs: ProgramInputs) -> Iterator[Rounded]:
    """Yield other books in lots, the most wanted first."""
    tight, rounded = inputs.limits, first
    for _ in range(ROUNDS):
        tight = tightened(tight, rounded.weights, inputs)
        again = optimum(replace(inputs, limits=tight))
        if again.status != "optimal":
            break
        rounded = round_to_lots(again.weights, inputs)
        yield rounded
    if inputs.edited:
        return
    for share in SHARES:
        if share == 1.0 or _keeps(
            inputs.before + share * (solution.weights - inputs.before), inputs
        ):
            yield round_to_lots(short_of(solution.weights, share, inputs), inputs)
    yield round_to_lots(short_of(np.zeros_like(inputs.before), 1.0, inputs), inputs)
    roomiest = _roomiest(inputs)
    if roomiest is not None:
        yield round_to_lots(roomiest, inputs)


def _roomiest(inputs: ProgramInputs) -> FloatArray | None:
    """Return the book (N,) with the most room below every limit, None where none is found."""
    limits = Feasibility(inputs)
    try:
        found = run(limits.conflict(frozenset(limits.keys)))
    except OptimizationError:
        return None
    return found.weights


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
