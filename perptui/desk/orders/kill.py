"""The kill switch: ACTIVE, REDUCING, HALTED; each change is an event before it is anything else.

Ways in: an intent from a terminal, ``perptui kill``, and a file beside the journal, which works
when nothing else does. Anybody may tighten; to loosen takes another person than the one who
tightened where orders are real (live mode). Where they are not, the same person may loosen: a
trader alone with a simulated venue must not be locked out, and the journal names both.
"""

from __future__ import annotations

import pwd
from pathlib import Path

from perptui.journal.events import Actor, KillChanged
from perptui.journal.journal import Journal
from perptui.journal.queries import KillRow
from perptui.model.errors import GateRefused, InputError
from perptui.model.text import safe_text
from perptui.settings.paths import KILL_FILE

STATES = ("ACTIVE", "REDUCING", "HALTED")
"""From loose to tight."""
REASON_LENGTH = 200
FILE_ACTOR = Actor(uid=-1, name="kill file")


def words_of(stands: KillRow, *, second_person: bool) -> str:
    """Return where the switch stands, by whom, why, and how to leave; "" while it is ACTIVE."""
    if stands.state == "ACTIVE":
        return ""
    who = FILE_ACTOR.name
    if stands.uid != FILE_ACTOR.uid:
        try:
            who = pwd.getpwuid(stands.uid).pw_name
        except KeyError:
            who = f"uid {stands.uid}"
    way = "another user: " if second_person else ""
    return f"{stands.state} by {who}: {stands.reason}; {way}perptui kill --release"


class KillSwitch:
    """The kill state of one desk.

    Parameters
    ----------
    journal : Journal
        Where the state lives.
    second_person : bool
        Whether leaving takes another uid than the one that tightened.
    """

    def __init__(self, journal: Journal, *, second_person: bool = True) -> None:
        self._journal = journal
        self._second_person = second_person
        self._file = journal.path.with_name(KILL_FILE)

    @property
    def file(self) -> Path:
        """The file whose presence halts the desk; its first line is the reason."""
        return self._file

    def state(self) -> str:
        """Return where the switch stands, having looked for the file."""
        stands = self._journal.kill_state().state
        if stands != "HALTED" and self._file.exists():
            self.tighten("HALTED", self._reason(), FILE_ACTOR)
            return "HALTED"
        return stands

    def _reason(self) -> str:
        try:
            lines = self._file.read_text(errors="replace")[:200].splitlines()
        except OSError:
            lines = []
        return safe_text(lines[0]) if lines else "kill file"

    def tighten(self, state: str, reason: str, actor: Actor) -> None:
        """Move to `state`; where the switch already is tighter, it stays.

        Raises
        ------
        InputError
            When there is no such state.
        """
        if state not in STATES:
            raise InputError(f"expected one of {', '.join(STATES)}, was {state!r}; name one")
        if STATES.index(state) > STATES.index(self._journal.kill_state().state):
            self._journal.append(KillChanged(state, safe_text(reason, REASON_LENGTH)), actor=actor)

    def release(self, reason: str, actor: Actor) -> None:
        """Go back to ACTIVE.

        Raises
        ------
        GateRefused
            While the file is there, or when the same person tightened it and may not loosen.
        """
        stands = self._journal.kill_state()
        if self._file.exists():
            raise GateRefused(f"expected no file {self._file}, was there; remove it", "kill_file")
        if stands.state == "ACTIVE":
            return
        if self._second_person and stands.uid == actor.uid:
            raise GateRefused(
                f"expected a second person to leave {stands.state}, was the one who set it; "
                "another user of this desk: `perptui kill --release`",
                "second_person",
            )
        self._journal.append(KillChanged("ACTIVE", safe_text(reason, REASON_LENGTH)), actor=actor)
