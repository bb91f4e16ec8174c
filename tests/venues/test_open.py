import subprocess
import sys
from pathlib import Path

import pytest

from perptui.model.clock import ManualClock
from perptui.model.errors import BadResponse, InputError, VenueUnavailable
from perptui.settings.credentials import Secret
from perptui.venues.control import SocketControl
from perptui.venues.open import open_venue
from tests.venues import payloads
from tests.venues.payloads import BTC, ETH, NOW_MS
from tests.venues.wire_server import WireServer, json_body

CLOCK = ManualClock(NOW_MS)


def test_an_unknown_venue_names_those_there_are() -> None:
    with pytest.raises(InputError, match="expected the venue binanceusdm, was mtgox"):
        open_venue("mtgox", clock=CLOCK)


def test_half_a_pair_of_keys_is_refused() -> None:
    with pytest.raises(InputError, match="give both or neither") as caught:
        open_venue("binance", clock=CLOCK, key=Secret(payloads.KEY))
    assert payloads.KEY not in str(caught.value)


def test_a_socket_path_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="at most 107 bytes, was 108"):
        open_venue("binance", clock=CLOCK, socket=Path("/" + "x" * 107))


@pytest.mark.parametrize("symbol", ["bybit:BTC/USDT:USDT", "BTCUSDT", ""])
def test_a_symbol_of_another_venue_or_none_is_refused(symbol: str) -> None:
    with pytest.raises(InputError):
        open_venue("binance", clock=CLOCK, symbols=[symbol])


def test_a_live_venue_has_no_side_door() -> None:
    venue = open_venue("binance", clock=CLOCK)
    assert (venue.name, venue.control) == ("binanceusdm", None)


@pytest.mark.asyncio
async def test_symbols_are_named_either_way_and_absent_ones_listed(server: WireServer) -> None:
    symbols = ["ETH/USDT:USDT", BTC, "binance:GONE/USDT:USDT"]
    venue = open_venue("binance", clock=CLOCK, socket=server.path, symbols=symbols)
    await venue.open()
    reading = await venue.instruments()
    assert [instrument.id for instrument in reading.value] == [BTC, ETH]
    assert "binanceusdm:GONE/USDT:USDT.instrument" in reading.missing
    await venue.close()


@pytest.mark.asyncio
async def test_without_symbols_all_perpetual_contracts_are_wanted(server: WireServer) -> None:
    info = payloads.exchange_info()
    info["symbols"] += [
        payloads.symbol(
            "BTCUSDT_241227", contractType="CURRENT_QUARTER", deliveryDate=1735286400000
        ),
        payloads.symbol("HALTUSDT", "HALT", status="SETTLING"),
        payloads.symbol("[/]\u202eUSDT", "[/]\u202e"),
    ]
    server.answer("/fapi/v1/exchangeInfo", info)
    venue = open_venue("binance", clock=CLOCK, socket=server.path)
    await venue.open()
    found = (await venue.instruments()).value
    halted = "binanceusdm:HALT/USDT:USDT"
    assert {instrument.id: instrument.active for instrument in found} == {
        BTC: True,
        ETH: True,
        halted: False,
    }
    await venue.close()


@pytest.mark.asyncio
async def test_opening_can_be_tried_again(server: WireServer) -> None:
    server.answer("/fapi/v1/exchangeInfo", b"{}")
    venue = open_venue("binance", clock=CLOCK, socket=server.path)
    with pytest.raises(BadResponse):
        await venue.open()
    with pytest.raises(VenueUnavailable, match="had none yet"):
        await venue.quotes()
    server.answer("/fapi/v1/exchangeInfo", payloads.exchange_info())
    await venue.open()
    server.answer("/fapi/v1/exchangeInfo", b"[]")
    with pytest.raises(BadResponse):
        await venue.instruments()
    assert (await venue.quotes()).value, "the last good list of markets stays in use"
    await venue.close()


@pytest.mark.asyncio
async def test_the_venues_own_demo_has_its_own_host(server: WireServer) -> None:
    venue = open_venue(
        "binance",
        clock=CLOCK,
        socket=server.path,
        testnet=True,
        key=Secret(payloads.KEY),
        secret=Secret(payloads.SECRET),
    )
    await venue.open()
    await venue.open_orders()
    assert {request.host for request in server.requests} == {"demo-fapi.binance.com"}
    await venue.close()


STATE = {"utc_ms": NOW_MS, "speed": 60.0, "market": "history", "start_ms": NOW_MS - 1}


@pytest.mark.asyncio
async def test_the_side_door_reads_and_sets_the_clock(server: WireServer) -> None:
    control = SocketControl(str(server.path), CLOCK)
    server.answer("/state", STATE)
    server.answer("/speed", {**STATE, "speed": 1.0}, method="POST")
    state = await control.state()
    assert (state.utc_ms, state.speed, state.end_ms) == (NOW_MS, 60.0, None)
    assert (await control.set_speed(1.0)).speed == 1.0
    assert {request.host for request in server.requests} == {"control.perptui"}
    assert server.paths() == ["GET /state", "POST /speed"]
    await control.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"{}", b"<html>", json_body({**STATE, "speed": "fast"}), b"\xff"])
async def test_the_side_door_believes_no_garbage(server: WireServer, body: bytes) -> None:
    control = SocketControl(str(server.path), CLOCK)
    server.answer("/state", body)
    with pytest.raises(BadResponse, match="speak to a simulated venue"):
        await control.state()
    server.answer("/state", STATE, status=500)
    with pytest.raises(BadResponse, match="HTTP 500"):
        await control.state()
    await control.close()


@pytest.mark.asyncio
async def test_a_side_door_where_nobody_answers(tmp_path: Path) -> None:
    control = SocketControl(str(tmp_path / "none.sock"), CLOCK)
    with pytest.raises(VenueUnavailable, match="start it"):
        await control.state()
    await control.close()
    await control.close()


def _loaded_after(module: str) -> set[str]:
    code = f"import {module}, sys; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.unmeasured
def test_ccxt_is_loaded_only_by_opening_and_no_numerical_library_ever() -> None:
    assert "ccxt" not in _loaded_after("perptui.venues.open")
    numerical = {"numpy", "pandas", "pyarrow", "scipy", "cvxpy", "arch"}
    loaded = _loaded_after("perptui.venues.ccxt_client")
    assert "ccxt" in loaded
    assert not loaded & numerical
