"""The exposure scale of the bar before the present one, which limits how fast it may rise."""

from __future__ import annotations

from perptui.model.clock import HOUR_MS


class Exposures:
    """Exposure scale of the bar before the present one, by strategy (for its rate limit)."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float]] = {}
        self._before: dict[str, float] = {}

    def before(self, strategy: str, as_of_ms: int) -> float | None:
        """Return the scale of the bar before the one of `as_of_ms`."""
        last = self._last.get(strategy)
        if last is not None and last[0] < as_of_ms // HOUR_MS:
            return last[1]
        return self._before.get(strategy)

    def keep(self, strategy: str, as_of_ms: int, exposure: float) -> None:
        """Take the scale estimated at `as_of_ms`."""
        bar = as_of_ms // HOUR_MS
        last = self._last.get(strategy)
        if last is not None and last[0] < bar:
            self._before[strategy] = last[1]
        self._last[strategy] = (bar, exposure)
