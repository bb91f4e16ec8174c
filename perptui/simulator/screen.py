"""Which stretches of time need no attention: a conservative look at the path's extremes."""

from __future__ import annotations

from perptui.model.order import Side
from perptui.risk.margin import maintenance
from perptui.simulator.path import GRID_MS
from perptui.simulator.state import VenueState

TOLERANCE_USD = 1e-3


def first_event(state: VenueState, begin_ms: int, end_ms: int) -> int | None:
    """Return the first grid point in [begin, end] where something may happen, else None.

    Both lie in one hour. What is skipped is certainly quiet; what is returned may be quiet too.
    """
    if not state.resting and not state.waiting and not state.account.open_holdings():
        return None
    if _quiet(state, begin_ms, end_ms):
        return None
    while begin_ms < end_ms:
        middle = (begin_ms + end_ms) // 2 // GRID_MS * GRID_MS
        if _quiet(state, begin_ms, middle):
            begin_ms = middle + GRID_MS
        else:
            end_ms = middle
    return begin_ms


def _quiet(state: VenueState, begin_ms: int, end_ms: int) -> bool:
    return (
        _untouched(state, begin_ms, end_ms)
        and _untriggered(state, begin_ms, end_ms)
        and _solvent(state, begin_ms, end_ms)
    )


def _untouched(state: VenueState, begin_ms: int, end_ms: int) -> bool:
    for order in state.resting.values():
        request = order.request
        low, high = state.market.extremes(request.symbol, begin_ms, end_ms)
        tick, limit = float(state.rules[request.symbol].tick), float(request.price or 0)
        if request.side is Side.BUY and low <= limit + tick:
            return False
        if request.side is Side.SELL and high >= limit - tick:
            return False
    return True


def _untriggered(state: VenueState, begin_ms: int, end_ms: int) -> bool:
    for stop in state.waiting.values():
        symbol = stop.request.symbol
        low, high = state.market.mark_extremes(symbol, begin_ms, end_ms)
        tick, trigger = float(state.rules[symbol].tick), float(stop.trigger_price)
        if stop.request.side is Side.SELL and low <= trigger + tick:
            return False
        if stop.request.side is Side.BUY and high >= trigger - tick:
            return False
    return True


def _solvent(state: VenueState, begin_ms: int, end_ms: int) -> bool:
    held = state.account.open_holdings()
    excess = float(state.account.wallet)
    for symbol, holding in held.items():
        low, high = state.market.mark_extremes(symbol, begin_ms, end_ms)
        quantity = float(holding.quantity)
        excess += quantity * (low if quantity > 0 else high) - float(holding.cost)
        excess -= maintenance(quantity * high, state.float_tiers[symbol])
    return excess > TOLERANCE_USD or not held
