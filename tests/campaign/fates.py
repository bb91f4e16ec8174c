"""What becomes of a request and of its answer: safety.md's outcome table as bytes on the wire."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from perptui.model.money import plain
from perptui.model.order import LegState, OrderReport
from perptui.venues.transport import Exchange

CANARY = "kCANARYz9f3b7d1e"
HOSTILE = f"\x1b]0;owned\x07[@click=app.quit]SAFE[/]\u202e\x9b31m {CANARY}"


class Fate(msgspec.Struct, frozen=True):
    """What a fault does.

    Attributes
    ----------
    arrives : str
        "now"; "late": up to half a minute after it left; "never"; "maybe": drawn among them.
    status : int | None
        None: no status line came.
    body : str
        "ack": the true answer; "half": the first half of it; else the bytes.
    sent : bool
        False: no byte left.
    outcome : str
        What the desk must make of it.
    """

    arrives: str
    status: int | None
    body: str
    outcome: str
    sent: bool = True
    complete: bool = True


def _error(code: int, text: str) -> str:
    return json.dumps({"code": code, "msg": text})


_HTML = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>"
_REJECTIONS = {
    "-2019": "Margin is insufficient.",
    "-4164": "Order's notional must be no smaller than 5",
    "-2022": "ReduceOnly Order is rejected.",
    "-2027": "Exceeded the maximum allowable position at current leverage.",
    "-4108": "This contract is pending settle.",
    "-4131": "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    "-1121": "Invalid symbol.",
    "-2021": "Order would immediately trigger.",
    "-1111": "Precision is over the maximum defined for this asset.",
    "-1021": "Timestamp for this request is outside of the recvWindow.",
}

FATES: dict[str, Fate] = {
    "hang": Fate("maybe", None, "", "UNKNOWN"),
    "reset before answer": Fate("maybe", None, "", "UNKNOWN"),
    "reset in mid-body": Fate("now", 200, "half", "UNKNOWN", complete=False),
    "truncated 200": Fate("now", 200, "half", "UNKNOWN"),
    "HTML 200": Fate("maybe", 200, _HTML, "UNKNOWN"),
    "empty 200": Fate("maybe", 200, "", "UNKNOWN"),
    "{} 200": Fate("maybe", 200, "{}", "UNKNOWN"),
    "null 200": Fate("maybe", 200, "null", "UNKNOWN"),
    "NaN 200": Fate("now", 200, "nan", "UNKNOWN"),
    "other order 200": Fate("now", 200, "other", "UNKNOWN"),
    "500 HTML": Fate("maybe", 500, _HTML, "UNKNOWN"),
    "502 HTML": Fate("maybe", 502, _HTML, "UNKNOWN"),
    "503 -1000": Fate("maybe", 503, _error(-1000, "An unknown error occurred."), "UNKNOWN"),
    "504 -1007": Fate("maybe", 504, _error(-1007, "Timeout waiting for backend."), "UNKNOWN"),
    "408 -1007": Fate("maybe", 408, _error(-1007, "Timeout waiting for backend."), "UNKNOWN"),
    "400 -1006": Fate("maybe", 400, _error(-1006, "Unexpected response."), "UNKNOWN"),
    "503 unavailable": Fate("never", 503, "Service Unavailable", "UNKNOWN"),
    "503 -1008": Fate("never", 503, _error(-1008, "Server is overloaded."), "UNKNOWN"),
    "403 firewall": Fate("never", 403, "<html>403 Forbidden</html>", "UNKNOWN"),
    "400 -4116": Fate("now", 400, _error(-4116, "ClientOrderId is duplicated."), "UNKNOWN"),
    "429": Fate("never", 429, _error(-1003, "Too many requests."), "NOT_SENT"),
    "429 -1015": Fate("never", 429, _error(-1015, "Too many new orders."), "NOT_SENT"),
    "418 banned": Fate("never", 418, _error(-1003, "Way too many requests."), "NOT_SENT"),
    "connect refused": Fate("never", None, "", "NOT_SENT", sent=False),
    "401 -2015": Fate("never", 401, _error(-2015, "Invalid API-key, IP."), "REJECTED"),
    "hostile text": Fate("never", 400, _error(-2019, HOSTILE), "REJECTED"),
    **{
        f"400 {code}": Fate("never", 400, _error(int(code), text), "REJECTED")
        for code, text in _REJECTIONS.items()
    },
    "lying -2019": Fate("now", 400, _error(-2019, "Margin is insufficient."), "REJECTED"),
}
"""Every kind of answer but the right one."""

READ_FAULTS = (
    "hang",
    "truncated 200",
    "HTML 200",
    "empty 200",
    "{} 200",
    "null 200",
    "NaN 200",
    "502 HTML",
    "503 -1000",
    "429",
    "418 banned",
    "400 -1021",
    "hostile text",
)
"""What strikes a query: it says nothing, whatever it is."""

_RARE = frozenset({"lying -2019", "401 -2015", "418 banned"})


_NAMES = list(FATES)
_WEIGHTS: dict[str, float] = {
    n: 7 if n == "lying -2019" else 0.5 if n in _RARE else 3 if FATES[n].arrives == "maybe" else 1
    for n in FATES
}


def draw(rng: random.Random, oftener: Mapping[str, float]) -> str:
    """Return the name of a fault of a write; those that accept without an answer come oftener.

    `oftener`: other weights by name.
    """
    return rng.choices(_NAMES, [oftener.get(n, own) for n, own in _WEIGHTS.items()])[0]


def arrival(rng: random.Random, fate: Fate) -> str:
    """Return "now", "late" or "never"."""
    if fate.arrives != "maybe":
        return fate.arrives
    return rng.choices(("now", "late", "never"), (4, 3, 3))[0]


_WORDS = {
    LegState.OPEN: "NEW",
    LegState.PARTIAL: "PARTIALLY_FILLED",
    LegState.FILLED: "FILLED",
    LegState.CANCELED: "CANCELED",
    LegState.EXPIRED: "EXPIRED",
}


def order_body(report: OrderReport, venue_symbol: str, **changes: object) -> str:
    """Return an order as Binance gives it."""
    body = {
        "symbol": venue_symbol,
        "orderId": int(report.venue_order_id),
        "clientOrderId": report.client_id,
        "status": _WORDS[report.state],
        "side": report.side.value.upper(),
        "origQty": plain(report.contracts),
        "executedQty": plain(report.filled),
        "avgPrice": "0" if report.average_price is None else plain(report.average_price),
        "updateTime": report.ts_ms,
        **changes,
    }
    return json.dumps(body)


def stop_body(report: OrderReport, venue_symbol: str, *, reduce_only: bool) -> str:
    """Return a stop that waits as Binance's algo service gives it."""
    body = {
        "algoId": int(report.venue_order_id.removeprefix("algo:")),
        "clientAlgoId": report.client_id,
        "orderType": "STOP_MARKET",
        "symbol": venue_symbol,
        "side": report.side.value.upper(),
        "quantity": plain(report.contracts),
        "algoStatus": "NEW",
        "triggerPrice": plain(report.trigger_price or Decimal(0)),
        "workingType": "MARK_PRICE",
        "reduceOnly": reduce_only,
        "updateTime": report.ts_ms,
    }
    return json.dumps(body)


