"""What one attempt to write at a venue came to, from the bytes that went over the wire.

Nothing here looks at exception classes of a library: a definite "no" is on an allow-list with its
HTTP status, an acknowledgement must name our order, and everything else is UNKNOWN (safety.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from perptui.model.errors import BadResponse
from perptui.model.order import LegState, OrderReport, Outcome
from perptui.model.text import safe_text
from perptui.venues.transport import Exchange

CLOCK_CODE = "-1021"


class VenueTable(msgspec.Struct, frozen=True):
    """A venue's codes as data.

    Attributes
    ----------
    definite_statuses : frozenset[int]
        HTTP statuses under which a code of `rejected` is a definite no.
    rejected : Mapping[str, str]
        Code -> meaning: the order was not placed and never will be.
    unsure : Mapping[str, str]
        Codes that name a state which cannot be told from here; kept for the text alone.
    throttled_statuses, throttled_codes : frozenset
        Refused before it was looked at: not sent as far as the book is concerned.
    banned_until : re.Pattern
        Group 1 is the venue time in ms until which requests are refused.
    """

    definite_statuses: frozenset[int]
    rejected: Mapping[str, str]
    unsure: Mapping[str, str]
    throttled_statuses: frozenset[int]
    throttled_codes: frozenset[str]
    banned_until: re.Pattern[str]


BINANCE = VenueTable(
    definite_statuses=frozenset({400, 401}),
    rejected={
        "-1013": "filter not met",
        "-1021": "timestamp outside recvWindow",
        "-1022": "signature not valid",
        "-1100": "illegal characters in a parameter",
        "-1102": "mandatory parameter missing",
        "-1106": "parameter not required",
        "-1111": "precision over the maximum",
        "-1115": "time in force not valid",
        "-1116": "order type not valid",
        "-1117": "side not valid",
        "-1121": "symbol not valid",
        "-1130": "parameter data not valid",
        "-2011": "unknown order sent",
        "-2014": "key format not valid",
        "-2015": "key, address or permission not valid",
        "-2018": "balance not sufficient",
        "-2019": "margin is insufficient",
        "-2020": "unable to fill",
        "-2021": "would trigger at once",
        "-2022": "reduce-only order rejected",
        "-2023": "user in liquidation mode",
        "-2024": "position not sufficient",
        "-2025": "maximum of open orders reached",
        "-2027": "maximum position at current leverage exceeded",
        "-2028": "leverage smaller than permitted",
        "-4003": "quantity below zero",
        "-4005": "quantity above the maximum",
        "-4014": "price not on a tick",
        "-4015": "client id not valid",
        "-4016": "price above the band",
        "-4023": "quantity not on a step",
        "-4024": "price below the band",
        "-4061": "position side does not match the account's mode",
        "-4108": "contract in delivering or closed",
        "-4131": "counterparty's best price outside the band",
        "-4164": "notional below the minimum",
        "-5022": "post-only order would take",
    },
    unsure={
        "-1000": "unknown error while processing",
        "-1001": "disconnected inside the venue",
        "-1006": "unexpected answer inside the venue",
        "-1007": "timed out inside the venue; execution unknown",
        "-1008": "venue overloaded",
        "-4116": "client id is a duplicate: the order may exist",
    },
    throttled_statuses=frozenset({418, 429}),
    throttled_codes=frozenset({"-1003", "-1015"}),
    banned_until=re.compile(r"banned until (\d{13})"),
)


class ErrorBody(msgspec.Struct, frozen=True):
    """Binance's ``{"code": -2019, "msg": "..."}``."""

    code: int
    msg: str = ""


def error_body(exchange: Exchange) -> ErrorBody | None:
    """Return the venue's error object when the whole body is one, else None."""
    if not exchange.complete:
        return None
    try:
        body = msgspec.json.decode(exchange.body, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body if body.code < 0 else None


def silence_until_ms(exchange: Exchange, table: VenueTable) -> int | None:
    """Return the venue time until which requests are refused, from Retry-After or the text."""
    if match := table.banned_until.search(exchange.body[:4096].decode("utf-8", "replace")):
        return int(match.group(1))
    seconds = exchange.headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,7}", seconds):
        return exchange.received_ms + 1000 * int(seconds)
    return None


def classify(
    exchange: Exchange | None,
    acknowledge: Callable[[bytes], OrderReport | None],
    table: VenueTable = BINANCE,
    shown: Callable[[str], str] = safe_text,
) -> Outcome:
    """Return ACKED, REJECTED, NOT_SENT or UNKNOWN for one attempt to write.

    Parameters
    ----------
    exchange : Exchange | None
        The captured request; None when the library refused before it made one.
    acknowledge : callable
        Reads a body as the answer to this very order; raises BadResponse when it has no id,
        another client id, symbol, side or quantity; None where the venue's word is no order.
    table : VenueTable
        The venue's codes.
    shown : callable
        Makes the venue's own words safe to show, and takes secrets out of them.
    """
    if exchange is None or not exchange.sent:
        return Outcome(LegState.NOT_SENT, code="NOT_SENT", text="no byte left")
    if exchange.status is None:
        return _unknown("NO_ANSWER", f"no answer: {exchange.failure or 'connection ended'}")
    body = error_body(exchange)
    code = str(body.code) if body else ""
    if exchange.status in table.throttled_statuses or _is_throttled(exchange, code, table):
        return Outcome(
            LegState.NOT_SENT,
            code=code or str(exchange.status),
            text=_text(exchange, body, "too many requests", shown),
            until_ms=silence_until_ms(exchange, table),
        )
    if 200 <= exchange.status < 300:
        return _accepted(exchange, acknowledge, shown)
    if exchange.status in table.definite_statuses and code in table.rejected:
        text = _text(exchange, body, table.rejected[code], shown)
        return Outcome(LegState.REJECTED, code=code, text=text)
    text = _text(exchange, body, table.unsure.get(code, ""), shown)
    return _unknown(code or str(exchange.status), text)


def _is_throttled(exchange: Exchange, code: str, table: VenueTable) -> bool:
    return exchange.status in table.definite_statuses and code in table.throttled_codes


def _accepted(
    exchange: Exchange,
    acknowledge: Callable[[bytes], OrderReport | None],
    shown: Callable[[str], str],
) -> Outcome:
    if not exchange.complete:
        return _unknown("CUT_OFF", "the answer was cut off")
    try:
        report = acknowledge(exchange.body)
    except BadResponse as error:
        return _unknown("BAD_RESPONSE", shown(str(error)))
    text = "" if report is None else report.state.value
    return Outcome(LegState.ACKED, text=text, report=report)


def _unknown(code: str, text: str) -> Outcome:
    return Outcome(LegState.UNKNOWN, code=code, text=text or "the venue's answer does not tell")


def _text(
    exchange: Exchange, body: ErrorBody | None, meaning: str, shown: Callable[[str], str]
) -> str:
    said = shown(body.msg) if body else ""
    return ": ".join(part for part in (meaning, said) if part) or f"HTTP {exchange.status}"
