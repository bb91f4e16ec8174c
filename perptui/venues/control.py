"""The side door of a simulated venue: where its clock stands and how fast it runs."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import yarl

from perptui.model.clock import Clock
from perptui.model.errors import BadResponse, VenueUnavailable
from perptui.model.text import safe_text
from perptui.venues.base import SimulatedState
from perptui.venues.transport import VenueSession, socket_session

CONTROL_HOST = "control.perptui"


class SocketControl:
    """`SimulatedControl` over the simulated venue's own UNIX socket.

    Parameters
    ----------
    path : str
        The socket.
    clock : Clock
        Stamps the exchanges.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._session: VenueSession | None = None

    async def state(self) -> SimulatedState:
        """Return where the simulated clock stands.

        Raises
        ------
        VenueUnavailable, BadResponse
            When nothing answers, or what answers is no simulated venue.
        """
        return await self._ask("GET", "/state", None)

    async def set_speed(self, speed: float) -> SimulatedState:
        """Run the simulated clock at `speed` venue seconds per second from now on."""
        return await self._ask("POST", "/speed", msgspec.json.encode({"speed": speed}))

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, method: str, path: str, body: bytes | None) -> SimulatedState:
        if self._session is None:
            self._session = socket_session(self._path, frozenset({CONTROL_HOST}), self._clock)
        url = yarl.URL.build(scheme="https", host=CONTROL_HOST, path=path)
        options: dict[str, Any] = {"headers": {"Content-Type": "application/json"}, "data": body}
        try:
            response = await self._session.send(method, url, options)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise VenueUnavailable(
                f"expected the simulated venue to answer, was {type(error).__name__}; start it",
                "NO_ANSWER",
            ) from None
        if response.status != 200:
            raise _not_simulated(f"HTTP {response.status}")
        try:
            return msgspec.json.decode(response.content, type=SimulatedState)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _not_simulated(safe_text(error)) from None


def _not_simulated(reason: str) -> BadResponse:
    return BadResponse(
        f"expected the state of a simulated venue, was {reason}; speak to a simulated venue",
        "BAD_RESPONSE",
    )
