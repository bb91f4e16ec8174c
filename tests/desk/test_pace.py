"""A replay slows down for a person, and what it slows down for is read anew."""

from __future__ import annotations

import asyncio

import pytest

from perptui.desk.pace import FRESH_CALLS, FRESH_S, Pace
from perptui.desk.state import DeskState
from perptui.model.clock import SystemClock, VenueClock
from perptui.settings.load import load
from perptui.venues.base import Reading, SimulatedState
from tests.desk.market import BTC, ETH, NOW_MS, QUOTES, VENUE, account

pytestmark = pytest.mark.asyncio


class Control:
    """A simulated venue's side door in memory."""

    def __init__(self) -> None:
        self.speeds: list[float] = []

    async def state(self) -> SimulatedState:
        speed = self.speeds[-1] if self.speeds else 60.0
        return SimulatedState(NOW_MS, speed, "history", NOW_MS)

    async def set_speed(self, speed: float) -> SimulatedState:
        self.speeds.append(speed)
        return await self.state()

    async def close(self) -> None:
        return None


class Paced:
    """A desk's state at 60x, with polls that answer when they are hurried, or never."""

    def __init__(self, *, answers: bool) -> None:
        self.clock = VenueClock(SystemClock(), NOW_MS, 60.0)
        self.state = DeskState({VENUE: (BTC, ETH)}, load().settings.polling, self.clock)
        self.control = Control()
        self.answers = answers
        self.hurried: list[str] = []
        self.pace = Pace(self.control, self.clock, self.state, self.hurry)
        self.read(*FRESH_CALLS)

    def hurry(self, *calls: str) -> None:
        self.hurried += calls
        if self.answers:
            asyncio.get_running_loop().call_later(0.05, self.read, *calls)

    def read(self, *calls: str) -> None:
        values = {"quotes": QUOTES, "account": account()}
        for call in calls:
            reading = Reading(values[call], NOW_MS, self.clock.monotonic(), call)
            self.state.observe(VENUE, call, reading)

    def observed(self) -> float:
        moment = self.state.picture.venues[0].observed_mono("quotes")
        assert moment is not None
        return moment


async def test_slowing_waits_for_marks_read_at_the_new_pace() -> None:
    paced = Paced(answers=True)
    before = paced.clock.monotonic()
    await paced.pace.slow()
    assert paced.control.speeds == [1.0]
    assert paced.clock.speed == 1.0
    assert paced.hurried == list(FRESH_CALLS)
    assert paced.observed() > before
    assert paced.pace.slowed
    await paced.pace.resume()
    assert paced.control.speeds == [1.0, 60.0]


async def test_a_venue_that_does_not_answer_is_not_waited_for_long() -> None:
    paced = Paced(answers=False)
    before = paced.clock.monotonic()
    await paced.pace.slow()
    assert FRESH_S <= paced.clock.monotonic() - before < FRESH_S + 2
    assert paced.observed() < before


async def test_a_live_venue_has_no_pace() -> None:
    paced = Paced(answers=True)
    live = Pace(None, paced.clock, paced.state, paced.hurry)
    await live.slow()
    await live.resume()
    assert (live.slowed, paced.hurried) == (False, [])
