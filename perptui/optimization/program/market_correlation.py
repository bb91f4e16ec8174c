"""The cap on the book's correlation with the market, by safe linear rows (method §6, form ii).

|m'w| <= rho·s(w), with m = Sigma b/s_b and s(w) = |F w|, is not convex. s is, so its tangent at any
book lies below it, and |m'w| <= rho·(s_k + g_k'(w - w_k)) asks for no less than the cap: whatever
keeps that row keeps the cap. The program is solved with the rows of the last book until it stays
where it is; each answer keeps the cap and is worth no less than the one before it, since the last
book keeps its own rows (the convex-concave procedure, Yuille and Rangarajan 2003). Those rounds
close in on an optimum slowly: near it, Newton's method on the cap as it is ends them (`polish`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.conditions import Smooth
from perptui.optimization.program.polish import polished
from perptui.optimization.program.soft import violation_of
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution, largest_excess
from perptui.risk.arrays import CORRELATION_OFF, LimitArrays

Solve = Callable[[ProgramInputs], Solution]

NAME = "market_correlation"
SIDES = (f"{NAME}_up", f"{NAME}_down")
ROUNDS_MAX = 30
UNSETTLED = "the cap on the correlation with the market leads from book to book without end"
WORSE = 1e-12
"""Of the objective: what rounding may take."""
MOVED = 1e-6
"""Change of any weight from which a book counts as another."""
ALONE = 1e-6
"""Variance beside the market over that with it, below which a book is the market itself."""
CONVEX = 0.9
"""Share of the objective's own curvature that may be taken off."""
FEW = 5
"""Contracts up to which every start is tried: each costs a search."""
EXCESS_MAX = 1e-12
"""Weight units beyond the cap that are rounding."""


