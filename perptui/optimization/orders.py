"""Orders of a rebalance: reductions first, flips in two, each at the collar (method §6, Lots)."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.limit import Limits
from perptui.model.money import ZERO, decimal_of, to_cents
from perptui.model.order import Effect, OrderIntent, Side
from perptui.optimization.costs import trade_costs
from perptui.optimization.inputs import Contract, ProgramInputs
from perptui.optimization.lots import IntArray
from perptui.risk.collar import collar_bps, limit_price


def positions_after(inputs: ProgramInputs, steps: IntArray) -> tuple[Decimal, ...]:
    """Return the signed contracts of each position after the trade, exactly."""
    return tuple(
        contract.position + int(count) * contract.instrument.step
        for contract, count in zip(inputs.contracts, steps, strict=True)
    )


def orders_of(inputs: ProgramInputs, steps: IntArray, limits: Limits) -> tuple[OrderIntent, ...]:
    """Return the orders of a trade in steps, reductions before additions, then by size.

    Parameters
    ----------
    limits : Limits
        Their collars are the distance of each limit price from the mark, rounded towards it.

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
                legs.append(_order(inputs, index, start, end, limits))
    legs.sort(key=lambda leg: (not leg.reduce_only, -leg.notional_usd, leg.id))
    return tuple(legs)


def _limit_price(contract: Contract, side: Side, limits: Limits, *, reducing: bool) -> Decimal:
    annual = None if contract.forecast is None else contract.forecast.volatility.combined
    collar = collar_bps(limits, annual, reducing=reducing)
    try:
        return limit_price(contract.mark, contract.instrument.tick, side, collar)
    except ValueError as error:
        raise OptimizationError(f"{contract.id}: {error}") from None


def _order(
    inputs: ProgramInputs, index: int, start: Decimal, end: Decimal, limits: Limits
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
        limit_price=_limit_price(contract, side, limits, reducing=reducing),
        mark_price=contract.mark,
        reduce_only=reducing,
        before=start,
        after=end,
        fee_usd=to_cents(notional * contract.instrument.taker_fee),
        slippage_usd=_slippage(inputs, index, notional),
    )


def _slippage(inputs: ProgramInputs, index: int, notional: Decimal) -> Decimal:
    """Return half-spread plus impact of one order, USD."""
    trade = np.zeros(len(inputs.contracts))
    trade[index] = float(notional / inputs.equity)
    fee = float(inputs.contracts[index].instrument.taker_fee)
    cost = trade_costs(trade, inputs.linear_cost - fee, inputs.impact)[index]
    return to_cents(decimal_of(max(float(cost), 0.0) * float(inputs.equity), "slippage"))
