"""The kill switch: an event first, tightened by anybody, loosened by another person."""

from __future__ import annotations

from pathlib import Path

import pytest

from perptui.cli.kill import leave_file
from perptui.desk.lifecycle import desk_paths
from perptui.desk.orders.kill import KillSwitch, words_of
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused, InputError
from perptui.settings.load import load
from perptui.settings.paths import kill_file
from tests.desk.dealing import ALICE, BOB, DESK
from tests.desk.market import NOW_MS


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(
        tmp_path / "journal.db",
        desk="main",
        account="main",
        clock=ManualClock(NOW_MS),
        actor=DESK,
        version="0",
    )


def test_tightening_is_journalled_with_its_reason(journal: Journal) -> None:
    switch = KillSwitch(journal)
    assert switch.state() == "ACTIVE"
    switch.tighten("REDUCING", "too\x1b[31m fast", ALICE)
    assert switch.state() == "REDUCING"
    switch.tighten("HALTED", "stop", BOB)
    events = [event for event in journal.events(1) if event.kind == "KILL"]
    assert [event.body["state"] for event in events] == ["REDUCING", "HALTED"]
    assert events[0].body["reason"] == "too\\x1b[31m fast"
    assert events[1].actor == BOB


def test_tightening_never_loosens(journal: Journal) -> None:
    switch = KillSwitch(journal)
    switch.tighten("HALTED", "stop", ALICE)
    for state in ("REDUCING", "ACTIVE", "HALTED"):
        switch.tighten(state, "again", BOB)
        assert switch.state() == "HALTED"
    assert sum(event.kind == "KILL" for event in journal.events(1)) == 1
    with pytest.raises(InputError, match="expected one of"):
        switch.tighten("OFF", "", ALICE)


def test_leaving_takes_a_second_person(journal: Journal) -> None:
    switch = KillSwitch(journal)
    switch.release("nothing to leave", ALICE)
    switch.tighten("HALTED", "stop", ALICE)
    with pytest.raises(GateRefused) as refused:
        switch.release("fine again", ALICE)
    assert refused.value.reason == "second_person"
    assert switch.state() == "HALTED"
    switch.release("looked at it", BOB)
    assert switch.state() == "ACTIVE"


def test_on_paper_the_same_person_may_leave_and_it_is_journalled(journal: Journal) -> None:
    switch = KillSwitch(journal, second_person=False)
    switch.tighten("HALTED", "fat finger", ALICE)
    switch.release("looked at it", ALICE)
    assert switch.state() == "ACTIVE"
    last = [event for event in journal.events(1) if event.kind == "KILL"][-1]
    assert (last.actor, last.body["reason"]) == (ALICE, "looked at it")


def test_the_words_say_who_why_and_how_to_leave(journal: Journal) -> None:
    switch = KillSwitch(journal)
    assert words_of(journal.kill_state(), second_person=True) == ""
    switch.tighten("REDUCING", "slow down", Actor(uid=0, name="root"))
    assert words_of(journal.kill_state(), second_person=False) == (
        "REDUCING by root: slow down; perptui kill --release"
    )
    switch.tighten("HALTED", "fat finger", Actor(uid=4_000_000, name="nobody known"))
    assert words_of(journal.kill_state(), second_person=True) == (
        "HALTED by uid 4000000: fat finger; another user: perptui kill --release"
    )


def test_the_file_halts_the_desk_and_holds_it(journal: Journal) -> None:
    switch = KillSwitch(journal)
    assert switch.file == journal.path.with_name("KILL")
    switch.file.write_text("from the shell\nsecond line\n")
    assert switch.state() == "HALTED"
    assert switch.state() == "HALTED"
    kill = journal.kill_state()
    assert (kill.state, kill.reason, kill.uid) == ("HALTED", "from the shell", -1)
    with pytest.raises(GateRefused) as refused:
        switch.release("", BOB)
    assert refused.value.reason == "kill_file"
    switch.file.unlink()
    switch.release("looked at it", BOB)
    assert switch.state() == "ACTIVE"


def test_a_file_left_from_a_shell_halts_the_next_desk() -> None:
    """The command and the desk mean the same file, through the desk's own paths."""
    name = load().settings.desk.name
    left = leave_file(name, "smoke in the room")
    opened = Journal.open(
        desk_paths(load().settings).journal,
        desk=name,
        account="main",
        clock=ManualClock(NOW_MS),
        actor=DESK,
        version="0",
    )
    switch = KillSwitch(opened)
    assert switch.file == left == kill_file(name)
    assert switch.state() == "HALTED"
    assert opened.kill_state().reason == "smoke in the room"
    opened.close()


def test_an_empty_or_unreadable_file_halts_as_well(journal: Journal) -> None:
    switch = KillSwitch(journal)
    switch.file.mkdir()
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "kill file"


def test_the_state_outlives_the_process(journal: Journal) -> None:
    KillSwitch(journal).tighten("HALTED", "stop", ALICE)
    path = journal.path
    journal.close()
    again = Journal.open(
        path, desk="main", account="main", clock=ManualClock(NOW_MS), actor=DESK, version="0"
    )
    assert KillSwitch(again).state() == "HALTED"
    again.close()
