"""Orders of a rebalance: reductions first, flips in two, each at the collar (method §6, Lots)."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.money import ZERO, ceil_to_tick, decimal_of, floor_to_tick
from perptui.model.order import Effect, OrderIntent, Side
from perptui.optimization.costs import trade_costs
from perptui.optimization.inputs import Contract, ProgramInputs
from perptui.optimization.lots import IntArray

CENT = Decimal("0.01")
BASIS_POINT = Decimal("0.0001")


def positions_after(inputs: ProgramInputs, steps: IntArray) -> tuple[Decimal, ...]:
    """Return the signed contracts of each position after the trade, exactly."""
    return tuple(
        contract.position + int(count) * contract.instrument.step
        for contract, count in zip(inputs.contracts, steps, strict=True)
    )


def orders_of(inputs: ProgramInputs, steps: IntArray, collar_bps: float) -> tuple[OrderIntent, ...]:
    """Return the orders of a trade in steps, reductions before additions, then by size.

    Parameters
    ----------
    collar_bps : float
        Distance of each limit price from the mark, basis points, rounded towards the mark.

    Raises
    ------
    OptimizationError
        When a collar leaves no positive price.
    """
    legs: list[OrderIntent] = []
    for index, after in enumerate(positions_after(inputs, steps)):
        contract = inputs.contracts[index]
        before = contract.position
        middle = ZERO if before * after < 0 else after
        for start, end in ((before, middle), (middle, after)):
            if start != end:
                legs.append(_order(inputs, index, start, end, collar_bps))
    legs.sort(key=lambda leg: (not leg.reduce_only, -leg.notional_usd, leg.id))
    return tuple(legs)


def limit_price(contract: Contract, side: Side, collar_bps: float) -> Decimal:
    """Return mark·(1 + c) floored to the tick for a buy, mark·(1 - c) ceiled for a sell."""
    collar = decimal_of(collar_bps, "collar") * BASIS_POINT
    tick = contract.instrument.tick
    if side is Side.BUY:
        price = floor_to_tick(contract.mark * (1 + collar), tick)
    else:
        price = ceil_to_tick(contract.mark * (1 - collar), tick)
    if price <= 0:
        raise OptimizationError(
            f"expected a positive limit price of {contract.id}, was {price}; narrow the collar"
        )
    return price


def _order(
    inputs: ProgramInputs, index: int, start: Decimal, end: Decimal, collar_bps: float
) -> OrderIntent:
    contract = inputs.contracts[index]
    contracts = abs(end - start)
    side = Side.BUY if end > start else Side.SELL
    reducing = abs(end) < abs(start)
    notional = contracts * contract.usd_per_contract
    return OrderIntent(
        id=contract.id,
        side=side,
        effect=Effect.REDUCE if reducing else Effect.ADD,
        contracts=contracts,
        notional_usd=notional,
        limit_price=limit_price(contract, side, collar_bps),
        mark_price=contract.mark,
        reduce_only=reducing,
        before=start,
        after=end,
        fee_usd=(notional * contract.instrument.taker_fee).quantize(CENT),
        slippage_usd=_slippage(inputs, index, notional),
    )


def _slippage(inputs: ProgramInputs, index: int, notional: Decimal) -> Decimal:
    """Return half-spread plus impact of one order, USD."""
    trade = np.zeros(len(inputs.contracts))
    trade[index] = float(notional / inputs.equity)
    fee = float(inputs.contracts[index].instrument.taker_fee)
    cost = trade_costs(trade, inputs.linear_cost - fee, inputs.impact)[index]
    return decimal_of(max(float(cost), 0.0) * float(inputs.equity), "slippage").quantize(CENT)
