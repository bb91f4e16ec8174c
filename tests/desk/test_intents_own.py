"""Tickets of the desk's own making, as a terminal asks for them."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from perptui.desk.intents import Intents
from perptui.desk.server import Peer
from perptui.model.errors import ConfirmationRefused
from perptui.protocol.intents import CancelWorking, OpenTicket
from tests.desk.dealing import REDUCE_BTC, Deal
from tests.desk.orders.test_protecting import stopping
from tests.desk.proposing.test_proposer import waiting

pytestmark = pytest.mark.asyncio

PEER = Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())


def asking(deal: Deal, tmp_path: Path) -> Intents:
    intents = Intents(waiting(tmp_path), cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    return intents


async def opened(tmp_path: Path) -> tuple[Deal, Intents]:
    deal = Deal(tmp_path, settings=stopping())
    deal.picture.peak = Decimal(40_000)
    await deal.trading.reconcile()
    return deal, asking(deal, tmp_path)


@pytest.mark.parametrize(
    ("purpose", "words"), [("protect", "protective stops"), ("drawdown", "drawdown stop")]
)
async def test_a_terminal_opens_the_desks_own_ticket_without_a_proposal(
    tmp_path: Path, purpose: str, words: str
) -> None:
    deal, intents = await opened(tmp_path)
    await intents.answer(OpenTicket("", purpose, 120, 40), PEER)
    view = deal.trading.ticket_view
    assert (view.phase, view.purpose) == ("confirm", "send")
    assert f"CONFIRM {words}" in view.text[0]
    # Priced anew by its digest, as any other ticket.
    await deal.trading.close(view.id)
    await intents.answer(OpenTicket(view.digest, "send", 120, 40), PEER)
    assert deal.trading.ticket_view.digest == view.digest
    with pytest.raises(ConfirmationRefused):
        await deal.trading.open_ticket(
            cast(Any, deal.trading.own_proposal(purpose)), "nothing", deal.journal.actor, 120, 40
        )


async def test_a_terminal_cancels_stops_only_when_it_says_so(tmp_path: Path) -> None:
    deal, intents = await opened(tmp_path)
    await deal.deal(REDUCE_BTC)
    assert await intents.answer(CancelWorking(), PEER) == "0 orders cancelled"
    assert await intents.answer(CancelWorking(protective=True), PEER) == "1 orders cancelled"
    assert deal.trading.protective_stops == 0
