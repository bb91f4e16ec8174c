"""A person's word on orders that no answer settles: what it takes, what it does, what stays.

safety.md, Reconcile: "older than 3 days needs a person. The symbol stays locked till then"; Order
outcomes: "NEVER_ACCEPTED may still take a late fill: that is an ALARM, and the fill is kept".
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.journal.events import Actor
from perptui.journal.queries import LegRow
from perptui.journal.verify import verify_file
from perptui.model.errors import GateRefused, InputError
from perptui.model.order import LegState
from perptui.settings.schema import Roles, Settings
from tests.desk.dealing import ALICE, BOB, REDUCE_BTC, REDUCE_ETH, Deal, order, settings_of
from tests.desk.market import BTC, VENUE

pytestmark = pytest.mark.asyncio

WHY = "the venue's support: it never arrived"
THREE_DAYS_S = 3 * 86_400 + 60
CAROL = Actor(uid=1002, name="carol")
MORE_BTC = order(BTC, REDUCE_BTC.side, "0.1", "0.4", reduce_only=True)


def shared() -> Settings:
    """Settings of a desk of several users: everybody may approve."""
    made = settings_of()
    desk = msgspec.structs.replace(made.desk, socket_dir="/srv/perptui")
    return msgspec.structs.replace(made, desk=desk)


def told(deal: Deal, kind: str) -> list[str]:
    return [str(event.body["text"]) for event in deal.events() if event.kind == kind]


def leg_of(deal: Deal) -> LegRow:
    (client_id,) = deal.venue.submitted
    leg = deal.journal.leg(client_id)
    assert leg is not None
    return leg


async def looks(deal: Deal, count: int, step_s: float = 5) -> None:
    for _ in range(count):
        deal.clock.advance(step_s)
        await deal.trading.reconcile()


async def lost(folder: Path, settings: Settings | None = None) -> Deal:
    """A desk whose order is not found, while its position moved as if half of it were filled."""
    deal = Deal(folder, ("lost",), settings=settings)
    await deal.deal(REDUCE_BTC)
    deal.venue.positions[BTC] = Decimal("0.3")
    await looks(deal, 20)
    assert deal.states() == ["UNKNOWN"]
    with pytest.raises(GateRefused, match="the symbol is locked"):
        await deal.open(MORE_BTC)
    return deal


async def test_a_lost_order_is_settled_with_who_why_and_what_was_seen(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    (alarm,) = told(deal, "ALARM")
    assert alarm.endswith("ask the venue, then `:settle T1.1 REASON`")
    said = await deal.trading.settling.settle("t1.1", f" {WHY}\x1b[31m ", ALICE)
    assert said == "T1.1 is settled as NEVER_ACCEPTED, filled 0"
    (event,) = (event for event in deal.events() if event.kind == "SETTLED")
    assert event.actor == ALICE
    assert event.body == {
        "client_id": leg_of(deal).client_id,
        "state": "NEVER_ACCEPTED",
        "filled": "0",
        "reason": f"{WHY}\\x1b[31m",
        "asked_by": "one person's decision",
        "evidence": [
            "was UNKNOWN, alarms: lost",
            f"{VENUE} now: no such order",
            "fills here 0 of 0.2",
            "position 0.4 here, 0.3 there",
        ],
    }
    assert deal.states() == ["NEVER_ACCEPTED"]
    # The position is what the venue says it is, and the contract is free again.
    assert told(deal, "EXTERNAL") == [f"{BTC} changed outside from 0.4 to 0.3"]
    assert (await deal.trading.reconcile()).clean
    await deal.open(order(BTC, REDUCE_BTC.side, "0.1", "0.3", reduce_only=True))
    shown = [row.text for row in deal.trading.journal_view.events if row.kind == "SETTLED"]
    assert shown[0].startswith("T1.1 BTC binanceusdm sell settled as NEVER_ACCEPTED by a person")
    assert WHY in shown[0]
    assert "no such order" in shown[0]


async def test_it_outlasts_a_restart_and_a_replay(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    deal.journal.close()
    assert verify_file(deal.journal.path).ok
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    assert (await again.trading.reconcile()).clean
    assert again.states() == ["NEVER_ACCEPTED"]
    with pytest.raises(InputError, match=r"leaves to a person \(none now\)"):
        await again.trading.settling.settle("T1.1", WHY, ALICE)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_fill_that_comes_later_is_kept_with_an_alarm(
    tmp_path: Path, *, restarted: bool
) -> None:
    deal = Deal(tmp_path, ("lost",))
    await deal.deal(REDUCE_BTC)
    deal.clock.advance(THREE_DAYS_S)
    await looks(deal, 2)
    assert deal.states() == ["UNKNOWN"]
    await deal.trading.settling.settle(leg_of(deal).client_id[:8], WHY, ALICE)
    client_id = leg_of(deal).client_id
    await looks(deal, 3, 600)
    if restarted:
        deal.journal.close()
        deal = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    await looks(deal, 2)
    leg = leg_of(deal)
    assert (leg.state, leg.executed) == (LegState.NEVER_ACCEPTED, Decimal("0.2"))
    assert deal.journal.positions() == deal.venue.positions
    assert told(deal, "ALARM")[1:] == [f"leg {client_id} is NEVER_ACCEPTED and has a fill of 0.2"]
    assert not told(deal, "EXTERNAL")


async def test_a_trade_that_explains_the_position_later_sets_it_right(tmp_path: Path) -> None:
    """The order had been filled in part: what was EXTERNAL by a person's word was our own trade."""
    deal = await lost(tmp_path)
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    client_id = leg_of(deal).client_id
    report = deal.venue.accept(REDUCE_BTC, client_id, "expire")
    part = msgspec.structs.replace(report, filled=Decimal("0.1"), average_price=Decimal(97_500))
    deal.venue.orders[client_id] = part
    deal.venue.trade(part, Decimal("0.1"), Decimal(97_500))
    deal.venue.positions[BTC] = Decimal("0.3")
    await looks(deal, 3)
    assert deal.journal.positions() == deal.venue.positions
    assert told(deal, "EXTERNAL")[1].startswith("a trade of ours, -0.1 of")
    assert told(deal, "ALARM")[1:] == [f"leg {client_id} is NEVER_ACCEPTED and has a fill of 0.1"]
    assert (await deal.trading.reconcile()).clean


