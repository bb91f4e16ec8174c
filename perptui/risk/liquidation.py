"""Where positions and accounts are liquidated (method §11).

Standard library only, and generic: floats in give floats, Decimals in give Decimals; the two must
not be mixed in one call. A cross-margin account is liquidated when its equity is no more than the
sum of its maintenance margins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import sub
from typing import Generic

from perptui.risk.margin import Number, Tier, maintenance, steepest

FARTHEST = 2**64
"""The largest move that is looked at where no price reaches zero before."""


@dataclass(frozen=True)
class Exposure(Generic[Number]):
    """One leg of a margin account.

    Attributes
    ----------
    name : str
        Instrument id.
    notional : number
        Signed, USD, at the mark (inverse: contracts x USD per contract).
    tiers : sequence of Tier
        Maintenance schedule in USD.
    beta : number
        Move of this contract's price per common move; 1 where nothing better is known.
    linear : bool
        False for an inverse contract, whose USD notional does not move with its price.
    """

    name: str
    notional: Number
    tiers: Sequence[Tier[Number]]
    beta: Number | int = 1
    linear: bool = True

    @cached_property
    def margin(self) -> Number:
        """Maintenance margin at the mark, USD."""
        return maintenance(self.notional, self.tiers)


@dataclass(frozen=True)
class AccountShock(Generic[Number]):
    """The common moves at which an account is liquidated: ``down < 0 < up``.

    None: no move that way does it (prices stop at zero). Both 0: it is liquidated already.
    `down_leg` and `up_leg` name the leg with the largest share of the loss there.
    """

    down: Number | None
    up: Number | None
    down_leg: str
    up_leg: str


def account_maintenance(exposures: Sequence[Exposure[Number]], move: Number) -> Number:
    """Return the sum of maintenance margins after a common move (fraction), USD."""
    total = move - move
    for leg in exposures:
        if leg.linear and leg.beta:
            total = total + maintenance(leg.notional * (1 + leg.beta * move), leg.tiers)
        else:  # No move changes it: its price stays, or its notional does.
            total = total + leg.margin
    return total


_Moved = tuple[Exposure[Number], Number | int]
"""A leg and how far its price moves per common move."""


def account_excess(
    equity: Number,
    exposures: Sequence[Exposure[Number]],
    move: Number,
    collateral_beta: Number | int = 0,
) -> Number:
    """Return equity less maintenance margins after a common move, USD.

    E·(1 + b_c·x) + sum s_i·N_i·b_i·x - sum MM_i(N_i(1 + b_i·x)), concave in x. `collateral_beta`
    b_c is 0 for a stablecoin and 1 where the collateral is the coin itself (inverse contracts:
    the equity, kept in coin, moves with the price too); where linear legs have earned dollars in
    the same account, the coin's share of the equity.
    """
    return _excess_at(move, equity, [(leg, leg.beta) for leg in exposures], collateral_beta)


def _excess_at(
    move: Number, equity: Number, legs: Iterable[_Moved[Number]], collateral_beta: Number | int
) -> Number:
    profit, margin = equity * collateral_beta * move, move - move
    for leg, beta in legs:
        if beta:
            profit = profit + leg.notional * beta * move
        if beta and leg.linear:
            margin = margin + maintenance(leg.notional * (1 + beta * move), leg.tiers)
        else:  # No move changes it: its price stays, or its notional does.
            margin = margin + leg.margin
    return equity + profit - margin


def after_moves(
    exposures: Sequence[Exposure[Number]], moves: Sequence[Number], zero: Number
) -> tuple[Number, Number]:
    """Return what the legs earn and their maintenance after each one's own price move, USD."""
    profit, margin = zero, zero
    for leg, move in zip(exposures, moves, strict=True):
        if move:
            profit = profit + leg.notional * move
        if move and leg.linear:
            margin = margin + maintenance(leg.notional * (1 + move), leg.tiers)
        else:  # No move changes it: its price stays, or its notional does.
            margin = margin + leg.margin
    return profit, margin


