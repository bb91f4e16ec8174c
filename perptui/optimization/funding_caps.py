"""Caps by expected funding: the side that pays beyond one sd gets less room (method §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from perptui.model.limit import Limits
from perptui.optimization.inputs import Contract, FloatArray

BoolArray = npt.NDArray[np.bool_]

ROUNDING = 1e-9
"""Relative: a trade this close to a whole lot is that lot."""
TURNOVER_SHARE = 0.5
"""Of one proposal's turnover, the most that these caps may use up: other limits need the rest."""


def funding_bounds(
    contracts: Sequence[Contract],
    before: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    limits: Limits,
    reach: FloatArray,
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return the bounds (N,), (N,) with the funding caps in them, and the reasons in words.

    A long of a contract is at most coin_net_max·long_cap, a short coin_net_max·short_cap, where
    the cap is below 1. What is held beyond that is brought down as far as this proposal's trades
    reach in whole lots. Bounds that are equal (a fixed or frozen target) stay.

    Parameters
    ----------
    before : (N,) array
        Weights before the trade.
    reach : (N,) array
        Largest |trade| of each contract in whole lots (`whole_lots`), multiple of equity: a bound
        nearer to the cap than that is one no order keeps.
    """
    lower, upper = bounds
    free = lower < upper
    longs, shorts = (_capped(scales, free, limits.coin_net_max) for scales in _scales(contracts))
    excess = np.maximum(before - longs, 0.0) + np.maximum(-before - shorts, 0.0)
    cut = np.minimum(excess, reach)
    budget = TURNOVER_SHARE * 2.0 * limits.turnover_max
    if cut.sum() > budget:
        cut *= budget / cut.sum()
    held = np.abs(before) - cut
    upper = np.minimum(upper, np.where(before > longs, held, longs))
    lower = np.maximum(lower, np.where(-before > shorts, -held, -shorts))
    return lower, upper, _reasons(contracts, {"long": longs, "short": shorts})


def whole_lots(contracts: Sequence[Contract], trade_max: FloatArray, equity: Decimal) -> FloatArray:
    """Return the largest |trade| of whole lots up to `trade_max`, (N,), multiple of equity."""
    values = [contract.instrument.step * contract.usd_per_contract for contract in contracts]
    unit = np.array([float(value / equity) for value in values])
    return np.asarray(np.floor(trade_max / unit * (1.0 + ROUNDING)) * unit)


def _capped(scales: FloatArray, free: BoolArray, most: float) -> FloatArray:
    """Return the largest size of one side, (N,); infinite where funding caps none.

    A coin limit of nothing leaves funding nothing to cap.
    """
    capped = free & np.isfinite(scales) & (most > 0.0)
    return np.where(capped, most * np.where(capped, scales, 1.0), np.inf)


def _scales(contracts: Sequence[Contract]) -> tuple[FloatArray, FloatArray]:
    """Return the caps of longs and of shorts, (N,) each; infinite where funding asks for none."""
    both = np.full((2, len(contracts)), np.inf)
    for index, contract in enumerate(contracts):
        if contract.forecast is not None:
            funding = contract.forecast.funding
            for row, scale in enumerate((funding.long_cap, funding.short_cap)):
                if scale < 1.0:
                    both[row, index] = scale
    return both[0], both[1]


def _reasons(contracts: Sequence[Contract], caps: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Return a line a contract: the caps of its sides, and that one pays or funding is unsteady."""
    lines = []
    for index, contract in enumerate(contracts):
        capped = {side: cap[index] for side, cap in caps.items() if np.isfinite(cap[index])}
        if not capped:
            continue
        most = ", ".join(f"{cap:.2f} {side}" for side, cap in capped.items())
        score = contract.forecast.funding.horizon_z if contract.forecast else None
        payer = "long" if score is not None and score > 0.0 else "short"
        why = "unsteady"
        if score is not None and abs(score) > 1.0 and payer in capped:
            also = f", {why}" if len(capped) > 1 else ""
            why = f"a {payer} pays {abs(score):.1f} sd over the horizon{also}"
        lines.append(f"{contract.id}: funding caps it at {most} of equity: {why}")
    return tuple(lines)