def without_correlation(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with no cap on the correlation."""
    limits = replace(inputs.limits, market_correlation_max=CORRELATION_OFF)
    return replace(inputs, limits=limits)


def excess_of(limits: LimitArrays, weights: FloatArray) -> float:
    """Return |m'w| - rho·s(w), weight units."""
    risk = float(np.linalg.norm(limits.root @ weights + limits.root_offset))
    return abs(_with_market(limits, weights)) - limits.market_correlation_max * risk


def _with_market(limits: LimitArrays, weights: FloatArray) -> float:
    """Return the covariance with the market over its deviation, weight units."""
    return float(limits.market @ weights) + limits.market_offset


def solve_with_correlation(inputs: ProgramInputs, solve_program: Solve) -> Solution:
    """Return the best book found that keeps the cap, or why there is none.

    `prices["market_correlation"]` is d objective / d (rho·s), per weight unit, and
    `market_gradient` the gradient of |m'w| - rho·s at the answer.

    Parameters
    ----------
    solve_program : callable
        Solves inputs without the cap; linear limits stand in their rows.
    """
    limits = inputs.limits
    if not limits.caps_correlation:
        return solve_program(inputs)
    free = without_correlation(inputs)
    plain = solve_program(free)
    if plain.status != "optimal":
        return plain
    if excess_of(limits, plain.exact) <= EXCESS_MAX:
        return _accepted(plain, inputs, np.zeros((2, len(inputs.before))))
    found, best = _best(inputs, free, solve_program, plain)
    if best is None and found.status == "infeasible":
        for start in keeping_correlation(inputs, solve_program, plain.exact):
            one = _settled(inputs, free, solve_program, start)
            better = best is None or _better(inputs, one.exact, best.exact)
            found, best = one, one if one.status == "optimal" and better else best
    return best or found


def _best(
    inputs: ProgramInputs, free: ProgramInputs, solve_program: Solve, plain: Solution
) -> tuple[Solution, Solution | None]:
    """Return the last answer of the rounds from each start, and the best optimum among them.

    The optimum without the cap, with as much of the market taken off as the cap asks, may lead to
    another optimum than none at all does, where the rows ask for a book without the market. The
    book before the trade, hedged, is worth a search where it is better than either. Of a few
    contracts that is asked of it in any case, and of the optimum without the cap as it is: what
    one of them is long or short decides there which optimum a start leads to.
    """
    best: Solution | None = None
    found = plain
    none = np.zeros(len(inputs.before))
    held = _hedged(inputs, inputs.before)
    few = len(inputs.before) <= FEW
    for start in (_hedged(inputs, plain.exact), none, held, plain.exact if few else None):
        if start is None:
            continue
        if start is held and not few and best and not _better(inputs, start, best.exact):
            continue
        found = _settled(inputs, free, solve_program, start)
        better = best is None or _better(inputs, found.exact, best.exact)
        best = found if found.status == "optimal" and better else best
    return found, best


def _better(inputs: ProgramInputs, one: FloatArray, other: FloatArray) -> bool:
    return float(inputs.objective(one)) > float(inputs.objective(other))


def _hedged(inputs: ProgramInputs, book: FloatArray) -> FloatArray | None:
    """Return a book with as much of the market taken off as the cap asks; None of one alone."""
    limits, covariance = inputs.limits, inputs.limited_covariance
    with_market = _with_market(limits, book)
    beside = float(book @ covariance @ book) - with_market**2
    if beside <= ALONE * with_market**2:
        return None
    hedge = np.linalg.lstsq(covariance, limits.market, rcond=None)[0]
    rho = limits.market_correlation_max
    most = rho * (beside / (1.0 - rho**2)) ** 0.5
    return np.asarray(book - (with_market - np.clip(with_market, -most, most)) * hedge)


def _settled(
    inputs: ProgramInputs, free: ProgramInputs, solve_program: Solve, weights: FloatArray
) -> Solution:
    """Return where the program with the rows of its own answer stays.

    On the way the curvature of s counts too, in the objective, at the cap's last price: nearly
    Newton's method. The rows are safe whatever the objective is; the answer is of the true one.
    "failed" where the rounds come to no end.
    """
    price = 0.0
    found = Solution.without_answer("failed", inputs, UNSETTLED)
    for turn in range(ROUNDS_MAX):
        tangent = Tangent.at(inputs.limits, weights)
        asked = tangent.bounding(free)
        price = price if tangent.risk > 0.0 else 0.0
        found = solve_program(tangent.curving(asked, weights, price) if price else asked)
        if price and found.status != "optimal":
            price, found = 0.0, solve_program(asked)
        if found.status != "optimal":
            break
        exact = _exact(found, inputs) if turn else None
        if exact is not None:
            return exact
        moved = float(np.abs(found.exact - weights).max())
        if moved <= MOVED:
            answer = solve_program(asked) if price else found
            if answer.status == "optimal":
                return _accepted(answer, inputs, tangent.rows)
            break
        price = float(sum(found.prices[side].sum() for side in SIDES))
        weights = found.exact
    if turn == 0 and found.status != "optimal":
        return found
    return Solution.without_answer("failed", inputs, UNSETTLED)


def keeping_correlation(
    inputs: ProgramInputs, solve_program: Solve, plain: FloatArray
) -> Iterator[FloatArray]:
    """Yield books with the most room below the cap that keep every other limit.

    None where no book found keeps the cap. The tangent at a book that keeps every limit leaves that
    book at least: it is a place to start from where others leave none.

    Parameters
    ----------
    plain : (N,) array
        The best book without the cap.
    """
    free, limits = without_correlation(inputs), inputs.limits
    none = np.zeros(len(plain))
    for start in (none, plain, inputs.before):
        best, least = None, MOVED
        weights, over = start, np.inf
        for turn in range(ROUNDS_MAX):
            found = solve_program(Tangent.at(limits, weights).least_beyond(free))
            if found.status != "optimal":
                break
            weights, last, over = found.exact, over, excess_of(limits, found.exact)
            if over < least:
                best, least = weights, over
            gain = last - over
            # Steps shrink: as many of this one as are left would not end it.
            if gain <= MOVED or over - (ROUNDS_MAX - turn) * gain > 0.0:
                break
        if best is not None:
            yield best


def _exact(found: Solution, inputs: ProgramInputs) -> Solution | None:
    """Return the optimum near a round's answer, which keeps the cap; None where none is proved.

    It is none of the true objective unless it is worth as much as that answer.
    """
    near = _accepted(found, inputs, np.zeros((2, len(inputs.before))))
    exact = polished(inputs, replace(near, polished=False))
    if not exact.polished or exact.residual > RESIDUAL_MAX:
        return None
    if float(inputs.objective(exact.exact)) < float(inputs.objective(found.exact)) - WORSE:
        return None
    gradient = Smooth.of(inputs).alike(exact.exact)[1]
    return replace(exact, market_gradient=gradient)


@dataclass(frozen=True, eq=False)
class Tangent:
    """s(w) = |F w| about one book.

    Attributes
    ----------
    rows, room : (2, N), (2,) arrays
        The two rows a'w <= b of the cap with s linear.
    risk, slope : float, (N,) array
        s and its gradient.
    cap : float
        rho.
    """

    rows: FloatArray
    room: FloatArray
    risk: float
    slope: FloatArray
    cap: float

    @classmethod
    def at(cls, limits: LimitArrays, weights: FloatArray) -> Tangent:
        """Return the tangent at a book; that at no book is zero."""
        spread = limits.root @ weights + limits.root_offset
        risk = float(np.linalg.norm(spread))
        slope = limits.root.T @ spread / risk if risk > 0.0 else np.zeros(len(weights))
        cap = limits.market_correlation_max
        rows = np.array([limits.market, -limits.market]) - cap * slope
        room = np.full(2, cap * (risk - float(slope @ weights)))
        room = room + limits.market_offset * np.array([-1.0, 1.0])
        return cls(rows, room, risk, slope, cap)

    def curving(self, inputs: ProgramInputs, weights: FloatArray, price: float) -> ProgramInputs:
        """Return the inputs with price·rho·½(w - w_k)'H(w - w_k) to gain, H = (Sigma - gg')/s.

        No more of it than leaves the objective concave.
        """
        share = min(price * self.cap / self.risk, CONVEX * inputs.risk_aversion)
        curvature = share * (inputs.limited_covariance - np.outer(self.slope, self.slope))
        return replace(
            inputs,
            covariance=inputs.covariance - curvature / inputs.risk_aversion,
            expected_return=inputs.expected_return - curvature @ weights,
            factors=None,
            specific=None,
        )

    def least_beyond(self, inputs: ProgramInputs) -> ProgramInputs:
        """Return the program of the book least beyond the cap, or with the most room below it.

        Both rows share one slack, which begins where no book may be: all of them are beyond.
        """
        limits = inputs.limits
        far = float(np.abs(limits.market).max())
        return violation_of(
            replace(
                inputs,
                limits=replace(
                    limits,
                    rows=np.vstack([limits.rows, self.rows]),
                    row_max=np.concatenate([limits.row_max, self.room - far]),
                    row_names=(*limits.row_names, NAME, NAME),
                ),
            ),
            (NAME,),
        )

    def bounding(self, inputs: ProgramInputs) -> ProgramInputs:
        """Return the inputs with the two rows among their linear limits."""
        limits, prices = inputs.limits, inputs.soft_prices
        if NAME in prices:
            prices = {**prices, **dict.fromkeys(SIDES, prices[NAME])}
        return replace(
            inputs,
            soft_prices=prices,
            limits=replace(
                limits,
                rows=np.vstack([limits.rows, self.rows]),
                row_max=np.concatenate([limits.row_max, self.room]),
                row_names=(*limits.row_names, *SIDES),
            ),
        )


def _accepted(found: Solution, inputs: ProgramInputs, rows: FloatArray) -> Solution:
    paid, given = (
        np.array([float(of.get(side, np.zeros(1)).sum()) for side in SIDES])
        for of in (found.prices, found.slacks)
    )
    prices = {name: value for name, value in found.prices.items() if name not in SIDES}
    slacks = {name: value for name, value in found.slacks.items() if name not in SIDES}
    prices[NAME] = paid.sum(keepdims=True)
    if NAME in inputs.soft_prices:
        slacks[NAME] = given.sum(keepdims=True)
    return replace(
        found,
        prices=prices,
        slacks=slacks,
        residual=largest_excess(found.weights, inputs),
        market_gradient=paid @ rows / max(float(paid.sum()), 1e-300),
    )
