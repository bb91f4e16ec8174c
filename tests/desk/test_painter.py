"""What is painted while a person waits for an answer: what says so alone, but not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from perptui.desk.painter import GIVE_WAY_S, TICK_S, UNSEEN_S, Painter
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.server import Server
from perptui.desk.state import DeskState
from perptui.model.clock import ManualClock, VenueClock
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.frames import PANELS
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
        self.looked_at = frozenset(PANELS)

    def publish(self, panels: dict[str, Panel]) -> None:
        self.sets.append(set(panels))


def painted(clock: ManualClock) -> tuple[Painter, Proposer]:
    """Return a painter of a desk whose quant process never answers, and its proposer."""
    settings = load(None, {"desk.mode": "paper"}).settings
    quant, venue_clock = cast(Any, Silent()), VenueClock(clock, NOW_MS)
    market = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))
    proposer = Proposer(quant, settings, clock, lambda: market)
    state = DeskState({"binanceusdm": ()}, settings.polling, venue_clock)
    return Painter(settings, venue_clock, state, proposer, quant), proposer


async def test_what_nobody_looks_at_is_painted_now_and_then() -> None:
    clock, published = ManualClock(NOW_MS), Published()
    painter, _ = painted(clock)
    published.looked_at = frozenset(("rebalance", "regime"))
    hidden = {"positions", "funding"}
    painter.paint(cast(Server, published))
    assert hidden <= published.sets[-1]
    clock.advance(UNSEEN_S / 2)
    painter.paint(cast(Server, published))
    assert published.sets[-1] == set(PANELS) - hidden
    published.looked_at = frozenset(("positions",))
    painter.paint(cast(Server, published))
    assert hidden & published.sets[-1] == {"positions"}
    clock.advance(UNSEEN_S / 2)
    painter.paint(cast(Server, published))
    assert published.sets[-1] == set(PANELS)


async def test_while_a_preview_is_solved_the_whole_picture_gives_way() -> None:
    clock, published = ManualClock(NOW_MS), Published()
    painter, proposer = painted(clock)
    running = asyncio.create_task(painter.run(cast(Server, published)))
    bending = asyncio.create_task(proposer.bend("gross_max=1.5", preview=True))
    await asyncio.sleep(0)
    assert proposer.previewing
    assert proposer.picture.state == "solving"
    async with asyncio.timeout(10.0):
        while len(published.sets) < 2:
            painter.hurry()
            await asyncio.sleep(0.01)
        assert published.sets[:2] == [{"rebalance", "limits"}, {"status", "journal", "ticket"}]
        clock.advance(TICK_S)
        while not {"positions", "funding", "regime"} <= published.sets[-1]:
            painter.hurry()
            await asyncio.sleep(0.01)
    for task in (running, bending):
        task.cancel()


@pytest.mark.parametrize("looks_at", ["rebalance", "funding"])
async def test_after_an_answer_the_rest_is_painted_where_it_is_looked_at(looks_at: str) -> None:
    painter, _ = painted(ManualClock(NOW_MS))
    published = Published()
    published.looked_at = frozenset((looks_at,))
    painter.hurry()
    await painter.paint_answer(cast(Server, published))
    answered = len(published.sets)
    running = asyncio.create_task(painter.run(cast(Server, published)))
    await asyncio.sleep((GIVE_WAY_S + TICK_S) / 2)
    assert (len(published.sets) > answered) == (looks_at == "funding")
    running.cancel()


@pytest.mark.parametrize("tell", ["touch", "hurry"])
async def test_what_changes_while_an_answer_is_painted_is_painted_too(tell: str) -> None:
    painter, _ = painted(ManualClock(NOW_MS))
    published = Published()
    published.looked_at = frozenset(("rebalance",))
    asyncio.get_running_loop().call_soon(getattr(painter, tell))
    await painter.paint_answer(cast(Server, published))
    assert published.sets == [{"rebalance", "limits"}, {"status", "journal", "ticket"}]
    running = asyncio.create_task(painter.run(cast(Server, published)))
    await asyncio.sleep((GIVE_WAY_S + TICK_S) / 2)
    assert len(published.sets) > 2
    running.cancel()
