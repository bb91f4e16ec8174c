"""What the venue does when an account's equity no longer covers its maintenance margin."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.money import ZERO, ceil_to_tick, floor_to_tick
from perptui.model.order import Side
from perptui.risk.contract_rules import ContractRules
from perptui.simulator.accounts import booked
from perptui.simulator.orders import OrderRequest, OrderType
from perptui.simulator.state import VenueState


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

    def liquidate(self, state: VenueState) -> None:
        """Cancel all orders, close every position at the mark, charge the fee, cover a loss."""
        state.cancel_all()
        for symbol, holding in state.account.open_holdings().items():
            self._close(state, symbol, holding.quantity)
        wallet = state.account.wallet
        if wallet < 0:
            state.account.book(state.now_ms, "INSURANCE_CLEAR", "", -wallet)
            self.insurance += wallet
        self.events.append(state.now_ms)

    def _close(self, state: VenueState, symbol: str, quantity: Decimal) -> None:
        rules = self._rules[symbol]
        side = Side.SELL if quantity > 0 else Side.BUY
        rounded = floor_to_tick if side is Side.SELL else ceil_to_tick
        price = rounded(state.mark(symbol), rules.tick)
        size = abs(quantity)
        request = OrderRequest(symbol, side, OrderType.LIQUIDATION, size, price, reduce_only=True)
        order = state.new_order(request, f"autoclose-{state.now_ms}{len(self.events)}")
        fee = booked(size * price * rules.liquidation_fee)
        state.execute(order, size, price, fee, maker=False)
        self.insurance += fee
