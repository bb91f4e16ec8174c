"""When a strategy hedges, and contracts that are sold short as hedges only (method §7)."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.strategy import REGIMES, StrategyParameters
from perptui.optimization.inputs import Contract, FloatArray


def hedging(strategy: StrategyParameters, regime: str) -> bool:
    """Return whether `strategy` may open hedges in `regime`."""
    if strategy.hedge_from == "never":
        return False
    return REGIMES.index(regime) >= REGIMES.index(strategy.hedge_from)


def short_bounds(
    contracts: Sequence[Contract],
    before: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    strategy: StrategyParameters,
    regime: str,
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return the bounds (N,), (N,) with those of shorts that are hedges only, and notes.

    Such a contract is never bought beyond what is held, and sold short only while the strategy
    hedges; before and after, a short may be bought back. Bounds that are equal stay; a target
    that the trader fixed beyond that is said to be so.
    """
    lower, upper = bounds[0].copy(), bounds[1].copy()
    opens = hedging(strategy, regime)
    notes = []
    for index, contract in enumerate(contracts):
        if contract.id not in strategy.hedge_shorts:
            continue
        if lower[index] == upper[index]:
            notes += _all_the_same(contract.id, lower[index], before[index], opens=opens)
            continue
        upper[index] = min(upper[index], max(before[index], 0.0))
        if not opens:
            lower[index] = max(lower[index], min(before[index], 0.0))
        allowed = "may be sold short" if opens else "is not opened"
        notes.append(f"{contract.id} is a hedge only: in {regime} it {allowed}")
    return lower, upper, tuple(notes)


def _all_the_same(name: str, target: float, before: float, *, opens: bool) -> list[str]:
    """Return a line where a fixed target goes farther than a hedge does by itself."""
    if target > max(before, 0.0):
        return [f"{name} is a hedge only: the target buys it all the same"]
    if target < min(before, 0.0) and not opens:
        return [f"{name} is a hedge only: the target sells it short all the same"]
    return []
