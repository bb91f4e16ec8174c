"""Several sets of prices may prove the same optimum: how far each price may go (method §6, Duals).

With ties (two limits that say the same there) the objective has one slope where a limit is relaxed
and another where it is tightened: the least and the largest of its price over all the sets that
satisfy the optimality conditions (Rockafellar 1970, Convex Analysis, theorem 28.3 and §29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.optimization.explain.ledger import conditions_at, priced, terms_of
from perptui.optimization.explain.slopes import Slopes
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.active import APART, RISK, Key, limit_row
from perptui.optimization.program.kinks import Features
from perptui.optimization.program.solution import Solution
from perptui.risk.arrays import cheap_excess

MET = 1e-9
"""Room, weight units, at which a limit is met."""
RANK = 1e-9
"""Singular value, relative to the largest, below which gradients say the same."""


def price_ranges(
    inputs: ProgramInputs, solution: Solution, slopes: Slopes
) -> dict[Key, tuple[float, float]]:
    """Return the least and largest price of each limit that has ties, by name and place.

    Per weight unit, as `Solution.prices`. CVaR and the correlation with the market are left out,
    and so are bounds.
    """
    keys = _met(inputs, solution)
    if len(keys) < 2 or _apart(inputs, solution, slopes, keys):
        return {}
    system = _System.of(inputs, solution, slopes, keys)
    ways = system.ways()
    if not len(ways):
        return {}
    tied = [at for at, key in enumerate(keys) if np.abs(ways[:, at]).max() > RANK]
    return {keys[at]: system.extent(ways, at) for at in tied}


def _met(inputs: ProgramInputs, solution: Solution) -> tuple[Key, ...]:
    """Return the limits that the optimum stands at, whether they have a price or not."""
    excess = cheap_excess(solution.exact[None, :], inputs.before, inputs.limits)
    return tuple(
        (name, place)
        for name, rows in excess.items()
        if name not in APART and name not in inputs.soft_prices
        for place, value in enumerate(rows[0].tolist())
        if value >= -MET
    )


def _apart(
    inputs: ProgramInputs, solution: Solution, slopes: Slopes, keys: tuple[Key, ...]
) -> bool:
    """Return whether positions that are held and traded alone tell the limits apart."""
    weights = solution.exact
    held = np.flatnonzero((weights != 0.0) & (weights != inputs.before))
    gradients = [_gradient(inputs, solution, slopes, key, slopes.features)[held] for key in keys]
    left, right = Features.of(inputs).slopes(weights)
    smooth = (left == right).all(axis=0)[held]
    return len(_silent(np.array(gradients)[:, smooth])) == 0


def _silent(gradients: FloatArray) -> FloatArray:
    """Return the changes of prices (d, m) that weights with these gradients do not feel."""
    values, vectors = np.linalg.eigh(gradients @ gradients.T)
    return np.asarray(vectors[:, values <= RANK * max(float(values[-1]), RANK)].T)


@dataclass(frozen=True, eq=False)
class _System:
    """The optimality conditions as they depend on the prices of m limits that are met.

    Attributes
    ----------
    prices : (m,) array
    free : (m, n) array
        Gradients in the weights at no kink or bound: changes of prices must leave their sum.
    rows, room : (k, m), (k,) arrays
        rows @ (change of prices) <= room: prices stay at least 0, subgradients in their intervals.
    """

    prices: FloatArray
    free: FloatArray
    rows: FloatArray
    room: FloatArray

    @classmethod
    def of(
        cls, inputs: ProgramInputs, solution: Solution, slopes: Slopes, keys: tuple[Key, ...]
    ) -> _System:
        """Return the system of an optimum."""
        paid = priced(solution.prices)
        prices = np.array([paid.get(key, 0.0) for key in keys])
        conditions, costs = conditions_at(inputs, solution, slopes)
        left, right = conditions.features.slopes(solution.exact)
        used = (costs * slopes.features).sum(axis=0)
        bounds = terms_of(inputs, solution, slopes).bounds != 0.0
        at_upper = (solution.exact >= conditions.upper) | bounds
        at_lower = (solution.exact <= conditions.lower) | bounds
        up = np.where(at_upper, np.inf, (costs * right).sum(axis=0) - used)
        down = np.where(at_lower, np.inf, used - (costs * left).sum(axis=0))
        pinned = (up > 0.0) | (down > 0.0)
        gradients = {
            name: np.array([_gradient(inputs, solution, slopes, key, side) for key in keys])
            for name, side in (("left", left), ("right", right), ("used", slopes.features))
        }
        shape = (len(keys), len(solution.exact))
        parts = {name: rows.reshape(shape) for name, rows in gradients.items()}
        rises, falls = pinned & np.isfinite(up), pinned & np.isfinite(down)
        rows = np.vstack(
            [-np.eye(len(keys)), -parts["right"][:, rises].T, parts["left"][:, falls].T]
        )
        room = np.concatenate([prices, up[rises], down[falls]])
        return cls(prices, parts["used"][:, ~pinned], rows, np.maximum(room, 0.0))

    def ways(self) -> FloatArray:
        """Return the changes of prices (d, m) that the free weights do not feel, orthonormal."""
        return _silent(self.free)

    def extent(self, ways: FloatArray, at: int) -> tuple[float, float]:
        """Return the least and largest price of one limit."""
        rows = self.rows @ ways.T
        if len(ways) == 1:
            ends = [step * ways[0, at] for step in _along(rows[:, 0], self.room)]
        else:
            ends = [side * _furthest(side * ways[:, at], rows, self.room) for side in (-1.0, 1.0)]
        price = float(self.prices[at])
        return max(price + float(min(ends)), 0.0), price + float(max(ends))


def _along(rows: FloatArray, room: FloatArray) -> tuple[float, float]:
    """Return the least and largest t with rows·t <= room."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = room / rows
    return (
        float(np.max(reach[rows < 0.0], initial=-np.inf)),
        float(np.min(reach[rows > 0.0], initial=np.inf)),
    )


def _furthest(way: FloatArray, rows: FloatArray, room: FloatArray) -> float:
    """Return max way't subject to rows t <= room."""
    from scipy.optimize import linprog

    found = linprog(-way, A_ub=rows, b_ub=room, bounds=(None, None))
    return -float(found.fun) if found.status == 0 else np.inf


def _gradient(
    inputs: ProgramInputs, solution: Solution, slopes: Slopes, key: Key, features: FloatArray
) -> FloatArray:
    if key == RISK:
        return slopes.deviation
    return limit_row(inputs.limits, key, solution.exact).gradient(features)
