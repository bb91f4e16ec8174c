"""Margin accounts one by one: how full, how far from liquidation, and the transfer that mends one.

Standard library only, and generic: a book of floats gives floats, one of Decimals Decimals. Margin
does not move between accounts by itself (method §11): each stands alone, and what one lacks another
may be able to give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Generic

from perptui.model.explanation import AccountRisk
from perptui.model.money import CENT
from perptui.risk.book import Book
from perptui.risk.holding_limits import bound_margin
from perptui.risk.limits import like, share_of
from perptui.risk.liquidation import (
    AccountShock,
    account_maintenance,
    after_moves,
)
from perptui.risk.margin import Number

KEPT_DECIMALS = 12


@dataclass(frozen=True)
class MarginRules:
    """The limits that an account's own equity must carry.

    Attributes
    ----------
    margin_ratio_max : float
        Maintenance over equity; at 0 no equity carries a position, and none is asked for.
    free_collateral_min : float
        Share of equity that no initial margin binds; at 1 as `margin_ratio_max` at 0.
    venue_gross_max : float
        Gross over equity; at 0 as `margin_ratio_max`.
    stress_move, cushion, depeg : float
        (1 + cushion)·MM after common moves of ±stress_move must fit in the stressed equity, of
        which the collateral has lost `depeg`, below 1.
    named : mapping of str to mapping of str to float
        Further stresses: the move of each contract by instrument id; none stays.
    """

    margin_ratio_max: float
    free_collateral_min: float
    venue_gross_max: float
    stress_move: float
    cushion: float = 0.0
    depeg: float = 0.0
    named: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class AccountState(Generic[Number]):
    """One account of a book, USD and fractions.

    Attributes
    ----------
    stressed : number
        Worst stress: loss, depeg and cushioned maintenance together, USD.
    bound : number
        Initial margin.
    required : number
        Least equity with which every margin limit holds.
    to_keep : number
        Least equity that it must keep when it gives some away: `required`, and its gross limit.
    shock : AccountShock
        Common moves that liquidate it.
    """

    name: str
    equity: Number
    maintenance: Number
    stressed: Number
    bound: Number
    required: Number
    to_keep: Number
    shock: AccountShock[Number]

    @property
    def short(self) -> Number:
        """What would have to come in for every margin limit to hold, at least 0."""
        lacking = self.required - self.equity
        return lacking if lacking > 0 else self.equity - self.equity

    @property
    def spare(self) -> Number:
        """What could leave without breaking a limit of its own, at least 0."""
        left = self.equity - self.to_keep
        return left if left > 0 else self.equity - self.equity


@dataclass(frozen=True)
class Transfer(Generic[Number]):
    """An amount that would mend an account, USD; `source` is "" where no other account has it."""

    amount: Number
    source: str


def account_states(book: Book[Number], rules: MarginRules) -> tuple[AccountState[Number], ...]:
    """Return every account of a book.

    Raises
    ------
    ValueError
        When a position has no margin tiers, or a limit leaves no equity that would do.
    """
    _refuse_hopeless(rules)
    return tuple(_state(book, name, equity, rules) for name, equity in book.equity.items())


def _refuse_hopeless(rules: MarginRules) -> None:
    if rules.margin_ratio_max < 0 or rules.free_collateral_min > 1 or rules.depeg >= 1:
        raise ValueError(
            "expected a margin ratio of at least 0, free collateral of at most 1 and depeg below "
            f"1, was {rules.margin_ratio_max:g}, {rules.free_collateral_min:g} and "
            f"{rules.depeg:g}; no equity would do"
        )


def _state(
    book: Book[Number], name: str, equity: Number, rules: MarginRules
) -> AccountState[Number]:
    zero = equity - equity
    legs = book.legs[name]
    needed = account_maintenance(legs, zero)
    bound = sum(
        (bound_margin(one) for one in book.holdings if one.account == name and one.notional != 0),
        zero,
    )
    gross = sum((abs(leg.notional) for leg in legs), zero)
    stresses = _stresses(book, name, rules)
    required = max(
        _carrying(needed, like(zero, rules.margin_ratio_max), equity),
        _carrying(bound, 1 - like(zero, rules.free_collateral_min), equity),
        *(stress.required(equity, like(zero, rules.cushion)) for stress in stresses),
    )
    return AccountState(
        name=name,
        equity=equity,
        maintenance=needed,
        stressed=max(stress.used(equity, like(zero, rules.cushion)) for stress in stresses),
        bound=bound,
        required=required,
        to_keep=max(required, _carrying(gross, like(zero, rules.venue_gross_max), equity)),
        shock=book.shocks[name],
    )


def _carrying(used: Number, share_max: Number, equity: Number) -> Number:
    """Return the equity that `used` is a share of at most `share_max` of.

    At a limit of 0 no equity will do: what is there stays, and more would not mend it.
    """
    if share_max > 0:
        return used / share_max
    return equity if used > 0 else used


@dataclass(frozen=True)
class _Stress(Generic[Number]):
    """The legs of an account after one stress: profit and maintenance, and what equity keeps."""

    profit: Number
    maintenance: Number
    kept: Number

    def required(self, equity: Number, cushion: Number) -> Number:
        """Return the equity before the stress that just carries it, as `_carrying` does."""
        return _carrying((1 + cushion) * self.maintenance - self.profit, self.kept, equity)

    def used(self, equity: Number, cushion: Number) -> Number:
        """Return loss, lost collateral and cushioned maintenance together."""
        return (1 + cushion) * self.maintenance - self.profit + (1 - self.kept) * equity


def _stresses(book: Book[Number], name: str, rules: MarginRules) -> list[_Stress[Number]]:
    """Return the common moves both ways and the named stresses, the collateral moving with both."""
    legs, coin = book.legs[name], book.collateral_beta(name)
    zero = book.equity[name] - book.equity[name]
    move, lost = like(zero, rules.stress_move), like(zero, rules.depeg)
    cases = [([way] * len(legs), coin * way) for way in (move, -move)]
    for named in rules.named.values():
        moves = {identifier: like(zero, one) for identifier, one in named.items()}
        moved = [moves.get(leg.name, zero) for leg in legs]
        cases.append((moved, book.collateral_move(name, moves)))
    return [_Stress(*after_moves(legs, moved, zero), 1 + drift - lost) for moved, drift in cases]


def transfer_to(
    state: AccountState[Number], others: Sequence[AccountState[Number]]
) -> Transfer[Number]:
    """Return what would mend an account, from the other one that has most to spare."""
    amount = state.short
    able = [one for one in others if one.name != state.name and one.spare >= amount]
    if amount == 0 or not able:
        return Transfer(amount, "")
    return Transfer(amount, max(able, key=lambda one: one.spare).name)


def account_risks(book: Book[Decimal], rules: MarginRules) -> tuple[AccountRisk, ...]:
    """Return the record of every account of an exact book.

    The transfer is rounded up to a cent, so that the limits hold with it.

    Raises
    ------
    ValueError
        As `account_states` does.
    """
    states = account_states(book, rules)
    return tuple(_record(state, states) for state in states)


def _record(state: AccountState[Decimal], states: Sequence[AccountState[Decimal]]) -> AccountRisk:
    whole = replace(state, required=state.required.quantize(CENT, rounding=ROUND_CEILING))
    transfer = transfer_to(whole if state.short > 0 else state, states)
    shock = state.shock
    return AccountRisk(
        name=state.name,
        equity_usd=state.equity,
        maintenance_usd=_cents(state.maintenance),
        margin_ratio=_kept(share_of(state.maintenance, state.equity)),
        stressed_ratio=_kept(share_of(state.stressed, state.equity)),
        free_usd=_cents(state.equity - state.bound),
        liquidation_down=None if shock.down is None else _kept(shock.down),
        liquidation_up=None if shock.up is None else _kept(shock.up),
        liquidation_down_leg=shock.down_leg,
        liquidation_up_leg=shock.up_leg,
        transfer_usd=transfer.amount.quantize(CENT, rounding=ROUND_CEILING),
        transfer_from=transfer.source,
    )


def _cents(usd: Decimal) -> Decimal:
    return usd.quantize(CENT, rounding=ROUND_HALF_EVEN)


def _kept(share: Decimal | float) -> float:
    return round(float(share), KEPT_DECIMALS)
