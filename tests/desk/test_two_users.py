"""Two OS users on one desk: real uids over its socket, one confirms and another approves."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from perptui.desk.intents import Intents
from perptui.desk.server import Server
from perptui.model.order import OrderIntent
from perptui.protocol.frames import Reply
from perptui.protocol.intents import (
    ApproveTicket,
    ConfirmTicket,
    DeclineTicket,
    Intent,
    Kill,
    OpenTicket,
)
from perptui.protocol.views_ticket import TicketView
from perptui.settings.roles import RoleBook
from perptui.settings.schema import Roles, Settings
from tests.desk.dealing import REDUCE_BTC, REDUCE_ETH, Deal, proposal, settings_of
from tests.desk.market import BTC
from tests.desk.proposing.test_proposer import waiting
from tests.desk.test_server import VIEW
from tests.desk.users import User

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.unmeasured,
    pytest.mark.skipif(os.getuid() != 0, reason="it takes root to be two other users"),
]

GROUP, ALICE, BOB, CAROL, OUTSIDER = 61_000, 61_001, 61_002, 61_003, 61_004
NAMED = (f"uid:{ALICE}", f"uid:{BOB}")
GAPS_MS = (90.0, 90.0, 90.0)


@pytest.fixture
def path() -> Iterator[Path]:
    """Return where the desk listens: in a folder that only its group can enter."""
    with tempfile.TemporaryDirectory(prefix="pt-", dir="/tmp") as parent:
        Path(parent).chmod(0o711)
        folder = Path(parent) / "desk"
        folder.mkdir()
        os.chown(folder, 0, GROUP)
        folder.chmod(0o2750)
        yield folder / "desk.sock"


@pytest.fixture
def users(path: Path) -> Iterator[dict[str, User]]:
    """Fork the users; Alice sits at two terminals, the outsider is in no group of the desk."""
    made = {
        "alice": User(ALICE, (GROUP,), path),
        "alice too": User(ALICE, (GROUP,), path),
        "bob": User(BOB, (GROUP,), path),
        "carol": User(CAROL, (GROUP,), path),
        "outsider": User(OUTSIDER, (), path),
    }
    yield made
    for user in made.values():
        user.end()


def settings(mode: str = "paper") -> Settings:
    """Return the settings of a shared desk where every ticket takes two of its two users."""
    made = settings_of(mode)
    approval = msgspec.structs.replace(made.approval, notional_usd=Decimal(1))
    desk = msgspec.structs.replace(made.desk, socket_dir="/srv/perptui")
    roles = Roles(view=NAMED, trade=NAMED, approve=NAMED)
    return msgspec.structs.replace(made, approval=approval, desk=desk, roles=roles)


class Shared:
    """A desk with a real socket, and the trading side of `Deal` behind it."""

    def __init__(self, folder: Path, path: Path, mode: str) -> None:
        self.deal = Deal(folder, settings=settings(mode))
        self.intents = Intents(waiting(folder), cast(Any, self.deal.picture), lambda: "")
        self.intents.trading = self.deal.trading
        roles = RoleBook(self.deal.settings.roles, self.deal.clock, os.getuid(), shared=True)
        self.intents.may = roles.may
        self.server = Server(path, "main", self._answer, VIEW, shared=True, private=False)
        self.server.roles_of = roles.roles_of

    async def _answer(self, intent: Intent, peer: Any) -> str:
        try:
            return await self.intents.answer(intent, peer)
        finally:
            self.publish()

    def publish(self) -> None:
        """Show the ticket to every terminal."""
        self.server.publish({"ticket": self.deal.trading.ticket_view})

    async def plan(self, user: User, *orders: OrderIntent) -> Reply:
        """Ask for a ticket, two seconds before anything is typed."""
        made = self.deal.picture.take(proposal(*orders))
        reply = await ask(user, OpenTicket(made.digest, "send", 80, 24))
        self.deal.clock.advance(2)
        return reply

    async def confirmed(self, user: User, *orders: OrderIntent) -> TicketView:
        """Return the ticket that a user planned and confirmed, two seconds ago."""
        reply = await self.plan(user, *(orders or (REDUCE_BTC,)))
        assert reply.ok, reply.text
        reply = await ask(user, typed(await ticket(user, "confirm")))
        assert reply.ok, reply.text
        self.deal.clock.advance(2)
        return await ticket(user, "approval")


@asynccontextmanager
async def shared(folder: Path, path: Path, mode: str = "paper") -> AsyncIterator[Shared]:
    made = Shared(folder, path, mode)
    await made.server.open()
    await made.deal.trading.reconcile()
    try:
        yield made
    finally:
        await made.server.close()
        made.deal.journal.close()


async def ask(user: User, intent: Intent) -> Reply:
    return await asyncio.to_thread(user.ask, intent)


async def ticket(user: User, phase: str) -> TicketView:
    return await asyncio.to_thread(user.ticket, phase)


def typed(view: TicketView) -> ConfirmTicket:
    return ConfirmTicket(view.id, view.token[-4:], True, GAPS_MS, 80, 24)


async def approval(user: User, view: TicketView) -> ApproveTicket:
    """Return a user's approval with the token that the user's own process made."""
    token = await asyncio.to_thread(user.proven)
    return ApproveTicket(view.id, token[-4:], True, GAPS_MS, 80, 24, token)


async def test_the_socket_is_the_groups_and_the_kernel_says_who_is_there(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    async with shared(tmp_path, path):
        found = await asyncio.to_thread(path.stat)
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, GROUP)
        assert await asyncio.to_thread(users["bob"].roles) == ("view", "trade", "approve")
        with pytest.raises(
            ConnectionRefusedError, match=f"was uid {CAROL}, whom .roles. .* does not name"
        ):
            await asyncio.to_thread(users["carol"].roles)
        with pytest.raises(PermissionError):
            await asyncio.to_thread(users["outsider"].roles)


async def test_one_confirms_another_approves_and_only_then_it_is_sent(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    alice, bob = users["alice"], users["bob"]
    async with shared(tmp_path, path) as desk:
        mine = await desk.confirmed(alice)
        theirs = await ticket(bob, "approval")
        assert (theirs.text, theirs.token) == (mine.text, mine.token)
        assert await asyncio.to_thread(bob.proven) == mine.token
        for terminal in (alice, users["alice too"]):
            await ticket(terminal, "approval")
            reply = await ask(terminal, await approval(terminal, mine))
            assert not reply.ok
            assert "expected a second person" in reply.text
        reply = await ask(bob, typed(theirs))
        assert not reply.ok, "what is to be approved cannot be confirmed"
        assert desk.deal.venue.submitted == []
        reply = await ask(bob, await approval(bob, theirs))
        assert reply.ok, reply.text
        await desk.deal.trading.sent()
        desk.publish()
        assert (await ticket(alice, "done")).approval == (await ticket(bob, "done")).approval
        assert len(desk.deal.venue.submitted) == 1
        row = desk.deal.journal.approval(mine.id)
        assert row is not None
        assert (row.trader_uid, row.uid, row.state) == (ALICE, BOB, "APPROVED")


async def test_another_declines_with_a_reason_that_both_see(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    alice, bob = users["alice"], users["bob"]
    async with shared(tmp_path, path) as desk:
        mine = await desk.confirmed(alice)
        await ticket(bob, "approval")
        assert not (await ask(alice, DeclineTicket(mine.id, "no"))).ok
        assert (await ask(bob, DeclineTicket(mine.id, "twice the size we agreed"))).ok
        for terminal in (alice, bob):
            void = await ticket(terminal, "void")
            assert void.reason == f"declined by uid {BOB}: twice the size we agreed"
        assert desk.deal.venue.submitted == []
        assert desk.deal.states() == ["NOT_SENT"]


async def test_a_drift_between_confirmation_and_approval_voids_it(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    alice, bob = users["alice"], users["bob"]
    async with shared(tmp_path, path) as desk:
        mine = await desk.confirmed(alice)
        await ticket(bob, "approval")
        desk.deal.venue.positions[BTC] += Decimal("0.05")
        reply = await ask(bob, await approval(bob, mine))
        assert not reply.ok
        assert f"the position in {BTC} changed from 0.4 to 0.45" in reply.text
        assert (await ticket(alice, "void")).reason in reply.text
        assert desk.deal.venue.submitted == []


async def test_of_two_terminals_that_confirm_at_once_exactly_one_wins(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    async with shared(tmp_path, path) as desk:
        terminals = (users["alice"], users["alice too"])
        assert (await desk.plan(terminals[0], REDUCE_ETH)).ok
        views = [await ticket(terminal, "confirm") for terminal in terminals]
        pairs = zip(terminals, views, strict=True)
        replies = await asyncio.gather(*(ask(one, typed(view)) for one, view in pairs))
        assert sorted(reply.ok for reply in replies) == [False, True]
        assert desk.deal.kinds().count("CONFIRMED") == 1


async def test_leaving_halted_in_live_mode_takes_another_user_than_who_set_it(
    tmp_path: Path, path: Path, users: dict[str, User]
) -> None:
    alice, bob = users["alice"], users["bob"]
    async with shared(tmp_path, path, "live") as desk:
        assert (await ask(alice, Kill("a test of the switch"))).ok
        for terminal in (alice, users["alice too"]):
            reply = await ask(terminal, Kill("over", "ACTIVE"))
            assert not reply.ok
            assert "expected a second person to leave HALTED" in reply.text
        assert desk.deal.trading.kill_state == "HALTED"
        reply = await ask(bob, Kill("looked at, all is well", "ACTIVE"))
        assert reply.ok, reply.text
        assert desk.deal.trading.kill_state == "ACTIVE"
        assert [event.actor.uid for event in desk.deal.events() if event.kind == "KILL"] == [
            ALICE,
            BOB,
        ]
