"""Orders of a rebalance: reductions first, flips in two, each at the collar (method §6, Lots)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

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
    moves = _moves(inputs, positions_after(inputs, steps))
    spent = zip(moves, _slippages(inputs, moves), strict=True)
    legs = [_order(inputs, move, slippage, limits) for move, slippage in spent]
    legs.sort(key=lambda leg: (not leg.reduce_only, -leg.notional_usd, leg.id))
    return tuple(legs)


def cost_of(inputs: ProgramInputs, after: Sequence[Decimal]) -> Decimal:
    """Return fees and slippage of the orders that lead to a book, USD.

    Parameters
    ----------
    after : sequence of Decimal
        Signed contracts of each position of that book.
    """
    moves = _moves(inputs, after)
    fees = (_fee_usd(inputs, move) for move in moves)
    return sum((*fees, *_slippages(inputs, moves)), ZERO)


def beyond_limits(orders: Sequence[OrderIntent], limits: Limits) -> tuple[str, ...]:
    """Return in words which limits on orders and on one ticket these are beyond, exactly."""
    texts = []
    if len(orders) > limits.ticket_legs_max:
        texts.append(
            f"{len(orders)} orders are more than the {limits.ticket_legs_max} of one ticket; "
            "fix some targets"
        )
    most, whole = limits.order_notional_max_usd, limits.ticket_notional_max_usd
    texts += [
        f"{leg.id}: an order of {leg.notional_usd:.2f} USD is above order_notional_max_usd {most}"
        for leg in orders
        if leg.notional_usd > most
    ]
    total = sum((leg.notional_usd for leg in orders), ZERO)
    if total > whole:
        texts.append(f"orders of {total:.2f} USD are above ticket_notional_max_usd {whole}")
    return tuple(texts)


def _limit_price(contract: Contract, side: Side, limits: Limits, *, reducing: bool) -> Decimal:
    annual = None if contract.forecast is None else contract.forecast.volatility.combined
    collar = collar_bps(limits, annual, reducing=reducing)
    try:
        return limit_price(contract.mark, contract.instrument.tick, side, collar)
    except ValueError as error:
        raise OptimizationError(f"{contract.id}: {error}") from None


class _Move(NamedTuple):
    """One order: the contract's place, and its signed contracts before and after."""

    place: int
    start: Decimal
    end: Decimal


def _moves(inputs: ProgramInputs, after: Sequence[Decimal]) -> list[_Move]:
    """Return the moves to a book; one across zero is two."""
    moves: list[_Move] = []
    for index, (contract, wanted) in enumerate(zip(inputs.contracts, after, strict=True)):
        before = contract.position
        middle = ZERO if before * wanted < 0 else wanted
        for start, end in ((before, middle), (middle, wanted)):
            if start != end:
                moves.append(_Move(index, start, end))
    return moves


def _fee_usd(inputs: ProgramInputs, move: _Move) -> Decimal:
    contract = inputs.contracts[move.place]
    notional = abs(move.end - move.start) * contract.usd_per_contract
    return to_cents(notional * contract.instrument.taker_fee)


def _order(
    inputs: ProgramInputs, move: _Move, slippage_usd: Decimal, limits: Limits
) -> OrderIntent:
    contract, start, end = inputs.contracts[move.place], move.start, move.end
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
        fee_usd=_fee_usd(inputs, move),
        slippage_usd=slippage_usd,
    )


def _slippages(inputs: ProgramInputs, moves: Sequence[_Move]) -> list[Decimal]:
    """Return half-spread plus impact of each order, USD.

    Of a flip's second order, what it adds to that of the first: they go into one market.
    """
    at = [move.place for move in moves]
    trades = np.array([_trades(inputs, move) for move in moves]).reshape(-1, 2).T
    fees = np.array([float(inputs.contracts[index].instrument.taker_fee) for index in at])
    before, after = trade_costs(trades, inputs.linear_cost[at] - fees, inputs.impact[at])
    costs = np.maximum(after - before, 0.0) * float(inputs.equity)
    return [to_cents(decimal_of(cost, "slippage")) for cost in costs.tolist()]


def _trades(inputs: ProgramInputs, move: _Move) -> tuple[float, float]:
    """Return what is traded of a contract before and after one of its orders, as weights."""
    contract = inputs.contracts[move.place]
    value = contract.usd_per_contract / inputs.equity
    start, end = ((at - contract.position) * value for at in (move.start, move.end))
    return float(start), float(end)
