"""What each role may ask of a desk; the kernel's uid counts, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import pytest

from perptui.desk.intents import Intents
from perptui.desk.server import Peer
from perptui.model.errors import GateRefused, PerptuiError
from perptui.protocol import intents as asked
from perptui.protocol.intents import Intent
from tests.desk.dealing import Deal
from tests.desk.proposing.test_proposer import waiting

pytestmark = pytest.mark.asyncio

TYPED: dict[str, Any] = {
    "id": "T1",
    "typed": "a7c4",
    "seen_end": True,
    "key_gaps_ms": (90.0, 90.0, 90.0),
    "columns": 80,
    "rows": 24,
}
DECIDES = (asked.ApproveTicket(**TYPED), asked.DeclineTicket("T1", "no"))
TIGHTENS = (asked.Kill("enough"), asked.Kill("enough", "REDUCING"))
LOOSENS = (asked.Kill("over", "ACTIVE"), asked.Settle("T1.1", "the venue never had it"))
LOOKS = (asked.Quit(), asked.Withdraw())
TRADES = (
    asked.Solve(),
    asked.Reestimate(),
    asked.Bend("gross_max=2"),
    asked.Unbend(),
    asked.Relax("gross"),
    asked.Reduce(0.5),
    asked.Keep("A"),
    asked.Forget("A"),
    asked.Recall("A"),
    asked.Compare(),
    asked.AskFrontier(),
    asked.Undo(),
    asked.Redo(),
    asked.OpenTicket("d", "send", 80, 24),
    asked.ConfirmTicket(**TYPED),
    asked.RejectTicket("T1"),
    asked.CloseTicket("T1"),
    asked.ExportOrders("d"),
    asked.CancelWorking(),
)
EVERY = (*DECIDES, *TIGHTENS, *LOOSENS, *LOOKS, *TRADES)
UIDS = {1: ("view",), 2: ("view", "trade"), 3: ("view", "approve"), 4: ()}


@dataclasses.dataclass
class Desk:
    """Intents of a desk whose users are `UIDS`."""

    deal: Deal
    intents: Intents

    async def refuses(self, intent: Intent, uid: int) -> bool:
        """Return whether the role is what keeps the user from it."""
        try:
            await self.intents.answer(intent, Peer(pid=1, uid=uid, gid=uid))
        except GateRefused as error:
            return error.reason == "role"
        except PerptuiError:
            return False
        return False


def desk(folder: Path) -> Desk:
    deal = Deal(folder)
    intents = Intents(waiting(folder), cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    intents.may = lambda uid, role: role in UIDS[uid]
    return Desk(deal, intents)


async def test_every_intent_stands_in_one_row() -> None:
    named = {type(intent) for intent in EVERY}
    assert named == set(asked.Intent.__args__)


@pytest.mark.parametrize(
    ("uid", "allowed"),
    [
        (1, (*LOOKS, *TIGHTENS)),
        (2, (*LOOKS, *TIGHTENS, *LOOSENS, *TRADES)),
        (3, (*LOOKS, *TIGHTENS, *LOOSENS, *DECIDES)),
        (4, ()),
    ],
    ids=["view", "trade", "approve", "nobody"],
)
async def test_a_role_allows_its_intents_and_no_other(
    tmp_path: Path, uid: int, allowed: tuple[Intent, ...]
) -> None:
    made = desk(tmp_path)
    for intent in EVERY:
        assert await made.refuses(intent, uid) is (intent not in allowed), intent
    made.deal.journal.close()


async def test_a_refusal_names_the_role_and_where_it_is_given(tmp_path: Path) -> None:
    made = desk(tmp_path)
    with pytest.raises(GateRefused, match=r"expected the role trade, .*\[roles\] of the desk's"):
        await made.intents.answer(asked.Solve(), Peer(pid=1, uid=1, gid=1))
    made.deal.journal.close()
