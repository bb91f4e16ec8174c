"""Cancels under HALTED: tried again until the venue says that the order is gone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.canceling import Cancels
from perptui.model.order import LegState
from tests.desk.dealing import ALICE, BOB, REDUCE_BTC, REDUCE_ETH, Deal

pytestmark = pytest.mark.asyncio


async def resting(folder: Path) -> Deal:
    """A desk with one order that works at the venue."""
    deal = Deal(folder, ("rest",))
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == ["OPEN", "NOT_SENT"]
    return deal


@pytest.mark.parametrize("lost", [LegState.NOT_SENT, LegState.UNKNOWN, LegState.REJECTED])
async def test_a_cancel_that_came_to_nothing_is_tried_again(tmp_path: Path, lost: LegState) -> None:
    deal = await resting(tmp_path)
    deal.venue.cancel_script = [lost, lost]
    await deal.trading.kill("stop", BOB)
    assert deal.states()[0] == "OPEN"
    await deal.trading.start()
    for _ in range(80):
        await deal.pause(0.25)
    await deal.trading.stop()
    assert deal.states()[0] == "CANCELED"
    # Two that were lost and one that came through, and none after it.
    assert len(deal.venue.canceled) == 3


async def test_the_waits_between_cancels_double_up_to_a_limit(tmp_path: Path) -> None:
    deal = await resting(tmp_path)
    cancels = Cancels(deal.journal, {deal.venue.name: deal.venue}, deal.clock, deal.settings.limits)
    deal.venue.cancel_script = [LegState.NOT_SENT] * 99
    began, at = deal.clock.monotonic(), []
    while deal.clock.monotonic() - began < 100:
        if cancels.pending and await cancels.send(ALICE, due_only=True):
            at.append(round(deal.clock.monotonic() - began, 3))
        deal.clock.advance(0.5)
    # 1, 2, 4, 8, 16 seconds, then 30 each.
    assert at == [0, 1, 3, 7, 15, 31, 61, 91]
    assert await cancels.send(ALICE, due_only=True) == 0
    assert await cancels.send(ALICE) == 1


async def test_cancels_have_a_budget_of_their_own_and_those_beyond_it_wait(tmp_path: Path) -> None:
    """Two a minute: of sixty tries in a minute two go, whatever orders were sent."""
    deal = await resting(tmp_path)
    few = msgspec.structs.replace(deal.settings.limits, cancels_reserved=2, messages_per_minute=1)
    cancels = Cancels(deal.journal, {deal.venue.name: deal.venue}, deal.clock, few)
    deal.venue.cancel_script = [LegState.NOT_SENT] * 99
    at = []
    for second in range(121):
        if await cancels.send(ALICE):
            at.append(second)
        deal.clock.advance(1)
    assert at == [0, 1, 60, 61, 120]
    deal.clock.advance(30)
    assert cancels.pending


async def test_an_order_of_a_venue_taken_out_of_the_configuration_is_left(tmp_path: Path) -> None:
    deal = await resting(tmp_path)
    cancels = Cancels(deal.journal, {}, deal.clock, deal.settings.limits)
    assert not cancels.pending
    assert await cancels.send(ALICE) == 0
    assert "CANCEL" not in deal.kinds()
    assert deal.states()[0] == "OPEN"
