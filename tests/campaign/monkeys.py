"""Terminals in the hands of monkeys: any key, click, paste and size; never a crash or an order.

Half of them sit at a real desk on a simulated venue whose texts are hostile, half at a served
picture in which every text is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import yarl
from textual.events import Paste
from textual.pilot import OutOfBounds, Pilot

from perptui.model.clock import SystemClock
from perptui.model.text import safe_text
from perptui.protocol.intents import ApproveTicket, ConfirmTicket
from perptui.protocol.views import DeskView
from perptui.settings.paths import journal_file, socket_file
from perptui.simulator.fault_payloads import HOSTILE
from perptui.tui.app import DeskApp
from perptui.venues.side_door import CONTROL_HOST
from perptui.venues.transport import socket_session
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.shell import main, replay
from tests.canary import CANARY
from tests.desk.attached import market, running_demo
from tests.tui import book, what_ifs
from tests.tui.served import ServedDesk
from tests.tui.terminal import screen_text, terminal

NAME = "monkeys"
ACTIONS = 60
SIDE_BY_SIDE = 4
HANDS = ("press", "press", "press", "press", "burst", "resize", "click", "paste")
KEYS = (
    *"abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPRSTUVWXYZ0123456789",
    *("enter", "escape", "tab", "shift+tab", "space", "backspace", "delete", "up", "down", "left"),
    *("right", "pageup", "pagedown", "home", "end", "f1", "f8", "f10", "ctrl+p", "ctrl+r"),
    *("colon", "slash", "question_mark", "left_square_bracket", "right_square_bracket", "minus"),
    *("ctrl+w", "ctrl+k", "alt+x", "full_stop", "at", "equals_sign"),
)
"""All that a keyboard has but the key that leaves."""
SIZES = ((1, 1), (2, 1), (10, 3), (40, 12), (79, 23), (80, 24), (120, 40), (200, 60))
TEXTS = (
    HOSTILE,
    "[@click=app.quit]SAFE[/]",
    "[/]",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eSD\u200b",
    "9" * 5000,
    ":kill",
    "\r\r\r\r",
    CANARY,
)
KEPT = frozenset({"phase", "state", "mode", "kill_state", "severity", "pages", "side", "kind"})
"""Fields of which the terminal knows every value: they are its desk's own words."""
STRUCK = ("openOrders", "income", "userTrades", "premiumIndex", "order", "positionRisk")


def run(count: int, seed: int, coverage: Coverage | None = None) -> TierResult:
    """Let `count` monkeys at terminals; the even ones at a served picture."""
    began = time.monotonic()
    counted = Coverage(NAME) if coverage is None else coverage
    cases = range(seed, seed + count)
    with _own_folders():
        found = _several([case for case in cases if case % 2 == 0], None)
        real = [case for case in cases if case % 2]
        if real:
            found += _at_a_real_desk(real)
    for case in cases:
        counted.note("hostile text", "terminal" if case % 2 else "picture", "escaped")
    return TierResult(NAME, count, count, found, time.monotonic() - began)


@contextmanager
def _own_folders() -> Iterator[None]:
    """Keep the files of the person who runs this out of it."""
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "CACHE_HOME", "RUNTIME_DIR"):
            directory = Path(folder) / name[:1].lower()
            directory.mkdir(mode=0o700, exist_ok=True)
            os.environ[f"XDG_{name}"] = str(directory)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)


def _at_a_real_desk(cases: list[int]) -> list[str]:
    with running_demo(market()) as demo:
        demo.ready()
        asyncio.run(_turn_hostile(cases[0]))
        found = _several(cases, demo.socket)
        connection = sqlite3.connect(f"file:{journal_file('demo')}?mode=ro", uri=True)
        kinds = {kind for (kind,) in connection.execute("SELECT kind FROM event")}
        connection.close()
    if kinds & {"CONFIRMED", "SENDING"}:
        found.append(f"a monkey confirmed an order: {sorted(kinds)}; seeds {cases}")
    return found


def _several(cases: list[int], desk: Path | None) -> list[str]:
    """Let some monkeys at their terminals side by side: what they do most is wait."""
    if len(cases) < 2:
        return [text for case in cases for text in _replayable(case, desk)]
    with ProcessPoolExecutor(SIDE_BY_SIDE, multiprocessing.get_context("fork")) as pool:
        return [text for texts in pool.map(_replayable, cases, repeat(desk)) for text in texts]


