"""Paints the views: at most so often, only when something changed, and once a second for ages."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from perptui.desk.orders.trading import Trading
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.server import Server
from perptui.desk.state import DeskState, Picture
from perptui.desk.views.desk_view import (
    MARKET_PANELS,
    Present,
    Scene,
    Told,
    answer_panels,
    first_view,
    panels,
    panels_around,
    present_of,
)
from perptui.desk.views.status import Identity, Standing, VenueTime
from perptui.desk.worker import QuantWorker
from perptui.model.clock import VenueClock
from perptui.model.errors import JournalError
from perptui.model.forecast import Estimates
from perptui.protocol.views import DeskView
from perptui.protocol.views_ticket import JournalView, TicketView
from perptui.settings.schema import Settings

CALM_S = 0.5
HURRIED_S = 0.25
GIVE_WAY_S = 0.15
"""What was asked for goes before the picture: a quick answer is painted at once, and only once. A
whole picture drawn while the answer comes would hold it up."""

MEANWHILE_S = 0.003
"""How long after a question was asked it is on its way, and the desk has nothing else to do."""

TICK_S = 1.0
UNSEEN_S = 5.0
"""How often panels are painted that no terminal looks at; one that looks gets them at once."""

DRIFT_MS = 50
"""Venue time is sent anew when the terminal's own extrapolation is further off than this."""


def nothing_told() -> tuple[Standing, JournalView, TicketView]:
    """Return what the trading side says before its journal is open."""
    return Standing(sends_locked="the journal is not open yet"), JournalView(), TicketView()


def told_by(trading: Trading) -> Told:
    """Return what an open journal and its trading show; the last of it once it cannot be read."""
    last = nothing_told()

    def told() -> tuple[Standing, JournalView, TicketView]:
        nonlocal last
        try:
            standing = Standing(
                kill_state=trading.kill_state,
                sends_locked=trading.sends_locked,
                unknown_legs=trading.unknown_legs,
            )
            last = (standing, trading.journal_view, trading.ticket_view)
        except JournalError as error:
            locked = str(error)
            with suppress(JournalError):
                locked = trading.sends_locked or locked
            standing = msgspec.structs.replace(last[0], sends_locked=locked)
            last = (standing, msgspec.structs.replace(last[1], fault=locked), last[2])
        return last

    return told


class Painter:
    """Turns the desk's records into panels and publishes them.

    Attributes
    ----------
    told : callable
        What the trading side of the desk shows.
    """

    def __init__(
        self,
        settings: Settings,
        clock: VenueClock,
        state: DeskState,
        proposer: Proposer,
        worker: QuantWorker,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._state = state
        self._proposer = proposer
        self._worker = worker
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        self._time = self._now()
        self._whole_mono = self._clock.monotonic()
        self._unseen_mono = -UNSEEN_S
        self._present: tuple[Picture, Estimates | None, Present] | None = None
        self.told: Told = nothing_told

    def touch(self) -> None:
        """Paint soon."""
        self._dirty.set()

    def hurry(self) -> None:
        """Paint sooner: a person waits for it.

        What an answer will be drawn beside is made while it is being worked out.
        """
        self._dirty.set()
        self._urgent.set()
        if self._proposer.picture.state == "solving":
            asyncio.get_running_loop().call_later(MEANWHILE_S, self._book_and_checks)

    def first(self) -> DeskView:
        """Return the view before anything was read."""
        return first_view(self._who(), self._time)

    def scene(self) -> Scene:
        """Return what the views are made from, now."""
        return Scene(
            who=self._who(),
            time=self._venue_time(),
            picture=self._state.picture,
            present=self._book_and_checks(),
            proposed=self._proposer.picture,
            limits=self._settings.limits,
            told=self.told,
            quant=self._worker.status,
            now_mono=self._clock.monotonic(),
            waits=self._waits,
            is_stale=self._state.is_stale,
            age_limit_s=self._state.stale_after_s,
        )

    def _book_and_checks(self) -> Present:
        """Return the present book: what-ifs between two readings are all drawn beside one."""
        rests_on = self._state.picture, self._proposer.picture.estimates
        before = self._present
        if before is None or before[0] is not rests_on[0] or before[1] is not rests_on[1]:
            picture, estimates = rests_on
            made = present_of(picture, self._settings.limits, estimates)
            self._present = before = (picture, estimates, made)
        return before[2]

    def paint(self, server: Server) -> None:
        """Publish what changed, now; what nobody looks at only now and then."""
        self._dirty.clear()
        self._urgent.clear()
        looked_at = server.looked_at
        now = self._clock.monotonic()
        if now - self._unseen_mono >= UNSEEN_S:
            self._unseen_mono, looked_at = now, MARKET_PANELS
        server.publish(panels(self.scene(), looked_at))

    async def paint_answer(self, server: Server) -> None:
        """Publish an answer, then what is around it; the rest soon, where anybody looks at it.

        What changes from here on may come after what is drawn: it is painted soon too.
        """
        self._dirty.clear()
        self._urgent.clear()
        server.publish(answer_panels(self.scene()))
        await asyncio.sleep(0)  # the answer is on its way before the lines around it are made
        server.publish(panels_around(self.scene()))
        if MARKET_PANELS & server.looked_at:
            self._dirty.set()

    async def _paint_round(self, server: Server) -> None:
        """Publish all; while a preview is solved, for a while what says so alone.

        Its answer is close: drawing the whole picture would hold it up, in the terminal too.
        """
        now, proposer = self._clock.monotonic(), self._proposer
        waits = proposer.previewing and proposer.picture.state == "solving"
        if waits and now - self._whole_mono < TICK_S:
            await self.paint_answer(server)
            return
        self._whole_mono = now
        self.paint(server)

    async def run(self, server: Server) -> None:
        """Publish for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._dirty.wait()
            await asyncio.sleep(GIVE_WAY_S)
            await self._paint_round(server)
            await asyncio.sleep(HURRIED_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(CALM_S - HURRIED_S):
                    await self._urgent.wait()

    def _waits(self) -> str:
        if self._settings.desk.mode == "view":
            return "mode view: nothing is proposed or sent; set desk.mode"
        return self._state.why_no_snapshot()

    def _who(self) -> Identity:
        desk = self._settings.desk
        markets = (venue.market for venue in self._state.picture.venues)
        words = self._settings.mode_words
        return Identity(words, desk.name, desk.account, next(filter(None, markets), ""))

    def _now(self) -> VenueTime:
        return VenueTime(self._clock.utc_ms(), self._clock.monotonic(), self._clock.speed)

    def _venue_time(self) -> VenueTime:
        now = self._now()
        sent = self._time
        expected_ms = sent.venue_ms + (now.mono - sent.mono) * sent.speed * 1000
        if sent.speed != now.speed or abs(expected_ms - now.venue_ms) > DRIFT_MS * now.speed:
            self._time = now
        return self._time
