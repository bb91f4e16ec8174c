"""The connection of one Binance USD-M account: ccxt, its budget and the contracts' names.

ccxt knows the paths, the signatures, the markets and the error classes and makes every request.
Records are built from the bytes that came back: ccxt's own parse goes through floats, and turns
a garbage answer into an empty one.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from perptui.model.clock import Clock
from perptui.model.errors import BadResponse, VenueRejected, VenueUnavailable
from perptui.model.instrument import Instrument, split_id
from perptui.settings.credentials import Secret
from perptui.venues import wire_binance as wire
from perptui.venues.base import Reading
from perptui.venues.calls import Caller
from perptui.venues.failures import Redactor
from perptui.venues.limiter import RateLimiter
from perptui.venues.markets_binance import NAME, name_contracts
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.parse_market import Names
from perptui.venues.transport import Exchange, VenueSession, WriteLock

WEIGHT_PER_MINUTE = 2400.0
CANCEL_RESERVE = 100.0

T = TypeVar("T")


def _read_elsewhere(*_arguments: Any, **_named: Any) -> list[Any]:
    return []


class Kept(msgspec.Struct, Generic[T], frozen=True):
    """A payload that serves several readings, and the exchange that brought it."""

    value: T
    exchange: Exchange


class BinanceLink:
    """What the parts of a `BinanceVenue` share.

    Parameters
    ----------
    make_session : callable
        Makes the session inside the running loop.
    wanted : tuple[str, ...] | None
        Instrument ids; None for all perpetual contracts.
    api_key, secret : Secret | None
        Without them only market data can be read.
    demo_trading : bool
        Use the venue's own demo hosts.
    write_lock : WriteLock, optional
        That of the sessions made by `make_session`.
    """

    def __init__(
        self,
        make_session: Callable[[], VenueSession],
        clock: Clock,
        *,
        wanted: tuple[str, ...] | None,
        api_key: Secret | None,
        secret: Secret | None,
        demo_trading: bool,
        write_lock: WriteLock | None = None,
    ) -> None:
        self._make_session = make_session
        self._clock = clock
        self._wanted = wanted
        self._api_key, self._secret = api_key, secret
        self._demo_trading = demo_trading
        self.write_lock = write_lock or WriteLock()
        self._session: VenueSession | None = None
        self._exchange: Any = None
        self._caller: Caller | None = None
        self._listed: Names | None = None
        self._instruments: dict[str, Instrument] = {}

    async def open(self) -> None:
        """Load ccxt in a thread, connect, and load the list of markets; safe to repeat."""
        if self._caller is None:
            client = await asyncio.to_thread(importlib.import_module, "perptui.venues.ccxt_client")
            self._connect(client)
        await self._load_markets()

    def _connect(self, client: Any) -> None:
        key = self._api_key.reveal() if self._api_key else ""
        secret = self._secret.reveal() if self._secret else ""
        self._session = self._make_session()
        self._exchange = client.binanceusdm(
            self._session, self._clock, key, secret, demo_trading=self._demo_trading
        )
        # History is read from the answer's own bytes: ccxt's second reading took most of the time.
        self._exchange.parse_ohlcvs = _read_elsewhere
        self._exchange.parse_funding_rate_histories = _read_elsewhere
        limiter = RateLimiter(self._clock, WEIGHT_PER_MINUTE, CANCEL_RESERVE)
        self._caller = Caller(
            NAME, self._exchange, self._clock, limiter, BINANCE, Redactor(key, secret)
        )

    async def close(self) -> None:
        """Close the connections; requests in flight end as unavailable or UNKNOWN."""
        session, self._session, self._caller = self._session, None, None
        if session is not None:
            await self._exchange.close()
            await session.close()

    async def _load_markets(self) -> tuple[wire.ExchangeInfo, Exchange, tuple[str, ...]]:
        exchange, markets = await self._calls.read("fetch_markets", weight=1)
        info = wire.decode(exchange.body, wire.ExchangeInfo)
        names, absent = name_contracts(info, markets, self._wanted)
        self._exchange.set_markets(markets)
        self._listed = names
        return info, exchange, tuple(f"{identifier}.instrument" for identifier in absent)

    @property
    def _calls(self) -> Caller:
        if self._caller is None:
            raise VenueUnavailable(f"expected {NAME} to be open, was closed; open it", "CLOSED")
        return self._caller

    @property
    def _names(self) -> Names:
        if self._listed is None:
            raise VenueUnavailable(f"expected markets of {NAME}, had none yet; open it", "CLOSED")
        return self._listed

    def _symbols_of(self, identifier: str) -> tuple[str, str]:
        """Return (ccxt symbol, venue symbol) of an instrument id."""
        for venue_symbol, known in self._names.known.items():
            if known == identifier:
                return split_id(identifier)[1], venue_symbol
        raise VenueRejected(
            f"expected a contract of {NAME}, was {identifier}; load the markets again", "LOCAL"
        )

    async def _read(
        self,
        shape: type[T],
        method: str,
        *arguments: Any,
        weight: float,
        unique_keys: bool = True,
    ) -> tuple[Exchange, T]:
        """Make one read and return its payload in the shape its endpoint promises."""
        exchange, _ = await self._calls.read(method, *arguments, weight=weight)
        try:
            return exchange, wire.decode(exchange.body, shape, unique_keys=unique_keys)
        except BadResponse as error:
            raise BadResponse(f"{NAME} {method}: {error}", error.code) from None

    def _age(self, kept: Kept[Any]) -> float:
        return self._clock.monotonic() - kept.exchange.received_mono

    def _reading(
        self,
        value: T,
        venue_ms: int | None,
        exchange: Exchange,
        call: str,
        missing: tuple[str, ...] = (),
    ) -> Reading[T]:
        return Reading(value, venue_ms, exchange.received_mono, f"{NAME} {call}", missing)
