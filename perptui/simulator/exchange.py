"""The simulated exchange: one account, one market, virtual time. Pure and deterministic.

Time moves only in `advance`, on a grid of 250 ms. At a funding stamp the funding is settled with
the mark at the stamp; then liquidation is checked, then stops against the mark; then resting orders
meet the book. Stretches
in which no order can be touched and the account cannot be liquidated are skipped by looking at the
path's extremes, which gives the same history as walking them.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.model.clock import HOUR_MS
from perptui.model.money import ZERO
from perptui.risk.contract_rules import ContractRules
from perptui.simulator.funding import settle
from perptui.simulator.liquidation import Liquidator
from perptui.simulator.market import Market
from perptui.simulator.matching import check_immediate, match_resting, match_taking
from perptui.simulator.orders import (
    Order,
    OrderRequest,
    Reason,
    Refused,
    Status,
    Stop,
)
from perptui.simulator.path import GRID_MS
from perptui.simulator.screen import first_event
from perptui.simulator.state import VenueState
from perptui.simulator.stops import Stops
from perptui.simulator.validation import (
    check_filters,
    check_leverage,
    check_leverage_change,
    reducible,
    worst_quantity,
)

OPEN_ORDERS_MAX = 200


class Exchange(VenueState):
    """One venue with one margin account.

    Parameters
    ----------
    market : Market
        Prices and funding.
    rules : dict of str to ContractRules
        One per symbol of the market.
    equity : Decimal
        The opening wallet, USD; 0 where a book is opened first.
    start_ms : int
        Venue time at which the exchange opens.
    """

    def __init__(
        self, market: Market, rules: dict[str, ContractRules], equity: Decimal, start_ms: int
    ) -> None:
        super().__init__(market, rules, equity, start_ms)
        self.liquidator = Liquidator(rules)
        self.countdowns: dict[str, int] = {}
        self.stops = Stops(self)

    # ------------------------------------------------------------------ time

    def advance(self, to_ms: int) -> None:
        """Let venue time run to the last grid point at or before `to_ms`."""
        target = to_ms // GRID_MS * GRID_MS
        while self.now_ms < target:
            edge = min(target, (self.now_ms // HOUR_MS + 1) * HOUR_MS)
            self._walk(edge)
            if edge % HOUR_MS == 0:
                self._settle(self.now_ms, edge)
            self.now_ms = edge
            self._event()

    def _walk(self, edge_ms: int) -> None:
        """Handle the grid points strictly before `edge_ms`, all of them in one hour."""
        last = edge_ms - GRID_MS
        while self.now_ms < last:
            due = min((at for at in self.countdowns.values()), default=last)
            point = first_event(self, self.now_ms + GRID_MS, last)
            if point is None and due >= last:
                return
            due = max(due, self.now_ms + GRID_MS)
            self.now_ms = min(last, -(-due // GRID_MS) * GRID_MS, point or last)
            self._event()

    def _settle(self, begin_ms: int, end_ms: int) -> None:
        self.now_ms = end_ms
        held = tuple(self.account.open_holdings())
        for settlement in self.market.settlements(begin_ms, end_ms, held):
            settle(self.account, settlement, self.mark(settlement.symbol))

    def _event(self) -> None:
        for symbol, at_ms in list(self.countdowns.items()):
            if at_ms <= self.now_ms:
                del self.countdowns[symbol]
                self.cancel_all(symbol)
        if self.account.open_holdings() and self.equity() <= self.maintenance():
            self.liquidator.liquidate(self)
        if self.waiting:
            self.stops.trigger()
        for order in list(self.resting.values()):
            match_resting(self, order)

    # ------------------------------------------------------------------ orders

    def place(self, request: OrderRequest) -> Order:
        """Check an order, match it, and let the rest of it rest or expire.

        Raises
        ------
        Refused
            When the venue takes no such order; nothing has changed then.
        """
        rules = self._rules_of(request.symbol)
        mark = self.mark(request.symbol)
        check_filters(request, rules, mark)
        if request.client_id and self.open_by_client_id(request.client_id):
            raise Refused(Reason.DUPLICATE_ID)
        if len(self.resting) >= OPEN_ORDERS_MAX:
            raise Refused(Reason.OPEN_ORDERS)
        request = self._reduced(request)
        order = Order(0, request, request.client_id, self.now_ms, self.now_ms)
        self._check_margin(order, rules, mark)
        check_immediate(self, order)
        self.register(order)
        match_taking(self, order)
        return order

    def place_stop(self, request: OrderRequest, trigger_price: Decimal) -> Stop:
        """Let a reduce-only STOP_MARKET wait for the mark to reach `trigger_price`.

        Raises
        ------
        Refused
            When the venue takes no such stop; nothing has changed then.
        """
        return self.stops.place(request, trigger_price, self._rules_of(request.symbol))

    def _rules_of(self, symbol: str) -> ContractRules:
        if symbol not in self.market.listed(self.now_ms):
            raise Refused(Reason.SYMBOL, symbol)
        if symbol in self.market.settling:
            raise Refused(Reason.CLOSED, symbol)
        return self.rules[symbol]

    def _reduced(self, request: OrderRequest) -> OrderRequest:
        """Cut a reduce-only order to what there is to reduce, as the venue does."""
        if not request.reduce_only:
            return request
        room = reducible(self.account, self.resting_in(request.symbol), request)
        if room <= 0:
            raise Refused(Reason.REDUCE_ONLY)
        if room >= request.quantity:
            return request
        return OrderRequest(
            request.symbol,
            request.side,
            request.kind,
            room,
            request.price,
            request.time_in_force,
            True,
            request.client_id,
        )

    def _check_margin(self, order: Order, rules: ContractRules, mark: Decimal) -> None:
        symbol = order.request.symbol
        before = worst_quantity(self.account.quantity(symbol), self.resting_in(symbol))
        after = worst_quantity(self.account.quantity(symbol), [*self.resting_in(symbol), order])
        if order.request.reduce_only or after <= before:
            return
        check_leverage(after, mark, self.account.leverage_of(symbol), rules)
        added = self.initial_of(symbol, order) - self.initial_of(symbol)
        if self.equity() - self.initial() < added + self._open_loss(order, mark):
            raise Refused(Reason.MARGIN)

    def _open_loss(self, order: Order, mark: Decimal) -> Decimal:
        price = order.request.price
        if price is None:
            price = self.books.touch(order.request.symbol, order.request.side, self.now_ms)
        return max(ZERO, (price - mark) * order.signed_remaining)

    # ------------------------------------------------------------------ queries and cancels

    def open_by_client_id(self, client_id: str) -> Order | None:
        """Return the open order with that client id: ids are unique among open orders only."""
        return next((o for o in self.resting.values() if o.client_id == client_id), None)

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> Order:
        """Return the latest order with that id, or with that client id.

        Raises
        ------
        Refused
            UNKNOWN_ORDER.
        """
        if order_id is not None:
            order = self.orders.get(order_id)
            if order is not None and order.request.symbol == symbol:
                return order
            raise Refused(Reason.UNKNOWN_ORDER)
        for order in reversed(self.orders.values()):
            if order.client_id == client_id and order.request.symbol == symbol:
                return order
        raise Refused(Reason.UNKNOWN_ORDER)

    def cancel(self, symbol: str, order_id: int | None, client_id: str | None) -> Order:
        """Cancel an open order and return it.

        Raises
        ------
        Refused
            UNKNOWN_CANCEL, also when the order is not open any more.
        """
        for order in self.resting_in(symbol):
            if order.id == order_id or (order_id is None and order.client_id == client_id):
                self.close_order(order, Status.CANCELED)
                return order
        raise Refused(Reason.UNKNOWN_CANCEL)

    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set the leverage of `symbol`.

        Raises
        ------
        Refused
            When the contract, the position or the account's margin does not allow it.
        """
        rules = self._rules_of(symbol)
        held = self.account.quantity(symbol)
        check_leverage_change(leverage, held, self.mark(symbol), rules)
        before = self.account.leverage_of(symbol)
        self.account.leverage[symbol] = leverage
        if leverage < before and self.initial() > self.equity():
            self.account.leverage[symbol] = before
            raise Refused(Reason.LEVERAGE_MARGIN)
