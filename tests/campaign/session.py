"""One seeded session: two traders, one desk that may die, a venue that fails; then calm."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from perptui.desk.orders.stops import rests
from perptui.desk.orders.trading import LOOK_S, Trading
from perptui.journal.database import Database
from perptui.journal.journal import Journal
from perptui.model.clock import ManualClock
from perptui.model.errors import JournalError, PerptuiError
from perptui.settings.schema import Settings
from tests.campaign.core import Core
from tests.campaign.coverage import Coverage
from tests.campaign.hands import Hands
from tests.campaign.happenings import Happenings
from tests.campaign.picture import WorldPicture
from tests.campaign.themes import Theme, theme_of
from tests.campaign.truth import Calm, Life, Truth
from tests.campaign.variants import settings_in_turn
from tests.campaign.virtual import Died, Mortality, VirtualLoop, mortal_journal, probe
from tests.campaign.weather import MARKS, STEPS, Weather
from tests.campaign.world import WorldVenue
from tests.desk.dealing import DESK
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

DESK_NAME = ACCOUNT = "main"
AFTER_CALM_S = 75.0
"""What is unresolved this long after the last fault stays so: 60 s, and one slow look."""
SKEW_MAX_MS = 2_000
"""By no more may the venue's clock differ once all faults have stopped."""
DEATHS = (
    "confirmed",
    "approved",
    "sending",
    "left",
    "arrived",
    "answered",
    "recorded",
    "cancel left",
)
WAYS_OUT = (PerptuiError, Died)
"""What a trader's call may end with; anything else is a fault of the desk."""


class Played(msgspec.Struct, frozen=True):
    """A session that ended: what really happened, and where its journal is."""

    seed: int
    truth: Truth
    journal: Path
    settings: Settings
    coverage: Coverage
    problems: list[str]


