"""Newton's method on the optimality conditions that an active set leaves (Nocedal & Wright, 18.1).

Unknown are the free weights and the prices of the binding limits; the equations are that each free
weight's gain is balanced and that each binding limit is met. Everything in them is smooth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.active import (
    CORRELATION,
    CURVED,
    SHORTFALL,
    Active,
    Key,
    LimitRow,
)
from perptui.optimization.program.conditions import Smooth
from perptui.optimization.program.kinks import SIZE, TRADE

STEPS_MAX = 14
CURVATURE_MIN, PRICE_DAMPING = 1e-10, 1e-7
"""Proximal terms of a step: ties then have one too; they vanish as the steps do."""
GRADIENT_MAX, EXCESS_MAX = 2e-14, 1e-13
"""Residuals of a finished run: per unit of weight over the horizon, and in weight units."""
TRADE_MIN = 1e-14
SHORTEST = 0.1
"""Least share of a trade with impact that one step leaves: its square root ends at no trade."""


class Equations:
    """The equations of one active set.

    Parameters
    ----------
    rows : mapping of key to LimitRow
        Of every binding limit but `SHORTFALL` and those in `CURVED`.
    excess : mapping of str to (k,) array
        Of every limit at `active.weights`.
    level : mapping of key to float
        What has to be 0, of either sign, of the limits that are equations.
    """

    def __init__(
        self,
        smooth: Smooth,
        active: Active,
        rows: Mapping[Key, LimitRow],
        excess: Mapping[str, FloatArray],
        level: Mapping[Key, float],
    ) -> None:
        self._smooth, self._active, self._inputs = smooth, active, smooth.inputs
        inputs, limits = smooth.inputs, smooth.inputs.limits
        self._free = free = np.flatnonzero(~active.pinned)
        self._square = np.ix_(free, free)
        self._curved = sorted(CURVED & active.prices.keys())
        self._met = [key for key in self._curved if key not in active.exceeded]
        unmet = CURVED | active.exceeded
        self._keys = [key for key in active.prices if key not in unmet]
        gradients = [self._gradient(key, rows)[free] for key in self._keys]
        over = [level.get(key, self._excess(key, excess)) for key in self._keys]
        prices = [active.prices[key] for key in self._keys]
        if active.tail is not None:
            gradients.extend(active.tail.ties(limits)[:, free])
            over.extend(active.tail.gaps(limits, active.weights))
            prices.extend(active.tail.turned)
        self._linear = np.array(gradients).reshape(len(over), len(free))
        self._over, self._prices = np.array(over), np.array(prices)
        self._side = active.slopes[TRADE][free]
        self._impact = (inputs.cost_aversion * inputs.impact)[free]
        self._before = inputs.before[free]
        steady = inputs.gain - inputs.size_cost * active.slopes[SIZE]
        steady = steady - inputs.trade_cost * active.slopes[TRADE]
        for key in active.exceeded - CURVED:
            steady = steady - active.prices[key] * self._gradient(key, rows)
        self._steady = steady[free]
        self._alone = (limits.sigma * active.slopes[SIZE])[free]
        self._limited = inputs.limited_covariance[
            self._square
        ] + limits.covariance_uncertainty * np.outer(self._alone, self._alone)
        self._charged = (inputs.charged_sigma * active.slopes[SIZE])[free]
        self._curve = inputs.covariance[self._square] + inputs.charged_uncertainty * np.outer(
            self._charged, self._charged
        )

    def _gradient(self, key: Key, rows: Mapping[Key, LimitRow]) -> FloatArray:
        if key == SHORTFALL and self._active.tail is not None:
            return self._active.tail.gradient(self._inputs.limits)
        return rows[key].gradient(self._active.slopes)

    def _excess(self, key: Key, excess: Mapping[str, FloatArray]) -> float:
        """Return a limit's excess at the start: of CVaR, as if the tail taken were its own."""
        active, limits = self._active, self._inputs.limits
        if key == SHORTFALL and active.tail is not None:
            return active.tail.value(limits, active.weights) - limits.cvar_max
        return float(excess[key[0]][key[1]])

    def solve(self) -> tuple[Active, bool]:
        """Return where Newton's method ends, and whether the equations hold there."""
        weights, prices = self._active.weights.copy(), self._prices
        curved = {key: self._active.prices[key] for key in self._curved}
        for _ in range(STEPS_MAX):
            gain, hessian, over, jacobian = self._at(weights, prices, curved)
            small = np.abs(over).max(initial=0.0) <= EXCESS_MAX
            if small and np.abs(gain).max(initial=0.0) <= GRADIENT_MAX:
                return self._found(weights, prices, curved), True
            step = _step(gain, hessian, over, jacobian)
            if step is None:
                break
            count = len(gain)
            weights[self._free] += self._shortened(weights, step[:count])
            of_curved = step[count + len(prices) :].tolist()
            prices = prices + step[count : count + len(prices)]
            for key, more in zip(self._met, of_curved, strict=True):
                curved[key] += more
        return self._found(weights, prices, curved), False

    def _at(
        self, weights: FloatArray, prices: FloatArray, curved: Mapping[Key, float]
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return gain (n,), minus its Jacobian (n, n), excess (m,) and its Jacobian (m, n)."""
        inputs, free = self._inputs, self._free
        spread = inputs.covariance @ weights
        slope = spread[free] + self._smooth.charged(weights) * self._charged
        root = np.sqrt(np.maximum(self._side * (weights[free] - self._before), TRADE_MIN))
        gain = self._steady - inputs.risk_aversion * slope - 1.5 * self._impact * root * self._side
        gain -= self._linear.T @ prices
        hessian = inputs.risk_aversion * self._curve
        hessian.flat[:: len(free) + 1] += 0.75 * self._impact / root + CURVATURE_MIN
        doubt = self._smooth.doubt(weights)
        if doubt is not None and self._smooth.omega is not None:
            tilt, length = doubt[0][free], doubt[1]
            gain -= tilt
            hessian += inputs.ellipsoid / length * self._smooth.omega[self._square]
            hessian -= np.outer(tilt, tilt) / (inputs.ellipsoid * length)
        over = self._over + self._linear @ (weights - self._active.weights)[free]
        linear = self._linear
        for key in self._curved:
            value, tilt, curve = self._of_book(key, weights)
            gain -= curved[key] * tilt
            hessian += curved[key] * curve
            if key in self._met:
                over, linear = np.append(over, value), np.vstack([linear, tilt])
        return gain, hessian, over, linear

    def _of_book(self, key: Key, weights: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return the excess of a limit in `CURVED`, its gradient (n,) and its curvature (n, n)."""
        limits, free = self._inputs.limits, self._free
        if key == CORRELATION:
            value, tilt, curve = self._smooth.alike(weights)
            return value, tilt[free], curve[self._square]
        limited, alone = self._inputs.limited_covariance @ weights, self._smooth.alone(weights)
        risk = self._smooth.risk(weights, limited, alone)
        robust = limits.covariance_uncertainty * alone * self._alone
        tilt = (limited[free] + robust + self._smooth.offset[free]) / risk
        return risk - limits.volatility_max, tilt, (self._limited - np.outer(tilt, tilt)) / risk

    def _shortened(self, weights: FloatArray, step: FloatArray) -> FloatArray:
        trade = self._side * (weights[self._free] - self._before)
        floor = -(1.0 - SHORTEST) * np.maximum(trade, 0.0)
        curbed = (self._impact > 0.0) & (self._side * step < floor)
        return np.where(curbed, floor * self._side, step)

    def _found(
        self, weights: FloatArray, prices: FloatArray, curved: Mapping[Key, float]
    ) -> Active:
        limits = len(self._keys)
        found = {key: self._active.prices[key] for key in self._active.exceeded}
        found |= dict(zip(self._keys, prices[:limits].tolist(), strict=True))
        found |= {key: curved[key] for key in self._met}
        tail = self._active.tail
        tail = None if tail is None else replace(tail, turned=prices[limits:])
        return replace(self._active, weights=weights, prices=found, tail=tail)


def _step(
    gain: FloatArray, hessian: FloatArray, over: FloatArray, jacobian: FloatArray
) -> FloatArray | None:
    count, rows = len(gain), len(over)
    system = np.zeros((count + rows, count + rows))
    system[:count, :count] = hessian
    system[:count, count:] = jacobian.T
    system[count:, :count] = jacobian
    system.flat[count * (count + rows + 1) :: count + rows + 1] = -PRICE_DAMPING
    try:
        step = np.linalg.solve(system, np.concatenate([gain, -over]))
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None
