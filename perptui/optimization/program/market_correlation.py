"""The cap on the book's correlation with the market, by safe linear rows (method §6, form ii).

|m'w| <= rho·s(w), with m = Sigma b/s_b and s(w) = |F w|, is not convex. s is, so its tangent at any
book lies below it, and |m'w| <= rho·(s_k + g_k'(w - w_k)) asks for no less than the cap: whatever
keeps that row keeps the cap. The program is solved with the rows of the last book until it stays
where it is; each answer keeps the cap and is worth no less than the one before it, since the last
book keeps its own rows (the convex-concave procedure, Yuille and Rangarajan 2003).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solution import Solution, largest_excess
from perptui.risk.arrays import CORRELATION_OFF, LimitArrays

Solve = Callable[[ProgramInputs], Solution]

NAME = "market_correlation"
SIDES = (f"{NAME}_up", f"{NAME}_down")
ROUNDS_MAX = 12
MOVED = 1e-6
"""Change of any weight from which a book counts as another."""
ALONE = 1e-6
"""Variance beside the market over that with it, below which a book is the market itself."""
CONVEX = 0.9
"""Share of the objective's own curvature that may be taken off."""
EXCESS_MAX = 1e-12
"""Weight units beyond the cap that are rounding."""


def without_correlation(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with no cap on the correlation."""
    limits = replace(inputs.limits, market_correlation_max=CORRELATION_OFF)
    return replace(inputs, limits=limits)


def excess_of(limits: LimitArrays, weights: FloatArray) -> float:
    """Return |m'w| - rho·s(w), weight units."""
    risk = float(np.linalg.norm(limits.root @ weights + limits.root_offset))
    return abs(float(limits.market @ weights)) - limits.market_correlation_max * risk


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
    best: Solution | None = None
    found = plain
    for start in _starts(inputs, plain.exact):
        if best and float(free.objective(start)) <= float(free.objective(best.exact)):
            continue
        found = _settled(inputs, free, solve_program, start)
        if found.status == "optimal" and (
            best is None or float(free.objective(found.exact)) > float(free.objective(best.exact))
        ):
            best = found
    return best or found


def _starts(inputs: ProgramInputs, plain: FloatArray) -> Iterator[FloatArray]:
    """Yield the books to begin at: each is worth a search where it is better than what was found.

    The optimum without the cap and the book before the trade, both with as much of the market taken
    off as the cap asks; and none at all, where the rows ask for a book without the market.
    """
    limits = inputs.limits
    covariance = inputs.limited_covariance
    hedge = np.linalg.lstsq(covariance, limits.market, rcond=None)[0]
    for book in (plain, inputs.before):
        with_market = float(limits.market @ book)
        beside = float(book @ covariance @ book) - with_market**2
        rho = limits.market_correlation_max
        if beside > ALONE * with_market**2:
            most = rho * (beside / (1.0 - rho**2)) ** 0.5
            yield book - (with_market - np.clip(with_market, -most, most)) * hedge
    yield np.zeros(len(inputs.before))


def _settled(
    inputs: ProgramInputs, free: ProgramInputs, solve_program: Solve, weights: FloatArray
) -> Solution:
    """Return where the program with the rows of its own answer stays.

    On the way the curvature of s counts too, in the objective, at the cap's last price: nearly
    Newton's method. The rows are safe whatever the objective is; the answer is of the true one.
    """
    best: Solution | None = None
    price = 0.0
    for _ in range(ROUNDS_MAX):
        tangent = Tangent.at(inputs.limits, weights)
        asked = tangent.bounding(free)
        price = price if tangent.risk > 0.0 else 0.0
        found = solve_program(tangent.curving(asked, weights, price) if price else asked)
        if found.status != "optimal":
            return best or found
        moved = float(np.abs(found.exact - weights).max())
        if not price or moved <= MOVED:
            answer = solve_program(asked) if price else found
            best = _accepted(answer, inputs, tangent.rows) if answer.status == "optimal" else best
        if moved <= MOVED:
            break
        price = float(sum(found.prices[side].sum() for side in SIDES))
        weights = found.exact
    return best or found


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
        return cls(rows, room, risk, slope, cap)

    def curving(self, inputs: ProgramInputs, weights: FloatArray, price: float) -> ProgramInputs:
        """Return the inputs with price·rho·½(w - w_k)'H(w - w_k) to gain, H = (Sigma - gg')/s.

        No more of it than leaves the objective concave.
        """
        share = min(price * self.cap / self.risk, CONVEX * inputs.risk_aversion)
        curvature = share * (inputs.covariance - np.outer(self.slope, self.slope))
        return replace(
            inputs,
            covariance=inputs.covariance - curvature / inputs.risk_aversion,
            expected_return=inputs.expected_return - curvature @ weights,
            factors=None,
            specific=None,
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