def account_shock(
    equity: Number,
    exposures: Sequence[Exposure[Number]],
    collateral_beta: Number | int = 0,
) -> AccountShock[Number]:
    """Return the common price moves that liquidate an account, both ways.

    Parameters
    ----------
    equity : number
        Wallet plus unrealised P&L of the account, USD.
    exposures : sequence of Exposure
        All legs of the account: leaving legs out gives a distance that is simply wrong.
    collateral_beta : number
        See `account_excess`.
    """
    return _shock(equity, [(leg, leg.beta) for leg in exposures], collateral_beta)


class _Excess(Generic[Number]):
    """Equity less maintenance of one account as a function of the move: concave, of lines.

    E + (E·b_c + sum N_i·b_i)·x - sum MM_i(|N_i|·(1 + b_i·x)); what no move changes is summed once.
    """

    def __init__(
        self, equity: Number, legs: Iterable[_Moved[Number]], collateral_beta: Number | int
    ) -> None:
        self._legs: tuple[_Moved[Number], ...] = tuple(legs)
        self._collateral_beta: Number | int = collateral_beta
        self._equity: Number = equity
        self._kept: Number = equity
        self._earned: Number = equity * collateral_beta
        self._moving: list[tuple[Number, Number, Sequence[Tier[Number]]]] = []
        for leg, beta in self._legs:
            if beta:
                self._earned = self._earned + leg.notional * beta
            if beta and leg.linear:
                size = abs(leg.notional)
                self._moving.append((size, size * beta, leg.tiers))
            else:  # No move changes it: its price stays, or its notional does.
                self._kept = self._kept - leg.margin

    @cached_property
    def at_rest(self) -> tuple[Number, Number]:
        """The line at no move."""
        return self.line(self._earned - self._earned)

    def in_full(self, move: Number) -> Number:
        """Return the function at a move, by its terms."""
        return _excess_at(move, self._equity, self._legs, self._collateral_beta)

    def line(self, move: Number) -> tuple[Number, Number]:
        """Return what the function's line at a move is at 0, and its slope.

        At the move itself no price may be below zero.
        """
        start, slope = self._kept, self._earned
        for size, grows, tiers in self._moving:
            tier, _ = steepest(size + grows * move, tiers)
            start = start - (tier.rate * size - tier.deduction_usd)
            slope = slope - tier.rate * grows
        return start, slope

    def root(self, sign: int, farthest: Number) -> Number | None:
        """Return where it comes down to 0, towards `sign`; None: not before `farthest`.

        It is positive at 0. Lines of a concave function lie above it: the one at 0, and from
        beyond the root the one at each move, meets zero beyond the root or at it, there on the
        root's own tiers. That is the closed form, after as many steps as tiers change on the way.
        """
        move = sign * farthest
        nearer = _zero_before(self.at_rest, move)
        if nearer is None:
            # In full: where all is lost at a price of zero, a line's digits would not tell.
            if self.in_full(move) > 0:
                return None
            nearer = _zero_before(self.line(move), move)
        while nearer is not None:
            move = nearer
            nearer = _zero_before(self.line(move), move)
        return move


class _Alone(_Excess[Number]):
    """The same where the price of one leg moves alone, the margins of all others frozen."""

    def __init__(
        self,
        equity: Number,
        leg: Exposure[Number],
        others: tuple[Sequence[Number], Sequence[Number]],
        collateral_beta: Number | int,
    ) -> None:
        """Take the margins of the legs before it, and of those after it."""
        self._leg: Exposure[Number] = leg
        self._before: Sequence[Number] = others[0]
        self._after: Sequence[Number] = others[1]
        self._collateral_beta, self._equity = collateral_beta, equity
        kept: Number = reduce(sub, self._before, equity)
        kept = kept if leg.linear else kept - leg.margin
        self._kept = reduce(sub, self._after, kept)
        self._earned = equity * collateral_beta + leg.notional
        size = abs(leg.notional)
        self._moving = [(size, size, leg.tiers)] if leg.linear else []

    def in_full(self, move: Number) -> Number:
        """Return the function at a move, by its terms."""
        leg = self._leg
        profit = self._equity * self._collateral_beta * move + leg.notional * move
        moved = maintenance(leg.notional * (1 + move), leg.tiers) if leg.linear else leg.margin
        margin: Number = sum(self._before, move - move) + moved
        return self._equity + profit - sum(self._after, margin)


