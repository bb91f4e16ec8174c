"""What stands in the journal's chain alone, read once and kept up: no projection has it.

Changes of the kill switch, external changes and alarms, what venues said of their keys, and which
of them orders are held back from.
"""

from __future__ import annotations

from perptui.journal.events import Alarm, External, KillChanged, PermissionsSeen, VenueHeld
from perptui.journal.journal import Journal
from perptui.journal.queries import Noted

KINDS = ("KILL", "EXTERNAL", "ALARM", "PERMISSIONS", "HELD")
MISMATCHES = (External, Alarm)
KEPT = 1_000
"""Most external changes and alarms that are kept; the newest."""


class Notes:
    """One journal's notes, as far as its chain reaches whenever they are asked for."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read_to = 0
        self._kills: list[Noted] = []
        self._mismatches: list[Noted] = []
        self._permissions: dict[str, PermissionsSeen] = {}
        self._holds: dict[str, VenueHeld] = {}

    @property
    def kills(self) -> list[Noted]:
        """Every change of the kill switch, oldest first."""
        self._follow()
        return self._kills

    @property
    def mismatches(self) -> list[Noted]:
        """The newest external changes and alarms, oldest first."""
        self._follow()
        return self._mismatches

    @property
    def permissions(self) -> dict[str, PermissionsSeen]:
        """What each venue last said of the key in use."""
        self._follow()
        return self._permissions

    @property
    def holds(self) -> dict[str, VenueHeld]:
        """What was last said of holding orders back from each venue."""
        self._follow()
        return self._holds

    def _follow(self) -> None:
        end = self._journal.head[0]
        if end == self._read_to:
            return
        for event in self._journal.noted(KINDS, self._read_to + 1):
            self._take(event)
        self._mismatches = self._mismatches[-KEPT:]
        self._read_to = end

    def _take(self, event: Noted) -> None:
        body = event.body
        if isinstance(body, KillChanged):
            self._kills.append(event)
        elif isinstance(body, PermissionsSeen):
            self._permissions[body.venue] = body
        elif isinstance(body, VenueHeld):
            self._holds[body.venue] = body
        elif isinstance(body, MISMATCHES):
            self._mismatches.append(event)


def key_fault(seen: PermissionsSeen | None) -> str:
    """Return why a key with these permissions is not fit for sending, "" when it is."""
    if seen is None:
        return "its permissions were not read yet"
    if seen.trade is not True:
        return f"{seen.venue} does not say that it may trade"
    if seen.withdraw is not False:
        return f"{seen.venue} does not say that it may not withdraw: make a key without withdrawal"
    return ""
