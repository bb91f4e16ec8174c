"""Errors of reads: by what the wire said, with real ccxt classes, without secrets."""

import traceback

import pytest

from perptui.model.clock import ManualClock
from perptui.model.errors import (
    BadResponse,
    ClockSkew,
    RateLimited,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from perptui.model.order import LegState, OrderIntent
from perptui.venues.base import Venue
from perptui.venues.failures import LONGEST_TEXT, Redactor
from perptui.venues.open import open_venue
from tests.venues import payloads
from tests.venues.payloads import BTC, CLIENT_ID, NOW_MS
from tests.venues.wire_server import Reply, WireServer, json_body

TIME = "/fapi/v1/time"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, -1021, ClockSkew),
        (400, -1121, VenueRejected),
        (401, -2015, VenueRejected),
        (400, -9999, VenueRejected),
        (400, -1015, RateLimited),
        (400, -1007, VenueUnavailable),
        (408, -1007, VenueUnavailable),
        (503, -1008, VenueUnavailable),
        (500, -2019, VenueUnavailable),
        (403, -2015, VenueUnavailable),
    ],
)
async def test_a_refusal_is_the_error_its_code_says(
    server: WireServer, venue: Venue, status: int, code: int, kind: type[VenueError]
) -> None:
    server.answer(TIME, {"code": code, "msg": "as documented"}, status=status)
    with pytest.raises(kind, match="as documented") as caught:
        await venue.server_time()
    assert caught.value.code == str(code)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (502, VenueUnavailable),
        (403, VenueUnavailable),
        (404, BadResponse),
        (302, BadResponse),
    ],
)
async def test_a_page_instead_of_an_answer(
    server: WireServer, venue: Venue, status: int, kind: type[VenueError]
) -> None:
    server.answer(TIME, b"<html>no</html>", status=status)
    with pytest.raises(kind):
        await venue.server_time()


@pytest.mark.asyncio
async def test_a_ban_silences_everything_until_its_end(
    server: WireServer, venue: Venue, clock: ManualClock, intent: OrderIntent
) -> None:
    text = f"Way too many requests; IP(1.1.1.1) banned until {NOW_MS + 20_000}."
    server.answer(TIME, {"code": -1003, "msg": text}, status=418)
    with pytest.raises(RateLimited) as caught:
        await venue.server_time()
    assert caught.value.until_ms == NOW_MS + 20_000
    server.requests.clear()
    with pytest.raises(RateLimited):
        await venue.account()
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "SILENCE")
    assert outcome.until_ms == NOW_MS + 20_000
    assert (await venue.cancel(BTC, CLIENT_ID)).state is LegState.NOT_SENT
    assert server.requests == []
    clock.advance(20)
    assert (await venue.submit(intent, CLIENT_ID)).state is LegState.ACKED


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "said",
    [b"slow down", b'{"code":-1003,"msg":"Way too many; IP banned until 1500000000000."}'],
)
async def test_a_throttle_without_a_time_to_come_silences_for_a_minute(
    server: WireServer, venue: Venue, clock: ManualClock, said: bytes
) -> None:
    server.answer(TIME, said, status=429)
    with pytest.raises(RateLimited):
        await venue.server_time()
    server.answer(TIME, {"serverTime": NOW_MS})
    clock.advance(59)
    with pytest.raises(RateLimited):
        await venue.server_time()
    clock.advance(1)
    assert (await venue.server_time()).value == NOW_MS


