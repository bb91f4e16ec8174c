"""Venue time of a simulated market: it runs at any speed and stops where the history does."""

from __future__ import annotations

from perptui.model.clock import Clock, VenueClock


class MarketClock(VenueClock):
    """A `VenueClock` that never passes the end of the market.

    Parameters
    ----------
    base : Clock
        Where monotonic time comes from.
    anchor_ms : int
        Venue time at construction.
    speed : float
        Venue seconds per monotonic second.
    end_ms : int, optional
        Last moment of the market; None where it has no end.
    """

    def __init__(
        self, base: Clock, anchor_ms: int, speed: float = 1.0, end_ms: int | None = None
    ) -> None:
        self._end_ms = end_ms
        super().__init__(base, anchor_ms, speed)

    def utc_ms(self) -> int:
        """Return venue time in milliseconds since the epoch."""
        now = super().utc_ms()
        return now if self._end_ms is None else min(now, self._end_ms - 1)
