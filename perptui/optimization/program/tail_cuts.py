"""The CVaR cap: the program solved with ever truer splits of the scenarios, until the cap holds.

The Rockafellar-Uryasev rows of all S scenarios make a program of thousands of rows; of these the
optimum needs only the scenarios about its own value at risk, since the worse ones count whole and
the better ones not at all (`tail_rows`). The search therefore

1. solves without the cap, and is done where it holds;
2. comes near the optimum with a few programs of one linear row, the cap's tangent at the last
   book, and with the curvature that CVaR has in an elliptical market added to the risk aversion;
3. counts the scenarios nearest to the book's value at risk one by one, keeps the tangents, and
   makes the answer exact by its active set (`polish`); or does so again about that answer, until
   none exceeds the cap.

Every program of step 3 is a relaxation, so that an optimum which keeps the cap is the optimum.
There are finitely many tangents, each found at most once (Kelley 1960), so it ends. Nothing is
kept between two calls: the same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.neighbour import moved, proved, with_smooth_impact
from perptui.optimization.program.polish import polished
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution
from perptui.optimization.tail_bound import surely_keep_tail
from perptui.optimization.tail_rows import TailRows
from perptui.risk.arrays import LimitArrays
from perptui.risk.tail import tail_count

IntArray = npt.NDArray[np.intp]
Solve = Callable[[ProgramInputs], Solution]

CUT = "cvar_cut"
"""Name of the tangents among the linear rows."""
EXCESS_MAX = 1e-9
"""CVaR beyond its cap, fraction of equity, that is rounding."""
APPROACHES = 2
STEP = 1e-3
"""Relative step of a numeric derivative."""
LEAST_RISK, GROWTH_MAX = 1e-9, 10.0
"""Nothing is divided by less risk, and no curvature is taken to grow by more."""
WHOLE_MAX = 500
"""Up to so many scenarios all are counted one by one at once: rounds would cost more."""
BANDS = (158, 288)
"""Scenarios about the value at risk that are counted one by one at first, and later on, beside
earlier ones: what one shape holds, and the next."""
SMOOTH_MAX, UNPROVED_MAX = 12, 5
"""Rounds with smooth impact, and how many of their answers may be no optimum's neighbours."""
FAR_BEYOND = 0.99
"""Share of a book's CVaR that is beyond its cap for certain, were that book made more exact."""
FAR = 4
"""Earlier ones within so many bands stay."""
WIDEN_AFTER = 1
"""Splits found untrue from which on the band doubles each time."""
BAND_MAX = 1200
"""No band is wider: a program of all scenarios takes longer than some more rounds."""
ROUNDS_MAX = 60
SECOND_ORDER = "impact is counted to second order about this book"
"""Of an answer that is taken because no solver ended with impact as it is."""
SOLVER_ERROR = 1e-7
"""CVaR beyond its cap up to which the split may be true, and the solver not exact enough."""


@dataclass(frozen=True, eq=False)
class TailPoint:
    """CVaR at one book, and its tangent: CVaR(v) >= gradient'v + constant for every v.

    Attributes
    ----------
    value : float
        A positive loss, fraction of equity.
    gradient : (N,) array
        -R'q with q the worst distribution, its fractional atom at the value at risk.
    constant : float
        What other holdings lose under q.
    """

    value: float
    gradient: FloatArray
    constant: float

    @classmethod
    def at(cls, limits: LimitArrays, weights: FloatArray) -> TailPoint:
        """Return the point of a book; S is at least 1."""
        losses = -(limits.scenarios @ weights + limits.scenario_offset)
        whole, part = tail_count(len(losses), limits.tail)
        place = min(whole, len(losses) - 1)
        order = np.argpartition(-losses, place)
        worst, last = order[:whole], order[place]
        count = whole + part
        gradient = -(limits.scenarios[worst].sum(axis=0) + part * limits.scenarios[last]) / count
        offset = limits.scenario_offset
        constant = -float(offset[worst].sum() + part * offset[last]) / count
        value = float(losses[worst].sum() + part * losses[last]) / count
        return cls(value, gradient, constant)


