"""What a plain reduction of the book can reach, offered where limits clash."""

from __future__ import annotations

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import limit_excess

PATH = 1001
"""Books between today's and the most reduced that are tried."""
TRADE_LIMITS = frozenset({"turnover", "participation"})


def reduce_only_share(inputs: ProgramInputs) -> float | None:
    """Return the largest share of every position that keeps all limits but those on trading.

    Positions that may not be traded stay whole. None where no share keeps them.
    """
    shares = np.linspace(0.0, 1.0, PATH)
    excess = limit_excess(_books(shares, inputs), inputs.before, inputs.limits)
    kept = np.ones(PATH, dtype=bool)
    for name, part in excess.items():
        if name not in TRADE_LIMITS and part.shape[1]:
            kept &= part.max(axis=1) <= 0
    return float(shares[kept].max()) if kept.any() else None


def _books(shares: FloatArray, inputs: ProgramInputs) -> FloatArray:
    kept = inputs.lower == inputs.upper
    whole = np.where(kept, inputs.before, 0.0)
    return np.asarray(shares[:, None] * (inputs.before - whole) + whole)


def reduction_offer(inputs: ProgramInputs) -> str:
    """Return in words how far a plain reduction of every position mends the book."""
    share = reduce_only_share(inputs)
    if share is None:
        return "reduce-only: no plain reduction keeps every limit on positions; it goes nearer"
    if share == 1.0:
        return "reduce-only: not needed, the book as it is keeps every limit on positions"
    book = _books(np.array([share]), inputs)
    turnover = 0.5 * float(np.abs(book - inputs.before).sum())
    most = inputs.limits.turnover_max
    reach = "" if turnover <= most else f", more than the {most:.1%} of one proposal: repeat it"
    return (
        f"reduce-only: every position cut to {share:.1%} of its size keeps every limit on "
        f"positions, with turnover {turnover:.1%}{reach}"
    )
