"""Publishes signed heads of the journal, beside everything else the desk does.

The place may be slow, gone or full: a thread writes, trading goes on, and the desk says that heads
are missing, once as news and once in the journal, until they are there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast

from perptui.journal.events import Alarm
from perptui.journal.heads import Head
from perptui.journal.journal import Journal
from perptui.journal.signing import Signer, Target, key_file, load_key, target_of
from perptui.model.clock import DAY_MS, Clock
from perptui.model.errors import ConfigError, JournalError
from perptui.settings.schema import Settings

LOOK_S = 1.0
RETRY_S = 30.0
"""Between attempts while the place takes nothing."""
PATIENCE_S = 10.0
"""How long one attempt may take; a place that hangs is one that failed."""

T = TypeVar("T")
Tell = Callable[[str, str], None]


class Publishing:
    """The signed heads of one desk's journal.

    Parameters
    ----------
    tell : callable
        Takes ("alarm" or "info", text) for the news.
    target : Target, optional
        Where they go; what ``[audit] heads`` names unless given.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        tell: Tell,
        target: Target | None = None,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._target = target
        self._signer: Signer | None = None
        self._after = 0
        self._failed = False
        self._retry_mono = 0.0
        self._seen: tuple[int, int] = (0, 0)

    @property
    def wanted(self) -> bool:
        """True when the configuration names a place."""
        return bool(self._settings.audit.heads)

    async def run(self) -> None:
        """Publish what is due, for good; first what was missed while no desk ran."""
        if not self.wanted:
            return
        while True:
            await self.look(begins=self._signer is None)
            await asyncio.sleep(LOOK_S)

    async def end(self) -> None:
        """Publish the last head: nothing more is appended after it."""
        if self.wanted and self._signer is not None:
            self._retry_mono = 0.0
            await self.look(ends=True)

    async def look(self, *, begins: bool = False, ends: bool = False) -> None:
        """Publish once what is due now; what fails is told and tried again later."""
        if self._failed and self._clock.monotonic() < self._retry_mono:
            return
        try:
            signer, target = await self._ready()
            due = self._due(signer, whole=begins or ends)
            if due:
                await _in_thread(partial(target.publish, due))
                self._published(due[-1].seq)
        except (ConfigError, JournalError) as error:
            self._fail(str(error))

    async def _ready(self) -> tuple[Signer, Target]:
        """Return what signs and where it goes; the first time, find out what is there already.

        Raises
        ------
        ConfigError, JournalError
            When there is no key or no such place.
        """
        if self._target is None:
            self._target = target_of(self._settings.audit.heads)
        if self._signer is None:
            desk = self._settings.desk
            signer = Signer(load_key(key_file()), desk.name, desk.account)
            last = signer.latest(await _in_thread(self._target.published))
            self._after = self._agreed(last)
            self._signer = signer
        return self._signer, self._target

    def _agreed(self, last: Head | None) -> int:
        """Return after which event heads are due; a journal that lost events is an alarm."""
        count, _ = self._journal.head
        if last is None:
            return 0
        own_hash = self._journal.hash_of(last.seq)
        if own_hash != last.hash:
            lost = "ends before it" if own_hash is None else "has another one"
            text = (
                f"a head of event {last.seq} was published and this journal {lost}: events were "
                "taken away or a backup was restored; run `perptui audit verify --heads`"
            )
            self._tell("alarm", text)
            self._note("heads contradicted", f"heads:{last.hash}", text)
        return min(last.seq, count)

    def _due(self, signer: Signer, *, whole: bool) -> tuple[Head, ...]:
        now_ms = self._clock.utc_ms()
        count, own_hash = self._journal.head
        seen = (count, now_ms // DAY_MS)
        if seen == self._seen and not whole and not self._failed:
            return ()
        self._seen = seen
        due = self._journal.heads_due(self._after, self._settings.audit.every)
        if whole and count > self._after and (count, own_hash) not in due:
            due.append((count, own_hash))
        return tuple(signer.head(seq, hashed, now_ms) for seq, hashed in due)

    def _published(self, seq: int) -> None:
        self._after = seq
        if self._failed:
            self._failed = False
            self._tell("info", f"signed heads are published again, up to event {seq}")

    def _fail(self, text: str) -> None:
        self._retry_mono = self._clock.monotonic() + RETRY_S
        if self._failed:
            return
        self._failed = True
        self._tell("alarm", f"signed heads are not published: {text}")
        self._note("heads", f"heads:{self._journal.fence}:{self._after}", text)

    def _note(self, what: str, key: str, text: str) -> None:
        # A journal that cannot be written has its own alarm.
        with suppress(JournalError):
            if not self._journal.has_notice(key):
                self._journal.append(Alarm(what, key, text))


async def _in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread that keeps no process alive; one that hangs has failed.

    Raises
    ------
    JournalError
        What the work raised, or that it did not end in time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: JournalError | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("T", result))

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except JournalError as error:
            fault = error
        # The loop may have ended before a place that hung.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=run, name="heads", daemon=True).start()
    try:
        return await asyncio.wait_for(done, PATIENCE_S)
    except TimeoutError:
        raise JournalError(
            f"expected an answer within {PATIENCE_S:.0f} s of where heads go, was none; mend it"
        ) from None
