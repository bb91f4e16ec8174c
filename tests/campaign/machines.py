"""The order path as a state machine: any order of what traders, venues and machines may do."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perptui.desk.orders.trading import LOOK_S
from perptui.journal.events import LegSending
from perptui.journal.queries import LegRow
from perptui.journal.verify import verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import ConfirmationRefused, GateRefused, JournalError
from perptui.model.order import LegState, OrderIntent, Side
from perptui.protocol.views_ticket import TicketView
from tests.campaign.coverage import TierResult
from tests.campaign.shell import collected_rarely, main, replay
from tests.campaign.wire import MEMORY
from tests.desk.dealing import ALICE, BOB, Deal, answer, order, settings_of
from tests.desk.ledger_venue import LATE_MS, LedgerVenue
from tests.desk.market import BTC, ETH, NOW_MS

NAME = "machines"
STEPS = 50
SETTLED_S = 75.0
SETTINGS = settings_of()
WORDS = ("fill", "half", "expire", "rest", "ack", "blind", "late", "lost", "reject", "not_sent")
CALLS = ("server_time", "account", "fills", "open_orders", "order")
POINTS = ("confirmed", "sending", "answered", "recorded")
WITHOUT_ORDER = frozenset({LegState.REJECTED, LegState.NOT_SENT, LegState.NEVER_ACCEPTED})
NO = (GateRefused, ConfirmationRefused, JournalError)
"""What a desk may answer a person with."""
WRONG = (
    {"typed": "0000"},
    {"key_gaps_ms": (5.0, 5.0, 5.0)},
    {"seen_end": False},
    {"columns": 79},
    {"rows": 23},
    {"id": "T0"},
)

T = TypeVar("T")


class Died(BaseException):
    """The process of the desk ended here."""


class MachineDeal(Deal):
    """A deal whose watch sleeps: the machine itself reconciles."""

    async def pause(self, seconds: float) -> None:
        """Move the clock instead of waiting; the watch waits for ever."""
        if seconds == LOOK_S:
            await asyncio.Event().wait()
        await super().pause(seconds)


class OrderPath(RuleBasedStateMachine):
    """Tickets of one desk whose venue keeps a true ledger."""

    ended: Callable[[], None] = staticmethod(lambda: None)
    """Called at the end of each machine."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="pt-", dir=MEMORY))
        self.clock = ManualClock(NOW_MS)
        self.venue = LedgerVenue(self.clock)
        self.shown = TicketView()
        self.confirmed: set[str] = set()
        self.halted_at: int | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self) -> None:
        self.deal = MachineDeal(self.folder, settings=SETTINGS, venue=self.venue, clock=self.clock)
        self.run(self.deal.trading.start())

    def teardown(self) -> None:
        try:
            self.calm()
        finally:
            self.leave()

    def leave(self) -> None:
        """Leave nothing behind."""
        self.end()
        self.loop.close()
        shutil.rmtree(self.folder)
        self.ended()

    def end(self) -> None:
        """End the desk as the kernel does: no task of it does anything any more."""
        self.deal.journal.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.run(_all(tasks))

    # ---------------------------------------------------------------- what may happen

    @rule(seconds=st.sampled_from((0.3, 2.0, 8.0, 36.0, 90.0)))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    def next_orders_go(self, words: list[str]) -> None:
        self.venue.script = words

    @rule(call=st.sampled_from(CALLS))
    def toggle_call(self, call: str) -> None:
        self.venue.down ^= {call}

    @rule(lost=st.sampled_from((LegState.UNKNOWN, LegState.NOT_SENT)))
    def next_cancel_is_lost(self, lost: LegState) -> None:
        self.venue.cancel_script = [lost]

    @rule(reduce_btc=st.booleans(), reduce_eth=st.booleans(), add=st.booleans())
    def open_ticket(self, reduce_btc: bool, reduce_eth: bool, add: bool) -> None:
        orders = [
            *self._reduction(BTC, "0.02", reduce_btc),
            *self._reduction(ETH, "0.5", reduce_eth),
        ]
        if add:
            held = self.venue.positions.get(BTC, Decimal(0))
            orders.append(order(BTC, Side.BUY, "0.01", str(held)))
        if orders:
            self.try_to(self._open(*orders))

    def _reduction(self, identifier: str, size: str, wanted: bool) -> list[OrderIntent]:
        held = self.venue.positions.get(identifier, Decimal(0))
        if not wanted or abs(held) < Decimal(size):
            return []
        side = Side.SELL if held > 0 else Side.BUY
        return [order(identifier, side, size, str(held), reduce_only=True)]

    async def _open(self, *orders: OrderIntent) -> None:
        self.shown = await self.deal.open(*orders)

    def try_to(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do something that a desk may refuse; False when it did."""
        try:
            self.run(work)
        except NO:
            return False
        return True

    @precondition(lambda self: self.shown.id)
    @rule()
    def confirm(self) -> None:
        self.clock.advance(1.2)
        ticket = self.shown.id
        if self.try_to(self._send()):
            self.confirmed.add(ticket)

    async def _send(self) -> None:
        await self.deal.trading.confirm(answer(self.shown), ALICE)
        await self.deal.trading.sent()

    @precondition(lambda self: self.shown.id)
    @rule(wrong=st.sampled_from(WRONG))
    def confirm_wrongly(self, wrong: dict[str, object]) -> None:
        self.clock.advance(1.2)
        assert not self.try_to(self.deal.trading.confirm(answer(self.shown, **wrong), ALICE))

    @precondition(lambda self: self.shown.id)
    @rule()
    def confirm_as_another(self) -> None:
        self.clock.advance(1.2)
        assert not self.try_to(self.deal.trading.confirm(answer(self.shown), BOB))

    @precondition(lambda self: self.shown.id)
    @rule(point=st.sampled_from(POINTS))
    def die_while_sending(self, point: str) -> None:
        def reached(name: str) -> None:
            if name == point:
                self.deal.journal.close()
                raise Died

        self.deal.reached = reached
        self.clock.advance(1.2)
        ticket, sent = self.shown.id, len(self.venue.submitted)
        died = False
        try:
            self.try_to(self._send())
        except Died:
            died = True
        if died or len(self.venue.submitted) > sent:
            self.confirmed.add(ticket)
        self.restart()

    @rule()
    def restart(self) -> None:
        self.end()
        self.shown = TicketView()
        self.start()

    @rule(state=st.sampled_from(("REDUCING", "HALTED")))
    def kill(self, state: str) -> None:
        self.try_to(self.deal.trading.kill("campaign", ALICE, state))
        if self.deal.trading.kill_state == "HALTED":
            self.halted_at = len(self.venue.submitted)

    @rule()
    def release(self) -> None:
        self.try_to(self.deal.trading.kill("over", BOB, "ACTIVE"))
        if self.deal.trading.kill_state != "HALTED":
            self.halted_at = None

    @rule()
    def cancel_working(self) -> None:
        self.try_to(self.deal.trading.cancel_working(ALICE))

    @rule()
    def reconcile(self) -> None:
        self.run(self.deal.trading.reconcile())

    @rule(contracts=st.sampled_from(("0.01", "-0.01")))
    def another_hand_trades(self, contracts: str) -> None:
        self.venue.positions[BTC] = self.venue.positions.get(BTC, Decimal(0)) + Decimal(contracts)

    @rule(grown=st.booleans())
    def prices_move(self, grown: bool) -> None:
        self.deal.picture.stale_text = "" if grown else "marks are old"

    # ---------------------------------------------------------------- what must hold

    def legs(self) -> dict[str, LegRow]:
        journal = self.deal.journal
        return {leg.client_id: leg for t in journal.tickets(1000) for leg in journal.legs(t.id)}

    @invariant()
    def nothing_twice_and_nothing_unconfirmed(self) -> None:
        """I1, I2, I6, I8 at every step."""
        sent = self.venue.submitted
        assert len(set(sent)) == len(sent)
        legs = self.legs()
        late = {client_id for _, _, client_id in self.venue.pending}
        for client_id in sent:
            leg = legs[client_id]
            assert leg.sent_ms is not None
            assert leg.ticket in self.confirmed
            report = self.venue.orders.get(client_id)
            there = report is not None or client_id in late
            assert not (there and leg.state in WITHOUT_ORDER)
            assert report is None or report.filled <= leg.contracts
        if self.halted_at is not None:
            assert len(sent) == self.halted_at

    @invariant()
    def every_fill_once(self) -> None:
        """I3, as far as it is known yet."""
        journal = self.deal.journal
        made = {trade.trade_id for trade in self.venue.trades}
        for leg in self.legs().values():
            kept = [
                fill for fill in journal.fills_of(leg.ticket) if fill.client_id == leg.client_id
            ]
            assert {fill.trade_id for fill in kept} <= made
            assert sum((fill.contracts for fill in kept), Decimal(0)) == leg.executed

    def settle_what_is_for_a_person(self) -> None:
        """Let a person settle what an alarm leaves to one, once no order is on its way any more."""
        journal = self.deal.journal
        for leg in self.legs().values():
            lost = not leg.settled and journal.has_notice(f"lost:{leg.client_id}")
            if lost and not self.venue.pending:
                said = "the venue's own page has no such order"
                self.run(self.deal.trading.settling.settle(leg.client_id, said, ALICE))

    def calm(self) -> None:
        """Let every fault stop; then all is known, agrees, and verifies (I3, I4, I5, I6)."""
        self.venue.down.clear()
        self.venue.cancel_script, self.venue.script = [], []
        self.run(self.deal.trading.kill("campaign", ALICE))
        ends = self.clock.monotonic() + SETTLED_S + LATE_MS / 1000
        while self.clock.monotonic() < ends:
            self.clock.advance(2.5)
            findings = self.run(self.deal.trading.reconcile())
            self.run(self.deal.trading.cancel_working(ALICE, due_only=True))
            self.settle_what_is_for_a_person()
            if findings.clean and not self.venue.pending:
                break
        assert findings.clean, findings.reasons
        self.nothing_twice_and_nothing_unconfirmed()
        self.every_fill_once()
        assert all(leg.settled or leg.state is LegState.CONFIRMED for leg in self.legs().values())
        ours = {key: held for key, held in self.deal.journal.positions().items() if held}
        assert ours == {key: held for key, held in self.venue.positions.items() if held}
        sends = [event for event in self.deal.events() if isinstance(event.record(), LegSending)]
        assert len(sends) >= len(self.venue.submitted)
        assert verify_file(self.deal.journal.path).ok


async def _all(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def run(count: int, steps: int, seed: int) -> TierResult:
    """Run `count` machines of so many steps, drawn from `seed`; a failing one is made small."""
    began = time.monotonic()
    violations = []
    try:
        with collected_rarely() as ended:
            seeded = type("Seeded", (OrderPath,), {"ended": staticmethod(ended)})
            machine = hypothesis.seed(seed)(seeded)
            run_state_machine_as_test(machine, settings=_settings(count, steps))
    except AssertionError as error:
        again = replay(NAME, seed, count)
        notes = "; ".join(getattr(error, "__notes__", ()))
        violations.append(f"{error!r} after {notes}; {again}")
    return TierResult(NAME, count, count, violations, time.monotonic() - began)


def _settings(count: int, steps: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
        derandomize=False,
    )


if __name__ == "__main__":
    sys.exit(main(NAME, 500, lambda count, seed, _: run(count, STEPS, seed)))