class Session:
    """Plays one seed.

    Parameters
    ----------
    template : Path
        An empty journal to begin with.
    folder : Path
        Of this session alone.
    """

    def __init__(
        self, seed: int, template: Path, folder: Path, settings: Settings, theme: Theme
    ) -> None:
        self.rng = random.Random(seed)
        self.theme = theme
        self.seed = seed
        self.path = folder / "journal.db"
        shutil.copyfile(template, self.path)
        self.settings = settings
        self.clock = ManualClock(NOW_MS)
        self.core = Core(self.clock, self.rng, STEPS, dict(MARKS), self._positions())
        self.venue = WorldVenue(self.clock, self.core, self.rng, theme)
        self.picture = WorldPicture(self.venue, self.clock, settings)
        self.mortality = Mortality()
        self.problems: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.trading: Trading | None = None
        self.journal: Journal | None = None
        self.slow = self.rng.choice((4.0, 8.0, 16.0))
        self.hands = Hands(self)
        self.stormy = self.rng.random() < 0.8
        self.happenings = Happenings(self)
        self.mortal = False

    def _positions(self) -> dict[str, Any]:
        rng = self.rng
        sign = rng.choice((1, -1))
        return {
            BTC: sign * STEPS[BTC] * rng.randint(40, 160),
            ETH: -sign * STEPS[ETH] * rng.randint(50, 300),
        }

    # ------------------------------------------------------------------ the desk's life

    async def born(self) -> None:
        """Start a desk on the journal; where it dies at once, another is started."""
        while True:
            try:
                await self._born()
            except Died:
                await self._bury()
            else:
                return

    async def _born(self) -> None:
        mortality = self.mortality
        self.venue.reached = mortality.reach
        journal = mortal_journal(mortality).open(
            self.path, desk=DESK_NAME, account=ACCOUNT, clock=self.clock, actor=DESK, version="0"
        )
        self.journal = journal
        self._note_life("born")
        self.trading = Trading(
            journal,
            {VENUE: self.venue},
            self.settings,
            self.clock,
            self.picture,
            checkpoint=mortality.reach,
            pause=self.pause,
        )
        await self.trading.start()

    async def pause(self, seconds: float) -> None:
        """Wait; a loaded machine looks less often than it would."""
        await asyncio.sleep(seconds * self.slow if seconds == LOOK_S else seconds)

    async def _bury(self) -> None:
        """End every task of a dead desk, leave its file as it lies, and wait a while."""
        self._note_life("died")
        await self._end_tasks()
        if self.journal is not None:
            self.journal.close()
        self.trading = self.journal = None
        self.mortality = Mortality()
        await asyncio.sleep(self.rng.choice((0.05, 1.0, 8.0, 40.0)))
        self.core.run()

    async def _mend(self) -> None:
        """Let a person end the desk whose journal failed, in order, and mend the file."""
        assert self.trading is not None
        assert self.journal is not None
        with suppress(*WAYS_OUT):
            await self.trading.stop()
        await self._end_tasks()
        self.journal.close()
        self._note_life("ended")
        self.trading = self.journal = None
        self.mortality = Mortality()
        self.core.run()

    async def _end_tasks(self) -> None:
        me = asyncio.current_task()
        tasks = [task for task in self.tasks if task is not me]
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, BaseException) and not isinstance(
                found, (asyncio.CancelledError, *WAYS_OUT)
            ):
                self.problems.append(f"a task of the desk ended with {found!r}")
        self.tasks = [me] if me is not None else []

    def _note_life(self, what: str) -> None:
        self.core.truth.add(Life(**self.core.truth.now(), what=what))

    async def alive(self) -> Trading:
        """Return the desk, started anew where it died."""
        if self.mortality.dead:
            await self._bury()
        elif self.journal is not None and self.journal.fault:
            await self._mend()
        if self.trading is None:
            await self.born()
        assert self.trading is not None
        return self.trading

    async def second_desk(self) -> None:
        """Open the journal again while its desk lives; where that works, a lease is taken over."""
        await self.alive()
        try:
            Journal.open(
                self.path,
                desk=DESK_NAME,
                account=ACCOUNT,
                clock=self.clock,
                actor=DESK,
                version="0",
            ).close()
        except JournalError:
            return

    async def call(self, action: Callable[[Trading], Awaitable[Any]]) -> Any:
        """Let a trader ask something of the desk; None where the desk refused or died."""
        trading = await self.alive()
        try:
            return await action(trading)
        except WAYS_OUT:
            return None

    # ------------------------------------------------------------------ the play

    async def play(self) -> None:
        """Act, then let all faults stop and wait until nothing is open any more."""
        await self.born()
        self._draw_weather()
        for _ in range(self.rng.randint(*self.theme.rounds)):
            await asyncio.sleep(self.rng.uniform(0, 4))
            self.happenings.change()
            await self.hands.act()
            self.core.run()
        await self._calm()
        trading = await self.alive()
        self.hands.look(trading, tail=True)
        await trading.stop()
        await self._end_tasks()
        if self.journal is not None:
            self.journal.close()

    def _draw_weather(self) -> None:
        rng = self.rng
        if self.stormy:
            self.venue.weather = Weather(
                writes=rng.choice(self.theme.writes),
                reads=rng.choice(self.theme.reads),
                fills_lag_ms=rng.choice(self.theme.fills_lag_ms),
                account_lag_ms=rng.choice(self.theme.account_lag_ms),
                pace=rng.choice((1.0, 0.05)),
            )
        self.mortal = rng.random() < self.theme.mortal
        if self.mortal:
            self._draw_death()

    def _draw_death(self) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            self.mortality.at_statement(rng.randint(1, 120))
        else:
            self.mortality.at_point(rng.choice(DEATHS), rng.randint(0, 1))

    async def _calm(self) -> None:
        weather = self.venue.weather
        while self.core.now_ms() < max(weather.dark_until_ms, weather.forgets_until_ms):
            await asyncio.sleep(5.0)
            self.core.run()
        weather.calm()
        self.happenings.clear()
        if abs(self.core.skew_ms) > SKEW_MAX_MS:
            self.core.skew_ms = 0  # a clock that is a minute off is a fault, too
        mortality = self.mortality
        mortality.at_statement(-1)
        mortality.at_point("")
        mortality.at_fault(None, 0)
        self.slow = 9.0
        self.core.truth.add(Calm(**self.core.truth.now()))
        await self.alive()
        deadline = self.clock.monotonic() + AFTER_CALM_S
        while self.clock.monotonic() < deadline:
            self.core.run()
            if self._settled() and self.clock.monotonic() >= self.happenings.watched_mono:
                # A desk that has nothing open would look again within 30 s: now is as good.
                await (await self.alive()).reconcile()
                if self._settled():
                    return
            await asyncio.sleep(3.0)

    def _settled(self) -> bool:
        assert self.journal is not None
        working = any(
            order.alive and not order.protective and not order.foreign for order in self.core.orders
        )
        unsettled = [leg for leg in self.journal.unsettled_legs(VENUE) if not rests(leg)]
        return not (
            self.core.busy
            or self.core.counting
            or working
            or unsettled
            or self.journal.open_tickets("CONFIRMED")
            or self.journal.open_tickets("PROPOSED")
        )


def template(folder: Path) -> Path:
    """Make an empty journal that sessions begin with: its tables need not be made each time."""
    path = folder / "template.db"
    Database.sender(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def play(
    seed: int,
    template_path: Path,
    folder: Path,
    loop: VirtualLoop,
    theme: Theme | None = None,
) -> Played:
    """Play one session to its end; its journal stays in `folder`; `theme`: else the seed's own."""
    theme = theme_of(seed) if theme is None else theme
    settings = settings_in_turn(seed, stops=theme.stops)
    session = Session(seed, template_path, folder, settings, theme)
    loop.clocks.append(session.clock)
    truth = session.core.truth
    connection, truth.committed = probe(str(session.path))

    def made(
        running: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **kw: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=running, **kw)
        session.tasks.append(task)
        return task

    loop.set_task_factory(made)  # type: ignore[arg-type]  # typeshed wants a Future
    try:
        loop.run_until_complete(session.play())
    except (JournalError, RuntimeError) as error:
        session.problems.append(f"I4: the journal does not open again: {error}")
    finally:
        connection.close()
        loop.clocks.pop()
    return Played(
        seed, truth, session.path, settings, session.venue.coverage, list(session.problems)
    )
