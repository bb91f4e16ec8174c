"""Order endpoints of Binance USD-M futures."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from perptui.model.clock import DAY_MS
from perptui.model.order import Side
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import (
    OPEN,
    Order,
    OrderRequest,
    OrderType,
    Refused,
    Status,
    TimeInForce,
)
from perptui.simulator.wire_binance_errors import WireError, from_refusal, invalid, missing
from perptui.simulator.wire_binance_market import fixed
from perptui.simulator.wire_binance_params import Params
from perptui.simulator.wire_binance_settings import SettingsEndpoints

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
FORGOTTEN_MS = 3 * DAY_MS
CONDITIONAL = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
"""Types that only the algo service takes."""
BATCH_MAX = 5
CANCEL_BATCH_MAX = 10
T = TypeVar("T", int, str)


class OrderEndpoints:
    """Placing, querying and cancelling."""

    def __init__(self, exchange: Exchange, settings: SettingsEndpoints) -> None:
        self.exchange = exchange
        self._settings = settings

    @property
    def listed(self) -> tuple[str, ...]:
        """Contracts that trade now."""
        return self.exchange.market.listed(self.exchange.now_ms)

    # ------------------------------------------------------------------ placing

    def place(self, params: Params) -> Any:
        """Place one order."""
        order = self.exchange.place(self._request(params))
        return self._placed(order, params.optional("newOrderRespType") == "RESULT")

    def test(self, params: Params) -> Any:
        """Check an order's parameters without placing it."""
        self._request(params)
        return {}

    def place_batch(self, params: Params) -> Any:
        """Place up to five orders; each is answered for itself."""
        items = _batch(params.text("batchOrders"))
        if not 1 <= len(items) <= BATCH_MAX:
            raise WireError(-4082, "Invalid number of batch place orders.")
        answers = []
        for item in items:
            try:
                answers.append(self.place(Params({k: str(v) for k, v in item.items()})))
            except WireError as error:
                answers.append(error.payload())
            except Refused as refused:
                answers.append(from_refusal(refused).payload())
        return answers

    def _request(self, params: Params) -> OrderRequest:
        symbol = params.symbol(self.listed)
        kind = self._kind(params.text("type"))
        side = member(Side, params.text("side").lower(), -1117, "Invalid side.")
        quantity = params.decimal("quantity")
        if quantity is None:
            raise missing("quantity")
        in_force, price = self._terms(params, kind)
        check_position_side(params, self._settings)
        return OrderRequest(
            symbol,
            side,
            kind,
            quantity,
            price,
            in_force,
            params.flag("reduceOnly"),
            client_id_of(params, "newClientOrderId"),
        )

    def _kind(self, text: str) -> OrderType:
        if text in CONDITIONAL:
            raise WireError(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API "
                "endpoints instead.",
            )
        kind: OrderType = member(OrderType, text, -1116, "Invalid orderType.")
        if kind is OrderType.LIQUIDATION:
            raise WireError(-1116, "Invalid orderType.")
        return kind

    def _terms(self, params: Params, kind: OrderType) -> tuple[TimeInForce, Any]:
        price, text = params.decimal("price"), params.optional("timeInForce")
        if kind is OrderType.MARKET:
            for name, value in (("price", price), ("timeInForce", text)):
                if value is not None:
                    raise WireError(-1106, f"Parameter '{name}' sent when not required.")
            return TimeInForce.GTC, None
        if text is None:
            raise missing("timeInForce")
        if price is None:
            raise missing("price")
        return member(TimeInForce, text, -1115, "Invalid timeInForce."), price

    # ------------------------------------------------------------------ queries

    def query(self, params: Params) -> Any:
        """Answer one order by id or client id."""
        order = self._find(params)
        forgotten = order.status in {Status.CANCELED, Status.EXPIRED} and not order.filled
        if forgotten and order.created_ms < self.exchange.now_ms - FORGOTTEN_MS:
            raise WireError(-2013, "Order does not exist.")
        return self.row(order)

    def query_open(self, params: Params) -> Any:
        """Answer one open order."""
        order = self._find(params)
        if order.status not in OPEN:
            raise WireError(-2013, "Order does not exist.")
        return self.row(order)

    def _find(self, params: Params) -> Order:
        symbol = params.symbol(self.listed)
        order_id, client_id = self._ids(params)
        return self.exchange.find(symbol, order_id, client_id)

    def _ids(self, params: Params) -> tuple[int | None, str | None]:
        order_id, client_id = params.integer("orderId"), params.optional("origClientOrderId")
        if order_id is None and client_id is None:
            raise WireError(
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            )
        return order_id, client_id

    def open_orders(self, params: Params) -> Any:
        """Answer the open orders of a contract or of all."""
        symbol = params.optional_symbol(self.listed)
        return [
            self.row(order)
            for order in self.exchange.resting.values()
            if symbol is None or order.request.symbol == symbol
        ]

    def all_orders(self, params: Params) -> Any:
        """Answer a contract's orders, open or not, oldest first."""
        symbol = params.symbol(self.listed)
        start, end, since = (params.integer(n) for n in ("startTime", "endTime", "orderId"))
        if start is not None and end is not None and end - start > 7 * DAY_MS:
            raise WireError(-4165, "Invalid time interval, maximum time interval is 7 days.")
        limit = params.limit(500, 1000)
        rows = [
            order
            for order in self.exchange.orders.values()
            if order.request.symbol == symbol
            and (since is None or order.id >= since)
            and (start is None or order.created_ms >= start)
            and (end is None or order.created_ms <= end)
        ]
        part = rows[-limit:] if start is None and since is None else rows[:limit]
        return [self.row(order) for order in part]

    def force_orders(self, params: Params) -> Any:
        """Answer the venue's liquidation orders."""
        symbol = params.optional_symbol(self.listed)
        return [
            self.row(order)
            for order in self.exchange.orders.values()
            if order.request.kind is OrderType.LIQUIDATION
            and (symbol is None or order.request.symbol == symbol)
        ]

    # ------------------------------------------------------------------ cancelling

    def cancel(self, params: Params) -> Any:
        """Cancel one order."""
        symbol = params.symbol(self.listed)
        return self.row(self.exchange.cancel(symbol, *self._ids(params)))

    def cancel_all(self, params: Params) -> Any:
        """Cancel a contract's open orders."""
        self.exchange.cancel_all(params.symbol(self.listed))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def cancel_batch(self, params: Params) -> Any:
        """Cancel up to ten orders of a contract; each is answered for itself."""
        symbol = params.symbol(self.listed)
        ids = _list(params, "orderIdList", int)
        names = _list(params, "origClientOrderIdList", str)
        if not 1 <= len(ids) + len(names) <= CANCEL_BATCH_MAX:
            raise WireError(-4083, "Invalid number of batch cancel orders.")
        answers = []
        wanted: list[tuple[int | None, str | None]] = [(order_id, None) for order_id in ids]
        wanted += [(None, name) for name in names]
        for order_id, name in wanted:
            try:
                answers.append(self.row(self.exchange.cancel(symbol, order_id, name)))
            except Refused as refused:
                answers.append(from_refusal(refused).payload())
        return answers

    def countdown(self, params: Params) -> Any:
        """Arm, or with 0 disarm, the cancelling of a contract's orders after a time."""
        symbol = params.symbol(self.listed)
        countdown = params.integer("countdownTime")
        if countdown is None:
            raise missing("countdownTime")
        if countdown:
            self.exchange.countdowns[symbol] = self.exchange.now_ms + countdown
        else:
            self.exchange.countdowns.pop(symbol, None)
        return {"symbol": symbol, "countdownTime": str(countdown)}

    # ------------------------------------------------------------------ rows

    def _placed(self, order: Order, result: bool) -> dict[str, Any]:
        row = self.row(order)
        del row["time"]
        row["cumQty"] = row["executedQty"]
        if not result:
            digits = self.exchange.rules[order.request.symbol].quantity_decimals
            zero = fixed(0, digits)
            row |= {"status": "NEW", "executedQty": zero, "cumQty": zero}
            row |= {"cumQuote": "0.00000", "avgPrice": "0.00"}
        return row

    def row(self, order: Order) -> dict[str, Any]:
        """Return `order` in the venue's shape."""
        request = order.request
        rules = self.exchange.rules[request.symbol]
        prices, sizes = rules.price_decimals, rules.quantity_decimals
        kind = "LIMIT" if request.kind is OrderType.LIQUIDATION else request.kind.value
        return {
            "orderId": order.id,
            "symbol": request.symbol,
            "status": order.status.value,
            "clientOrderId": order.client_id,
            "price": fixed(request.price or 0, prices),
            "avgPrice": fixed(order.average_price, 8) if order.filled else "0.00",
            "origQty": fixed(request.quantity, sizes),
            "executedQty": fixed(order.filled, sizes),
            "cumQuote": fixed(order.turnover, 8),
            "timeInForce": request.time_in_force.value,
            "type": kind,
            "reduceOnly": request.reduce_only,
            "closePosition": False,
            "side": request.side.upper(),
            "positionSide": "BOTH",
            "stopPrice": fixed(0, prices),
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": kind,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "goodTillDate": 0,
            "time": order.created_ms,
            "updateTime": order.updated_ms,
        }


