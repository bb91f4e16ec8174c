"""Whether a book keeps a choice of limits, and how far one of them must give for it.

Phase 1 of method §6 as a cone program of its own, small enough to be asked a dozen times within one
what-if. CVaR enters by cuts and then by its worst scenarios, until the book that is found keeps it
by number or no book keeps those: exact both ways. The cap on the correlation with the market is not
convex; it enters by its safe linearisation (method §6, correlation cap), repeated from the book
found last, so that a conflict in which it takes part is one as far as that search sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.cone import ConeProgram, Widening, sides_of, volatility_cone
from perptui.optimization.explain.limit_rows import (
    CORRELATION,
    CVAR,
    VOLATILITY,
    Key,
    Layout,
    Rows,
    definitions,
    limit_rows,
    shortfall_block,
    shortfall_cut,
)
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import LimitArrays, plain_risk
from perptui.risk.tail import shortfall, worst_of

IntArray = npt.NDArray[np.intp]

TOLERANCE = 1e-7
"""Excess of a limit, weight units, that is the solver's rounding."""
PRICED = 1e-6
"""Share of the largest price above which a limit takes part in a conflict."""
SCALE_MIN = 0.05
"""Least effect of a unit of weight that is reckoned with: the solver sees no finer."""
ROUNDS = 60
"""Most solves of one question."""
CUTS = 6
"""Solves with cuts of CVaR before its worst scenarios enter themselves."""
TAILS = 2.0
"""Scenarios that enter, in multiples of those in the tail."""
ROOM = -1.0
"""Most room that is looked for, weight units: more says nothing new."""
LEVEL = 4.0
"""How much more a limit counts than one of the next lower priority."""
LEAST_TRADE = 1e-4
"""Cost of a unit of trade where violations are least: it decides between those that are equal."""


@dataclass(frozen=True, eq=False)
class Found:
    """Answer of one question.

    Attributes
    ----------
    status : str
        "solved", "infeasible" or "failed".
    amount : float
        The scalar by which the chosen limits were widened, at its least.
    weights : (N,) array
        The book there.
    prices : mapping of Key to float
        Fall of `amount` per unit by which each limit is widened; at least 0.
    given : (m,) array
        By how much each of the limits gave way that were asked one by one.
    """

    status: str
    amount: float = float("inf")
    weights: FloatArray = field(default_factory=lambda: np.zeros(0))
    prices: Mapping[Key, float] = field(default_factory=dict)
    given: FloatArray = field(default_factory=lambda: np.zeros(0))


