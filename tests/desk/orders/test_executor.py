"""Sending: one attempt a leg, SENDING committed first, nothing after a leg that did not end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.executor import Executor
from perptui.journal.events import TicketConfirmed
from perptui.model.order import LegState
from tests.desk.dealing import ADD_ETH, ALICE, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.market import BTC, ETH

pytestmark = pytest.mark.asyncio


async def test_every_leg_is_filled_once_and_positions_agree(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    view = await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert view.phase == "done"
    assert [leg.state for leg in view.legs] == ["FILLED", "FILLED"]
    assert len(deal.venue.submitted) == len(set(deal.venue.submitted)) == 2
    assert deal.journal.positions() == deal.venue.positions
    assert deal.journal.positions()[BTC] == REDUCE_BTC.after
    assert deal.journal.day_notional_usd() == REDUCE_BTC.notional_usd + REDUCE_ETH.notional_usd


async def test_sending_is_in_the_journal_before_the_venue_is_asked(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    seen: list[str] = []

    def looking(client_id: str) -> None:
        leg = deal.journal.leg(client_id)
        assert leg is not None
        seen.append(leg.state.value)

    deal.venue.before = looking
    await deal.deal(REDUCE_BTC)
    assert seen == ["SENDING"]


@pytest.mark.parametrize(
    ("word", "first"),
    [("reject", "REJECTED"), ("not_sent", "NOT_SENT"), ("rest", "OPEN")],
)
async def test_a_leg_that_does_not_end_stops_the_rest(
    tmp_path: Path, word: str, first: str
) -> None:
    deal = Deal(tmp_path, (word,))
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == [first, "NOT_SENT"]
    assert len(deal.venue.submitted) == 1
    rest = deal.journal.legs("T1")[1]
    assert (rest.code, rest.note) == ("stopped", f"leg 1 is {first}")


async def test_unknown_stops_the_rest_and_is_resolved_by_asking(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("blind",))
    view = await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert view.phase == "done"
    assert deal.journal.positions() == deal.venue.positions
    assert [e.body["state"] for e in deal.events() if e.kind == "OUTCOME"] == [
        "UNKNOWN",
        "NOT_SENT",
    ]


@pytest.mark.parametrize(("word", "state"), [("half", "EXPIRED"), ("expire", "EXPIRED")])
async def test_a_remainder_that_expires_lets_the_next_leg_go(
    tmp_path: Path, word: str, state: str
) -> None:
    deal = Deal(tmp_path, (word, "fill"))
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == [state, "FILLED"]
    filled = deal.journal.legs("T1")[0].filled
    assert filled == (REDUCE_BTC.contracts / 2 if word == "half" else 0)
    assert deal.journal.positions() == deal.venue.positions


async def test_a_bare_acknowledgement_is_followed_by_a_question(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("ack", "fill"))
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == ["FILLED", "FILLED"]
    moved = [event for event in deal.events() if event.kind == "MOVED"]
    assert [event.body["evidence"] for event in moved] == ["order query", "acknowledgement"]


async def test_a_question_that_fails_leaves_the_leg_acknowledged(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("ack", "fill"))
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    deal.venue.down = {"order"}
    await deal.trading.sent()
    assert deal.states() == ["ACKED", "NOT_SENT"]
    deal.venue.down = set()
    await deal.trading.reconcile()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.trading.ticket_view.phase == "done"


async def test_legs_that_only_reduce_go_first(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.deal(ADD_ETH, REDUCE_BTC)
    legs = deal.journal.legs("T1")
    assert [leg.instrument for leg in legs] == [BTC, ETH]
    assert deal.venue.submitted == [leg.client_id for leg in legs]


async def test_an_interrupted_call_is_recorded_as_unknown(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("hang",))
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC))
    await asyncio.wait_for(deal.venue.hanging.wait(), 5)
    assert [leg.state for leg in deal.journal.unknown_legs()] == [LegState.SENDING]
    for task in asyncio.all_tasks():
        if task.get_name() == "sending":
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    leg = deal.journal.unknown_legs()[0]
    assert (leg.state, leg.code) == (LegState.UNKNOWN, "interrupted")


async def test_the_kill_switch_is_obeyed_between_legs(tmp_path: Path) -> None:
    deal = Deal(tmp_path)

    async def killing(_: str) -> None:
        await deal.trading.kill("stop", ALICE)

    deal.venue.after = killing
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].code == "gate:kill"
    assert "HALTED" in deal.trading.sends_locked


async def test_messages_are_paced_under_the_throttle(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    sent: list[float] = []
    deal.venue.before = lambda _: sent.append(deal.clock.monotonic())
    slow = msgspec.structs.replace(deal.settings.limits, messages_per_second=1)
    venues = {deal.venue.name: deal.venue}
    executor = Executor(deal.journal, venues, deal.clock, slow, pause=deal.pause)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC, REDUCE_ETH)
    deal.journal.append(TicketConfirmed(view.id, view.token, 80, 24))
    await executor.send(deal.journal.ticket(view.id), ALICE, lambda _: (), lambda: None)
    assert len(sent) == 2
    assert sent[1] - sent[0] >= 1.0


async def test_messages_are_paced_by_what_an_earlier_process_sent(tmp_path: Path) -> None:
    """The journal is what is counted: an executor that knows nothing waits all the same."""
    deal = Deal(tmp_path)
    await deal.deal(REDUCE_BTC)
    await deal.trading.reconcile()
    sent: list[float] = []
    deal.venue.before = lambda _: sent.append(deal.clock.monotonic())
    slow = msgspec.structs.replace(deal.settings.limits, messages_per_second=1)
    again = Executor(
        deal.journal, {deal.venue.name: deal.venue}, deal.clock, slow, pause=deal.pause
    )
    view = await deal.open(REDUCE_ETH)
    deal.journal.append(TicketConfirmed(view.id, view.token, 80, 24))
    first_ms = deal.journal.sent_since(0)[0].sent_ms
    await again.send(deal.journal.ticket(view.id), ALICE, lambda _: (), lambda: None)
    second_ms = deal.journal.sent_since(0)[1].sent_ms
    assert first_ms is not None
    assert second_ms is not None
    assert second_ms - first_ms >= 1000