def without_tail(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with no scenarios, for a program that does not know the cap."""
    return replace(inputs, limits=inputs.limits.without_tail) if inputs.limits.has_tail else inputs


def solve_with_tail(inputs: ProgramInputs, solve_program: Solve = solve_roughly) -> Solution:
    """Return the optimum that keeps the CVaR cap, or why there is none.

    It is polished where it can be. `prices["cvar"]` is d objective / d cap, and `tail_gradient`
    d CVaR / d w at the optimum's worst distribution; together they are the cap's part of the
    optimality conditions.

    Parameters
    ----------
    solve_program : callable
        Solves inputs without scenarios, as exactly as its solver does; further linear limits stand
        in their rows.
    """
    bare = without_tail(inputs)

    def may_be(weights: FloatArray) -> bool:
        if surely_keep_tail(weights[None, :], inputs.limits):
            return True
        return inputs.limits.cvar_max >= FAR_BEYOND * TailPoint.at(inputs.limits, weights).value

    has_tail = inputs.limits.has_tail
    plain = (proved(bare, may_be) if has_tail else proved(bare)) or solve_program(bare)
    if not has_tail or plain.status != "optimal":
        return plain if plain.polished else polished(inputs, plain)
    return _Search(inputs, bare, solve_program).run(plain)


def moved_with_tail(inputs: ProgramInputs, near: Solution) -> Solution | None:
    """Return the exact optimum from that of a neighbouring program, as `neighbour.moved` does.

    The scenarios are looked at only where the optimum without them may exceed the cap.
    """
    found = moved(without_tail(inputs), near)
    if not inputs.limits.has_tail:
        return found
    if found is None or not surely_keep_tail(found.exact[None, :], inputs.limits):
        return moved(inputs, near)
    return replace(found, prices={**found.prices, "cvar": np.zeros(1)})


def solve_with_tail_near(inputs: ProgramInputs, weights: FloatArray) -> Solution:
    """Return the optimum under a CVaR cap that binds, the rounds begun at a book near it."""
    book = np.clip(weights, inputs.lower, inputs.upper)
    point = TailPoint.at(inputs.limits, book)
    return _Search(inputs, without_tail(inputs), solve_roughly).near(book, point)


def _total(slack: FloatArray | None) -> float:
    return 0.0 if slack is None else float(slack.sum())


class _Search:
    """The rounds for one set of inputs."""

    def __init__(self, inputs: ProgramInputs, bare: ProgramInputs, solve_program: Solve) -> None:
        self._inputs, self._bare, self._solve = inputs, bare, solve_program
        self._limits = inputs.limits
        self._cap = inputs.limits.cvar_max
        self._count = inputs.limits.tail * len(inputs.limits.scenarios)

    def run(self, plain: Solution) -> Solution:
        """Return the optimum, given that without the cap."""
        if surely_keep_tail(plain.exact[None, :], self._limits):
            return self._loose(replace(plain, prices={**plain.prices, "cvar": np.zeros(1)}))
        point = self._point(plain.exact)
        if point.value <= self._cap:
            return self._loose(self._accepted(plain, np.zeros(1), point))
        if len(self._limits.scenarios) <= WHOLE_MAX:
            return self._rounds(plain.exact, [point])
        return self._rounds(*self._approach(plain.exact, point))

    def near(self, weights: FloatArray, point: TailPoint) -> Solution:
        """Return the optimum by rounds begun at a book near it, given its point."""
        return self._rounds(weights, [point])

    def _loose(self, found: Solution) -> Solution:
        """Return the optimum where the cap does not bind; what was proved without it stays so."""
        if not found.polished:
            return polished(self._inputs, found)
        soft = {"cvar": np.zeros(1)} if "cvar" in self._inputs.soft_prices else {}
        return replace(found, slacks={**found.slacks, **soft})

    def _point(self, weights: FloatArray) -> TailPoint:
        return TailPoint.at(self._limits, weights)

    def _approach(
        self, weights: FloatArray, point: TailPoint
    ) -> tuple[FloatArray, list[TailPoint]]:
        """Return a book near the optimum, at worst the given one, and tangents on the way."""
        points, price = [point], self._first_price(weights, point)
        for _ in range(APPROACHES):
            near = with_smooth_impact(self._bare, weights)
            near = self._curved(self._with_tangent(near, point), weights, point, price)
            found = self._solve(near)
            if found.status != "optimal":
                break
            price = float(found.prices[CUT].sum())
            weights = found.exact
            point = self._point(weights)
            points.append(point)
        return weights, points

    def _first_price(self, weights: FloatArray, point: TailPoint) -> float:
        """Return what CVaR is worth to the uncapped optimum made smaller until it keeps the cap."""
        share = max(self._cap, 0.0) / point.value
        longer, shorter = self._bare.objective(
            np.outer([share * (1.0 + STEP), share * (1.0 - STEP)], weights)
        )
        worth = float(longer - shorter) / (2.0 * STEP * max(self._cap, LEAST_RISK))
        return min(max(worth, 0.0), self._bare.soft_prices.get("cvar", np.inf))

    def _with_tangent(self, inputs: ProgramInputs, point: TailPoint) -> ProgramInputs:
        """Return the inputs with one tangent as a linear row, soft where the cap is."""
        limits, prices = inputs.limits, inputs.soft_prices
        if "cvar" in prices:
            prices = {**prices, CUT: prices["cvar"]}
        return replace(
            inputs,
            soft_prices=prices,
            limits=replace(
                limits,
                rows=np.vstack([limits.rows, point.gradient]),
                row_max=np.append(limits.row_max, self._cap - point.constant),
                row_names=(*limits.row_names, CUT),
            ),
        )

    def _curved(
        self, inputs: ProgramInputs, weights: FloatArray, point: TailPoint, price: float
    ) -> ProgramInputs:
        """Return the inputs with price·½(w - w_k)'H(w - w_k) taken off the objective.

        In an elliptical market CVaR = k·s(w) - mu'w, whose curvature is H = k/s·(Sigma - gg') with
        g = Sigma w/s. It falls as a book grows, so that at the cap it is larger by CVaR/cap.
        """
        sigma = self._inputs.covariance
        slope = sigma @ weights
        risk = max(float(weights @ slope), LEAST_RISK**2) ** 0.5
        level = (point.value + float(inputs.expected_return @ weights)) / risk
        growth = min(point.value / max(self._cap, LEAST_RISK), GROWTH_MAX)
        scale = price * max(level, 0.0) / risk * growth
        curvature = scale * (sigma - np.outer(slope, slope) / risk**2)
        return replace(
            inputs,
            covariance=inputs.covariance + curvature / inputs.risk_aversion,
            expected_return=inputs.expected_return + curvature @ weights,
            factors=None,
            specific=None,
        )

    def _rounds(self, weights: FloatArray, points: list[TailPoint]) -> Solution:
        """Return the optimum by relaxations, each truer about the last one's book.

        The first are of programs with smooth impact, which are solved in a fraction of the time:
        such an answer is a neighbour of the optimum, which polishing has to find and prove.
        """
        cap, near = self._cap, np.zeros(0, dtype=np.intp)
        curved, unproved = bool((self._bare.impact > 0.0).any()), 0
        nearly: Solution | None = None
        untrue = 0
        for turn in range(ROUNDS_MAX):
            smooth = curved and turn < SMOOTH_MAX and unproved < UNPROVED_MAX
            near, surely = self._split(weights, near, untrue)
            asked = with_smooth_impact(self._bare, weights) if smooth else self._bare
            rows = self._rows(surely, near, points, cap)
            found = self._solve(replace(asked, tail_rows=rows))
            if found.status != "optimal":
                if smooth:
                    unproved = UNPROVED_MAX
                    continue
                return nearly if nearly and found.status == "failed" else found
            weights = found.exact
            point = self._point(weights)
            points.append(point)
            beyond = point.value - self._cap - _total(found.slacks.get("cvar"))
            if beyond > SOLVER_ERROR:
                untrue += 1
                continue
            exact = polished(self._inputs, found)
            if exact.polished:
                return exact
            unproved += 1
            if beyond <= EXCESS_MAX:
                nearly = self._accepted(found, found.prices["cvar"], point)
                if not smooth:
                    return nearly
                nearly = replace(nearly, detail=SECOND_ORDER)
            # The split is true of this book: what is left is the solver's own error.
            cap -= 2.0 * max(beyond, 0.0)
        return Solution.without_answer(
            "failed", self._inputs, f"CVaR stays above its cap after {ROUNDS_MAX} rounds"
        )

    def _split(self, weights: FloatArray, near: IntArray, untrue: int) -> tuple[IntArray, IntArray]:
        """Return the scenarios counted one by one next, and those that are surely worse.

        Those that the least change of the last book would bring to its value at risk: a loss less
        that, over the length of the scenario's returns. Of the earlier ones, those not far from it.
        """
        limits = self._limits
        scenarios = len(limits.scenarios)
        if scenarios <= WHOLE_MAX:
            return np.arange(scenarios), np.arange(0)
        band = min(BANDS[min(untrue, 1)] << max(untrue - WIDEN_AFTER, 0), BAND_MAX)
        losses = -(limits.scenarios @ weights + limits.scenario_offset)
        whole, _ = tail_count(scenarios, limits.tail)
        edge = -np.partition(-losses, whole)[whole]
        apart = np.abs(losses - edge) / self._lengths
        first, last = min(band, scenarios - 1), min(max(FAR * BANDS[1], band), scenarios - 1)
        order = np.argpartition(apart, (first, last))
        near = np.union1d(order[:first], np.intersect1d(near, order[:last], assume_unique=True))
        worse = np.flatnonzero(losses > edge)
        return near, np.setdiff1d(worse, near, assume_unique=True)

    @cached_property
    def _lengths(self) -> FloatArray:
        """Return the length of each scenario's returns, (S,), of contracts that may be traded."""
        free = self._inputs.lower < self._inputs.upper
        squares = np.square(self._limits.scenarios[:, free]).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(squares, LEAST_RISK**2)))

    def _rows(
        self, surely: IntArray, near: IntArray, points: list[TailPoint], cap: float
    ) -> TailRows:
        limits, count = self._limits, self._count
        return TailRows(
            near=limits.scenarios[near],
            near_offset=limits.scenario_offset[near],
            whole=limits.scenarios[surely].sum(axis=0) / count,
            whole_offset=float(limits.scenario_offset[surely].sum()) / count,
            whole_share=len(surely) / count,
            tangents=np.array([point.gradient for point in points]),
            constants=np.array([point.constant for point in points]),
            count=count,
            cap=cap,
        )

    def _accepted(self, found: Solution, price: FloatArray, point: TailPoint) -> Solution:
        """Return a solution that keeps the cap, its gradient that of its own worst scenarios."""
        return replace(
            found,
            prices={**found.prices, "cvar": price},
            residual=max(found.residual, self._tail_residual(found.weights, point)),
            tail_gradient=point.gradient,
        )

    def _tail_residual(self, weights: FloatArray, point: TailPoint) -> float:
        """Return by how much CVaR is beyond a hard cap: the other limits are verified already.

        Parameters
        ----------
        weights : (N,) array
            Rounded.
        point : TailPoint
            Of the same before rounding, which moves CVaR by far less than `RESIDUAL_MAX`.
        """
        soft = self._inputs.soft_prices.get("cvar", 0.0) > 0.0
        if soft or point.value <= self._inputs.limits.cvar_max - RESIDUAL_MAX:
            return 0.0
        return max(self._point(weights).value - self._inputs.limits.cvar_max, 0.0)
