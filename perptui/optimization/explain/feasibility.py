"""Whether a book keeps a choice of limits, and how far one of them must give for it.

Phase 1 of method §6 as a cone program of its own, small enough to be asked a dozen times within one
what-if; a search pauses after each of its solves. CVaR enters by rows that lie below it, kept from
question to question, until a book keeps it by number or no book keeps those (`tail_search`). The
cap on the correlation with the market is not convex; it enters by its safe linearisation (method
§6, correlation cap), repeated from the book found last, so that a conflict in which it takes part
is one as far as that search sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.cone import ConeProgram, Widening, sides_of, volatility_cone
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.explain.limit_rows import (
    CORRELATION,
    CVAR,
    DEFINED,
    VOLATILITY,
    Key,
    Layout,
    Rows,
    definitions,
    limit_rows,
)
from perptui.optimization.explain.tail_bounds import TailRows
from perptui.optimization.explain.tail_search import Cone, TailSearch
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.search import Search
from perptui.risk.arrays import LimitArrays, plain_risk

PRICED = 1e-6
"""Share of the largest price above which a limit takes part in a conflict."""
SCALE_MIN = 0.05
"""Least effect of a unit of weight that is reckoned with: the solver sees no finer."""
ROUNDS = 60
"""Most solves of one question."""
NEARLY = 5e-6
"""Change of an amount, relative, that is none."""
FAR = 1e3
"""Widening, weight units, that is farther than any limit gives."""
ROOM = -1.0
"""Most room that is looked for, weight units: more says nothing new."""
LEVEL = 4.0
"""How much more a limit counts than one of the next lower priority."""
LEAST_TRADE = 1e-4
"""Cost of a unit of trade where violations are least: it decides between those that are equal."""


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
        self._tail = TailRows(limits, self._layout)
        keys = [*dict.fromkeys(self._rows.keys), VOLATILITY]
        if limits.has_tail:
            keys.append(CVAR)
        if limits.caps_correlation:
            keys.append(CORRELATION)
        soft = {*inputs.soft_prices, *(name for level in inputs.soft_levels for name in level)}
        self.keys = tuple(key for key in keys if key[0] not in soft)
        self._scale = _scales(inputs, self._rows)

    def moved(self, inputs: ProgramInputs) -> Feasibility:
        """Return the same of other inputs: what is known of CVaR stays where scenarios do."""
        other = Feasibility(inputs)
        other._tail = self._tail.under(inputs.limits, other._layout)
        return other

    def conflict(self, kept: Set[Key], give: Set[Key] | None = None) -> Search[Found]:
        """Return the least common excess over the limits `kept`; above `TOLERANCE` they clash.

        Every limit is measured by the weight that moves it by as much.

        Parameters
        ----------
        give : set of Key, optional
            Those of `kept` that may be exceeded; without it all.

        Raises
        ------
        OptimizationError
            When the solver gives no answer to trust.
        """
        scales = {key: self._scale[key] for key in (kept if give is None else give)}
        wider = Widening.common(scales, ROOM, None)
        if CORRELATION not in kept:
            found = yield from self._kept_tail(kept, wider, None)
        else:
            found = yield from self._kept_tail(kept - {CORRELATION}, wider, None)
            clear = found.amount > TOLERANCE or self._alike(found.weights) <= TOLERANCE
            if found.status == "solved" and not clear:
                starts = (found.weights, *(yield from self.least_alike(kept)))
                found = yield from self._descended(kept, wider, starts)
        if found.status != "solved":
            raise OptimizationError("expected an answer of phase 1, was none; scale the estimates")
        return found

    def clash(self, kept: Set[Key]) -> Search[bool]:
        """Return whether no book keeps all of `kept`."""
        found = yield from self.conflict(kept)
        return found.amount > TOLERANCE

    def widened(
        self,
        give: Mapping[Key, float],
        most: float | None,
        stops: Mapping[Key, float] | None = None,
    ) -> Search[Found]:
        """Return the least t with which a book exists when each limit of `give` is wider by give·t.

        Parameters
        ----------
        most : float, optional
            Largest t; none is tried beyond it.
        stops : mapping of Key to float, optional
            Largest widening of single limits, weight units.

        Returns
        -------
        Found
            "infeasible" where no t will do.
        """
        # In weight units, whatever the setting's: a solver sees no millions of dollars.
        unit = max(give.values())
        gives = {key: units / unit for key, units in give.items()}
        ends = None if most is None else most * unit
        found = yield from self._widened(gives, Widening.common(gives, 0.0, ends, stops))
        return replace(found, amount=found.amount / unit)

    def _widened(self, give: Mapping[Key, float], widening: Widening) -> Search[Found]:
        whole = frozenset(self.keys)
        if CORRELATION not in whole:
            found = yield from self._kept_tail(whole, widening, None)
            if found.status == "infeasible" or found.amount < FAR:
                return found
        # A solver that sees no end tells less than the rest of the limits by themselves.
        free = yield from self.conflict(whole - set(give))
        if free.amount > TOLERANCE:
            return Found("infeasible")
        if CORRELATION not in whole:
            return found
        starts = (free.weights, *(yield from self.least_alike(whole - set(give))))
        return (yield from self._descended(whole, widening, starts))

    def least_violation(self, most: Mapping[Key, float]) -> Search[Found]:
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
        found = yield from self._kept_tail(frozenset(self.keys), Widening.each(costs, most), turned)
        self._trace[trade] = 0.0
        return found

    def less_alike(self, kept: Set[Key], weights: FloatArray, cap: float) -> Search[Found]:
        """Return the book least beyond a cap on correlation linearised at `weights`.

        All of `kept` holds; the amount is below zero where it is less alike than `cap`.
        """
        turned = self._turned(weights, cap)
        widening = Widening.common({CORRELATION: 1.0}, ROOM, None)
        return (yield from self._kept_tail(kept | {CORRELATION}, widening, turned))

    def least_alike(self, kept: Set[Key]) -> Search[tuple[FloatArray, ...]]:
        """Return the book that keeps `kept` with the least covariance with the market, if any."""
        found = yield from self.less_alike(kept, self.inputs.before, 0.0)
        return (found.weights,) if found.status == "solved" else ()

    def _descended(
        self, kept: Set[Key], widening: Widening, starts: Sequence[FloatArray]
    ) -> Search[Found]:
        """Return the least amount found, the correlation's cap linearised from book to book."""
        best, asks = Found("infeasible"), widening.low[0] < 0.0
        for start in starts:
            found = Found("solved", weights=start)
            for turn in range(ROUNDS):
                turned = self._turned(found.weights, self.inputs.limits.market_correlation_max)
                after = yield from self._kept_tail(kept, widening, turned)
                gain = found.amount - after.amount
                least = max(TOLERANCE, NEARLY * abs(after.amount))
                if after.status != "solved" or (bool(turn) and gain < least):
                    break
                found = after
                best = min(best, found, key=lambda one: one.amount)
                if not asks:
                    continue
                if best.amount <= TOLERANCE:
                    return best
                # Steps shrink: as many of this one as are left would not end it.
                if found.amount - (ROUNDS - turn) * gain > TOLERANCE:
                    break
        return best

    def _kept_tail(self, kept: Set[Key], widening: Widening, turned: Rows | None) -> Search[Found]:
        """Return the cheapest widening, its book within the CVaR cap on all scenarios."""

        def solve(shape: Cone | None) -> Found:
            return self._solve(kept, widening, turned, shape)

        if CVAR in kept:
            return (yield from TailSearch(self.inputs.limits, self._tail, widening, solve).found())
        found = solve(None)
        yield
        return found

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
        self, kept: Set[Key], widening: Widening, turned: Rows | None, shape: Cone | None = None
    ) -> Found:
        """Return where the widening is cheapest with which the rows of `kept` can be kept.

        Parameters
        ----------
        shape : tuple, optional
            A cone in CVaR's place.
        """
        known = self._tail.cuts if shape else self._tail.rows
        tail = known if CVAR in kept else []
        rows = Rows.joined([self._rows, *tail, *([turned] if turned else [])])
        equal, below = sides_of(rows, {*kept, DEFINED}, widening.give)
        program = ConeProgram(self._layout.columns + (0 if shape else self._tail.columns), widening)
        program.equal(rows.matrix.chosen(equal), rows.bound[equal])
        program.below(*self._definitions, [None] * len(self._definitions[1]))
        program.below(
            rows.matrix.chosen(below), rows.bound[below], [rows.keys[index] for index in below]
        )
        stopped = [at for at in below if rows.keys[at] in widening.stops]
        ends = [rows.bound[at] + widening.stops[rows.keys[at]] for at in stopped]
        program.below(rows.matrix.chosen(stopped), np.array(ends), [None] * len(ends))
        if VOLATILITY in kept:
            program.cone(*self._cone, VOLATILITY)
        if shape is not None:
            program.cone(*shape, CVAR)
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
    sizes = rows.matrix.largest()
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
