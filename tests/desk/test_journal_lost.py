"""A running desk loses its journal: it says so, sends nothing, saves it, and goes on showing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.journal.verify import verify_file
from perptui.protocol.intents import Kill, OpenTicket, Solve
from perptui.protocol.views import DeskView
from tests.desk.attached import Demo, filled, market, running_demo


def newest(view: DeskView) -> float:
    """Return when the venue was last read, of what the status lines show."""
    return max(feed.observed_mono or 0.0 for feed in view.status.feeds)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_desk_whose_journal_is_moved_away_says_so_and_goes_on_showing() -> None:
    with running_demo(market()) as demo:
        terminal = demo.ready()
        path = demo.state / "journal.db"
        path.rename(demo.state / "elsewhere.db")
        view = terminal.until(lambda view: "moved or deleted" in view.status.sends_locked)
        rescue = next(demo.state.glob("journal-rescued-*.db"))
        assert f"perptui journal restore {rescue}" in view.status.sends_locked
        news = [line.text for line in view.status.news if line.level == "alarm"]
        assert f"nothing is sent any more: {view.status.sends_locked}" in news
        assert view.journal.events
        assert verify_file(rescue).ok
        assert terminal.ask(Solve()).ok
        solved = terminal.until(lambda view: view.rebalance.state == "ready")
        refused = terminal.ask(OpenTicket(solved.rebalance.digest, "send", columns=120, rows=40))
        assert not refused.ok
        assert "moved or deleted" in refused.text
        seen = newest(solved)
        later = terminal.until(lambda view: newest(view) > seen)
        assert later.status.sends_locked == view.status.sends_locked == later.journal.fault
    assert run(["journal", "restore", str(rescue), "--desk", "demo"]) == 0
    assert verify_file(path).ok


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_desk_that_finds_a_damaged_journal_says_so_and_goes_on_after_the_cure(
    tmp_path: Path,
) -> None:
    with running_demo(market()) as demo:
        demo.ready()
        path, backup = demo.state / "journal.db", tmp_path / "backup.db"
        assert run(["journal", "backup", "--desk", "demo", "--to", str(backup)]) == 0
        killed(demo)
        path.with_name("journal.db-wal").unlink()
        path.write_bytes(backup.read_bytes()[:4096] + bytes([255]) * (backup.stat().st_size - 4096))
        demo.relaunch()
        terminal = demo.attach()
        view = terminal.until(lambda view: "damaged" in view.status.sends_locked)
        assert view.status.sends_locked.startswith(
            f"the journal is damaged: `perptui journal restore BACKUP` ({path})"
        )
        assert view.journal.fault == view.status.sends_locked
        view = terminal.until(filled)
        refused = terminal.ask(OpenTicket(view.rebalance.digest, "send", columns=120, rows=40))
        assert "the journal is damaged" in refused.text
        killed(demo)
        assert run(["journal", "restore", str(backup), "--desk", "demo"]) == 0
        demo.relaunch()
        terminal = demo.attach()
        view = terminal.until(lambda view: view.status.kill_state == "HALTED" and filled(view))
        assert view.journal.fault == ""
        assert terminal.ask(Kill("looked", "ACTIVE")).ok
        terminal.until(lambda view: not view.status.sends_locked)
    assert verify_file(path).ok


def killed(demo: Demo) -> None:
    """Kill the desk, as a machine does that fails; its venue lives on."""
    desk = demo.way.desk_pid
    assert desk is not None
    os.kill(desk, signal.SIGKILL)
    os.waitid(os.P_PID, desk, os.WEXITED | os.WNOWAIT)
