"""Bybit v5: HTTP 200 and ``{"retCode": 110007, "retMsg": "...", "result": {}, ...}``.

Source: ccxt 4.5.90's table of exceptions and its comments, which name every code here but three
that are unsure in any case (-1, 429, 10000), and its parser of orders: the answer has two ids and
nothing of what became of the order. Nothing here was seen at the venue itself, whose own documents
were not read for it: a code that means something else there is why the list is short, and why all
others are UNKNOWN.
"""

from __future__ import annotations

from typing import Any

import msgspec

from perptui.model.order import OrderIntent, OrderReport
from perptui.venues.fields import bad
from perptui.venues.outcomes.table import Said, VenueTable, acknowledged, whole
from perptui.venues.wire_binance import decode


class Placed(msgspec.Struct, frozen=True, rename="camel"):
    """The result of a placed order: two names and nothing else."""

    order_id: str
    order_link_id: str


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to POST /v5/order/create."""

    ret_code: int
    result: Placed


class _Refused(msgspec.Struct, frozen=True, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: dict[str, Any] | None = None


def read(body: bytes) -> Said | None:
    """Return the venue's error when the whole body is one and names no order."""
    found = whole(body, _Refused)
    if found is None:
        return None
    if found.ret_code == 0 or (found.result or {}).get("orderId"):
        return None
    return Said(str(found.ret_code), found.ret_msg)


def acknowledgement(
    body: bytes, intent: OrderIntent, client_id: str, received_ms: int
) -> OrderReport:
    """Return the report of exactly this order: it has an id and ours; how it goes must be asked.

    Raises
    ------
    BadResponse
        When the body is no acknowledgement, or of another order.
    """
    answer = decode(body, Answer)
    placed = answer.result
    if answer.ret_code != 0 or not placed.order_id or placed.order_link_id != client_id:
        raise bad(
            f"the order {client_id}", f"{answer.ret_code} {placed.order_link_id}", "reconcile"
        )
    return acknowledged(intent, client_id, placed.order_id, received_ms)


BYBIT = VenueTable(
    venue="bybit",
    read=read,
    definite_statuses=frozenset({200}),
    rejected={
        # Checks of the request, before any order is looked at.
        "10001": "request parameter not valid",
        "10002": "timestamp outside recv_window",
        "10003": "key not valid",
        "10004": "signature not valid",
        "10005": "permission denied",
        "10007": "user authentication failed",
        "10010": "address not bound to the key",
        "10017": "route not found",
        "10024": "compliance rules",
        "10027": "trading banned",
        "10029": "symbol not on the key's list",
        "33004": "key expired",
        # Checks of the order against the contract and the account.
        "110001": "order does not exist, or too late to cancel",
        "110003": "price outside the permitted range",
        "110004": "wallet balance insufficient",
        "110006": "assets below the position's margin",
        "110007": "available balance insufficient",
        "110008": "order was completed or cancelled",
        "110009": "too many stop orders",
        "110010": "order was cancelled",
        "110012": "available balance insufficient",
        "110016": "quantity above the risk limit",
        "110017": "reduce-only rule not met",
        "110020": "too many active orders",
        "110021": "open interest above the limit",
        "110023": "only reducing positions",
        "110040": "would be liquidated at once",
        "110042": "only reducing positions before delivery",
        "110044": "available margin insufficient",
        "110045": "wallet balance insufficient",
        "110066": "trading not allowed now",
        "110092": "trigger price not above the price",
        "110093": "trigger price not below the price",
        "110094": "notional below the minimum",
    },
    unsure={
        "-1": "request expired",
        "429": "trading service under high load",
        "10000": "server timeout",
        "10014": "duplicate request",
        "10016": "server error",
    },
    duplicates={
        "110030": "order id is a duplicate: the order may exist",
        "110072": "client id is a duplicate: the order may exist",
    },
    throttled_statuses=frozenset({429}),
    throttled_codes=frozenset({"10006", "10018"}),
    clock=frozenset({"10002"}),
    key=frozenset({"10003", "10004", "10005", "10007", "10010", "10027", "33004"}),
    reset_header="x-bapi-limit-reset-timestamp",
)