async def test_one_that_works_later_is_cancelled_with_an_alarm(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    deal.venue.accept(REDUCE_BTC, leg_of(deal).client_id, "rest")
    await looks(deal, 2)
    assert deal.venue.canceled == [leg_of(deal).client_id]
    assert "has its order: OPEN" in told(deal, "ALARM")[1]


async def test_one_that_the_venue_acknowledged_keeps_what_is_known_filled(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("rest",))
    await deal.deal(REDUCE_ETH)
    leg = leg_of(deal)
    part = msgspec.structs.replace(
        deal.venue.orders[leg.client_id],
        state=LegState.PARTIAL,
        filled=Decimal("0.2"),
        average_price=Decimal(3200),
    )
    deal.venue.orders[leg.client_id] = part
    deal.venue.trade(part, Decimal("0.2"), Decimal(3200))
    await deal.trading.reconcile()
    assert deal.states() == ["PARTIAL"]
    del deal.venue.orders[leg.client_id]
    deal.clock.advance(THREE_DAYS_S)
    await looks(deal, 1)
    assert not told(deal, "ALARM")
    await looks(deal, 3)
    (alarm,) = told(deal, "ALARM")
    assert "is PARTIAL for over three days" in alarm
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    leg = leg_of(deal)
    assert (leg.state, leg.filled) == (LegState.CANCELED, Decimal("0.2"))
    assert leg.average_price == 3200
    assert (await deal.trading.reconcile()).clean
    # One that was acknowledged is listened to as one that never was.
    deal.venue.orders[leg.client_id] = msgspec.structs.replace(part, state=LegState.OPEN)
    await looks(deal, 2)
    assert deal.venue.canceled == [leg.client_id]
    assert "is CANCELED and the venue has its order: OPEN" in told(deal, "ALARM")[1]


async def test_fills_under_a_reused_trade_id_are_settled_after_ten_minutes(tmp_path: Path) -> None:
    """A refusal that lied, and two trades under one id: what is under it cannot be told."""
    deal = Deal(tmp_path, ("reject",))
    await deal.deal(REDUCE_BTC)
    client_id = leg_of(deal).client_id
    deal.venue.accept(REDUCE_BTC, client_id, "fill")
    (trade,) = deal.venue.trades
    part = msgspec.structs.replace(trade, contracts=Decimal("0.15"))
    rest = msgspec.structs.replace(trade, contracts=Decimal("0.05"), price=Decimal(97_000))
    deal.venue.trades = [part, rest]
    await looks(deal, 5)
    with pytest.raises(InputError, match="leaves to a person"):
        await deal.trading.settling.settle("T1.1", WHY, ALICE)
    await looks(deal, 3, 301)
    text = told(deal, "ALARM")[-1]
    assert text.endswith("fills that do not come: ask the venue, then `:settle T1.1 REASON`")
    said = await deal.trading.settling.settle("T1.1", WHY, ALICE)
    assert said == "T1.1 is settled as REJECTED, filled 0.2"
    assert (await deal.trading.reconcile()).clean
    assert deal.journal.positions() == deal.venue.positions
    deal.journal.close()
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    assert (await again.trading.reconcile()).clean


async def test_fills_of_an_acknowledged_order_that_never_come_are_settled(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    deal.venue.down = {"fills"}
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    deal.venue.down = set()
    kept = deal.venue.trades.pop()
    await looks(deal, 4, 301)
    assert "has reported fills that do not come" in told(deal, "ALARM")[0]
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    assert (await deal.trading.reconcile()).clean
    assert deal.trading.ticket_view.phase != "sending"
    deal.venue.trades.append(kept)
    await looks(deal, 3)
    assert deal.journal.positions() == deal.venue.positions
    assert told(deal, "ALARM")[-1].endswith("is FILLED with 0.2 filled and has a fill of 0.2")
    assert (await deal.trading.reconcile()).clean


# --------------------------------------------------------------------------- what is refused


async def test_only_what_an_alarm_leaves_to_a_person_is_settled(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("lost",))
    await deal.deal(REDUCE_BTC)
    settle = deal.trading.settling.settle
    for named in ("T1.1", leg_of(deal).client_id, "", "pt"):
        with pytest.raises(InputError, match="settled by the venue's own answers"):
            await settle(named, WHY, ALICE)
    assert deal.states() == ["UNKNOWN"]
    assert "SETTLED" not in deal.kinds()


async def test_a_reason_is_asked_for(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    with pytest.raises(InputError, match="reason of 10 characters"):
        await deal.trading.settling.settle("T1.1", "   gone    ", ALICE)


async def test_a_venue_that_says_nothing_settles_nothing(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    deal.venue.down = {"order"}
    with pytest.raises(GateRefused, match="settle it when it answers"):
        await deal.trading.settling.settle("T1.1", WHY, ALICE)
    deal.venue.down = {"account"}
    with pytest.raises(GateRefused, match="settle it when it answers"):
        await deal.trading.settling.settle("T1.1", WHY, ALICE)
    assert deal.states() == ["UNKNOWN"]


async def test_an_order_that_the_venue_has_is_no_persons(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    deal.venue.accept(REDUCE_BTC, leg_of(deal).client_id, "rest")
    with pytest.raises(GateRefused, match=r"was OPEN; :cancel it"):
        await deal.trading.settling.settle("T1.1", WHY, ALICE)
    assert deal.states() == ["OPEN"]


# --------------------------------------------------------------------------- two persons


async def test_a_shared_desk_takes_a_second_person(tmp_path: Path) -> None:
    deal = await lost(tmp_path, shared())
    settle = deal.trading.settling.settle
    for _ in range(2):
        said = await settle("T1.1", WHY, ALICE)
        assert "waits for a second person" in said
        assert deal.states() == ["UNKNOWN"]
    assert deal.kinds().count("SETTLING") == 1
    shown = [row.text for row in deal.trading.journal_view.events if row.kind == "SETTLING"]
    assert "settle as NEVER_ACCEPTED? A second person" in shown[0]
    assert (await settle("T1.1", "asked them as well", BOB)).endswith("NEVER_ACCEPTED, filled 0")
    (event,) = (event for event in deal.events() if event.kind == "SETTLED")
    assert event.actor == BOB
    assert event.body["asked_by"] == f"asked by alice: {WHY}"


async def test_what_was_asked_outlasts_a_restart_and_expires(tmp_path: Path) -> None:
    deal = await lost(tmp_path, shared())
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    deal.journal.close()
    deal = Deal(tmp_path, settings=shared(), venue=deal.venue, clock=deal.clock)
    deal.clock.advance(deal.settings.approval.expiry_s + 1)
    said = await deal.trading.settling.settle("T1.1", WHY, BOB)
    assert "waits for a second person" in said
    assert deal.states() == ["UNKNOWN"]
    deal.journal.close()
    deal = Deal(tmp_path, settings=shared(), venue=deal.venue, clock=deal.clock)
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    assert deal.states() == ["NEVER_ACCEPTED"]


async def test_each_of_the_two_needs_a_role(tmp_path: Path) -> None:
    roles = Roles(("*",), (f"uid:{ALICE.uid}",), (f"uid:{BOB.uid}",))
    deal = await lost(tmp_path, msgspec.structs.replace(shared(), roles=roles))
    settle = deal.trading.settling.settle
    with pytest.raises(GateRefused, match="expected the role trade"):
        await settle("T1.1", WHY, BOB)
    await settle("T1.1", WHY, ALICE)
    with pytest.raises(GateRefused, match="expected the role approve"):
        await settle("T1.1", WHY, CAROL)
    await settle("T1.1", WHY, BOB)
    assert deal.states() == ["NEVER_ACCEPTED"]


async def test_the_second_person_agrees_to_the_same_thing_only(tmp_path: Path) -> None:
    """Fills that came meanwhile make it another thing: it is asked for anew."""
    deal = await lost(tmp_path, shared())
    settle = deal.trading.settling.settle
    await settle("T1.1", WHY, ALICE)
    client_id = leg_of(deal).client_id
    report = deal.venue.accept(REDUCE_BTC, client_id, "expire")
    deal.venue.trade(report, Decimal("0.1"), Decimal(97_000))
    deal.venue.trades[0] = msgspec.structs.replace(deal.venue.trades[0], client_id=client_id)
    del deal.venue.orders[client_id]
    deal.venue.positions[BTC] = Decimal("0.25")
    assert "as CANCELED waits for a second person" in await settle("T1.1", WHY, BOB)
    await settle("T1.1", WHY, ALICE)
    leg = leg_of(deal)
    assert (leg.state, leg.filled) == (LegState.CANCELED, Decimal("0.1"))
    assert deal.journal.positions() == deal.venue.positions


async def test_another_ticket_goes_on_meanwhile(tmp_path: Path) -> None:
    deal = await lost(tmp_path)
    await deal.open(REDUCE_ETH)
    await deal.trading.settling.settle("T1.1", WHY, ALICE)
    # The position changed outside: what waits to be confirmed is void.
    assert deal.trading.ticket_view.phase != "confirm"
