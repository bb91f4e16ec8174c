"""Faults on the wire: a script of (endpoint, nth call, fault), and what each does to a reply.

A script is data: it repeats exactly. `random_script` draws one from a seed.
"""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum

import msgspec

from perptui.simulator.wire import WireReply, json_reply


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
    DELAY = "delay"
    # The request is not handled.
    RATE_LIMITED = "rate_limited"
    TOO_MANY_ORDERS = "too_many_orders"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    CLOCK = "clock"
    FIREWALL = "firewall"


INSTEAD = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.TOO_MANY_ORDERS,
        FaultKind.BANNED,
        FaultKind.UNAVAILABLE,
        FaultKind.OVERLOADED,
        FaultKind.CLOCK,
        FaultKind.FIREWALL,
    }
)
"""Faults that keep the request from the exchange."""

TRANSPORT = frozenset(
    {FaultKind.HANG, FaultKind.RESET_BEFORE_ANSWER, FaultKind.RESET_MID_BODY, FaultKind.DELAY}
)
"""Faults of the connection: the server acts on them, the reply stays as it is."""

_HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>"
_UNKNOWN = "Unknown error, please check your request or try again later."
_TIMEOUT = (
    "Timeout waiting for response from backend server. Send status unknown; "
    "execution status unknown."
)
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
        How long HANG and DELAY last, real seconds.
    times : int
        How many calls in a row it strikes.
    """

    endpoint: str
    nth: int
    kind: FaultKind
    seconds: float = 30.0
    times: int = 1


class FaultScript:
    """Counts calls and says which fault strikes."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.faults = faults
        self._calls: Counter[str] = Counter()

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
    answers = {
        FaultKind.RATE_LIMITED: (-1003, "Too many requests; current limit is 2400.", 429),
        FaultKind.TOO_MANY_ORDERS: (-1015, "Too many new orders; current limit is 300.", 429),
        FaultKind.UNAVAILABLE: (-1001, "Service Unavailable.", 503),
        FaultKind.OVERLOADED: (-1008, "Server is currently overloaded with other requests.", 503),
        FaultKind.CLOCK: (-1021, "Timestamp for this request is outside of the recvWindow.", 400),
    }
    if kind not in answers:
        raise ValueError(f"expected a fault that replaces the request, was {kind}; use `damaged`")
    code, message, status = answers[kind]
    headers = {"Retry-After": "5"} if status == 429 else {}
    return json_reply({"code": code, "msg": message}, status, headers)


def damaged(kind: FaultKind, reply: WireReply) -> WireReply:
    """Return what becomes of a handled request's reply; transport faults leave it alone."""
    body = reply.body
    errors = {
        FaultKind.INTERNAL_ERROR: (500, -1000, "An unknown error occurred."),
        FaultKind.UNKNOWN_STATUS: (503, -1000, _UNKNOWN),
        FaultKind.TIMEOUT: (504, -1007, _TIMEOUT),
        FaultKind.TIMEOUT_408: (408, -1007, _TIMEOUT),
    }
    if kind in errors:
        status, code, message = errors[kind]
        return json_reply({"code": code, "msg": message}, status)
    if kind is FaultKind.BAD_GATEWAY:
        return WireReply(502, _HTML, {}, "text/html")
    bodies = {
        FaultKind.EMPTY: b"",
        FaultKind.HTML: _HTML,
        FaultKind.EMPTY_OBJECT: b"{}",
        FaultKind.NULL: b"null",
        FaultKind.TRUNCATED: body[: len(body) // 2],
        FaultKind.NAN: _with_nan(body),
    }
    if kind not in bodies:
        return reply
    kind_of_text = "text/html" if kind is FaultKind.HTML else reply.content_type
    return WireReply(200, bodies[kind], reply.headers, kind_of_text)


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
