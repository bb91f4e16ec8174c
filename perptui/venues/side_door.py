"""One question to a process of ours that stands beside a venue, over its UNIX socket."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import aiohttp
import msgspec
import yarl

from perptui.model.clock import Clock
from perptui.model.errors import BadResponse, VenueUnavailable
from perptui.model.text import safe_text
from perptui.venues.transport import VenueSession, socket_session

CONTROL_HOST = "control.perptui"

T = TypeVar("T")


class SideDoor(Generic[T]):
    """Asks, and reads each answer as one record.

    Parameters
    ----------
    path : str
        The socket.
    clock : Clock
        Stamps the exchanges.
    answer : type
        The record that every answer is.
    whom, what, cure : str
        Who should answer, what the answer should be, and what to do when it is not: for errors.
    """

    def __init__(
        self, path: str, clock: Clock, answer: type[T], *, whom: str, what: str, cure: str
    ) -> None:
        self._path = path
        self._clock = clock
        self._answer = answer
        self._whom = whom
        self._what = what
        self._cure = cure
        self._session: VenueSession | None = None

    async def ask(self, method: str, path: str, body: bytes | None = None) -> T:
        """Return the answer to one request.

        Raises
        ------
        VenueUnavailable
            When nothing answers.
        BadResponse
            When what answers says anything else.
        """
        if self._session is None:
            self._session = socket_session(self._path, frozenset({CONTROL_HOST}), self._clock)
        url = yarl.URL.build(scheme="https", host=CONTROL_HOST, path=path)
        options: dict[str, Any] = {"headers": {"Content-Type": "application/json"}, "data": body}
        try:
            response = await self._session.send(method, url, options)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise VenueUnavailable(
                f"expected {self._whom} to answer, was {type(error).__name__}; {self._cure}",
                "NO_ANSWER",
            ) from None
        if response.status != 200:
            raise self._bad(f"HTTP {response.status}: {safe_text(response.content)}")
        try:
            return msgspec.json.decode(response.content, type=self._answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._bad(safe_text(error)) from None

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _bad(self, reason: str) -> BadResponse:
        return BadResponse(f"expected {self._what}, was {reason}; {self._cure}", "BAD_RESPONSE")
