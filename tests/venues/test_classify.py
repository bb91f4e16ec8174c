"""A test per row of the table of order outcomes (design: safety), from raw bytes."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from perptui.model.errors import BadResponse
from perptui.model.order import Consequence, LegState, OrderReport, Outcome, Side
from perptui.venues.classify import classify as classify_with
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.transport import Exchange
from tests.venues import payloads

REPORT = OrderReport(
    id=payloads.BTC,
    client_id=payloads.CLIENT_ID,
    venue_order_id="1",
    state=LegState.FILLED,
    side=Side.BUY,
    contracts=Decimal(1),
    filled=Decimal(1),
    average_price=None,
    ts_ms=payloads.NOW_MS,
)


def classify(exchange: Exchange | None, acknowledge: Callable[[bytes], OrderReport]) -> Outcome:
    return classify_with(exchange, acknowledge, BINANCE)


def acknowledge(body: bytes) -> OrderReport:
    if body != b"our order":
        raise BadResponse("expected our order, was something else; reconcile")
    return REPORT


def error(code: int, text: str = "as documented") -> bytes:
    return json.dumps({"code": code, "msg": text}).encode()


def answered(status: int, body: bytes, **headers: str) -> Exchange:
    return Exchange(
        method="POST",
        host="fapi.binance.com",
        path="/fapi/v1/order",
        sent=True,
        status=status,
        headers=headers,
        body=body,
        complete=True,
        received_ms=payloads.NOW_MS,
    )


def silent(*, sent: bool, failure: str) -> Exchange:
    return Exchange("POST", "fapi.binance.com", "/fapi/v1/order", sent=sent, failure=failure)


HTML = b"<html><body>Bad Gateway</body></html>"

UNKNOWN = {
    "accepted then hang": silent(sent=True, failure="SocketTimeoutError"),
    "reset or FIN before the answer": silent(sent=True, failure="ServerDisconnectedError"),
    "200 truncated": answered(200, b'{"orderId": 1, "clientOrd'),
    "200 HTML": answered(200, HTML),
    "200 empty": answered(200, b""),
    "200 {}": answered(200, b"{}"),
    "200 NaN": answered(200, b'{"orderId": NaN}'),
    "200 null": answered(200, b"null"),
    "200 with an error inside": answered(200, error(-2019)),
    "201 of another order": answered(201, b"another order"),
    "302 elsewhere": answered(302, b""),
    "500": answered(500, b""),
    "500 with a definite code": answered(500, error(-2019)),
    "502 HTML": answered(502, HTML),
    "503 -1000": answered(503, error(-1000, "Unknown error, please check your request")),
    "503 Service Unavailable": answered(503, error(-1008, "Service Unavailable.")),
    "-1008": answered(400, error(-1008)),
    "504 -1007": answered(504, error(-1007, "Timeout waiting for response")),
    "408 -1007": answered(408, error(-1007)),
    "400 -1006": answered(400, error(-1006)),
    "403 WAF page": answered(403, HTML),
    "403 with a definite code": answered(403, error(-2019)),
    "-4116 duplicate id": answered(400, error(-4116, "ClientOrderId is duplicated.")),
    "400 with an unlisted code": answered(400, error(-9999)),
    "400 HTML": answered(400, HTML),
    "400 with a positive code": answered(400, error(2019)),
    "400 with two codes": answered(400, b'{"code": -9999, "code": -2019, "msg": "no"}'),
    "400 in a list": answered(400, b'[{"code": -2019, "msg": "no"}]'),
    "500 with a throttle code": answered(500, error(-1015)),
}

NOT_SENT = {
    "connect refused": silent(sent=False, failure="ClientConnectorError"),
    "no request at all": None,
    "429": answered(429, error(-1003, "Too many requests.")),
    "429 HTML": answered(429, HTML),
    "-1015": answered(400, error(-1015, "Too many new orders.")),
    "418": answered(418, error(-1003, "Way too much request weight used.")),
}

REJECTED = [
    *(-2019, -4164, -2022, -2027, -4108, -4131, -1121, -1111),
    *(-1021, -2015, -2011, -4061, -1013),
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_may_be_at_the_venue_is_unknown(name: str) -> None:
    outcome = classify(UNKNOWN[name], acknowledge)
    assert outcome.state is LegState.UNKNOWN
    assert outcome.code
    assert outcome.text
    assert outcome.report is None


@pytest.mark.parametrize("name", NOT_SENT)
def test_what_never_arrived_or_was_throttled_is_not_sent(name: str) -> None:
    assert classify(NOT_SENT[name], acknowledge).state is LegState.NOT_SENT


@pytest.mark.parametrize("code", REJECTED)
@pytest.mark.parametrize("status", [400, 401])
def test_a_definite_no_is_rejected_with_its_code(code: int, status: int) -> None:
    outcome = classify(answered(status, error(code)), acknowledge)
    assert (outcome.state, outcome.code) == (LegState.REJECTED, str(code))
    assert outcome.text.endswith(": as documented")


def test_an_acknowledgement_of_our_order_is_acked() -> None:
    outcome = classify(answered(200, b"our order"), acknowledge)
    assert (outcome.state, outcome.report) == (LegState.ACKED, REPORT)


def test_a_whole_body_cut_off_is_unknown_even_if_it_reads_well() -> None:
    exchange = answered(200, b"our order")
    exchange.complete = False
    outcome = classify(exchange, acknowledge)
    assert (outcome.state, outcome.code) == (LegState.UNKNOWN, "CUT_OFF")


def test_a_rejection_cut_off_is_unknown() -> None:
    exchange = answered(400, error(-2019))
    exchange.complete = False
    assert classify(exchange, acknowledge).state is LegState.UNKNOWN


def test_a_ban_names_its_end_in_the_text() -> None:
    text = "Way too many requests; IP(1.2.3.4) banned until 1722470460000. Please use websocket."
    assert classify(answered(418, error(-1003, text)), acknowledge).until_ms == 1722470460000


def test_retry_after_counts_from_the_answer() -> None:
    exchange = answered(429, error(-1003), **{"retry-after": "7"})
    assert classify(exchange, acknowledge).until_ms == payloads.NOW_MS + 7000
    odd = answered(429, error(-1003), **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert classify(odd, acknowledge).until_ms is None


def test_hostile_text_of_a_venue_is_shown_safely() -> None:
    outcome = classify(answered(400, error(-2019, "\x1b[2J[@click=app.x]\u202e")), acknowledge)
    assert "\x1b" not in outcome.text
    assert "\\x1b[2J[@click=app.x]\\u202e" in outcome.text


def test_a_silence_beyond_the_longest_ban_was_not_meant() -> None:
    # "Bans scale in duration from 2 minutes to 3 days" (Binance, General Info, IP Limits).
    day = 24 * 3600
    for seconds, told in ((3 * day, True), (3 * day + 1, False), (9_999_999, False)):
        exchange = answered(429, b"", **{"retry-after": str(seconds)})
        assert (classify(exchange, acknowledge).until_ms is not None) is told
    text = "banned until 9999999999999"
    assert classify(answered(418, error(-1003, text)), acknowledge).until_ms is None


@pytest.mark.parametrize(
    ("exchange", "consequence"),
    [
        (answered(400, error(-1021)), Consequence.SYNC),
        (answered(401, error(-2015)), Consequence.HALT),
        (answered(403, HTML), Consequence.BREAK),
        (answered(400, error(-2019)), Consequence.NONE),
        (answered(500, error(-2015)), Consequence.NONE),
    ],
)
def test_what_an_answer_asks_for_beyond_its_order(
    exchange: Exchange, consequence: Consequence
) -> None:
    assert classify(exchange, acknowledge).consequence is consequence
