"""What a solve returns: weights, duals in the desk's own terms, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import cheap_excess, limit_excess

DECIMALS = 9
"""Weights are kept to this many decimals, so that the last bits of a solve decide nothing."""
RESIDUAL_MAX = 1e-6
"""Largest violation of any limit, weight units, that an optimum may have."""


def _none() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Solution:
    """Answer of the program.

    Attributes
    ----------
    status : str
        "optimal", "infeasible" or "failed"; only "optimal" carries weights to use.
    weights : (N,) array
        Rounded to 1e-9; the weights before the trade where there is no answer.
    residual : float
        Largest limit violation, weight units.
    prices : mapping of str to (k,) array
        d objective / d limit of each limit, named and shaped as `limit_excess`: the objective's
        gain, fraction of equity over the horizon, per weight unit of relaxation; at least 0.
    exact : (N,) array
        The solver's weights, not rounded; polished where that succeeded (`polish`).
    size_slope, trade_slope : (N,) arrays
        The subgradients of |w| and |z| that the optimum stands on, in [-1, 1].
    bound_price : (N,) array
        Signed dual of the bounds: d objective / d upper bound, less that of the lower one.
    tier_slope : (Q+1, N) array
        d MM_i / d|w_i| as it stands in the margin limit and in each of the Q stressed ones.
    doubt, tail_gradient : (N,) arrays
        Gradients of the worst-case mean k|W w| and of CVaR that the optimum stands on, where it
        was polished; empty else.
    net_slope : (C,) array
        The subgradient of each coin's |net|, in [-1, 1]; empty where it was not polished.
    market_gradient : (N,) array
        Gradient of |m'w| - rho·s(w), the cap on the correlation with the market; empty where there
        is none.
    polished : bool
        Whether the optimum is exact: proved by its optimality conditions, to rounding.
    slacks : mapping of str to (k,) array
        By how much each soft limit is exceeded, weight units.
    solver : str
        "PIQP" or "CLARABEL"; "" where none was asked.
    iterations : int
        Of the solver's last attempt.
    seconds : float
        In the solver and around it, compilation left out.
    """

    status: str
    weights: FloatArray
    residual: float = 0.0
    detail: str = ""
    prices: Mapping[str, FloatArray] = field(default_factory=dict)
    exact: FloatArray = field(default_factory=_none)
    size_slope: FloatArray = field(default_factory=_none)
    trade_slope: FloatArray = field(default_factory=_none)
    bound_price: FloatArray = field(default_factory=_none)
    tier_slope: FloatArray = field(default_factory=_none)
    doubt: FloatArray = field(default_factory=_none)
    tail_gradient: FloatArray = field(default_factory=_none)
    net_slope: FloatArray = field(default_factory=_none)
    market_gradient: FloatArray = field(default_factory=_none)
    polished: bool = False
    slacks: Mapping[str, FloatArray] = field(default_factory=dict)
    solver: str = ""
    iterations: int = 0
    seconds: float = 0.0

    @classmethod
    def without_answer(
        cls, status: str, inputs: ProgramInputs, detail: str = "", residual: float = 0.0
    ) -> Self:
        """Return "infeasible" or "failed": the book stays as it was."""
        return cls(status, inputs.before, residual, detail, exact=inputs.before)

    def timed(self, seconds: float) -> Self:
        """Return the same with the time it took."""
        return replace(self, seconds=seconds)


def without_last_bits(prices: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return prices to `DECIMALS`; most are 0 and stay themselves."""
    return {
        name: np.round(price, DECIMALS) if np.count_nonzero(price) else price
        for name, price in prices.items()
    }


def largest_excess(weights: FloatArray, inputs: ProgramInputs) -> float:
    """Return by how much the worst hard limit is exceeded, weight units, at least 0."""
    return _largest(limit_excess(weights[None, :], inputs.before, inputs.limits), inputs)


def stated_excess(weights: FloatArray, inputs: ProgramInputs, *, volatility: bool) -> float:
    """Return the same of the limits that one convex program states, with or without that of risk.

    CVaR and the correlation with the market are none of those.
    """
    parts = cheap_excess(weights[None, :], inputs.before, inputs.limits)
    parts.pop("market_correlation", None)
    if not volatility:
        parts.pop("volatility")
    return _largest(parts, inputs)


def _largest(parts: Mapping[str, FloatArray], inputs: ProgramInputs) -> float:
    soft = {name for name, price in inputs.soft_prices.items() if price > 0.0}
    hard = [part.ravel() for name, part in parts.items() if name not in soft]
    return float(np.concatenate(hard).max(initial=0.0)) if hard else 0.0
