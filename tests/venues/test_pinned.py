"""Where a live session can go: one host over verified HTTPS, and one more path to be read."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yarl

from perptui.model.clock import ManualClock
from perptui.venues.open import PERMISSIONS
from perptui.venues.transport import (
    DOUBTED,
    VenueSession,
    WriteLock,
    pinned_session,
    socket_session,
)
from tests.venues.wire_server import Reply, WireServer

pytestmark = pytest.mark.asyncio

HOSTS = frozenset({"fapi.binance.com"})
MORE = frozenset({PERMISSIONS})
RIGHTS = "/sapi/v1/account/apiRestrictions"
SHORT = {"timeout": aiohttp.ClientTimeout(total=2.0)}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def session(server: WireServer, clock: ManualClock, lock: WriteLock | None = None) -> VenueSession:
    return socket_session(str(server.path), HOSTS, clock, lock, MORE)


async def test_the_one_other_path_is_reachable_for_reading(
    server: WireServer, clock: ManualClock
) -> None:
    server.answer(RIGHTS, {})
    opened = session(server, clock)
    url = yarl.URL(f"https://{PERMISSIONS}?timestamp=1")
    assert (await opened.send("GET", url, {})).status == 200
    assert [request.host for request in server.requests] == ["api.binance.com"]
    await opened.close()


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", f"https://{PERMISSIONS}"),
        ("DELETE", f"https://{PERMISSIONS}"),
        ("GET", f"https://{PERMISSIONS}/ipRestriction"),
        ("GET", "https://api.binance.com/sapi/v1/capital/withdraw/history"),
        ("GET", "https://api.binance.com/sapi/v1/account/../account/apiRestrictions/x"),
        ("GET", f"https://api1.binance.com{RIGHTS}"),
        ("GET", f"http://{PERMISSIONS}"),
        ("GET", f"https://api.binance.com:444{RIGHTS}"),
        ("GET", "https://someone@fapi.binance.com/fapi/v1/time"),
        ("GET", "https://fapi.binance.com:443@evil.example/fapi/v1/time"),
        ("GET", "ftp://fapi.binance.com/fapi/v1/time"),
        ("GET", "https://127.0.0.1/fapi/v1/time"),
    ],
)
@pytest.mark.parametrize("live", [False, True])
async def test_nothing_else_is(
    server: WireServer, clock: ManualClock, method: str, url: str, live: bool
) -> None:
    opened = pinned_session(HOSTS, clock, None, MORE) if live else session(server, clock)
    with pytest.raises(aiohttp.ClientConnectionError, match="expected https on"):
        await opened.send(method, yarl.URL(url), SHORT)
    await opened.close()
    assert server.requests == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_closed_lock_lets_only_reads_leave(
    server: WireServer, clock: ManualClock, method: str
) -> None:
    lock = WriteLock("mode view sends nothing to the venue")
    opened = session(server, clock, lock)
    url = yarl.URL("https://fapi.binance.com/fapi/v1/order")
    with pytest.raises(aiohttp.ClientConnectionError, match="was a write: mode view sends nothing"):
        await opened.send(method, url, {})
    assert server.requests == []
    assert (await opened.send("GET", yarl.URL("https://fapi.binance.com/fapi/v1/time"), {})).status
    lock.why = ""
    server.replies[method, "/fapi/v1/order"] = Reply(b"{}")
    assert (await opened.send(method, url, {})).status == 200
    await opened.close()


@pytest.mark.parametrize(("watched", "why"), [(True, DOUBTED), (False, "")])
async def test_a_refused_key_closes_a_lock_that_is_watched(
    server: WireServer, clock: ManualClock, watched: bool, why: str
) -> None:
    lock = WriteLock(watched=watched)
    opened = session(server, clock, lock)
    server.replies["GET", "/fapi/v1/time"] = Reply(b'{"code":-2015,"msg":"x"}', status=401)
    await opened.send("GET", yarl.URL("https://fapi.binance.com/fapi/v1/time"), {})
    assert (lock.why, lock.doubted) == (why, True)
    await opened.close()


@pytest_asyncio.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """A proxy that the environment names in every way; what it was sent."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in PROXIES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    yield heard
    server.close()
    await server.wait_closed()


async def test_a_proxy_of_the_environment_is_not_asked(
    proxy: list[bytes], clock: ManualClock
) -> None:
    # Of this machine and without a port: nothing listens there, and nothing real is reached.
    opened = pinned_session(frozenset({"localhost"}), clock)
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await opened.send("GET", yarl.URL("https://localhost/fapi/v1/time"), SHORT)
    assert proxy == []
    await opened.close()
    # The same client would have asked it, had it trusted the environment.
    async with aiohttp.ClientSession(trust_env=True) as trusting:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await trusting.get("https://example.invalid/", timeout=SHORT["timeout"])
    assert proxy[0].startswith(b"CONNECT example.invalid:443")


async def test_certificates_and_names_are_verified(clock: ManualClock) -> None:
    opened = pinned_session(HOSTS, clock)
    client = vars(opened)["_session"]
    context = vars(client.connector)["_ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    await opened.close()


async def test_a_passwords_file_of_the_environment_is_not_read(
    server: WireServer, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine fapi.binance.com login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    opened = session(server, clock)
    await opened.send("GET", yarl.URL("https://fapi.binance.com/fapi/v1/time"), {})
    assert "authorization" not in server.requests[0].headers
    await opened.close()
