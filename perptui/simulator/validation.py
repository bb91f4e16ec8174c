"""What an order must satisfy before it meets the book; first fault first, as the venue checks."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.money import ZERO
from perptui.model.order import Side
from perptui.risk.contract_rules import ContractRules
from perptui.risk.margin import leverage_allowed, notional_allowed
from perptui.simulator.accounts import MarginAccount
from perptui.simulator.orders import Order, OrderRequest, OrderType, Reason, Refused


def check_filters(request: OrderRequest, rules: ContractRules, mark: Decimal) -> None:
    """Refuse quantities and prices that the contract does not have.

    Raises
    ------
    Refused
        With the first reason found.
    """
    check_quantity(request, rules)
    if request.price is not None:
        _check_price(request, rules, mark)
    price = mark if request.price is None else request.price
    if not request.reduce_only and request.quantity * price < rules.min_notional:
        raise Refused(Reason.NOTIONAL, str(rules.min_notional))


def check_quantity(request: OrderRequest, rules: ContractRules) -> None:
    """Refuse a quantity that the contract does not have.

    Raises
    ------
    Refused
        With the first reason found.
    """
    quantity = request.quantity
    if quantity <= 0:
        raise Refused(Reason.QUANTITY_ZERO)
    if _decimals(quantity) > rules.quantity_decimals:
        raise Refused(Reason.PRECISION)
    if quantity % rules.step:
        raise Refused(Reason.STEP)
    largest = rules.max_limit if request.kind is OrderType.LIMIT else rules.max_market
    if quantity > largest:
        raise Refused(Reason.QUANTITY_MAX, str(largest))


def _check_price(request: OrderRequest, rules: ContractRules, mark: Decimal) -> None:
    price = request.price
    if price is None or price <= 0:
        raise Refused(Reason.PRICE_ZERO)
    if _decimals(price) > rules.price_decimals + 1:
        raise Refused(Reason.PRECISION)
    if price % rules.tick:
        raise Refused(Reason.TICK)
    highest, lowest = mark * (1 + rules.band), mark * (1 - rules.band)
    if request.side is Side.BUY and price > highest:
        raise Refused(Reason.PRICE_HIGH, str(highest // rules.tick * rules.tick))
    if request.side is Side.SELL and price < lowest:
        raise Refused(Reason.PRICE_LOW, str(-(-lowest // rules.tick) * rules.tick))


def check_trigger(price: Decimal, rules: ContractRules) -> None:
    """Refuse a trigger price that the contract does not have; the band is no bound of it.

    Raises
    ------
    Refused
        PRICE_ZERO, PRECISION or TICK.
    """
    if price <= 0:
        raise Refused(Reason.PRICE_ZERO)
    if _decimals(price) > rules.price_decimals + 1:
        raise Refused(Reason.PRECISION)
    if price % rules.tick:
        raise Refused(Reason.TICK)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def reducible(account: MarginAccount, resting: list[Order], request: OrderRequest) -> Decimal:
    """Return how much of the position a reduce-only order of that side may still take."""
    held = account.quantity(request.symbol)
    against = -held if request.side is Side.BUY else held
    spoken_for = sum(
        (
            order.remaining
            for order in resting
            if order.request.reduce_only and order.request.side is request.side
        ),
        ZERO,
    )
    return max(ZERO, against - spoken_for)


def worst_quantity(held: Decimal, resting: list[Order]) -> Decimal:
    """Return the largest |position| that fills of resting orders could lead to."""
    opening = [order for order in resting if not order.request.reduce_only]
    bought = sum((o.remaining for o in opening if o.request.side is Side.BUY), ZERO)
    sold = sum((o.remaining for o in opening if o.request.side is Side.SELL), ZERO)
    return max(abs(held + bought), abs(held - sold))


def check_leverage(
    quantity: Decimal, mark: Decimal, leverage: Decimal, rules: ContractRules
) -> None:
    """Refuse a position above what the leverage allows.

    Raises
    ------
    Refused
        POSITION_LIMIT.
    """
    bound = notional_allowed(min(leverage, rules.tiers[0].max_leverage), rules.tiers)
    if bound is not None and quantity * mark > bound:
        raise Refused(Reason.POSITION_LIMIT, f"{bound} at {leverage}x")


def check_leverage_change(
    leverage: Decimal, held: Decimal, mark: Decimal, rules: ContractRules
) -> None:
    """Refuse a leverage the contract, or the position in it, does not allow.

    Raises
    ------
    Refused
        LEVERAGE or POSITION_LIMIT.
    """
    if not 1 <= leverage <= rules.tiers[0].max_leverage or leverage % 1:
        raise Refused(Reason.LEVERAGE, str(leverage))
    if leverage_allowed(held * mark, rules.tiers) < leverage:
        raise Refused(Reason.POSITION_LIMIT, f"at {leverage}x")
