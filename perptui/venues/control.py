"""The side door of a simulated venue: where its clock stands and how fast it runs."""

from __future__ import annotations

import msgspec

from perptui.model.clock import Clock
from perptui.venues.base import SimulatedState
from perptui.venues.side_door import SideDoor


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
        self._door = SideDoor(
            path,
            clock,
            SimulatedState,
            whom="the simulated venue",
            what="the state of a simulated venue",
            cure="start it, and speak to a simulated venue",
        )

    async def state(self) -> SimulatedState:
        """Return where the simulated clock stands.

        Raises
        ------
        VenueUnavailable, BadResponse
            When nothing answers, or what answers is no simulated venue.
        """
        return await self._door.ask("GET", "/state")

    async def set_speed(self, speed: float) -> SimulatedState:
        """Run the simulated clock at `speed` venue seconds per second from now on."""
        return await self._door.ask("POST", "/speed", msgspec.json.encode({"speed": speed}))

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()
