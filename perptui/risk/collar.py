"""The collar: how far the limit price of an order may be from its mark, and the price it gives.

One rule for the orders of a proposal, the prices of a ticket and the gate.
"""

from __future__ import annotations

import math
from decimal import Decimal

from perptui.model.limit import Limits
from perptui.model.money import ceil_to_tick, decimal_of, floor_to_tick
from perptui.model.order import Side

SIGMAS = 3.0
COLLAR_SECONDS = 30.0
YEAR_SECONDS = 365 * 24 * 3600
BPS = Decimal(10_000)


def collar_bps(limits: Limits, volatility_annual: float | None, *, reducing: bool) -> float:
    """Return how far a limit price may be from its mark, basis points.

    Reducing legs: max(collar, 3 sigma of 30 s) up to their own bound; in crisis hours a fixed
    collar would void every confirmation that matters. Others: the collar; what adds can wait for
    a calmer price, and a wide one would pay away what it is there to bound.

    Parameters
    ----------
    volatility_annual : float | None
        Of the contract, fraction; None: not estimated, the collar stays narrow.
    """
    narrow = limits.collar_bps
    if not reducing or volatility_annual is None:
        return narrow
    wide = SIGMAS * volatility_annual * math.sqrt(COLLAR_SECONDS / YEAR_SECONDS) * 10_000
    return max(narrow, min(wide, limits.collar_reducing_max_bps))


def collar_width(mark: Decimal, bps: float) -> Decimal:
    """Return the collar of `mark` as a distance in its own unit."""
    return mark * decimal_of(bps, "collar") / BPS


def limit_price(mark: Decimal, tick: Decimal, side: Side, bps: float) -> Decimal:
    """Return mark·(1 + c) floored to the tick for a buy, mark·(1 - c) ceiled for a sell.

    Raises
    ------
    ValueError
        When the collar leaves no positive price.
    """
    width = collar_width(mark, bps)
    buying = side is Side.BUY
    price = floor_to_tick(mark + width, tick) if buying else ceil_to_tick(mark - width, tick)
    if price <= 0:
        raise ValueError(f"expected a positive limit price, was {price}; narrow the collar")
    return price
