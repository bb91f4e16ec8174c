"""The kinks of the program: |w|, |z| and tiered margins, contract by contract.

Whatever in the program is not smooth is a sum of convex, piecewise linear functions of one weight
each, called features here: row 0 is |w_i|, row 1 is |z_i|, and row 2 + q the maintenance margin
MM_i under the plain (q = 0) or the q-th stressed margin limit. Between kinks a feature has one
slope; at a kink it has any slope between its two one-sided ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.kept import Kept

BoolArray = npt.NDArray[np.bool_]

SIZE, TRADE, MARGIN = 0, 1, 2
"""Rows of the features; the plain margin, then one row for each stress."""
FEATURES_KEPT = 8
"""With the CVaR cap and without it, of a program and of a hybrid's parts."""
TIE = 1e-12
"""Margin by two tiers closer than this, weight units, is at the floor between them."""


def effective_bounds(inputs: ProgramInputs) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of each weight, (N,), (N,): its own, its largest size, its largest trade.

    A fixed target keeps to itself: what forbids it is for the checks to say.
    """
    limits = inputs.limits
    lower = np.maximum(inputs.lower, -limits.size_max)
    lower = np.maximum(lower, inputs.before - limits.trade_max)
    upper = np.minimum(inputs.upper, limits.size_max)
    upper = np.minimum(upper, inputs.before + limits.trade_max)
    fixed = inputs.lower == inputs.upper
    return np.where(fixed, inputs.lower, lower), np.where(fixed, inputs.upper, upper)


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one program, F = Q + 3 of them.

    Attributes
    ----------
    before : (N,) array
    rates : (Q+1, K, N) array
    deductions : (K, N) array
    points : (P, N) array
        Every kink that is not a bound; NaN where a contract has fewer.
    """

    before: FloatArray
    rates: FloatArray
    deductions: FloatArray
    points: FloatArray

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Features:
        """Return the features of a program; those of the same limits and book are kept."""
        return _FEATURES.of((inputs.limits, inputs.before), (), lambda: cls._of(inputs))

    @classmethod
    def _of(cls, inputs: ProgramInputs) -> Features:
        rates, deductions = inputs.limits.margin_rates, inputs.limits.tier_deductions
        rise = np.diff(rates, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            floors = np.where(rise > 0.0, np.diff(deductions, axis=0) / rise, np.nan)
        floors = floors.reshape(-1, len(inputs.before))
        points = np.concatenate([[np.zeros_like(inputs.before), inputs.before], floors, -floors])
        return cls(inputs.before, rates, deductions, points)

    def values(self, weights: FloatArray) -> FloatArray:
        """Return the features at `weights`, (F, N)."""
        size = np.abs(weights)
        margins = (self.rates * size - self.deductions).max(axis=1)
        return np.concatenate([[size, np.abs(weights - self.before)], margins])

    def slopes(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the one-sided slopes of the features, (F, N) each: to the left and to the right.

        They differ at kinks only.
        """
        trade = weights - self.before
        by_tier = self.rates * np.abs(weights) - self.deductions
        top = by_tier >= by_tier.max(axis=1, keepdims=True) - TIE
        most = np.where(top, self.rates, -np.inf).max(axis=1)
        least = np.where(top, self.rates, np.inf).min(axis=1)
        left = np.where(weights > 0.0, least, -most)
        right = np.where(weights < 0.0, -least, most)
        return (
            np.concatenate([[_left(weights), _left(trade)], left]),
            np.concatenate([[-_left(-weights), -_left(-trade)], right]),
        )

    def nearest(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the kink nearest to each weight, and how far it is, (N,) each."""
        apart = np.abs(self.points - weights)
        apart = np.where(np.isnan(apart), np.inf, apart)
        place = apart.argmin(axis=0)[None, :]
        return (
            np.take_along_axis(self.points, place, axis=0)[0],
            np.take_along_axis(apart, place, axis=0)[0],
        )


_FEATURES: Kept[Features] = Kept(FEATURES_KEPT)


def _left(values: FloatArray) -> FloatArray:
    """Return the slope of |v| to the left of v."""
    return np.where(values > 0.0, 1.0, -1.0)
