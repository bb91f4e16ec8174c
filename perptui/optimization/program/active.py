"""What is taken to bind at an optimum, and the gradients of limits there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.kinks import MARGIN, SIZE, TRADE, BoolArray
from perptui.risk.arrays import LimitArrays
from perptui.risk.tail import tail_count

IntArray = npt.NDArray[np.intp]
Key = tuple[str, int]
"""A limit by its name and place in `limit_excess`."""

OWN = frozenset({"participation", "standalone_risk"})
"""Limits on one contract alone: they act as bounds of its weight."""
RISK: Key = ("volatility", 0)
SHORTFALL: Key = ("cvar", 0)
NET = "coin_net"
CORRELATION: Key = ("market_correlation", 0)
"""It is no convex limit: linear rows stand for it in a program that is to be convex."""
APART = OWN | {CORRELATION[0]}
"""Limits that say nothing about kinks: bounds, and one that has none."""
CURVED = frozenset({RISK, CORRELATION})
"""Limits whose gradients change with the book, by more than the sides of kinks."""
CROWD = 64
"""More scenarios than this at one loss are no tie but a wrong guess."""


@dataclass(frozen=True, eq=False)
class LimitRow:
    """One limit a'w + sum_i c_i·feature_i(w_i) <= bound that is a sum over contracts.

    Attributes
    ----------
    linear : (N,) array
        a, for the book's present signs.
    feature : int
        Row of the features (`kinks`) that c belongs to.
    by_feature : (N,) array
        c, at least 0.
    """

    linear: FloatArray
    feature: int
    by_feature: FloatArray

    def gradient(self, slopes: FloatArray) -> FloatArray:
        """Return d limit / d w, (N,), at slopes (F, N) of the features."""
        return np.asarray(self.linear + self.by_feature * slopes[self.feature])

    def change(self, weights: FloatArray, values: FloatArray) -> float:
        """Return by how much the limit's value changes with changes of weights and features."""
        return float(self.linear @ weights + self.by_feature @ values[self.feature])


def limit_row(limits: LimitArrays, key: Key, weights: FloatArray) -> LimitRow:
    """Return the row of a limit that is a sum over contracts.

    Parameters
    ----------
    key : (str, int)
        Neither `OWN`, `RISK`, `SHORTFALL` nor `CORRELATION`.
    weights : (N,) array
        For the side of an absolute value to stand on.

    Raises
    ------
    KeyError
        When there is no such limit.
    """
    name, place = key
    nothing = np.zeros(limits.coin.shape[1])
    if name in limits.row_names:
        rows = [row for row, one in enumerate(limits.row_names) if one == name]
        return LimitRow(limits.rows[rows[place]], SIZE, nothing)
    if name.startswith("stress_"):
        scenario = limits.stress_names.index(name.removeprefix("stress_"))
        inside = limits.account[place]
        pull = -inside * limits.stress[scenario]
        return LimitRow(pull, MARGIN + 1 + scenario, (1.0 + limits.cushion) * inside)
    if name == NET:
        side = 1.0 if limits.coin[place] @ weights >= 0.0 else -1.0
        return LimitRow(side * limits.coin[place], SIZE, nothing)
    if name in {"net_min", "net_max"}:
        return LimitRow((1.0 if name == "net_max" else -1.0) * limits.counted, SIZE, nothing)
    return LimitRow(nothing, *_by_feature(limits, name, place))


def _by_feature(limits: LimitArrays, name: str, place: int) -> tuple[int, FloatArray]:
    if name == "turnover":
        return TRADE, 0.5 * limits.counted
    if name == "margin_ratio":
        return MARGIN, limits.account[place]
    by_size = {
        "gross": lambda: limits.counted,
        "coin_gross": lambda: limits.coin[place],
        "venue_gross": lambda: limits.account[place],
        "cluster": lambda: limits.cluster[place],
        "free_collateral": lambda: limits.account[place] * limits.initial_rate,
        "stablecoin": lambda: limits.initial_rate,
    }
    return SIZE, by_size[name]()


