"""A venue's request budget: a token bucket by weight, a reserve for cancels, silence when told."""

from __future__ import annotations

from perptui.model.clock import Clock
from perptui.model.errors import RateLimited

MAX_WAIT_S = 5.0
"""Longest time a request waits for its weight; beyond it the caller is told instead."""


class RateLimiter:
    """Token bucket over one venue's weight per minute.

    Parameters
    ----------
    clock : Clock
        Monotonic time refills the bucket.
    per_minute : float
        Weight the venue grants a minute.
    reserve : float
        Weight that only cancels may draw on.
    """

    def __init__(self, clock: Clock, per_minute: float, reserve: float) -> None:
        if not 0 <= reserve < per_minute:
            raise ValueError(f"expected a reserve below {per_minute}, was {reserve}; lower it")
        self._clock = clock
        self._capacity = per_minute
        self._rate = per_minute / 60
        self._reserve = reserve
        self._tokens = per_minute
        self._filled_mono = clock.monotonic()
        self._silent_until_mono = 0.0

    @property
    def available(self) -> float:
        """Weight in the bucket now, the reserve included; negative while requests queue."""
        now = self._clock.monotonic()
        elapsed = max(0.0, now - self._filled_mono)
        self._tokens = min(self._capacity, self._tokens + elapsed * self._rate)
        self._filled_mono = now
        return self._tokens

    def claim(
        self, weight: float, *, cancel: bool = False, patience_s: float = MAX_WAIT_S
    ) -> float:
        """Take `weight` out of the bucket and return the seconds to wait before sending.

        Parameters
        ----------
        cancel : bool
            True draws on the reserve too.
        patience_s : float
            Longest wait; an order's is short, because what was checked for it grows old.

        Raises
        ------
        RateLimited
            When the venue asked for silence, or the wait would be longer than `patience_s`;
            nothing was taken then.
        """
        silence = self._silent_until_mono - self._clock.monotonic()
        if silence > 0:
            until_ms = self._clock.utc_ms() + int(silence * 1000)
            raise RateLimited(
                f"expected the venue to take requests, was silent for {silence:.1f} s more; wait",
                code="SILENCE",
                until_ms=until_ms,
            )
        floor = 0.0 if cancel else self._reserve
        wait = max(0.0, (floor + weight - self.available) / self._rate)
        if wait > patience_s:
            raise RateLimited(
                f"expected weight {weight:g} within {patience_s:g} s, was {wait:.1f} s away; "
                "poll less often",
                code="BUDGET",
                until_ms=self._clock.utc_ms() + int(wait * 1000),
            )
        self._tokens -= weight
        return wait

    def be_silent(self, seconds: float) -> None:
        """Send nothing for `seconds`; a longer silence already begun stays."""
        until = self._clock.monotonic() + max(0.0, seconds)
        self._silent_until_mono = max(self._silent_until_mono, until)

    def observe(self, used: float) -> None:
        """Believe the venue's own count of the weight used this minute where it is higher."""
        self._tokens = min(self.available, self._capacity - used)
