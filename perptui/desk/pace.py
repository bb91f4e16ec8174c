"""A replay drops to 1x while a confirmation is open, and says so.

A person reads at one second per second: at 60x a ticket would be void before it was read.
"""

from __future__ import annotations

import logging

from perptui.desk.state import DeskState
from perptui.model.clock import VenueClock
from perptui.model.errors import VenueError
from perptui.venues.base import SimulatedControl, SimulatedState

_log = logging.getLogger(__name__)


class Pace:
    """The speed of a simulated venue's time; nothing at all on a live one.

    Parameters
    ----------
    control : SimulatedControl | None
        None on a live venue.
    """

    def __init__(
        self, control: SimulatedControl | None, clock: VenueClock, state: DeskState
    ) -> None:
        self._control = control
        self._clock = clock
        self._state = state
        self._before: float | None = None

    @property
    def slowed(self) -> bool:
        """True while the replay waits for a person."""
        return self._before is not None

    async def slow(self) -> None:
        """Drop to 1x, if it runs faster."""
        if self._control is None or self._before is not None or self._clock.speed <= 1:
            return
        before = self._clock.speed
        self._take(await self._control.set_speed(1.0))
        self._before = before
        self._state.tell("info", f"replay at 1x while a confirmation is open, was {before:g}x")

    async def resume(self) -> None:
        """Go on at the speed before `slow`; tried again at the next call where that fails."""
        if self._control is None or self._before is None:
            return
        before = self._before
        try:
            self._take(await self._control.set_speed(before))
        except VenueError as error:
            _log.warning("speed: %s", error)
            return
        self._before = None
        self._state.tell("info", f"replay at {before:g}x again")

    def _take(self, simulated: SimulatedState) -> None:
        self._clock.set_speed(simulated.speed)
        self._clock.anchor(simulated.utc_ms)
