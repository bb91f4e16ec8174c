"""How each venue speaks: its errors and acknowledgements in the forms of its documentation."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from perptui.model.order import Effect, LegState, OrderIntent, OrderReport, Side
from perptui.venues.classify import classify
from perptui.venues.markets_binance import name_contracts
from perptui.venues.outcomes import bybit, hyperliquid, okx
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.outcomes.bybit import BYBIT
from perptui.venues.outcomes.hyperliquid import HYPERLIQUID
from perptui.venues.outcomes.okx import OKX
from perptui.venues.outcomes.table import VenueTable
from perptui.venues.parse_account import acknowledgement
from perptui.venues.transport import Exchange
from perptui.venues.wire_binance import ExchangeInfo, decode
from tests.venues import payloads
from tests.venues.payloads import NOW_MS

CLIENT_ID = payloads.CLIENT_ID
CLOID = "0x" + "0a" * 16
INTENT = OrderIntent(
    id=payloads.BTC,
    side=Side.BUY,
    effect=Effect.REDUCE,
    contracts=Decimal(1),
    notional_usd=Decimal(64600),
    limit_price=Decimal(64700),
    mark_price=Decimal(64600),
    reduce_only=True,
    before=Decimal(-1),
    after=Decimal(0),
)


def binance_error(code: str, text: str = "as documented") -> Any:
    return {"code": int(code), "msg": text}


def bybit_error(code: str, text: str = "as documented") -> Any:
    return {
        "retCode": int(code),
        "retMsg": text,
        "result": {},
        "retExtInfo": {},
        "time": NOW_MS,
    }


def okx_error(code: str, text: str = "as documented") -> Any:
    if code.startswith("50"):
        return {"code": code, "data": [], "msg": text}
    item = {"clOrdId": CLIENT_ID, "ordId": "", "sCode": code, "sMsg": text, "tag": "", "ts": "1"}
    return {
        "code": "1",
        "data": [item],
        "inTime": "1",
        "msg": "All operations failed",
        "outTime": "2",
    }


def statuses(*items: Any) -> Any:
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": list(items)}}}


def words_of(name: str) -> str:
    """Return a text that a pattern was written for: the documentation's, numbers filled in."""
    return {
        "Tick": "Price must be divisible by tick size. asset=84",
        "MinTradeNtl": "Order must have minimum value of $10. asset=4",
        "PerpMargin": "Insufficient margin to place order. asset=84",
        "ReduceOnly": "Reduce only order would increase position. asset=4",
        "BadAloPx": (
            "Post only order would have immediately matched, bbo was 1831.8@1831.9. asset=4"
        ),
        "IocCancel": "Order could not immediately match against any resting orders. asset=4",
        "BadTriggerPx": "Invalid TP/SL price. asset=4",
        "MarketOrderNoLiquidity": "No liquidity available for market order.",
        "PositionIncreaseAtOpenInterestCap": (
            "Order would increase open interest while open interest is capped"
        ),
        "TooAggressiveAtOpenInterestCap": (
            "Order rejected due to price more aggressive than oracle while at open interest cap"
        ),
        "OpenInterestIncrease": "Order would increase open interest too quickly",
        "Oracle": "Order price too far from oracle",
        "PerpMaxPosition": (
            "Order would cause position to exceed margin tier limit at current leverage"
        ),
        "MissingOrder": "Order was never placed, already canceled, or filled. asset=4",
        "UnknownSigner": (
            "User or API Wallet 0xb8a6f8b26223de27c31938d56e470a5b832703a5 does not exist."
        ),
        "TooManyRequests": (
            "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded "
            "$437.92. Place taker orders to free up 1 request per USDC traded."
        ),
    }[name]


WHOLE_REQUEST = {"UnknownSigner", "TooManyRequests"}


def hyperliquid_error(code: str, text: str = "") -> Any:
    words = words_of(code)
    if code in WHOLE_REQUEST:
        return {"status": "err", "response": words}
    return statuses({"error": words})


def binance_names() -> Any:
    info = decode(json.dumps(payloads.exchange_info()).encode(), ExchangeInfo)
    market = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True}
    return name_contracts(info, [market], None)[0]


NAMES = binance_names()


class Spoken(NamedTuple):
    """A venue as it speaks: its table, its errors, and how it takes our order."""

    table: VenueTable
    status: int
    error: Callable[..., Any]
    taken: Any
    acknowledge: Callable[[bytes], OrderReport]
    unknown: Any


SPOKEN = {
    "binance": Spoken(
        BINANCE,
        400,
        binance_error,
        {**payloads.order(), "clientOrderId": CLIENT_ID},
        lambda body: acknowledgement(body, INTENT, CLIENT_ID, NAMES, NOW_MS),
        binance_error("-9999"),
    ),
    "bybit": Spoken(
        BYBIT,
        200,
        bybit_error,
        {
            "retCode": 0,
            "retMsg": "OK",
            "result": {"orderId": "1321003749386327552", "orderLinkId": CLIENT_ID},
            "retExtInfo": {},
            "time": NOW_MS,
        },
        lambda body: bybit.acknowledgement(body, INTENT, CLIENT_ID, NOW_MS),
        bybit_error("999999"),
    ),
    "okx": Spoken(
        OKX,
        200,
        okx_error,
        {
            "code": "0",
            "data": [
                {
                    "clOrdId": CLIENT_ID,
                    "ordId": "312269865356374016",
                    "sCode": "0",
                    "sMsg": "Order placed",
                    "tag": "",
                    "ts": "1695190491421",
                }
            ],
            "inTime": "1695190491421339",
            "msg": "",
            "outTime": "1695190491423240",
        },
        lambda body: okx.acknowledgement(body, INTENT, CLIENT_ID, NOW_MS),
        okx_error("59999"),
    ),
    "hyperliquid": Spoken(
        HYPERLIQUID,
        200,
        hyperliquid_error,
        statuses({"filled": {"totalSz": "1", "avgPx": "64650.5", "oid": 77747314, "cloid": CLOID}}),
        lambda body: hyperliquid.acknowledgement(body, INTENT, CLOID, NOW_MS),
        statuses({"error": "Some words that nobody documented. asset=4"}),
    ),
}
VENUES = sorted(SPOKEN)


def encoded(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def answered(status: int, payload: Any, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(
        method="POST",
        host="venue",
        path="/order",
        sent=True,
        status=status,
        headers=named,
        body=encoded(payload),
        complete=True,
        received_ms=NOW_MS,
    )


def state(venue: str, status: int, payload: Any) -> LegState:
    spoken = SPOKEN[venue]
    return classify(answered(status, payload), spoken.acknowledge, spoken.table).state
