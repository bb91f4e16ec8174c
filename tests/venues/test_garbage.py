"""A garbage 200 on any endpoint is an error, never an empty book, a zero or a flat account."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perptui.model.clock import ManualClock
from perptui.model.errors import BadResponse
from perptui.model.order import LegState, OrderIntent
from perptui.venues.base import Venue
from tests.venues import payloads
from tests.venues.payloads import BTC, CLIENT_ID, HOUR_MS, NOW_MS
from tests.venues.wire_server import WireServer, json_body

pytestmark = [pytest.mark.asyncio, pytest.mark.unmeasured]

Read = Callable[[Venue], Awaitable[Any]]
SINCE = NOW_MS - 2 * HOUR_MS

READS: dict[str, tuple[str, Read]] = {
    "time": ("/fapi/v1/time", lambda venue: venue.server_time()),
    "open": ("/fapi/v1/exchangeInfo", lambda venue: venue.open()),
    "contracts": ("/fapi/v1/exchangeInfo", lambda venue: venue.instruments()),
    "tiers": ("/fapi/v1/leverageBracket", lambda venue: venue.instruments()),
    "fees": ("/fapi/v1/commissionRate", lambda venue: venue.instruments()),
    "balance": ("/fapi/v3/account", lambda venue: venue.account()),
    "positions": ("/fapi/v3/positionRisk", lambda venue: venue.account()),
    "mode": ("/fapi/v1/accountConfig", lambda venue: venue.account()),
    "leverage": ("/fapi/v1/symbolConfig", lambda venue: venue.account()),
    "marks": ("/fapi/v1/premiumIndex", lambda venue: venue.quotes()),
    "tops": ("/fapi/v1/ticker/bookTicker", lambda venue: venue.quotes()),
    "volumes": ("/fapi/v1/ticker/24hr", lambda venue: venue.quotes()),
    "funding": ("/fapi/v1/premiumIndex", lambda venue: venue.funding()),
    "intervals": ("/fapi/v1/fundingInfo", lambda venue: venue.funding()),
    "bars": ("/fapi/v1/klines", lambda venue: venue.bars(BTC, None, 3)),
    "mark bars": ("/fapi/v1/markPriceKlines", lambda venue: venue.mark_bars(BTC, SINCE, 3)),
    "settlements": ("/fapi/v1/fundingRate", lambda venue: venue.funding_history(BTC, None, 9)),
    "book": ("/fapi/v1/depth", lambda venue: venue.book(BTC, 5)),
    "cash flows": ("/fapi/v1/income", lambda venue: venue.cashflows(SINCE)),
    "fills": ("/fapi/v1/userTrades", lambda venue: venue.fills(BTC, SINCE)),
    "open orders": ("/fapi/v1/openOrders", lambda venue: venue.open_orders()),
    "order": ("/fapi/v1/order", lambda venue: venue.order(BTC, CLIENT_ID)),
}

MAY_BE_EMPTY = {
    "intervals",
    "bars",
    "mark bars",
    "settlements",
    "cash flows",
    "fills",
    "open orders",
}
"""Answers of which an empty list is a true one."""

USED_FIELD = {
    "time": "serverTime",
    "open": "symbol",
    "contracts": "stepSize",
    "tiers": "maintMarginRatio",
    "fees": "takerCommissionRate",
    "balance": "totalMarginBalance",
    "positions": "positionAmt",
    "mode": "dualSidePosition",
    "marks": "markPrice",
    "tops": "bidPrice",
    "volumes": "quoteVolume",
    "funding": "lastFundingRate",
    "intervals": "fundingIntervalHours",
    "settlements": "fundingRate",
    "cash flows": "income",
    "fills": "price",
    "open orders": "origQty",
    "order": "executedQty",
}
"""A field that the read depends on."""

BODIES: dict[str, bytes] = {
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "empty": b"",
    "object": b"{}",
    "null": b"null",
    "list": b"[]",
    "list of nulls": b"[null]",
    "list of lists": b"[[]]",
    "list of objects": b"[{}]",
    "string": b'"ok"',
    "number": b"7",
    "not utf-8": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
}

VALUES = {
    "NaN": b"NaN",
    "quoted NaN": b'"NaN"',
    "infinity": b'"Infinity"',
    "1e999": b"1e999",
    "quoted 1e999": b'"1e999"',
    "null": b"null",
    "word": b'"many"',
    "list": b"[1]",
    "empty list": b"[]",
    "boolean in a string": b'"true"',
}


def _with_field(payload: Any, field: str, value: bytes) -> bytes:
    text = json_body(payload)
    pattern = rb'("%s": )("[^"]*"|true|false|[-0-9.e]+)' % field.encode()
    changed, count = re.subn(pattern, lambda match: match.group(1) + value, text, count=1)
    assert count == 1
    return changed


async def _refused(server: WireServer, venue: Venue, name: str, body: bytes) -> None:
    path, read = READS[name]
    server.answer(path, body)
    with pytest.raises(BadResponse) as caught:
        await read(venue)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", READS)
async def test_a_garbage_body_is_refused(
    server: WireServer, venue: Venue, clock: ManualClock, name: str
) -> None:
    whole = json_body(payloads.REPLIES[READS[name][0]])
    cut_off = {"last byte": whole[:-1], "half": whole[: len(whole) // 2]}
    for label, body in {**BODIES, **cut_off}.items():
        if label == "list" and name in MAY_BE_EMPTY:
            continue
        clock.advance(120)
        await _refused(server, venue, name, body)


@pytest.mark.parametrize("name", sorted(MAY_BE_EMPTY))
async def test_an_empty_list_is_a_true_answer_where_nothing_may_be(
    server: WireServer, venue: Venue, name: str
) -> None:
    server.answer(READS[name][0], b"[]")
    reading = await READS[name][1](venue)
    if name == "intervals":
        assert [quote.interval_h for quote in reading.value] == [8.0]
    else:
        assert reading.value == ()


@pytest.mark.parametrize("name", USED_FIELD)
async def test_a_field_that_is_no_number_is_refused(
    server: WireServer, venue: Venue, clock: ManualClock, name: str
) -> None:
    payload = payloads.REPLIES[READS[name][0]]
    for label, value in VALUES.items():
        if name == "open" and label in {"quoted NaN", "infinity", "quoted 1e999", "word"}:
            continue  # a contract may be called anything
        if label == "boolean in a string" and name == "open":
            continue
        if name == "funding" and label == "null":
            continue  # a contract without a rate is listed as missing
        clock.advance(120)
        await _refused(server, venue, name, _with_field(payload, USED_FIELD[name], value))


async def test_a_key_that_comes_twice_is_refused(
    server: WireServer, venue: Venue, clock: ManualClock
) -> None:
    signed = ["balance", "positions", "mode", "cash flows", "fills", "open orders", "order"]
    for name in signed:
        whole = payloads.REPLIES[READS[name][0]]
        text = json_body(whole)
        clock.advance(120)
        first = re.search(rb'"\w+": (?:"[^"]*"|true|false|\d+)', text)
        assert first is not None
        entry = first.group(0)
        await _refused(server, venue, name, text.replace(entry, entry + b", " + entry, 1))
        server.answer(READS[name][0], whole)


@pytest.mark.parametrize(
    "name", ["contracts", "tiers", "marks", "tops", "positions", "open orders"]
)
async def test_an_entry_that_comes_twice_is_refused(
    server: WireServer, venue: Venue, name: str
) -> None:
    payload = payloads.REPLIES[READS[name][0]]
    doubled: Any = (
        {**payload, "symbols": payload["symbols"] * 2} if isinstance(payload, dict) else payload * 2
    )
    await _refused(server, venue, name, json_body(doubled))


IMPOSSIBLE = [
    ("marks", "markPrice", "-64600.1"),
    ("marks", "markPrice", "0.00000000"),
    ("marks", "time", 12),
    ("positions", "entryPrice", "-1"),
    ("positions", "entryPrice", "0.0"),
    ("positions", "liquidationPrice", "-5"),
    ("balance", "totalMaintMargin", "-1"),
    ("fills", "price", "0"),
    ("fills", "qty", "-0.8"),
    ("fills", "side", "HOLD"),
    ("open orders", "status", "DREAMING"),
    ("open orders", "origQty", "0"),
    ("open orders", "executedQty", "2.000"),
    ("order", "executedQty", "0.500"),
    ("order", "orderId", 0),
    ("order", "clientOrderId", "somebody-elses"),
    ("order", "symbol", "ETHUSDT"),
    ("fees", "symbol", "ETHUSDT"),
    ("fees", "takerCommissionRate", "4.5"),
    ("settlements", "fundingRate", "1.5"),
    ("settlements", "symbol", "ETHUSDT"),
    ("intervals", "fundingIntervalHours", 0),
    ("intervals", "fundingIntervalHours", 25),
]


async def test_a_number_that_cannot_be_is_refused(
    server: WireServer, venue: Venue, clock: ManualClock
) -> None:
    for name, field, value in IMPOSSIBLE:
        clock.advance(120)
        path = READS[name][0]
        payload: Any = payloads.REPLIES[path]
        if name == "intervals":
            payload = [{"symbol": "BTCUSDT", "fundingIntervalHours": 8}]
        await _refused(server, venue, name, _with_field(payload, field, json_body(value)))
        server.answer(path, payloads.REPLIES[path])


async def test_a_crossed_or_empty_book_is_refused(server: WireServer, venue: Venue) -> None:
    sound = payloads.depth()
    cases: list[dict[str, Any]] = [
        {"bids": []},
        {"asks": []},
        {"bids": sound["asks"], "asks": sound["bids"]},
        {"bids": [["64600.10", "1"]]},
        {"bids": list(reversed(sound["bids"]))},
        {"asks": list(reversed(sound["asks"]))},
        {"asks": [["64600.10", "0.000"]]},
        {"asks": [["64600.10", "1", "2"]]},
    ]
    for changes in cases:
        await _refused(server, venue, "book", json_body({**sound, **changes}))


async def test_bars_must_rise_on_the_hour_inside_their_range(
    server: WireServer, venue: Venue
) -> None:
    good = payloads.klines()
    outside = payloads.kline(NOW_MS - HOUR_MS)
    outside[2] = outside[3]
    for rows in (
        list(reversed(good)),
        [good[0], good[0]],
        [payloads.kline(NOW_MS - HOUR_MS + 1)],
        [outside],
        [good[0][:6]],
    ):
        await _refused(server, venue, "bars", json_body(rows))


async def test_tiers_must_rise_without_gaps(server: WireServer, venue: Venue) -> None:
    whole = payloads.brackets("BTCUSDT")
    low, high = whole["brackets"]
    for rows in ([high], [low, {**high, "notionalFloor": 60000}], [], [{**low, "notionalCap": 0}]):
        await _refused(server, venue, "tiers", json_body([{**whole, "brackets": rows}]))


async def test_an_account_that_hides_its_positions_is_not_believed(
    server: WireServer, venue: Venue
) -> None:
    """`[]` from positions looks flat; the balance payload knows better."""
    server.answer("/fapi/v3/positionRisk", [])
    with pytest.raises(BadResponse, match="agree"):
        await venue.account()
    older = payloads.account_info()
    del older["positions"]
    server.answer("/fapi/v3/account", older)
    with pytest.raises(BadResponse, match="agree"):
        await venue.account()


async def test_a_fill_between_the_two_requests_is_read_again(
    server: WireServer, venue: Venue
) -> None:
    before = payloads.position_risk()
    before[0]["positionAmt"] = "-0.500"
    reply = server.replies["GET", "/fapi/v3/positionRisk"]
    assert not isinstance(reply, list)
    stale = type(reply)(json_body(before))
    server.replies["GET", "/fapi/v3/positionRisk"] = [stale, reply]
    reading = await venue.account()
    assert [position.contracts for position in reading.value.positions] == [-1]


async def test_a_position_in_an_unlisted_contract_is_an_error(
    server: WireServer, venue: Venue
) -> None:
    balance, rows = payloads.account_info(), payloads.position_risk()
    balance["positions"][0]["symbol"] = rows[0]["symbol"] = "NEWUSDT"
    server.answer("/fapi/v3/account", balance)
    server.answer("/fapi/v3/positionRisk", rows)
    with pytest.raises(BadResponse, match="load the markets again"):
        await venue.account()


async def test_a_crossed_top_of_book_is_missing_not_believed(
    server: WireServer, venue: Venue
) -> None:
    server.answer(
        "/fapi/v1/ticker/bookTicker", [payloads.book_ticker("BTCUSDT", "64600.2", "64600.1")]
    )
    reading = await venue.quotes()
    assert (reading.value[0].bid, reading.value[0].ask) == (None, None)
    assert reading.missing == (f"{BTC}.ask", f"{BTC}.bid")


async def test_a_contract_without_mark_or_rate_is_listed(server: WireServer, venue: Venue) -> None:
    server.answer("/fapi/v1/premiumIndex", [payloads.premium("ETHUSDT")])
    with pytest.raises(BadResponse, match="mark price of a wanted contract"):
        await venue.quotes()
    reading = await venue.funding()
    assert (reading.value, reading.missing) == ((), (f"{BTC}.rate",))


async def test_a_garbage_answer_to_an_order_is_unknown(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    not_a_number = json_body({**payloads.order(), "executedQty": float("nan")})
    for body in (*BODIES.values(), not_a_number):
        server.requests.clear()
        server.answer("/fapi/v1/order", body, method="POST")
        outcome = await venue.submit(intent, CLIENT_ID)
        assert (outcome.state, outcome.code) == (LegState.UNKNOWN, "BAD_RESPONSE")
        assert outcome.report is None
        assert server.paths() == ["POST /fapi/v1/order"]


async def test_a_refusal_nested_without_end_is_unknown_and_raises_nothing(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    deep = b'{"code":' + b"[" * 100_000
    server.answer("/fapi/v1/order", deep, method="POST", status=400)
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.UNKNOWN, "400")


async def test_a_key_that_comes_back_in_a_field_is_not_quoted(
    server: WireServer, venue: Venue
) -> None:
    rows = [payloads.premium(mark=payloads.KEY)]
    server.answer("/fapi/v1/premiumIndex", rows)
    with pytest.raises(BadResponse) as refused:
        await venue.quotes()
    assert payloads.KEY not in str(refused.value)
    assert "***" in str(refused.value)


async def test_ten_megabytes_in_a_name_become_sixty_four_characters(
    server: WireServer, venue: Venue
) -> None:
    long = payloads.order(status="NEW", executedQty="0", clientOrderId="A" * 10_000_000)
    server.answer("/fapi/v1/openOrders", [long])
    (report,) = (await venue.open_orders()).value
    assert len(report.client_id) == 64
    assert report.client_id.endswith("…")