def stop_canceled_body(waiting: str, client_id: str) -> str:
    """Return the algo service's word that a stop is cancelled; `waiting`: its id there."""
    number = int(waiting.removeprefix("algo:"))
    body = {"algoId": number, "clientAlgoId": client_id, "code": "200", "msg": "success"}
    return json.dumps(body)


def countdown_body(venue_symbol: str, countdown_ms: int) -> str:
    """Return the venue's word that a countdown is set."""
    return json.dumps({"symbol": venue_symbol, "countdownTime": str(countdown_ms)})


def exchange_of(fate: Fate | None, truth: str, now_ms: int, other: str = "") -> Exchange:
    """Return what the desk's transport captured; `truth` is the venue's right answer."""
    exchange = Exchange("POST", "fapi.binance.com", "/fapi/v1/order", received_ms=now_ms)
    if fate is None:
        exchange.sent = exchange.complete = True
        exchange.status, exchange.body = 200, truth.encode()
        return exchange
    exchange.sent, exchange.status, exchange.complete = fate.sent, fate.status, fate.complete
    if fate.status is None:
        exchange.complete, exchange.failure = False, "ServerDisconnectedError"
    texts = {"half": truth[: len(truth) // 2], "other": other}
    if fate.body == "nan":
        texts["nan"] = _with_nan(truth)
    exchange.body = texts.get(fate.body, fate.body).encode()
    return exchange


def _with_nan(truth: str) -> str:
    body = json.loads(truth) if truth else {}
    body |= {"executedQty": "NaN", "quantity": "NaN", "algoId": "NaN", "countdownTime": "NaN"}
    return json.dumps(body)


def names() -> Iterable[str]:
    """Return the names of all faults of a write."""
    return FATES.keys()
