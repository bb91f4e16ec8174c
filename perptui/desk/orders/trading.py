"""Trading: tickets from proposal to fills, for the desk to call and to show.

Everything here runs in the desk's event loop. One lock covers sending and reconciling, so that a
reconcile never meets a leg between SENDING and its outcome. A ticket is confirmed by one call and
sent by a task of its own: a terminal that goes away stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from perptui.desk.orders.approval import Approvals
from perptui.desk.orders.canceling import Cancels
from perptui.desk.orders.dead_man import DeadMan, protected_by
from perptui.desk.orders.denied import Denied
from perptui.desk.orders.drawdown_stop import DrawdownStop
from perptui.desk.orders.endings import end_leftovers, leave_unsent
from perptui.desk.orders.executor import Executor, go_on
from perptui.desk.orders.exporting import Exports
from perptui.desk.orders.gatekeeper import Gatekeeper
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.late_stops import LateStops
from perptui.desk.orders.opened import OpenTicket
from perptui.desk.orders.reconciler import Findings, Reconciler
from perptui.desk.orders.settling import Settling
from perptui.desk.orders.tasks import Tasks
from perptui.desk.orders.ticket_view import JournalTail
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.desk.orders.trading_state import TradingState
from perptui.desk.orders.watchdog import Watchdog
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import ConfirmationRefused, JournalError
from perptui.model.proposal import Proposal
from perptui.protocol.intents import ApproveTicket, ConfirmTicket, DeclineTicket
from perptui.protocol.views_ticket import TicketView
from perptui.settings.schema import Settings
from perptui.venues.base import Venue

LOOK_S = 0.25
"""How often an open ticket and the kill file are looked at."""
RETRY_S = 2.0
"""Between reconciles while something is unresolved."""
SETTLE_TIMES = 10
SETTLE_S = 0.3

_log = logging.getLogger(__name__)


def _nothing() -> None:
    """Tell nobody."""


class Trading(TradingState):
    """Tickets, sending, reconciling and the kill switch of one desk.

    Parameters
    ----------
    journal : Journal
        Open for sending.
    venues : mapping of str to Venue
        By name, opened.
    settings : Settings
        Limits, mode, expiry, folder of exports, pace of reconciles.
    clock : Clock
        Venue time and monotonic time.
    picture : TradingPicture
        The market, book and estimates as the desk sees them at any instant.
    changed : callable, optional
        Called whenever a view changed.
    checkpoint : callable, optional
        Called at named points ("confirmed", and those of `Executor`); tests end the process there.
    pause : callable, optional
        Waits seconds; `asyncio.sleep` unless a test moves its own clock.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        settings: Settings,
        clock: Clock,
        picture: TradingPicture,
        changed: Callable[[], None] = _nothing,
        checkpoint: Callable[[str], None] = go_on,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._checkpoint = checkpoint
        self._pause = pause
        self._kill = KillSwitch.of(journal, settings.desk)
        self._watchdog = Watchdog(journal, picture, clock, settings.watchdog, self._kill)
        self._picture = picture
        denied = Denied(journal)
        self._gatekeeper = Gatekeeper(journal, settings, clock, picture, self._kill, venues, denied)
        holds, policy = self._gatekeeper.holds, settings.confirmation.on_rejection
        self._executor = Executor(
            journal, venues, clock, settings.limits, checkpoint, pause, policy, holds
        )
        approvals = Approvals(journal, settings, clock)
        self._tickets = Ticketing(journal, settings, clock, picture, self._gatekeeper, approvals)
        self._exports = Exports(journal, picture, self._tickets, settings.desk.export_dir)
        self._reconciler = Reconciler(journal, venues, pause, denied, clock)
        self._cancels = Cancels(journal, venues, clock, settings.limits, denied, holds)
        self.settling = Settling(journal, venues, settings, clock, denied, self.reconcile)
        self._late_stops = LateStops(journal, self._executor, self._cancels, clock, changed)
        self._drawdown = DrawdownStop(journal, settings, clock, picture)
        self._dead_man = DeadMan(journal, venues, clock, settings.watchdog.dead_man_s, holds)
        self._tail = JournalTail(journal)
        self._lock = asyncio.Lock()
        self._was_clean = False
        self._fault = ""
        self._due_mono = clock.monotonic()
        self._tasks = Tasks(self._lock_sends)

    async def start(self) -> None:
        """End what an earlier process left open, reconcile, and keep watch from then on.

        Sending stays locked until a reconcile was clean.
        """
        end_leftovers(self._journal)
        await self._reconcile_or_lock()
        self._tasks.spawn(self._watch(), "trading watch")

    async def stop(self) -> None:
        """Take nothing new; let sends in flight be journalled and reconciled; stop watching.

        Cancelled while it waits, it cancels the sends: their legs are UNKNOWN in the journal.
        """
        self._tickets.ending = True
        try:
            await asyncio.gather(*self._tasks.named("sending"), return_exceptions=True)
        finally:
            await self._tasks.cancel()

    async def sent(self) -> None:
        """Wait until no ticket is being sent."""
        await asyncio.gather(*self._tasks.named("sending"))

    async def open_ticket(
        self,
        proposal: Proposal,
        purpose: str,
        trader: Actor,
        columns: int,
        rows: int,
        override: str = "",
    ) -> TicketView:
        """Turn a fresh proposal into a ticket to be confirmed; `purpose`: "send" or "export".

        `override`: why breached limits are passed over, which takes a second person.

        Raises
        ------
        ConfirmationRefused, GateRefused, JournalError
            With why there is no ticket.
        """
        self._tickets.show(proposal, purpose, trader, (columns, rows), override)
        self._changed()
        return self.ticket_view

    def own_proposal(self, status: str, digest: str = "") -> Proposal | None:
        """Return a proposal of the desk's own, to be opened as any other: a key of `OWN`.

        Of another `status` the newest such one if it has this digest, to be priced anew, else None.

        Raises
        ------
        ConfirmationRefused
            When there is nothing to protect or to close, or no drawdown beyond its limit.
        """
        return self._tickets.drafts.own(status, digest)

    async def confirm(self, answer: ConfirmTicket, trader: Actor) -> TicketView:
        """Take the typed confirmation; the ticket is sent, or written, from here on.

        Where it takes a second person it waits for the approval first.

        Raises
        ------
        ConfirmationRefused, GateRefused, JournalError
            With why it does not stand; nothing was sent.
        """
        opened = self._tickets.require_confirmable(answer, trader)
        if opened.ticket.purpose == "export":
            self._exports.write(opened, trader)
        else:
            self._tickets.confirmed(opened, answer, trader)
            self._checkpoint("confirmed")
            if opened.phase == "sending":
                self._tasks.spawn(self._send(opened, trader), "sending")
        self._changed()
        return self.ticket_view

    async def approve(self, answer: ApproveTicket, approver: Actor) -> TicketView:
        """Take the second person's typed approval; the ticket is sent from here on.

        Raises
        ------
        ConfirmationRefused, GateRefused, JournalError
            With why it does not stand; nothing was sent.
        """
        opened = self._tickets.approve(answer, approver)
        self._checkpoint("approved")
        self._tasks.spawn(self._send(opened, opened.trader), "sending")
        self._changed()
        return self.ticket_view

    async def decline(self, answer: DeclineTicket, approver: Actor) -> TicketView:
        """Take the second person's no; nothing was sent.

        Raises
        ------
        ConfirmationRefused, JournalError
            When no such ticket waits, or it is no second person's, or without a reason.
        """
        self._tickets.decline(answer, approver)
        self._changed()
        return self.ticket_view

    async def reject(self, ticket: str, reason: str, trader: Actor) -> TicketView:
        """Close the open ticket without sending, also one that waits for an approval.

        Raises
        ------
        ConfirmationRefused
            When that ticket is not waiting for anybody.
        """
        opened = self._tickets.open
        if opened is None or opened.ticket.id != ticket or not opened.waits:
            raise ConfirmationRefused(f"expected an open ticket, was {ticket!r}", "other_ticket")
        self._tickets.end("REJECTED", reason or "rejected by the trader", trader)
        self._changed()
        return self.ticket_view

    async def close(self, ticket: str) -> TicketView:
        """Leave a ticket's screen; one that waits for its confirmation is rejected by that.

        One that waits for an approval or is being sent goes on.

        Raises
        ------
        JournalError
            When the rejection cannot be journalled.
        """
        opened = self._tickets.open
        goes_on = opened is not None and opened.busy and opened.phase != "confirm"
        if opened is not None and opened.ticket.id == ticket and not goes_on:
            self._tickets.end("REJECTED", "closed without a confirmation", opened.trader)
            self._tickets.open = None
            self._changed()
        return self.ticket_view

    def supersede(self, digest: str) -> None:
        """Void the ticket that waits now that a trader's proposal, of `digest`, stands."""
        if self._tickets.supersede(digest):
            self._changed()

    async def export(self, digest: str, trader: Actor, ticket: str = "") -> TicketView:
        """Write orders to CSV and JSON instead of sending them, exactly as they stand on screen.

        Those of the open ticket when `ticket` names it, which ends it; else those of the fresh
        proposal as proposed.

        Raises
        ------
        ConfirmationRefused, ConfigError, InputError, JournalError
            With why nothing was written.
        """
        if ticket:
            self._exports.ticket(ticket, trader)
        else:
            self._exports.proposal(digest, trader)
        self._changed()
        return self.ticket_view

    async def cancel_working(
        self, trader: Actor, *, due_only: bool = False, protective: bool = False
    ) -> int:
        """Cancel every order of ours that may work; return how many cancels were sent.

        Protective stops stay unless `protective` asks for them too.
        """
        sent = await self._cancels.send(trader, due_only=due_only, protective=protective)
        if sent:
            await self._reconcile_or_lock()
        self._changed()
        return sent

    async def kill(self, reason: str, trader: Actor, state: str = "HALTED") -> None:
        """Tighten the kill switch, or with "ACTIVE" release it; HALTED cancels working orders.

        Raises
        ------
        InputError, GateRefused, JournalError
            When there is no such state, or it takes a second person.
        """
        if state == "ACTIVE":
            self._kill.release(reason, trader)
            self._gatekeeper.holds.lift(reason, trader)
        else:
            self._kill.tighten(state, reason, trader)
        await self._obey_kill(trader)
        self._changed()

    async def reconcile(self) -> Findings:
        """Compare journal and venues once, now; ends tickets whose legs are all settled.

        Raises
        ------
        JournalError
            When it cannot be journalled.
        """
        async with self._lock:
            return await self._reconcile()

    async def _send(self, opened: OpenTicket, trader: Actor) -> None:
        try:
            async with self._lock:
                admit = partial(self._tickets.admit, opened)
                await self._dead_man.clear(protected_by(opened.ticket))
                try:
                    await self._executor.send(opened.ticket, trader, admit, self._changed)
                finally:
                    opened.attempted = True
                self._late_stops.keep(opened, admit)
                await self._cancels.replaced(opened.ticket, trader)
                for _ in range(SETTLE_TIMES):
                    await self._reconcile()
                    if opened.phase != "sending":
                        return
                    await self._pause(SETTLE_S)
        except JournalError as error:
            self._lock_sends(error)
        except asyncio.CancelledError:
            with suppress(JournalError):
                leave_unsent(
                    self._journal, self._journal.legs(opened.ticket.id), "stopped", "the desk ended"
                )
            raise

    async def _reconcile(self) -> Findings:
        findings = await self._reconciler.run()
        self._was_clean = self._was_clean or findings.clean
        held_up = not self._was_clean or not findings.answered
        self._gatekeeper.unclean = "; ".join(findings.reasons) if held_up else ""
        self._due_mono = self._clock.monotonic() + (
            self._settings.polling.reconcile_s if findings.clean else RETRY_S
        )
        if findings.external:
            self._tickets.end("VOID", "a position changed outside")
        await self._late_stops.look(answered=findings.answered)
        self._tickets.end_settled()
        await self._cancels.send_denied()
        self._changed()
        return findings

    async def _reconcile_or_lock(self) -> None:
        try:
            await self.reconcile()
        except JournalError as error:
            self._lock_sends(error)

    def _lock_sends(self, error: object) -> None:
        """Stop sending for as long as this process lives; what was sent stays at the venue."""
        _log.critical("sending stops: %s", error)
        self._fault = str(error)
        self._gatekeeper.unclean = self._fault
        self._changed()

    async def _watch(self) -> None:
        while True:
            await self._pause(LOOK_S)
            try:
                if any((self._tickets.look(), self._watchdog.look(), self._drawdown.look())):
                    self._changed()
                await self._obey_kill(None)
                await self._dead_man.look()
            except JournalError as error:
                self._lock_sends(error)
            if not self._fault and self._clock.monotonic() >= self._due_mono:
                await self._reconcile_or_lock()

    async def _obey_kill(self, trader: Actor | None) -> None:
        """Void what waits; cancel what works or may come to work, until the venue says it ended."""
        if self._kill.state() != "HALTED":
            return
        self._tickets.end("VOID", "the desk is HALTED")
        if self._cancels.pending:
            await self.cancel_working(trader or self._journal.actor, due_only=True)
