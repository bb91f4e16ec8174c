"""A simulated venue served on a UNIX socket in this process, and the real ccxt in front of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from perptui.model.clock import ManualClock, parse_iso
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import CONTROL_HOST, SimulatedVenue, VenueOptions
from perptui.venues.ccxt_client import binanceusdm
from perptui.venues.transport import VenueSession, socket_session

HOSTS = frozenset({"fapi.binance.com", CONTROL_HOST})


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until told."""
    return ManualClock(parse_iso("2026-11-22T12:34:56Z"))


@pytest.fixture
def venue(clock: ManualClock) -> SimulatedVenue:
    """A generated market of seed 5 with the demonstration's book."""
    return SimulatedVenue(VenueOptions(seed=5), clock)


@pytest_asyncio.fixture
async def socket(venue: SimulatedVenue) -> AsyncIterator[Path]:
    """Serve `venue`; the socket it is served on."""
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "simulated.sock"
    server, ready = VenueServer(venue, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    yield path
    server.stop()
    await serving


@pytest_asyncio.fixture
async def session(socket: Path, venue: SimulatedVenue) -> AsyncIterator[VenueSession]:
    """A session to the socket."""
    opened = socket_session(str(socket), HOSTS, venue.clock)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def exchange(session: VenueSession, venue: SimulatedVenue) -> AsyncIterator[Any]:
    """The real ccxt, with the venue's time and keys."""
    client = binanceusdm(session, venue.clock, "simulated", "simulated", demo_trading=False)
    await client.load_markets()
    yield client
    await client.close()


class Door:
    """A bare HTTP client of the socket, which passes on whatever comes."""

    def __init__(self, path: Path) -> None:
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))
        # Without this aiohttp sends a GET twice after a reset.
        self.session._retry_connection = False

    async def ask(self, host: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Return status and body; POST when there is a body to send."""
        method = "GET" if body is None else "POST"
        data = None if body is None else msgspec.json.encode(body)
        url, headers = f"http://simulated{path}", {"X-Orig-Host": host}
        async with self.session.request(method, url, data=data, headers=headers) as response:
            return response.status, await response.read()

    async def control(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the control plane; the answer decoded."""
        status, answer = await self.ask(CONTROL_HOST, path, body)
        return status, msgspec.json.decode(answer)


@pytest_asyncio.fixture
async def door(socket: Path) -> AsyncIterator[Door]:
    """A bare client."""
    opened = Door(socket)
    yield opened
    await opened.session.close()
