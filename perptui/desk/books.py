"""Order books of what is about to be traded, apart from the desk's state: they repaint nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from perptui.model.clock import Clock
from perptui.model.market import Book
from perptui.venues.base import Reading


class BookShelf:
    """The newest book of each contract, for as long as it is fresh.

    Parameters
    ----------
    clock : Clock
        Monotonic time.
    stale_s : float
        Age in seconds from which a book counts for nothing.
    """

    def __init__(self, clock: Clock, stale_s: float) -> None:
        self._clock = clock
        self._stale_s = stale_s
        self._readings: dict[str, Reading[Book]] = {}
        self._news = asyncio.Event()

    def put(self, reading: Reading[Book]) -> None:
        """Take a book that was read."""
        self._readings[reading.value.id] = reading
        self._news.set()

    async def wait_for(self, identifiers: set[str], seconds: float) -> None:
        """Wait until the books of all these contracts are fresh, but no longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not identifiers <= self.fresh().keys():
                    self._news.clear()
                    await self._news.wait()

    def age_s(self, identifier: str) -> float | None:
        """Return the age of a contract's book in seconds, None where none was read."""
        reading = self._readings.get(identifier)
        return None if reading is None else self._clock.monotonic() - reading.received_mono

    def fresh(self) -> dict[str, Book]:
        """Return the books that are fresh, by instrument id; forget the others."""
        now = self._clock.monotonic()
        self._readings = {
            key: one
            for key, one in self._readings.items()
            if now - one.received_mono <= self._stale_s
        }
        return {key: one.value for key, one in self._readings.items()}
