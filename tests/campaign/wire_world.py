"""A simulated venue on a socket, the real ccxt in front of it: what a wire session is made of.

Venue time and the desk's time are one `ManualClock`: what waits on the wire is real and short, what
a rule of safety waits for is virtual.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yarl

from perptui.model.account import Account
from perptui.model.clock import Clock, parse_iso
from perptui.model.errors import VenueError
from perptui.model.market import FundingQuote, Quote
from perptui.model.money import ZERO
from perptui.model.order import Fill, OrderIntent, OrderReport, Outcome
from perptui.settings.credentials import Secret
from perptui.simulator.clock import MarketClock
from perptui.simulator.exchange import Exchange
from perptui.simulator.faults import Fault, FaultScript
from perptui.simulator.market import Market
from perptui.simulator.market_generated import GeneratedMarket
from perptui.simulator.opening import Opening, open_book
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import ServedVenue, rules_of
from perptui.simulator.wire import WireReply, WireRequest
from perptui.simulator.wire_binance import BinanceWire
from perptui.simulator.wire_binance_params import Credentials
from perptui.venues.base import Reading
from perptui.venues.binance import BinanceVenue
from perptui.venues.transport import VenueSession, WireResponse, socket_session
from tests.campaign.coverage import Coverage
from tests.canary import CANARY

T = TypeVar("T")

WIRE = "binanceusdm"
OPENED_MS = parse_iso("2026-11-20T12:34:56Z")
HOSTS = frozenset({"fapi.binance.com"})
CONTRACTS = tuple(
    f"{WIRE}:{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE")
)
"""What the demonstration's book holds."""
EQUITY = Decimal(404_310)
PATIENCE_S = 0.1
"""How long a request waits that is known to hang; any other has the adapter's own time-out."""
SHUT_PATIENCE_S = 0.5
"""The same once a door was shut: what knocked at that instant is never let in nor sent away."""
SILENT = frozenset({"hang", "drip", "endless"})

ENDPOINTS = {
    "order": "POST /fapi/v1/order",
    "query": "GET /fapi/v1/order",
    "cancel": "DELETE /fapi/v1/order",
    "positions": "GET /fapi/v3/positionRisk",
    "balance": "GET /fapi/v3/account",
    "open orders": "GET /fapi/v1/openOrders",
    "trades": "GET /fapi/v1/userTrades",
    "time": "GET /fapi/v1/time",
    "marks": "GET /fapi/v1/premiumIndex",
    "quotes": "GET /fapi/v1/ticker/bookTicker",
}
NAMES = {endpoint: name for name, endpoint in ENDPOINTS.items()}


@cache
def market(seed: int) -> GeneratedMarket:
    """Return a generated market; sessions share it, for it only ever grows the same way."""
    return GeneratedMarket(seed, OPENED_MS)


