"""The synchronous ccxt over a UNIX socket: its URLs keep their hosts, its requests are captured."""

import socket
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from perptui.model.clock import Clock
from perptui.venues.transport import ORIGINAL_HOST, Exchange

BROKEN = (requests.RequestException, HTTPError, HTTPException, OSError)


class _Connection(HTTPConnection):
    def __init__(self, path: str, seconds: Any) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def _new_conn(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if isinstance(self.timeout, (int, float)):
            made.settimeout(self.timeout)
        try:
            made.connect(self._path)
        except OSError as error:
            made.close()
            raise NewConnectionError(self, str(error)) from error
        return made


class _Pool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> _Connection:
        self.num_connections += 1
        return _Connection(self._path, self.timeout.connect_timeout)


class SocketAdapter(HTTPAdapter):
    """Takes every ``https://`` request to one UNIX socket, in plain HTTP, and captures it.

    Parameters
    ----------
    path : str
        Of the socket.
    clock : Clock
        Stamps the exchanges.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        super().__init__()
        self._pool = _Pool(path)
        self._clock = clock
        self.captured: list[Exchange] = []

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """There is no TLS on this socket."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        url = urlsplit(str(request.url))
        exchange = Exchange(str(request.method), str(url.hostname), str(url.path), sent=True)
        self.captured.append(exchange)
        request.headers[ORIGINAL_HOST] = exchange.host
        try:
            response = super().send(request, False, timeout, verify, cert, proxies)
            exchange.status = response.status_code
            exchange.headers = {name.lower(): text for name, text in response.headers.items()}
            exchange.body = response.content
            exchange.complete = True
        except BROKEN as error:
            exchange.failure = type(error).__name__
            exchange.sent = not _refused(error)
            raise
        finally:
            exchange.received_ms = self._clock.utc_ms()
        return response


def _refused(error: BaseException) -> bool:
    """Say whether no connection was made at all."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def session_over(path: str, clock: Clock) -> tuple[requests.Session, SocketAdapter]:
    """Return a session for ``{"session": ...}`` of a synchronous ccxt, and what captures."""
    session, adapter = requests.Session(), SocketAdapter(path, clock)
    session.trust_env = False
    session.mount("https://", adapter)
    return session, adapter
