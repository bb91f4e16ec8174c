"""When no book keeps every limit: which limits clash, by how much, and what can still be done."""

from __future__ import annotations

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solve import phase_one
from perptui.risk.arrays import limit_excess

SLACK_MIN = 1e-6
"""Relaxation below this, weight units, is the solver's rounding."""
PATH = 1001
"""Books between flat and today's that are tried for the reduce-only offer."""
TRADE_LIMITS = frozenset({"turnover", "participation"})


def explain(inputs: ProgramInputs) -> tuple[str, ...]:
    """Return, in words, the least set of relaxations that would make a book possible.

    Phase 1 of method §6: least sum of slacks, all in units of equity. Two offers follow that
    need no optimiser: to hold, and to reduce.
    """
    slacks = phase_one(inputs)
    clashes = [
        text
        for name, slack in slacks.items()
        for row, amount in enumerate(slack)
        if amount > SLACK_MIN
        for text in [_needs(name, row, float(amount), inputs)]
    ]
    if not clashes:
        clashes = ["no relaxation of the limits was found: a fixed target may be out of bounds"]
    return (
        "no book keeps every limit; " + "; ".join(clashes),
        "hold: nothing is traded, the book stays as it is",
        _reduce_offer(inputs),
    )


def _needs(name: str, row: int, amount: float, inputs: ProgramInputs) -> str:
    label, limit, scale = _described(name, row, inputs)
    sign = -1.0 if name == "net_min" else 1.0
    return f"{label} would have to be {limit + sign * amount / scale:.4g} (limit {limit:.4g})"


def _described(name: str, row: int, inputs: ProgramInputs) -> tuple[str, float, float]:
    """Return a limit's label, its value in its own units, and weight per unit of it."""
    limits = inputs.limits
    coins = sorted({contract.instrument.coin for contract in inputs.contracts})
    accounts = list(inputs.account_equity)
    if name in {"coin_net", "coin_gross"}:
        return f"{name}:{coins[row]}", float(getattr(limits, f"{name}_max")), 1.0
    if name in {"venue_gross", "margin_ratio"}:
        share = float(limits.equity_share[row])
        return f"{name}:{accounts[row]}", float(getattr(limits, f"{name}_max")), share
    if name in {"stress_up", "stress_down"}:
        return f"margin_stress:{accounts[row]}", 1.0, float(limits.equity_share[row])
    if name == "participation":
        return f"trade of {inputs.ids[row]}", float(limits.trade_max[row]), 1.0
    if name == "cluster":
        return f"cluster of {', '.join(inputs.clusters[row])}", limits.cluster_max, 1.0
    if name == "volatility":
        year = float(np.sqrt(365.0 / inputs.horizon_days))
        return name, limits.volatility_max * year, 1.0 / year
    attribute = name if name.startswith("net_") else f"{name}_max"
    return name, float(getattr(limits, attribute)), 1.0


def reduce_only_share(inputs: ProgramInputs) -> float:
    """Return the largest share of every position that keeps all limits but those on trading."""
    shares = np.linspace(0.0, 1.0, PATH)
    books: FloatArray = shares[:, None] * inputs.before[None, :]
    excess = limit_excess(books, inputs.before, inputs.limits)
    kept = np.ones(PATH, dtype=bool)
    for name, part in excess.items():
        if name not in TRADE_LIMITS and part.shape[1]:
            kept &= part.max(axis=1) <= 0
    return float(shares[kept].max(initial=0.0))


def _reduce_offer(inputs: ProgramInputs) -> str:
    share = reduce_only_share(inputs)
    if share == 1.0:
        return "reduce-only: not needed, the book as it is keeps every limit on positions"
    turnover = 0.5 * (1.0 - share) * float(np.abs(inputs.before).sum())
    return (
        f"reduce-only: every position cut to {share:.1%} of its size keeps every limit on "
        f"positions, with turnover {turnover:.4g}"
    )
