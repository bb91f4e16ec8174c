"""Reconcile: what is learned, what proves nothing, what is EXTERNAL and what is an ALARM."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.reconciler import Findings, Reconciler
from perptui.journal.events import Baseline, LegOutcome, LegSending, TicketConfirmed
from perptui.journal.queries import LegRow
from perptui.model.order import Fill, LegState, OrderReport, Side
from tests.desk.dealing import ALICE, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.market import BTC, ETH, VENUE

pytestmark = pytest.mark.asyncio
replace = msgspec.structs.replace


async def started(folder: Path, script: tuple[str, ...] = ()) -> Deal:
    """A desk that is reconciled."""
    deal = Deal(folder, script)
    assert (await deal.trading.reconcile()).clean
    return deal


async def sent(deal: Deal, state: LegState = LegState.UNKNOWN) -> str:
    """A leg of BTC that ended as `state`, without asking the venue; return its client id."""
    view = await deal.open(REDUCE_BTC)
    deal.journal.append(TicketConfirmed(view.id, view.token, 80, 24), actor=ALICE)
    leg = deal.journal.ticket(view.id).legs[0]
    deal.journal.append(LegSending(leg.client_id, 1, leg.intent.notional_usd, "alice"))
    if state is not LegState.SENDING:
        deal.journal.append(LegOutcome(leg.client_id, state))
    return leg.client_id


def leg_of(deal: Deal, client_id: str) -> LegRow:
    leg = deal.journal.leg(client_id)
    assert leg is not None
    return leg


def told(deal: Deal, kind: str) -> list[str]:
    return [
        event.body.get("text") or str(event.body) for event in deal.events() if event.kind == kind
    ]


async def test_the_first_sight_is_the_baseline_and_only_the_first(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    await deal.trading.reconcile()
    baselines = [event for event in deal.events() if event.kind == "BASELINE"]
    assert len(baselines) == 1
    assert baselines[0].record() == Baseline(VENUE, {BTC: Decimal("0.4"), ETH: Decimal(-6)})
    assert deal.journal.positions() == deal.venue.positions


async def test_a_clean_verdict_is_journalled_once(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    for _ in range(3):
        await deal.trading.reconcile()
    assert deal.kinds().count("RECONCILED") == 1
    deal.venue.down = {"account"}
    findings = await deal.trading.reconcile()
    assert not findings.answered
    assert deal.kinds().count("RECONCILED") == 2


@pytest.mark.parametrize("state", [LegState.SENDING, LegState.UNKNOWN, LegState.ACKED])
async def test_an_order_the_venue_has_is_learned_with_its_fills(
    tmp_path: Path, state: LegState
) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal, state)
    deal.venue.accept(REDUCE_BTC, client_id, "half")
    findings = await deal.trading.reconcile()
    leg = leg_of(deal, client_id)
    assert (leg.state, leg.filled, leg.executed) == (
        LegState.EXPIRED,
        Decimal("0.1"),
        Decimal("0.1"),
    )
    assert leg.settled
    assert findings.clean
    assert deal.journal.positions() == deal.venue.positions
    assert deal.trading.journal_view.tickets[0].state == "DONE"


async def test_a_leg_found_sending_is_unknown_first(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal, LegState.SENDING)
    findings = await deal.trading.reconcile()
    leg = leg_of(deal, client_id)
    assert (leg.state, leg.code) == (LegState.UNKNOWN, "found_sending")
    assert not findings.clean
    assert deal.trading.unknown_legs == 1


async def test_never_accepted_takes_time_and_three_answers(tmp_path: Path) -> None:
    """3 not-founds at least 2 s apart, each at server time > sent + 5 s + 30 s."""
    deal = await started(tmp_path)
    client_id = await sent(deal)
    for seconds in (17.5, 17.5, 0.1, 1.9, 0.1, 1.9):
        deal.clock.advance(seconds)
        await deal.trading.reconcile()
        assert leg_of(deal, client_id).state is LegState.UNKNOWN
    deal.clock.advance(0.2)
    findings = await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.NEVER_ACCEPTED
    assert findings.clean


async def test_one_answer_of_a_venue_that_came_back_empty_proves_nothing(tmp_path: Path) -> None:
    """An order that was late: not found before it came, then while the venue's list was empty."""
    deal = await started(tmp_path)
    client_id = await sent(deal)
    for _ in range(5):
        deal.clock.advance(3)
        await deal.trading.reconcile()
    deal.clock.advance(30)
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    deal.venue.accept(REDUCE_BTC, client_id, "expire")
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.EXPIRED


