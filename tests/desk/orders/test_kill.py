"""The kill switch: an event first, tightened by anybody, loosened by another person."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from perptui.cli.kill import leave_file
from perptui.desk.lifecycle import desk_paths
from perptui.desk.orders.kill import WATCHDOG, KillSwitch, words_of
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused, InputError
from perptui.model.order import LegState, Side
from perptui.settings.load import load
from perptui.settings.paths import kill_file
from tests.canary import CANARY
from tests.desk.dealing import ALICE, BOB, DESK
from tests.desk.market import NOW_MS


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return opened(tmp_path)


def opened(tmp_path: Path) -> Journal:
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
    assert switch.files[0] == journal.path.with_name("KILL")
    switch.files[0].write_text("from the shell\nsecond line\n")
    assert switch.state() == "HALTED"
    assert switch.state() == "HALTED"
    kill = journal.kill_state()
    assert (kill.state, kill.reason, kill.uid) == ("HALTED", "from the shell", os.getuid())
    with pytest.raises(GateRefused) as refused:
        switch.release("", BOB)
    assert refused.value.reason == "kill_file"
    switch.files[0].unlink()
    switch.release("looked at it", BOB)
    assert switch.state() == "ACTIVE"


def test_a_file_left_from_a_shell_halts_the_next_desk() -> None:
    """The command and the desk mean the same file, through the desk's own paths."""
    name = load().settings.desk.name
    left = leave_file(name, "smoke in the room")
    found = Journal.open(
        desk_paths(load().settings).journal,
        desk=name,
        account="main",
        clock=ManualClock(NOW_MS),
        actor=DESK,
        version="0",
    )
    switch = KillSwitch(found)
    assert switch.files[0] == left == kill_file(name)
    assert switch.state() == "HALTED"
    assert found.kill_state().reason == "smoke in the room"
    found.close()


def test_an_empty_or_unreadable_file_halts_as_well(journal: Journal) -> None:
    switch = KillSwitch(journal)
    switch.files[0].mkdir()
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "kill file"


def test_a_link_halts_and_shows_nothing_of_what_it_leads_to(
    journal: Journal, tmp_path: Path
) -> None:
    """Whoever may write in the shared folder must not read the desk's keys on every screen."""
    keys = tmp_path / "keys.toml"
    keys.write_text(f'secret = "{CANARY}"\n')
    switch = KillSwitch(journal)
    switch.files[0].symlink_to(keys)
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "kill file"
    with pytest.raises(GateRefused, match="expected no file"):
        switch.release("", BOB)
    keys.unlink()


def test_a_hard_link_shows_nothing_either(journal: Journal, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'secret = "{CANARY}"\n')
    switch = KillSwitch(journal)
    switch.files[0].hardlink_to(keys)
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "kill file"
    keys.unlink()
    switch.files[0].unlink()


def test_a_link_that_leads_nowhere_halts_as_well(journal: Journal, tmp_path: Path) -> None:
    switch = KillSwitch(journal)
    switch.files[0].symlink_to(tmp_path / "nowhere")
    assert switch.state() == "HALTED"


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to make a link that is another's")
def test_a_link_halts_in_the_name_of_whoever_made_it(journal: Journal, tmp_path: Path) -> None:
    """Else one could leave HALTED alone, in the name of a second person."""
    others = tmp_path / "others"
    others.write_text("")
    switch = KillSwitch(journal)
    switch.files[0].symlink_to(others)
    os.chown(switch.files[0], ALICE.uid, -1, follow_symlinks=False)
    assert switch.state() == "HALTED"
    assert journal.kill_state().uid == ALICE.uid


def waited(_: int, frame: FrameType | None) -> None:
    raise AssertionError("the desk waits for whoever writes into a pipe")


def test_a_pipe_halts_and_nobody_waits_for_it(journal: Journal) -> None:
    switch = KillSwitch(journal)
    os.mkfifo(switch.files[0])
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(10)
    try:
        switch.state()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "kill file"


def test_no_more_is_read_than_a_line_takes(journal: Journal) -> None:
    switch = KillSwitch(journal)
    with switch.files[0].open("wb") as file:
        file.write(b"smoke\n")
        file.truncate(1 << 40)
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "smoke"


