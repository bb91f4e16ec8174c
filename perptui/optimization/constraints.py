"""The limits as rows ``left <= right`` of the program, stated once for optimum and phase 1.

Bounds are explicit rows, never variable attributes, because only rows have duals. No infinity ever
reaches a parameter: a solver may drop such a row for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import FloatArray, ProgramInputs

Row = tuple[Any, Any]
"""Two cvxpy expressions, the left at most the right."""


@dataclass(frozen=True)
class Structure:
    """What compilation fixes: shapes, and which contract belongs to which account and coin.

    Attributes
    ----------
    account_of, coin_of : tuple of int
        Row of each contract's account and coin.
    accounts, tiers, clusters : int
        How many there are.
    """

    account_of: tuple[int, ...]
    coin_of: tuple[int, ...]
    accounts: int
    tiers: int
    clusters: int

    @property
    def contracts(self) -> int:
        """How many contracts."""
        return len(self.account_of)

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Structure:
        """Return the structure of a program's data."""
        limits = inputs.limits
        return cls(
            account_of=tuple(int(row) for row in limits.account.argmax(axis=0)),
            coin_of=tuple(int(row) for row in limits.coin.argmax(axis=0)),
            accounts=len(limits.equity_share),
            tiers=len(limits.tier_rates),
            clusters=len(limits.cluster),
        )


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


def hard_rows(terms: Terms, data: Data) -> list[cp.Constraint]:
    """Return the definitions of |w|, |z|, F w and margins, and the bounds of each contract."""
    shocked = (
        (terms.margin, data.rates),
        (terms.margin_up, data.rates_up),
        (terms.margin_down, data.rates_down),
    )
    return [
        terms.size >= terms.w,
        terms.size >= -terms.w,
        terms.trade >= terms.w - data.before,
        terms.trade >= data.before - terms.w,
        terms.spread == data.root @ terms.w,
        terms.w == cp.multiply(data.free, terms.choice) + data.fixed,
        terms.choice >= data.lower,
        terms.choice <= data.upper,
        *(
            margin >= cp.multiply(rates[tier], terms.size) - data.deductions[tier]
            for margin, rates in shocked
            for tier in range(terms.structure.tiers)
        ),
    ]


def limit_rows(terms: Terms, data: Data) -> dict[str, Row]:
    """Return every limit by name, as `perptui.risk.arrays.limit_excess` names and measures it."""
    limit = data.scalars
    coin, account = terms.coin, terms.account
    coins = len(coin)
    net = cp.sum(terms.w)
    pull = data.move * (account @ terms.w)
    rows: dict[str, Row] = {
        "gross": (cp.sum(terms.size), limit["gross_max"]),
        "net_min": (-net, -limit["net_min"]),
        "net_max": (net, limit["net_max"]),
        "coin_net": (cp.abs(coin @ terms.w), limit["coin_net_max"] * np.ones(coins)),
        "coin_gross": (coin @ terms.size, limit["coin_gross_max"] * np.ones(coins)),
        "venue_gross": (account @ terms.size, data.venue_gross_max),
        "margin_ratio": (account @ terms.margin, data.margin_max),
        "stress_up": (data.reserve * (account @ terms.margin_up) - pull, data.equity_share),
        "stress_down": (data.reserve * (account @ terms.margin_down) + pull, data.equity_share),
        "turnover": (0.5 * cp.sum(terms.trade), limit["turnover_max"]),
        "volatility": (cp.norm(terms.spread, 2), limit["volatility_max"]),
        "participation": (terms.trade, data.trade_max),
    }
    if data.cluster is not None:
        ones = np.ones(terms.structure.clusters)
        rows["cluster"] = (data.cluster @ terms.size, limit["cluster_max"] * ones)
    return rows


def relaxed(rows: Mapping[str, Row]) -> tuple[dict[str, Any], list[cp.Constraint], Any]:
    """Return slack variables by limit, the rows relaxed by them, and the sum of slacks."""
    slacks, constraints, penalty = {}, [], 0.0
    for name, (left, right) in rows.items():
        slack = cp.Variable(left.shape, nonneg=True)
        slacks[name] = slack
        constraints.append(left <= right + slack)
        penalty = penalty + cp.sum(slack)
    return slacks, constraints, penalty
