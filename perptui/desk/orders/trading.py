"""Trading: tickets from proposal to fills, for the desk to call and to show.

Everything here runs in the desk's event loop. One lock covers sending and reconciling, so that a
reconcile never meets a leg between SENDING and its outcome. A ticket is confirmed by one call and
sent by a task of its own: a terminal that goes away stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from perptui.desk.orders.canceling import Cancels
from perptui.desk.orders.executor import WORKING, Executor, go_on
from perptui.desk.orders.export import write_orders
from perptui.desk.orders.gatekeeper import Gatekeeper
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.reconciler import Findings, Reconciler
from perptui.desk.orders.ticket_view import JournalTail, ticket_view
from perptui.desk.orders.ticketing import OpenTicket, Ticketing
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import Actor, TicketEnded
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import ConfigError, ConfirmationRefused, InputError, JournalError
from perptui.model.proposal import Proposal
from perptui.protocol.hand import DEAD_S
from perptui.protocol.intents import ConfirmTicket
from perptui.protocol.views_ticket import JournalView, TicketView
from perptui.settings.paths import export_dir
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


class Trading:
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
        self._kill = KillSwitch(journal, second_person=settings.desk.mode == "live")
        self._picture = picture
        self._executor = Executor(journal, venues, clock, settings.limits, checkpoint, pause)
        sent_mono = self._executor.sent_mono
        self._gatekeeper = Gatekeeper(
            journal, settings.limits, clock, picture, self._kill, sent_mono
        )
        self._tickets = Ticketing(journal, settings, clock, picture, self._gatekeeper)
        self._reconciler = Reconciler(journal, venues, pause)
        self._cancels = Cancels(journal, venues, clock)
        self._tail = JournalTail(journal)
        self._lock = asyncio.Lock()
        self._was_clean = False
        self._fault = ""
        self._due_mono = clock.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """End what an earlier process left open, reconcile, and keep watch from then on.

        Sending stays locked until a reconcile was clean.
        """
        self._tickets.end_leftovers()
        await self._reconcile_or_lock()
        self._spawn(self._watch(), "trading watch")

    async def stop(self) -> None:
        """Take nothing new; let sends in flight be journalled and reconciled; stop watching.

        Cancelled while it waits, it cancels the sends: their legs are UNKNOWN in the journal.
        """
        self._tickets.ending = True
        try:
            await asyncio.gather(*self._sending(), return_exceptions=True)
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def sent(self) -> None:
        """Wait until no ticket is being sent."""
        await asyncio.gather(*self._sending())

    def _sending(self) -> list[asyncio.Task[None]]:
        return [task for task in self._tasks if task.get_name() == "sending"]

    async def open_ticket(
        self, proposal: Proposal, purpose: str, trader: Actor, columns: int, rows: int
    ) -> TicketView:
        """Turn a fresh proposal into a ticket to be confirmed; `purpose`: "send" or "export".

        Raises
        ------
        ConfirmationRefused, GateRefused, JournalError
            With why there is no ticket.
        """
        self._tickets.show(proposal, purpose, trader, columns, rows)
        self._changed()
        return self.ticket_view

    async def confirm(self, answer: ConfirmTicket, trader: Actor) -> TicketView:
        """Take the typed confirmation; the ticket is sent, or written, from here on.

        Raises
        ------
        ConfirmationRefused, GateRefused, JournalError
            With why it does not stand; nothing was sent.
        """
        opened = self._tickets.require_confirmable(answer, trader)
        if opened.ticket.purpose == "export":
            self._write(opened, trader)
        else:
            self._tickets.confirmed(opened, answer, trader)
            self._checkpoint("confirmed")
            self._spawn(self._send(opened, trader), "sending")
        self._changed()
        return self.ticket_view

    async def reject(self, ticket: str, reason: str, trader: Actor) -> TicketView:
        """Close the open ticket without sending.

        Raises
        ------
        ConfirmationRefused
            When that ticket is not waiting for a confirmation.
        """
        opened = self._tickets.open
        if opened is None or opened.ticket.id != ticket or opened.phase != "confirm":
            raise ConfirmationRefused(f"expected an open ticket, was {ticket!r}", "other_ticket")
        self._tickets.end("REJECTED", reason or "rejected by the trader", trader)
        self._changed()
        return self.ticket_view

    async def close(self, ticket: str) -> TicketView:
        """Leave a ticket's screen: one that is being sent goes on, one that waits is rejected.

        Raises
        ------
        JournalError
            When the rejection cannot be journalled.
        """
        opened = self._tickets.open
        waits = opened is not None and opened.busy and opened.phase == "sending"
        if opened is not None and opened.ticket.id == ticket and not waits:
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
            self._write(self._tickets.require_own(ticket, trader), trader)
        else:
            self._export_proposal(digest, trader)
        self._changed()
        return self.ticket_view

    def _export_proposal(self, digest: str, trader: Actor) -> None:
        proposal = self._picture.proposal(digest)
        if proposal is None:
            raise ConfirmationRefused(
                f"expected the fresh proposal, was {digest[:4]}; solve again", "proposal"
            )
        opened = self._tickets.show_as_proposed(proposal, trader)
        try:
            self._write(opened, trader)
        except (ConfigError, InputError) as error:
            self._tickets.end("VOID", str(error))
            raise

    async def cancel_working(self, trader: Actor, *, due_only: bool = False) -> int:
        """Cancel every order of ours that may work; return how many cancels were sent."""
        sent = await self._cancels.send(trader, due_only=due_only)
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

    @property
    def ticket_view(self) -> TicketView:
        """The open ticket, or the progress of the one being sent."""
        opened = self._tickets.open
        if opened is None:
            return TicketView()
        return ticket_view(
            opened.ticket,
            self._journal.legs(opened.ticket.id),
            self._journal.fills_of(opened.ticket.id),
            phase=opened.phase,
            opens_mono=opened.shown_mono + DEAD_S,
            reason=opened.reason,
        )

    @property
    def journal_view(self) -> JournalView:
        """The journal's tail."""
        return self._tail.view()

    @property
    def sends_locked(self) -> str:
        """Why nothing, or nothing but reductions, may be sent; "" when sending is possible."""
        mode = self._settings.desk.mode
        if mode in {"view", "export"}:
            return f"mode {mode} sends nothing"
        if self._journal.fault or self._fault:
            return self._journal.fault or self._fault
        if self.kill_state == "HALTED":
            return "; ".join(filter(None, ("the desk is HALTED", self._gatekeeper.only_reducing)))
        return self._gatekeeper.unclean or self._gatekeeper.only_reducing

    @property
    def unknown_legs(self) -> int:
        """How many legs may or may not be at a venue."""
        return len(self._journal.unknown_legs())

    @property
    def working_orders(self) -> int:
        """How many orders of ours work at a venue."""
        return sum(leg.state in WORKING for leg in self._journal.live_legs())

    @property
    def kill_state(self) -> str:
        """ACTIVE, REDUCING or HALTED."""
        return self._journal.kill_state().state

    def _write(self, opened: OpenTicket, trader: Actor) -> None:
        files = write_orders(opened.inputs, export_dir(self._settings.desk.export_dir))
        names = " and ".join(Path(file.path).name for file in files)
        reason = f"{names} in {Path(files[0].path).parent}"
        self._journal.append(TicketEnded(opened.ticket.id, "EXPORTED", reason, files), actor=trader)
        opened.phase, opened.reason = "exported", reason

    async def _send(self, opened: OpenTicket, trader: Actor) -> None:
        try:
            async with self._lock:
                admit = partial(self._tickets.admit, opened)
                try:
                    await self._executor.send(opened.ticket, trader, admit, self._changed)
                finally:
                    opened.attempted = True
                for _ in range(SETTLE_TIMES):
                    await self._reconcile()
                    if opened.phase != "sending":
                        return
                    await self._pause(SETTLE_S)
        except JournalError as error:
            self._lock_sends(error)

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
        self._tickets.end_settled()
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
                if self._tickets.look():
                    self._changed()
                await self._obey_kill(None)
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

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Stop sending when a task of ours fails: nobody watches any more."""
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._lock_sends(f"{task.get_name()} failed: {type(fault).__name__}")
