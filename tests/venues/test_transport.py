"""What leaves the process, where to, how often, and what is known of it afterwards."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yarl

from perptui.model.clock import ManualClock
from perptui.model.errors import BadResponse, VenueUnavailable
from perptui.model.order import LegState, OrderIntent
from perptui.venues import transport
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from perptui.venues.transport import (
    Exchange,
    VenueSession,
    captured,
    pinned_session,
    socket_session,
)
from tests.venues.payloads import BTC, CLIENT_ID, NOW_MS
from tests.venues.wire_server import Reply, WireServer

pytestmark = pytest.mark.asyncio

HOST = "fapi.binance.com"
HOSTS = frozenset({HOST})
URL = yarl.URL(f"https://{HOST}/fapi/v1/time?a=%2F", encoded=True)
SHORT = {"timeout": aiohttp.ClientTimeout(total=0.2)}


@pytest_asyncio.fixture
async def session(server: WireServer, clock: ManualClock) -> AsyncIterator[VenueSession]:
    opened = socket_session(str(server.path), HOSTS, clock)
    yield opened
    await opened.close()


async def test_a_request_over_the_socket_names_the_host_it_was_meant_for(
    server: WireServer, session: VenueSession
) -> None:
    async with session.get(URL, headers={"X-A": "b"}) as response:
        assert await response.text(errors="replace") == f'{{"serverTime": {NOW_MS}}}'
        assert (response.status, response.reason) == (200, "X")
    (request,) = server.requests
    assert (request.host, request.path, request.parameters) == (
        HOST,
        "/fapi/v1/time",
        {"a": "/"},
    )
    assert request.headers["x-a"] == "b"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com/fapi/v1/time",
        "http://fapi.binance.com/fapi/v1/time",
        "https://fapi.binance.com:8443/fapi/v1/time",
        "https://fapi.binance.com.evil.example/fapi/v1/time",
    ],
)
@pytest.mark.parametrize("live", [False, True])
async def test_no_other_host_is_reachable(
    server: WireServer, clock: ManualClock, url: str, live: bool
) -> None:
    opened = (
        pinned_session(HOSTS, clock) if live else socket_session(str(server.path), HOSTS, clock)
    )
    seen: list[Exchange] = []
    token = captured.set(seen)
    try:
        with pytest.raises(aiohttp.ClientConnectionError, match="expected https on"):
            await opened.send("GET", yarl.URL(url), {})
    finally:
        captured.reset(token)
        await opened.close()
    assert not seen[0].sent
    assert server.requests == []


async def test_a_proxy_is_refused(session: VenueSession) -> None:
    with pytest.raises(aiohttp.ClientConnectionError, match="no proxy"):
        await session.send("GET", URL, {"proxy": "http://127.0.0.1:1"})


async def test_a_redirect_is_not_followed(server: WireServer, session: VenueSession) -> None:
    server.replies["GET", "/fapi/v1/time"] = Reply(
        b"", status=302, headers={"Location": "https://evil.example/"}
    )
    assert (await session.send("GET", URL, {})).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
async def test_a_reset_request_is_never_sent_twice(
    server: WireServer, session: VenueSession, method: str
) -> None:
    """aiohttp resends GET and DELETE after a reset of a kept connection unless stopped."""
    server.replies[method, "/fapi/v1/time"] = [Reply(b"{}"), Reply(b"", reset=True)]
    await session.send(method, URL, {})
    with pytest.raises(aiohttp.ClientError):
        await session.send(method, URL, {})
    assert server.paths() == [f"{method} /fapi/v1/time"] * 2


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (Reply(b"", hang=True), None, b""),
        (Reply(b"", reset=True), None, b""),
        (Reply(b'{"serverTime": 1}', cut=5), 200, b'{"ser'),
    ],
)
async def test_what_arrived_before_a_break_is_kept(
    server: WireServer, session: VenueSession, reply: Reply, status: int | None, body: bytes
) -> None:
    server.replies["GET", "/fapi/v1/time"] = reply
    seen: list[Exchange] = []
    token = captured.set(seen)
    try:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await session.send("GET", URL, SHORT)
    finally:
        captured.reset(token)
    (exchange,) = seen
    assert (exchange.sent, exchange.status, exchange.body) == (True, status, body)
    assert not exchange.complete
    assert exchange.failure
    assert exchange.received_ms == NOW_MS


async def test_a_body_without_end_is_cut(
    server: WireServer, session: VenueSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)
    server.replies["GET", "/fapi/v1/time"] = Reply(b"x" * 1001)
    with pytest.raises(aiohttp.ClientPayloadError, match="at most 1000 bytes"):
        await session.send("GET", URL, {})


@pytest.mark.parametrize("page", [b"<p>busy</p>" * 300_000, b"[" * 3_000_000, b"\xff" * 3_000_000])
async def test_a_long_page_of_text_does_not_hold_the_event_loop(
    server: WireServer, venue: Venue, page: bytes
) -> None:
    """ccxt would parse each letter as a row: minutes for this one."""
    server.answer("/fapi/v1/income", page)
    started = asyncio.get_running_loop().time()
    with pytest.raises(BadResponse):
        await venue.cashflows(NOW_MS)
    assert asyncio.get_running_loop().time() - started < 5


async def test_a_refused_connection_is_known_not_to_have_sent(
    clock: ManualClock, intent: OrderIntent, server: WireServer, venue: Venue
) -> None:
    await server.stop()
    server.path.unlink(missing_ok=True)
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "NOT_SENT")
    await server.start()


@pytest.mark.parametrize("reply", [Reply(b"", reset=True), Reply(b'{"orderId": 5}', cut=4)])
async def test_an_order_reset_after_it_left_is_unknown_and_sent_once(
    server: WireServer, venue: Venue, intent: OrderIntent, reply: Reply
) -> None:
    await venue.server_time()
    server.requests.clear()
    server.replies["POST", "/fapi/v1/order"] = reply
    outcome = await venue.submit(intent, CLIENT_ID)
    assert outcome.state is LegState.UNKNOWN
    assert server.paths() == ["POST /fapi/v1/order"]


@pytest.mark.parametrize("reply", [Reply(b"", reset=True), Reply(b'{"orderId": 5}', cut=4)])
async def test_a_cancel_reset_after_it_left_is_unknown_and_sent_once(
    server: WireServer, venue: Venue, reply: Reply
) -> None:
    await venue.server_time()
    server.requests.clear()
    server.replies["DELETE", "/fapi/v1/order"] = reply
    outcome = await venue.cancel(BTC, CLIENT_ID)
    assert outcome.state is LegState.UNKNOWN
    assert server.paths() == ["DELETE /fapi/v1/order"]


async def test_a_read_that_hangs_when_the_venue_closes_is_unavailable(
    server: WireServer, clock: ManualClock
) -> None:
    opened = open_venue("binance", clock=clock, socket=server.path)
    await opened.open()
    server.replies["GET", "/fapi/v1/time"] = Reply(b"", hang=True)
    server.arrival.clear()
    reading = asyncio.create_task(opened.server_time())
    await server.arrival.wait()
    await opened.close()
    with pytest.raises(VenueUnavailable):
        await reading


async def test_closing_leaves_nothing_open(server: WireServer, clock: ManualClock) -> None:
    """An unclosed session or connector warns when collected, and warnings are errors here."""
    opened = open_venue("binance", clock=clock, socket=Path(server.path))
    await opened.open()
    await opened.close()
    await opened.close()
    del opened
    gc.collect()
    with pytest.raises(VenueUnavailable, match="open it"):
        await open_venue("binance", clock=clock, socket=server.path).server_time()
