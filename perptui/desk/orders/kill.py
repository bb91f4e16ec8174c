"""The kill switch: ACTIVE, REDUCING, HALTED; each change is an event before it is anything else.

Ways in: a key in a terminal, ``perptui kill``, a file beside the journal or a shared desk's socket,
which works when nothing else does, and the watchdog. Anybody may tighten. Where orders are real
(live mode) leaving takes two persons: another than the one who tightened, and where the watchdog
did, one who asks and another who agrees. Where they are not, one person may loosen: a trader alone
with a simulated venue must not be locked out, and the journal names whoever did.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path

from perptui.journal.events import Actor, KillChanged
from perptui.journal.journal import Journal
from perptui.journal.queries import KillRow, LegRow
from perptui.model.errors import GateRefused, InputError
from perptui.model.money import plain
from perptui.model.text import safe_text
from perptui.settings.paths import KILL_FILE, shared_kill_file
from perptui.settings.schema import DeskSettings

STATES = ("ACTIVE", "REDUCING", "HALTED")
"""From loose to tight."""
REASON_LENGTH = 200
READ_BYTES = 4 * REASON_LENGTH
"""What is read of a kill file, at most."""
NOBODY = -1
"""Uid of what is no person; so is any below it."""
FILE = "kill file"
WATCHDOG = Actor(uid=-2, name="watchdog")


def words_of(stands: KillRow, *, second_person: bool, unknown: Sequence[LegRow] = ()) -> str:
    """Return where the switch stands, by whom, why, what is UNKNOWN, and how to leave.

    "" while it is ACTIVE.
    """
    if stands.state == "ACTIVE":
        return ""
    way = "another user: " if second_person and stands.uid > NOBODY else ""
    if second_person and stands.uid <= NOBODY:
        way = "two users, one after the other: "
    said = f"{stands.state} by {_name_of(stands.uid)}: {stands.reason}"
    return "; ".join(filter(None, (said, unknown_words(unknown), f"{way}perptui kill --release")))


def _name_of(uid: int) -> str:
    if uid <= NOBODY:
        return WATCHDOG.name if uid == WATCHDOG.uid else FILE
    try:
        return safe_text(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return f"uid {uid}"


def unknown_words(legs: Sequence[LegRow]) -> str:
    """Return which orders may or may not be at a venue, in words; "" where none is."""
    if not legs:
        return ""
    named = (f"{leg.side} {plain(leg.contracts)} {leg.instrument} ({leg.ticket})" for leg in legs)
    return f"UNKNOWN: {', '.join(named)}"


class KillSwitch:
    """The kill state of one desk.

    Parameters
    ----------
    journal : Journal
        Where the state lives.
    second_person : bool
        Whether leaving takes two persons.
    shared : Path | None
        A further kill file, which every user of a shared desk can make.
    """

    def __init__(
        self, journal: Journal, *, second_person: bool = True, shared: Path | None = None
    ) -> None:
        self._journal = journal
        self._second_person = second_person
        own = journal.path.with_name(KILL_FILE)
        self._files = (own,) if shared is None else (own, shared)

    @classmethod
    def of(cls, journal: Journal, desk: DeskSettings) -> KillSwitch:
        """Return the switch of a desk with these settings."""
        shared = shared_kill_file(desk.name, desk.socket_dir)
        return cls(journal, second_person=desk.mode == "live", shared=shared)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files whose presence halts the desk; the first line is the reason."""
        return self._files

    def _found(self) -> Path | None:
        return next((file for file in self._files if os.path.lexists(file)), None)

    def state(self) -> str:
        """Return where the switch stands, having looked for the file."""
        stands = self._journal.kill_state().state
        file = self._found()
        if stands != "HALTED" and file is not None:
            self.tighten("HALTED", _reason(file), Actor(_owner(file), FILE))
            return "HALTED"
        return stands

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
            While a kill file is there, or until a second person asks as well.
        """
        stands = self._journal.kill_state()
        file = self._found()
        if file is not None:
            raise GateRefused(f"expected no file {file}, was there; remove it", "kill_file")
        if stands.state == "ACTIVE":
            return
        if self._second_person:
            self._require_second(stands, reason, actor)
        self._journal.append(KillChanged("ACTIVE", safe_text(reason, REASON_LENGTH)), actor=actor)

    def _require_second(self, stands: KillRow, reason: str, actor: Actor) -> None:
        if stands.uid <= NOBODY:
            # No person set it: the first who asks takes it over, so that another can agree.
            said = f"{stands.reason}; {actor.name} asks to leave: {reason}"
            asked = KillChanged(stands.state, safe_text(said, REASON_LENGTH))
            self._journal.append(asked, actor=actor)
        elif stands.uid != actor.uid:
            return
        raise GateRefused(
            f"expected a second person to leave {stands.state}, was the first; "
            "another user of this desk: `perptui kill --release`",
            "second_person",
        )


def _reason(file: Path) -> str:
    """Return the first line of a kill file, or what it is where it has none to show.

    The folder of a shared desk is others' too: a link there would have the desk show what only the
    desk may read, and a pipe would have it wait for ever. Both halt it like any other file.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return FILE
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return FILE
        text = os.read(descriptor, READ_BYTES).decode(errors="replace")
    except OSError:
        return FILE
    finally:
        os.close(descriptor)
    lines = text.splitlines()
    return safe_text(lines[0]) if lines else FILE


def _owner(file: Path) -> int:
    """Return whose the file itself is, not what it may lead to."""
    try:
        return file.lstat().st_uid
    except OSError:
        return NOBODY