async def test_three_answers_too_early_prove_nothing(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    for _ in range(9):
        await deal.trading.reconcile()
        deal.clock.advance(3)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN


@pytest.mark.parametrize("call", ["order", "fills", "account", "open_orders", "server_time"])
async def test_failed_queries_count_for_nothing(tmp_path: Path, call: str) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.down = {call}
    for _ in range(5):
        findings = await deal.trading.reconcile()
        assert not findings.answered
        deal.clock.advance(10)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN


async def test_a_position_that_disagrees_keeps_the_leg_unknown(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.positions[BTC] = Decimal("0.2")
    for _ in range(5):
        findings = await deal.trading.reconcile()
        deal.clock.advance(20)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    assert not findings.clean
    assert told(deal, "EXTERNAL") == []
    deal.venue.positions[BTC] = Decimal("0.4")
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.NEVER_ACCEPTED


async def passes(deal: Deal, count: int) -> None:
    """Reconcile every few seconds, long past the time in which an order could be accepted."""
    reconciler = Reconciler(deal.journal, {VENUE: deal.venue}, deal.pause)
    for _ in range(count):
        await reconciler.run()
        deal.clock.advance(5)


async def test_a_position_that_a_lost_order_cannot_have_moved_was_moved_outside(
    tmp_path: Path,
) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.positions[BTC] = Decimal("0.5")  # the order was a sale of 0.2
    await passes(deal, 9)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    await passes(deal, 11)
    assert leg_of(deal, client_id).state is LegState.NEVER_ACCEPTED
    assert told(deal, "EXTERNAL") == [f"{BTC} changed outside from 0.4 to 0.5"]


@pytest.mark.parametrize("held", ["0.3", "0.2", "0.199", "-0.1"])
async def test_a_position_that_moved_as_a_lost_order_would_is_for_a_person(
    tmp_path: Path, held: str
) -> None:
    """A sale of 0.2 from 0.4: what went beyond it may have been another hand besides."""
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.positions[BTC] = Decimal(held)
    await passes(deal, 15)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    assert told(deal, "EXTERNAL") == []
    (text,) = told(deal, "ALARM")
    assert text.endswith(
        "its position moved as if it were: ask the venue, then `:settle T1.1 REASON`"
    )


async def test_after_three_days_a_person_must_decide(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.clock.advance(3 * 86400 + 1)
    for _ in range(4):
        await deal.trading.reconcile()
        deal.clock.advance(5)
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    assert len(told(deal, "ALARM")) == 1


@pytest.mark.parametrize("state", [LegState.REJECTED, LegState.NOT_SENT])
async def test_a_late_fill_is_an_alarm_and_kept(tmp_path: Path, state: LegState) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal, state)
    await deal.trading.reconcile()
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    findings = await deal.trading.reconcile()
    leg = leg_of(deal, client_id)
    assert (leg.state, leg.executed) == (state, Decimal("0.2"))
    assert len(told(deal, "ALARM")) == 1
    assert f"is {state} and has a fill" in told(deal, "ALARM")[0]
    assert deal.journal.positions() == deal.venue.positions
    assert not findings.external


async def test_a_fill_after_never_accepted_is_an_alarm_and_kept(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    for _ in range(4):
        deal.clock.advance(20)
        await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.NEVER_ACCEPTED
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    await deal.trading.reconcile()
    assert len(told(deal, "ALARM")) == 1
    assert leg_of(deal, client_id).executed == Decimal("0.2")
    assert deal.journal.positions() == deal.venue.positions


async def test_a_position_changed_outside_is_external_and_voids(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    await deal.open(REDUCE_BTC)
    deal.venue.positions[ETH] = Decimal(-7)
    findings = await deal.trading.reconcile()
    assert findings.external
    assert findings.clean
    assert told(deal, "EXTERNAL") == [f"{ETH} changed outside from -6 to -7"]
    assert deal.trading.ticket_view.phase == "void"
    assert deal.journal.positions() == deal.venue.positions


async def test_a_difference_that_goes_away_at_the_second_look_is_none(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    deal.venue.positions[ETH] = Decimal(-7)

    async def back(_: float) -> None:
        deal.venue.positions[ETH] = Decimal(-6)

    findings = await Reconciler(deal.journal, {VENUE: deal.venue}, back).run()
    assert findings == Findings(clean=True, reasons=(), external=False, answered=True)
    assert told(deal, "EXTERNAL") == []


def foreign(client_id: str) -> OrderReport:
    return OrderReport(
        id=BTC,
        client_id=client_id,
        venue_order_id="991",
        state=LegState.OPEN,
        side=Side.BUY,
        contracts=Decimal(1),
        filled=Decimal(0),
        average_price=None,
        ts_ms=1,
    )


async def test_orders_of_others_are_external_and_of_our_prefix_an_alarm(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    deal.venue.foreign = [foreign("web_77")]
    await deal.trading.reconcile()
    await deal.trading.reconcile()
    assert told(deal, "EXTERNAL") == [f"order 991 of {BTC} was placed outside"]
    deal.venue.foreign = [foreign("pt0123")]
    await deal.trading.reconcile()
    await deal.trading.reconcile()
    assert told(deal, "ALARM") == [f"order pt0123 of {BTC} is ours and not in the journal"]


async def test_fills_are_taken_once_however_often_they_come(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "rest")
    deal.venue.trade(report, Decimal("0.1"), Decimal(97400))
    deal.venue.trades.append(deal.venue.trades[0])
    deal.venue.orders[client_id] = replace(report, state=LegState.PARTIAL, filled=Decimal("0.1"))
    for _ in range(2):
        await deal.trading.reconcile()
    leg = leg_of(deal, client_id)
    assert (leg.state, leg.executed) == (LegState.PARTIAL, Decimal("0.1"))
    assert deal.trading.working_orders == 1
    deal.venue.trade(report, Decimal("0.1"), Decimal(97300))
    deal.venue.orders[client_id] = replace(report, state=LegState.FILLED, filled=Decimal("0.2"))
    assert (await deal.trading.reconcile()).clean
    assert leg_of(deal, client_id).settled
    assert told(deal, "ALARM") == []


async def test_a_trade_id_with_other_content_is_an_alarm(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "rest")
    deal.venue.trade(report, Decimal("0.1"), Decimal(97400))
    deal.venue.orders[client_id] = replace(report, state=LegState.PARTIAL, filled=Decimal("0.1"))
    await deal.trading.reconcile()
    deal.venue.trades[0] = replace(deal.venue.trades[0], price=Decimal(1))
    await deal.trading.reconcile()
    await deal.trading.reconcile()
    assert told(deal, "ALARM") == [f"trade id 1 of {BTC} came twice with other content"]
    assert leg_of(deal, client_id).executed == Decimal("0.1")


async def test_more_fills_than_the_leg_are_an_alarm_and_kept(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "fill")
    deal.venue.trade(report, Decimal("0.1"), Decimal(97400))
    await deal.trading.reconcile()
    assert len(told(deal, "ALARM")) == 1
    assert "fills beyond it" in told(deal, "ALARM")[0]
    assert deal.journal.positions() == deal.venue.positions


async def test_a_fill_beyond_what_an_ended_order_reported_is_an_alarm_and_kept(
    tmp_path: Path,
) -> None:
    """The venue said that it had expired with a half of it, and executes the rest all the same."""
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "half")
    assert (await deal.trading.reconcile()).clean
    assert leg_of(deal, client_id).state is LegState.EXPIRED
    deal.venue.trade(report, Decimal("0.1"), Decimal(97400))
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).executed == Decimal("0.2")
    assert told(deal, "ALARM") == [
        f"leg {client_id} is EXPIRED with 0.1 filled and has a fill of 0.1"
    ]
    assert told(deal, "EXTERNAL") == []
    assert deal.journal.positions() == deal.venue.positions


async def test_a_report_that_cannot_be_is_an_alarm_and_changes_nothing(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "expire")
    deal.venue.orders[client_id] = replace(report, filled=Decimal(9))
    findings = await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.UNKNOWN
    assert not findings.clean
    assert len(told(deal, "ALARM")) == 1


async def test_an_order_the_venue_calls_rejected_after_the_fact_ended_unfilled(
    tmp_path: Path,
) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    report = deal.venue.accept(REDUCE_BTC, client_id, "expire")
    deal.venue.orders[client_id] = replace(report, state=LegState.REJECTED)
    assert (await deal.trading.reconcile()).clean
    assert leg_of(deal, client_id).state is LegState.CANCELED


async def test_fills_that_name_their_client_id_need_no_order_id(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    named = replace(deal.venue.trades[0], client_id=client_id, venue_order_id="other")
    stranger = replace(named, trade_id="7", client_id="pt77")
    other = replace(named, trade_id="8", client_id="web", contracts=Decimal(5))
    deal.venue.trades = [named, stranger, other]
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).executed == Decimal("0.2")
    assert told(deal, "ALARM") == [f"trade 7 of {BTC} is ours and not in the journal"]


async def test_an_order_that_rested_and_is_gone_keeps_its_state(tmp_path: Path) -> None:
    """A venue that was restarted may know no orders for a while."""
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.accept(REDUCE_BTC, client_id, "rest")
    await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.OPEN
    del deal.venue.orders[client_id]
    for _ in range(5):
        deal.clock.advance(20)
        findings = await deal.trading.reconcile()
    assert leg_of(deal, client_id).state is LegState.OPEN
    assert not findings.clean


async def test_fills_that_are_not_here_yet_keep_the_ticket_open(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    client_id = await sent(deal)
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    trades: list[Fill] = deal.venue.trades
    deal.venue.trades = []
    findings = await deal.trading.reconcile()
    leg = leg_of(deal, client_id)
    assert (leg.state, leg.settled) == (LegState.FILLED, False)
    assert not findings.clean
    assert told(deal, "EXTERNAL") == []
    deal.venue.trades = trades
    assert (await deal.trading.reconcile()).clean
    assert leg_of(deal, client_id).settled


async def test_two_legs_on_two_symbols_end_apart(tmp_path: Path) -> None:
    deal = await started(tmp_path, ("lost",))
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["UNKNOWN", "NOT_SENT"]
    assert deal.trading.ticket_view.phase == "sending"
    for _ in range(4):
        deal.clock.advance(20)
        await deal.trading.reconcile()
    assert deal.states() == ["NEVER_ACCEPTED", "NOT_SENT"]
    assert deal.trading.ticket_view.phase == "done"


async def test_legs_of_a_venue_that_is_not_configured_keep_sending_locked(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    await sent(deal)
    findings = await Reconciler(deal.journal, {}, deal.pause).run()
    assert not findings.clean
    assert not findings.answered
    assert findings.reasons == (
        f"{VENUE}: expected it in the configuration, was absent with 1 unsettled leg; "
        f"add [venues.{VENUE}] again until they are settled",
    )
    kept = [event for event in deal.events() if event.kind == "RECONCILED"][-1]
    assert kept.body == {"clean": False, "reasons": list(findings.reasons)}


async def test_a_venue_whose_legs_are_settled_may_be_taken_out(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["FILLED"]
    findings = await Reconciler(deal.journal, {}, deal.pause).run()
    assert findings == Findings(clean=True, reasons=(), external=False)
