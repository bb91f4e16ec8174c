"""Conditional orders at Binance USD-M futures: the algo service's endpoints.

Since 2025-12-09 the venue takes STOP_MARKET and its kin only here (change log of 2025-11-06);
``POST /fapi/v1/order`` answers -4120. Shapes: developers.binance.com, USDⓈ-M futures, REST, "New
Algo Order", "Query Algo Order", "Cancel Algo Order", "Current All Algo Open Orders".
"""

from __future__ import annotations

from typing import Any

from perptui.model.clock import DAY_MS
from perptui.model.order import Side
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import OrderRequest, OrderType, Stop, StopStatus
from perptui.simulator.wire_binance_errors import WireError, missing
from perptui.simulator.wire_binance_market import fixed
from perptui.simulator.wire_binance_orders import (
    FORGOTTEN_MS,
    check_position_side,
    client_id_of,
    member,
)
from perptui.simulator.wire_binance_params import Params
from perptui.simulator.wire_binance_settings import SettingsEndpoints

ENDED = frozenset({StopStatus.CANCELED, StopStatus.REJECTED})


class AlgoEndpoints:
    """Placing, querying and cancelling of reduce-only STOP_MARKET orders on the mark price."""

    def __init__(self, exchange: Exchange, settings: SettingsEndpoints) -> None:
        self.exchange = exchange
        self._settings = settings

    @property
    def _listed(self) -> tuple[str, ...]:
        return self.exchange.market.listed(self.exchange.now_ms)

    def place(self, params: Params) -> Any:
        """Place one conditional order."""
        if params.text("algoType") != "CONDITIONAL":
            raise WireError(-1130, "Data sent for parameter 'algoType' is not valid.")
        symbol = params.symbol(self._listed)
        if params.text("type") != OrderType.STOP_MARKET.value:
            raise WireError(-1116, "Invalid orderType.")
        side = member(Side, params.text("side").lower(), -1117, "Invalid side.")
        quantity, trigger = params.decimal("quantity"), params.decimal("triggerPrice")
        if quantity is None:
            raise missing("quantity")
        if trigger is None:
            raise missing("triggerPrice")
        check_position_side(params, self._settings)
        self._check_served(params)
        request = OrderRequest(
            symbol,
            side,
            OrderType.STOP_MARKET,
            quantity,
            reduce_only=True,
            client_id=client_id_of(params, "clientAlgoId"),
        )
        return self.row(self.exchange.place_stop(request, trigger))

    def _check_served(self, params: Params) -> None:
        """Refuse what this venue has not: triggers on trades, and stops that could add."""
        if params.optional("workingType") != "MARK_PRICE":
            raise WireError(-1130, "Data sent for parameter 'workingType' is not valid.")
        if not params.flag("reduceOnly") or params.flag("closePosition"):
            raise WireError(-1130, "Data sent for parameter 'reduceOnly' is not valid.")

    def query(self, params: Params) -> Any:
        """Answer one conditional order by id or client id."""
        stop = self.exchange.stops.find(*self._ids(params))
        forgotten = stop.status in ENDED and stop.order is None
        if forgotten and stop.created_ms < self.exchange.now_ms - FORGOTTEN_MS:
            raise WireError(-2013, "Order does not exist.")
        return self.row(stop)

    def open_orders(self, params: Params) -> Any:
        """Answer the conditional orders that wait, of a contract or of all."""
        symbol = params.optional_symbol(self._listed)
        waiting = self.exchange.waiting.values()
        return [self.row(one) for one in waiting if symbol in {None, one.request.symbol}]

    def all_orders(self, params: Params) -> Any:
        """Answer a contract's conditional orders, waiting or not, oldest first."""
        symbol = params.symbol(self._listed)
        start, end = params.integer("startTime"), params.integer("endTime")
        if start is not None and end is not None and end - start > 7 * DAY_MS:
            raise WireError(-4165, "Invalid time interval, maximum time interval is 7 days.")
        rows = [
            self.row(one)
            for one in self.exchange.stops.known.values()
            if one.request.symbol == symbol
            and (start is None or one.created_ms >= start)
            and (end is None or one.created_ms <= end)
        ]
        return rows[-params.limit(500, 1000) :]

    def cancel(self, params: Params) -> Any:
        """Cancel one conditional order."""
        stop = self.exchange.stops.cancel(*self._ids(params))
        named = {"algoId": stop.id, "clientAlgoId": stop.client_id}
        return {**named, "code": "200", "msg": "success"}

    def cancel_all(self, params: Params) -> Any:
        """Cancel a contract's conditional orders."""
        self.exchange.stops.cancel_all(params.symbol(self._listed))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _ids(self, params: Params) -> tuple[int | None, str | None]:
        """Return id and client id; the documentation also writes them in lower case."""
        name = "algoid" if params.optional("algoId") is None else "algoId"
        stop_id = params.integer(name)
        client_id = params.optional("clientAlgoId") or params.optional("clientalgoid")
        if stop_id is None and client_id is None:
            raise WireError(
                -1102, "Param 'clientAlgoId' or 'algoId' must be sent, but both were empty/null!"
            )
        return stop_id, client_id

    def row(self, stop: Stop) -> dict[str, Any]:
        """Return `stop` in the venue's shape."""
        request, order = stop.request, stop.order
        rules = self.exchange.rules[request.symbol]
        prices = rules.price_decimals
        average = order.average_price if order is not None else 0
        return {
            "algoId": stop.id,
            "clientAlgoId": stop.client_id,
            "algoType": "CONDITIONAL",
            "orderType": request.kind.value,
            "symbol": request.symbol,
            "side": request.side.upper(),
            "positionSide": "BOTH",
            "timeInForce": "GTC",
            "quantity": fixed(request.quantity, rules.quantity_decimals),
            "algoStatus": stop.status.value,
            "actualOrderId": "" if order is None else str(order.id),
            "actualPrice": fixed(average, 8),
            "triggerPrice": fixed(stop.trigger_price, prices),
            "price": fixed(0, prices),
            "icebergQuantity": None,
            "tpTriggerPrice": fixed(0, prices),
            "tpPrice": fixed(0, prices),
            "slTriggerPrice": fixed(0, prices),
            "slPrice": fixed(0, prices),
            "tpOrderType": "",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": "MARK_PRICE",
            "priceMatch": "NONE",
            "closePosition": False,
            "priceProtect": False,
            "reduceOnly": True,
            "createTime": stop.created_ms,
            "updateTime": stop.updated_ms,
            "triggerTime": stop.triggered_ms,
            "goodTillDate": 0,
        }
