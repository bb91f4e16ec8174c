"""What a wire protocol is to the server: requests in, replies out, no sockets."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class WireRequest(msgspec.Struct, frozen=True):
    """One HTTP request. `query` and `body` are the raw text, as signed; header names are lower."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: dict[str, str] = {}


class WireReply(msgspec.Struct, frozen=True):
    """One HTTP reply."""

    status: int
    body: bytes
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class Wire(Protocol):
    """A venue's protocol in front of the exchange.

    Attributes
    ----------
    speed : float
        Venue seconds per second: receive windows stretch by it.
    rights : dict
        What the key may do where that is not the usual, by the venue's names; None: not told.
    """

    speed: float
    rights: dict[str, bool | None]

    @property
    def name(self) -> str:
        """Id of the venue in ccxt."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names that the venue's clients call."""
        ...

    def handle(self, request: WireRequest) -> WireReply:
        """Answer one request at the exchange's present moment."""
        ...


def json_reply(payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> WireReply:
    """Return `payload` as a JSON reply."""
    return WireReply(status, msgspec.json.encode(payload), headers or {})
