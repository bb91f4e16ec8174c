"""Hyperliquid: HTTP 200 and words; there are no codes, so each text is matched whole.

``{"status": "ok", "response": {"type": "order", "data": {"statuses": [{"error": "..."}]}}}``, or
``{"status": "err", "response": "..."}`` where the whole request was refused. The codes here are
names for the texts.
Source: ccxt 4.5.90's table of exceptions and the answers that it quotes (the suffix ``asset=84``),
for all texts but five: those of the open interest caps, of the oracle and of the margin tier are
not in it, and their wording was confirmed nowhere. Nothing here was seen at the venue itself. A
text must fit whole, so that another wording is UNKNOWN, never a refusal.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from perptui.model.money import ZERO
from perptui.model.order import LegState, OrderIntent, OrderReport
from perptui.venues.fields import bad, positive, positive_or_none
from perptui.venues.outcomes.table import Said, VenueTable, whole
from perptui.venues.wire_binance import decode

_ASSET = r"(?: asset=\d{1,9})?"
_NUMBER = r"[0-9.@,eE+-]{1,64}"
TEXTS: dict[str, re.Pattern[str]] = {
    name: re.compile(text + _ASSET)
    for name, text in {
        "Tick": r"Price must be divisible by tick size\.",
        "MinTradeNtl": r"Order must have minimum value of \$10\.?",
        "PerpMargin": r"Insufficient margin to place order\.",
        "ReduceOnly": r"Reduce only order would increase position\.",
        "BadAloPx": rf"Post only order would have immediately matched, bbo was {_NUMBER}\.?",
        "IocCancel": r"Order could not immediately match against any resting orders\.",
        "BadTriggerPx": r"Invalid TP/SL price\.",
        "MarketOrderNoLiquidity": r"No liquidity available for market order\.",
        "PositionIncreaseAtOpenInterestCap": (
            r"Order would increase open interest while open interest is capped\.?"
        ),
        "TooAggressiveAtOpenInterestCap": (
            r"Order rejected due to price more aggressive than oracle while at open interest cap\.?"
        ),
        "OpenInterestIncrease": r"Order would increase open interest too quickly\.?",
        "Oracle": r"Order price too far from oracle\.?",
        "PerpMaxPosition": (
            r"Order would cause position to exceed margin tier limit at current leverage\.?"
        ),
        "MissingOrder": r"Order was never placed, already canceled, or filled\.",
        "UnknownSigner": r"User or API Wallet 0x[0-9a-fA-F]{40} does not exist\.",
        "TooManyRequests": (
            r"Too many cumulative requests sent \(\d+ > \d+\) for cumulative volume traded "
            r"\$[0-9.]+\. Place taker orders to free up 1 request per USDC traded\."
        ),
    }.items()
}


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The status of an order that was refused: a text and nothing beside it."""

    error: str


class Resting(msgspec.Struct, frozen=True):
    """An order in the book."""

    oid: int
    cloid: str


class Filled(msgspec.Struct, frozen=True, rename="camel"):
    """An order that traded at once."""

    oid: int
    cloid: str
    total_sz: str
    avg_px: str


class Placed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The status of an order that was taken."""

    resting: Resting | None = None
    filled: Filled | None = None


class _Statuses(msgspec.Struct, frozen=True):
    statuses: list[Any]


class _Response(msgspec.Struct, frozen=True):
    type: str
    data: _Statuses


class Answer(msgspec.Struct, frozen=True):
    """The answer to an action of type order; `response` is a text where `status` is ``err``."""

    status: str
    response: _Response | str


def read(body: bytes) -> Said | None:
    """Return the venue's error when the whole body is one; its code is a name of `TEXTS`."""
    answer = whole(body, Answer)
    if answer is None:
        return None
    if answer.status == "err" and isinstance(answer.response, str):
        return _named(answer.response)
    if answer.status != "ok" or isinstance(answer.response, str):
        return None
    statuses = answer.response.data.statuses
    if len(statuses) != 1:
        return None
    try:
        return _named(msgspec.convert(statuses[0], Refusal).error)
    except msgspec.ValidationError:
        return None


def _named(text: str) -> Said:
    for name, pattern in TEXTS.items():
        if pattern.fullmatch(text):
            return Said(name, text)
    return Said("TEXT", text)


def acknowledgement(
    body: bytes, intent: OrderIntent, client_id: str, received_ms: int
) -> OrderReport:
    """Return the report of exactly this order: an id and our client id, and what it traded.

    An answer without the client id is not taken for ours: the order is then asked for by it.

    Raises
    ------
    BadResponse
        When the body is no acknowledgement, of another order, or fills more than was asked for.
    """
    answer = decode(body, Answer)
    if answer.status != "ok" or isinstance(answer.response, str):
        raise bad(f"the order {client_id}", answer.status, "reconcile")
    statuses = answer.response.data.statuses
    try:
        placed = msgspec.convert(statuses[0] if len(statuses) == 1 else None, Placed)
    except msgspec.ValidationError:
        raise bad(f"the order {client_id}", f"{len(statuses)} answers", "reconcile") from None
    found = placed.filled or placed.resting
    if found is None or (placed.filled and placed.resting):
        raise bad("an order that rests or traded", "another", "reconcile")
    if found.oid <= 0 or found.cloid != client_id:
        raise bad(f"the order {client_id}", found.cloid, "reconcile")
    return _report(placed.filled, found.oid, intent, client_id, received_ms)


def _report(
    traded: Filled | None, number: int, intent: OrderIntent, client_id: str, received_ms: int
) -> OrderReport:
    filled = positive(traded.total_sz, "totalSz") if traded else ZERO
    if filled > intent.contracts:
        raise bad("a fill that fits the order", filled, "reconcile")
    state = LegState.PARTIAL if traded else LegState.OPEN
    return OrderReport(
        id=intent.id,
        client_id=client_id,
        venue_order_id=str(number),
        state=LegState.FILLED if filled == intent.contracts else state,
        side=intent.side,
        contracts=intent.contracts,
        filled=filled,
        average_price=positive_or_none(traded.avg_px, "avgPx") if traded else None,
        ts_ms=received_ms,
    )


HYPERLIQUID = VenueTable(
    venue="hyperliquid",
    read=read,
    definite_statuses=frozenset({200}),
    rejected={
        "Tick": "price not on a tick",
        "MinTradeNtl": "notional below the minimum",
        "PerpMargin": "margin is insufficient",
        "ReduceOnly": "reduce-only order would increase the position",
        "BadAloPx": "post-only order would take",
        "IocCancel": "nothing to match: nothing traded, nothing rests",
        "BadTriggerPx": "trigger price not valid",
        "MarketOrderNoLiquidity": "no liquidity",
        "PositionIncreaseAtOpenInterestCap": "open interest is capped",
        "TooAggressiveAtOpenInterestCap": "price too aggressive at the open interest cap",
        "OpenInterestIncrease": "open interest would rise too quickly",
        "Oracle": "price too far from the oracle",
        "PerpMaxPosition": "position above the tier's limit at current leverage",
        "MissingOrder": "order was never placed, cancelled or filled",
        "UnknownSigner": "the signing wallet is not known",
    },
    # A nonce that was used may have been used by this very request: all other words are unsure.
    unsure={},
    duplicates={},
    throttled_statuses=frozenset({429}),
    throttled_codes=frozenset({"TooManyRequests"}),
    clock=frozenset(),
    key=frozenset({"UnknownSigner"}),
)
