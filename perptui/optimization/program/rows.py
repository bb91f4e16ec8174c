"""The limits as rows ``left <= right`` of the program, stated once for optimum and phase 1.

Bounds are explicit rows, never variable attributes, because only rows have duals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.program.terms import Data, Terms

Row = tuple[Any, Any]
"""Two cvxpy expressions, the left at most the right."""


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
