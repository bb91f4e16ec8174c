"""Whole sessions from seeds: tickets, faults, crashes, restarts, outside changes.

Afterwards the venue's ledger is held against the journal: every order has one confirmed leg and
was sent once (I1), nothing beyond what was confirmed (I2), every fill is in the journal exactly
once and positions agree (I3), the chain and its replay verify (I4), nothing stays unresolved (I5),
no final state contradicts the venue (I6).
"""

from __future__ import annotations

import contextlib
import random
from decimal import Decimal
from pathlib import Path

import pytest

from perptui.journal.verify import verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import ConfirmationRefused, GateRefused, JournalError
from perptui.model.order import TERMINAL_STATES, LegState, OrderIntent, Side
from tests.desk.dealing import ALICE, Deal, order
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

WORDS = ("fill", "half", "expire", "blind", "late", "lost", "reject", "not_sent", "rest", "ack")
CALLS = ("server_time", "account", "open_orders", "fills", "order")
POINTS = ("confirmed", "sending", "answered", "recorded")
STEPS = {BTC: Decimal("0.001"), ETH: Decimal("0.01")}
WITHOUT_ORDER = {LegState.REJECTED, LegState.NOT_SENT, LegState.NEVER_ACCEPTED}


class Session:
    """One desk on one venue, ended and started again as the seed says."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.folder = folder
        self.clock = ManualClock(NOW_MS)
        self.venue = LedgerVenue(self.clock)
        self.deal = Deal(folder, venue=self.venue, clock=self.clock)

    async def run(self, actions: int) -> None:
        """Do random things, then let the faults stop and wait."""
        await self.deal.trading.reconcile()
        for _ in range(actions):
            action = self.draw.choice(
                (self.ticket, self.ticket, self.ticket, self.crash, self.meddle, self.silence)
            )
            await action()
            self.clock.advance(self.draw.choice((0.5, 3, 20, 70)))
        self.venue.down = set()
        await self.deal.trading.cancel_working(ALICE)
        for _ in range(12):
            self.clock.advance(5)
            await self.deal.trading.reconcile()

    def orders(self) -> tuple[OrderIntent, ...]:
        made = []
        for identifier, step in STEPS.items():
            held = self.venue.positions.get(identifier, Decimal(0))
            most = int(abs(held) / step)
            if most > 4 and self.draw.random() < 0.8:
                size = step * self.draw.randrange(1, most // 4 + 1)
                side = Side.SELL if held > 0 else Side.BUY
                made.append(order(identifier, side, str(size), str(held), reduce_only=True))
        return tuple(made)

    async def ticket(self) -> None:
        """Propose and confirm; refusals are fine, nothing is sent then."""
        self.venue.script = [self.draw.choice(WORDS) for _ in range(3)]
        orders = self.orders()
        try:
            if orders:
                await self.deal.confirm(await self.deal.open(*orders))
                await self.deal.trading.sent()
        except (ConfirmationRefused, GateRefused):
            pass

    async def crash(self) -> None:
        """End the process at a point inside a ticket: the journal takes nothing from there on."""
        point = self.draw.choice(POINTS)

        def reached(name: str) -> None:
            if name == point:
                self.deal.journal.close()

        self.deal.reached = reached
        with contextlib.suppress(JournalError):
            await self.ticket()
        self.deal.journal.close()
        await self.deal.trading.stop()
        self.deal = Deal(self.folder, venue=self.venue, clock=self.clock)
        await self.deal.trading.start()
        await self.deal.trading.stop()

    async def meddle(self) -> None:
        """Somebody else trades on the account; where an order is unknown a person would have to.

        A position that changed outside does not agree, and then nothing proves that an order was
        never accepted (safety.md): the symbol stays locked.
        """
        identifier = self.draw.choice((BTC, ETH))
        if any(leg.instrument == identifier for leg in self.deal.journal.live_legs()):
            return
        change = STEPS[identifier] * self.draw.randrange(-20, 21)
        self.venue.positions[identifier] += change

    async def silence(self) -> None:
        """A call stops answering, or all answer again."""
        self.venue.down = self.draw.choice((set(), set(), {self.draw.choice(CALLS)}))
        await self.deal.trading.reconcile()

    def check(self) -> None:
        """Hold the venue's ledger against the journal."""
        journal, venue = self.deal.journal, self.venue
        assert len(venue.submitted) == len(set(venue.submitted))
        events = self.deal.events()
        confirmed = {e.body["ticket"]: e.seq for e in events if e.kind == "CONFIRMED"}
        sending = {e.body["client_id"]: e.seq for e in events if e.kind == "SENDING"}
        for client_id in venue.submitted:
            leg = journal.leg(client_id)
            assert leg is not None
            assert confirmed[leg.ticket] < sending[client_id]
        for client_id, report in venue.orders.items():
            leg = journal.leg(client_id)
            assert leg is not None
            assert report.filled <= leg.contracts
            assert leg.filled == leg.executed == report.filled
            assert leg.state is report.state
        for leg in journal.sent_since(0):
            assert leg.state in TERMINAL_STATES
            assert (leg.client_id in venue.orders) == (leg.state not in WITHOUT_ORDER)
        for fill in venue.trades:
            kept = journal.fill(fill.id, fill.trade_id)
            assert kept is not None
            assert kept.contracts == fill.contracts
        assert sum(e.kind == "FILL" for e in events) == len(venue.trades)
        held = {key: contracts for key, contracts in venue.positions.items() if contracts}
        assert {k: v for k, v in journal.positions().items() if v} == held
        assert not [e for e in events if e.kind == "ALARM"]
        assert {head.state for head in journal.tickets(100)} <= {"DONE", "VOID", "REJECTED"}
        assert self.deal.trading.sends_locked == ""
        assert verify_file(journal.path).ok
        assert all(leg.venue == VENUE for leg in journal.sent_since(0))


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(20))
async def test_the_ledger_and_the_journal_agree(tmp_path: Path, seed: int) -> None:
    session = Session(tmp_path, seed)
    await session.run(actions=8)
    session.check()
    session.deal.journal.close()
