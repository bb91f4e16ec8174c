"""What the desk asks of a venue, and the reading in which every answer comes."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from perptui.model.account import Account, CashFlow
from perptui.model.instrument import Instrument
from perptui.model.market import Bar, Book, FundingQuote, FundingSettlement, Quote
from perptui.model.order import Fill, OrderIntent, OrderReport, Outcome

T = TypeVar("T")


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """A value a venue gave, with where and when it came from.

    Attributes
    ----------
    value : T
        Model records only.
    venue_ms : int | None
        Latest venue time stamped inside the payload; None where the venue stamps none.
    received_mono : float
        Monotonic seconds at which the last byte arrived: age is ``clock.monotonic() - this``.
    source : str
        Venue and call, as ``binanceusdm account``.
    missing : tuple[str, ...]
        Optional fields the venue did not give, as ``id.field``; they are None in `value`.
    """

    value: T
    venue_ms: int | None
    received_mono: float
    source: str
    missing: tuple[str, ...] = ()


class SimulatedState(msgspec.Struct, frozen=True):
    """What a simulated venue says of itself.

    `speed` is venue seconds per monotonic second; `market` is "generated" or "history";
    `start_ms` and `end_ms` bound the replay (`end_ms` None: open-ended); `label` is what a screen
    must say of it, `detail` more words.
    """

    utc_ms: int
    speed: float
    market: str
    start_ms: int
    end_ms: int | None = None
    seed: int | None = None
    label: str = ""
    detail: str = ""


class SimulatedControl(Protocol):
    """The side door of a simulated venue, over the same socket; absent on a live one."""

    async def state(self) -> SimulatedState:
        """Return where the simulated clock stands."""
        ...

    async def set_speed(self, speed: float) -> SimulatedState:
        """Run the simulated clock at `speed` venue seconds per second from now on."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Venue(Protocol):
    """One margin account at one venue.

    Every read raises a `perptui.model.errors.VenueError` and nothing else:
    ``BadResponse`` for an unusable payload, ``VenueUnavailable`` when no answer came,
    ``RateLimited``, ``ClockSkew`` and ``VenueRejected`` for what the venue says. Texts are
    redacted and safe to show. `submit` and `cancel` never raise for what a venue does.
    """

    @property
    def name(self) -> str:
        """Id of the venue in ccxt, such as ``binanceusdm``."""
        ...

    @property
    def host(self) -> str:
        """Where its orders go: the pinned host, ``simulated`` where no path leads to a real one.

        "" while it is not open.
        """
        ...

    @property
    def control(self) -> SimulatedControl | None:
        """The side door when the venue is simulated, else None."""
        ...

    async def open(self) -> None:
        """Load the venue's library (in a thread) and its list of markets (one request)."""
        ...

    async def close(self) -> None:
        """Close the connections; requests in flight end as unavailable or UNKNOWN."""
        ...

    async def server_time(self) -> Reading[int]:
        """Return the venue's own clock, ms."""
        ...

    async def instruments(self) -> Reading[tuple[Instrument, ...]]:
        """Return linear perpetual contracts with tiers and fees, sorted by id."""
        ...

    async def account(self) -> Reading[Account]:
        """Return balance, open positions and position mode of the margin account."""
        ...

    async def quotes(self) -> Reading[tuple[Quote, ...]]:
        """Return mark, index, last and best prices of the wanted contracts, sorted by id."""
        ...

    async def funding(self) -> Reading[tuple[FundingQuote, ...]]:
        """Return the open funding interval of the wanted contracts, sorted by id."""
        ...

    async def bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of traded prices, rising in time, from `since_ms` on."""
        ...

    async def mark_bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of the mark price; their volume is 0."""
        ...

    async def funding_history(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[FundingSettlement, ...]]:
        """Return settled funding rates, rising in time."""
        ...

    async def book(self, identifier: str, depth: int) -> Reading[Book]:
        """Return the order book to `depth` levels a side."""
        ...

    async def cashflows(self, since_ms: int) -> Reading[tuple[CashFlow, ...]]:
        """Return funding, fees, realised P&L and transfers since `since_ms`, rising in time."""
        ...

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        """Return own trades of one contract since `since_ms`, paged, one per trade id."""
        ...

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        """Return every order and stop of the account that still works, ours or not."""
        ...

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        """Return one order by client id; None only for the venue's own "no such order"."""
        ...

    async def stop(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        """Return one stop by client id, with what its order did once it was triggered.

        None only for the venue's own "no such order".
        """
        ...

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        """Send one order, LIMIT IOC or a stop: exactly one attempt, classified."""
        ...

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        """Cancel one order by client id: exactly one attempt, classified."""
        ...

    async def cancel_stop(self, identifier: str, client_id: str) -> Outcome:
        """Cancel one stop by client id: exactly one attempt, classified."""
        ...

    async def arm_dead_man(self, identifier: str, countdown_ms: int) -> Outcome:
        """Have the venue cancel the contract's orders after a time, unless it is armed again.

        0 disarms it. Exactly one attempt, classified: ACKED without a report.
        """
        ...
