"""HTTP sessions that ccxt is given: where bytes may go, and what really came back.

ccxt picks a venue's error classes by the URL it thinks it calls, so the host is changed here and
nowhere above: over a UNIX socket each request carries the host it was meant for in `X-Orig-Host`
and no path leads to a real one; live, exactly the pinned host is reachable. Every request is
captured as it went over the wire: classification and shape checks read that, not exceptions.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import aiohttp
import msgspec
import yarl

from perptui.model.clock import Clock

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest body that is read; what is longer is no answer."""

ORIGINAL_HOST = "X-Orig-Host"
_CHUNK_BYTES = 1 << 16


class Exchange(msgspec.Struct):
    """One request and what came back, as seen on the wire.

    Attributes
    ----------
    sent : bool
        True from the moment a connection was held for it: bytes may have left.
    status : int | None
        None when no status line arrived.
    body : bytes
        What arrived, after content decoding; complete only if `complete`.
    failure : str
        Class name of the transport's exception, empty without one.
    received_mono, received_ms : float, int
        Monotonic seconds and venue time at the end of the exchange.
    """

    method: str
    host: str
    path: str
    sent: bool = False
    status: int | None = None
    headers: dict[str, str] = {}
    body: bytes = b""
    complete: bool = False
    failure: str = ""
    received_mono: float = 0.0
    received_ms: int = 0


captured: ContextVar[list[Exchange] | None] = ContextVar("captured", default=None)
"""Exchanges of the call in progress; the adapter sets a fresh list around each call."""


READS = frozenset({"GET"})
UNAUTHORISED = 401
DOUBTED = "the venue refused the key: what it may do is asked again"


class WriteLock:
    """Whether a session may send anything but reads; shared by a venue and its session.

    Attributes
    ----------
    why : str
        Why it may not, "" while it may.
    doubted : bool
        True once the venue refused the key itself: what the key may do must be asked again.
    """

    def __init__(self, why: str = "", *, watched: bool = False) -> None:
        self.why = why
        self.doubted = False
        self._watched = watched

    def doubt(self) -> None:
        """Close a lock that somebody watches and will open again: the key was refused."""
        self.doubted = True
        if self._watched:
            self.why = DOUBTED


class WireResponse:
    """The part of an HTTP response that ccxt reads, with the body already here."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.content = body

    async def text(self, errors: str = "strict") -> str:
        """Return the body as UTF-8 text."""
        return self.content.decode("utf-8", errors)


class VenueSession:
    """What ccxt takes as ``{"session": ...}``; use `socket_session` or `pinned_session`.

    Parameters
    ----------
    session : aiohttp.ClientSession
        Owned: `close` closes it.
    hosts : frozenset[str]
        Hosts that may be asked for; any other is refused before a byte leaves.
    scheme : str
        ``http`` over a UNIX socket, ``https`` live.
    clock : Clock
        Stamps the exchanges.
    lock : WriteLock, optional
        While it is closed only reads leave.
    more : frozenset[str]
        Single reads elsewhere, as ``api.example.com/path``: that path and method GET, no other.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hosts: frozenset[str],
        scheme: str,
        clock: Clock,
        lock: WriteLock | None = None,
        more: frozenset[str] = frozenset(),
    ) -> None:
        # Without this aiohttp sends an idempotent request (GET, DELETE) twice after a reset.
        session._retry_connection = False
        self._session = session
        self._hosts = hosts
        self._scheme = scheme
        self._clock = clock
        self._lock = lock or WriteLock()
        self._more = more
        self.headers: dict[str, str] = {}

    @property
    def host(self) -> str:
        """Where requests go: the pinned hosts, ``simulated`` over a UNIX socket."""
        return ", ".join(sorted(self._hosts)) if self._scheme == "https" else "simulated"

    def get(self, url: yarl.URL, **options: Any) -> AbstractAsyncContextManager[WireResponse]:
        """Send a GET."""
        return _Request(self, "GET", url, options)

    def post(self, url: yarl.URL, **options: Any) -> AbstractAsyncContextManager[WireResponse]:
        """Send a POST."""
        return _Request(self, "POST", url, options)

    def put(self, url: yarl.URL, **options: Any) -> AbstractAsyncContextManager[WireResponse]:
        """Send a PUT."""
        return _Request(self, "PUT", url, options)

    def delete(self, url: yarl.URL, **options: Any) -> AbstractAsyncContextManager[WireResponse]:
        """Send a DELETE."""
        return _Request(self, "DELETE", url, options)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(self, method: str, url: yarl.URL, options: dict[str, Any]) -> WireResponse:
        """Make exactly one attempt and capture it.

        Raises
        ------
        aiohttp.ClientError, TimeoutError
            As ccxt expects them of a session.
        """
        exchange = Exchange(method=method, host=url.host or "", path=url.path)
        collected = captured.get()
        if collected is not None:
            collected.append(exchange)
        try:
            return await self._attempt(exchange, url, options)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.CancelledError) as error:
            exchange.failure = type(error).__name__
            raise
        finally:
            exchange.received_mono = self._clock.monotonic()
            exchange.received_ms = self._clock.utc_ms()

    async def _attempt(
        self, exchange: Exchange, url: yarl.URL, options: dict[str, Any]
    ) -> WireResponse:
        self._refuse_other_hosts(exchange.method, url, options)
        if self._lock.why and exchange.method not in READS:
            raise aiohttp.ClientConnectionError(f"expected a read, was a write: {self._lock.why}")
        headers = {**(options.get("headers") or {}), ORIGINAL_HOST: exchange.host}
        if self._scheme == "https":
            del headers[ORIGINAL_HOST]
        async with self._session.request(
            exchange.method,
            url.with_scheme(self._scheme),
            data=options.get("data"),
            headers=headers,
            timeout=options.get("timeout", aiohttp.ClientTimeout(total=10)),
            allow_redirects=False,
            trace_request_ctx=exchange,
        ) as response:
            exchange.status = response.status
            exchange.headers = {name.lower(): value for name, value in response.headers.items()}
            if response.status == UNAUTHORISED:
                self._lock.doubt()
            await _read_into(exchange, response)
            return WireResponse(response, exchange.body)

    def _refuse_other_hosts(self, method: str, url: yarl.URL, options: Mapping[str, Any]) -> None:
        single = method in READS and f"{url.host}{url.raw_path}" in self._more
        pinned = single or url.host in self._hosts
        if not pinned or url.scheme != "https" or url.explicit_port or url.user:
            raise aiohttp.ClientConnectionError(
                f"expected https on {', '.join(sorted(self._hosts))}, was {url.origin()}"
            )
        if options.get("proxy"):
            raise aiohttp.ClientConnectionError("expected no proxy, was given one")


