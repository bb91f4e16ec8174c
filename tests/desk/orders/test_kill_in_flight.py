"""Killing while orders are being sent: an event first, looked at inside the send lock."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from perptui.desk.orders.kill import FILE, WATCHDOG, KillSwitch, words_of
from perptui.journal.journal import Journal
from perptui.model.errors import JournalError
from tests.desk.dealing import ADD_ETH, ALICE, BOB, DESK, REDUCE_BTC, REDUCE_ETH, Deal

pytestmark = pytest.mark.asyncio


async def by_key(deal: Deal) -> None:
    await deal.trading.kill("stop", BOB)


async def by_file(deal: Deal) -> None:
    deal.journal.path.with_name("KILL").write_text("smoke\n")


async def by_watchdog(deal: Deal) -> None:
    KillSwitch(deal.journal).tighten("REDUCING", "lost 4.00% within 900 s", WATCHDOG)


WAYS = [(by_key, "bob", "HALTED"), (by_file, FILE, "HALTED"), (by_watchdog, "watchdog", "REDUCING")]


@pytest.mark.parametrize(("way", "who", "state"), WAYS)
async def test_the_leg_in_flight_is_journalled_and_nothing_goes_after_it(
    tmp_path: Path, way: object, who: str, state: str
) -> None:
    """The venue has the first leg when the switch moves; the second adds and is never sent."""
    assert callable(way)
    deal = Deal(tmp_path)

    async def killing(_: str) -> None:
        await way(deal)

    deal.venue.after = killing
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC, ADD_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].code == "gate:kill"
    assert len(deal.venue.submitted) == 1
    kinds = deal.kinds()
    assert kinds.count("SENDING") == 1
    kill = next(event for event in deal.events() if event.kind == "KILL")
    assert (kill.actor.name, kill.body["state"]) == (who, state)
    assert kinds.index("SENDING") < kinds.index("KILL") < kinds.index("REFUSED")


async def test_a_kill_does_not_wait_for_the_call_in_flight(tmp_path: Path) -> None:
    """The event is written at once; what the venue may have is listed as UNKNOWN."""
    deal = Deal(tmp_path, ("hang",))
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await asyncio.wait_for(deal.venue.hanging.wait(), 5)
    await asyncio.wait_for(deal.trading.kill("stop", BOB), 5)
    assert deal.journal.kill_state().state == "HALTED"
    said = words_of(
        deal.journal.kill_state(), second_person=False, unknown=deal.journal.unknown_legs()
    )
    assert "UNKNOWN: sell 0.2 binanceusdm:BTC/USDT:USDT (T1)" in said
    assert deal.trading.kill_said == "HALTED; UNKNOWN: sell 0.2 binanceusdm:BTC/USDT:USDT (T1)"
    for task in asyncio.all_tasks():
        if task.get_name() == "sending":
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert deal.states() == ["UNKNOWN", "NOT_SENT"]
    assert len(deal.venue.submitted) == 1


async def test_a_locked_journal_takes_no_kill_and_sends_nothing_either(tmp_path: Path) -> None:
    """The caller is told, `perptui kill` leaves its file, and this process sends no more."""
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    other = sqlite3.connect(deal.journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError):
        await deal.trading.kill("stop", ALICE)
    other.execute("ROLLBACK")
    other.close()
    assert deal.trading.sends_locked
    with pytest.raises(JournalError):
        await deal.open(REDUCE_BTC)
    assert deal.venue.submitted == []
    await by_file(deal)
    path = deal.journal.path
    deal.journal.close()
    again = Journal.open(
        path, desk="main", account="main", clock=deal.clock, actor=DESK, version="0"
    )
    assert KillSwitch(again).state() == "HALTED"
    again.close()
