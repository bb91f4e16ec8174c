"""What proves an optimum: its weights with the duals that balance every one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.active import Active
from perptui.optimization.program.conditions import Conditions
from perptui.optimization.program.kinks import MARGIN, SIZE, TRADE

ROUNDING = 1e-12
"""Relative."""


@dataclass(frozen=True, eq=False)
class Polished:
    """The exact optimum and the duals that prove it.

    Attributes
    ----------
    weights, prices, size_slope, trade_slope, tier_slope, bound_price
        As `Solution` has them.
    doubt, tail_gradient : (N,) arrays
        Gradients of the worst-case mean k|W w| (at no book, the subgradient that the optimum
        stands on), and of CVaR at the shares of its tied scenarios; 0 where they play no part.
    net_slope : (C,) array
        The subgradient of each coin's |net|.
    slacks : mapping of str to (k,) array
        By how much each soft limit is exceeded.
    changes : int
        How often the active set was changed.
    """

    weights: FloatArray
    prices: dict[str, FloatArray]
    size_slope: FloatArray
    trade_slope: FloatArray
    tier_slope: FloatArray
    bound_price: FloatArray
    doubt: FloatArray
    tail_gradient: FloatArray
    net_slope: FloatArray
    slacks: dict[str, FloatArray]
    changes: int = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """What there is to see of an answer: excess of each limit, one-sided slopes and costs."""

    excess: dict[str, FloatArray]
    sides: tuple[FloatArray, FloatArray]
    costs: FloatArray


def proof(
    at: Conditions, found: Active, seen: Seen, force: FloatArray, doubt: FloatArray
) -> Polished:
    """Return the optimum with its duals; where several subgradients balance, all move alike."""
    weights, (left, right) = found.weights, seen.sides
    least, most = (seen.costs * left).sum(axis=0), (seen.costs * right).sum(axis=0)
    width = most - least
    share = np.clip((force - least) / np.where(width > 0.0, width, 1.0), 0.0, 1.0)
    slopes = left + share * (right - left)
    standing = (weights >= at.upper) | (weights <= at.lower)
    bound = np.where(standing, force - np.clip(force, least, most), 0.0)
    prices = _prices(at, found, seen)
    held = at.inputs.lower < at.inputs.upper
    own = (
        ("participation", _at(np.abs(weights - at.inputs.before), at.limits.trade_max)),
        ("standalone_risk", _at(np.abs(weights), at.limits.size_max)),
    )
    for name, reached in own:
        prices[name] = np.where(reached & held, np.abs(bound), 0.0)
        bound = np.where(reached & held, 0.0, bound)
    sign = np.where(weights < 0.0, -1.0, 1.0)
    by_size = np.where(weights == 0.0, right[MARGIN:], slopes[MARGIN:] * sign)
    return Polished(
        weights,
        prices,
        size_slope=slopes[SIZE],
        trade_slope=slopes[TRADE],
        tier_slope=by_size,
        bound_price=bound,
        doubt=doubt,
        tail_gradient=at.tail_gradient(found),
        net_slope=_net_slope(at, found),
        slacks=_slacks(at, found, seen),
    )


def _at(value: FloatArray, most: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where a value stands at its limit: a difference of weights may be a last bit short."""
    return np.asarray(value >= most * (1.0 - ROUNDING))


def _net_slope(at: Conditions, found: Active) -> FloatArray:
    """Return the side of each coin's |net|: by its price's sign where it may not be any."""
    slope = np.where(at.limits.coin @ found.weights < 0.0, -1.0, 1.0)
    for name, coin in sorted(at.level):
        slope[coin] = -1.0 if found.prices.get((name, coin), 0.0) < 0.0 else 1.0
    return slope


def _slacks(at: Conditions, found: Active, seen: Seen) -> dict[str, FloatArray]:
    slacks = {
        name: np.zeros_like(rows)
        for name, rows in seen.excess.items()
        if name in at.inputs.soft_prices
    }
    for name, place in found.exceeded:
        slacks[name][place] = max(float(seen.excess[name][place]), 0.0)
    return slacks


def _prices(at: Conditions, found: Active, seen: Seen) -> dict[str, FloatArray]:
    prices = {name: np.zeros(len(rows)) for name, rows in seen.excess.items()}
    for (name, place), price in found.prices.items():
        level = (name, place) in at.level
        prices[name][place] = abs(price) if level else max(price, 0.0)
    return prices
