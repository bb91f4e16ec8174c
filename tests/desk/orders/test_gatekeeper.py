"""What the gate is asked with: the journal's counters, the venues' hosts, what keys may do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.gatekeeper import ticketed
from perptui.desk.orders.notes import Notes, key_fault
from perptui.journal.events import PermissionsSeen
from perptui.journal.journal import Journal
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused
from perptui.settings.schema import Settings
from tests.desk.dealing import ADD_ETH, DESK, REDUCE_BTC, REDUCE_ETH, Deal, settings_of
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

pytestmark = pytest.mark.asyncio
REAL = "fapi.binance.com"
FIT = PermissionsSeen(VENUE, trade=True, withdraw=False, bound_to_address=True)


def limited(**changes: object) -> Settings:
    settings = settings_of()
    return msgspec.structs.replace(
        settings, limits=msgspec.structs.replace(settings.limits, **changes)
    )


async def refused(deal: Deal, *orders: object) -> list[str]:
    """Return the codes with which the gate refuses a ticket; [] when it opens."""
    try:
        await deal.open(*orders)  # type: ignore[arg-type]
    except GateRefused:
        return list(deal.events()[-1].body["reasons"])
    return []


async def test_a_traders_day_is_counted_for_that_trader_alone(tmp_path: Path) -> None:
    """19,500 of 20,000 USD were sent by alice: 3,200 more are beyond it, and bob's day is new."""
    deal = Deal(tmp_path, settings=limited(trader_day_notional_max_usd=Decimal(20_000)))
    await deal.deal(REDUCE_BTC)
    assert deal.journal.day_notional_usd("alice") == 19_500
    assert deal.journal.day_notional_usd("bob") == 0
    deal.clock.advance(61)
    assert await refused(deal, REDUCE_ETH) == ["trader_notional"]


async def test_repeated_rejections_leave_reductions_and_are_said(tmp_path: Path) -> None:
    deal = Deal(
        tmp_path,
        ("reject",),
        limited(rejections_max=1, coin_net_max=2.0, coin_gross_max=2.0, net_max=2.0),
    )
    await deal.deal(REDUCE_BTC)
    assert deal.trading.sends_locked.startswith(
        "all but reductions, 1 orders were rejected within ten minutes"
    )
    assert await refused(deal, ADD_ETH) == ["rejections"]
    await deal.deal(REDUCE_ETH)
    assert deal.states() == ["FILLED"]
    deal.clock.advance(600)
    assert deal.trading.sends_locked == ""


async def test_orders_go_where_they_went_when_the_ticket_was_made(tmp_path: Path) -> None:
    """Between the confirmation and the send the venue says another host: nothing leaves."""
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC)
    deal.reached = lambda _: setattr(deal.venue, "pinned", REAL)
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["NOT_SENT"]
    assert deal.venue.submitted == []
    body = next(event.body for event in deal.events() if event.kind == "REFUSED")
    assert "host" in body["reasons"]


async def test_paper_sends_to_no_real_host(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    deal.venue.pinned = REAL
    deal.journal.append(FIT)
    assert await refused(deal, REDUCE_BTC) == ["host"]
    deal.venue.pinned = ""
    assert await refused(deal, REDUCE_BTC) == ["host"]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "its permissions were not read yet"),
        (PermissionsSeen(VENUE, trade=False, withdraw=False, bound_to_address=None), "may trade"),
        (PermissionsSeen(VENUE, trade=None, withdraw=False, bound_to_address=None), "may trade"),
        (PermissionsSeen(VENUE, trade=True, withdraw=True, bound_to_address=None), "withdraw"),
        (PermissionsSeen(VENUE, trade=True, withdraw=None, bound_to_address=None), "withdraw"),
    ],
)
async def test_a_key_that_is_not_fit_sends_nothing_really(
    tmp_path: Path, seen: PermissionsSeen | None, words: str
) -> None:
    deal = Deal(tmp_path, settings=settings_of("live"))
    deal.venue.pinned = REAL
    await deal.trading.reconcile()
    if seen is not None:
        deal.journal.append(seen)
    assert words in key_fault(seen)
    assert await refused(deal, REDUCE_BTC) == ["key_permission"]
    deal.journal.append(FIT)
    assert await refused(deal, REDUCE_BTC) == []


async def test_a_volume_that_is_no_number_is_not_known(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC)
    deal.picture.volumes = {BTC: float("nan"), ETH: float("inf")}
    deal.picture.sigmas = {BTC: float("nan")}
    with pytest.raises(GateRefused) as caught:
        await deal.confirm(view)
    assert caught.value.reason == "participation"
    assert deal.venue.submitted == []


async def test_without_a_fresh_book_nothing_is_added(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    deal.picture.depths = {}
    assert await refused(deal, REDUCE_BTC, ADD_ETH) == ["depth"]
    await deal.deal(REDUCE_BTC)
    assert deal.states() == ["FILLED"]


async def test_books_are_wanted_of_tickets_that_may_still_be_sent(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC, ADD_ETH)
    assert ticketed(deal.journal) == {BTC, ETH}
    await deal.confirm(view)
    await deal.trading.sent()
    assert ticketed(deal.journal) == frozenset()


async def test_notes_are_kept_up_and_read_again_by_another_process(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal = Journal.open(
        tmp_path / "journal.db", desk="main", account="main", clock=clock, actor=DESK, version="0"
    )
    notes = Notes(journal)
    assert notes.permissions == {}
    journal.append(FIT)
    changed = msgspec.structs.replace(FIT, withdraw=True)
    journal.append(changed)
    assert notes.permissions == Notes(journal).permissions == {VENUE: changed}
    assert notes.kills == notes.mismatches == []
    journal.close()
