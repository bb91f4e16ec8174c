"""At which price of its own one position liquidates its account (method §11), in closed form.

Standard library only, and generic as `perptui.risk.liquidation`, which takes accounts of any legs.
"""

from __future__ import annotations

from collections.abc import Sequence

from perptui.risk.margin import Number, Tier, maintenance


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
