"""A terminal on a served desk, driven by keys."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from perptui.model.clock import ManualClock
from perptui.protocol.views import DeskView
from perptui.tui.app import DeskApp
from tests.tui import book
from tests.tui.served import ServedDesk
from tests.tui.terminal import screen_text, terminal


class Session:
    """An app on a served desk."""

    def __init__(
        self, app: DeskApp, pilot: Pilot[int], desk: ServedDesk, clock: ManualClock
    ) -> None:
        self.app = app
        self.pilot = pilot
        self.desk = desk
        self.clock = clock

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def text(self) -> str:
        return "\n".join(screen_text(self.app))

    async def until(self, fulfilled: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not fulfilled():
                await self.pilot.pause(0.01)


async def slowly(made: Session, text: str) -> None:
    """Type as a hand does, 40 ms between the keys."""
    for character in text:
        await made.press(character)
        await asyncio.sleep(0.04)


@asynccontextmanager
async def session(
    view: DeskView | None = None, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[Session]:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock"
    desk = ServedDesk(path, view or book.desk())
    await desk.start()
    clock = book.clock()
    app = terminal(connect=desk.connect, clock=clock, **options)
    try:
        async with app.run_test(size=size) as pilot:
            made = Session(app, pilot, desk, clock)
            await made.until(lambda: app.showing.attached)
            await pilot.pause()
            yield made
    finally:
        await desk.stop()
