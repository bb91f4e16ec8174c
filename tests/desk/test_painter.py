"""What is painted while a person waits for an answer: what says so alone, but not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from perptui.desk.painter import TICK_S, Painter
from perptui.desk.proposer import Proposer
from perptui.desk.server import Server
from perptui.desk.state import DeskState
from perptui.model.clock import ManualClock, VenueClock
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.views import Panel
from perptui.settings.load import load
from tests.desk.market import FUNDING, INSTRUMENTS, NOW_MS, QUOTES, account

pytestmark = pytest.mark.asyncio


class Silent:
    """A quant process that never answers."""

    status = "solving"

    async def ask(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


class Published:
    """What was published, by panel, a set a time."""

    def __init__(self) -> None:
        self.sets: list[set[str]] = []

    def publish(self, panels: dict[str, Panel]) -> None:
        self.sets.append(set(panels))


async def test_while_a_preview_is_solved_the_whole_picture_gives_way() -> None:
    clock, settings, quant = ManualClock(NOW_MS), load().settings, cast(Any, Silent())
    venue_clock = VenueClock(clock, NOW_MS)
    market = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))
    proposer = Proposer(quant, settings, clock, lambda: market)
    state = DeskState({"binanceusdm": ()}, settings.polling, venue_clock)
    painter = Painter(settings, venue_clock, state, proposer, quant)
    published = Published()
    running = asyncio.create_task(painter.run(cast(Server, published)))
    bending = asyncio.create_task(proposer.bend("gross_max=1.5", preview=True))
    await asyncio.sleep(0)
    assert proposer.previewing
    assert proposer.picture.state == "solving"
    async with asyncio.timeout(10.0):
        while not published.sets:
            painter.hurry()
            await asyncio.sleep(0.01)
        assert {"status", "rebalance", "limits"} <= published.sets[0]
        assert not {"positions", "funding", "regime"} & published.sets[0]
        clock.advance(TICK_S)
        while not {"positions", "funding", "regime"} <= published.sets[-1]:
            painter.hurry()
            await asyncio.sleep(0.01)
    for task in (running, bending):
        task.cancel()
