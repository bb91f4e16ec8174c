"""Fault scripts: which call is struck, and what becomes of a reply."""

import gzip
from typing import Any

import msgspec
import pytest

from perptui.simulator import fault_payloads as payloads
from perptui.simulator.faults import (
    INSTEAD,
    TRANSPORT,
    Fault,
    FaultKind,
    FaultScript,
    damaged,
    random_script,
    replaced,
    without_orders,
)
from perptui.simulator.wire import WireReply, WireRequest, json_reply
from perptui.venues.transport import MAX_BODY_BYTES

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


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.KEY_REVOKED, 401, -2015),
        (FaultKind.NO_MARGIN, 400, -2019),
        (FaultKind.CONTRACT_CLOSED, 400, -4108),
    ],
)
def test_refusals_of_the_venues_own(kind: FaultKind, status: int, code: int) -> None:
    reply = replaced(kind, 0)
    assert (reply.status, msgspec.json.decode(reply.body)["code"]) == (status, code)


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.REDIRECTED, 302), (FaultKind.MOVED, 308)])
def test_a_redirect_leads_to_another_host(kind: FaultKind, status: int) -> None:
    reply = replaced(kind, 0)
    assert (reply.status, reply.body) == (status, b"")
    assert reply.headers["Location"].startswith("https://fapi.elsewhere.invalid/")


BOOK = json_reply(
    [
        {"symbol": "BTCUSDT", "id": 1, "bidPrice": "10.1", "askPrice": "10.2", "bidQty": "3"},
        {"symbol": "ETHUSDT", "id": 2, "bidPrice": "5.1", "askPrice": "5.2", "bidQty": "4"},
        {"symbol": "SOLUSDT", "id": 3, "bidPrice": "0.0", "askPrice": "-1.5", "bidQty": "5"},
    ]
)
DEPTH = json_reply({"T": 7, "bids": [["10", "1"]], "asks": [["11", "2"], ["12", "3"]]})


def rows_under(kind: FaultKind, pick: int = 0) -> Any:
    return msgspec.json.decode(damaged(kind, BOOK, pick).body)


def test_one_number_of_a_payload_is_struck_and_the_pick_says_which() -> None:
    assert rows_under(FaultKind.NULL_FIELD)[0]["id"] is None
    assert rows_under(FaultKind.WORD, 1)[0]["bidPrice"] == "many"
    assert rows_under(FaultKind.NEGATIVE)[0]["id"] == -1
    assert rows_under(FaultKind.NEGATIVE, 2)[0]["askPrice"] == "-10.2"
    assert rows_under(FaultKind.NEGATIVE, 9)[2]["bidPrice"] == "-1"
    assert rows_under(FaultKind.NEGATIVE, 10)[2]["askPrice"] == "1.5"
    assert rows_under(FaultKind.OVERFLOW, 1)[0]["bidPrice"] == "1e999"
    assert b'"id": 1e999' in damaged(FaultKind.OVERFLOW, BOOK, 12).body, "12 numbers, then round"
    assert payloads.count_numbers(BOOK.body) == 12
    assert payloads.count_numbers(b"<html>") == 0


def test_a_key_written_twice_says_two_things() -> None:
    body = damaged(FaultKind.KEY_TWICE, BOOK, 1).body
    assert b'"bidPrice": "10.1", "bidPrice": "-10.1"' in body
    lists_only = json_reply([[1, "2"]])
    assert damaged(FaultKind.KEY_TWICE, lists_only) == lists_only


def test_a_text_is_struck_and_numbers_are_left() -> None:
    rows = rows_under(FaultKind.HOSTILE_TEXT, 1)
    assert (rows[0]["symbol"], rows[1]["symbol"]) == ("BTCUSDT", payloads.HOSTILE)
    assert len(rows_under(FaultKind.LONG_TEXT)[0]["symbol"]) == 10_000_000
    for mark in ("[@click=", "\x1b", "\x9b", "\u202e", "\u200b", "\x00"):
        assert mark in payloads.HOSTILE


