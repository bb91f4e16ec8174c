"""The desk's way in: a venue by name, over a simulated venue's socket or to its pinned host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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
from perptui.venues.paper import PaperVenue
from perptui.venues.paper_door import PaperDoor
from perptui.venues.permission import UNCHECKED
from perptui.venues.transport import VenueSession, WriteLock, pinned_session, socket_session

LIVE_HOST = "fapi.binance.com"
DEMO_HOST = "demo-fapi.binance.com"
PERMISSIONS = "api.binance.com/sapi/v1/account/apiRestrictions"
"""The one read at another host: what the key in use may do."""
PAPER_KEY = "simulated"
"""A paper account takes no other: nothing there is worth a secret."""
READ_ONLY = "paper mode only reads the real venue"
LONGEST_SOCKET_PATH = 107


class Way(NamedTuple):
    """Where a venue is reached, and what may go there.

    Attributes
    ----------
    socket : Path | str | None
        UNIX socket of a simulated venue; nothing else is then reachable. None: the live host.
    paper : Path | str | None
        UNIX socket of a paper account that trades on this venue's market; the venue is only read.
    testnet : bool
        The venue's own demo trading.
    closed : str
        Why nothing but reads may leave at first, "" where all may.
    simulated : bool
        The socket's venue is one whose clock the desk may set.
    """

    socket: Path | str | None = None
    paper: Path | str | None = None
    testnet: bool = False
    closed: str = ""
    simulated: bool = True


def open_venue(
    name: str,
    *,
    clock: Clock,
    socket: Path | str | None = None,
    key: Secret | None = None,
    secret: Secret | None = None,
    symbols: Iterable[str] | None = None,
    testnet: bool = False,
    way: Way | None = None,
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
    way : Way, optional
        In place of `socket` and `testnet`, with what may go there.

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
    way = way or Way(socket=socket, testnet=testnet)
    try:
        wanted = wanted_ids(symbols)
    except ValueError as error:
        raise InputError(str(error)) from None
    if way.paper is None:
        return _real(way, clock, wanted, key, secret)
    return _on_paper(way, clock, wanted, key, secret)


def _real(
    way: Way,
    clock: Clock,
    wanted: tuple[str, ...] | None,
    key: Secret | None,
    secret: Secret | None,
) -> BinanceVenue:
    path = None if way.socket is None else _checked(str(way.socket))
    hosts = frozenset({DEMO_HOST if way.testnet else LIVE_HOST})
    more = frozenset() if way.testnet else frozenset({PERMISSIONS})
    lock = WriteLock(way.closed, watched=way.closed == UNCHECKED)

    def make_session() -> VenueSession:
        if path is None:
            return pinned_session(hosts, clock, lock, more)
        return socket_session(path, hosts, clock, lock, more)

    return BinanceVenue(
        make_session,
        clock,
        wanted=wanted,
        api_key=key,
        secret=secret,
        demo_trading=way.testnet,
        write_lock=lock,
        control=SocketControl(path, clock) if path is not None and way.simulated else None,
    )


def _on_paper(
    way: Way,
    clock: Clock,
    wanted: tuple[str, ...] | None,
    key: Secret | None,
    secret: Secret | None,
) -> BinanceVenue:
    """Return the paper account at `way.paper` on the market of the venue, which is only read."""
    path = _checked(str(way.paper))
    read_only = way._replace(paper=None, closed=READ_ONLY, simulated=False)
    paper_key = Secret(PAPER_KEY)
    return PaperVenue(
        lambda: socket_session(path, frozenset({LIVE_HOST}), clock),
        clock,
        wanted=wanted,
        api_key=paper_key,
        secret=paper_key,
        demo_trading=False,
        market=_real(read_only, clock, wanted, key, secret),
        door=PaperDoor(path, clock),
    )


def _checked(path: str) -> str:
    if len(path.encode()) > LONGEST_SOCKET_PATH:
        raise InputError(
            f"expected a socket path of at most {LONGEST_SOCKET_PATH} bytes, was "
            f"{len(path.encode())}; choose a shorter directory"
        )
    return path
