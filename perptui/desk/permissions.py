"""The third lock of live mode: what keys may do, asked at the start, daily, and when refused.

Until a venue has said that its key trades and cannot withdraw, nothing but reads leaves for it: the
transport itself is closed. Each answer is an event of the journal, by which the gate goes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from perptui.journal.events import PermissionsSeen
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import JournalError, VenueError
from perptui.venues.base import Venue
from perptui.venues.permission import KeyHolder, KeyPermissions, why_not

LOOK_S = 1.0
RETRY_S = 30.0
"""Between two attempts to ask, and least time between two answers."""
DAY_S = 86_400.0
NOT_ASKED = "what the key may do could not be asked"

Tell = Callable[[str, str], None]


class PermissionWatch:
    """Opens and closes the venues for sending by what their keys may do.

    Parameters
    ----------
    venues : sequence of Venue
        Opened; those that send with a key are watched.
    journal : Journal
        Open for sending.
    clock : Clock
        Monotonic time.
    tell : callable
        Takes a level ("info", "warn", "alarm") and a line for the screen.
    sources : mapping of str to str
        Where each venue's keys came from, in words.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        journal: Journal,
        clock: Clock,
        tell: Tell,
        sources: Mapping[str, str],
    ) -> None:
        self._holders = [venue for venue in venues if isinstance(venue, KeyHolder)]
        self._journal = journal
        self._clock = clock
        self._tell = tell
        self._sources = sources
        self._due: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._seen: dict[str, PermissionsSeen] = {}

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask what is due to be asked."""
        for holder in self._holders:
            due = self._due.get(holder.name, -math.inf)
            if holder.write_lock.doubted:
                due = min(due, self._asked.get(holder.name, -math.inf) + RETRY_S)
            if self._clock.monotonic() >= due:
                await self._check(holder)

    async def _check(self, holder: KeyHolder) -> None:
        name = holder.name
        self._asked[name] = self._clock.monotonic()
        try:
            found = await holder.permissions()
            why = why_not(found)
        except VenueError as error:
            why = f"{NOT_ASKED}: {error}"
            found = KeyPermissions(None, None, None, why)
        holder.write_lock.doubted = False
        holder.write_lock.why = self._noted(name, found) or why
        self._due[name] = self._asked[name] + (RETRY_S if holder.write_lock.why else DAY_S)

    def _noted(self, name: str, found: KeyPermissions) -> str:
        """Journal and tell what is new; return why the journal did not take it, "" when it did."""
        source = self._sources.get(name, "")
        text = f"{found.text}; keys from {source}" if source else found.text
        seen = PermissionsSeen(name, found.trade, found.withdraw, found.bound_to_address, text)
        if self._seen.get(name) == seen:
            return ""
        try:
            self._journal.append(seen)
        except JournalError as error:
            return f"the journal takes no event: {error}"
        self._seen[name] = seen
        why = why_not(found)
        words = f"{name}: nothing is sent, {why}: {text}" if why else f"{name}: key {text}"
        self._tell("alarm" if why else "info", words)
        return ""
