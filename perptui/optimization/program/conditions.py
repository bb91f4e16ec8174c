"""The optimality conditions of the program: what pulls at each weight, and what holds it.

At the optimum the smooth part's gradient at each weight lies between what the kinks cost to the
left and to the right; bounds hold the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.active import (
    CORRELATION,
    CURVED,
    NET,
    OWN,
    RISK,
    SHORTFALL,
    Active,
    Key,
    LimitRow,
    limit_row,
)
from perptui.optimization.program.kinks import (
    MARGIN,
    SIZE,
    TRADE,
    Features,
    effective_bounds,
)
from perptui.risk.arrays import limit_excess

RISK_LEAST = 1e-12
"""Nothing is divided by less risk."""


@dataclass(frozen=True, eq=False)
class Smooth:
    """The risk s_wc and the worst-case mean of a program, as functions of its weights.

    Attributes
    ----------
    offset : (N,) array
        F'o: what other holdings' risk o adds to the gradient of ½ s_wc².
    omega : (N, N) array or None
        W'W of the ellipsoid.
    """

    inputs: ProgramInputs
    offset: FloatArray
    offset_squared: float
    omega: FloatArray | None

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Smooth:
        """Return those of a program."""
        limits, root = inputs.limits, inputs.omega_root
        return cls(
            inputs,
            limits.root.T @ limits.root_offset,
            float(limits.root_offset @ limits.root_offset),
            None if root is None or inputs.ellipsoid == 0.0 else root.T @ root,
        )

    def alone(self, weights: FloatArray) -> float:
        """Return sigma'|w| of the risk limit."""
        return float(self.inputs.limits.sigma @ np.abs(weights))

    def charged(self, weights: FloatArray) -> float:
        """Return rho_S·sigma'|w| of the objective."""
        alone = float(self.inputs.charged_sigma @ np.abs(weights))
        return self.inputs.charged_uncertainty * alone

    def risk(self, weights: FloatArray, spread: FloatArray, alone: float) -> float:
        """Return s_wc, given Sigma w of the limit and its sigma'|w|."""
        squared = weights @ spread + 2.0 * self.offset @ weights + self.offset_squared
        return float(np.sqrt(squared + self.inputs.limits.covariance_uncertainty * alone**2))

    def alike(self, weights: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return |m'w| - rho·s(w), its gradient (N,) and its curvature (N, N), not positive."""
        inputs, limits = self.inputs, self.inputs.limits
        sigma, rho = inputs.limited_covariance, limits.market_correlation_max
        shared = float(limits.market @ weights) + limits.market_offset
        spread = sigma @ weights + self.offset
        squared = float(weights @ (spread + self.offset)) + self.offset_squared
        risk = max(max(squared, 0.0) ** 0.5, RISK_LEAST)
        slope, side = spread / risk, -1.0 if shared < 0.0 else 1.0
        gradient = side * limits.market - rho * slope
        return abs(shared) - rho * risk, gradient, -rho / risk * (sigma - np.outer(slope, slope))

    def doubt(self, weights: FloatArray) -> tuple[FloatArray, float] | None:
        """Return the gradient of k|W w| and |W w|; None without an ellipsoid, or at no book."""
        if self.omega is None:
            return None
        turned = self.omega @ weights
        length = float(np.sqrt(max(float(weights @ turned), 0.0)))
        return (self.inputs.ellipsoid / length * turned, length) if length > 0.0 else None


def _level(inputs: ProgramInputs) -> frozenset[Key]:
    limits = inputs.limits
    if inputs.soft_prices.get(NET, 0.0) > 0.0:
        return frozenset()
    most = limits.coin_net_max + limits.room.get(NET, np.zeros(len(limits.coin)))
    return frozenset((NET, coin) for coin in np.flatnonzero(most == 0.0).tolist())


class Conditions:
    """The conditions of one program at any weights and prices.

    Attributes
    ----------
    lower, upper : (N,) arrays
        Bounds of each weight, whatever sets them.
    level : frozenset of (str, int)
        Limits of 0 on an absolute value: equations, whose price may have either sign.
    """

    def __init__(self, inputs: ProgramInputs) -> None:
        self.inputs, self.limits = inputs, inputs.limits
        self.features, self.smooth = Features.of(inputs), Smooth.of(inputs)
        self.lower, self.upper = effective_bounds(inputs)
        self.level = _level(inputs)
        self._rows: dict[Key, LimitRow] = {}
        self._seen: tuple[FloatArray, dict[str, FloatArray], FloatArray] | None = None
        self._keys: list[Key] = []

    def excess(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return by how much each limit is exceeded that is no bound of one contract, (k,) each."""
        return self._excess(weights)[0]

    def excess_in_row(self, weights: FloatArray) -> FloatArray:
        """Return the same one after another, in the order of `keys`."""
        return self._excess(weights)[1]

    def keys(self, weights: FloatArray) -> list[Key]:
        """Return the limits in the order of `excess`."""
        if not self._keys:
            parts = self.excess(weights).items()
            self._keys = [(name, place) for name, rows in parts for place in range(len(rows))]
        return self._keys

    def _excess(self, weights: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
        if self._seen is None or self._seen[0] is not weights:
            found = limit_excess(weights[None, :], self.inputs.before, self.limits)
            parts = {name: rows[0] for name, rows in found.items() if name not in OWN}
            self._seen = (weights, parts, np.concatenate(list(parts.values())))
        return self._seen[1:]

    def rows(self, active: Active) -> dict[Key, LimitRow]:
        """Return the rows of the limits taken to bind that are sums over contracts."""
        for key in active.prices:
            if key not in self._rows and key not in CURVED | {SHORTFALL}:
                at = np.zeros_like(active.weights) if key in self.level else active.weights
                self._rows[key] = limit_row(self.limits, key, at)
        return self._rows

    def costs(self, found: Active) -> FloatArray:
        """Return what a unit of each feature costs in the objective, (F, N)."""
        costs = np.zeros((len(self.features.rates) + MARGIN, len(found.weights)))
        robust = self.inputs.risk_aversion * self.smooth.charged(found.weights)
        costs[SIZE] = self.inputs.size_cost + robust * self.inputs.charged_sigma
        if RISK in found.prices:
            alone = self.smooth.alone(found.weights)
            spread = self.inputs.limited_covariance @ found.weights
            per_risk = found.prices[RISK] / self.smooth.risk(found.weights, spread, alone)
            robust = per_risk * self.limits.covariance_uncertainty * alone
            costs[SIZE] += robust * self.limits.sigma
        costs[TRADE] = self.inputs.trade_cost
        for key, price in found.prices.items():
            if key not in CURVED | {SHORTFALL}:
                row = self._rows[key]
                costs[row.feature] += price * row.by_feature
        return costs

    def force(self, found: Active) -> FloatArray:
        """Return the gradient of all that is smooth, (N,), the worst-case mean left out."""
        inputs, weights = self.inputs, found.weights
        trade, spread = weights - inputs.before, inputs.covariance @ weights
        impact = inputs.cost_aversion * inputs.impact
        force = inputs.gain - inputs.risk_aversion * spread
        force = force - 1.5 * impact * np.sqrt(np.abs(trade)) * np.sign(trade)
        for key, price in found.prices.items():
            if key == RISK:
                limited = inputs.limited_covariance @ weights
                risk = self.smooth.risk(weights, limited, self.smooth.alone(weights))
                force = force - price / risk * (limited + self.smooth.offset)
            elif key == CORRELATION:
                force = force - price * self.smooth.alike(weights)[1]
            elif key == SHORTFALL:
                force = force - price * self.tail_gradient(found)
            else:
                force = force - price * self._rows[key].linear
        return np.asarray(force)

    def tail_gradient(self, found: Active) -> FloatArray:
        """Return d CVaR / d w at the shares that the tied scenarios have, (N,)."""
        if found.tail is None:
            return np.zeros_like(found.weights)
        full, shares = found.tail.shares(self.limits, found.prices[SHORTFALL])
        scenarios = self.limits.scenarios
        worst = scenarios[found.tail.worst].sum(axis=0)
        return np.asarray(-full * worst - shares @ scenarios[found.tail.tied])

    def doubt(
        self, found: Active, force: FloatArray, least: FloatArray, most: FloatArray
    ) -> FloatArray:
        """Return the gradient of the worst-case mean; at no book, any that keeps it at none."""
        none = np.zeros_like(force)
        if self.smooth.omega is None:
            return none
        at_book = self.smooth.doubt(found.weights)
        if at_book is not None:
            return at_book[0]
        left = force - np.clip(force, least, most)
        try:
            length = float(
                np.sqrt(max(float(left @ np.linalg.solve(self.smooth.omega, left)), 0.0))
            )
        except np.linalg.LinAlgError:
            return none
        return left if length <= self.inputs.ellipsoid else none