@pytest.mark.asyncio
async def test_the_venues_count_of_weight_is_followed(
    server: WireServer, venue: Venue, clock: ManualClock
) -> None:
    used = {"X-MBX-USED-WEIGHT-1M": "2600"}
    server.replies["GET", TIME] = Reply(json_body({"serverTime": NOW_MS}), headers=used)
    await venue.server_time()
    with pytest.raises(RateLimited, match="poll less often"):
        await venue.account()
    server.answer(TIME, {"serverTime": NOW_MS})
    clock.advance(60)
    assert (await venue.account()).value.positions


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [-2019, -4116, -4164, -1008, -2022, -1111])
async def test_error_classes_are_those_of_the_live_host(
    server: WireServer, venue: Venue, intent: OrderIntent, code: int
) -> None:
    """Under a rewritten URL ccxt knows none of these codes and says plain ExchangeError."""
    server.answer("/fapi/v1/order", {"code": code, "msg": "no"}, method="POST", status=400)
    outcome = await venue.submit(intent, CLIENT_ID)
    assert outcome.code == str(code)
    assert outcome.text.endswith("]")
    assert "[ExchangeError]" not in outcome.text
    assert ("[InsufficientFunds]" in outcome.text) == (code == -2019)


@pytest.mark.asyncio
async def test_keys_and_signatures_never_leave_in_an_error(
    server: WireServer, venue: Venue, intent: OrderIntent, capsys: pytest.CaptureFixture[str]
) -> None:
    await venue.open_orders()
    signature = server.requests[-1].parameters["signature"]
    said = f"key {payloads.KEY} secret {payloads.SECRET} at /order?x=1&signature={signature}&y=2"
    body = {"code": -2015, "msg": said}
    for path in ("/fapi/v1/openOrders", "/fapi/v1/order"):
        server.answer(path, body, status=401)
    server.answer("/fapi/v1/order", body, method="POST", status=401)
    texts = [(await venue.submit(intent, CLIENT_ID)).text]
    for read in (venue.open_orders(), venue.order(BTC, CLIENT_ID)):
        with pytest.raises(VenueRejected) as caught:
            await read
        texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
        assert caught.value.__cause__ is None
    texts += list(capsys.readouterr())
    for text in texts:
        assert payloads.KEY not in text
        assert payloads.SECRET not in text
        assert signature not in text


@pytest.mark.asyncio
async def test_without_keys_only_market_data_is_read(
    server: WireServer, clock: ManualClock, intent: OrderIntent
) -> None:
    venue = open_venue("binance", clock=clock, socket=server.path, symbols=["BTC/USDT:USDT"])
    await venue.open()
    reading = await venue.instruments()
    assert reading.missing == (f"{BTC}.maker_fee", f"{BTC}.taker_fee", f"{BTC}.tiers")
    assert (await venue.quotes()).value
    server.requests.clear()
    with pytest.raises(VenueRejected, match="apiKey"):
        await venue.open_orders()
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "LOCAL")
    assert server.requests == []
    await venue.close()


def test_a_redactor_hides_its_secrets_and_known_fields() -> None:
    redact = Redactor("k3y", "s3cret", "")
    assert redact("k3y and s3cret") == "*** and ***"
    assert redact("a&signature=0f9e&b") == "a&signature=***&b"
    assert redact('{"listenKey":"pqia91", "x": 1}') == '{"listenKey":"***", "x": 1}'
    assert redact("X-MBX-APIKEY: vmPU") == "X-MBX-APIKEY: ***"
    assert redact("\x1b]0;owned") == "\\x1b]0;owned"
    assert len(redact("x" * 1000)) == LONGEST_TEXT
    assert repr(redact) == "Redactor(***)"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>busy</html>"), "was a page of 17 bytes"),
        (Reply(b"busy"), "was text of 4 bytes"),
        (Reply(b""), "was empty"),
        (Reply(b'{"serverTime": 1}', cut=5), "was cut off after 5 bytes"),
        (Reply(b'{"serverTime": NaN}'), r"ccxt could not read \(ExchangeError, 19 bytes\)"),
        (Reply(b"{}"), "expected ServerTime, was another shape"),
    ],
)
async def test_an_unusable_success_is_described(
    server: WireServer, venue: Venue, reply: Reply, said: str
) -> None:
    server.replies["GET", TIME] = reply
    with pytest.raises(BadResponse, match=said):
        await venue.server_time()
