"""Which stretches of time need no attention: a conservative look at the path's extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perptui.model.order import Side
from perptui.risk.margin import maintenance
from perptui.simulator.path import GRID_MS

if TYPE_CHECKING:
    from perptui.simulator.exchange import Exchange

TOLERANCE = 1e-6


def first_event(exchange: Exchange, begin_ms: int, end_ms: int) -> int | None:
    """Return the first grid point in [begin, end] where something may happen, else None.

    Both lie in one hour. What is skipped is certainly quiet; what is returned may be quiet too.
    """
    if not exchange.resting and not exchange.account.open_holdings():
        return None
    if _quiet(exchange, begin_ms, end_ms):
        return None
    while begin_ms < end_ms:
        middle = (begin_ms + end_ms) // 2 // GRID_MS * GRID_MS
        if _quiet(exchange, begin_ms, middle):
            begin_ms = middle + GRID_MS
        else:
            end_ms = middle
    return begin_ms


def _quiet(exchange: Exchange, begin_ms: int, end_ms: int) -> bool:
    symbols = {order.request.symbol for order in exchange.resting.values()}
    symbols |= set(exchange.account.open_holdings())
    extremes = {s: exchange.market.extremes(s, begin_ms, end_ms) for s in symbols}
    return _untouched(exchange, extremes) and _solvent(exchange, extremes, begin_ms)


def _untouched(exchange: Exchange, extremes: dict[str, tuple[float, float]]) -> bool:
    for order in exchange.resting.values():
        low, high = extremes[order.request.symbol]
        limit = float(exchange.rules[order.request.symbol].tick) + float(order.request.price or 0)
        if order.request.side is Side.BUY:
            if low <= limit:
                return False
        elif high >= limit - 2 * float(exchange.rules[order.request.symbol].tick):
            return False
    return True


def _solvent(exchange: Exchange, extremes: dict[str, tuple[float, float]], begin_ms: int) -> bool:
    excess = float(exchange.account.wallet)
    for symbol, holding in exchange.account.open_holdings().items():
        low, high = extremes[symbol]
        gap = exchange.market.mark_gap(symbol, begin_ms) + TOLERANCE
        quantity = float(holding.quantity)
        worst = low - gap if quantity > 0 else high + gap
        tiers = exchange.float_tiers[symbol]
        excess += quantity * worst - float(holding.cost)
        excess -= maintenance(quantity * (high + gap), tiers)
    return excess > TOLERANCE or not exchange.account.open_holdings()