def test_lists_lose_repeat_turn_and_confuse_their_entries() -> None:
    def named(kind: FaultKind, pick: int = 0) -> list[tuple[str, int]]:
        return [(row["symbol"][:3], row["id"]) for row in rows_under(kind, pick)]

    assert named(FaultKind.REVERSED) == [("SOL", 3), ("ETH", 2), ("BTC", 1)]
    assert named(FaultKind.REPEATED_ENTRY, 1) == [("BTC", 1), ("ETH", 2), ("ETH", 2), ("SOL", 3)]
    assert named(FaultKind.LOST_ENTRY) == [("BTC", 1), ("SOL", 3)]
    assert named(FaultKind.REUSED_ID, 1) == [("BTC", 1), ("ETH", 2), ("SOL", 2)]
    assert msgspec.json.decode(damaged(FaultKind.REVERSED, DEPTH).body)["asks"][0] == ["12", "3"]
    assert damaged(FaultKind.LOST_ENTRY, json_reply([["only"]])).body == b"[]"


def test_books_are_emptied_and_crossed() -> None:
    assert rows_under(FaultKind.CROSSED_BOOK)[0]["bidPrice"] == "10.2"
    assert rows_under(FaultKind.ZERO_BOOK)[1]["askPrice"] == "0"
    empty = msgspec.json.decode(damaged(FaultKind.ZERO_BOOK, DEPTH).body)
    assert (empty["bids"], empty["asks"]) == ([], [])
    crossed = msgspec.json.decode(damaged(FaultKind.CROSSED_BOOK, DEPTH).body)
    assert (crossed["bids"][0], crossed["asks"]) == (["11", "2"], [["10", "1"]])


def test_what_cannot_be_edited_stays_as_it_was() -> None:
    refused = json_reply({"code": -2019, "msg": "no"}, 400)
    page = WireReply(200, b"<html>")
    for kind in (FaultKind.NEGATIVE, FaultKind.REVERSED, FaultKind.ZERO_BOOK, FaultKind.WORD):
        assert damaged(kind, refused) == refused
        assert damaged(kind, page) == page
    for kind in (FaultKind.HOSTILE_TEXT, FaultKind.CROSSED_BOOK, FaultKind.KEY_TWICE):
        assert damaged(kind, page) == page


def test_too_much_of_an_answer() -> None:
    huge = damaged(FaultKind.HUGE, REPLY)
    assert len(huge.body) > MAX_BODY_BYTES
    assert msgspec.json.decode(huge.body) == msgspec.json.decode(REPLY.body)
    bomb = damaged(FaultKind.COMPRESSED, REPLY)
    assert bomb.headers["Content-Encoding"] == "gzip"
    assert len(bomb.body) < 1 << 20
    assert len(gzip.decompress(bomb.body)) > MAX_BODY_BYTES
    assert damaged(FaultKind.NESTED, REPLY).body.count(b"[") == 100_000


def test_a_stale_feed_repeats_what_it_gave_first() -> None:
    first, second = json_reply({"a": 1}), json_reply({"a": 2})
    asked = WireRequest("GET", "/a", "symbol=B&timestamp=1&signature=x")
    again = WireRequest("GET", "/a", "symbol=B&timestamp=2&signature=y")
    other = WireRequest("GET", "/a", "symbol=C")
    script = FaultScript((Fault("GET /a", 2, FaultKind.STALE),))
    assert script.remember(asked, first) == first
    assert script.remember(again, second) == first
    assert script.remember(other, second) == second
    assert FaultScript().remember(asked, first) is None


def test_a_venue_that_does_not_know_its_orders() -> None:
    rows, one = json_reply([{"orderId": 1}]), json_reply({"orderId": 1})
    assert without_orders(WireRequest("GET", "/fapi/v1/openOrders"), rows).body == b"[]"
    lost = without_orders(WireRequest("GET", "/fapi/v1/order"), one)
    assert (lost.status, msgspec.json.decode(lost.body)["code"]) == (400, -2013)
    for request in (WireRequest("POST", "/fapi/v1/order"), WireRequest("GET", "/fapi/v1/time")):
        assert without_orders(request, one) == one


def test_every_fault_is_of_one_sort() -> None:
    by_the_venue = {FaultKind.STALE, FaultKind.NO_ORDERS}
    of_lists = {kind for kind in FaultKind if damaged(kind, BOOK) != BOOK}
    for kind in set(FaultKind) - INSTEAD - TRANSPORT - by_the_venue:
        assert damaged(kind, REPLY) != REPLY or kind in of_lists, kind
    assert not INSTEAD & TRANSPORT