class Feasibility:
    """The limits of one program's inputs, ready to be asked.

    Parameters
    ----------
    inputs : ProgramInputs
        Its soft limits take no part: they give at a price.
    """

    def __init__(self, inputs: ProgramInputs) -> None:
        self.inputs = inputs
        limits = inputs.limits
        self._layout = Layout(limits)
        self._definitions = definitions(inputs, self._layout)
        self._rows = limit_rows(inputs, self._layout)
        self._cone = volatility_cone(inputs, self._layout)
        self._trace = np.zeros(self._layout.columns)
        self._cuts: list[Rows] = []
        keys = [*dict.fromkeys(self._rows.keys), VOLATILITY]
        if limits.has_tail:
            keys.append(CVAR)
        if limits.caps_correlation:
            keys.append(CORRELATION)
        soft = {*inputs.soft_prices, *(name for level in inputs.soft_levels for name in level)}
        self.keys = tuple(key for key in keys if key[0] not in soft)
        self._scale = _scales(inputs, self._rows)

    def conflict(self, kept: Set[Key]) -> Found:
        """Return the least common excess over the limits `kept`; above `TOLERANCE` they clash.

        Every limit is measured by the weight that moves it by as much.

        Raises
        ------
        OptimizationError
            When the solver gives no answer to trust.
        """
        give = {key: self._scale[key] for key in kept}
        if CORRELATION not in kept:
            found = self._convex(kept, give, ROOM, None)
        else:
            found = self._convex(kept - {CORRELATION}, give, ROOM, None)
            clear = found.amount > TOLERANCE or self._alike(found.weights) <= TOLERANCE
            if found.status == "solved" and not clear:
                starts = (found.weights, *self.least_alike(kept))
                found = self._descended(kept, give, ROOM, None, starts)
        if found.status != "solved":
            raise OptimizationError("expected an answer of phase 1, was none; scale the estimates")
        return found

    def clash(self, kept: Set[Key]) -> bool:
        """Return whether no book keeps all of `kept`."""
        return self.conflict(kept).amount > TOLERANCE

    def widened(self, give: Mapping[Key, float], most: float | None) -> Found:
        """Return the least t with which a book exists when each limit of `give` is wider by give·t.

        Parameters
        ----------
        most : float, optional
            Largest t; none is tried beyond it.

        Returns
        -------
        Found
            "infeasible" where no t will do.
        """
        whole = frozenset(self.keys)
        free = self.conflict(whole - set(give))
        if free.amount > TOLERANCE:
            return Found("infeasible")
        if CORRELATION not in whole:
            return self._convex(whole, give, 0.0, most)
        starts = (free.weights, *self.least_alike(whole - set(give)))
        return self._descended(whole, give, 0.0, most, starts)

    def least_violation(self, most: Mapping[Key, float]) -> Found:
        """Return the book that exceeds limits least, those of `most` up to so much, no others.

        Violations count by the weight that makes them, and those of more important limits more
        (method §6, priorities).

        Parameters
        ----------
        most : mapping of Key to float
            Largest excess of each limit that may be exceeded, weight units, positive.
        """
        costs = {key: _importance(key[0]) / self._scale[key] for key in most}
        trade = slice(2 * self._layout.contracts, 3 * self._layout.contracts)
        self._trace[trade] = LEAST_TRADE
        turned = None
        if CORRELATION in self.keys:
            # A correlation is no sum of trades: it may stay where it is, and not rise.
            cap = max(
                self.inputs.limits.market_correlation_max,
                correlation_of(self.inputs.before, self.inputs.limits),
            )
            turned = self._turned(self.inputs.before, cap)
        found = self._kept_tail(frozenset(self.keys), Widening.each(costs, most), turned)
        self._trace[trade] = 0.0
        return found

    def less_alike(self, kept: Set[Key], weights: FloatArray, cap: float) -> Found:
        """Return the book least beyond a cap on correlation linearised at `weights`.

        All of `kept` holds; the amount is below zero where it is less alike than `cap`.
        """
        turned = self._turned(weights, cap)
        return self._convex(kept | {CORRELATION}, {CORRELATION: 1.0}, ROOM, None, turned)

    def least_alike(self, kept: Set[Key]) -> tuple[FloatArray, ...]:
        """Return the book that keeps `kept` with the least covariance with the market, if any."""
        found = self.less_alike(kept, self.inputs.before, 0.0)
        return (found.weights,) if found.status == "solved" else ()

    def _descended(
        self,
        kept: Set[Key],
        give: Mapping[Key, float],
        low: float,
        most: float | None,
        starts: Sequence[FloatArray],
    ) -> Found:
        """Return the least amount found, the correlation's cap linearised from book to book."""
        best = Found("infeasible")
        for start in starts:
            found = Found("solved", weights=start)
            for turn in range(ROUNDS):
                turned = self._turned(found.weights, self.inputs.limits.market_correlation_max)
                after = self._convex(kept, give, low, most, turned)
                stays = bool(turn) and after.amount > found.amount - TOLERANCE
                if after.status != "solved" or stays:
                    break
                found = after
                best = min(best, found, key=lambda one: one.amount)
                if low < 0.0 and best.amount <= TOLERANCE:
                    return best
        return best

    def _convex(
        self,
        kept: Set[Key],
        give: Mapping[Key, float],
        low: float,
        most: float | None,
        turned: Rows | None = None,
    ) -> Found:
        """Return the least amount under limits that are all convex."""
        return self._kept_tail(kept, Widening.common(give, low, most), turned)

    def _kept_tail(self, kept: Set[Key], widening: Widening, turned: Rows | None) -> Found:
        """Return the cheapest widening, its book within the CVaR cap on all scenarios.

        First by cuts, which settle most conflicts; then on the worst scenarios of every book that
        was found, until none has its tail elsewhere. Both lie below CVaR: what clashes with them
        clashes with it.
        """
        limits = self.inputs.limits
        worst: IntArray | None = None
        for turn in range(ROUNDS):
            found = self._solve(kept, widening, turned, worst)
            clear = widening.low[0] < 0.0 and found.amount > TOLERANCE
            if found.status != "solved" or CVAR not in kept or clear:
                return found
            more = widening.give.get(CVAR, 0.0)
            room = more * float(found.given[widening.column[CVAR]]) if more else 0.0
            returns = limits.scenarios @ found.weights + limits.scenario_offset
            if float(shortfall(returns[None, :], limits.tail)[0]) <= (
                limits.cvar_max + max(room, 0.0) + TOLERANCE
            ):
                return found
            if turn < CUTS:
                self._cut(found.weights)
            else:
                near = worst_of(returns, limits.tail, TAILS)
                worst = near if worst is None else np.union1d(worst, near)
        raise OptimizationError(f"expected an answer within {ROUNDS} rounds, was none; widen CVaR")

    def _cut(self, weights: FloatArray) -> None:
        slope, offset = shortfall_cut(weights, self.inputs.limits)
        bound = np.array([self.inputs.limits.cvar_max - offset])
        self._cuts.append(Rows(self._layout.place(w=slope[None, :]), bound, (CVAR,)))

    def _alike(self, weights: FloatArray) -> float:
        """Return by how much the correlation with the market exceeds its cap, weight units."""
        limits = self.inputs.limits
        risk = float(plain_risk(weights[None, :], limits)[0])
        shared = abs(float(limits.market @ weights) + limits.market_offset)
        return shared - limits.market_correlation_max * risk

    def _turned(self, weights: FloatArray, cap: float) -> Rows:
        """Return ±market'w <= cap·s(w) with s linearised at a book: never wider than the cap."""
        limits = self.inputs.limits
        spread = limits.root @ weights + limits.root_offset
        risk = max(float(np.linalg.norm(spread)), TOLERANCE)
        slope = cap * (limits.root.T @ spread) / risk
        offset = limits.market_offset * np.array([-1.0, 1.0])
        bound = offset + cap * float(spread @ limits.root_offset) / risk
        matrix = np.array([limits.market - slope, -limits.market - slope])
        return Rows(self._layout.place(w=matrix), bound, (CORRELATION, CORRELATION))

    def _solve(
        self, kept: Set[Key], widening: Widening, turned: Rows | None, worst: IntArray | None
    ) -> Found:
        """Return where the widening is cheapest with which the rows of `kept` can be kept."""
        rows = Rows.joined([self._rows, *self._cuts, *([turned] if turned else [])])
        equal, below = sides_of(rows, kept, widening.give)
        matrix, bound = rows.matrix, rows.bound
        defined, at_most = self._definitions
        block, extra = (None, 0)
        if worst is not None:
            block, extra = shortfall_block(self.inputs.limits, self._layout, worst)
        program = ConeProgram(self._layout.columns + extra, widening)
        program.equal(matrix[equal], bound[equal])
        program.below(defined, at_most, [None] * len(at_most))
        program.below(matrix[below], bound[below], [rows.keys[index] for index in below])
        if block is not None:
            program.below(block.matrix, block.bound, block.keys)
        if VOLATILITY in kept:
            program.cone(*self._cone, VOLATILITY)
        answer = program.solved(self._trace)
        if isinstance(answer, str):
            return Found(answer)
        weights = answer.point[: self._layout.contracts]
        prices = {key: answer.prices.get(key, 0.0) for key in kept}
        return Found("solved", answer.amount, weights, prices, answer.given)


