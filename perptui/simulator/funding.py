"""Funding at a settlement: longs pay shorts when the rate is above zero."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.money import ZERO
from perptui.simulator.accounts import MarginAccount, booked
from perptui.simulator.market import Settlement


def rate_decimal(rate: float) -> Decimal:
    """Return a funding rate as the venue states it, to 1e-8."""
    return booked(Decimal(repr(rate)))


def settle(account: MarginAccount, settlement: Settlement, mark: Decimal) -> Decimal:
    """Book one settlement and return it: -quantity x mark x rate, USD.

    Only what is held at the stamp pays, at the mark of the stamp.
    """
    quantity = account.quantity(settlement.symbol)
    if not quantity:
        return ZERO
    amount = -quantity * mark * rate_decimal(settlement.rate)
    return account.book(settlement.ts_ms, "FUNDING_FEE", settlement.symbol, amount)
