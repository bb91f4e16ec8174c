"""Stops that rest at the simulated exchange: they wait for the mark, then reduce at market.

They are no orders of the book until then: they bind no margin, cancelling all orders or a countdown
leaves them, and they have client ids of their own, as conditional orders have at Binance since its
algo service took them over (change log of 2025-11-06).
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

from perptui.model.order import Side
from perptui.risk.contract_rules import ContractRules
from perptui.simulator.matching import check_immediate, match_taking
from perptui.simulator.orders import (
    Order,
    OrderRequest,
    OrderType,
    Reason,
    Refused,
    Stop,
    StopStatus,
)
from perptui.simulator.state import VenueState
from perptui.simulator.validation import check_quantity, check_trigger

WAITING_MAX = 200
"""Conditional orders an account may have open (Binance's FAQ on conditional orders)."""
KEPT = 5_000


class Stops:
    """The conditional orders of one account: those that wait, and those that ended."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self.known: OrderedDict[int, Stop] = OrderedDict()

    def place(self, request: OrderRequest, trigger_price: Decimal, rules: ContractRules) -> Stop:
        """Check a stop and let it wait.

        Raises
        ------
        Refused
            When the venue takes no such stop; nothing has changed then.
        """
        state = self._state
        check_quantity(request, rules)
        check_trigger(trigger_price, rules)
        waiting = state.waiting.values()
        if request.client_id and any(one.client_id == request.client_id for one in waiting):
            raise Refused(Reason.DUPLICATE_ID)
        if len(state.waiting) >= WAITING_MAX:
            raise Refused(Reason.STOP_ORDERS)
        if self._against(request) <= 0:
            raise Refused(Reason.REDUCE_ONLY)
        stop = Stop(0, request, trigger_price, request.client_id, state.now_ms, state.now_ms)
        if stop.reached(state.mark(request.symbol)):
            raise Refused(Reason.TRIGGERS_AT_ONCE)
        self._register(stop)
        return stop

    def _against(self, request: OrderRequest) -> Decimal:
        """Return how much of the position an order of that side would reduce."""
        held = self._state.account.quantity(request.symbol)
        return -held if request.side is Side.BUY else held

    def _register(self, stop: Stop) -> None:
        stop.id = self._state.take_id()
        stop.client_id = stop.client_id or f"auto{stop.id}"
        self.known[stop.id] = self._state.waiting[stop.id] = stop
        if len(self.known) > KEPT:
            ended = (key for key, one in self.known.items() if one.status is not StopStatus.NEW)
            del self.known[next(ended)]

    def find(self, stop_id: int | None, client_id: str | None) -> Stop:
        """Return the latest stop with that id, or with that client id.

        Raises
        ------
        Refused
            UNKNOWN_ORDER.
        """
        for stop in reversed(self.known.values()):
            if stop.id == stop_id or (stop_id is None and stop.client_id == client_id):
                return stop
        raise Refused(Reason.UNKNOWN_ORDER)

    def cancel(self, stop_id: int | None, client_id: str | None) -> Stop:
        """Cancel a waiting stop and return it.

        Raises
        ------
        Refused
            UNKNOWN_CANCEL, also when it does not wait any more.
        """
        for stop in self._state.waiting.values():
            if stop.id == stop_id or (stop_id is None and stop.client_id == client_id):
                self._end(stop, StopStatus.CANCELED)
                return stop
        raise Refused(Reason.UNKNOWN_CANCEL)

    def cancel_all(self, symbol: str) -> list[Stop]:
        """Cancel the waiting stops of a contract and return them."""
        found = [one for one in self._state.waiting.values() if one.request.symbol == symbol]
        for stop in found:
            self._end(stop, StopStatus.CANCELED)
        return found

    def trigger(self) -> None:
        """Send every stop to market whose mark is reached, oldest first."""
        for stop in list(self._state.waiting.values()):
            if stop.reached(self._state.mark(stop.request.symbol)):
                self._send(stop)

    def _send(self, stop: Stop) -> None:
        """Execute a stop, cut to what there is to reduce; without anything it is rejected."""
        state, request = self._state, stop.request
        stop.triggered_ms = state.now_ms
        quantity = min(request.quantity, self._against(request))
        order = Order(
            0,
            OrderRequest(
                request.symbol,
                request.side,
                OrderType.MARKET,
                quantity,
                reduce_only=True,
                client_id=stop.client_id,
            ),
            stop.client_id,
            state.now_ms,
            state.now_ms,
        )
        if quantity <= 0 or not _possible(state, order):
            self._end(stop, StopStatus.REJECTED)
            return
        state.register(order)
        match_taking(state, order)
        stop.order = order
        self._end(stop, StopStatus.FINISHED)

    def _end(self, stop: Stop, status: StopStatus) -> None:
        stop.status, stop.updated_ms = status, self._state.now_ms
        del self._state.waiting[stop.id]


def _possible(state: VenueState, order: Order) -> bool:
    try:
        check_immediate(state, order)
    except Refused:
        return False
    return True
