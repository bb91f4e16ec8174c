"""The desk process: the socket first, then the quant process, then the venues; ends in order.

Everything slow starts after the socket listens, so a terminal attaches at once and sees what each
panel waits for.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from perptui.desk.backfill import Backfill
from perptui.desk.books import BookShelf
from perptui.desk.intents import BUSY, Intents
from perptui.desk.journal_news import JournalNews
from perptui.desk.kept import KeptFile
from perptui.desk.lifecycle import LEFT, DeskPaths, end_by_signals
from perptui.desk.orders.gatekeeper import ticketed
from perptui.desk.orders.traders import trader_of
from perptui.desk.orders.trading import Trading
from perptui.desk.pace import Pace
from perptui.desk.painter import Painter, told_by
from perptui.desk.permissions import PermissionWatch
from perptui.desk.poller import VenuePoller
from perptui.desk.proposing.after_fills import AfterFills
from perptui.desk.proposing.ahead import Ahead
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.publishing import Publishing
from perptui.desk.server import Peer, Server
from perptui.desk.sight import Sight
from perptui.desk.simulated_venue import listening_sockets
from perptui.desk.startup import sources_of, told_at_start
from perptui.desk.state import DeskState
from perptui.desk.views.status import Standing
from perptui.desk.worker import QuantWorker
from perptui.journal.journal import Journal
from perptui.model.clock import Clock, VenueClock
from perptui.model.errors import JournalError, PerptuiError, WorkerError
from perptui.model.instrument import instrument_id
from perptui.model.pauses import spare
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.intents import Intent
from perptui.protocol.views_ticket import JournalView, TicketView
from perptui.settings.roles import RoleBook
from perptui.settings.schema import Settings
from perptui.venues.base import Venue

PACE_S = 0.25
END_S = 10.0
"""How long sends in flight may take to be journalled and reconciled when the desk ends."""

_log = logging.getLogger(__name__)


def load_libraries() -> ModuleType:
    """Import what speaks to venues, and return the module that opens them."""
    importlib.import_module("perptui.venues.ccxt_client")
    return importlib.import_module("perptui.desk.venues")


class DeskApp:
    """One desk.

    Parameters
    ----------
    base : Clock
        The machine's clock.
    private_fd : int, optional
        One end of a socketpair whose other end the terminal holds: the desk ends at its EOF.
    seed : int
        Of the polls' jitter.
    config : Path, optional
        The user's configuration, whose mode is looked at.
    """

    def __init__(
        self,
        settings: Settings,
        paths: DeskPaths,
        base: Clock,
        private_fd: int | None = None,
        seed: int = 0,
        config: Path | None = None,
    ) -> None:
        self._config = config
        self._sources = sources_of(settings)
        self._settings = settings
        self._paths = paths
        self._base = base
        self._private_fd = private_fd
        self._seed = seed
        self._ending = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._clock = VenueClock(base, base.utc_ms())
        self._painter: Painter | None = None
        self._server: Server | None = None
        self._pollers: list[VenuePoller] = []
        self._observed = asyncio.Event()
        self._kept = KeptFile(paths.peak)
        self._state = DeskState(
            self._wanted(), settings.polling, self._clock, self._changed, self._kept
        )
        self._worker = QuantWorker(paths.history, paths.quant_log, base, changed=self._hurry)
        self._proposer = Proposer(self._worker, settings, base, self._snapshot, changed=self._hurry)
        self._ahead = Ahead(self._worker, base, self._proposer, self._snapshot)
        self._proposer.at_hand = self._ahead.at_hand
        self._proposer.tell_by(lambda text: self._state.tell("warn", text))
        polling = settings.polling
        self._shelf = BookShelf(base, polling.book_s * polling.stale_after_intervals)
        self._sight = Sight(self._state, self._proposer, base, settings.digest, self._shelf)
        self._after_fills = AfterFills(self._state, self._proposer, base, self._observed)
        self._regime = ""
        self._intents = Intents(self._proposer, self._sight, self._leave)
        shared = bool(settings.desk.socket_dir)
        self._roles = RoleBook(settings.roles, base, os.getuid(), shared=shared)
        self._intents.may = self._roles.may

    async def run(self) -> int:
        """Run until told to end; return the exit code."""
        end_by_signals(self.end)
        self._painter = Painter(
            self._settings, self._clock, self._state, self._proposer, self._worker
        )
        async with AsyncExitStack() as stack:
            server = Server(
                self._paths.socket,
                self._settings.desk.name,
                self._answer,
                self._painter.first(),
                shared=bool(self._settings.desk.socket_dir),
                private=self._private_fd is not None,
            )
            self._server = server
            server.left = self._left
            server.roles_of = self._roles.roles_of
            server.owned_by = self._ends_with
            server.looked = lambda: self._paint_looked(server)
            stack.push_async_callback(server.close)
            await server.open()
            self._worker.start()
            stack.push_async_callback(self._worker.close)
            self._watch_parent()
            self._start(self._painter.run(server), "painter")
            self._start(self._ahead.run(), "preparing")
            self._start(self._operate(stack), "desk")
            await self._ending.wait()
            await self._cancel_tasks()
        if self._failure is not None:
            return 1
        _log.info("the desk ended in order")
        return 0

    def end(self) -> None:
        """End in order: nothing new begins, sends in flight are journalled, children end."""
        self._ending.set()

    async def _operate(self, stack: AsyncExitStack) -> None:
        # The venue library takes a second of CPU: it loads while the simulated venue starts too.
        loading = asyncio.create_task(asyncio.to_thread(load_libraries))
        sockets = await listening_sockets(
            self._settings, self._paths, self._state, self._base, stack
        )
        opened = await loading
        for level, text in told_at_start(self._settings, self._config):
            self._state.tell(level, text)
        venues: list[Venue] = opened.open_venues(self._settings, self._clock, sockets)
        for venue in venues:
            stack.push_async_callback(venue.close)
        self._pollers = [
            VenuePoller(
                venue,
                self._state,
                self._settings.polling,
                self._clock,
                self._base,
                self._seed,
                anchors=index == 0,
            )
            for index, venue in enumerate(venues)
        ]
        for poller in self._pollers:
            poller.shelf, poller.traded = self._shelf, self._sight.traded
        await asyncio.gather(*(poller.prepare() for poller in self._pollers))
        # The venue library stays: no collection need look through it again.
        spare()
        for poller in self._pollers:
            self._start(poller.run(), "poller")
        self._intents.pace = Pace(venues[0].control, self._clock, self._state, self._poll_now)
        self._start(self._trade(stack, venues), "trading")
        await self._follow_history(venues)

    async def _trade(self, stack: AsyncExitStack, venues: list[Venue]) -> None:
        """Open the journal and trade; without a journal the desk shows and proposes only."""
        desk = self._settings.desk
        try:
            journal = Journal.open(
                self._paths.journal,
                desk=desk.name,
                account=desk.account,
                clock=self._clock,
                actor=trader_of(os.getuid()),
                version=version("perptui"),
            )
        except JournalError as error:
            self._told_fault(str(error))
            return
        stack.callback(journal.close)
        heads = Publishing(journal, self._settings, self._clock, self._state.tell)
        stack.push_async_callback(heads.end)
        self._start(heads.run(), "heads")
        by_name = {venue.name: venue for venue in venues}
        trading = Trading(journal, by_name, self._settings, self._clock, self._sight, self._traded)
        stack.push_async_callback(self._stop, trading)
        self._intents.trading = trading
        self._sight.ticketed = partial(ticketed, journal)
        if self._painter is not None:
            self._painter.told = told_by(trading)
        self._watch_keys(venues, journal)
        try:
            await trading.start()
        except JournalError as error:
            self._told_fault(str(error))
            return
        await self._watch_tickets(trading, journal)

    def _watch_keys(self, venues: list[Venue], journal: Journal) -> None:
        """In live mode nothing is sent before a key's permissions are known, and fit."""
        if self._settings.desk.mode != "live":
            return
        watch = PermissionWatch(venues, journal, self._base, self._state.tell, self._sources)
        self._start(watch.run(), "permissions")

    async def _watch_tickets(self, trading: Trading, journal: Journal) -> None:
        """Let a replay go on after a ticket that ended by itself; propose anew after fills."""
        live = self._settings.desk.mode == "live"
        news, phase = JournalNews(journal, self._state.tell, live=live), ""
        while True:
            news.look()
            await asyncio.sleep(PACE_S)
            self._kept.keep(self._state.kept)
            # A journal that cannot be read is news, and locks sending; the desk goes on showing.
            with suppress(JournalError):
                phase = await self._follow(trading, phase)

    async def _follow(self, trading: Trading, before: str) -> str:
        await self._intents.settle_pace()
        ticket = trading.ticket_view
        if before in BUSY and ticket.phase == "done":
            await self._after_fills.propose(ticket, self._intents.planned(ticket.digest))
        return ticket.phase

    async def _stop(self, trading: Trading) -> None:
        try:
            async with asyncio.timeout(END_S):
                await trading.stop()
        except TimeoutError:
            # What is still in flight stands as SENDING in the journal: UNKNOWN at the next start.
            _log.critical("sends did not end within %.0f s", END_S)

    def _told_fault(self, text: str) -> None:
        _log.critical("journal: %s", text)
        self._intents.trading, self._intents.trading_fault = None, text
        self._state.tell("alarm", text)
        if self._painter is not None:
            standing = Standing(sends_locked=text)
            journal = JournalView(path=str(self._paths.journal), fault=text)
            self._painter.told = lambda: (standing, journal, TicketView())

    def _traded(self) -> None:
        self._poll_now("account", "open_orders", "cashflows")
        self._hurry()

    def _poll_now(self, *calls: str) -> None:
        for poller in self._pollers:
            poller.hurry(*calls)

    async def _follow_history(self, venues: list[Venue]) -> None:
        backfill = Backfill(
            venues,
            self._state,
            self._worker,
            self._clock,
            self._settings.polling.bars_delay_s,
            self._estimate,
        )
        await backfill.run()

    async def _estimate(self) -> None:
        """Solve anew from new bars; what fails is shown by the panels."""
        while self._state.why_no_snapshot():
            self._observed.clear()
            await self._observed.wait()
        try:
            await self._proposer.renew()
        except WorkerError as error:
            _log.warning("estimating: %s", error)
        self._tell_regime()

    def _tell_regime(self) -> None:
        """Make a change of regime news."""
        estimates = self._proposer.picture.estimates
        if estimates is None:
            return
        before, self._regime = self._regime, estimates.regime.label
        if before and before != self._regime:
            self._state.tell("warn", f"regime {before} → {self._regime}")

    async def _answer(self, intent: Intent, peer: Peer) -> str:
        try:
            return await self._intents.answer(intent, peer)
        finally:
            if self._painter is not None and self._server is not None:
                await self._painter.paint_answer(self._server)

    def _paint_looked(self, server: Server) -> None:
        """Let a terminal have at once what it begins to look at."""
        if self._painter is not None:
            self._painter.paint(server)

    def _left(self, peer: Peer) -> None:
        self._start(self._intents.gone(peer), "leaving")

    def _leave(self) -> str:
        """Go on without the terminal that a private desk lives and dies with."""
        if self._private_fd is None:
            return ""
        asyncio.get_running_loop().remove_reader(self._private_fd)
        os.write(self._private_fd, LEFT)
        os.close(self._private_fd)
        self._private_fd = None
        return "the desk goes on; `perptui` attaches to it"

    def _ends_with(self, peer: Peer) -> bool:
        """Return True of the terminal that started this desk, until it left it running."""
        return self._private_fd is not None and peer.pid == os.getppid()

    def _snapshot(self) -> MarketSnapshot | str:
        return self._state.snapshot() or self._state.why_no_snapshot()

    def _wanted(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(instrument_id(name, symbol) for symbol in venue.symbols)
            for name, venue in self._settings.venues.items()
        }

    def _changed(self) -> None:
        self._observed.set()
        self._ahead.moved()
        if self._painter is not None:
            self._painter.touch()

    def _hurry(self) -> None:
        if self._painter is not None:
            self._painter.hurry()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the desk when a part of it fails: better than half a desk."""
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        self._failure = task.exception()
        _log.critical("%s failed", task.get_name(), exc_info=self._failure)
        if isinstance(self._failure, PerptuiError):
            self._state.tell("alarm", str(self._failure))
        self.end()

    async def _cancel_tasks(self) -> None:
        # Again and again: a library that swallows one cancellation must not keep the desk alive.
        while tasks := [task for task in self._tasks if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)

    def _watch_parent(self) -> None:
        if self._private_fd is None:
            return
        os.set_blocking(self._private_fd, False)
        asyncio.get_running_loop().add_reader(self._private_fd, self._parent_spoke)

    def _parent_spoke(self) -> None:
        if self._private_fd is not None and not os.read(self._private_fd, 4096):
            _log.info("the terminal is gone: the private desk ends")
            asyncio.get_running_loop().remove_reader(self._private_fd)
            self.end()
