"""Where positions and accounts are liquidated (method §11).

Standard library only, and generic: floats in give floats, Decimals in give Decimals; the two must
not be mixed in one call. A cross-margin account is liquidated when its equity is no more than the
sum of its maintenance margins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Generic

from perptui.risk.margin import Number, Tier, maintenance

HALVINGS = 96
DOUBLINGS = 64
NARROWINGS = 12
FINE = 10**15
"""A move is found to this part of itself; the account is liquidated at what is returned."""
LAST_DIGITS = (24, 15, 13, 9)
"""Places at which rounding may hide the root, of Decimals and of floats."""
SHOCKS_KEPT = 64
"""Books whose shock is kept: a what-if asks for the same one in checks, figures and panels."""


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
    def still(self) -> Exposure[Number]:
        """The same leg at a price that stays."""
        return replace(self, beta=0)

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
    profit = equity * collateral_beta * move
    for leg in exposures:
        if leg.beta:
            profit = profit + leg.notional * leg.beta * move
    return equity + profit - account_maintenance(exposures, move)


def account_shock(
    equity: Number,
    exposures: Sequence[Exposure[Number]],
    collateral_beta: Number | int = 0,
) -> AccountShock[Number]:
    """Return the common price moves that liquidate an account, both ways, by bisection.

    Parameters
    ----------
    equity : number
        Wallet plus unrealised P&L of the account, USD.
    exposures : sequence of Exposure
        All legs of the account: leaving legs out gives a distance that is simply wrong.
    collateral_beta : number
        See `account_excess`.
    """
    found: AccountShock[Number] = _kept_shock(equity, tuple(exposures), collateral_beta)
    return found


@lru_cache(maxsize=SHOCKS_KEPT, typed=True)
def _kept_shock(
    equity: Any, exposures: tuple[Exposure[Any], ...], collateral_beta: Any
) -> AccountShock[Any]:
    """Return the shock of one account; the same book is asked about by checks and by figures."""
    return _shock(equity, exposures, collateral_beta)


def _shock(
    equity: Number, exposures: Sequence[Exposure[Number]], collateral_beta: Number | int
) -> AccountShock[Number]:
    def excess(move: Number) -> Number:
        return account_excess(equity, exposures, move, collateral_beta)

    zero = equity - equity
    if not exposures:
        return AccountShock(None, None, "", "")
    if excess(zero) <= 0:
        worst = max(exposures, key=lambda leg: abs(leg.notional)).name
        return AccountShock(zero, zero, worst, worst)
    betas = [leg.beta for leg in exposures]
    down = _root(excess, zero, -1, _first_zero_price(zero, [-beta for beta in betas]))
    up = _root(excess, zero, 1, _first_zero_price(zero, betas))
    return AccountShock(
        down,
        up,
        "" if down is None else _largest_loss(exposures, down),
        "" if up is None else _largest_loss(exposures, up),
    )


def _first_zero_price(zero: Number, betas: Sequence[Number | int]) -> Number | None:
    """Return the size of the move at which a first price reaches zero, None when none does."""
    steepest = min(betas)
    return (zero + 1) / -steepest if steepest < 0 else None


def _root(
    excess: Callable[[Number], Number], zero: Number, sign: int, limit: Number | None
) -> Number | None:
    # The excess is concave and positive here: positive at the far end, it is so all the way.
    farthest = sign * 2**DOUBLINGS if limit is None else sign * limit
    if excess(zero + farthest) > 0:
        return None
    inside, outside = zero, zero + (sign if limit is None else farthest)
    while excess(outside) > 0:
        inside, outside = outside, outside * 2
    inside, outside = _narrowed(excess, inside, outside)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if middle in (inside, outside) or abs(outside - inside) * FINE <= abs(outside):
            break
        if excess(middle) > 0:
            inside = middle
        else:
            outside = middle
    return outside


def _narrowed(
    excess: Callable[[Number], Number], inside: Number, outside: Number
) -> tuple[Number, Number]:
    """Return a bracket of the same root that is a few last digits wide, in few evaluations.

    The excess is concave and piecewise linear: chords meet zero before the root, and the line
    through two moves before it meets zero after it. On the root's own piece both are exact.
    """
    before, after = excess(inside), excess(outside)
    for _ in range(NARROWINGS):
        chord = inside + (outside - inside) * before / (before - after)
        if chord in (inside, outside):
            break
        value = excess(chord)
        if value <= 0:
            outside, after = chord, value
            continue
        slope = (before - value) / (chord - inside)
        inside, before = chord, value
        ahead = chord + value / slope if slope * (outside - inside) > 0 else outside
        if abs(inside) < abs(ahead) < abs(outside):
            value = excess(ahead)
            if value <= 0:
                outside, after = ahead, value
            else:
                inside, before = ahead, value
    for digits in LAST_DIGITS:
        near = inside + inside / 10**digits
        if abs(inside) < abs(near) < abs(outside) and excess(near) <= 0:
            return inside, near
        near = outside - outside / 10**digits
        if abs(inside) < abs(near) < abs(outside) and excess(near) > 0:
            return near, outside
    return inside, outside


def _largest_loss(exposures: Sequence[Exposure[Number]], move: Number) -> str:
    return min(exposures, key=lambda leg: leg.notional * leg.beta * move).name


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
    if name not in {leg.name for leg in exposures}:
        raise ValueError(f"expected a leg named {name}, was none; name one of the account's")
    alone = [replace(leg, beta=1) if leg.name == name else leg.still for leg in exposures]
    return _shock(equity, alone, collateral_beta)


def liquidation_price(
    quantity: Number,
    entry_price: Number,
    wallet: Number,
    tiers: Sequence[Tier[Number]],
    others_unrealised: Number | int = 0,
    others_maintenance: Number | int = 0,
) -> Number | None:
    """Return the price at which one linear leg liquidates a cross account, the others frozen.

    LP = (WB + UPNL_oth - TMM_oth + c_k - s·q·EP) / (q·(r_k - s)), with the tier at LP, not at
    entry: equity less margin is monotone in the price, so exactly one tier agrees with itself.

    Parameters
    ----------
    quantity : number
        Signed base quantity (contracts x contract size), not 0.
    wallet : number
        Collateral without unrealised P&L, USD.
    others_unrealised, others_maintenance : number
        Of the account's other legs, USD; the first is signed.

    Returns
    -------
    number or None
        USD; None when no positive price does it.
    """
    sign = 1 if quantity > 0 else -1
    size = abs(quantity)
    free = wallet + others_unrealised - others_maintenance - quantity * entry_price
    for index, tier in enumerate(tiers):
        price = (free + tier.deduction_usd) / (size * (tier.rate - sign))
        last = index + 1 == len(tiers)
        if tier.floor_usd <= size * price and (last or size * price < tiers[index + 1].floor_usd):
            return price if price > 0 else None
    return None


def inverse_liquidation_price(
    contracts: Number,
    contract_usd: Number,
    entry_price: Number,
    wallet_coin: Number,
    tiers: Sequence[Tier[Number]],
) -> Number | None:
    """Return the price at which one inverse leg liquidates its coin-margined account.

    W + s·N·(1/EP - 1/P) = MM(N)/P, N = contracts·contract_usd fixed in USD, W in coin, so that
    P = (s·N + MM) / (W + s·N/EP).

    Returns
    -------
    number or None
        USD per coin; None when no positive price does it (a short no larger than its collateral).
    """
    notional = contracts * contract_usd
    coin = wallet_coin + notional / entry_price
    if coin == 0:
        return None
    price = (notional + maintenance(notional, tiers)) / coin
    return price if price > 0 else None
