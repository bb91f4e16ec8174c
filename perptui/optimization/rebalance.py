"""Solve, drop what is too small to trade, round to lots: from inputs to a book."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.model.explanation import COARSE
from perptui.optimization.coarse_lots import better_book
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.reduction import eased, least_violation
from perptui.optimization.fitting import SHARES, fitted, short_of
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import HEADROOM
from perptui.optimization.lots import BoolArray, Lots, too_small
from perptui.optimization.program.optimum import optimum, optimum_near
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution
from perptui.optimization.rebalanced import Rebalance
from perptui.optimization.rounding import Rounded, hold_lots, rounding
from perptui.optimization.search import Search, run
from perptui.optimization.soft_limits import gate_kept, level_prices, with_room
from perptui.risk.arrays import limit_excess

REDUCED = "no book within reach keeps every limit: this one exceeds them least"
PASSES = 3
"""Times that the rest is solved again without trades that are too small."""


def rebalance(inputs: ProgramInputs) -> Rebalance:
    """Return the optimal book in lots.

    Trades too small for the venue are fixed at none and the rest is solved again. Where lots are
    too coarse for the limits, a book that keeps them is held rather than broken; where none is
    found that does, the answer is a reduction, or none at all beside a target that is fixed.
    """
    solution = _too_poor(inputs) or optimum(inputs)
    if solution.status == "infeasible" and inputs.reduce_only:
        reduced = run(_reduced(inputs))
        if reduced is not None:
            return reduced
    if solution.status != "optimal":
        return _nothing(solution, inputs)
    wanted = solution
    solution, solved = _without_small_trades(solution, inputs)
    rounded = better_book(_in_lots(solution, inputs), wanted, solved)
    if rounded.excess > HEADROOM:
        return _reduced_in_lots(inputs) or _too_coarse(solution, inputs, solved)
    return Rebalance(solution, solution.weights, rounded.steps, rounded.weights, solved)


def reduction_search(inputs: ProgramInputs) -> Search[Rebalance]:
    """Return what `rebalance` does of a program that only reduces, by a search that pauses.

    Whether any book keeps every limit is asked first, which takes less than to look for the best.

    Raises
    ------
    OptimizationError
        When the solver gives no answer to trust.
    """
    limits = Feasibility(inputs)
    if not (yield from limits.clash(frozenset(limits.keys))):
        return rebalance(inputs)
    reduced = yield from _reduced(inputs)
    return reduced or _nothing(Solution.without_answer("infeasible", inputs), inputs)


def _reduced_in_lots(inputs: ProgramInputs) -> Rebalance | None:
    """Return a reduction where no book in lots keeps every limit; None where nothing is reduced.

    A target that is fixed would not be what a reduction leaves.
    """
    if inputs.edited:
        return None
    reduced = run(_reduced(_only_reducing(inputs)))
    return reduced if reduced is not None and reduced.steps.any() else None


def _too_coarse(solution: Solution, inputs: ProgramInputs, solved: ProgramInputs) -> Rebalance:
    """Return that no book in lots was found near an optimum, which stays told for what it is."""
    coarse = replace(solution, status="infeasible", detail=COARSE)
    return replace(_nothing(coarse, inputs), solved=solved)


def _nothing(solution: Solution, inputs: ProgramInputs) -> Rebalance:
    nothing = np.zeros(len(inputs.contracts), dtype=np.int64)
    return Rebalance(solution, inputs.before, nothing, inputs.before)


def _only_reducing(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with bounds within which every position keeps its side and grows none."""
    least, most = np.minimum(inputs.before, 0.0), np.maximum(inputs.before, 0.0)
    lower, upper = (np.clip(bound, least, most) for bound in (inputs.lower, inputs.upper))
    return replace(inputs, lower=lower, upper=upper)


def _reduced(inputs: ProgramInputs) -> Search[Rebalance | None]:
    """Return the reduction that exceeds the limits least, None where nothing can be reduced.

    Rounding starts from the lots short of it, and keeps limits that give way as far as those do.
    What the desk's gate holds of every order gives way for no price: it could not be sent.
    """
    inputs = gate_kept(inputs)
    target = yield from least_violation(inputs)
    if target is None:
        return None
    rounded = yield from _short_of(target, inputs)
    solution = Solution("optimal", target, detail=REDUCED, exact=target)
    return Rebalance(solution, target, rounded.steps, rounded.weights)


def _short_of(target: FloatArray, inputs: ProgramInputs) -> Search[Rounded]:
    """Return a reduction in lots that breaks no limit more than the book as it is.

    Trades are cut to whole steps, not positions: the limits on trading are what keeps the rest.
    Where lots leave a signed limit broken, a share of the same trades leaves more room.
    """
    inputs = _reaching_back(inputs)
    for share in SHARES:
        short = short_of(target, share, inputs)
        rounded = yield from rounding(short, eased(inputs, short))
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


def _without_small_trades(
    solution: Solution, inputs: ProgramInputs
) -> tuple[Solution, ProgramInputs]:
    """Return the optimum with each trade that is too small to be made left out, and its program.

    Where the limits do not hold without one of them, all stay: rounding has the last word.
    """
    free = np.array([identifier not in inputs.edited for identifier in inputs.ids])
    solved = inputs
    for _ in range(PASSES):
        out = np.array([identifier in solved.left_out for identifier in inputs.ids])
        small = too_small(solution.weights, inputs) & free & ~out
        if not small.any():
            break
        held = _leaving_out(small, solution, solved)
        again = optimum_near(held, solution)
        if again.status != "optimal":
            break
        solution, solved = again, held
    return solution, solved


def _leaving_out(small: BoolArray, solution: Solution, inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with these contracts kept as they are, beside those left out before."""
    trades = solution.weights - inputs.before
    more = {inputs.ids[at]: float(trades[at]) for at in np.flatnonzero(small)}
    return replace(
        inputs,
        lower=np.where(small, inputs.before, inputs.lower),
        upper=np.where(small, inputs.before, inputs.upper),
        left_out={**inputs.left_out, **more},
    )


def _in_lots(solution: Solution, inputs: ProgramInputs) -> Rounded:
    """Return the book in lots near an optimum.

    Levels of soft limits hold where the optimum left them, but for those that it had to leave: lots
    rather go farther beyond these than beyond a hard limit. Where that is not enough all give way.
    """
    if not inputs.soft_levels:
        return _keeping_soft(solution, inputs)
    hard = with_room(replace(inputs, soft_levels=()), solution.slacks, solution.weights)
    left = frozenset(name for name, room in solution.slacks.items() if room.any())
    rounded = fitted(solution, replace(hard, soft_prices=level_prices(inputs.soft_levels, left)))
    if rounded.excess <= 0:
        return rounded
    every = frozenset(solution.slacks)
    return fitted(solution, replace(hard, soft_prices=level_prices(inputs.soft_levels, every)))


def _keeping_soft(solution: Solution, inputs: ProgramInputs) -> Rounded:
    """Return the book in lots within the soft limits that the optimum holds, where one is found."""
    weights = solution.weights[None, :]
    excess = limit_excess(weights, inputs.before, inputs.limits) if inputs.soft_prices else {}
    left = {
        name: price
        for name, price in inputs.soft_prices.items()
        if name in excess and float(excess[name].max(initial=-1.0)) > RESIDUAL_MAX
    }
    if len(left) < len(inputs.soft_prices):
        rounded = fitted(solution, replace(inputs, soft_prices=left))
        if rounded.excess <= 0.0:
            return rounded
    return fitted(solution, inputs)