def test_a_shared_desk_has_a_file_that_its_whole_group_can_make(tmp_path: Path) -> None:
    """In the folder of the shared socket: the desk's own state belongs to one user alone."""
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    desk = msgspec.structs.replace(load().settings.desk, name="crew", socket_dir=str(sockets))
    journal = opened(tmp_path)
    switch = KillSwitch.of(journal, desk)
    assert switch.state() == "ACTIVE"
    left = leave_file("crew", "smoke", str(sockets))
    assert left == sockets / "crew.KILL" == switch.files[1]
    assert switch.state() == "HALTED"
    assert journal.kill_state().reason == "smoke"


def test_the_desk_of_another_user_can_read_the_reason(tmp_path: Path) -> None:
    """The program's umask is 077; the file in the shared folder is for another user to read."""
    before = os.umask(0o077)
    try:
        left = leave_file("crew", "smoke", str(tmp_path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(left.stat().st_mode) == 0o644
    assert stat.S_IMODE(leave_file("crew", "smoke").stat().st_mode) == 0o600


def test_without_the_shared_folder_the_own_file_is_left(tmp_path: Path) -> None:
    left = leave_file("crew", "smoke", str(tmp_path / "gone"))
    assert left == kill_file("crew")
    assert left.read_text() == "smoke\n"


FULL_DISK = """
import resource, sys
from perptui.cli.kill import leave_file
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(leave_file("main", "no room for a reason"))
"""


@pytest.mark.unmeasured
def test_the_file_is_left_where_no_byte_can_be_written(journal: Journal) -> None:
    """A full disk takes no reason: the file's being there is what halts."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    left = Path(done.stdout.strip())
    assert left == kill_file("main")
    assert left.read_bytes() == b""
    left.rename(KillSwitch(journal).files[0])
    assert KillSwitch(journal).state() == "HALTED"


def test_in_live_mode_what_no_person_set_takes_two_to_leave(journal: Journal) -> None:
    """The first who asks takes it over, the second lets the desk go on."""
    switch = KillSwitch(journal)
    switch.tighten("REDUCING", "lost 4.00% within 900 s", WATCHDOG)
    words = words_of(journal.kill_state(), second_person=True)
    assert words == (
        "REDUCING by watchdog: lost 4.00% within 900 s; "
        "two users, one after the other: perptui kill --release"
    )
    for _ in range(2):
        with pytest.raises(GateRefused) as refused:
            switch.release("a spike", ALICE)
        assert refused.value.reason == "second_person"
        assert switch.state() == "REDUCING"
    kill = journal.kill_state()
    assert (kill.uid, kill.reason) == (
        ALICE.uid,
        "lost 4.00% within 900 s; alice asks to leave: a spike",
    )
    switch.release("I saw it too", BOB)
    assert switch.state() == "ACTIVE"
    kills = [event for event in journal.events(1) if event.kind == "KILL"]
    assert [event.actor.name for event in kills] == ["watchdog", "alice", "bob"]


def test_where_no_order_is_real_one_person_leaves_what_the_watchdog_set(journal: Journal) -> None:
    switch = KillSwitch(journal, second_person=False)
    switch.tighten("REDUCING", "lost 4.00% within 900 s", WATCHDOG)
    switch.release("a spike", ALICE)
    assert switch.state() == "ACTIVE"


def test_what_is_unknown_is_listed(journal: Journal) -> None:
    leg = LegRow(
        client_id="pt1",
        ticket="T3",
        number=0,
        instrument="binanceusdm:BTC/USDT:USDT",
        venue="binanceusdm",
        side=Side.SELL,
        contracts=Decimal("0.20"),
        state=LegState.UNKNOWN,
        filled=Decimal(0),
        average_price=None,
        venue_order_id="",
        code="504",
        note="no answer",
        sent_ms=NOW_MS,
        executed=Decimal(0),
        settled=False,
    )
    KillSwitch(journal).tighten("HALTED", "stop", Actor(uid=0, name="root"))
    said = words_of(journal.kill_state(), second_person=False, unknown=(leg,))
    assert said == (
        "HALTED by root: stop; UNKNOWN: sell 0.2 binanceusdm:BTC/USDT:USDT (T3); "
        "perptui kill --release"
    )


def test_the_state_outlives_the_process(journal: Journal) -> None:
    KillSwitch(journal).tighten("HALTED", "stop", ALICE)
    path = journal.path
    journal.close()
    again = Journal.open(
        path, desk="main", account="main", clock=ManualClock(NOW_MS), actor=DESK, version="0"
    )
    assert KillSwitch(again).state() == "HALTED"
    again.close()
