"""Pollers: one call in flight per (venue, call), paced, backing off, never turning a miss into a 0.

Every failure becomes a line that the panels show beside the age of what was read last.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec

from perptui.desk.books import BookShelf
from perptui.desk.state import DeskState, interval_s
from perptui.model.clock import Clock, VenueClock, iso
from perptui.model.errors import ClockSkew, RateLimited, VenueError, VenueUnavailable
from perptui.settings.schema import PollingSettings
from perptui.venues.backoff import Backoff, CircuitBreaker
from perptui.venues.base import Reading, Venue

HURRY_GAP_S = 1.0
"""Least time between two polls of a kind, however often they are hurried: a venue counts them."""
BOOK_LEVELS = 20
BOOKS_LOOK_S = 0.25
"""How often it is looked whether the book of another contract is due."""
BOOKS_GAP_S = 0.05
"""Between two books: ten of them spread over half a second."""
JITTER = 0.1
"""Each interval is multiplied by a number drawn evenly from [1 - JITTER, 1 + JITTER]."""

MARKETS = {"generated": "SIMULATED MARKET", "history": "REPLAY"}
"""What the screen calls the market of a simulated venue."""

_log = logging.getLogger(__name__)


class Poll(msgspec.Struct):
    """One call of one venue: what to await and how often."""

    call: str
    every_s: float
    ask: Callable[[], Awaitable[None]]


class VenuePoller:
    """All polls of one venue.

    Parameters
    ----------
    clock : VenueClock
        Anchored here by the venue's server time (or its simulated clock).
    base : Clock
        The machine's clock, for the offset.
    seed : int
        Of the jitter.
    anchors : bool
        True for the venue by which the desk's venue time goes: the first one.

    Attributes
    ----------
    shelf : BookShelf | None
        Where order books go; none are read without one.
    traded : callable
        Returns the contracts whose books are read; set by the caller.
    """

    def __init__(
        self,
        venue: Venue,
        state: DeskState,
        polling: PollingSettings,
        clock: VenueClock,
        base: Clock,
        seed: int = 0,
        anchors: bool = True,
    ) -> None:
        self._venue = venue
        self._anchors = anchors
        self._state = state
        self._polling = polling
        self._clock = clock
        self._base = base
        self._random = random.Random(f"{seed} {venue.name}")  # noqa: S311 (spreads polls)
        self._breaker = CircuitBreaker(base)
        self._hurry: dict[str, asyncio.Event] = {}
        self.shelf: BookShelf | None = None
        self.traded: Callable[[], frozenset[str]] = frozenset

    async def prepare(self) -> None:
        """Open the venue, find its clock and read its contracts: as often as it takes."""
        for call, ask in (
            ("open", self._venue.open),
            ("clock", self._read_clock),
            ("instruments", self._read_instruments),
        ):
            await self._until_done(call, ask)

    async def run(self) -> None:
        """Poll for ever."""
        calls: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("quotes", self._reader("quotes", self._venue.quotes)),
            ("funding", self._reader("funding", self._venue.funding)),
            ("account", self._reader("account", self._venue.account)),
            ("open_orders", self._reader("open_orders", self._venue.open_orders)),
            ("cashflows", self._read_flows),
            ("clock", self._read_clock),
            ("instruments", self._read_instruments),
        ]
        async with asyncio.TaskGroup() as group:
            for call, ask in calls:
                waits = call in {"clock", "instruments"}
                poll = Poll(call, interval_s(self._polling, call), ask)
                group.create_task(self._repeat(poll, waits=waits), name=f"poll {call}")
            if self.shelf is not None:
                group.create_task(self._follow_books(self.shelf), name="poll books")

    async def _follow_books(self, shelf: BookShelf) -> None:
        """Read the book of each traded contract as often as it is due, one call at a time."""
        backoff = Backoff(self._random.randrange(2**32))
        while True:
            due = self._due_book(shelf)
            if due is None or not self._breaker.allows():
                await asyncio.sleep(BOOKS_LOOK_S)
                continue

            async def read(identifier: str = due) -> None:
                shelf.put(await self._venue.book(identifier, BOOK_LEVELS))

            delay = await self._attempt("book", read, backoff)
            await asyncio.sleep(BOOKS_GAP_S if delay is None else delay)

    def _due_book(self, shelf: BookShelf) -> str | None:
        """Return the traded contract of this venue whose book is the oldest and due, if any."""
        prefix = f"{self._venue.name}:"
        ages = {key: shelf.age_s(key) for key in self.traded() if key.startswith(prefix)}
        late = {key: math.inf if age is None else age for key, age in ages.items()}
        oldest = max(sorted(late), key=lambda key: late[key], default=None)
        return oldest if oldest is not None and late[oldest] >= self._polling.book_s else None

    def hurry(self, *calls: str) -> None:
        """Poll these now instead of at their next turn, as after a fill."""
        for call in calls:
            if call in self._hurry:
                self._hurry[call].set()

    async def _until_done(self, call: str, ask: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(self._random.randrange(2**32))
        never = asyncio.Event()
        while (delay := await self._attempt(call, ask, backoff)) is not None:
            await self._pause(delay, never)

    async def _repeat(self, poll: Poll, *, waits: bool) -> None:
        backoff = Backoff(self._random.randrange(2**32))
        hurry = self._hurry.setdefault(poll.call, asyncio.Event())
        if waits:
            await self._pause(poll.every_s, hurry)
        gap = min(HURRY_GAP_S, poll.every_s)
        while True:
            hurry.clear()
            delay = 1.0
            if self._breaker.allows():
                failed = await self._attempt(poll.call, poll.ask, backoff)
                if failed is None:
                    await asyncio.sleep(gap)
                    await self._pause(self._jittered(poll.every_s) - gap, hurry)
                    continue
                delay = failed
            # A hurry never shortens the wait after a failure.
            await asyncio.sleep(delay)

    async def _pause(self, seconds: float, hurry: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await hurry.wait()

    def _jittered(self, seconds: float) -> float:
        return seconds * self._random.uniform(1 - JITTER, 1 + JITTER)

    async def _attempt(
        self, call: str, ask: Callable[[], Awaitable[None]], backoff: Backoff
    ) -> float | None:
        """Make one call; return None when it was answered, else the seconds to wait."""
        try:
            await ask()
        except VenueError as error:
            return self._failed(call, error, backoff)
        backoff.succeeded()
        self._breaker.succeeded()
        self._state.recover(self._venue.name, call)
        return None

    def _failed(self, call: str, error: VenueError, backoff: Backoff) -> float:
        text = words_of(error)
        if backoff.failures == 0:
            _log.warning("%s %s: %s", self._venue.name, call, error)
        self._state.fail(self._venue.name, call, text)
        delay = backoff.failed()
        if isinstance(error, RateLimited):
            return max(delay, self._silence_s(error))
        self._breaker.failed()
        if isinstance(error, ClockSkew):
            self.hurry("clock")
        return delay

    def _silence_s(self, error: RateLimited) -> float:
        if error.until_ms is None:
            return 0.0
        return (error.until_ms - self._clock.utc_ms()) / 1000 / self._clock.speed

    def _reader(
        self, call: str, ask: Callable[[], Awaitable[Reading[Any]]]
    ) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            self._state.observe(self._venue.name, call, await ask())

        return read

    async def _read_instruments(self) -> None:
        reading = await self._venue.instruments()
        self._state.observe(self._venue.name, "instruments", reading)

    async def _read_flows(self) -> None:
        day = next(row.day for row in self._state.picture.venues if row.name == self._venue.name)
        if day is None:
            return
        # One minute back: a flow can be booked late, and known ones count once.
        newest = max((flow.ts_ms for flow in day.flows), default=day.since_ms)
        since = max(day.since_ms, newest - 60_000)
        reading = await self._venue.cashflows(since)
        self._state.add_flows(self._venue.name, reading.value)

    async def _read_clock(self) -> None:
        control = self._venue.control
        if control is not None:
            asked = self._base.monotonic()
            simulated = await control.state()
            half_trip_s = (self._base.monotonic() - asked) / 2
            self._state.set_offset(self._venue.name, 0.0)
            self._state.set_market(self._venue.name, MARKETS.get(simulated.market, "SIMULATED"))
            if self._anchors:
                self._clock.set_speed(simulated.speed)
                self._clock.anchor(simulated.utc_ms + int(half_trip_s * simulated.speed * 1000))
            return
        asked, asked_ms = self._base.monotonic(), self._base.utc_ms()
        reading = await self._venue.server_time()
        half_trip_ms = (reading.received_mono - asked) * 500
        self._state.set_offset(self._venue.name, reading.value - (asked_ms + half_trip_ms))
        if self._anchors:
            self._clock.anchor(reading.value + int(half_trip_ms))


def words_of(error: VenueError) -> str:
    """Return a venue's failure in a few words for a panel."""
    if isinstance(error, RateLimited) and error.until_ms is not None:
        return f"rate limited until {iso(error.until_ms)[11:16]}"
    if isinstance(error, VenueUnavailable) and error.code == "NO_ANSWER":
        return "no answer from the venue"
    return str(error)
