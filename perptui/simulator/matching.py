"""How orders meet the synthetic book: takers sweep it, resting orders fill when it crosses them."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.money import truncate_to_step
from perptui.model.order import Side
from perptui.simulator.accounts import booked
from perptui.simulator.book import within
from perptui.simulator.orders import Order, OrderType, Reason, Refused, Status, TimeInForce
from perptui.simulator.state import VenueState


def limit_of(state: VenueState, order: Order) -> Decimal:
    """Return the worst price an order accepts; the band's edge for MARKET."""
    if order.request.price is not None:
        return order.request.price
    rules = state.rules[order.request.symbol]
    away = rules.band if order.request.side is Side.BUY else -rules.band
    return state.mark(order.request.symbol) * (1 + away)


def check_immediate(state: VenueState, order: Order) -> None:
    """Refuse what cannot be done at this moment.

    Raises
    ------
    Refused
        PERCENT_PRICE, POST_ONLY or FILL_OR_KILL.
    """
    request = order.request
    now = state.now_ms
    touch = state.books.touch(request.symbol, request.side, now)
    if request.kind is OrderType.MARKET:
        mark, band = state.mark(request.symbol), state.rules[request.symbol].band
        if not mark * (1 - band) <= touch <= mark * (1 + band):
            raise Refused(Reason.PERCENT_PRICE)
        return
    limit = limit_of(state, order)
    if request.time_in_force is TimeInForce.GTX and within(request.side, touch, limit):
        raise Refused(Reason.POST_ONLY)
    if request.time_in_force is TimeInForce.FOK:
        there = state.books.available(request.symbol, request.side, limit, now)
        if there < request.quantity:
            raise Refused(Reason.FILL_OR_KILL)


def match_taking(state: VenueState, order: Order) -> None:
    """Sweep the book up to the order's limit; let the rest of it rest, or expire."""
    request, limit = order.request, limit_of(state, order)
    ending = state.endings.pop(request.symbol, None)
    fills = []
    left = order.remaining
    if ending is not None:
        left = truncate_to_step(left * ending.filled, state.rules[request.symbol].step)
    for price, there in state.books.levels(request.symbol, request.side, state.now_ms):
        if left <= 0 or not within(request.side, price, limit):
            break
        fills.append((price, min(left, there)))
        left -= fills[-1][1]
    for price, quantity in fills:
        _fill(state, order, quantity, price, maker=False)
    if order.status is Status.FILLED:
        return
    if ending is not None:
        order.status = ending.status
        return
    rests = request.time_in_force in {TimeInForce.GTC, TimeInForce.GTX}
    if request.kind is OrderType.LIMIT and rests:
        state.resting[order.id] = order
    else:
        order.status = Status.EXPIRED


def match_resting(state: VenueState, order: Order) -> None:
    """Fill an open order at its own price with what the book offers there or better."""
    if order.id not in state.resting:
        return
    request, limit = order.request, limit_of(state, order)
    there = state.books.available(request.symbol, request.side, limit, state.now_ms)
    quantity = min(order.remaining, there)
    if request.reduce_only:
        held = state.account.quantity(request.symbol)
        against = -held if request.side is Side.BUY else held
        if against <= 0:
            state.close_order(order, Status.EXPIRED)
            return
        quantity = min(quantity, against)
    if quantity > 0:
        _fill(state, order, quantity, limit, maker=True)


def _fill(state: VenueState, order: Order, quantity: Decimal, price: Decimal, maker: bool) -> None:
    request = order.request
    rules = state.rules[request.symbol]
    state.books.take(request.symbol, request.side, quantity, state.now_ms)
    rate = rules.maker_fee if maker else rules.taker_fee
    state.execute(order, quantity, price, booked(quantity * price * rate), maker)
