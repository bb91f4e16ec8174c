"""Fault scripts: which call is struck, and what becomes of a reply."""

import msgspec
import pytest

from perptui.simulator.faults import (
    INSTEAD,
    TRANSPORT,
    Fault,
    FaultKind,
    FaultScript,
    damaged,
    random_script,
    replaced,
)
from perptui.simulator.wire import json_reply

ORDER = "POST /fapi/v1/order"
REPLY = json_reply({"orderId": 12, "price": "97844.20", "symbol": "BTCUSDT"})


def test_a_script_strikes_the_nth_call_and_only_it() -> None:
    script = FaultScript((Fault(ORDER, 2, FaultKind.HANG), Fault("*", 5, FaultKind.HTML, times=2)))
    struck = []
    for endpoint in (ORDER, "GET /a", ORDER, ORDER, "GET /a", "GET /b", "GET /b"):
        fault = script.strike(endpoint)
        struck.append(fault.kind if fault else None)
    assert struck == [None, None, FaultKind.HANG, None, FaultKind.HTML, FaultKind.HTML, None]


def test_a_seed_is_a_script() -> None:
    first = random_script(3, (ORDER, "GET /x"), 20, 9)
    assert first.faults == random_script(3, (ORDER, "GET /x"), 20, 9).faults
    assert first.faults != random_script(4, (ORDER, "GET /x"), 20, 9).faults
    assert all(1 <= fault.nth <= 9 for fault in first.faults)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.RATE_LIMITED, 429, -1003),
        (FaultKind.TOO_MANY_ORDERS, 429, -1015),
        (FaultKind.BANNED, 418, -1003),
        (FaultKind.UNAVAILABLE, 503, -1001),
        (FaultKind.OVERLOADED, 503, -1008),
        (FaultKind.CLOCK, 400, -1021),
    ],
)
def test_faults_instead_of_the_request(kind: FaultKind, status: int, code: int) -> None:
    reply = replaced(kind, 1_000_000)
    assert reply.status == status
    body = msgspec.json.decode(reply.body)
    assert body["code"] == code
    if kind is FaultKind.BANNED:
        assert "1120000" in body["msg"]
    assert ("Retry-After" in reply.headers) is (status in {418, 429})


def test_a_firewall_page_and_a_wrong_use() -> None:
    assert replaced(FaultKind.FIREWALL, 0).status == 403
    with pytest.raises(ValueError, match="replaces the request"):
        replaced(FaultKind.HANG, 0)


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (FaultKind.EMPTY, 200, b""),
        (FaultKind.EMPTY_OBJECT, 200, b"{}"),
        (FaultKind.NULL, 200, b"null"),
        (FaultKind.TRUNCATED, 200, REPLY.body[: len(REPLY.body) // 2]),
        (FaultKind.NAN, 200, REPLY.body.replace(b'"97844.20"', b"NaN")),
        (FaultKind.DELAY, 200, REPLY.body),
    ],
)
def test_faults_of_the_answer(kind: FaultKind, status: int, body: bytes) -> None:
    reply = damaged(kind, REPLY)
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.INTERNAL_ERROR, 500, -1000),
        (FaultKind.UNKNOWN_STATUS, 503, -1000),
        (FaultKind.TIMEOUT, 504, -1007),
        (FaultKind.TIMEOUT_408, 408, -1007),
    ],
)
def test_errors_after_the_fact(kind: FaultKind, status: int, code: int) -> None:
    reply = damaged(kind, REPLY)
    assert reply.status == status
    assert msgspec.json.decode(reply.body)["code"] == code


def test_html_comes_with_200_and_with_502() -> None:
    page, gateway = damaged(FaultKind.HTML, REPLY), damaged(FaultKind.BAD_GATEWAY, REPLY)
    assert (page.status, gateway.status) == (200, 502)
    assert page.body.startswith(b"<html>")
    assert gateway.content_type == "text/html"


def test_nan_without_a_number_to_replace() -> None:
    assert damaged(FaultKind.NAN, json_reply({"a": 1})).body == b"NaN"


def test_every_fault_is_of_one_sort() -> None:
    for kind in set(FaultKind) - INSTEAD - TRANSPORT:
        assert damaged(kind, REPLY) != REPLY, kind
    assert not INSTEAD & TRANSPORT
