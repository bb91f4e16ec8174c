"""Maintenance and initial margin of tiered perpetual contracts (method §11).

Standard library only, and generic: floats in give floats, Decimals in give Decimals; the two must
not be mixed in one call. Notionals and money are USD, rates are fractions of notional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

Number = TypeVar("Number", float, Decimal)
Number_co = TypeVar("Number_co", float, Decimal, covariant=True)


class Tier(Protocol[Number_co]):
    """One step of a maintenance schedule; `perptui.model.instrument.MarginTier` is one."""

    @property
    def floor_usd(self) -> Number_co:
        """Notional at which the step starts, USD."""
        ...

    @property
    def rate(self) -> Number_co:
        """Maintenance margin rate r_k, fraction of notional."""
        ...

    @property
    def deduction_usd(self) -> Number_co:
        """Maintenance amount c_k, USD."""
        ...

    @property
    def max_leverage(self) -> Number_co:
        """Highest leverage allowed on this step."""
        ...


class FloatTier(NamedTuple):
    """A `Tier` of floats, for the numerical floors."""

    floor_usd: float
    rate: float
    deduction_usd: float
    max_leverage: float


def float_tiers(tiers: Iterable[Tier[Decimal]]) -> tuple[FloatTier, ...]:
    """Return the tiers of an `Instrument` as floats."""
    return tuple(
        FloatTier(
            float(tier.floor_usd),
            float(tier.rate),
            float(tier.deduction_usd),
            float(tier.max_leverage),
        )
        for tier in tiers
    )


def deductions(floors: Sequence[Number], rates: Sequence[Number]) -> tuple[Number, ...]:
    """Return c_k = c_{k-1} + floor_k·(r_k - r_{k-1}), c_0 = 0, which makes MM continuous.

    Parameters
    ----------
    floors, rates : sequences of the same length
        Rising notionals in USD, the first 0, and the maintenance rate above each.

    Raises
    ------
    ValueError
        When there are none, the lengths differ, the first floor is not 0, or floors or rates do
        not rise: a schedule that is not convex has no max_k form.
    """
    if not floors or len(floors) != len(rates):
        raise ValueError(
            f"expected as many floors as rates and at least one, was {len(floors)} and "
            f"{len(rates)}; mend the tiers"
        )
    if floors[0] != 0:
        raise ValueError(f"expected the first floor to be 0, was {floors[0]}; mend the tiers")
    _require_rising(floors, "floors")
    _require_rising(rates, "rates")
    amount = floors[0]
    amounts = [amount]
    for index in range(1, len(floors)):
        amount = amount + floors[index] * (rates[index] - rates[index - 1])
        amounts.append(amount)
    return tuple(amounts)


def _require_rising(values: Sequence[Number], name: str) -> None:
    for before, after in pairwise(values):
        if not after > before:
            raise ValueError(
                f"expected rising tier {name}, was {after} after {before}; refuse the schedule"
            )


def maintenance(notional: Number, tiers: Sequence[Tier[Number]]) -> Number:
    """Return the maintenance margin MM(N) = max_k(r_k·|N| - c_k), USD.

    Parameters
    ----------
    notional : number
        Position notional at the mark, USD; the sign does not matter.
    tiers : sequence of Tier
        Floors rising, deductions as `deductions` computes them.

    Raises
    ------
    ValueError
        When `tiers` is empty: an unknown schedule is never zero margin.
    """
    return steepest(abs(notional), tiers)[1]


def steepest(size: Number, tiers: Sequence[Tier[Number]]) -> tuple[Tier[Number], Number]:
    """Return the step that sets the margin of a notional of `size` USD, at least 0, and the margin.

    Raises
    ------
    ValueError
        As `maintenance` does.
    """
    if not tiers:
        raise ValueError("expected at least one margin tier, was none; read the venue's tiers")
    found = tiers[0]
    most = found.rate * size - found.deduction_usd
    for tier in tiers[1:]:
        # From the first floor above the size on, every further step is less.
        if tier.floor_usd > size:
            break
        due = tier.rate * size - tier.deduction_usd
        if due > most:
            found, most = tier, due
    return found, most


def tier_at(notional: Number, tiers: Sequence[Tier[Number]]) -> Tier[Number]:
    """Return the step that holds |N|: floor_k <= |N| < floor_{k+1}.

    Raises
    ------
    ValueError
        When `tiers` is empty.
    """
    if not tiers:
        raise ValueError("expected at least one margin tier, was none; read the venue's tiers")
    size = abs(notional)
    found = tiers[0]
    for tier in tiers:
        if tier.floor_usd > size:
            break
        found = tier
    return found


def leverage_allowed(notional: Number, tiers: Sequence[Tier[Number]]) -> Number:
    """Return the highest leverage the venue allows for a position of |N| USD."""
    return tier_at(notional, tiers).max_leverage


def notional_allowed(leverage: Number, tiers: Sequence[Tier[Number]]) -> Number | None:
    """Return the largest notional at `leverage` in USD, None where the last tier allows it.

    Raises
    ------
    ValueError
        When even the first tier does not allow `leverage`.
    """
    if not tiers or tiers[0].max_leverage < leverage:
        raise ValueError(f"expected a leverage some tier allows, was {leverage}; lower it")
    for tier in tiers:
        if tier.max_leverage < leverage:
            return tier.floor_usd
    return None


def initial_margin(notional: Number, leverage: Number) -> Number:
    """Return |N| / leverage, USD.

    Raises
    ------
    ValueError
        When `leverage` is not positive.
    """
    if leverage <= 0:
        raise ValueError(f"expected a positive leverage, was {leverage}; read it from the venue")
    return abs(notional) / leverage


def margin_ratio(equity: Number, maintenance_usd: Number) -> Number:
    """Return MM / E of one margin account; 1 or more is liquidation.

    An account with margin to keep and no equity has an infinite ratio, which every limit refuses
    and no record accepts; an account without positions has 0.
    """
    if maintenance_usd == 0:
        return maintenance_usd
    if equity > 0:
        return maintenance_usd / equity
    return type(maintenance_usd)("inf")
