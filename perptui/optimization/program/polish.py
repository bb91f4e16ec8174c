"""From an interior-point answer to the exact optimum: its active set, then Newton's method.

An interior-point method stops near the optimum; which contracts stand at a kink (no position, no
trade, a tier's floor), at a bound, and which limits bind is plain from there. With that fixed the
optimality conditions are smooth equations, and a few Newton steps solve them to the last digits.
What the steps contradict (a negative price, a subgradient outside its interval, a limit exceeded)
changes the active set; only an answer without contradiction, which is the optimum since the
program is convex, is taken. Nocedal and Wright 2006, chapters 16 and 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.active import (
    CROWD,
    OWN,
    SHORTFALL,
    Active,
    Key,
    Tail,
)
from perptui.optimization.program.conditions import Conditions
from perptui.optimization.program.kinks import (
    BoolArray,
)
from perptui.optimization.program.newton import EXCESS_MAX, Equations
from perptui.optimization.program.proof import Polished, Seen, proof
from perptui.optimization.program.solution import (
    DECIMALS,
    RESIDUAL_MAX,
    Solution,
    largest_excess,
    without_last_bits,
)

NEAR = (1e-6, 1e-4)
"""A weight this close to a kink or a bound is first taken to stand there; tried in turn."""
BINDS = 100.0
"""A limit with more room than this many times as much does not bind."""
PRICE_SCALE = 1e-2
"""Prices are about this large: a limit binds when its price outweighs its room on this scale."""
TIED, TIED_FOUND = 1e-7, 1e-12
"""Losses this close to the VaR are tied: of an interior-point answer, and of a finished one."""
PRICE_MAX = 1e6
"""A price beyond this, a million times equity a unit, is that of equations without a solution."""
CHANGES_MAX = 24
SLACK = 1e-12
"""By how much a subgradient may miss its interval, or a price its sign."""
MET = 1e-11
"""Room or excess, weight units, of a limit that has a price."""
PUSH = 1e-7
"""How far a weight that leaves a kink starts from it."""


def polished(inputs: ProgramInputs, solution: Solution) -> Solution:
    """Return an optimal solution made exact; the solution as it is where that was not proved.

    It is kept, too, where the exact one breaks a limit that it does not break. Every limit holds to
    rounding on the exact weights, and the objective is no worse. Limits on one
    contract alone are bounds here: where such a one is soft, nothing is proved, nor where rows
    share one slack.
    """
    soft = inputs.soft_prices.keys()
    if solution.status != "optimal" or not len(solution.exact) or OWN & soft:
        return solution
    if any(inputs.limits.row_names.count(name) > 1 for name in soft):
        return solution
    # Last bits of an interior-point answer are not the same from one run to the next.
    start = np.round(solution.exact, DECIMALS) + 0.0
    found = polish(inputs, start, without_last_bits(solution.prices))
    if found is None:
        return solution
    weights = np.round(found.weights, DECIMALS) + 0.0
    residual = largest_excess(weights, inputs)
    if residual > max(solution.residual, RESIDUAL_MAX):
        return solution
    return replace(
        solution,
        weights=weights,
        residual=residual,
        prices={**solution.prices, **found.prices},
        exact=found.weights,
        size_slope=found.size_slope,
        trade_slope=found.trade_slope,
        bound_price=found.bound_price,
        tier_slope=found.tier_slope,
        doubt=found.doubt,
        tail_gradient=found.tail_gradient,
        net_slope=found.net_slope,
        slacks=found.slacks,
        polished=True,
    )


def polish(
    inputs: ProgramInputs, weights: FloatArray, prices: Mapping[str, FloatArray]
) -> Polished | None:
    """Return the exact optimum near an interior-point answer, None where it was not proved.

    Parameters
    ----------
    weights : (N,) array
        Of the answer, not rounded.
    prices : mapping of str to (k,) array
        Of the limits, as `Solution.prices`.
    """
    problem = _Problem(inputs)
    for near in NEAR:
        found = _followed(problem, problem.guess(weights, prices, near))
        if found is not None:
            return found
    return None


def _followed(problem: _Problem, active: Active) -> Polished | None:
    """Return the optimum that a first guess leads to, None where it leads to none."""
    for changes in range(CHANGES_MAX):
        found, solved = problem.newton(active)
        following = problem.following(active, found, solved=solved)
        if isinstance(following, Polished):
            return replace(following, changes=changes)
        if following is None:
            return None
        active = following
    return None


def _netted(prices: Mapping[str, FloatArray], inputs: ProgramInputs) -> Mapping[str, FloatArray]:
    """Return the prices with what opposite limits pay against each other taken off both.

    Where both bind no book lies between them, and a solver's prices of the two grow without end:
    only their difference holds anything.
    """
    limits, netted = inputs.limits, dict(prices)
    rows = {name: limits.rows[place] for place, name in enumerate(limits.row_names)}
    rows |= {"net_min": -limits.counted, "net_max": limits.counted}
    single = [name for name in rows if len(netted.get(name, ())) == 1]
    for one, other in combinations(single, 2):
        both = min(float(netted[one][0]), float(netted[other][0]))
        if both > 0.0 and np.array_equal(rows[one], -rows[other]):
            netted[one], netted[other] = netted[one] - both, netted[other] - both
    return netted


class _Problem:
    """One program: guesses of its active set, and what their answers say about them."""

    def __init__(self, inputs: ProgramInputs) -> None:
        self.at = Conditions(inputs)

    def guess(self, weights: FloatArray, prices: Mapping[str, FloatArray], near: float) -> Active:
        """Return what binds at an interior-point answer, weights being `near` what they are."""
        point, apart = self.at.features.nearest(weights)
        pinned = apart <= near
        start = np.where(pinned, point, weights)
        for bound in (self.at.lower, self.at.upper):
            at_bound = np.abs(weights - bound) <= near
            start, pinned = np.where(at_bound, bound, start), pinned | at_bound
        shut = self.at.lower >= self.at.upper
        start = np.where(shut, self.at.lower, start)
        over = self.at.excess_in_row(start)
        none = np.zeros(len(over))
        prices = _netted(prices, self.at.inputs)
        paid = np.concatenate(
            [prices.get(name, none[: len(rows)]) for name, rows in self.at.excess(start).items()]
        )
        binds = (over >= -BINDS * near) & (paid > PRICE_SCALE * np.maximum(-over, 0.0))
        keys = self.at.keys(start)
        binding = {keys[row]: float(paid[row]) for row in np.flatnonzero(binds).tolist()}
        exceeded = {key for key in binding if binding[key] >= self._most(key) * (1.0 - 1e-6)}
        binding |= {key: self._most(key) for key in exceeded}
        tail = Tail.of(self.at.limits, start, TIED) if SHORTFALL in binding else None
        return Active(
            start,
            pinned | shut,
            self.at.features.slopes(start)[0],
            binding,
            frozenset(exceeded),
            tail,
        )

    def _most(self, key: Key) -> float:
        """Return the largest price of a limit: a soft one gives way at its own."""
        return float(self.at.inputs.soft_prices.get(key[0], np.inf))

    def newton(self, active: Active) -> tuple[Active, bool]:
        """Return where Newton's method ends on a guess, and whether it solved its equations."""
        if active.tail is not None and len(active.tail.tied) > CROWD:
            return active, False
        rows = self.at.rows(active)
        excess = self.at.excess(active.weights)
        net = self.at.limits.coin @ active.weights
        level = {(name, coin): float(net[coin]) for name, coin in self.at.level}
        return Equations(self.at.smooth, active, rows, excess, level).solve()

    def following(self, active: Active, found: Active, *, solved: bool) -> Active | Polished | None:
        """Return the guess that an answer leads to, or the optimum; None: there is no way on."""
        seen = Seen(
            excess=self.at.excess(found.weights),
            sides=self.at.features.slopes(found.weights),
            costs=self.at.costs(found),
        )
        crossed, broken = self._crossed(active, found, seen), self._broken(found)
        if any(part.any() for part in crossed) or broken:
            return self._tightened(active, found, crossed, broken)
        if not solved:
            return self._without_negative(found, seen) if self._within_reason(found) else None
        tail = self._turned(found)
        if tail is not found.tail:
            return replace(found, tail=tail)
        return self._freed(found, seen)

    def _within_reason(self, found: Active) -> bool:
        """Return whether no price is beyond what any limit could be worth."""
        return max(map(abs, found.prices.values()), default=0.0) <= PRICE_MAX

    def _freed(self, found: Active, seen: Seen) -> Active | Polished | None:
        """Return a guess without the pins and limits that hold nothing back, else the optimum.

        None where a limit with a price is not met.
        """
        left, right = seen.sides
        least, most = (seen.costs * left).sum(axis=0), (seen.costs * right).sum(axis=0)
        found = self._levelled(found, least, most)
        force = self.at.force(found)
        doubt = self.at.doubt(found, force, least, most)
        force = force - doubt
        rising = found.pinned & (force > most + SLACK) & (found.weights < self.at.upper)
        falling = found.pinned & (force < least - SLACK) & (found.weights > self.at.lower)
        kept = self._without_negative(found, seen)
        if kept is None and not rising.any() and not falling.any():
            met = (
                abs(seen.excess[name][place]) <= MET
                for name, place in found.prices
                if (name, place) not in found.exceeded
            )
            return proof(self.at, found, seen, force, doubt) if all(met) else None
        slopes = np.where(rising, right, np.where(falling, left, found.slopes))
        moved = found.weights + PUSH * (rising.astype(float) - falling)
        return replace(
            found if kept is None else kept,
            weights=moved,
            pinned=found.pinned & ~rising & ~falling,
            slopes=slopes,
        )

    def _levelled(self, found: Active, least: FloatArray, most: FloatArray) -> Active:
        """Return the guess with the least price of each level coin of which every leg is pinned.

        What its legs are pulled by beyond their kinks is what that price has to hold.
        """
        prices = {**dict.fromkeys(self.at.level, 0.0), **found.prices}
        self.at.rows(replace(found, prices=prices))
        for key in sorted(self.at.level):
            legs = self.at.limits.coin[key[1]] > 0.0
            if not legs.any() or not found.pinned[legs].all():
                continue
            bare = {name: price for name, price in prices.items() if name != key}
            pulled = self.at.force(replace(found, prices=bare))
            low, high = (pulled - most)[legs].max(), (pulled - least)[legs].min()
            prices[key] = float(np.clip(0.0, low, high)) if low <= high else 0.5 * (low + high)
        return replace(found, prices=prices) if self.at.level else found

    def _crossed(
        self, active: Active, found: Active, seen: Seen
    ) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Return which free weights ran across a kink that matters, and across either bound."""
        free = ~found.pinned
        left, right = seen.sides
        differs = (seen.costs != 0.0) & ((left != active.slopes) | (right != active.slopes))
        return (
            free & differs.any(axis=0),
            free & (found.weights < self.at.lower),
            free & (found.weights > self.at.upper),
        )

    def _broken(self, found: Active) -> list[Key]:
        broken = np.flatnonzero(self.at.excess_in_row(found.weights) > EXCESS_MAX).tolist()
        keys = self.at.keys(found.weights) if broken else []
        return [keys[row] for row in broken if keys[row] not in found.prices]

    def _tightened(
        self,
        active: Active,
        found: Active,
        crossed: tuple[BoolArray, BoolArray, BoolArray],
        broken: list[Key],
    ) -> Active:
        """Return a guess with what was crossed pinned and what was broken binding."""
        across, below, above = crossed
        points = self.at.features.points
        start, end = active.weights, found.weights
        between = (points - start) * (points - end) <= 0.0
        apart = np.where(between, np.abs(points - start), np.inf)
        place = apart.argmin(axis=0)
        across = across & np.isfinite(apart.min(axis=0))
        weights = np.where(across, points[place, np.arange(len(start))], end)
        weights = np.where(below & ~across, self.at.lower, weights)
        weights = np.where(above & ~across, self.at.upper, weights)
        prices = {**found.prices, **dict.fromkeys(broken, 0.0)}
        tail = Tail.of(self.at.limits, weights, TIED) if SHORTFALL in broken else found.tail
        return replace(
            found,
            weights=weights,
            pinned=found.pinned | across | below | above,
            prices=prices,
            tail=tail,
        )

    def _without_negative(self, found: Active, seen: Seen) -> Active | None:
        """Return a guess without the limit whose price has the wrong sign most; None: all right.

        A soft limit gives way where its price is beyond its own, and no longer where it holds.
        """
        beyond = {
            key for key, price in found.prices.items() if price > self._most(key) * (1.0 + SLACK)
        } - found.exceeded
        held = {key for key in found.exceeded if seen.excess[key[0]][key[1]] < -EXCESS_MAX}
        if beyond or held:
            prices = found.prices | {key: self._most(key) for key in beyond}
            return replace(found, prices=prices, exceeded=(found.exceeded | beyond) - held)
        signed = (key for key in found.prices if key not in self.at.level)
        worst = min(signed, key=lambda key: found.prices[key], default=None)
        if worst is None or found.prices[worst] >= -SLACK:
            return None
        prices = {key: price for key, price in found.prices.items() if key != worst}
        return replace(found, prices=prices, tail=None if worst == SHORTFALL else found.tail)

    def _turned(self, found: Active) -> Tail | None:
        """Return the tail of the answer where it is another than the guess's, else the guess's."""
        tail = found.tail
        if tail is None:
            return None
        price = found.prices[SHORTFALL]
        full, shares = tail.shares(self.at.limits, price)
        losses = -(self.at.limits.scenarios @ found.weights + self.at.limits.scenario_offset)
        edge = losses[tail.tied[0]]
        others = np.ones(len(losses), dtype=bool)
        others[tail.worst] = others[tail.tied] = False
        inside = tail.worst[losses[tail.worst] >= edge - TIED_FOUND]
        joined = np.flatnonzero(others & (losses > edge + TIED_FOUND))
        slack = SLACK if price <= 0.0 else SLACK / price
        staying = (shares >= -slack) & (shares <= full + slack)
        if len(inside) == len(tail.worst) and not len(joined):
            if staying.all() or price <= 0.0:
                return tail
            # One at a time: without the one furthest out, the others may stay.
            staying = np.arange(len(shares)) != np.argmax(np.abs(shares - 0.5 * full))
        worst = np.concatenate([inside, tail.tied[~staying & (shares > full + slack)]])
        left = np.setdiff1d(tail.worst, inside)
        tied = np.concatenate([tail.tied[staying], joined, left])
        if not len(tied):
            return Tail.of(self.at.limits, found.weights, TIED)
        return Tail(np.sort(worst), np.sort(tied), np.zeros(len(tied) - 1))
