"""What stands in the journal's chain alone, read once and kept up: no projection has it.

Changes of the kill switch, external changes and alarms, what venues said of their keys, which of
them orders are held back from, and which legs a person settled.
"""

from __future__ import annotations

from perptui.journal.events import (
    Alarm,
    External,
    KillChanged,
    LegSettled,
    PermissionsSeen,
    VenueHeld,
)
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow, Noted

KINDS = ("KILL", "EXTERNAL", "ALARM", "PERMISSIONS", "HELD", "SETTLED")
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
        self._settled: dict[str, tuple[int, LegSettled]] = {}

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

    @property
    def settled(self) -> dict[str, LegSettled]:
        """By client id, what a person last said became of a leg."""
        self._follow()
        return {client_id: body for client_id, (_, body) in self._settled.items()}

    def settled_since(self, utc_ms: int) -> list[LegRow]:
        """Return the legs that a person settled at venue time `utc_ms` or later."""
        self._follow()
        lately = [client_id for client_id, (at_ms, _) in self._settled.items() if at_ms >= utc_ms]
        return [leg for leg in map(self._journal.leg, lately) if leg is not None]

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
        elif isinstance(body, LegSettled):
            self._settled[body.client_id] = (event.ts_ms, body)
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
