"""Opening a ticket of a replay: slow before it is priced, and until it ended."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from perptui.desk.intents import Intents
from perptui.desk.server import Peer
from perptui.desk.ticketing import trader_of
from perptui.protocol.intents import OpenTicket
from tests.desk.dealing import REDUCE_BTC, Deal, proposal
from tests.desk.test_pace import Paced

pytestmark = pytest.mark.asyncio


async def test_a_replay_stays_slow_from_before_a_ticket_is_priced_until_it_ends(
    tmp_path: Path,
) -> None:
    deal, paced = Deal(tmp_path), Paced(answers=True)
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(REDUCE_BTC))
    # The proposer and the private desk's leaving have no part in it.
    intents = Intents(cast(Any, None), cast(Any, deal.picture), lambda: "")
    intents.trading, intents.pace = deal.trading, paced.pace
    peer = Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
    opening = asyncio.create_task(intents.answer(OpenTicket(made.digest, "send", 120, 40), peer))
    while not opening.done():
        await intents.settle_pace()
        await asyncio.sleep(0.01)
    assert await opening == ""
    assert deal.trading.ticket_view.phase == "confirm"
    await intents.settle_pace()
    assert paced.control.speeds == [1.0]
    await deal.trading.reject("T1", "", trader_of(os.getuid()))
    await intents.settle_pace()
    assert paced.control.speeds == [1.0, 60.0]
    deal.journal.close()
