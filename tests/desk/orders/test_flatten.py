"""Flattening on a person's word: 25, 50 or 100 % of every position, reduce-only, as a ticket."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.own_proposal import FLATTEN
from perptui.model.errors import ConfirmationRefused, GateRefused
from perptui.model.proposal import Proposal
from perptui.protocol.views_ticket import TicketView
from tests.desk.dealing import ALICE, BOB, Deal, settings_of
from tests.desk.market import BTC, ETH
from tests.desk.orders.test_approval import approve, shared

pytestmark = pytest.mark.asyncio


async def flattening(deal: Deal, share: int) -> TicketView:
    await deal.trading.reconcile()
    made = deal.trading.own_proposal(f"flatten {share}")
    assert isinstance(made, Proposal)
    return await deal.trading.open_ticket(made, "send", ALICE, 120, 40)


@pytest.mark.parametrize(
    ("share", "btc", "eth"), [(25, "0.3", "-4.5"), (50, "0.2", "-3"), (100, "0", "0")]
)
async def test_a_share_of_every_position_is_closed_by_orders_that_only_reduce(
    tmp_path: Path, share: int, btc: str, eth: str
) -> None:
    deal = Deal(tmp_path)
    view = await flattening(deal, share)
    assert f"CONFIRM flatten {share} %" in view.text[0]
    assert sum("reduce-only" in line for line in view.text) == 2
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]
    held = {key: held for key, held in deal.venue.positions.items() if held}
    wanted = {BTC: Decimal(btc), ETH: Decimal(eth)}
    assert held == {key: contracts for key, contracts in wanted.items() if contracts}
    assert deal.journal.positions() == deal.venue.positions


async def test_the_shares_are_those_of_the_design() -> None:
    assert FLATTEN == {"flatten 25": 0.25, "flatten 50": 0.5, "flatten 100": 1.0}


async def test_it_goes_while_only_reductions_do_and_never_while_halted(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.kill("losing", ALICE, "REDUCING")
    await deal.confirm(await flattening(deal, 50))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]
    await deal.trading.kill("smoke", ALICE)
    deal.clock.advance(61)
    with pytest.raises(GateRefused, match="HALTED"):
        await flattening(deal, 100)
    assert len(deal.venue.submitted) == 2


async def test_a_large_one_takes_the_second_person_that_its_size_takes(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=shared("10000"))
    view = await deal.confirm(await flattening(deal, 100))
    assert (view.phase, deal.venue.submitted) == ("approval", [])
    assert (await approve(deal, view, BOB)).phase == "done"
    assert not any(deal.venue.positions.values())


async def test_no_order_is_larger_than_the_gate_lets_one_be(tmp_path: Path) -> None:
    settings = settings_of()
    limits = msgspec.structs.replace(settings.limits, order_notional_max_usd=Decimal(10_000))
    deal = Deal(tmp_path, settings=msgspec.structs.replace(settings, limits=limits))
    await deal.confirm(await flattening(deal, 100))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]
    # 10,000 of 97,500 and of 3,200 USD, rounded down to the steps of 0.001 and 0.01.
    assert deal.venue.positions == {BTC: Decimal("0.298"), ETH: Decimal("-2.88")}


async def test_without_a_position_there_is_nothing_to_close(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    deal.venue.positions = {}
    with pytest.raises(ConfirmationRefused, match="nothing to close"):
        await flattening(deal, 100)
