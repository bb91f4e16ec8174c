"""Faults on the wire: a script of (endpoint, nth call, fault), and what each does to a reply.

A script is data: it repeats exactly. `random_script` draws one from a seed.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

import msgspec

from perptui.simulator import fault_payloads as payloads
from perptui.simulator.wire import WireReply, WireRequest, json_reply


class FaultKind(StrEnum):
    """What goes wrong. Some happen instead of the request, others to its answer."""

    # The request is handled, the answer goes wrong.
    HANG = "hang"
    RESET_BEFORE_ANSWER = "reset_before_answer"
    RESET_MID_BODY = "reset_mid_body"
    EMPTY = "empty"
    HTML = "html"
    EMPTY_OBJECT = "empty_object"
    NULL = "null"
    TRUNCATED = "truncated"
    NAN = "nan"
    INTERNAL_ERROR = "internal_error"
    BAD_GATEWAY = "bad_gateway"
    UNKNOWN_STATUS = "unknown_status"
    TIMEOUT = "timeout"
    TIMEOUT_408 = "timeout_408"
    UNEXPECTED = "unexpected"
    DUPLICATE_ID = "duplicate_id"
    NOT_MODIFIED = "not_modified"
    DELAY = "delay"
    DRIP = "drip"
    ENDLESS = "endless"
    REFUSED_AFTER = "refused_after"
    WRONG_TYPE = "wrong_type"
    HUGE = "huge"
    COMPRESSED = "compressed"
    NULL_FIELD = "null_field"
    NEGATIVE = "negative"
    OVERFLOW = "overflow"
    WORD = "word"
    KEY_TWICE = "key_twice"
    HOSTILE_TEXT = "hostile_text"
    LONG_TEXT = "long_text"
    NESTED = "nested"
    REVERSED = "reversed"
    REPEATED_ENTRY = "repeated_entry"
    LOST_ENTRY = "lost_entry"
    REUSED_ID = "reused_id"
    ZERO_BOOK = "zero_book"
    CROSSED_BOOK = "crossed_book"
    STALE = "stale"
    NO_ORDERS = "no_orders"
    # The request is not handled.
    RATE_LIMITED = "rate_limited"
    TOO_MANY_ORDERS = "too_many_orders"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    CLOCK = "clock"
    FIREWALL = "firewall"
    KEY_REVOKED = "key_revoked"
    NO_MARGIN = "no_margin"
    CONTRACT_CLOSED = "contract_closed"
    REDIRECTED = "redirected"
    MOVED = "moved"


INSTEAD = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.TOO_MANY_ORDERS,
        FaultKind.BANNED,
        FaultKind.UNAVAILABLE,
        FaultKind.OVERLOADED,
        FaultKind.CLOCK,
        FaultKind.FIREWALL,
        FaultKind.KEY_REVOKED,
        FaultKind.NO_MARGIN,
        FaultKind.CONTRACT_CLOSED,
        FaultKind.REDIRECTED,
        FaultKind.MOVED,
    }
)
"""Faults that keep the request from the exchange."""

TRANSPORT = frozenset(
    {
        FaultKind.HANG,
        FaultKind.RESET_BEFORE_ANSWER,
        FaultKind.RESET_MID_BODY,
        FaultKind.DELAY,
        FaultKind.DRIP,
        FaultKind.ENDLESS,
        FaultKind.REFUSED_AFTER,
    }
)
"""Faults of the connection: the server acts on them, the reply stays as it is."""

REMEMBERED = frozenset({FaultKind.STALE})
"""Faults that need the answers before this one: the venue acts on them."""

_SIGNING = ("timestamp=", "signature=", "recvWindow=")

ELSEWHERE = "https://fapi.elsewhere.invalid"
PADDED_BYTES = 40 * 1024 * 1024
"""HUGE and COMPRESSED fill a sound answer up with blanks to more than a client may read."""

_HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>"
_UNKNOWN = "Unknown error, please check your request or try again later."
_TIMEOUT = (
    "Timeout waiting for response from backend server. Send status unknown; "
    "execution status unknown."
)
_CLOSED = "Symbol is on delivering or delivered or settling or closed or pre-trading."
_UNEXPECTED = "An unexpected response was received from the message bus. Execution status unknown."
BAN_S = 120


class Fault(msgspec.Struct, frozen=True):
    """One fault of a script.

    Attributes
    ----------
    endpoint : str
        ``METHOD /path``, or ``*`` for any.
    nth : int
        Strikes at the nth matching call since the script was installed, counted from 1.
    kind : FaultKind
        What goes wrong.
    seconds : float
        How long HANG and DELAY last, real seconds; DRIP and ENDLESS go on for as long, and for as
        long after the answer of REFUSED_AFTER nobody can connect.
    times : int
        How many calls in a row it strikes.
    pick : int
        Which of the fields, texts or entries that qualify is struck, counted through and round.
    """

    endpoint: str
    nth: int
    kind: FaultKind
    seconds: float = 30.0
    times: int = 1
    pick: int = 0


class FaultScript:
    """Counts calls and says which fault strikes."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.faults = faults
        self._calls: Counter[str] = Counter()
        self._answers: dict[str, WireReply] = {}

    def strike(self, endpoint: str) -> Fault | None:
        """Count one call of `endpoint` and return the fault that strikes it."""
        self._calls[endpoint] += 1
        self._calls["*"] += 1
        for fault in self.faults:
            if fault.endpoint not in {endpoint, "*"}:
                continue
            if fault.nth <= self._calls[fault.endpoint] < fault.nth + fault.times:
                return fault
        return None

    def remember(self, request: WireRequest, reply: WireReply) -> WireReply | None:
        """Keep an answer, and return what STALE gives in its place: the one given first.

        Reads are told apart by their parameters, writes are not: a stale answer to an order is
        the answer to another order.
        """
        if not any(fault.kind in REMEMBERED for fault in self.faults):
            return None
        query = "&".join(p for p in request.query.split("&") if not p.startswith(_SIGNING))
        key = f"{request.method} {request.path} {query}"
        return self._answers.setdefault(key, reply)


