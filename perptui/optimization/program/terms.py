"""Variables, parameters and affine pieces that the objective and the limits share.

No infinity ever reaches a parameter: a solver may drop such a row for good.
"""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.structure import Structure


class Data:
    """The limits' parameters, filled from `LimitArrays` before each solve."""

    def __init__(self, structure: Structure) -> None:
        n, a, k = structure.contracts, structure.accounts, structure.tiers
        self.before = cp.Parameter(n)
        self.lower, self.upper = cp.Parameter(n), cp.Parameter(n)
        self.free, self.fixed = cp.Parameter(n, nonneg=True), cp.Parameter(n)
        self.root = cp.Parameter((n, n))
        self.rates, self.rates_up = cp.Parameter((k, n)), cp.Parameter((k, n))
        self.rates_down, self.deductions = cp.Parameter((k, n)), cp.Parameter((k, n))
        self.cluster = cp.Parameter((structure.clusters, n)) if structure.clusters else None
        self.trade_max = cp.Parameter(n)
        self.venue_gross_max, self.margin_max = cp.Parameter(a), cp.Parameter(a)
        self.equity_share = cp.Parameter(a)
        self.move, self.reserve = cp.Parameter(), cp.Parameter()
        self.scalars = {
            name: cp.Parameter()
            for name in (
                "gross_max",
                "net_min",
                "net_max",
                "coin_net_max",
                "coin_gross_max",
                "turnover_max",
                "volatility_max",
                "cluster_max",
            )
        }


class Terms:
    """Variables and affine pieces that the objective and the limits share.

    Attributes
    ----------
    w, size, trade : (N,) variables
        Weights, |w| and |z| (epigraphs).
    spread : (N,) variable
        F w with F'F = Sigma, so that its norm is the book's risk over the horizon.
    choice : (N,) variable
        What the program may choose of w: w = free·choice + fixed, free 0 or 1. Equal bounds would
        leave the feasible set without an interior, where interior-point steps lose accuracy.
    """

    def __init__(self, structure: Structure) -> None:
        n = structure.contracts
        self.structure = structure
        self.data = Data(structure)
        self.w, self.size, self.trade = cp.Variable(n), cp.Variable(n), cp.Variable(n)
        self.choice = cp.Variable(n)
        self.spread = cp.Variable(n)
        self.margin, self.margin_up, self.margin_down = (cp.Variable(n) for _ in range(3))
        self.coin = _membership(structure.coin_of, max(structure.coin_of) + 1)
        self.account = _membership(structure.account_of, structure.accounts)

    def fill(self, inputs: ProgramInputs) -> None:
        """Set every parameter.

        Raises
        ------
        OptimizationError
            When a value is not finite.
        """
        data, limits = self.data, inputs.limits
        share = limits.equity_share
        pinned = inputs.lower == inputs.upper
        values: list[tuple[Any, Any]] = [
            (data.before, inputs.before),
            (data.lower, np.where(pinned, -1.0, inputs.lower)),
            (data.upper, np.where(pinned, 1.0, inputs.upper)),
            (data.free, np.where(pinned, 0.0, 1.0)),
            (data.fixed, np.where(pinned, inputs.lower, 0.0)),
            (data.root, limits.root),
            (data.rates, limits.tier_rates),
            (data.rates_up, limits.shocked_rates(limits.stress_move)),
            (data.rates_down, limits.shocked_rates(-limits.stress_move)),
            (data.deductions, limits.tier_deductions),
            (data.trade_max, limits.trade_max),
            (data.venue_gross_max, limits.venue_gross_max * share),
            (data.margin_max, limits.margin_ratio_max * share),
            (data.equity_share, share),
            (data.move, limits.stress_move),
            (data.reserve, 1.0 + limits.cushion),
            *((parameter, getattr(limits, name)) for name, parameter in data.scalars.items()),
        ]
        if data.cluster is not None:
            values.append((data.cluster, limits.cluster))
        for parameter, value in values:
            if not np.isfinite(value).all():
                raise OptimizationError("expected finite limits and data, was infinity or NaN")
            parameter.value = value


def _membership(of: tuple[int, ...], groups: int) -> FloatArray:
    return np.array([[float(row == group) for row in of] for group in range(groups)])
