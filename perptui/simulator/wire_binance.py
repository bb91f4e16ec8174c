"""Binance USD-M futures in front of the simulated exchange: routes, signatures, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from perptui.model.clock import Clock
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import Refused
from perptui.simulator.throttle import Throttle
from perptui.simulator.wire import WireReply, WireRequest, json_reply
from perptui.simulator.wire_binance_account import AccountEndpoints
from perptui.simulator.wire_binance_algo import AlgoEndpoints
from perptui.simulator.wire_binance_errors import WireError, from_refusal
from perptui.simulator.wire_binance_market import MarketEndpoints
from perptui.simulator.wire_binance_orders import OrderEndpoints
from perptui.simulator.wire_binance_params import Credentials, Params
from perptui.simulator.wire_binance_settings import SettingsEndpoints

Handler = Callable[[Params], Any]

NOT_FOUND = b"<html>\r\n<head><title>404 Not Found</title></head>\r\n</html>\r\n"


class Route(NamedTuple):
    """What answers an endpoint; `weight` and `orders` count against the limits."""

    handler: Handler
    signed: bool
    weight: int = 1
    orders: int = 0


class BinanceWire:
    """The protocol of ``fapi.binance.com``.

    Parameters
    ----------
    exchange : Exchange
        What is behind it.
    clock : Clock
        Monotonic time, for the request limits, which are real time at any speed.
    credentials : Credentials
        The one key pair that is known.
    """

    name = "binanceusdm"
    hosts = ("fapi.binance.com", "demo-fapi.binance.com", "api.binance.com")

    def __init__(self, exchange: Exchange, clock: Clock, credentials: Credentials) -> None:
        self.exchange = exchange
        self.speed = 1.0
        self._credentials = credentials
        self._throttle = Throttle(clock)
        self.market = MarketEndpoints(exchange)
        self.account = AccountEndpoints(exchange)
        self.settings = SettingsEndpoints(exchange)
        self.rights = self.settings.rights
        self.orders = OrderEndpoints(exchange, self.settings)
        self.algo = AlgoEndpoints(exchange, self.settings)
        self._routes = self._public() | self._signed() | self._trading()

    @property
    def endpoints(self) -> frozenset[tuple[str, str]]:
        """Method and path of all that is answered."""
        return frozenset(self._routes)

    def handle(self, request: WireRequest) -> WireReply:
        """Answer one request at the exchange's present moment."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return WireReply(404, NOT_FOUND, content_type="text/html")
        try:
            headers = self._throttle.count(route.weight, route.orders)
            params = Params.of(request)
            if route.signed:
                now = self.exchange.now_ms + self.exchange.skew_ms
                self._credentials.check(request, params, now, self.speed)
            return json_reply(route.handler(params), headers=headers)
        except WireError as error:
            return error.reply()
        except Refused as refused:
            return from_refusal(refused).reply()

    def _public(self) -> dict[tuple[str, str], Route]:
        market = self.market
        rows: dict[str, tuple[Handler, int]] = {
            "ping": (market.ping, 1),
            "time": (market.time, 1),
            "exchangeInfo": (market.exchange_info, 1),
            "premiumIndex": (market.premium_index, 10),
            "fundingInfo": (market.funding_info, 1),
            "fundingRate": (market.funding_rate, 1),
            "ticker/24hr": (market.ticker_day, 10),
            "ticker/bookTicker": (market.ticker_book, 2),
            "ticker/price": (market.ticker_price, 1),
            "depth": (market.depth, 2),
            "klines": (market.klines, 2),
            "continuousKlines": (market.index_klines, 2),
            "markPriceKlines": (market.mark_klines, 2),
            "indexPriceKlines": (market.index_klines, 2),
            "openInterest": (market.open_interest, 1),
        }
        routes = {
            ("GET", f"/fapi/v1/{path}"): Route(handler, False, weight)
            for path, (handler, weight) in rows.items()
        }
        routes["GET", "/fapi/v2/ticker/price"] = Route(market.ticker_price, False, 1)
        return routes

    def _signed(self) -> dict[tuple[str, str], Route]:
        account, settings = self.account, self.settings
        rows: dict[tuple[str, str], tuple[Handler, int]] = {
            ("GET", "v3/account"): (account.account_v3, 5),
            ("GET", "v2/account"): (account.account_v2, 5),
            ("GET", "v3/balance"): (account.balance, 5),
            ("GET", "v2/balance"): (account.balance, 5),
            ("GET", "v3/positionRisk"): (account.position_risk_v3, 5),
            ("GET", "v2/positionRisk"): (account.position_risk_v2, 5),
            ("GET", "v1/leverageBracket"): (settings.leverage_bracket, 1),
            ("POST", "v1/leverage"): (settings.set_leverage, 1),
            ("POST", "v1/marginType"): (settings.set_margin_type, 1),
            ("GET", "v1/positionSide/dual"): (settings.dual_side_mode, 30),
            ("POST", "v1/positionSide/dual"): (settings.set_dual_side, 1),
            ("GET", "v1/multiAssetsMargin"): (settings.multi_assets, 30),
            ("GET", "v1/accountConfig"): (settings.account_config, 5),
            ("GET", "v1/symbolConfig"): (settings.symbol_config, 5),
            ("GET", "v1/commissionRate"): (settings.commission_rate, 20),
            ("GET", "v1/userTrades"): (account.user_trades, 5),
            ("GET", "v1/income"): (account.income, 30),
        }
        routes = {
            (method, f"/fapi/{path}"): Route(handler, True, weight)
            for (method, path), (handler, weight) in rows.items()
        }
        routes["GET", "/sapi/v1/account/apiRestrictions"] = Route(settings.api_restrictions, True)
        return routes

    def _trading(self) -> dict[tuple[str, str], Route]:
        orders, algo = self.orders, self.algo
        rows: dict[tuple[str, str], tuple[Handler, int, int]] = {
            ("POST", "order"): (orders.place, 0, 1),
            ("POST", "order/test"): (orders.test, 0, 0),
            ("GET", "order"): (orders.query, 1, 0),
            ("DELETE", "order"): (orders.cancel, 1, 0),
            ("POST", "batchOrders"): (orders.place_batch, 5, 5),
            ("DELETE", "batchOrders"): (orders.cancel_batch, 1, 0),
            ("GET", "openOrder"): (orders.query_open, 1, 0),
            ("GET", "openOrders"): (orders.open_orders, 1, 0),
            ("GET", "allOrders"): (orders.all_orders, 5, 0),
            ("GET", "forceOrders"): (orders.force_orders, 20, 0),
            ("DELETE", "allOpenOrders"): (orders.cancel_all, 1, 0),
            ("POST", "countdownCancelAll"): (orders.countdown, 10, 0),
            ("POST", "algoOrder"): (algo.place, 0, 1),
            ("GET", "algoOrder"): (algo.query, 1, 0),
            ("DELETE", "algoOrder"): (algo.cancel, 1, 0),
            ("GET", "openAlgoOrders"): (algo.open_orders, 1, 0),
            ("GET", "allAlgoOrders"): (algo.all_orders, 5, 0),
            ("DELETE", "algoOpenOrders"): (algo.cancel_all, 1, 0),
        }
        return {
            (method, f"/fapi/v1/{path}"): Route(handler, True, weight, count)
            for (method, path), (handler, weight, count) in rows.items()
        }