def random_script(seed: int, endpoints: tuple[str, ...], count: int, calls: int) -> FaultScript:
    """Return a script of `count` faults drawn from `seed`.

    Parameters
    ----------
    seed : int
        The same seed gives the same script.
    endpoints : tuple of str
        Endpoints that may be struck.
    count : int
        How many faults.
    calls : int
        Each strikes one of the first `calls` calls of its endpoint.
    """
    draw = random.Random(seed)
    return FaultScript(
        tuple(
            Fault(
                draw.choice(endpoints),
                draw.randint(1, calls),
                draw.choice(list(FaultKind)),
                seconds=draw.choice((0.05, 0.5, 8.0)),
                pick=draw.randrange(64),
            )
            for _ in range(count)
        )
    )


def replaced(kind: FaultKind, now_ms: int) -> WireReply:
    """Return what is answered instead of handling the request.

    Raises
    ------
    ValueError
        When `kind` is no fault of `INSTEAD`.
    """
    if kind is FaultKind.BANNED:
        until = now_ms + BAN_S * 1000
        message = f"Way too many requests; IP banned until {until}. Please use the websocket."
        return json_reply({"code": -1003, "msg": message}, 418, {"Retry-After": str(BAN_S)})
    if kind is FaultKind.FIREWALL:
        return WireReply(403, _HTML.replace(b"502 Bad Gateway", b"403 Forbidden"), {}, "text/html")
    if kind in {FaultKind.REDIRECTED, FaultKind.MOVED}:
        status = 302 if kind is FaultKind.REDIRECTED else 308
        return WireReply(status, b"", {"Location": f"{ELSEWHERE}/fapi/v1/order"}, "text/html")
    answers = {
        FaultKind.RATE_LIMITED: (-1003, "Too many requests; current limit is 2400.", 429),
        FaultKind.TOO_MANY_ORDERS: (-1015, "Too many new orders; current limit is 300.", 429),
        FaultKind.UNAVAILABLE: (-1001, "Service Unavailable.", 503),
        FaultKind.OVERLOADED: (-1008, "Server is currently overloaded with other requests.", 503),
        FaultKind.CLOCK: (-1021, "Timestamp for this request is outside of the recvWindow.", 400),
        FaultKind.KEY_REVOKED: (-2015, "Invalid API-key, IP, or permissions for action.", 401),
        FaultKind.NO_MARGIN: (-2019, "Margin is insufficient.", 400),
        FaultKind.CONTRACT_CLOSED: (-4108, _CLOSED, 400),
    }
    if kind not in answers:
        raise ValueError(f"expected a fault that replaces the request, was {kind}; use `damaged`")
    code, message, status = answers[kind]
    headers = {"Retry-After": "5"} if status == 429 else {}
    return json_reply({"code": code, "msg": message}, status, headers)


