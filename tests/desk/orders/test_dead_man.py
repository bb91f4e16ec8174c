"""The dead man's switch: armed while orders work, never where a stop waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.dead_man import DeadMan
from perptui.journal.events import Alarm
from perptui.model.errors import JournalError
from perptui.model.order import LegState
from tests.desk.dealing import ADD_ETH, REDUCE_BTC, Deal
from tests.desk.market import BTC, ETH, VENUE
from tests.desk.orders.test_protecting import stopping

pytestmark = pytest.mark.asyncio


def dead_man(deal: Deal, seconds: float = 60.0) -> DeadMan:
    return DeadMan(deal.journal, {VENUE: deal.venue}, deal.clock, seconds)


def told(deal: Deal) -> list[tuple[str, int, str]]:
    return [
        (event.body["instrument"], event.body["countdown_ms"], event.body["state"])
        for event in deal.events()
        if event.kind == "DEADMAN"
    ]


async def working(tmp_path: Path) -> Deal:
    """A desk with an order that rests at the venue."""
    deal = Deal(tmp_path, ("rest",))
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["OPEN"]
    return deal


async def test_it_is_armed_renewed_at_a_third_and_disarmed_after(tmp_path: Path) -> None:
    deal = await working(tmp_path)
    switch = dead_man(deal)
    await switch.look()
    assert deal.venue.armed == [(BTC, 60_000)]
    deal.clock.advance(19.9)
    await switch.look()
    assert len(deal.venue.armed) == 1
    deal.clock.advance(0.2)
    await switch.look()
    assert deal.venue.armed == [(BTC, 60_000)] * 2
    # A renewal is no change.
    assert told(deal) == [(BTC, 60_000, "ACKED")]
    client_id = deal.venue.submitted[0]
    deal.venue.orders[client_id] = msgspec.structs.replace(
        deal.venue.orders[client_id], state=LegState.CANCELED
    )
    await deal.trading.reconcile()
    deal.clock.advance(20)
    await switch.look()
    await switch.look()
    assert deal.venue.armed[2:] == [(BTC, 0)]
    assert told(deal)[1:] == [(BTC, 0, "ACKED")]
    assert switch.armed == frozenset()


async def test_nothing_is_asked_without_working_orders_or_when_it_is_off(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.deal(REDUCE_BTC)
    await dead_man(deal).look()
    assert deal.venue.armed == []
    resting = await working(tmp_path / "other")
    off = dead_man(resting, 0.0)
    await off.look()
    await off.clear((BTC,))
    assert resting.venue.armed == []


async def test_it_is_never_armed_where_a_stop_waits(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("fill", "rest"), settings=stopping())
    await deal.deal(REDUCE_BTC)
    deal.clock.advance(61)
    deal.venue.script = ["rest"]
    await deal.deal(ADD_ETH)
    switch = dead_man(deal)
    # Its stop waits for the order to end for as long as it is confirmed, and may come to rest.
    await switch.look()
    assert switch.armed == frozenset()
    deal.clock.advance(deal.settings.confirmation.expiry_s)
    await deal.trading.reconcile()
    await switch.look()
    assert switch.armed == {ETH}
    # A stop that comes to wait there disarms it.
    deal.venue.script = ["fill", "rest"]
    again = Deal(tmp_path / "second", ("rest",), settings=stopping())
    await again.deal(REDUCE_BTC)
    again.clock.advance(again.settings.confirmation.expiry_s)
    await again.trading.reconcile()
    other = dead_man(again)
    await other.look()
    assert other.armed == {BTC}
    await other.clear((BTC, ETH))
    assert other.armed == frozenset()
    assert again.venue.armed[-2:] == [(BTC, 0), (ETH, 0)]


async def test_a_countdown_of_an_earlier_process_is_stopped_before_a_stop(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    switch = dead_man(deal)
    await switch.clear((BTC,))
    await switch.clear((BTC,))
    assert deal.venue.armed == [(BTC, 0)]
    deal.clock.advance(60)
    await switch.clear((ETH,))
    assert deal.venue.armed == [(BTC, 0)]


async def test_a_request_that_may_be_lost_is_told_and_made_again(tmp_path: Path) -> None:
    deal = await working(tmp_path)
    deal.venue.armed_script = [LegState.UNKNOWN, LegState.ACKED, LegState.UNKNOWN]
    switch = dead_man(deal)
    await switch.look()
    assert switch.armed == {BTC}
    deal.clock.advance(20)
    await switch.look()
    assert told(deal) == [(BTC, 60_000, "UNKNOWN"), (BTC, 60_000, "ACKED")]
    await switch.clear((BTC,))
    assert switch.armed == {BTC}
    await switch.clear((BTC,))
    assert switch.armed == frozenset()
    assert deal.venue.armed == [(BTC, 60_000)] * 2 + [(BTC, 0)] * 2


async def test_a_request_that_was_interrupted_is_told_as_one_that_may_run(tmp_path: Path) -> None:
    deal = await working(tmp_path)
    deal.venue.armed_script = [LegState.SENDING]
    looking = asyncio.create_task(dead_man(deal).look())
    await deal.venue.hanging.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert told(deal) == [(BTC, 60_000, "UNKNOWN")]


async def test_the_watch_of_a_desk_keeps_it(tmp_path: Path) -> None:
    deal = await working(tmp_path)
    await deal.trading.start()
    for _ in range(50):
        await deal.pause(0)
    await deal.trading.stop()
    assert deal.venue.armed[0] == (BTC, 60_000)


async def test_a_desk_that_records_nothing_lets_the_countdown_run_out(tmp_path: Path) -> None:
    deal = await working(tmp_path)
    switch = dead_man(deal)
    await switch.look()
    (tmp_path / "journal.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(JournalError):
        deal.journal.append(Alarm("test", "test", "the journal was moved away"))
    deal.clock.advance(30)
    await switch.look()
    assert deal.venue.armed == [(BTC, 60_000)]


async def test_a_ticket_with_a_stop_clears_the_way_first(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=stopping())
    await deal.deal(REDUCE_BTC)
    assert deal.venue.armed == [(BTC, 0)]
    kinds = [kind for kind in deal.kinds() if kind in {"DEADMAN", "SENDING"}]
    assert kinds == ["DEADMAN", "SENDING", "SENDING"]
