"""Venues that orders are held back from: a refused key until a person, a shut door for a while.

safety.md, order outcomes: "-2015 key: REJECTED, venue halted"; "403 WAF page: UNKNOWN, breaker".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perptui.desk.orders.dead_man import DeadMan
from perptui.desk.orders.holds import REST_MS, Holds
from perptui.journal.events import Actor, Body, LegOutcome
from perptui.journal.journal import Journal
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused
from perptui.model.order import Consequence, LegState, OrderIntent, Outcome
from perptui.settings.paths import KILL_FILE
from tests.desk.dealing import ALICE, DESK, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import NOW_MS, VENUE

pytestmark = pytest.mark.asyncio

KEY = Outcome(
    LegState.REJECTED, "-2015", "key, address or permission", consequence=Consequence.HALT
)
DOOR = Outcome(LegState.UNKNOWN, "403", "HTTP 403", consequence=Consequence.BREAK)
RELEASE = "perptui kill --release"


class Answering(LedgerVenue):
    """Answers orders, cancels and countdowns as told, and takes none of them."""

    def __init__(self, clock: ManualClock, *answers: Outcome) -> None:
        super().__init__(clock)
        self.answers = list(answers)
        self.of_cancels: list[Outcome] = []
        self.of_countdowns: list[Outcome] = []

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        if not self.answers:
            return await super().submit(intent, client_id)
        self.submitted.append(client_id)
        return self.answers.pop(0)

    async def arm_dead_man(self, identifier: str, countdown_ms: int) -> Outcome:
        if not self.of_countdowns:
            return await super().arm_dead_man(identifier, countdown_ms)
        return self.of_countdowns.pop(0)

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        if not self.of_cancels:
            return await super().cancel(identifier, client_id)
        self.canceled.append(client_id)
        return self.of_cancels.pop(0)


def answered(folder: Path, *answers: Outcome) -> Deal:
    clock = ManualClock(NOW_MS)
    return Deal(folder, venue=Answering(clock, *answers), clock=clock)


def again(folder: Path, deal: Deal) -> Deal:
    """The same desk after a restart."""
    deal.journal.close()
    return Deal(folder, venue=deal.venue, clock=deal.clock)


async def refused(deal: Deal, *orders: OrderIntent) -> GateRefused:
    with pytest.raises(GateRefused) as found:
        await deal.open(*orders)
    return found.value


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_refused_key_halts_the_venue_until_a_person_lets_it(
    tmp_path: Path, *, restarted: bool
) -> None:
    deal = answered(tmp_path, KEY)
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    assert deal.states() == ["REJECTED", "NOT_SENT"]
    if restarted:
        deal = again(tmp_path, deal)
    deal.clock.advance(3 * 86_400)
    await deal.trading.reconcile()
    why = await refused(deal, REDUCE_ETH)
    assert why.reason == "venue_halted"
    assert "refused our key (-2015" in str(why)
    assert RELEASE in str(why)
    assert RELEASE in deal.trading.sends_locked
    assert len(deal.venue.submitted) == 1
    await deal.trading.kill("the key is another one now", ALICE, "ACTIVE")
    assert deal.trading.sends_locked == ""
    held = [event for event in deal.events() if event.kind == "HELD"]
    assert [event.body["state"] for event in held] == ["HALTED", "FREE"]
    assert (held[1].actor.name, held[1].body["text"]) == ("alice", "the key is another one now")
    await deal.deal(REDUCE_ETH)
    assert deal.states() == ["FILLED"]


async def test_of_a_ticket_that_goes_on_nothing_more_goes_to_a_halted_venue(tmp_path: Path) -> None:
    deal = answered(tmp_path)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC, REDUCE_ETH)

    def struck(_: str) -> None:
        deal.journal.append(*Holds(deal.journal, deal.clock).asked_by(VENUE, KEY))

    deal.venue.before = struck
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].code == "gate:venue_halted"


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_shut_door_is_left_alone_for_a_while(tmp_path: Path, *, restarted: bool) -> None:
    deal = answered(tmp_path, DOOR)
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["UNKNOWN"]
    deal.venue.accept(REDUCE_BTC, deal.venue.submitted[0], "expire")
    await deal.trading.reconcile()
    if restarted:
        deal = again(tmp_path, deal)
        await deal.trading.reconcile()
    why = await refused(deal, REDUCE_ETH)
    assert why.reason == "venue_resting"
    assert "no order goes there until 07:21:0" in str(why)
    assert "shut its door" in deal.trading.sends_locked
    deal.clock.advance(REST_MS / 1000)
    assert "shut its door" not in deal.trading.sends_locked
    await deal.deal(REDUCE_ETH)
    assert deal.states() == ["FILLED"]


async def test_a_door_that_shuts_again_rests_anew_and_a_halt_outlasts_it(tmp_path: Path) -> None:
    deal = answered(tmp_path, DOOR)
    await deal.deal(REDUCE_BTC)
    holds = Holds(deal.journal, deal.clock)
    deal.clock.advance(30)
    deal.journal.append(*holds.asked_by(VENUE, DOOR))
    deal.clock.advance(45)
    assert holds.resting
    deal.journal.append(*holds.asked_by(VENUE, KEY))
    deal.journal.append(*holds.asked_by(VENUE, KEY))
    deal.journal.append(*holds.asked_by(VENUE, DOOR))
    deal.clock.advance(61)
    assert not holds.resting
    assert list(holds.halted) == [VENUE]
    states = [event.body["state"] for event in deal.events() if event.kind == "HELD"]
    assert states == ["RESTING", "RESTING", "HALTED"]


async def test_an_answer_that_is_about_its_order_alone_holds_nothing(tmp_path: Path) -> None:
    deal = answered(tmp_path, Outcome(LegState.REJECTED, "-2019", "margin"))
    await deal.deal(REDUCE_BTC)
    assert "HELD" not in deal.kinds()
    await deal.open(REDUCE_ETH)


async def test_a_cancel_that_meets_a_refused_key_halts_and_cancels_go_on(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    venue = Answering(clock)
    venue.script, venue.of_cancels = ["rest"], [KEY]
    deal = Deal(tmp_path, venue=venue, clock=clock)
    await deal.deal(REDUCE_BTC)
    await deal.trading.cancel_working(ALICE)
    assert RELEASE in deal.trading.sends_locked
    await deal.trading.cancel_working(ALICE)
    assert len(venue.canceled) == 2
    assert deal.states() == ["CANCELED"]


async def test_a_countdown_that_meets_a_shut_door_lets_the_venue_rest(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    venue = Answering(clock)
    venue.script, venue.of_countdowns = ["rest"], [DOOR]
    deal = Deal(tmp_path, venue=venue, clock=clock)
    await deal.deal(REDUCE_BTC)
    await DeadMan(deal.journal, {VENUE: venue}, clock, 30.0).look()
    assert "shut its door" in deal.trading.sends_locked
    assert (await refused(deal, REDUCE_ETH)).reason == "venue_resting"


async def test_releasing_lifts_no_hold_while_the_kill_switch_stays(tmp_path: Path) -> None:
    deal = answered(tmp_path, KEY)
    await deal.deal(REDUCE_BTC)
    deal.journal.path.with_name(KILL_FILE).write_text("smoke")
    with pytest.raises(GateRefused):
        await deal.trading.kill("go on", ALICE, "ACTIVE")
    assert deal.kinds().count("HELD") == 1


class DyingJournal(Journal):
    """Its process dies as soon as the outcome of an order is on disk."""

    def append(self, *bodies: Body, actor: Actor | None = None) -> Any:
        written = super().append(*bodies, actor=actor)
        if any(isinstance(body, LegOutcome) for body in bodies):
            raise RuntimeError("the desk died")
        return written


async def test_a_desk_that_dies_right_after_the_answer_knows_it_all_the_same(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW_MS)
    journal = DyingJournal.open(
        tmp_path / "journal.db", desk="main", account="main", clock=clock, actor=DESK, version="0"
    )
    deal = Deal(tmp_path, venue=Answering(clock, KEY), clock=clock, journal=journal)
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC))
    with pytest.raises(RuntimeError):
        await deal.trading.sent()
    after = again(tmp_path, deal)
    await after.trading.reconcile()
    after.clock.advance(61)
    assert (await refused(after, REDUCE_ETH)).reason == "venue_halted"
