"""A running desk loses its journal: it says so, sends nothing, saves it, and goes on showing."""

from __future__ import annotations

import pytest

from perptui.cli.app import run
from perptui.journal.verify import verify_file
from perptui.protocol.intents import OpenTicket, Solve
from perptui.protocol.views import DeskView
from tests.desk.attached import market, running_demo


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
        assert later.status.sends_locked == view.status.sends_locked
    assert run(["journal", "restore", str(rescue), "--desk", "demo"]) == 0
    assert verify_file(path).ok
