"""The side door of a paper account: what the desk read of the real market goes in here."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import yarl

from perptui.model.clock import Clock
from perptui.model.errors import BadResponse, VenueUnavailable
from perptui.model.paper import PaperFeed, PaperStanding
from perptui.model.text import safe_text
from perptui.venues.control import CONTROL_HOST
from perptui.venues.transport import VenueSession, socket_session


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
        self._path = path
        self._clock = clock
        self._session: VenueSession | None = None

    async def standing(self) -> PaperStanding:
        """Return where the account stands.

        Raises
        ------
        VenueUnavailable, BadResponse
            When nothing answers, or what answers is no paper account.
        """
        return await self._ask("GET", "/paper", None)

    async def feed(self, feed: PaperFeed) -> PaperStanding:
        """Give the account what was read, and return where it stands after it."""
        return await self._ask("POST", "/feed", msgspec.json.encode(feed))

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, method: str, path: str, body: bytes | None) -> PaperStanding:
        if self._session is None:
            self._session = socket_session(self._path, frozenset({CONTROL_HOST}), self._clock)
        url = yarl.URL.build(scheme="https", host=CONTROL_HOST, path=path)
        options: dict[str, Any] = {"headers": {"Content-Type": "application/json"}, "data": body}
        try:
            response = await self._session.send(method, url, options)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise VenueUnavailable(
                f"expected the paper account to answer, was {type(error).__name__}; "
                "start the desk anew",
                "NO_ANSWER",
            ) from None
        if response.status != 200:
            raise _no_paper_account(f"HTTP {response.status}: {safe_text(response.content)}")
        try:
            return msgspec.json.decode(response.content, type=PaperStanding)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _no_paper_account(safe_text(error)) from None


def _no_paper_account(reason: str) -> BadResponse:
    return BadResponse(
        f"expected where a paper account stands, was {reason}; start the desk anew",
        "BAD_RESPONSE",
    )
