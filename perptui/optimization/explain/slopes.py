"""Slopes of everything in the program, at its optimum or along a trade: what ledgers multiply by.

At the optimum they are the derivatives (where there are many, the ones that the duals stand on);
along a trade they are secants, so that slope times trade is the whole change of each term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.optimization.costs import trade_costs
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.program.active import (
    CORRELATION,
    RISK,
    SHORTFALL,
    Key,
    Tail,
    limit_row,
)
from perptui.optimization.program.kinks import SIZE, TRADE, Features
from perptui.optimization.program.solution import Solution
from perptui.risk.arrays import LimitArrays

TIED = 1e-9
"""Losses this close to the VaR share the tail evenly, where no polished answer says how."""
TINY = float(np.finfo(float).tiny)
MOVED = 1e-9
"""Least change of a weight with a secant of its own."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes in each weight; N contracts, F features (`program.kinks`), C coins.

    Attributes
    ----------
    features : (F, N) array
        Of |w|, |z| and each margin.
    impact : (N,) array
        Of |z|^{3/2}.
    risk : (N,) array
        Of ½ (w'Sigma w + rho_S (sigma'|w|)²).
    deviation : (N,) array
        Of s_wc, the robust risk.
    doubt : (N,) array
        Of the worst-case mean k|W w|.
    tail : (N,) array
        Of CVaR where it has a price; else 0, and nothing is charged by it.
    correlation : (N,) array
        Of |market'w| - rho_max·s(w).
    coin_net : (C,) array
        Of |net| of each coin, in its net.
    """

    features: FloatArray
    impact: FloatArray
    risk: FloatArray
    deviation: FloatArray
    doubt: FloatArray
    tail: FloatArray
    correlation: FloatArray
    coin_net: FloatArray

    @property
    def size(self) -> FloatArray:
        """Of |w|."""
        return np.asarray(self.features[SIZE])

    @property
    def trade(self) -> FloatArray:
        """Of |z|."""
        return np.asarray(self.features[TRADE])

    def of_limit(self, limits: LimitArrays, key: Key, weights: FloatArray) -> FloatArray:
        """Return the slope of one limit's value in each weight, (N,); `key` as in `active`."""
        if key == RISK:
            return self.deviation
        if key == SHORTFALL:
            return self.tail
        name, place = key
        if key == CORRELATION:
            return self.correlation
        if name == "coin_net":
            return np.asarray(self.coin_net[place] * limits.coin[place])
        if name in {"participation", "standalone_risk"}:
            own = np.zeros(self.features.shape[1])
            own[place] = self.features[TRADE if name == "participation" else SIZE][place]
            return own
        return limit_row(limits, key, weights).gradient(self.features)


_TANGENTS: Kept[Slopes] = Kept(1)


def at_optimum(inputs: ProgramInputs, solution: Solution) -> Slopes:
    """Return the slopes at a solution's exact weights, with its subgradients.

    Kept: ledger, prices and reasons of one answer stand on the same.
    """
    return _TANGENTS.of((inputs, solution), (), lambda: _at_optimum(inputs, solution))


def _at_optimum(inputs: ProgramInputs, solution: Solution) -> Slopes:
    weights, limits = solution.exact, inputs.limits
    features = _features(inputs, solution)
    spread, alone = inputs.limited_covariance @ weights, float(limits.sigma @ np.abs(weights))
    robust = limits.covariance_uncertainty * alone * limits.sigma * features[SIZE]
    offset = limits.root.T @ limits.root_offset
    plain = _length(limits.root @ weights + limits.root_offset)
    risk = float(np.hypot(plain, np.sqrt(limits.covariance_uncertainty) * alone))
    trade = weights - inputs.before
    net = limits.coin @ weights
    return Slopes(
        features=features,
        impact=1.5 * np.sqrt(np.abs(trade)) * np.sign(trade),
        risk=_charged(inputs, weights, features),
        deviation=(spread + offset + robust) / max(risk, TINY),
        doubt=_doubt(inputs, solution),
        tail=_tail(limits, solution),
        correlation=_correlation(limits, solution, (spread + offset) / max(plain, TINY)),
        coin_net=solution.net_slope if len(solution.net_slope) else np.where(net < 0.0, -1.0, 1.0),
    )


