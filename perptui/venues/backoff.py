"""When to try again: exponential backoff with jitter, and a circuit breaker."""

from __future__ import annotations

import random
from collections import deque

from perptui.model.clock import Clock

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
JITTER = 0.2
"""Each delay is multiplied by a number drawn evenly from [1 - JITTER, 1 + JITTER]."""


class Backoff:
    """Delays of 1, 2, 4 ... 30 s with jitter, back to nothing after a success.

    Parameters
    ----------
    seed : int
        Seed of the jitter, so that a session can be repeated.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - spreads retries, guards nothing
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def failed(self) -> float:
        """Count a failure and return the seconds to wait before the next attempt."""
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return delay * self._random.uniform(1 - JITTER, 1 + JITTER)

    def succeeded(self) -> None:
        """Start from the first delay again."""
        self._failures = 0


class CircuitBreaker:
    """Opens after `limit` failures within `window_s`; one trial is let through after `rest_s`.

    Parameters
    ----------
    clock : Clock
        Monotonic time.
    limit : int
        Failures that open it.
    window_s, rest_s : float
        Seconds over which failures count, and seconds it stays open before a trial.
    """

    def __init__(
        self, clock: Clock, limit: int = 5, window_s: float = 30.0, rest_s: float = 30.0
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._rest_s = rest_s
        self._failures: deque[float] = deque(maxlen=limit)
        self._opened_mono: float | None = None

    @property
    def is_open(self) -> bool:
        """True while calls are held back."""
        return self._opened_mono is not None

    def allows(self) -> bool:
        """Return whether a call may be made now; True while open means: one trial."""
        if self._opened_mono is None:
            return True
        if self._clock.monotonic() - self._opened_mono < self._rest_s:
            return False
        self._opened_mono = self._clock.monotonic()
        return True

    def failed(self) -> None:
        """Count a failure; it opens the breaker when there were `limit` of them in the window."""
        now = self._clock.monotonic()
        self._failures.append(now)
        full = len(self._failures) == self._limit
        if self._opened_mono is not None or (full and now - self._failures[0] <= self._window_s):
            self._opened_mono = now

    def succeeded(self) -> None:
        """Close the breaker and forget the failures."""
        self._failures.clear()
        self._opened_mono = None

    def trip(self) -> None:
        """Open at once, as after a 403 from a firewall."""
        self._opened_mono = self._clock.monotonic()