def _zero_before(line: tuple[Number, Number], move: Number) -> Number | None:
    """Return where a line (value at 0, slope) is zero between no move and this one, if it is."""
    start, slope = line
    if not start > 0 or not slope * move < 0:
        return None
    zero = -start / slope
    return zero if abs(zero) < abs(move) else None


def _shock(
    equity: Number, legs: Sequence[_Moved[Number]], collateral_beta: Number | int
) -> AccountShock[Number]:
    zero = equity - equity
    if not legs:
        return AccountShock(None, None, "", "")
    excess = _Excess(equity, legs, collateral_beta)
    if _excess_at(zero, equity, legs, collateral_beta) <= 0:
        worst = max(legs, key=lambda one: abs(one[0].notional))[0].name
        return AccountShock(zero, zero, worst, worst)
    betas = [beta for _, beta in legs]
    down = excess.root(-1, _first_zero_price(zero, [-beta for beta in betas]))
    up = excess.root(1, _first_zero_price(zero, betas))
    return AccountShock(
        down,
        up,
        "" if down is None else _largest_loss(legs, down),
        "" if up is None else _largest_loss(legs, up),
    )


def _first_zero_price(zero: Number, betas: Sequence[Number | int]) -> Number:
    """Return the size of the move at which a first price reaches zero, `FARTHEST` if none does."""
    steepest_fall = min(betas)
    return (zero + 1) / -steepest_fall if steepest_fall < 0 else zero + FARTHEST


def _largest_loss(legs: Sequence[_Moved[Number]], move: Number) -> str:
    return min(legs, key=lambda one: one[0].notional * one[1] * move)[0].name


def leg_shock(
    equity: Number,
    exposures: Sequence[Exposure[Number]],
    name: str,
    collateral_beta: Number | int = 0,
) -> AccountShock[Number]:
    """Return the moves of one contract's own price that liquidate its account, the others frozen.

    For any mixture of linear and inverse legs: in USD either earns notional times the move. One
    price may liquidate both ways, where coin is the collateral or the tiers are steep.

    Parameters
    ----------
    equity : number
        Wallet plus unrealised P&L of the account at the marks of `exposures`, USD.
    name : str
        Instrument id of the leg that moves.
    collateral_beta : number
        Move of the collateral's own price per move of this one: 1 where it is the same coin.

    Raises
    ------
    ValueError
        When no leg has this name.
    """
    place = next((at for at, leg in enumerate(exposures) if leg.name == name), None)
    if place is None:
        raise ValueError(f"expected a leg named {name}, was none; name one of the account's")
    return _alone(equity, exposures, [leg.margin for leg in exposures], place, collateral_beta)


def leg_shocks(
    equity: Number, exposures: Sequence[Exposure[Number]], collateral_betas: Sequence[int]
) -> tuple[AccountShock[Number], ...]:
    """Return `leg_shock` of every leg; their margins, which all of them share, are asked once."""
    margins = [leg.margin for leg in exposures]
    return tuple(
        _alone(equity, exposures, margins, place, beta)
        for place, beta in enumerate(collateral_betas)
    )


def _alone(
    equity: Number,
    exposures: Sequence[Exposure[Number]],
    margins: Sequence[Number],
    place: int,
    collateral_beta: Number | int,
) -> AccountShock[Number]:
    zero, leg = equity - equity, exposures[place]
    if equity - sum(margins, zero) <= 0:
        worst = max(exposures, key=lambda one: abs(one.notional)).name
        return AccountShock(zero, zero, worst, worst)
    others = margins[:place], margins[place + 1 :]
    excess = _Alone(equity, leg, others, collateral_beta)
    down, up = excess.root(-1, zero + 1), excess.root(1, zero + FARTHEST)
    names = ("" if move is None else _loser(exposures, leg, move) for move in (down, up))
    return AccountShock(down, up, *names)


def _loser(exposures: Sequence[Exposure[Number]], leg: Exposure[Number], move: Number) -> str:
    """Return the leg that moves alone where it loses by it, else one that does not move."""
    if leg.notional * move < 0:
        return leg.name
    return _largest_loss([(one, int(one is leg)) for one in exposures], move)
