"""Which limits could bind at all: the others are left out of a solve.

A limit is left out only where no book within the bounds and the hard gross limit reaches it. That
is arithmetic on the inputs, so the choice never depends on what was solved before. Room that a
limit was given is not counted: a limit may then be stated in vain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.rows import TRADE, tier_group
from perptui.optimization.program.structure import Structure
from perptui.risk.arrays import LimitArrays

OF_ACCOUNTS = frozenset({"venue_gross", "free_collateral"})
"""Limits of accounts beside their margins."""
ROUNDING = 1e-9
"""A limit reached within this share could bind."""


@dataclass(frozen=True, eq=False)
class _Largest:
    """Largest |w| of each contract (N,), and of all together."""

    each: FloatArray
    total: float

    @classmethod
    def of(cls, inputs: ProgramInputs, *, gross: bool) -> _Largest:
        """Return what bounds allow, and with `gross` the gross limit."""
        each = np.maximum(np.abs(inputs.lower), np.abs(inputs.upper))
        everything = float(each.sum())
        if not gross:
            return cls(each, everything)
        limits = inputs.limits
        # What no account carries is no part of gross.
        counted = float(each @ limits.counted)
        most = limits.gross_max + float(np.sum(limits.room.get("gross", 0.0)))
        return cls(each, everything - counted + min(counted, max(most, 0.0)))

    def together(self, unit: FloatArray, members: FloatArray) -> FloatArray:
        """Return the most of sum_i unit_i|w_i| in each group (G, N), (G,)."""
        inside = members * unit
        return np.asarray(np.minimum(inside @ self.each, self.total * inside.max(axis=1)))


def could_bind(inputs: ProgramInputs, structure: Structure) -> frozenset[str]:
    """Return the groups (`rows.Stated`) of limits that some allowed book reaches."""
    largest = _Largest.of(inputs, gross=not structure.has_slack("gross"))
    kept = {"gross"} | _of_book(inputs, largest) | _of_groups(inputs.limits, largest)
    kept |= _of_margins(inputs.limits, largest)
    if structure.volatility and _reaches_risk(inputs.limits, largest):
        kept.add("volatility")
    if inputs.limits.row_names:
        kept.add("rows")
    if structure.tail[0]:
        kept.add("cvar")
    if structure.relaxes or _trades_matter(inputs, kept):
        kept.add(TRADE)
    return frozenset(kept)


def without_accounts(kept: frozenset[str]) -> frozenset[str]:
    """Return the groups without the limits of accounts, where those of margins in stress are kept.

    Without these the others are not worth a second program.
    """
    if not any(name.startswith("stress_") for name in kept):
        return kept
    return frozenset(
        name
        for name in kept
        if name not in OF_ACCOUNTS and not name.startswith(("margin_ratio", "stress_"))
    )


@dataclass(frozen=True, eq=False)
class _Margins:
    """What the margin limits come to, Q + 1 of them: plain, and each stress.

    Attributes
    ----------
    most : (Q + 1, A) array
        Maintenance margin of each account at the most.
    reached : (Q + 1, K) array of bool
        Tiers whose floor some position may reach.
    """

    most: FloatArray
    reached: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, limits: LimitArrays, largest: _Largest) -> _Margins:
        """Return them: a margin is convex in |w| and 0 at 0."""
        rates, size = limits.margin_rates, np.minimum(largest.each, largest.total)
        lines = rates * size - limits.tier_deductions
        # A tier's line lies below the earlier ones until its floor, under any stress.
        sofar = np.maximum.accumulate(lines, axis=1)
        reached = np.ones(lines.shape[:2], dtype=bool)
        reached[:, 1:] = (lines[:, 1:] >= sofar[:, :-1] - ROUNDING).any(axis=2)
        steepest = (limits.account * rates.max(axis=1)[:, None, :]).max(axis=2)
        most = np.minimum(sofar[:, -1] @ limits.account.T, largest.total * steepest)
        return cls(most, reached)


def risk_could_bind(inputs: ProgramInputs, *, gross: bool = True) -> bool:
    """Return whether some allowed book reaches the risk limit, `gross` being one that is hard."""
    hard = gross and not inputs.soft_prices.get("gross")
    return _reaches_risk(inputs.limits, _Largest.of(inputs, gross=hard))


def _reaches_risk(limits: LimitArrays, largest: _Largest) -> bool:
    sigma = limits.sigma
    alone = min(float(sigma @ largest.each), largest.total * float(sigma.max()))
    most = math.sqrt(1.0 + limits.covariance_uncertainty) * alone
    offset = math.sqrt(float(limits.root_offset @ limits.root_offset))
    return _near(most + offset, limits.volatility_max)


def _trades_matter(inputs: ProgramInputs, kept: set[str]) -> bool:
    if not kept.isdisjoint(("turnover", "participation")):
        return True
    return inputs.cost_aversion * float(inputs.linear_cost.max() + inputs.impact.max()) > 0.0


def _near(most: float, limit: float) -> bool:
    return limit <= most * (1.0 + ROUNDING) + ROUNDING


def _reached(most: FloatArray, limit: FloatArray | float) -> bool:
    return bool((limit - most <= ROUNDING * (1.0 + most)).any())


def _of_book(inputs: ProgramInputs, largest: _Largest) -> set[str]:
    """Return the limits of the whole book and of single contracts that are reached."""
    limits, total = inputs.limits, largest.total
    held = np.abs(inputs.before)
    each = np.minimum(largest.each, total)
    initial = limits.initial_rate
    bound = min(float(initial @ largest.each), total * float(initial.max()))
    traded = min(float(largest.each.sum()), total) + float(held.sum())
    reached = {
        "net_min": _near(total, -limits.net_min),
        "net_max": _near(total, limits.net_max),
        "turnover": _near(0.5 * traded, limits.turnover_max),
        "stablecoin": _near(bound, 1.0 - limits.stablecoin_min),
        "participation": _reached(each + held, limits.trade_max),
        "standalone_risk": _reached(each, limits.size_max),
    }
    return {name for name, near in reached.items() if near}


def _of_groups(limits: LimitArrays, largest: _Largest) -> set[str]:
    """Return the limits of coins, accounts and clusters that are reached."""
    share, ones = limits.equity_share, np.ones(len(largest.each))
    in_coin = largest.together(ones, limits.coin)
    in_account = largest.together(ones, limits.account)
    initial = largest.together(limits.initial_rate, limits.account)
    reached = {
        "coin_net": _reached(in_coin, limits.coin_net_max),
        "coin_gross": _reached(in_coin, limits.coin_gross_max),
        "venue_gross": _reached(in_account, limits.venue_gross_max * share),
        "free_collateral": _reached(initial, (1.0 - limits.free_collateral_min) * share),
    }
    if len(limits.cluster):
        inside = largest.together(ones, limits.cluster)
        reached["cluster"] = _reached(inside, limits.cluster_max)
    return {name for name, near in reached.items() if near}


def _of_margins(limits: LimitArrays, largest: _Largest) -> set[str]:
    """Return the margin limits that are reached, and their tiers."""
    margins = _Margins.of(limits, largest)
    moves = np.abs(limits.stress)
    inside = limits.account * moves[:, None, :]
    loss = np.minimum(inside @ largest.each, largest.total * inside.max(axis=2))
    most = (1.0 + limits.cushion) * margins.most[1:] + loss
    near = [
        _reached(margins.most[0], limits.margin_ratio_max * limits.equity_share),
        *map(_reached, most, limits.equity_in_stress),
    ]
    names = ("margin_ratio", *(f"stress_{name}" for name in limits.stress_names))
    return {
        tier_group(name, int(tier))
        for place, name in enumerate(names)
        if near[place]
        for tier in np.flatnonzero(margins.reached[place])
    }
