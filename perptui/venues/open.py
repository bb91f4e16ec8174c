"""The desk's way in: a venue by name, over a simulated venue's socket or to its pinned host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from perptui.model.clock import Clock
from perptui.model.errors import InputError
from perptui.model.instrument import VENUE_ALIASES
from perptui.model.text import safe_text
from perptui.settings.credentials import Secret
from perptui.venues.base import Venue
from perptui.venues.binance import BinanceVenue
from perptui.venues.control import SocketControl
from perptui.venues.markets_binance import NAME as BINANCE_NAME
from perptui.venues.markets_binance import wanted_ids
from perptui.venues.transport import VenueSession, pinned_session, socket_session

LIVE_HOST = "fapi.binance.com"
DEMO_HOST = "demo-fapi.binance.com"
LONGEST_SOCKET_PATH = 107


def open_venue(
    name: str,
    *,
    clock: Clock,
    socket: Path | str | None = None,
    key: Secret | None = None,
    secret: Secret | None = None,
    symbols: Iterable[str] | None = None,
    testnet: bool = False,
) -> Venue:
    """Return a venue that is not connected yet: await its `open()`.

    Parameters
    ----------
    name : str
        ccxt's id or an alias of it: ``binanceusdm``, ``binance``.
    clock : Clock
        Venue time signs requests and closes bars; monotonic time ages readings.
    socket : Path | str | None
        UNIX socket of a simulated venue; nothing else is then reachable. None: the live host.
    key, secret : Secret | None
        Both or neither; without them only market data can be read.
    symbols : iterable of str, optional
        ccxt symbols or instrument ids; all perpetual contracts unless given.
    testnet : bool
        The venue's own demo trading; live only.

    Raises
    ------
    InputError
        For a venue that is not supported, half a pair of keys, a symbol of another venue, or a
        socket path that is too long.
    """
    venue = VENUE_ALIASES.get(name, name)
    if venue != BINANCE_NAME:
        raise InputError(f"expected the venue {BINANCE_NAME}, was {safe_text(name)}; name that")
    if (key is None) != (secret is None):
        raise InputError("expected key and secret, was one of them; give both or neither")
    path = None if socket is None else _checked(str(socket))
    try:
        wanted = wanted_ids(symbols)
    except ValueError as error:
        raise InputError(str(error)) from None
    hosts = frozenset({DEMO_HOST if testnet else LIVE_HOST})

    def make_session() -> VenueSession:
        return pinned_session(hosts, clock) if path is None else socket_session(path, hosts, clock)

    return BinanceVenue(
        make_session,
        clock,
        wanted=wanted,
        api_key=key,
        secret=secret,
        demo_trading=testnet,
        control=None if path is None else SocketControl(path, clock),
    )


def _checked(path: str) -> str:
    if len(path.encode()) > LONGEST_SOCKET_PATH:
        raise InputError(
            f"expected a socket path of at most {LONGEST_SOCKET_PATH} bytes, was "
            f"{len(path.encode())}; choose a shorter directory"
        )
    return path