def along_trade(inputs: ProgramInputs, solution: Solution) -> Slopes:
    """Return the secants of the trade from the book before to a solution's weights.

    CVaR, the worst-case mean and the correlation with the market keep their slopes at the optimum.
    """
    end, before, limits = solution.exact, inputs.before, inputs.limits
    tangent = at_optimum(inputs, solution)
    trade = end - before
    moved = np.abs(trade) > MOVED
    run = np.where(moved, trade, 1.0)
    values = Features.of(inputs)
    rise = values.values(end) - values.values(before)
    features = np.where(moved, rise / run, tangent.features)
    no_cost = np.zeros_like(trade)
    impact = trade_costs(trade, no_cost, np.ones_like(trade)) / run
    spread = inputs.limited_covariance @ (0.5 * (before + end))
    alone = 0.5 * float(limits.sigma @ (np.abs(before) + np.abs(end)))
    robust = limits.covariance_uncertainty * alone * limits.sigma * features[SIZE]
    offset = limits.root.T @ limits.root_offset
    both = sum(_robust(limits, book) for book in (before, end))
    deviation = 2.0 * (spread + offset + robust) / both if both > 0.0 else tangent.deviation
    then, now = limits.coin @ before, limits.coin @ end
    net_moved = np.abs(now - then) > MOVED
    net = (np.abs(now) - np.abs(then)) / np.where(net_moved, now - then, 1.0)
    return Slopes(
        features=features,
        impact=np.where(moved, impact, tangent.impact),
        risk=np.asarray(
            0.5 * (_charged(inputs, before, features) + _charged(inputs, end, features))
        ),
        deviation=np.asarray(deviation),
        doubt=tangent.doubt,
        tail=tangent.tail,
        correlation=tangent.correlation,
        coin_net=np.where(net_moved, net, tangent.coin_net),
    )


def _features(inputs: ProgramInputs, solution: Solution) -> FloatArray:
    """Return the features' slopes; the solution's subgradients where it has them."""
    left, right = Features.of(inputs).slopes(solution.exact)
    if not len(solution.size_slope):
        return np.asarray(0.5 * (left + right))
    margins = solution.tier_slope * solution.size_slope
    return np.concatenate([[solution.size_slope, solution.trade_slope], margins])


def _charged(inputs: ProgramInputs, weights: FloatArray, features: FloatArray) -> FloatArray:
    """Return the slope of ½ (w'Sigma w + rho_S (sigma'|w|)²), as the objective has it, (N,)."""
    alone = inputs.charged_uncertainty * float(inputs.charged_sigma @ np.abs(weights))
    return np.asarray(inputs.covariance @ weights + alone * inputs.charged_sigma * features[SIZE])


def _doubt(inputs: ProgramInputs, solution: Solution) -> FloatArray:
    if len(solution.doubt) or inputs.omega_root is None or inputs.ellipsoid == 0.0:
        return solution.doubt if len(solution.doubt) else np.zeros_like(solution.exact)
    turned = inputs.omega_root @ solution.exact
    length = max(_length(turned), TINY)
    return np.asarray(inputs.ellipsoid * (inputs.omega_root.T @ turned) / length)


def _correlation(limits: LimitArrays, solution: Solution, plain: FloatArray) -> FloatArray:
    """Return the slope of |m'w| - rho·s: that of its rows where the optimum stands on them."""
    if len(solution.market_gradient):
        return solution.market_gradient
    side = -1.0 if float(limits.market @ solution.exact) < 0.0 else 1.0
    return np.asarray(side * limits.market - limits.market_correlation_max * plain)


def _tail(limits: LimitArrays, solution: Solution) -> FloatArray:
    if not limits.has_tail or not np.any(solution.prices.get(SHORTFALL[0], 0.0)):
        return np.zeros_like(solution.exact)
    if len(solution.tail_gradient) and solution.tail_gradient.any():
        return solution.tail_gradient
    return Tail.of(limits, solution.exact, TIED).gradient(limits)


def _robust(limits: LimitArrays, weights: FloatArray) -> float:
    alone = float(limits.sigma @ np.abs(weights))
    plain = _length(limits.root @ weights + limits.root_offset)
    return float(np.hypot(plain, np.sqrt(limits.covariance_uncertainty) * alone))


def _length(vector: FloatArray) -> float:
    return float(np.linalg.norm(vector))
