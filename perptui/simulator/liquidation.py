"""What the venue does when an account's equity no longer covers its maintenance margin."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from perptui.model.money import ZERO, ceil_to_tick, floor_to_tick
from perptui.model.order import Side
from perptui.simulator.accounts import booked
from perptui.simulator.contracts import ContractRules
from perptui.simulator.orders import OrderRequest, OrderType

if TYPE_CHECKING:
    from perptui.simulator.exchange import Exchange


class Liquidator:
    """Closes whole accounts; keeps the insurance fund.

    Attributes
    ----------
    insurance : Decimal
        Liquidation fees taken in less the losses covered, USD.
    events : list of int
        Stamps of liquidations.
    """

    def __init__(self, rules: dict[str, ContractRules]) -> None:
        self._rules = rules
        self.insurance = ZERO
        self.events: list[int] = []

    def liquidate(self, exchange: Exchange) -> None:
        """Cancel all orders, close every position at the mark, charge the fee, cover a loss."""
        exchange.cancel_all()
        for symbol, holding in exchange.account.open_holdings().items():
            self._close(exchange, symbol, holding.quantity)
        wallet = exchange.account.wallet
        if wallet < 0:
            exchange.account.book(exchange.now_ms, "INSURANCE_CLEAR", "", -wallet)
            self.insurance += wallet
        self.events.append(exchange.now_ms)

    def _close(self, exchange: Exchange, symbol: str, quantity: Decimal) -> None:
        rules = self._rules[symbol]
        side = Side.SELL if quantity > 0 else Side.BUY
        rounded = floor_to_tick if side is Side.SELL else ceil_to_tick
        price = rounded(exchange.mark(symbol), rules.tick)
        size = abs(quantity)
        request = OrderRequest(symbol, side, OrderType.LIQUIDATION, size, price, reduce_only=True)
        order = exchange.new_order(request, f"autoclose-{exchange.now_ms}{len(self.events)}")
        fee = booked(size * price * rules.liquidation_fee)
        exchange.execute(order, size, price, fee, maker=False)
        self.insurance += fee
