"""Tickets of the desk's own making, as a terminal asks for them."""

from __future__ import annotations

import os
import pwd
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from perptui.desk.intents import Intents
from perptui.desk.server import Peer
from perptui.model.errors import ConfirmationRefused
from perptui.protocol.intents import CancelWorking, CloseTicket, OpenTicket, RejectTicket
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
    ("purpose", "words"),
    [
        ("protect", "protective stops"),
        ("drawdown", "drawdown stop"),
        ("flatten 25", "flatten 25 %"),
        ("flatten 100", "flatten 100 %"),
    ],
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


async def test_another_trader_does_not_close_it_in_the_name_of_who_opened_it(
    tmp_path: Path,
) -> None:
    """The journal would say that one rejected what another ended."""
    deal, intents = await opened(tmp_path)
    await intents.answer(OpenTicket("", "protect", 120, 40), PEER)
    view = deal.trading.ticket_view
    assert view.trader_uid == PEER.uid
    other = Peer(pid=1, uid=PEER.uid + 1, gid=1)
    await intents.answer(CloseTicket(view.id), other)
    assert deal.trading.ticket_view == view
    await intents.answer(RejectTicket(view.id, "not now"), other)
    await intents.answer(CloseTicket(view.id), other)
    assert deal.trading.ticket_view.phase == "void", "its trader has still to read why"
    ended = [event for event in deal.events() if event.kind == "ENDED"]
    assert [(event.actor.uid, event.body["reason"]) for event in ended] == [(other.uid, "not now")]
    await intents.answer(CloseTicket(view.id), PEER)
    assert deal.trading.ticket_view.phase == "none"


async def test_a_hostile_name_of_a_user_is_drawn_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = pwd.struct_passwd(("eve\x1b[2J\u202e", "x", PEER.uid, 1, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: hostile)
    deal, intents = await opened(tmp_path)
    await intents.answer(OpenTicket("", "protect", 120, 40), PEER)
    assert "trader eve\\x1b[2J\\u202e |" in deal.trading.ticket_view.text[2]
    assert all(line.isprintable() for line in deal.trading.ticket_view.text)


async def test_a_terminal_cancels_stops_only_when_it_says_so(tmp_path: Path) -> None:
    deal, intents = await opened(tmp_path)
    await deal.deal(REDUCE_BTC)
    assert await intents.answer(CancelWorking(), PEER) == "0 orders cancelled"
    assert await intents.answer(CancelWorking(protective=True), PEER) == "1 orders cancelled"
    assert deal.trading.protective_stops == 0
