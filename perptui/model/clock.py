"""Two clocks, always passed in.

*Venue time* (integer milliseconds since the epoch, UTC) stamps bars, funding, horizons and
signatures; in a replay it may run fast. *Monotonic time* (seconds) measures polling, age, expiry
and throttles; on one machine it is the same in every process, so ages travel as instants.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Clock(Protocol):
    """What code that needs the time is given."""

    def utc_ms(self) -> int:
        """Return venue time in milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def utc_ms(self) -> int:
        """Return the machine's UTC time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return time.monotonic()


class VenueClock:
    """Venue time derived from monotonic time, an anchor and a speed.

    Parameters
    ----------
    base : Clock
        Where monotonic time comes from.
    anchor_ms : int
        Venue time at construction.
    speed : float
        Venue seconds per monotonic second; 1 on a live venue.
    """

    def __init__(self, base: Clock, anchor_ms: int, speed: float = 1.0) -> None:
        self._base = base
        self._speed = speed
        self.anchor(anchor_ms)

    @property
    def speed(self) -> float:
        """Venue seconds per monotonic second."""
        return self._speed

    def anchor(self, utc_ms: int) -> None:
        """Say that venue time is `utc_ms` now."""
        self._anchor_ms = utc_ms
        self._anchor_mono = self._base.monotonic()

    def set_speed(self, speed: float) -> None:
        """Change the speed from this instant on, without a jump."""
        self.anchor(self.utc_ms())
        self._speed = speed

    def utc_ms(self) -> int:
        """Return venue time in milliseconds since the epoch."""
        elapsed_s = self._base.monotonic() - self._anchor_mono
        return self._anchor_ms + int(elapsed_s * self._speed * 1000)

    def monotonic(self) -> float:
        """Return monotonic seconds of the base clock."""
        return self._base.monotonic()


class ManualClock:
    """A clock that moves only when told: for deterministic sessions and frozen pictures."""

    def __init__(self, utc_ms: int, monotonic: float = 1000.0) -> None:
        self._utc_ms = utc_ms
        self._monotonic = monotonic

    def utc_ms(self) -> int:
        """Return the venue time that was set."""
        return self._utc_ms

    def monotonic(self) -> float:
        """Return the monotonic time that was set."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        self._utc_ms += round(seconds * 1000)
        self._monotonic += seconds


def iso(utc_ms: int) -> str:
    """Return `utc_ms` as ISO 8601 in UTC, with milliseconds only where there are any."""
    moment = datetime.fromtimestamp(utc_ms / 1000, tz=UTC)
    spec = "milliseconds" if utc_ms % 1000 else "seconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


def parse_iso(text: str) -> int:
    """Return the milliseconds since the epoch of an ISO 8601 instant.

    A time without an offset is taken as UTC, as venues stamp it.

    Raises
    ------
    ValueError
        When `text` is not an ISO 8601 date or instant.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
