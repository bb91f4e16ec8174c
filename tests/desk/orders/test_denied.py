"""Orders that a venue said it had not, and has: asked again, told once, cancelled, fills kept.

safety.md: "REJECTED or NEVER_ACCEPTED may still take a late fill: that is an ALARM, and the fill is
kept"; nothing the desk sent may be lost, whatever a venue said of it.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.model.errors import GateRefused, VenueRejected
from perptui.model.order import Fill, LegState, OrderReport
from perptui.venues.base import Reading
from tests.desk.dealing import BOB, REDUCE_BTC, REDUCE_ETH, Deal, order
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import BTC, ETH

pytestmark = pytest.mark.asyncio
MORE_BTC = order(BTC, REDUCE_BTC.side, "0.1", "0.4", reduce_only=True)


async def denied(tmp_path: Path, word: str, answer: str = "reject") -> tuple[Deal, str]:
    """A desk whose order was refused in words and taken in truth, as `word` of `LedgerVenue`."""
    deal = Deal(tmp_path, (answer,))
    await deal.deal(REDUCE_BTC)
    (client_id,) = deal.venue.submitted
    deal.venue.accept(REDUCE_BTC, client_id, word)
    return deal, client_id


def told(deal: Deal, kind: str) -> list[str]:
    return [str(event.body["text"]) for event in deal.events() if event.kind == kind]


def state_of(deal: Deal, client_id: str) -> LegState:
    leg = deal.journal.leg(client_id)
    assert leg is not None
    return leg.state


@pytest.mark.parametrize(
    ("answer", "state"), [("reject", LegState.REJECTED), ("not_sent", LegState.NOT_SENT)]
)
async def test_one_that_works_is_an_alarm_once_and_cancelled(
    tmp_path: Path, answer: str, state: LegState
) -> None:
    deal, client_id = await denied(tmp_path, "rest", answer)
    findings = await deal.trading.reconcile()
    assert not findings.clean
    assert deal.venue.canceled == [client_id]
    assert deal.venue.orders[client_id].state is LegState.CANCELED
    for _ in range(3):
        deal.clock.advance(2)
        findings = await deal.trading.reconcile()
    assert findings.clean
    assert state_of(deal, client_id) is state
    (text,) = told(deal, "ALARM")
    assert f"is {state} and the venue has its order: OPEN with 0 of 0.2 filled" in text
    assert deal.kinds().count("CANCEL") == 1


async def test_one_that_is_over_without_a_fill_is_an_alarm_once(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "expire")
    for _ in range(3):
        assert (await deal.trading.reconcile()).clean
        deal.clock.advance(2)
    (text,) = told(deal, "ALARM")
    assert text.endswith("EXPIRED with 0 of 0.2 filled; it is over")
    assert state_of(deal, client_id) is LegState.REJECTED
    assert not deal.venue.canceled


async def test_a_cancel_that_is_lost_is_tried_again_until_the_order_is_over(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "rest")
    deal.venue.cancel_script = [LegState.UNKNOWN]
    for _ in range(4):
        await deal.trading.reconcile()
        deal.clock.advance(2)
    assert deal.venue.canceled == [client_id, client_id]
    assert deal.venue.orders[client_id].state is LegState.CANCELED


async def test_its_contract_is_locked_while_it_works(tmp_path: Path) -> None:
    deal, _ = await denied(tmp_path, "rest")
    deal.venue.cancel_script = [LegState.UNKNOWN] * 9
    await deal.trading.reconcile()
    with pytest.raises(GateRefused, match="the symbol is locked"):
        await deal.open(MORE_BTC)
    await deal.open(REDUCE_ETH)


async def test_a_fill_that_comes_after_its_report_is_waited_for_and_kept(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "fill")
    late = deal.venue.trades.pop()
    for _ in range(2):
        findings = await deal.trading.reconcile()
        assert not findings.clean
        deal.clock.advance(2)
    assert not told(deal, "EXTERNAL")
    deal.venue.trades.append(late)
    assert (await deal.trading.reconcile()).clean
    leg = deal.journal.leg(client_id)
    assert leg is not None
    assert (leg.state, leg.executed) == (LegState.REJECTED, Decimal("0.2"))
    assert deal.journal.positions() == deal.venue.positions
    assert not told(deal, "EXTERNAL")
    (text,) = told(deal, "ALARM")
    assert text.endswith("is REJECTED and has a fill of 0.2")


async def test_fills_of_an_order_that_the_venue_forgot_are_not_waited_for_for_ever(
    tmp_path: Path,
) -> None:
    deal, client_id = await denied(tmp_path, "expire")
    report = msgspec.structs.replace(deal.venue.orders[client_id], filled=Decimal("0.1"))
    deal.venue.orders[client_id] = report
    assert not (await deal.trading.reconcile()).clean
    del deal.venue.orders[client_id]
    deal.clock.advance(30)
    assert not (await deal.trading.reconcile()).clean
    deal.clock.advance(601)
    assert (await deal.trading.reconcile()).clean


async def test_a_restart_asks_again(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "rest")
    deal.journal.close()
    deal.clock.advance(600)
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    await again.trading.reconcile()
    assert deal.venue.canceled == [client_id]


async def test_it_is_found_in_the_list_of_open_orders_whenever_that_is(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "lost")
    del deal.venue.orders[client_id]
    deal.clock.advance(7200)
    await deal.trading.reconcile()
    deal.venue.accept(REDUCE_BTC, client_id, "rest")
    await deal.trading.reconcile()
    assert deal.venue.canceled == [client_id]
    assert len(told(deal, "ALARM")) == 1


async def test_what_the_venue_keeps_as_rejected_is_no_alarm(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "expire")
    kept = msgspec.structs.replace(deal.venue.orders[client_id], state=LegState.REJECTED)
    deal.venue.orders[client_id] = kept
    assert (await deal.trading.reconcile()).clean
    assert not told(deal, "ALARM")


async def test_a_reused_trade_id_of_one_is_an_alarm_beside_that_of_its_first_fill(
    tmp_path: Path,
) -> None:
    """What is under it cannot be told, so that it is for a person: nothing of it is guessed."""
    deal, client_id = await denied(tmp_path, "fill")
    (trade,) = deal.venue.trades
    part = msgspec.structs.replace(trade, contracts=Decimal("0.15"))
    rest = msgspec.structs.replace(trade, contracts=Decimal("0.05"), price=Decimal(97_000))
    deal.venue.trades = [part, rest]
    for _ in range(3):
        assert not (await deal.trading.reconcile()).clean
        deal.clock.advance(2)
    assert told(deal, "ALARM") == [
        f"leg {client_id} is REJECTED and has a fill of 0.15",
        f"trade id 1 of {BTC} came twice with other content",
    ]
    assert not told(deal, "EXTERNAL")


class Unasked(LedgerVenue):
    """Refuses questions about orders by name, as for a contract that it does not list."""

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        raise VenueRejected(f"expected a contract, was {identifier} {client_id}", "-1121")


async def test_a_venue_that_refuses_the_question_keeps_nothing_locked(tmp_path: Path) -> None:
    first = Deal(tmp_path)
    venue = Unasked(first.clock, ("reject",))
    deal = Deal(tmp_path, venue=venue, clock=first.clock, journal=first.journal)
    await deal.deal(REDUCE_BTC)
    findings = await deal.trading.reconcile()
    assert findings.clean
    assert findings.answered


async def forgetful(tmp_path: Path) -> tuple[Deal, str, Fill, OrderReport]:
    """A venue that refused an order, filled it, and knows of neither order nor trade for a while.

    The desk has taken the change of the position for another hand's.
    """
    deal, client_id = await denied(tmp_path, "fill")
    trade, report = deal.venue.trades.pop(), deal.venue.orders.pop(client_id)
    assert (await deal.trading.reconcile()).external
    assert told(deal, "EXTERNAL") == [f"{BTC} changed outside from 0.4 to 0.2"]
    deal.clock.advance(200)
    await deal.trading.reconcile()
    return deal, client_id, trade, report


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_trade_that_was_taken_for_another_hands_is_set_right(
    tmp_path: Path, *, restarted: bool
) -> None:
    deal, client_id, trade, report = await forgetful(tmp_path)
    if restarted:
        deal.journal.close()
        deal = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    deal.venue.trades.append(trade)
    deal.venue.orders[client_id] = report
    await deal.trading.reconcile()
    leg = deal.journal.leg(client_id)
    assert leg is not None
    assert leg.executed == Decimal("0.2")
    assert deal.journal.positions() == deal.venue.positions
    assert told(deal, "EXTERNAL")[1:] == [
        f"a trade of ours, -0.2 of {BTC}, had been taken for a change outside: "
        "set right from 0 to 0.2"
    ]
    assert told(deal, "ALARM") == [f"leg {client_id} is REJECTED and has a fill of 0.2"]
    # Together the two say that no other hand did anything: nothing is counted twice.
    moves = [event.body for event in deal.events() if event.kind == "EXTERNAL"]
    assert sum(Decimal(one["after"]) - Decimal(one["before"]) for one in moves) == 0
    deal.clock.advance(30)
    findings = await deal.trading.reconcile()
    assert findings.clean
    assert not findings.external
    assert len(told(deal, "EXTERNAL")) == 2


async def test_a_trade_that_names_its_client_id_needs_no_order(tmp_path: Path) -> None:
    deal, client_id, trade, _ = await forgetful(tmp_path)
    deal.venue.trades.append(msgspec.structs.replace(trade, client_id=client_id))
    await deal.trading.reconcile()
    assert deal.journal.positions() == deal.venue.positions
    assert len(told(deal, "ALARM")) == 1


async def test_both_another_hand_and_a_late_trade_are_told_apart(tmp_path: Path) -> None:
    deal, client_id, trade, report = await forgetful(tmp_path)
    deal.venue.trades.append(trade)
    deal.venue.orders[client_id] = report
    deal.venue.positions[BTC] = Decimal("0.5")
    await deal.trading.reconcile()
    assert deal.journal.positions() == deal.venue.positions
    assert told(deal, "EXTERNAL")[1] == f"{BTC} changed outside from 0 to 0.5"


async def test_only_contracts_where_ours_were_sent_are_read_again(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    deal.venue.positions[ETH] = Decimal(-7)
    assert (await deal.trading.reconcile()).external
    deal.venue.down = {"fills"}
    assert (await deal.trading.reconcile()).answered


async def halted_without_answers(tmp_path: Path, answer: str = "reject") -> tuple[Deal, str]:
    """A desk that is halted while nothing answers about an order refused in words and working."""
    deal = Deal(tmp_path, (answer,))
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC))
    deal.venue.down = {"order", "open_orders", "fills"}
    await deal.trading.sent()
    (client_id,) = deal.venue.submitted
    deal.venue.accept(REDUCE_BTC, client_id, "rest")
    await deal.trading.kill("stop", BOB)
    return deal, client_id


@pytest.mark.parametrize("answer", ["reject", "not_sent"])
async def test_halted_cancels_one_of_which_no_query_was_answered(
    tmp_path: Path, answer: str
) -> None:
    """safety.md: HALTED cancels; a refusal that lies, unconfirmed, may be an order that works."""
    deal, client_id = await halted_without_answers(tmp_path, answer)
    assert deal.venue.canceled == [client_id]
    assert deal.venue.orders[client_id].state is LegState.CANCELED


async def test_it_is_asked_about_and_cancelled_until_the_venue_answers_of_it(
    tmp_path: Path,
) -> None:
    deal, client_id = await halted_without_answers(tmp_path)
    deal.venue.cancel_script = [LegState.UNKNOWN] * 3
    deal.venue.accept(REDUCE_BTC, client_id, "rest")
    await deal.trading.start()
    for _ in range(600):
        await deal.pause(0.5)
    tried = len(deal.venue.canceled)
    assert tried > 4
    assert deal.venue.orders[client_id].state is LegState.CANCELED
    deal.venue.down = set()
    for _ in range(600):
        await deal.pause(0.5)
    await deal.trading.stop()
    # Five minutes after it was sent it was still asked about; from the answer on it is left.
    assert len(told(deal, "ALARM")) == 1
    assert len(deal.venue.canceled) == tried
    assert state_of(deal, client_id) is LegState.REJECTED


async def test_halted_leaves_alone_what_the_venue_says_it_has_not(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("reject",))
    await deal.deal(REDUCE_BTC)
    await deal.trading.kill("stop", BOB)
    assert not deal.venue.canceled


async def test_halted_leaves_alone_what_the_venue_keeps_as_rejected(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "expire")
    kept = msgspec.structs.replace(deal.venue.orders[client_id], state=LegState.REJECTED)
    deal.venue.orders[client_id] = kept
    deal.journal.close()
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    await again.trading.reconcile()
    await again.trading.kill("stop", BOB)
    assert not deal.venue.canceled


async def test_a_first_look_that_came_to_nothing_is_made_again(tmp_path: Path) -> None:
    deal, client_id = await denied(tmp_path, "rest")
    deal.journal.close()
    deal.clock.advance(600)
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    again.venue.down = {"order"}
    await again.trading.reconcile()
    again.venue.down = set()
    await again.trading.reconcile()
    assert deal.venue.canceled == [client_id]