async def _turn_hostile(seed: int) -> None:
    """Let the simulated venue put hostile texts into what it answers, now and then."""
    draw = random.Random(seed)
    faults = [
        {
            "endpoint": f"GET /fapi/v{3 if path == 'positionRisk' else 1}/{path}",
            "nth": draw.randint(2, 6) + 7 * turn,
            "kind": "hostile_text",
            "pick": draw.randrange(16),
        }
        for path in STRUCK
        for turn in range(40)
    ]
    path = str(socket_file("demo", name="venue"))
    session = socket_session(path, frozenset({CONTROL_HOST}), SystemClock())
    url = yarl.URL.build(scheme="https", host=CONTROL_HOST, path="/faults")
    response = await session.send("POST", url, {"data": msgspec.json.encode(faults)})
    await session.close()
    if response.status != 200:
        raise AssertionError(f"expected the venue to take faults, was {response.content!r}")


def _replayable(case: int, desk: Path | None) -> list[str]:
    again = replay(NAME, case)
    try:
        texts = asyncio.run(_monkey(case, desk))
    except BaseException as error:
        error.add_note(again)
        raise
    return [f"monkey {case}: {text}; {again}" for text in texts]


async def _monkey(case: int, real: Path | None) -> list[str]:
    draw = random.Random(case)
    size = draw.choice(SIZES)
    if real is not None:
        connect = partial(asyncio.open_unix_connection, real)
        app = terminal(connect=connect, clock=SystemClock(), folder=_folder())
        async with app.run_test(size=size) as pilot:
            return await Monkey(app, pilot, draw).play()
    async with _served(case, draw) as desk:
        app = terminal(connect=desk.connect, clock=book.clock(), folder=_folder())
        async with app.run_test(size=size) as pilot:
            found = await Monkey(app, pilot, draw).play()
        return found + [_ritual(intent, desk) for intent in _confirmations(desk)]


def _folder() -> Path:
    """Return where the pictures go that a monkey takes."""
    return Path(os.environ["XDG_STATE_HOME"])


@asynccontextmanager
async def _served(case: int, draw: random.Random) -> AsyncIterator[ServedDesk]:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / f"{case}.sock"
    desk = ServedDesk(path, hostile(draw.choice(_views()), draw))
    await desk.start()
    try:
        yield desk
    finally:
        await desk.stop()


def _views() -> tuple[DeskView, ...]:
    return (
        book.desk(),
        book.desk(ticket=book.ticket()),
        what_ifs.desk(),
        book.desk(ticket=book.ticket(phase="sending", legs=book.progress())),
    )


def hostile(value: Any, draw: random.Random, name: str = "") -> Any:
    """Return a view in which every text is hostile, as it is after the adapter made it safe."""
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        changed = {field: hostile(getattr(value, field), draw, field) for field in fields}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(hostile(item, draw, name) for item in value)
    if type(value) is str and value and name not in KEPT and " " in value:
        return safe_text(draw.choice(TEXTS[:6]))
    return value


def _confirmations(desk: ServedDesk) -> list[ConfirmTicket | ApproveTicket]:
    return [one for one in desk.asked if isinstance(one, ConfirmTicket | ApproveTicket)]


def _ritual(intent: ConfirmTicket | ApproveTicket, desk: ServedDesk) -> str:
    return f"{type(intent).__name__} of {desk.view.ticket.id} was asked for by a monkey"


class Monkey:
    """One monkey at one terminal; it stops when the terminal was left."""

    def __init__(self, app: DeskApp, pilot: Pilot[int], draw: random.Random) -> None:
        self.app = app
        self.pilot = pilot
        self.draw = draw
        self.found: list[str] = []

    async def play(self) -> list[str]:
        """Do many things; return what was seen that must not be."""
        await self.pilot.pause(0.05)
        for _ in range(ACTIONS):
            if not self.app.is_running or self.found:
                break
            await getattr(self, self.draw.choice(HANDS))()
            self._look()
        return self.found

    async def press(self) -> None:
        """Press one key."""
        await self.pilot.press(self.draw.choice(KEYS))

    async def burst(self) -> None:
        """Press many, faster than a hand."""
        await self.pilot.press(*self.draw.choices(KEYS, k=8))

    async def resize(self) -> None:
        """Change the window."""
        await self.pilot.resize_terminal(*self.draw.choice(SIZES))

    async def click(self) -> None:
        """Click somewhere, or double-click."""
        width, height = self.app.size
        at = (self.draw.randrange(max(width, 1)), self.draw.randrange(max(height, 1)))
        try:
            await self.pilot.click(offset=at, times=self.draw.choice((1, 2)))
        except OutOfBounds:
            await self.pilot.pause()

    async def paste(self) -> None:
        """Paste something hostile."""
        self.app.post_message(Paste(self.draw.choice(TEXTS[:8])))
        await self.pilot.pause()

    def _look(self) -> None:
        if not self.app.is_running:
            return
        text = "".join(screen_text(self.app))
        if CANARY in text:
            self.found.append("the canary is on the screen")
        if bad := sorted({character for character in text if not character.isprintable()}):
            self.found.append(f"control characters are on the screen: {bad!r}")


if __name__ == "__main__":
    sys.exit(main(NAME, 60, run))
