"""The desk's own tickets: what closes a share of every position, and stops for what has none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.desk.orders.drawdown_stop import closed, closing_orders
from perptui.journal.events import Event
from perptui.model.errors import ConfirmationRefused, InputError
from perptui.model.instrument import Instrument
from perptui.model.order import Side
from perptui.model.proposal import Proposal
from perptui.protocol.views_ticket import TicketView
from tests.desk.dealing import ALICE, REDUCE_BTC, Deal, settings_of
from tests.desk.market import BTC, ETH, INSTRUMENTS
from tests.desk.orders.test_protecting import stopping
from tests.desk.orders.test_stops import SNAPSHOT

LIMITS = settings_of().limits
VOLUMES = {BTC: 1e10, ETH: 5e9}
ETH_RULES = next(one for one in INSTRUMENTS if one.id == ETH)


def fallen(tmp_path: Path) -> Deal:
    """A desk whose equity of 30,000 is 25 % below its peak."""
    deal = Deal(tmp_path)
    deal.picture.peak = Decimal(40_000)
    return deal


async def open_own(deal: Deal, status: str) -> TicketView:
    await deal.trading.reconcile()
    made = deal.trading.own_proposal(status)
    assert isinstance(made, Proposal)
    return await deal.trading.open_ticket(made, "send", ALICE, 120, 40)


def alarms(deal: Deal) -> list[Event]:
    return [event for event in deal.events() if event.kind == "ALARM"]


# ------------------------------------------------------------------------------------ the orders


def test_half_of_every_position_is_closed_by_orders_that_only_reduce() -> None:
    orders = closing_orders(SNAPSHOT, 0.5, LIMITS, {}, VOLUMES)
    assert [(one.id, one.side, one.contracts, one.before, one.after) for one in orders] == [
        (BTC, Side.SELL, Decimal("0.2"), Decimal("0.4"), Decimal("0.2")),
        (ETH, Side.BUY, Decimal(3), Decimal(-6), Decimal(-3)),
    ]
    assert all(one.reduce_only for one in orders)
    # The collar of 30 bp: 97,500 less 292.5 is the least a sale takes.
    assert orders[0].limit_price == Decimal("97207.5")
    assert orders[0].notional_usd == Decimal(19_500)


def test_no_order_is_above_what_the_gate_lets_one_be() -> None:
    volumes = {BTC: 1_000_000.0, ETH: 5e9}
    btc = next(one for one in closing_orders(SNAPSHOT, 1.0, LIMITS, {}, volumes) if one.id == BTC)
    assert btc.contracts == Decimal("0.102")  # 1 % of a million at 97,500
    small = msgspec.structs.replace(LIMITS, order_notional_max_usd=Decimal(9_750))
    sizes = {one.id: one.contracts for one in closing_orders(SNAPSHOT, 1.0, small, {}, VOLUMES)}
    assert sizes[BTC] == Decimal("0.1")
    assert sizes[ETH] * 3_200 <= 9_750


def test_a_position_without_a_price_is_named() -> None:
    blind = msgspec.structs.replace(SNAPSHOT, quotes=SNAPSHOT.quotes[:1])
    with pytest.raises(InputError, match="ETH/USDT:USDT"):
        closing_orders(blind, 0.5, LIMITS, {}, VOLUMES)


@given(
    steps=st.integers(1, 100_000),
    short=st.booleans(),
    share=st.floats(0.01, 1.0),
    mark=st.decimals("0.5", "5000", places=2),
    most=st.decimals("100", "1000000", places=0),
)
def test_what_is_closed_fits_the_contract_and_leaves_no_dust(
    steps: int, short: bool, share: float, mark: Decimal, most: Decimal
) -> None:
    rules: Instrument = ETH_RULES
    whole = steps * rules.step
    size = closed(-whole if short else whole, share, rules, mark, most)
    assert 0 <= size <= whole
    assert size % rules.step == 0
    assert size * mark <= most
    left = (whole - size) * mark
    at_most = size >= most / mark - rules.step
    assert at_most or left == 0 or left >= rules.min_notional_usd
    assert at_most or left == 0 or size <= whole * Decimal(repr(share))


# ------------------------------------------------------------------------------------ the ticket


@pytest.mark.asyncio
async def test_the_ticket_waits_for_a_person_and_closes_half(tmp_path: Path) -> None:
    deal = fallen(tmp_path)
    view = await open_own(deal, "drawdown")
    assert ":drawdown opens a ticket that closes 50% of every position" in (
        deal.trading.sends_locked
    )
    assert deal.venue.submitted == []
    said = " ".join(view.text)
    assert "CONFIRM drawdown stop" in said
    assert "no optimiser, no estimate of the book" in said
    assert "LIMITS" not in said
    shown = next(event for event in deal.events() if event.kind == "PROPOSED").body["shown"]
    assert shown["risk"] is None
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]
    assert deal.venue.positions == {BTC: Decimal("0.2"), ETH: Decimal(-3)}


@pytest.mark.asyncio
async def test_it_needs_no_proposal_and_can_be_priced_anew(tmp_path: Path) -> None:
    deal = fallen(tmp_path)
    view = await open_own(deal, "drawdown")
    deal.clock.advance(31)
    made = deal.trading.own_proposal("send", view.digest)
    assert made is not None
    again = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    assert (again.id, again.digest) != (view.id, "")
    assert again.digest == view.digest
    assert deal.trading.own_proposal("send", "0" * 64) is None


@pytest.mark.asyncio
async def test_it_is_told_once_a_day_and_never_sent(tmp_path: Path) -> None:
    deal = fallen(tmp_path)
    await deal.trading.start()
    for _ in range(40):
        await deal.pause(0)
    await deal.trading.stop()
    (alarm,) = alarms(deal)
    assert alarm.body["what"] == "drawdown"
    assert "25.00%" in alarm.body["text"]
    assert deal.venue.submitted == []


@pytest.mark.asyncio
async def test_nothing_is_prepared_without_a_drawdown_or_when_it_is_off(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    with pytest.raises(ConfirmationRefused, match="drawdown beyond drawdown_max"):
        deal.trading.own_proposal("drawdown")
    settings = settings_of()
    stops = msgspec.structs.replace(settings.stops, drawdown_share=0.0)
    off = Deal(tmp_path / "off", settings=msgspec.structs.replace(settings, stops=stops))
    off.picture.peak = Decimal(40_000)
    with pytest.raises(ConfirmationRefused, match="drawdown_share above 0"):
        off.trading.own_proposal("drawdown")
    await off.trading.reconcile()
    assert ":drawdown" not in off.trading.sends_locked
    stale = fallen(tmp_path / "stale")
    stale.picture.stale_text = "marks"
    with pytest.raises(ConfirmationRefused, match="expected fresh inputs"):
        stale.trading.own_proposal("drawdown")


@pytest.mark.asyncio
async def test_positions_without_stops_get_them_by_a_ticket_of_stops_alone(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=stopping())
    view = await open_own(deal, "protect")
    said = " ".join(view.text)
    assert "CONFIRM protective stops" in said
    assert "each a protective stop" in said
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["OPEN", "OPEN"]
    assert deal.trading.ticket_view.phase == "done"
    assert deal.trading.protective_stops == 2
    assert deal.venue.positions == {BTC: Decimal("0.4"), ETH: Decimal(-6)}
    assert deal.journal.day_notional_usd() == 0
    with pytest.raises(ConfirmationRefused, match="nothing to protect"):
        deal.trading.own_proposal("protect")


@pytest.mark.asyncio
async def test_a_rejected_stop_does_not_keep_the_others_from_being_sent(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=stopping())
    deal.venue.stop_script = ["reject"]
    await deal.confirm(await open_own(deal, "protect"))
    await deal.trading.sent()
    assert deal.states() == ["REJECTED", "OPEN"]
    assert len(alarms(deal)) == 1


@pytest.mark.asyncio
async def test_what_is_covered_in_part_is_protected_whole(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=stopping())
    await deal.deal(REDUCE_BTC)
    (first,) = [leg for leg in deal.journal.live_legs() if leg.protective]
    deal.venue.positions[BTC] = Decimal("0.3")
    deal.clock.advance(61)
    await deal.trading.reconcile()
    await deal.confirm(await open_own(deal, "protect"))
    await deal.trading.sent()
    assert deal.states() == ["OPEN", "OPEN"]
    assert deal.venue.canceled == [first.client_id]