def check_position_side(params: Params, settings: SettingsEndpoints) -> None:
    """Refuse a position side that the account's mode has not."""
    side = params.optional("positionSide") or "BOTH"
    if side not in {"BOTH", "LONG", "SHORT"}:
        raise WireError(-4060, "Invalid position side.")
    if settings.dual_side or side != "BOTH":
        raise WireError(-4061, "Order's position side does not match user's setting.")


def member(kind: Any, text: str, code: int, message: str) -> Any:
    """Return the member of an enumeration that `text` names, or refuse with `code`."""
    try:
        return kind(text)
    except ValueError:
        raise WireError(code, message) from None


def client_id_of(params: Params, name: str) -> str:
    """Return the client id that was sent as `name`, "" where none was."""
    text = params.optional(name)
    if text is None:
        return ""
    if len(text) > 36:
        raise WireError(-4015, "Client order id length should be less than 36 chars")
    if not CLIENT_ID.fullmatch(text):
        raise WireError(
            -1100,
            f"Illegal characters found in parameter '{name}'; "
            "legal range is '^[\\.A-Z\\:/a-z0-9_-]{1,36}$'.",
        )
    return text


def _batch(text: str) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.MsgspecError:
        raise invalid("batchOrders") from None


def _list(params: Params, name: str, kind: type[T]) -> list[T]:
    """Return a JSON list; ccxt writes the name in lower case."""
    text = params.optional(name) or params.optional(name.lower())
    if text is None:
        return []
    try:
        return msgspec.json.decode(text, type=list[kind])  # type: ignore[valid-type]
    except msgspec.MsgspecError:
        raise invalid(name) from None
