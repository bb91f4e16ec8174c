"""What of the journal becomes news: the kill switch moved, nothing can be recorded any more."""

from __future__ import annotations

from collections.abc import Callable

from perptui.desk.orders.kill import words_of
from perptui.journal.journal import Journal
from perptui.model.errors import JournalError


class JournalNews:
    """Tells each change once.

    Parameters
    ----------
    tell : callable
        Takes ("alarm" or "info", text).
    live : bool
        Orders are real: it takes a second person to leave HALTED.
    """

    def __init__(self, journal: Journal, tell: Callable[[str, str], None], *, live: bool) -> None:
        self._journal = journal
        self._tell = tell
        self._live = live
        self._kill = "ACTIVE"
        self._fault = ""

    def look(self) -> None:
        """Tell what changed since the last look."""
        try:
            self._journal.require_usable()
            self._look_at_kill()
        except JournalError as error:
            self._tell_fault(self._journal.fault or str(error))
        self._tell_fault(self._journal.fault)

    def _look_at_kill(self) -> None:
        stands = self._journal.kill_state()
        if stands.state == self._kill:
            return
        unknown = self._journal.unknown_legs()
        words = words_of(stands, second_person=self._live, unknown=unknown)
        words = words or f"ACTIVE again: {stands.reason}"
        self._tell("alarm" if stands.state != "ACTIVE" else "info", words)
        self._kill = stands.state

    def _tell_fault(self, fault: str) -> None:
        if fault and not self._fault:
            self._tell("alarm", f"nothing is sent any more: {fault}")
            self._fault = fault
