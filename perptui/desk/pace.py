"""A replay drops to 1x while a confirmation is open, and says so.

A person reads at one second per second: at 60x a ticket would be void before it was read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from perptui.desk.state import DeskState, VenuePicture
from perptui.model.clock import VenueClock
from perptui.model.errors import VenueError
from perptui.venues.base import SimulatedControl, SimulatedState

FRESH_CALLS = ("quotes", "account")
"""What a ticket is priced from."""
FRESH_S = 3.0
"""How long readings at the new pace are waited for; the gate judges what is there then."""
LOOK_S = 0.02
SLACK_MS = 1_000
"""How far the newest mark may be behind the venue's clock and still be of now."""

_log = logging.getLogger(__name__)


class Pace:
    """The speed of a simulated venue's time; nothing at all on a live one.

    Parameters
    ----------
    control : SimulatedControl | None
        None on a live venue.
    hurry : callable
        Asks for calls to be made now instead of at their next turn.
    """

    def __init__(
        self,
        control: SimulatedControl | None,
        clock: VenueClock,
        state: DeskState,
        hurry: Callable[..., None],
    ) -> None:
        self._control = control
        self._clock = clock
        self._state = state
        self._hurry = hurry
        self._before: float | None = None

    @property
    def slowed(self) -> bool:
        """True while the replay waits for a person."""
        return self._before is not None

    async def slow(self) -> None:
        """Drop to 1x, if it runs faster, and wait for readings made since.

        What was read at 60x is minutes of venue time old: a ticket priced from it would be void
        as soon as it is shown.
        """
        if self._control is None or self._before is not None or self._clock.speed <= 1:
            return
        before = self._clock.speed
        self._take(await self._control.set_speed(1.0))
        self._before = before
        self._state.tell("info", f"replay at 1x while a confirmation is open, was {before:g}x")
        await self._read_anew()

    async def _read_anew(self) -> None:
        since_mono, since_ms = self._clock.monotonic(), self._clock.utc_ms()
        self._hurry(*FRESH_CALLS)
        while self._clock.monotonic() < since_mono + FRESH_S:
            if all(self._made_since(venue, since_mono, since_ms) for venue in self._venues):
                return
            await asyncio.sleep(LOOK_S)

    @property
    def _venues(self) -> tuple[VenuePicture, ...]:
        return self._state.picture.venues

    @staticmethod
    def _made_since(venue: VenuePicture, since_mono: float, since_ms: int) -> bool:
        """Return True when marks and account are of the new pace, not answers under way before."""
        read = [venue.observed_mono(call) for call in FRESH_CALLS]
        if not all(moment is not None and moment > since_mono for moment in read):
            return False
        return max((quote.ts_ms for quote in venue.quotes), default=0) >= since_ms - SLACK_MS

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
