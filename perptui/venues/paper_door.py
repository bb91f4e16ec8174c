"""The side door of a paper account: what the desk read of the real market goes in here."""

from __future__ import annotations

import msgspec

from perptui.model.clock import Clock
from perptui.model.paper import PaperFeed, PaperStanding
from perptui.venues.side_door import SideDoor


class PaperDoor:
    """Feeds a paper account over its own UNIX socket.

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
            PaperStanding,
            whom="the paper account",
            what="where a paper account stands",
            cure="start the desk anew",
        )

    async def standing(self) -> PaperStanding:
        """Return where the account stands.

        Raises
        ------
        VenueUnavailable, BadResponse
            When nothing answers, or what answers is no paper account.
        """
        return await self._door.ask("GET", "/paper")

    async def feed(self, feed: PaperFeed) -> PaperStanding:
        """Give the account what was read, and return where it stands after it."""
        return await self._door.ask("POST", "/feed", msgspec.json.encode(feed))

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()
