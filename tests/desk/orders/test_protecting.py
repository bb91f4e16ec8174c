"""Tickets with protective stops on a venue in memory: sent, replaced, triggered, left alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.ticket_text import COLUMNS
from perptui.journal.events import Event
from perptui.journal.queries import LegRow
from perptui.model.order import LegState, Side
from perptui.settings.schema import Settings
from tests.desk.dealing import (
    ADD_ETH,
    ALICE,
    FLIP_ETH,
    REDUCE_BTC,
    REDUCE_ETH,
    Deal,
    order,
    settings_of,
)
from tests.desk.market import BTC, ETH

pytestmark = pytest.mark.asyncio

CLOSE_ETH = order(ETH, Side.BUY, "6", "-6", reduce_only=True)
MORE_ETH = order(ETH, Side.SELL, "0.5", "-6.5")


def stopping(policy: str = "stop") -> Settings:
    """Return the shipped settings with stops at three sigmas, and limits that any book keeps."""
    settings = settings_of()
    limits = msgspec.structs.replace(
        settings.limits, net_max=10.0, coin_net_max=10.0, coin_gross_max=10.0
    )
    confirmation = msgspec.structs.replace(settings.confirmation, on_rejection=policy)
    stops = msgspec.structs.replace(settings.stops, sigmas=3.0)
    return msgspec.structs.replace(settings, stops=stops, confirmation=confirmation, limits=limits)


def deal_of(tmp_path: Path, *script: str, policy: str = "stop") -> Deal:
    return Deal(tmp_path, script, settings=stopping(policy))


def stops_of(deal: Deal) -> list[LegRow]:
    """The stops of the newest ticket."""
    ticket = deal.journal.tickets(1)[0]
    return [leg for leg in deal.journal.legs(ticket.id) if leg.protective]


def texts(deal: Deal, kind: str) -> list[str]:
    return [str(event.body["text"]) for event in deal.events() if event.kind == kind]


def of_kind(deal: Deal, *kinds: str) -> list[Event]:
    return [event for event in deal.events() if event.kind in kinds]


async def test_a_ticket_says_its_stops_in_words_and_binds_them(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC)
    said = " ".join(view.text)
    assert "STOP MARKET sell 0.2 contracts  reduce-only" in said
    # 60 % a year is 3.14 % a day, three of which are 9.42 %: 97,500 less that is 88,313.91.
    assert "until the mark is at or below 88313.9" in said
    assert "9.42% from the mark, 3.0 x 3.14% a day" in said
    promise = "of one whose answer was lost once it is found filled while this confirmation stands"
    assert promise in " ".join(said.split())
    assert "1 order, 19,500.00 USD" in said
    assert "1 protective stop, counted in no total here" in said
    assert all(len(line) <= COLUMNS for line in view.text)
    shown = of_kind(deal, "PROPOSED")[0].body["shown"]
    assert [leg["kind"] for leg in shown["legs"]] == ["LIMIT IOC", "STOP MARKET"]
    assert shown["on_rejection"] == "stop"
    await deal.trading.stop()


async def test_a_stop_follows_its_filled_leg_and_its_ticket_is_done(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    view = await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["FILLED", "OPEN", "FILLED", "OPEN"]
    assert view.phase == "done"
    assert deal.journal.tickets(1)[0].state == "DONE"
    kinds = [deal.venue.stops.get(client_id) is not None for client_id in deal.venue.submitted]
    assert kinds == [False, True, False, True]
    btc = deal.venue.stops[deal.venue.submitted[1]]
    assert (btc.side, btc.contracts, btc.trigger_price) == (
        Side.SELL,
        Decimal("0.2"),
        stops_of(deal)[0].trigger_price,
    )
    assert deal.trading.working_orders == 0
    findings = await deal.trading.reconcile()
    assert findings.clean
    # What was sent today counts trades alone.
    assert deal.journal.day_notional_usd() == Decimal(19_500) + Decimal(1_600)
    assert not of_kind(deal, "ALARM", "EXTERNAL")


async def test_a_ticket_that_stops_still_protects_what_was_filled(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "fill", "reject")
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["FILLED", "OPEN", "REJECTED", "NOT_SENT"]
    assert not of_kind(deal, "ALARM")


async def test_an_unfilled_leg_sends_no_stop(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "expire")
    await deal.deal(ADD_ETH)
    assert deal.states() == ["EXPIRED", "NOT_SENT"]
    assert not of_kind(deal, "ALARM")


async def test_half_a_fill_is_protected_by_the_stop_as_confirmed(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "half")
    await deal.deal(ADD_ETH)
    assert deal.states() == ["EXPIRED", "OPEN"]
    assert stops_of(deal)[0].contracts == Decimal("6.5")


async def test_the_stop_of_an_unknown_leg_waits_while_it_is_confirmed_then_is_an_alarm(
    tmp_path: Path,
) -> None:
    deal = deal_of(tmp_path, "lost")
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["UNKNOWN", "CONFIRMED", "NOT_SENT", "NOT_SENT"]
    assert not texts(deal, "ALARM")
    deal.clock.advance(deal.settings.confirmation.expiry_s)
    await deal.trading.reconcile()
    assert deal.states() == ["UNKNOWN", "NOT_SENT", "NOT_SENT", "NOT_SENT"]
    (alarm,) = texts(deal, "ALARM")
    assert f"the position in {BTC} is not protected" in alarm
    assert len(deal.venue.submitted) == 1


async def test_the_stop_of_a_leg_whose_answer_was_lost_goes_once_that_is_found_filled(
    tmp_path: Path,
) -> None:
    """The venue filled it and nobody knew: what was confirmed with it protects it now."""
    deal = deal_of(tmp_path, "blind")
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["FILLED", "OPEN", "NOT_SENT", "NOT_SENT"]
    assert not texts(deal, "ALARM")
    assert deal.journal.tickets(1)[0].state == "DONE"
    (stop,) = deal.venue.stops.values()
    assert (stop.side, stop.contracts) == (Side.SELL, Decimal("0.2"))
    assert (await deal.trading.reconcile()).clean


async def test_a_stop_that_waited_replaces_the_one_before_it(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    deal.venue.script = ["fill", "blind"]
    old, new = await replace(deal)
    assert deal.venue.canceled == [old]
    assert deal.venue.stops[new].state is LegState.OPEN


async def test_a_stop_that_waited_for_an_order_that_came_to_nothing_is_not_needed(
    tmp_path: Path,
) -> None:
    deal = deal_of(tmp_path, "lost")
    await deal.deal(ADD_ETH)
    (stop,) = stops_of(deal)
    order_id = deal.venue.submitted[0]
    deal.venue.accept(ADD_ETH, order_id, "expire")
    await deal.trading.reconcile()
    assert deal.states() == ["EXPIRED", "NOT_SENT"]
    row = deal.journal.leg(stop.client_id)
    assert row is not None
    assert "what protects it stays" in row.note
    assert not texts(deal, "ALARM")


async def test_a_stop_that_waits_is_not_sent_while_the_desk_is_halted(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "lost")
    await deal.deal(ADD_ETH)
    deal.venue.accept(ADD_ETH, deal.venue.submitted[0], "fill")
    await deal.trading.kill("smoke", ALICE)
    await deal.trading.reconcile()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert len(deal.venue.submitted) == 1
    (alarm,) = texts(deal, "ALARM")
    assert "its stop is NOT_SENT gate:kill" in alarm


async def test_a_stop_that_waits_is_not_sent_while_the_venue_does_not_answer(
    tmp_path: Path,
) -> None:
    deal = deal_of(tmp_path, "lost")
    await deal.deal(ADD_ETH)
    deal.venue.accept(ADD_ETH, deal.venue.submitted[0], "fill")
    deal.venue.down = {"account"}
    await deal.trading.reconcile()
    assert deal.states() == ["FILLED", "CONFIRMED"]
    deal.venue.down = set()
    await deal.trading.reconcile()
    assert deal.states() == ["FILLED", "OPEN"]


async def test_a_stop_that_waits_is_left_by_a_restart_with_an_alarm(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "lost")
    await deal.deal(ADD_ETH)
    deal.journal.close()
    again = Deal(tmp_path, settings=stopping(), venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    assert again.states() == ["UNKNOWN", "NOT_SENT"]
    (alarm,) = texts(again, "ALARM")
    assert "its stop was never sent; `:protect` makes a ticket of stops" in alarm
    await again.trading.stop()


@pytest.mark.parametrize(
    ("word", "state", "rest"),
    [
        ("reject", "REJECTED", "NOT_SENT"),
        ("not_sent", "NOT_SENT", "NOT_SENT"),
        ("lost", "UNKNOWN", "NOT_SENT"),
    ],
)
async def test_a_stop_that_is_not_placed_is_an_alarm_and_ends_the_trading(
    tmp_path: Path, word: str, state: str, rest: str
) -> None:
    deal = deal_of(tmp_path)
    deal.venue.stop_script = [word]
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["FILLED", state, rest, "NOT_SENT"]
    (alarm,) = texts(deal, "ALARM")
    assert f"the position in {BTC} is not protected: its stop is {state}" in alarm
    assert alarm.endswith("; `:protect` makes a ticket of stops for what has none")


async def test_a_stop_of_which_the_answer_was_lost_is_found(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    deal.venue.stop_script = ["blind"]
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["FILLED", "OPEN"]
    assert deal.journal.tickets(1)[0].state == "DONE"


async def test_a_stop_that_never_arrived_is_settled_as_such(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    deal.venue.stop_script = ["lost"]
    await deal.deal(REDUCE_BTC)
    for _ in range(10):
        deal.clock.advance(10)
        await deal.trading.reconcile()
    assert deal.states() == ["FILLED", "NEVER_ACCEPTED"]
    assert deal.journal.tickets(1)[0].state == "DONE"


async def replace(deal: Deal) -> tuple[str, str]:
    """Add to ETH twice; return the stops of both tickets."""
    await deal.deal(ADD_ETH)
    (old,) = stops_of(deal)
    deal.clock.advance(61)
    await deal.deal(MORE_ETH)
    (new,) = stops_of(deal)
    return old.client_id, new.client_id


async def test_the_next_ticket_replaces_the_stop_once_its_own_rests(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    old, new = await replace(deal)
    assert deal.venue.canceled == [old]
    row = deal.journal.leg(old)
    assert row is not None
    assert row.state is LegState.CANCELED
    (cancel,) = of_kind(deal, "CANCEL")
    assert cancel.body == {"client_id": old, "ticket": deal.journal.tickets(1)[0].id}
    sending = [event.seq for event in of_kind(deal, "SENDING") if event.body["client_id"] == new]
    assert sending[0] < cancel.seq
    assert (await deal.trading.reconcile()).clean


async def test_the_old_stop_stays_where_the_new_one_is_not_placed(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    deal.venue.stop_script = ["rest", "reject"]
    old, _ = await replace(deal)
    assert deal.venue.canceled == []
    assert deal.venue.stops[old].state is LegState.OPEN


async def test_the_old_stop_stays_where_the_new_one_covers_less_than_is_held(
    tmp_path: Path,
) -> None:
    deal = deal_of(tmp_path, "fill", "half")
    await deal.deal(ADD_ETH)
    (old,) = stops_of(deal)
    deal.clock.advance(61)
    await deal.deal(order(ETH, Side.BUY, "1", "-6.5", reduce_only=True))
    assert deal.states() == ["EXPIRED", "OPEN"]
    assert deal.venue.positions[ETH] == Decimal(-6)
    assert deal.venue.canceled == []
    assert deal.venue.stops[old.client_id].state is LegState.OPEN


async def test_a_close_cancels_the_stop(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(ADD_ETH)
    (old,) = stops_of(deal)
    deal.clock.advance(61)
    view = await deal.deal(order(ETH, Side.BUY, "6.5", "-6.5", reduce_only=True))
    assert deal.states() == ["FILLED"]
    assert deal.venue.canceled == [old.client_id]
    assert "cancels the stop buy 6.5" in " ".join(view.text)


async def test_a_close_that_fails_keeps_the_stop(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "fill", "reject")
    await deal.deal(ADD_ETH)
    deal.clock.advance(61)
    await deal.deal(order(ETH, Side.BUY, "6.5", "-6.5", reduce_only=True))
    assert deal.venue.canceled == []


async def test_a_flip_is_protected_on_its_new_side(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(*FLIP_ETH)
    assert deal.states() == ["FILLED", "FILLED", "OPEN"]
    (stop,) = stops_of(deal)
    assert (stop.side, stop.contracts) == (Side.SELL, Decimal(2))


async def test_half_a_flip_needs_no_stop(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "fill", "reject")
    await deal.deal(*FLIP_ETH)
    assert deal.states() == ["FILLED", "REJECTED", "NOT_SENT"]
    assert not of_kind(deal, "ALARM")


async def test_a_triggered_stop_is_booked_and_told(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(REDUCE_BTC)
    (stop,) = stops_of(deal)
    deal.venue.trigger(stop.client_id)
    assert (await deal.trading.reconcile()).clean
    assert deal.states() == ["FILLED", "FILLED"]
    assert deal.journal.positions()[BTC] == 0
    (told,) = of_kind(deal, "EXTERNAL")
    assert told.body["what"] == "stop"
    assert "was triggered: 0.2 of 0.2 are closed" in told.body["text"]


async def test_a_stop_that_triggers_while_positions_are_read_is_no_external_change(
    tmp_path: Path,
) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(REDUCE_BTC)
    (stop,) = stops_of(deal)
    asked = deal.venue.account

    async def triggered() -> object:
        if deal.venue.stops[stop.client_id].state is LegState.OPEN:
            deal.venue.trigger(stop.client_id)
        return await asked()

    deal.venue.account = triggered  # type: ignore[method-assign,assignment]
    findings = await deal.trading.reconcile()
    assert (findings.clean, findings.external) == (False, False)
    assert (await deal.trading.reconcile()).clean
    assert [event.body["what"] for event in of_kind(deal, "EXTERNAL")] == ["stop"]
    assert deal.journal.positions()[BTC] == 0


async def test_a_position_closed_outside_is_external_though_a_stop_rests(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(REDUCE_BTC)
    (stop,) = stops_of(deal)
    deal.venue.positions[BTC] = Decimal(0)
    findings = await deal.trading.reconcile()
    assert findings.external
    told = [(event.body["what"], event.body["text"]) for event in of_kind(deal, "EXTERNAL")]
    assert [what for what, _ in told] == ["position", "stop"]
    assert "protects nothing any more" in told[1][1]
    await deal.trading.reconcile()
    assert len(of_kind(deal, "EXTERNAL")) == 2
    # The next ticket, of another contract, takes it away.
    await deal.deal(REDUCE_ETH)
    assert deal.venue.canceled == [stop.client_id]


async def test_a_stop_cancelled_outside_is_told(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(REDUCE_BTC)
    (stop,) = stops_of(deal)
    await deal.venue.cancel_stop(BTC, stop.client_id)
    await deal.trading.reconcile()
    (told,) = of_kind(deal, "EXTERNAL")
    assert "ended as CANCELED without a fill" in told.body["text"]


async def test_halting_and_cancelling_all_leave_stops(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)
    await deal.deal(REDUCE_BTC)
    await deal.trading.kill("drill", ALICE)
    assert await deal.trading.cancel_working(ALICE) == 0
    assert deal.venue.canceled == []
    assert await deal.trading.cancel_working(ALICE, protective=True) == 1
    (stop,) = stops_of(deal)
    assert deal.venue.canceled == [stop.client_id]
    assert stop.state is LegState.CANCELED


async def test_a_halted_desk_sends_no_stop_and_says_so(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)

    async def halt(_: str) -> None:
        await deal.trading.kill("now", ALICE)

    deal.venue.after = halt
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["FILLED", "NOT_SENT"]
    (alarm,) = texts(deal, "ALARM")
    assert "is not protected" in alarm


async def test_a_restart_sends_no_stop_and_says_what_is_bare(tmp_path: Path) -> None:
    deal = deal_of(tmp_path)

    def die(point: str) -> None:
        if point == "recorded":
            raise RuntimeError(point)

    deal.reached = die
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC)
    await deal.confirm(view)
    with pytest.raises(RuntimeError):
        await deal.trading.sent()
    again = Deal(
        tmp_path,
        settings=stopping(),
        venue=deal.venue,
        clock=deal.clock,
        journal=deal.journal,
    )
    await again.trading.start()
    await again.trading.stop()
    assert again.states() == ["FILLED", "NOT_SENT"]
    (alarm,) = texts(again, "ALARM")
    assert "may not be protected: its stop was never sent; `:protect` makes a ticket" in alarm


# ------------------------------------------------------------------------- rejected legs


async def test_going_on_after_a_rejection_sends_the_other_coins(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "reject", "fill", policy="go_on")
    view = await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["REJECTED", "NOT_SENT", "FILLED", "OPEN"]
    assert "stops nothing but its own coin's legs" in " ".join(view.text)
    assert not of_kind(deal, "ALARM")


async def test_going_on_sends_no_second_leg_of_a_rejected_coin(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "reject", policy="go_on")
    await deal.deal(*FLIP_ETH, REDUCE_BTC)
    legs = deal.journal.legs(deal.journal.tickets(1)[0].id)
    states = [(leg.instrument, leg.protective, leg.state.value) for leg in legs]
    assert states == [
        (ETH, False, "REJECTED"),
        (BTC, False, "FILLED"),
        (BTC, True, "OPEN"),
        (ETH, False, "NOT_SENT"),
        (ETH, True, "NOT_SENT"),
    ]


@pytest.mark.parametrize("word", ["lost", "rest"])
async def test_nothing_goes_on_after_what_is_unknown_or_works(tmp_path: Path, word: str) -> None:
    deal = deal_of(tmp_path, word, policy="go_on")
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states()[2:] == ["NOT_SENT", "NOT_SENT"]


async def test_the_gate_is_asked_again_before_going_on(tmp_path: Path) -> None:
    deal = deal_of(tmp_path, "reject", policy="go_on")

    def cloud(_: str) -> None:
        deal.picture.stale_text = "marks"

    deal.venue.before = cloud
    await deal.deal(REDUCE_BTC, ADD_ETH)
    assert deal.states() == ["REJECTED", "NOT_SENT", "NOT_SENT", "NOT_SENT"]
    assert of_kind(deal, "REFUSED")
