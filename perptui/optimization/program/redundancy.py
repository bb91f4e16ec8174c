"""Which limits could bind at all: the others are left out of a solve.

A limit is left out only where no book within the bounds and the hard gross limit reaches it. That
is arithmetic on the inputs, so the choice never depends on what was solved before.
"""

from __future__ import annotations

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.rows import TRADE
from perptui.optimization.program.structure import Structure
from perptui.risk.arrays import maintenance

ROUNDING = 1e-9
"""A limit reached within this share could bind."""


def could_bind(inputs: ProgramInputs, structure: Structure) -> frozenset[str]:
    """Return the groups (`rows.Stated`) of limits that some allowed book reaches."""
    caps, total = _largest(inputs, gross=not structure.has_slack("gross"))
    kept = {name for name, reached in _reach(inputs, caps, total).items() if reached}
    if inputs.limits.row_names:
        kept.add("rows")
    if structure.tail[0]:
        kept.add("cvar")
    if not structure.volatility:
        kept.discard("volatility")
    if structure.relaxes or _trades_matter(inputs, kept):
        kept.add(TRADE)
    return frozenset(kept)


def risk_could_bind(inputs: ProgramInputs, *, gross: bool = True) -> bool:
    """Return whether some allowed book reaches the risk limit, `gross` being one that is hard."""
    hard = gross and not inputs.soft_prices.get("gross")
    return _reaches_risk(inputs, *_largest(inputs, gross=hard))


def _largest(inputs: ProgramInputs, *, gross: bool) -> tuple[FloatArray, float]:
    """Return the largest |w| of each contract and of all together."""
    caps = np.maximum(np.abs(inputs.lower), np.abs(inputs.upper))
    if not gross:
        return caps, float(caps.sum())
    # What no account carries is no part of gross.
    counted = inputs.limits.counted
    within = min(float(caps @ counted), max(inputs.limits.gross_max, 0.0))
    return caps, within + float(caps @ (1.0 - counted))


def _over(most: FloatArray | float, limit: FloatArray | float) -> bool:
    return bool(np.any(np.asarray(limit) <= np.asarray(most) * (1.0 + ROUNDING) + ROUNDING))


def _together(unit: FloatArray, members: FloatArray, caps: FloatArray, total: float) -> FloatArray:
    """Return the most of sum_i unit_i|w_i| in each group (G, N), (G,)."""
    inside = members * unit
    return np.asarray(np.minimum(inside @ caps, total * inside.max(axis=1, initial=0.0)))


def _reaches_risk(inputs: ProgramInputs, caps: FloatArray, total: float) -> bool:
    limits = inputs.limits
    alone = _together(limits.sigma, np.ones((1, len(caps))), caps, total)
    risk = np.sqrt(1.0 + limits.covariance_uncertainty) * alone
    return _over(risk + np.linalg.norm(limits.root_offset), limits.volatility_max)


def _trades_matter(inputs: ProgramInputs, kept: set[str]) -> bool:
    costs = inputs.cost_aversion * (inputs.linear_cost + inputs.impact)
    return bool((costs > 0.0).any()) or not kept.isdisjoint(("turnover", "participation"))


def _reach(inputs: ProgramInputs, caps: FloatArray, total: float) -> dict[str, bool]:
    """Return whether the largest value of each limit comes near it.

    Parameters
    ----------
    caps, total : (N,) array, float
        Largest |w| of each contract and of all together.
    """
    limits = inputs.limits

    def together(unit: FloatArray, members: FloatArray) -> FloatArray:
        return _together(unit, members, caps, total)

    ones = np.ones(len(caps))
    trades = caps + np.abs(inputs.before)
    share = limits.equity_share
    reach = {
        "gross": True,
        "net_min": _over(total, -limits.net_min),
        "net_max": _over(total, limits.net_max),
        "coin_net": _over(together(ones, limits.coin), limits.coin_net_max),
        "coin_gross": _over(together(ones, limits.coin), limits.coin_gross_max),
        "venue_gross": _over(together(ones, limits.account), limits.venue_gross_max * share),
        "free_collateral": _over(
            together(limits.initial_rate, limits.account),
            (1.0 - limits.free_collateral_min) * share,
        ),
        "stablecoin": _over(
            together(limits.initial_rate, ones[None, :]), 1.0 - limits.stablecoin_min
        ),
        "turnover": _over(
            0.5 * min(float(trades.sum()), total + float(np.abs(inputs.before).sum())),
            limits.turnover_max,
        ),
        "volatility": _reaches_risk(inputs, caps, total),
        "participation": _over(np.minimum(trades, total + np.abs(inputs.before)), limits.trade_max),
        "cluster": _over(together(ones, limits.cluster), limits.cluster_max),
        "standalone_risk": _over(np.minimum(caps, total), limits.size_max),
        "margin_ratio": _over(
            _margin(inputs, limits.tier_rates, caps, total), limits.margin_ratio_max * share
        ),
    }
    stresses = zip(limits.stress_names, limits.stress, limits.stressed_equity(), strict=True)
    for name, moves, equity in stresses:
        most = _margin(inputs, limits.shocked_rates(moves), caps, total)
        loss = together(np.abs(moves), limits.account)
        reach[f"stress_{name}"] = _over((1.0 + limits.cushion) * most + loss, equity)
    return reach


def _margin(inputs: ProgramInputs, rates: FloatArray, caps: FloatArray, total: float) -> FloatArray:
    """Return the most maintenance margin of each account, (A,): it is convex in |w|, 0 at 0."""
    account = inputs.limits.account
    each = account @ maintenance(caps, rates, inputs.limits.tier_deductions)
    steepest = (account * np.abs(rates).max(axis=0)).max(axis=1, initial=0.0)
    return np.asarray(np.minimum(each, total * steepest))
