"""A signing client without sockets: what a Binance client sends, straight into the wire."""

import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from perptui.model.clock import ManualClock
from perptui.simulator.exchange import Exchange
from perptui.simulator.wire import WireReply, WireRequest
from perptui.simulator.wire_binance import BinanceWire
from perptui.simulator.wire_binance_params import Credentials
from tests.simulator.scripted import START_MS, exchange_of

MARKETS = {"BTCUSDT": [20_000.0] * 72, "ETHUSDT": [1_500.0] * 72}


class Client:
    """Speaks to one wire; `clock` is the real time that limits are counted in."""

    def __init__(self, exchange: Exchange | None = None, equity: str = "100000") -> None:
        self.exchange = exchange or exchange_of(
            MARKETS, equity, {"BTCUSDT": [(8, 0.0001, 8.0), (10, 0.0002, 2.0)]}
        )
        self.clock = ManualClock(START_MS)
        self.wire = BinanceWire(self.exchange, self.clock, Credentials())

    def raw(
        self, method: str, path: str, signed: dict[str, Any] | None = None, **changes: Any
    ) -> WireReply:
        """Send; `changes`: secret, key, timestamp, recvWindow, tamper, in_body."""
        params = {k: v for k, v in (signed or {}).items() if v is not None}
        params["timestamp"] = changes.get("timestamp", self.exchange.now_ms)
        if "recv_window" in changes:
            params["recvWindow"] = changes["recv_window"]
        query = urlencode(params)
        secret = changes.get("secret", "simulated").encode()
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        text = f"{query}{changes.get('tamper', '')}&signature={signature}"
        headers = {"x-mbx-apikey": changes.get("key", "simulated")}
        if method == "POST":
            return self.wire.handle(WireRequest(method, path, "", text, headers))
        return self.wire.handle(WireRequest(method, path, text, "", headers))

    def signed(self, method: str, path: str, **params: Any) -> Any:
        """Send a signed request and return the decoded body."""
        return msgspec.json.decode(self.raw(method, path, params).body)

    def public(self, path: str, **params: Any) -> Any:
        """Send a public request and return the decoded body."""
        request = WireRequest("GET", path, urlencode(params))
        return msgspec.json.decode(self.wire.handle(request).body)

    def order(self, **params: Any) -> Any:
        """Place an order: LIMIT GTC BUY of 0.1 BTC at 19,000 unless said otherwise."""
        terms = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.1",
            "price": "19000",
            "timeInForce": "GTC",
            "newOrderRespType": "RESULT",
        }
        return self.signed("POST", "/fapi/v1/order", **(terms | params))

    def market(self, side: str, quantity: str, symbol: str = "BTCUSDT") -> Any:
        """Place a MARKET order."""
        return self.order(
            symbol=symbol,
            side=side,
            type="MARKET",
            quantity=quantity,
            price=None,
            timeInForce=None,
        )

    def advance(self, hours: float) -> None:
        """Let venue time pass."""
        self.exchange.advance(self.exchange.now_ms + round(hours * 3_600_000))

    def total(self, name: str) -> Decimal:
        """Return a total of the account."""
        return Decimal(self.signed("GET", "/fapi/v3/account")[name])
