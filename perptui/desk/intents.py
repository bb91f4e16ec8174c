"""What terminals ask for, carried out: by the proposer or by the trading side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from perptui.desk.orders.own_proposal import OWN
from perptui.desk.orders.traders import trader_of
from perptui.desk.orders.trading import Trading
from perptui.desk.origin import ssh_of
from perptui.desk.pace import Pace
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.proposing.steps import Step
from perptui.desk.server import Peer
from perptui.desk.sight import Sight
from perptui.journal.events import Actor
from perptui.model.errors import (
    ConfirmationRefused,
    GateRefused,
    InputError,
    JournalError,
    WorkerError,
)
from perptui.model.proposal import Proposal
from perptui.model.whatif import WhatIf
from perptui.protocol import intents as asked
from perptui.protocol.views_rebalance import Author

BUSY = frozenset({"confirm", "approval", "sending"})
"""Phases of a ticket during which a replay runs at 1x."""
ALLOWED: dict[type, tuple[str, ...]] = {
    asked.Quit: ("view",),
    asked.Withdraw: ("view",),
    asked.ApproveTicket: ("approve",),
    asked.DeclineTicket: ("approve",),
    asked.Settle: ("trade", "approve"),
}
"""Roles any of which an intent takes; what is not named takes `trade`."""
TIGHTEN = ("view",)
"""Anybody who may look may halt the desk."""
RELEASE = ("trade", "approve")

AGAIN_S = 1.0
"""Between two tries to take back what a lost terminal typed."""
_log = logging.getLogger(__name__)


class Intents:
    """Carries out intents; every refusal is an error whose text the terminal shows.

    Attributes
    ----------
    trading : Trading | None
        None until the journal is open.
    trading_fault : str
        Why there is none.
    pace : Pace | None
        None until the venue is open.
    may : callable
        Returns whether a uid has a role.
    """

    def __init__(self, proposer: Proposer, sight: Sight, leave: Callable[[], str]) -> None:
        self._proposer = proposer
        self._sight = sight
        self._leave = leave
        self.trading: Trading | None = None
        self.trading_fault = "expected an open journal, was none yet; wait a moment"
        self.pace: Pace | None = None
        self.may: Callable[[int, str], bool] = lambda uid, role: True
        self._opening = 0
        self._taking_back: set[asyncio.Task[None]] = set()
        self._on_frontier: set[Peer] = set()
        self._planned = ("", WhatIf())
        proposer.held = self._ticket_waits

    def _ticket_waits(self) -> bool:
        if self.trading is None:
            return False
        # Of a journal that cannot be read no ticket can be confirmed.
        with suppress(JournalError):
            return self.trading.ticket_view.phase == "confirm"
        return False

    def planned(self, digest: str) -> WhatIf:
        """Return what was bent in the proposal that the newest ticket was made from.

        Nothing where that is not the proposal of this digest.
        """
        return self._planned[1] if self._planned[0] == digest else WhatIf()

    async def gone(self, peer: Peer) -> None:
        """Take back what a terminal that is gone was typing: nobody else could settle it.

        It looks at no frontier any more either.
        """
        self._look_at_frontier(peer, on=False)
        author = author_of(peer)
        await self._take_back(lambda: self._proposer.typed_by(author))

    async def _take_back(self, typed: Callable[[], tuple[Step, ...]]) -> None:
        """Take back what nobody is typing any more, as soon as it can be."""
        while self._proposer.holds(typed()):
            try:
                await self._proposer.withdraw(typed())
            except WorkerError as error:
                _log.warning("taking back what was typed: %s", error)
            if self._proposer.holds(typed()):
                await asyncio.sleep(AGAIN_S)

    async def _withdraw(self, author: Author) -> None:
        """Take back what a terminal was typing; what cannot be at once is as soon as it can."""
        typed = self._proposer.typed_by(author)
        try:
            await self._proposer.withdraw(typed)
        except WorkerError as error:
            raise WorkerError(f"not taken back yet, tried until it is: {error}") from error
        finally:
            if self._proposer.holds(typed):
                task = asyncio.create_task(self._take_back(lambda: typed))
                self._taking_back.add(task)
                task.add_done_callback(self._taking_back.discard)

    async def answer(self, intent: asked.Intent, peer: Peer) -> str:
        """Carry out `intent` for the process that the kernel vouches for."""
        self._require_role(intent, peer.uid)
        match intent:
            case asked.Quit():
                return self._leave() if intent.leave_desk else ""
            case asked.Keep() | asked.Forget() | asked.Compare() | asked.AskFrontier():
                return self._beside(intent, peer)
            case asked.Solve() | asked.Reestimate() | asked.Undo() | asked.Redo():
                said = await self._propose(intent, author_of(peer))
                await self._supersede()
                return said
            case (
                asked.Bend()
                | asked.Unbend()
                | asked.Withdraw()
                | asked.Relax()
                | asked.Reduce()
                | asked.Recall()
            ):
                await self._bend(intent, peer)
                await self._supersede()
                return ""
            case _:
                return await self._trade(intent, trader_of(peer.uid, ssh_of(peer.pid)))

    def _require_role(self, intent: asked.Intent, uid: int) -> None:
        """Refuse what none of a user's roles allows.

        Raises
        ------
        GateRefused
            With reason ``role``.
        """
        roles = ALLOWED.get(type(intent), ("trade",))
        if isinstance(intent, asked.Kill):
            roles = RELEASE if intent.state == "ACTIVE" else TIGHTEN
        if not any(self.may(uid, role) for role in roles):
            raise GateRefused(
                f"expected the role {' or '.join(roles)}, was {trader_of(uid).name} without it; "
                "[roles] of the desk's config.toml gives it",
                "role",
            )

    async def _supersede(self) -> None:
        """Void a ticket that waits when what a trader asked for is not its own proposal."""
        picture = self._proposer.picture
        if self.trading is None or picture.proposal is None or picture.state != "ready":
            return
        self.trading.supersede(picture.proposal.digest)
        await self.settle_pace()

    async def _propose(self, intent: asked.Intent, author: Author) -> str:
        match intent:
            case asked.Solve():
                await self._proposer.solve(intent.strategy)
            case asked.Undo():
                return await self._undo(author)
            case asked.Redo():
                await self._proposer.redo()
            case _:
                await self._proposer.solve()
        return ""

    async def _undo(self, author: Author) -> str:
        """Step back; say whose step that was, where it was another terminal's."""
        whose, typed = self._proposer.undoes, self._proposer.previewing
        await self._proposer.undo()
        if whose is None or whose.terminal == author.terminal:
            return ""
        what = "what is being typed" if typed else "a step"
        return f"taken back: {what} of {whose.name}, terminal {whose.pid}; ctrl+r brings it back"

    async def _bend(self, intent: asked.Intent, peer: Peer) -> None:
        proposer, author = self._proposer, author_of(peer)
        match intent:
            case asked.Bend():
                await proposer.bend(intent.text, preview=intent.preview, by=author)
            case asked.Unbend():
                await proposer.unbend(intent.key, author)
            case asked.Withdraw():
                await self._withdraw(author)
            case asked.Relax():
                await proposer.relax(intent.name, author)
            case asked.Reduce():
                await proposer.reduce(intent.share, author)
            case asked.Recall():
                await proposer.recall(intent.slot, author)

    def _beside(self, intent: asked.Intent, peer: Peer) -> str:
        """Carry out what leaves the proposal that stands as it is."""
        match intent:
            case asked.Keep():
                self._proposer.keep(intent.slot)
                return f"kept as {intent.slot}"
            case asked.Forget():
                self._proposer.forget(intent.slot)
            case asked.Compare():
                self._proposer.compare()
            case asked.AskFrontier():
                self._look_at_frontier(peer, on=intent.on)
        return ""

    def _look_at_frontier(self, peer: Peer, *, on: bool) -> None:
        """Have the frontier traced for as long as any terminal looks at it."""
        wanted = bool(self._on_frontier)
        if on:
            self._on_frontier.add(peer)
        else:
            self._on_frontier.discard(peer)
        if wanted != bool(self._on_frontier):
            self._proposer.draw_frontier(on=not wanted)

    async def _trade(self, intent: asked.Intent, trader: Actor) -> str:
        trading = self.trading
        if trading is None:
            raise JournalError(self.trading_fault)
        match intent:
            case asked.OpenTicket():
                return await self._open(trading, intent, trader)
            case asked.ExportOrders():
                if not intent.ticket:
                    self._fresh(intent.digest)
                return (await trading.export(intent.digest, trader, intent.ticket)).reason
            case asked.CancelWorking():
                sent = await trading.cancel_working(trader, protective=intent.protective)
                return f"{sent} orders cancelled"
            case asked.Kill():
                await trading.kill(intent.reason, trader, intent.state)
                return f"the desk is {trading.kill_said}"
            case asked.Settle():
                return await trading.settling.settle(intent.leg, intent.reason, trader)
            case _:
                await _decide(trading, intent, trader)
        await self.settle_pace()
        return ""

    async def _open(self, trading: Trading, intent: asked.OpenTicket, trader: Actor) -> str:
        own = trading.own_proposal(intent.purpose, intent.digest)
        proposal = own or self._fresh(intent.digest)
        purpose = "send" if intent.purpose in OWN else intent.purpose
        self._opening += 1
        try:
            if self.pace is not None:
                await self.pace.slow()
            if purpose == "send":
                await self._sight.wait_for_books(proposal)
            await trading.open_ticket(
                proposal, purpose, trader, intent.columns, intent.rows, intent.override
            )
            self._planned = (proposal.digest, proposal.what_if)
        finally:
            self._opening -= 1
            await self.settle_pace()
        return ""

    def _fresh(self, digest: str) -> Proposal:
        """Return the proposal that a terminal shows, while it is the one that stands."""
        proposal = self._sight.proposal(digest)
        if proposal is None:
            raise ConfirmationRefused(self._proposer.picture.why_not(digest), "proposal")
        return proposal

    async def settle_pace(self) -> None:
        """Let a slowed replay go on once no ticket is opened, waits or is being sent."""
        if self._opening or self.pace is None or self.trading is None or not self.pace.slowed:
            return
        if self.trading.ticket_view.phase not in BUSY:
            await self.pace.resume()


async def _decide(trading: Trading, intent: asked.Intent, trader: Actor) -> None:
    """Carry out what a person decides about the open ticket."""
    match intent:
        case asked.ConfirmTicket():
            await trading.confirm(intent, trader)
        case asked.ApproveTicket():
            await trading.approve(intent, trader)
        case asked.DeclineTicket():
            await trading.decline(intent, trader)
        case asked.RejectTicket():
            await trading.reject(intent.id, intent.reason, trader)
        case asked.CloseTicket():
            # Another's ticket is ended by rejecting it, in one's own name; leaving it is no end.
            if trading.ticket_view.trader_uid == trader.uid:
                await trading.close(intent.id)
        case _:
            raise InputError(f"expected an intent known here, was {intent!r}; update perptui")


def author_of(peer: Peer) -> Author:
    """Return whose terminal is at the other end."""
    return Author(peer.uid, peer.pid, trader_of(peer.uid).name, peer.connection)
