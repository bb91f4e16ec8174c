"""What is proposed after a ticket was sent, and what is said of the what-if that it was made of."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from perptui.desk.proposing.after_fills import AfterFills
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.state import DeskState
from perptui.model.whatif import WhatIf
from perptui.protocol.views_ticket import LegProgress, TicketView
from tests.desk.dealing import REDUCE_BTC, Deal, proposal
from tests.desk.test_intents import Answering, proposer_of

pytestmark = pytest.mark.asyncio
BENT = WhatIf(limits={"gross_max": 2.0})


def ticket(filled: str) -> TicketView:
    leg = LegProgress(1, "BTC", "sell", Decimal(2), Decimal(filled), None, "FILLED")
    return TicketView(phase="done", id="T1", legs=(leg,), reason="filled 1/1", digest="d")


@pytest.mark.parametrize(
    ("filled", "sent", "left"), [("2", BENT, 0), ("0", BENT, 1), ("2", WhatIf(), 1)]
)
async def test_a_what_if_is_dropped_with_words_once_it_is_filled(
    tmp_path: Path, filled: str, sent: WhatIf, left: int
) -> None:
    deal = Deal(tmp_path)
    first = proposal(REDUCE_BTC)
    bent = msgspec.structs.replace(first, what_if=BENT)
    proposer = proposer_of(deal, Answering(first, bent, first if left == 0 else bent, bent))
    state = DeskState({}, deal.settings.polling, deal.clock)
    after = AfterFills(state, proposer, deal.clock, asyncio.Event())
    await proposer.solve()
    await proposer.bend("gross_max=2")
    await after.propose(ticket(filled), sent)
    news = [line.text for line in state.picture.news]
    assert news[0] == "ticket T1: filled 1/1"
    said = "what-if of ticket T1 is done and dropped, u restores: gross_max=2"
    assert news[1:] == ([said] if left == 0 else [])
    assert len(proposer.picture.what_if.limits) == left
    if left == 0:
        await proposer.undo()
        assert proposer.picture.what_if == BENT
    deal.journal.close()


async def test_a_proposal_that_fails_after_fills_drops_nothing(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    bent = msgspec.structs.replace(proposal(REDUCE_BTC), what_if=BENT)
    snapshots: list[Any] = [deal.picture.snapshot(), "no account yet"]
    answering = cast(Any, Answering(bent))
    proposer = Proposer(answering, deal.settings, deal.clock, lambda: snapshots.pop(0))
    state = DeskState({}, deal.settings.polling, deal.clock)
    await proposer.bend("gross_max=2")
    await AfterFills(state, proposer, deal.clock, asyncio.Event()).propose(ticket("2"), BENT)
    assert [line.text for line in state.picture.news] == ["ticket T1: filled 1/1"]
    assert proposer.picture.what_if == BENT
    deal.journal.close()
