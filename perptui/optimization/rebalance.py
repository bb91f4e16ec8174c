"""Solve, drop what is too small to trade, round to lots: from inputs to a book."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.optimization.explain.reduction import eased, least_violation
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import HEADROOM
from perptui.optimization.lots import Lots, allowed, too_small
from perptui.optimization.program.optimum import optimum, optimum_near
from perptui.optimization.program.solution import Solution
from perptui.optimization.rebalanced import Rebalance
from perptui.optimization.rounding import Rounded, hold_lots, round_to_lots
from perptui.optimization.soft_limits import with_room

REDUCED = "no book within reach keeps every limit: this one exceeds them least"
SHARES = (1.0, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5)
"""Of the trades to the least violation, tried in turn until lots of them will do."""
ROUNDING = 1e-9
"""Relative: a trade this close to a whole step is that step."""
PASSES = 3
"""Times that the rest is solved again without trades that are too small."""


def rebalance(inputs: ProgramInputs) -> Rebalance:
    """Return the optimal book in lots.

    Trades too small for the venue are fixed at none and the rest is solved again. Where lots are
    too coarse for the limits, a book that keeps them is held rather than broken.
    """
    solution = _too_poor(inputs) or optimum(inputs)
    if solution.status == "infeasible" and inputs.reduce_only:
        reduced = _reduced(inputs)
        if reduced is not None:
            return reduced
    if solution.status != "optimal":
        nothing = np.zeros(len(inputs.contracts), dtype=np.int64)
        return Rebalance(solution, inputs.before, nothing, inputs.before)
    solution = _without_small_trades(solution, inputs)
    within = _given_way(solution, inputs)
    rounded = round_to_lots(solution.weights, within)
    rounded = _or_held(rounded, within)
    return Rebalance(solution, solution.weights, rounded.steps, rounded.weights)


def _reduced(inputs: ProgramInputs) -> Rebalance | None:
    """Return the reduction that exceeds the limits least, None where nothing can be reduced.

    Rounding starts from the lots short of it, and keeps limits that give way as far as those do.
    """
    target = least_violation(inputs)
    if target is None:
        return None
    rounded = _short_of(target, inputs)
    solution = Solution("optimal", target, detail=REDUCED, exact=target)
    return Rebalance(solution, target, rounded.steps, rounded.weights)


def _short_of(target: FloatArray, inputs: ProgramInputs) -> Rounded:
    """Return a reduction in lots that breaks no limit more than the book as it is.

    Trades are cut to whole steps, not positions: the limits on trading are what keeps the rest.
    Where lots leave a signed limit broken, a share of the same trades leaves more room.
    """
    inputs = _reaching_back(inputs)
    lots = Lots.of(inputs)
    for share in SHARES:
        wanted = share * (target - inputs.before) / lots.unit
        steps = np.trunc(wanted * (1.0 + ROUNDING)).astype(np.int64)
        steps[~allowed(steps[None, :], inputs, lots)[0]] = 0
        short = inputs.before + steps * lots.unit
        rounded = round_to_lots(short, eased(inputs, short))
        if rounded.excess <= 0:
            return rounded
    return hold_lots(inputs)


def _reaching_back(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with bounds that what is held keeps, so that trades may stop short."""
    free = inputs.lower < inputs.upper
    lower = np.where(free, np.minimum(inputs.lower, inputs.before), inputs.lower)
    upper = np.where(free, np.maximum(inputs.upper, inputs.before), inputs.upper)
    return replace(inputs, lower=lower, upper=upper)


def _too_poor(inputs: ProgramInputs) -> Solution | None:
    """Return the flat book where every order the venues take is larger than the gross limit.

    No other book in lots keeps that limit, and weights of such an equity are no numbers to solve.
    """
    least, most = float(Lots.of(inputs).smallest.min()), inputs.in_force.limits.gross_max
    if inputs.before.any() or inputs.edited or least <= most:
        return None
    detail = f"the smallest order is {least:.3g} x equity, beyond the gross limit {most:g}"
    return Solution("optimal", inputs.before, detail=detail)


def _without_small_trades(solution: Solution, inputs: ProgramInputs) -> Solution:
    """Return the optimum with each trade that is too small to be made left out.

    Where the limits do not hold without one of them, all stay: rounding has the last word.
    """
    free = np.array([identifier not in inputs.edited for identifier in inputs.ids])
    left_out = np.zeros(len(free), dtype=bool)
    for _ in range(PASSES):
        small = too_small(solution.weights, inputs) & free & ~left_out
        if not small.any():
            break
        left_out |= small
        lower = np.where(left_out, inputs.before, inputs.lower)
        upper = np.where(left_out, inputs.before, inputs.upper)
        held = replace(inputs, lower=lower, upper=upper)
        again = optimum_near(held, solution)
        if again.status != "optimal":
            break
        solution = again
    return solution


def _given_way(solution: Solution, inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with each level of soft limits where the optimum had to leave it."""
    if not inputs.soft_levels:
        return inputs
    return with_room(replace(inputs, soft_levels=()), solution.slacks, solution.weights)


def _or_held(rounded: Rounded, inputs: ProgramInputs) -> Rounded:
    """Return the book as it is where that is better, or keeps limits that the rounded one breaks.

    Lots too coarse for the limits may leave nothing near the optimum. What the trader fixed stays.
    """
    if inputs.edited:
        return rounded
    hold = hold_lots(inputs)
    # Where nothing is traded the sums are those of before: no room is needed beside the limit.
    if hold.excess > HEADROOM:
        return rounded
    gain = inputs.objective(np.array([rounded.weights, hold.weights]))
    return hold if rounded.excess > 0 or gain[0] < gain[1] else rounded