async def _read_into(exchange: Exchange, response: aiohttp.ClientResponse) -> None:
    """Read the body by chunks so that what came before a break is kept."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            if len(body) + len(chunk) > MAX_BODY_BYTES:
                response.close()
                raise aiohttp.ClientPayloadError(
                    f"expected at most {MAX_BODY_BYTES} bytes, was more"
                )
            body += chunk
        exchange.complete = True
    finally:
        exchange.body = bytes(body)


def _is_json_container(body: bytes) -> bool:
    if body.lstrip()[:1] not in {b"{", b"["}:
        return False
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


class _Request:
    """The context manager that ``session.get(...)`` returns to ccxt."""

    def __init__(
        self, session: VenueSession, method: str, url: yarl.URL, options: dict[str, Any]
    ) -> None:
        self._session = session
        self._method = method
        self._url = url
        self._options = options

    async def __aenter__(self) -> WireResponse:
        """Send; refuse a success that is no JSON before ccxt walks through it letter by letter.

        ccxt takes a page of text for a list of rows: 100 kB of it hold the event loop for seconds.
        """
        response = await self._session.send(self._method, self._url, self._options)
        if 200 <= response.status < 300 and not _is_json_container(response.content):
            raise aiohttp.ClientPayloadError("expected a JSON object or array, was something else")
        return response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left open: the body was read inside."""


async def _mark_sent(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    exchange = context.trace_request_ctx
    if isinstance(exchange, Exchange):
        exchange.sent = True


def _trace() -> aiohttp.TraceConfig:
    """Mark an exchange as sent once a connection is held: later than that nothing is certain."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_mark_sent)
    trace.on_connection_reuseconn.append(_mark_sent)
    return trace


def socket_session(
    path: str,
    hosts: frozenset[str],
    clock: Clock,
    lock: WriteLock | None = None,
    more: frozenset[str] = frozenset(),
) -> VenueSession:
    """Return a session whose every request goes to the UNIX socket at `path`."""
    connector = aiohttp.UnixConnector(path, limit=32)
    return VenueSession(_client(connector), hosts, "http", clock, lock, more)


def pinned_session(
    hosts: frozenset[str],
    clock: Clock,
    lock: WriteLock | None = None,
    more: frozenset[str] = frozenset(),
) -> VenueSession:
    """Return a session that reaches `hosts` over verified HTTPS and nothing else."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(), limit=32)
    return VenueSession(_client(connector), hosts, "https", clock, lock, more)


def _client(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a client that takes neither proxies nor passwords from the environment."""
    return aiohttp.ClientSession(
        connector=connector,
        trace_configs=[_trace()],
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