def damaged(kind: FaultKind, reply: WireReply, pick: int = 0) -> WireReply:
    """Return what becomes of a handled request's reply; transport faults leave it alone.

    Parameters
    ----------
    pick : int
        Which of the fields, texts or entries that qualify is struck.
    """
    if kind in _ERRORS:
        status, code, message = _ERRORS[kind]
        return json_reply({"code": code, "msg": message}, status)
    if kind is FaultKind.BAD_GATEWAY:
        return WireReply(502, _HTML, {}, "text/html")
    if kind is FaultKind.HTML:
        return WireReply(200, _HTML, reply.headers, "text/html")
    if kind is FaultKind.NOT_MODIFIED:
        return WireReply(304, b"", reply.headers, reply.content_type)
    if kind is FaultKind.WRONG_TYPE:
        return WireReply(reply.status, reply.body, reply.headers, "image/png")
    if kind is FaultKind.COMPRESSED:
        headers = {**reply.headers, "Content-Encoding": "gzip"}
        bomb = gzip.compress(reply.body + b" " * PADDED_BYTES, 1, mtime=0)
        return WireReply(reply.status, bomb, headers, reply.content_type)
    if kind in _BODIES:
        return WireReply(200, _BODIES[kind](reply.body), reply.headers, reply.content_type)
    edit = _EDITS.get(kind)
    if edit is None or reply.status != 200:
        return reply
    return WireReply(200, edit(reply.body, pick), reply.headers, reply.content_type)


def without_orders(request: WireRequest, reply: WireReply) -> WireReply:
    """Return what a venue answers that has just restarted and does not know its orders yet."""
    if request.method != "GET" or reply.status != 200:
        return reply
    if request.path.endswith(("/openOrders", "/allOrders")):
        return WireReply(200, b"[]", reply.headers)
    if request.path.endswith(("/order", "/openOrder")):
        return json_reply({"code": -2013, "msg": "Order does not exist."}, 400)
    return reply


def _with_nan(body: bytes) -> bytes:
    """Return `body` with its first quoted decimal replaced by a bare NaN."""
    for begin in range(len(body)):
        if body[begin : begin + 1] != b'"':
            continue
        end = body.find(b'"', begin + 1)
        text = body[begin + 1 : end]
        if b"." in text and text.replace(b".", b"").replace(b"-", b"").isdigit():
            return body[:begin] + b"NaN" + body[end + 1 :]
    return b"NaN"


_ERRORS = {
    FaultKind.INTERNAL_ERROR: (500, -1000, "An unknown error occurred."),
    FaultKind.UNKNOWN_STATUS: (503, -1000, _UNKNOWN),
    FaultKind.TIMEOUT: (504, -1007, _TIMEOUT),
    FaultKind.TIMEOUT_408: (408, -1007, _TIMEOUT),
    FaultKind.UNEXPECTED: (400, -1006, _UNEXPECTED),
    FaultKind.DUPLICATE_ID: (400, -4116, "ClientOrderId is duplicated."),
}

_BODIES: dict[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.EMPTY: lambda body: b"",
    FaultKind.EMPTY_OBJECT: lambda body: b"{}",
    FaultKind.NULL: lambda body: b"null",
    FaultKind.TRUNCATED: lambda body: body[: len(body) // 2],
    FaultKind.NAN: _with_nan,
    FaultKind.NESTED: payloads.nested,
    FaultKind.HUGE: lambda body: body + b" " * PADDED_BYTES,
}
"""What a 200 carries instead, whatever the answer was."""

_EDITS: dict[FaultKind, Callable[[bytes, int], bytes]] = {
    FaultKind.NULL_FIELD: lambda body, pick: payloads.with_raw(body, pick, payloads.null),
    FaultKind.NEGATIVE: lambda body, pick: payloads.with_raw(body, pick, payloads.negative),
    FaultKind.OVERFLOW: lambda body, pick: payloads.with_raw(body, pick, payloads.overflow),
    FaultKind.WORD: lambda body, pick: payloads.with_raw(body, pick, payloads.word),
    FaultKind.KEY_TWICE: payloads.with_key_twice,
    FaultKind.HOSTILE_TEXT: lambda body, pick: payloads.with_text(body, pick, payloads.HOSTILE),
    FaultKind.LONG_TEXT: lambda body, pick: payloads.with_text(body, pick, "A" * payloads.LONG),
    FaultKind.REVERSED: lambda body, pick: payloads.reversed_entries(body),
    FaultKind.REPEATED_ENTRY: payloads.repeated_entry,
    FaultKind.LOST_ENTRY: payloads.lost_entry,
    FaultKind.REUSED_ID: payloads.reused_identifier,
    FaultKind.ZERO_BOOK: lambda body, pick: payloads.zero_book(body),
    FaultKind.CROSSED_BOOK: lambda body, pick: payloads.crossed_book(body),
}
"""Edits of an answer that was a success; where a payload has no such place it stays sound."""