class Script(FaultScript):
    """A fault script that can be asked what it is going to do."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(faults)
        self.asked: Counter[str] = Counter()

    def strike(self, endpoint: str) -> Fault | None:
        """Count one call of `endpoint` and return the fault that strikes it."""
        self.asked[endpoint] += 1
        return super().strike(endpoint)

    def silent_next(self, endpoint: str) -> bool:
        """Return whether the next call of `endpoint` gets no whole answer in time."""
        number = self.asked[endpoint] + 1
        return any(
            fault.kind in SILENT
            and fault.endpoint == endpoint
            and fault.nth <= number < fault.nth + fault.times
            for fault in self.faults
        )


class WireVenue(ServedVenue):
    """A simulated venue on a shared market: its own account, time from a manual clock.

    Attributes
    ----------
    struck : list
        (fault, endpoint) in the order in which they struck.
    """

    def __init__(self, seed: int, clock: Clock) -> None:
        source = market(seed)
        exchange = Exchange(Market(source), rules_of(WIRE, source), ZERO, OPENED_MS)
        open_book(exchange, Opening.of("demo", WIRE), EQUITY)
        wire = BinanceWire(exchange, clock, Credentials(CANARY, CANARY))
        self.script = Script()
        super().__init__(source, exchange, MarketClock(clock, OPENED_MS), wire, self.script)
        self.struck: list[tuple[str, str]] = []

    @property
    def was_shut(self) -> bool:
        """Whether the venue has been shut, faults being on."""
        return bool(self.script.faults) and any(kind == "refused_after" for kind, _ in self.struck)

    def was_struck(self, kind: str, endpoint: str) -> bool:
        """Whether this fault struck there."""
        return (kind, endpoint) in self.struck

    def install(self, *faults: Fault) -> None:
        """Let these faults strike, counted from now; none: the venue is sound again."""
        self.faults = self.script = Script(faults)

    def answer(self, request: WireRequest) -> tuple[WireReply, Fault | None]:
        """Answer one request of a client and write down what struck it."""
        reply, fault = super().answer(request)
        if fault is not None:
            self.struck.append((fault.kind.value, f"{request.method} {request.path}"))
        return reply, fault


@asynccontextmanager
async def served(venue: WireVenue, socket: Path) -> AsyncIterator[None]:
    """Serve a venue in this event loop."""
    server, ready = VenueServer(venue, socket), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    try:
        yield
    finally:
        server.stop()
        await serving


class ImpatientSession(VenueSession):
    """The adapter's session, whose time-out is short where the venue is about to hang."""

    script: WireVenue

    async def send(self, method: str, url: yarl.URL, options: dict[str, Any]) -> WireResponse:
        """Make exactly one attempt and capture it."""
        if self.script.script.silent_next(f"{method} {url.path}"):
            options = {**options, "timeout": aiohttp.ClientTimeout(total=PATIENCE_S)}
        elif self.script.was_shut:
            options = {**options, "timeout": aiohttp.ClientTimeout(total=SHUT_PATIENCE_S)}
        return await super().send(method, url, options)


class WatchedVenue(BinanceVenue):
    """The adapter itself, telling a `Coverage` what came of each call that a fault struck."""

    def __init__(self, venue: WireVenue, socket: Path, clock: Clock, coverage: Coverage) -> None:
        def session() -> VenueSession:
            made = socket_session(str(socket), HOSTS, clock)
            made.__class__ = ImpatientSession
            assert isinstance(made, ImpatientSession)
            made.script = venue
            return made

        key = Secret(CANARY)
        super().__init__(
            session,
            clock,
            wanted=CONTRACTS,
            api_key=key,
            secret=key,
            demo_trading=False,
            control=None,
        )
        self._venue = venue
        self._coverage = coverage

    async def _watched(self, call: Awaitable[T]) -> T:
        begun = len(self._venue.struck)
        word = "read"
        try:
            found = await call
        except VenueError as error:
            word = type(error).__name__
            raise
        else:
            if isinstance(found, Outcome):
                word = found.state.value
            elif isinstance(found, Reading) and found.value is None:
                word = "no such order"
            return found
        finally:
            for fault, endpoint in self._venue.struck[begun:]:
                self._coverage.note(fault, NAMES.get(endpoint, endpoint), word)

    async def server_time(self) -> Reading[int]:
        """Watch the call."""
        return await self._watched(super().server_time())

    async def account(self) -> Reading[Account]:
        """Watch the call."""
        return await self._watched(super().account())

    async def quotes(self) -> Reading[tuple[Quote, ...]]:
        """Watch the call."""
        return await self._watched(super().quotes())

    async def funding(self) -> Reading[tuple[FundingQuote, ...]]:
        """Watch the call."""
        return await self._watched(super().funding())

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        """Watch the call."""
        return await self._watched(super().open_orders())

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        """Watch the call."""
        return await self._watched(super().order(identifier, client_id))

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        """Watch the call."""
        return await self._watched(super().fills(identifier, since_ms))

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        """Watch the call."""
        return await self._watched(super().submit(intent, client_id))

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        """Watch the call."""
        return await self._watched(super().cancel(identifier, client_id))
