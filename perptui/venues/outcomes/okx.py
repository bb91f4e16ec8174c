"""OKX v5: the request's code, and in a batch of one (every order is one) the order's own `sCode`.

``{"code": "1", "msg": "All operations failed", "data": [{"ordId": "", "clOrdId": "...",
"sCode": "51008", "sMsg": "..."}]}``, or ``{"code": "50111", "msg": "...", "data": []}`` where the
request itself was refused.
Source: ccxt 4.5.90's table of exceptions and its comments, which name every code here (50004: "does
not indicate success or failure of order"); the forms are those that its parsers of orders expect.
Nothing here was seen at the venue itself, whose own documents were not read for it: a code that
means something else there is why the list is short, and why all others are UNKNOWN.
"""

from __future__ import annotations

from typing import Any

import msgspec

from perptui.model.order import OrderIntent, OrderReport
from perptui.venues.fields import bad
from perptui.venues.outcomes.table import Said, VenueTable, acknowledged, whole
from perptui.venues.wire_binance import decode


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """What the venue says of one order of a request."""

    ord_id: str
    cl_ord_id: str
    s_code: str
    s_msg: str = ""


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to POST /api/v5/trade/order and batch-orders."""

    code: str
    data: list[Item]


class _Refused(msgspec.Struct, frozen=True, rename="camel"):
    code: str
    msg: str = ""
    data: list[dict[str, Any]] = []


SUCCEEDED = "0"
OF_ITEMS = frozenset({"1", "2"})
"""Codes of a request that leave it to its items to say why: all failed, some failed."""


def read(body: bytes) -> Said | None:
    """Return the venue's error when the whole body is one, of one order or of the request."""
    found = whole(body, _Refused)
    if found is None:
        return None
    if found.code == SUCCEEDED or any(row.get("ordId") for row in found.data):
        return None
    if not found.data:
        return None if found.code in OF_ITEMS else Said(found.code, found.msg)
    if found.code not in OF_ITEMS or len(found.data) != 1:
        return None
    code, text = (found.data[0].get(name) for name in ("sCode", "sMsg"))
    if not isinstance(code, str) or code == SUCCEEDED:
        return None
    return Said(code, text if isinstance(text, str) else "")


def acknowledgement(
    body: bytes, intent: OrderIntent, client_id: str, received_ms: int
) -> OrderReport:
    """Return the report of exactly this order: it has an id and ours; how it goes must be asked.

    Raises
    ------
    BadResponse
        When the body is no acknowledgement, of another order, or of several.
    """
    answer = decode(body, Answer)
    item = answer.data[0] if len(answer.data) == 1 else None
    if item is None or {answer.code, item.s_code} != {SUCCEEDED}:
        raise bad(f"the order {client_id}", f"{answer.code} of {len(answer.data)}", "reconcile")
    if not item.ord_id or item.cl_ord_id != client_id:
        raise bad(f"the order {client_id}", item.cl_ord_id, "reconcile")
    return acknowledged(intent, client_id, item.ord_id, received_ms)


OKX = VenueTable(
    venue="okx",
    read=read,
    definite_statuses=frozenset({200, 400, 401}),
    rejected={
        # Checks of the request, before any order is looked at.
        "50014": "parameter empty",
        "50027": "account restricted from trading",
        "50101": "key of another environment",
        "50102": "timestamp expired",
        "50103": "key missing",
        "50104": "passphrase missing",
        "50105": "passphrase wrong",
        "50106": "signature missing",
        "50107": "timestamp missing",
        "50110": "address not bound to the key",
        "50111": "key not valid",
        "50112": "timestamp not valid",
        "50113": "signature not valid",
        # Checks of the order against the contract and the account.
        "51000": "parameter not valid",
        "51001": "contract does not exist",
        "51004": "amount above the position's tier",
        "51005": "amount above the order limit",
        "51006": "price outside the limit",
        "51008": "balance or margin insufficient",
        "51020": "amount below the minimum",
        "51021": "contract not listed yet",
        "51022": "contract suspended",
        "51027": "contract expired",
        "51028": "contract under delivery",
        "51121": "amount not in lots",
        "51127": "available balance is zero",
        "51131": "balance insufficient",
        "51400": "order does not exist any more",
    },
    unsure={
        "50001": "matching engine upgrading",
        "50004": "request timed out: neither success nor failure",
        "50005": "venue offline",
        "50013": "venue busy",
        "50026": "system error",
        "50028": "order cannot be taken; reason not given",
    },
    duplicates={
        "51011": "order id is a duplicate: the order may exist",
        "51016": "client id is a duplicate: the order may exist",
    },
    throttled_statuses=frozenset({429}),
    throttled_codes=frozenset({"50011", "50061"}),
    clock=frozenset({"50102", "50112"}),
    key=frozenset({"50101", "50103", "50104", "50105", "50106", "50110", "50111", "50113"}),
)
