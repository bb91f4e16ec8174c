"""The venue on its socket: permissions, control plane, faults of the connection, endings."""

import asyncio
import errno
import os
import signal
import socket as so
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import msgspec
import pytest

from perptui.model.clock import HOUR_MS
from perptui.model.errors import InputError
from perptui.simulator.faults import Fault, FaultKind
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import SimulatedVenue
from tests.simulator.conftest import Door

ORDER = "POST /fapi/v1/order"
BINANCE, TIME = "fapi.binance.com", "/fapi/v1/time"


@pytest.mark.asyncio
async def test_the_socket_is_the_owners_alone(socket: Path) -> None:
    mode = (await asyncio.to_thread(socket.stat)).st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.asyncio
async def test_control_plane(door: Door, venue: SimulatedVenue) -> None:
    status, state = await door.control("/state")
    assert (status, state["label"], state["market"]) == (200, "SIMULATED MARKET", "generated")
    assert (state["seed"], state["speed"], state["wire"]) == (5, 1.0, "binanceusdm")
    assert state["start_ms"] == venue.source.start_ms
    status, state = await door.control("/speed", {"speed": 60})
    assert (status, state["speed"]) == (200, 60.0)
    for body in ({"speed": -1}, {"speed": "fast"}, ["nonsense"], {"slow": 1}):
        status, answer = await door.control("/speed", body)
        assert status == 400
        assert "error" in answer
    assert (await door.control("/nothing"))[0] == 404


@pytest.mark.asyncio
async def test_another_venues_host_is_misdirected(door: Door) -> None:
    status, _ = await door.ask("api.bybit.com", "/v5/market/time")
    assert status == 421


@pytest.mark.asyncio
async def test_faults_strike_as_scripted_and_the_truth_is_kept(
    door: Door, venue: SimulatedVenue
) -> None:
    kinds = (
        FaultKind.BANNED,
        FaultKind.HTML,
        FaultKind.RESET_BEFORE_ANSWER,
        FaultKind.RESET_MID_BODY,
        FaultKind.HANG,
        FaultKind.DELAY,
    )
    script = [Fault(f"GET {TIME}", n, kind, 0.01) for n, kind in enumerate(kinds, start=1)]
    assert await door.control("/faults", msgspec.to_builtins(script)) == (200, {"faults": 6})
    assert (await door.ask(BINANCE, TIME))[0] == 418
    assert (await door.ask(BINANCE, TIME))[1].startswith(b"<html>")
    for error in (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientPayloadError,
        aiohttp.ServerDisconnectedError,
    ):
        with pytest.raises(error):
            await door.ask(BINANCE, TIME)
    _, answer = await door.ask(BINANCE, TIME)
    assert msgspec.json.decode(answer) == {"serverTime": venue.exchange.now_ms}
    _, history = await door.control("/history")
    assert [row["fault"] for row in history] == [kind.value for kind in kinds]
    assert [row["handled"] for row in history] == [False] + [True] * 5
    assert all("serverTime" in row["reply"] for row in history[1:])
    assert (await door.control("/faults", [{"endpoint": 1}]))[0] == 400


@pytest.mark.asyncio
async def test_answers_that_crawl_or_never_end(door: Door) -> None:
    script = [
        Fault(f"GET {TIME}", 1, FaultKind.DRIP, 1.5),
        Fault(f"GET {TIME}", 2, FaultKind.ENDLESS, 0.05),
        Fault(f"GET {TIME}", 3, FaultKind.DRIP, 60.0),
        Fault(f"GET {TIME}", 4, FaultKind.ENDLESS, 60.0),
    ]
    await door.control("/faults", msgspec.to_builtins(script))
    begun = asyncio.get_running_loop().time()
    _, body = await door.ask(BINANCE, TIME)
    assert msgspec.json.decode(body).keys() == {"serverTime"}
    assert asyncio.get_running_loop().time() - begun > 1.0
    _, body = await door.ask(BINANCE, TIME)
    assert body.startswith(b'{"serverTime"')
    assert body.endswith(b" " * 65_536)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(door.ask(BINANCE, TIME), 0.2)


@pytest.mark.asyncio
async def test_a_shut_door_refuses_and_opens_again(door: Door, socket: Path) -> None:
    script = [Fault(f"GET {TIME}", 1, FaultKind.REFUSED_AFTER, 0.2)]
    await door.control("/faults", msgspec.to_builtins(script))
    assert (await door.ask(BINANCE, TIME))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError) as refused:
        await door.ask(BINANCE, TIME)
    assert refused.value.os_error.errno == errno.ECONNREFUSED
    await asyncio.sleep(0.25)
    assert (await door.ask(BINANCE, TIME))[0] == 200
    assert stat.S_IMODE((await asyncio.to_thread(socket.stat)).st_mode) == 0o600