def correlation_of(weights: FloatArray, limits: LimitArrays) -> float:
    """Return a book's absolute correlation with the market, 0 without risk."""
    risk = float(plain_risk(weights[None, :], limits)[0])
    shared = abs(float(limits.market @ weights) + limits.market_offset)
    return shared / risk if risk > 0.0 else 0.0


def _importance(name: str) -> float:
    """Return how much a weight beyond a limit counts: margin first, then size, then risk."""
    if name.startswith("stress_") or name in {"margin_ratio", "free_collateral"}:
        return LEVEL**3
    if name in {"gross", "venue_gross", "coin_net", "coin_gross", "cluster", "stablecoin"}:
        return LEVEL**2
    return LEVEL if name in {"volatility", "cvar", "standalone_risk"} else 1.0


def _scales(inputs: ProgramInputs, rows: Rows) -> dict[Key, float]:
    """Return by how much one unit of weight, at most, moves each limit."""
    limits = inputs.limits
    sizes = abs(rows.matrix).max(axis=1).toarray().ravel()
    # Maintenance columns hold margins, not weights: by the steepest tier of any contract.
    steepest = float(limits.tier_rates.max())
    of_margin = {
        "margin_ratio": steepest,
        **{
            f"stress_{name}": (1.0 + limits.cushion) * steepest + float(np.abs(moves).max())
            for name, moves in zip(limits.stress_names, limits.stress, strict=True)
        },
    }
    scales = dict.fromkeys((VOLATILITY, CORRELATION), float(limits.sigma.max()))
    scales[CVAR] = float(np.abs(limits.scenarios).max(initial=0.0))
    scales |= {
        key: of_margin.get(key[0], float(size)) for key, size in zip(rows.keys, sizes, strict=True)
    }
    return {key: max(scale, SCALE_MIN) for key, scale in scales.items()}