@dataclass(frozen=True, eq=False)
class Tail:
    """Which scenarios make up a book's CVaR.

    Attributes
    ----------
    worst : (W,) integer array
        Scenarios wholly in the tail, each at its full share of it.
    tied : (T,) integer array
        Scenarios at the VaR, T at least 1: they share what the tail has left.
    turned : (T-1,) array
        Prices that move shares from each tied scenario to the first, which has the rest.
    """

    worst: IntArray
    tied: IntArray
    turned: FloatArray

    @classmethod
    def of(cls, limits: LimitArrays, weights: FloatArray, near: float) -> Tail:
        """Return the tail of a book; losses within `near` of the VaR count as tied."""
        losses = -(limits.scenarios @ weights + limits.scenario_offset)
        whole, part = tail_count(len(losses), limits.tail)
        rank = min(whole if part > 0.0 else whole - 1, len(losses) - 1)
        edge = -np.partition(-losses, rank)[rank]
        tied = np.flatnonzero(np.abs(losses - edge) <= near)
        return cls(np.flatnonzero(losses > edge + near), tied, np.zeros(len(tied) - 1))

    def full(self, limits: LimitArrays) -> float:
        """Return the share of the tail of one scenario that is wholly in it."""
        return 1.0 / sum(tail_count(len(limits.scenarios), limits.tail))

    def shares(self, limits: LimitArrays, price: float) -> tuple[float, FloatArray]:
        """Return the share of each worst and (T,) of each tied scenario, at a price of CVaR."""
        full = self.full(limits)
        even = (1.0 - full * len(self.worst)) / len(self.tied)
        turned = self.turned / price if price > 0.0 else np.zeros_like(self.turned)
        return full, even + np.concatenate([[turned.sum()], -turned])

    def gradient(self, limits: LimitArrays) -> FloatArray:
        """Return d CVaR / d w, (N,), with what is left shared evenly among the tied."""
        return -self._even(limits, limits.scenarios)

    def value(self, limits: LimitArrays, weights: FloatArray) -> float:
        """Return what the CVaR of a book is if these scenarios are its tail; never more."""
        offset = self._even(limits, limits.scenario_offset[:, None])
        return float(self.gradient(limits) @ weights - offset[0])

    def _even(self, limits: LimitArrays, values: FloatArray) -> FloatArray:
        full = self.full(limits)
        even = (1.0 - full * len(self.worst)) / len(self.tied)
        worst, tied = values[self.worst].sum(axis=0), values[self.tied].sum(axis=0)
        return np.asarray(full * worst + even * tied)

    def ties(self, limits: LimitArrays) -> FloatArray:
        """Return the rows (T-1, N) whose product with w must stay as the ties need it."""
        return np.asarray(limits.scenarios[self.tied[1:]] - limits.scenarios[self.tied[0]])

    def gaps(self, limits: LimitArrays, weights: FloatArray) -> FloatArray:
        """Return by how much the tied returns differ from the first, (T-1,)."""
        returns = limits.scenarios[self.tied] @ weights + limits.scenario_offset[self.tied]
        return np.asarray(returns[1:] - returns[0])


@dataclass(frozen=True, eq=False)
class Active:
    """A guess of what binds, and Newton's start or end.

    Attributes
    ----------
    weights : (N,) array
    pinned : (N,) array of bool
        Which weights stand at a kink or a bound.
    slopes : (F, N) array
        Of the features, on the side on which each free weight is.
    prices : dict of (str, int) to float
        Of the limits that bind.
    exceeded : frozenset of (str, int)
        Soft ones among them that give way: their price is what exceeding costs, no unknown.
    tail : Tail or None
        Where CVaR binds.
    """

    weights: FloatArray
    pinned: BoolArray
    slopes: FloatArray
    prices: dict[Key, float]
    exceeded: frozenset[Key] = frozenset()
    tail: Tail | None = None