@pytest.mark.asyncio
async def test_a_stale_feed_and_orders_not_known_yet(
    door: Door, venue: SimulatedVenue, exchange: Any
) -> None:
    script = [
        Fault(f"GET {TIME}", 2, FaultKind.STALE),
        Fault("GET /fapi/v1/openOrders", 1, FaultKind.NO_ORDERS),
    ]
    await door.control("/faults", msgspec.to_builtins(script))
    price = round((await exchange.fetch_ticker("BTC/USDT:USDT"))["last"] * 0.97, 1)
    terms = {"timeInForce": "GTC"}
    await exchange.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, price, terms)
    assert await exchange.fetch_open_orders("BTC/USDT:USDT") == []
    assert len(await exchange.fetch_open_orders("BTC/USDT:USDT")) == 1
    first = await door.ask(BINANCE, TIME)
    venue.clock.anchor(venue.exchange.now_ms + HOUR_MS)
    assert await door.ask(BINANCE, TIME) == first
    assert await door.ask(BINANCE, TIME) != first


@pytest.mark.asyncio
async def test_an_order_accepted_before_the_reset_is_at_the_venue(
    exchange: Any, venue: SimulatedVenue, door: Door
) -> None:
    script = [Fault(ORDER, 1, FaultKind.RESET_BEFORE_ANSWER)]
    await door.control("/faults", msgspec.to_builtins(script))
    terms = {"newClientOrderId": "lost", "timeInForce": "GTC"}
    price = round((await exchange.fetch_ticker("BTC/USDT:USDT"))["last"] * 0.97, 1)
    with pytest.raises(ccxt.NetworkError):
        await exchange.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, price, terms)
    assert [order.client_id for order in venue.exchange.orders.values()] == ["lost"]


def test_a_long_socket_path_is_refused(venue: SimulatedVenue) -> None:
    with pytest.raises(InputError, match="at most 107 bytes"):
        VenueServer(venue, Path("/tmp") / ("x" * 120))


@pytest.mark.asyncio
async def test_prices_move_on_their_own(socket: Path, venue: SimulatedVenue) -> None:
    before = venue.exchange.now_ms
    assert await asyncio.to_thread(socket.is_socket)
    await asyncio.sleep(0.25)
    assert venue.exchange.now_ms == before, "the clock of this test stands still"
    venue.clock.anchor(before + HOUR_MS)
    await asyncio.sleep(0.25)
    assert venue.exchange.now_ms == before + HOUR_MS


# ---------------------------------------------------------------- the process


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start `perptui simulate` and wait until it listens."""
    command = [sys.executable, "-m", "perptui", "simulate", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    return process


def finish(process: subprocess.Popen[str]) -> int:
    """Wait for the end and return the exit code."""
    code = process.wait(10)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.mark.slow
def test_the_process_ends_on_sigterm_and_takes_its_socket_along() -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "s.sock"
    process = start("--socket", str(path))
    assert path.is_socket()
    process.send_signal(signal.SIGTERM)
    assert finish(process) == 0
    assert not path.exists()


@pytest.mark.asyncio
async def test_a_port_is_served_on_loopback_when_asked(venue: SimulatedVenue) -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "p.sock"
    with so.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, ready = VenueServer(venue, path, port), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    url = f"http://127.0.0.1:{port}/fapi/v1/time"
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        assert (await response.json())["serverTime"] == venue.exchange.now_ms
    server.stop()
    await serving


@pytest.mark.asyncio
async def test_the_end_of_the_parents_descriptor_is_the_end(venue: SimulatedVenue) -> None:
    reader, writer = os.pipe()
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "p.sock"
    server, ready = VenueServer(venue, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set, reader))
    await ready.wait()
    os.write(writer, b"still here")
    await asyncio.sleep(0.05)
    assert not serving.done()
    os.close(writer)
    await asyncio.wait_for(serving, 5)
    os.close(reader)


@pytest.mark.unmeasured
@pytest.mark.slow
def test_the_process_ends_with_its_parent() -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "s.sock"
    reader, writer = os.pipe()
    process = start("--socket", str(path), "--parent-fd", str(reader), pass_fds=(reader,))
    os.close(reader)
    os.close(writer)
    assert finish(process) == 0


@pytest.mark.unmeasured
@pytest.mark.slow
@pytest.mark.history
def test_the_process_replays_history(history_dir: Path) -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "s.sock"
    process = start(
        "--socket", str(path), "--data", str(history_dir), "--start", "2024-08-04T12:00Z"
    )
    process.terminate()
    assert finish(process) == 0
