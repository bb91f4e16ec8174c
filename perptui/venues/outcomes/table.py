"""The form of a venue's table of outcomes.

A definite "no" must be on the list `rejected`, under an HTTP status of `definite_statuses`, in a
body that is the venue's error form and nothing else. All other words are UNKNOWN: the list is
short on purpose, and each entry is a check that a venue makes before an order exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from perptui.model.errors import BadResponse
from perptui.model.money import ZERO
from perptui.model.order import LegState, OrderIntent, OrderReport
from perptui.venues.wire_binance import decode

T = TypeVar("T")


class Said(msgspec.Struct, frozen=True):
    """What an error body says: the venue's code, and its own words (not safe to show)."""

    code: str
    text: str = ""


class VenueTable(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's codes as data.

    Attributes
    ----------
    venue : str
        ccxt's id.
    read : callable
        Body -> the error it is; None for anything else, also for an error that contradicts itself.
    definite_statuses : frozenset[int]
        HTTP statuses under which a code is what it says.
    rejected : Mapping[str, str]
        Code -> meaning: the order was not placed and never will be.
    unsure : Mapping[str, str]
        Codes that name a state which cannot be told from here; kept for the text alone.
    duplicates : Mapping[str, str]
        The client id exists already: the order may be live. Unsure as well.
    throttled_statuses, throttled_codes : frozenset
        Refused before it was looked at: not sent as far as the book is concerned.
    clock, key : frozenset[str]
        Codes of `rejected` that speak of our clock, and of the key: nothing else can be sent.
    banned_until : re.Pattern | None
        Group 1 is the venue time in ms until which requests are refused, in the body.
    reset_header : str
        Header (lower case) that gives that time in ms; empty where the venue has none.
    """

    venue: str
    read: Callable[[bytes], Said | None]
    definite_statuses: frozenset[int]
    rejected: Mapping[str, str]
    unsure: Mapping[str, str]
    duplicates: Mapping[str, str]
    throttled_statuses: frozenset[int]
    throttled_codes: frozenset[str]
    clock: frozenset[str]
    key: frozenset[str]
    banned_until: re.Pattern[str] | None = None
    reset_header: str = ""

    def meaning(self, code: str) -> str:
        """Return what the table says of `code`, empty where it does not know it."""
        for names in (self.rejected, self.unsure, self.duplicates):
            if code in names:
                return names[code]
        return ""


def whole(body: bytes, shape: type[T]) -> T | None:
    """Return `body` where all of it is `shape` and no key comes twice, else None."""
    try:
        return decode(body, shape)
    except BadResponse:
        return None


def acknowledged(
    intent: OrderIntent, client_id: str, venue_order_id: str, received_ms: int
) -> OrderReport:
    """Return what an acknowledgement says that gives the order's ids and nothing of fills."""
    return OrderReport(
        id=intent.id,
        client_id=client_id,
        venue_order_id=venue_order_id,
        state=LegState.ACKED,
        side=intent.side,
        contracts=intent.contracts,
        filled=ZERO,
        average_price=None,
        ts_ms=received_ms,
    )
