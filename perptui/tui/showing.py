"""What this terminal shows: the desk's newest views, a frozen picture, the state of the line."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from perptui.model.clock import Clock
from perptui.protocol.views import (
    DeskView,
    FundingView,
    LimitsView,
    Panel,
    PositionsView,
    RegimeView,
    StatusView,
)
from perptui.protocol.views_rebalance import RebalanceView
from perptui.protocol.views_ticket import JournalView, TicketView

EVERY_ROLE = ("view", "trade", "approve")
"""Until a desk says less."""

NEWS_LINES = 2
"""Lines that an answer of the desk has under the panels."""

NOTICE_S = 8.0
"""How long an answer of the desk stays on the news line."""


def waiting_view(clock: Clock) -> DeskView:
    """Return the picture before the desk's first frame: every panel says what it waits for."""
    return DeskView(
        status=StatusView(
            mode="",
            desk="",
            account="",
            market="",
            venue_ms=clock.utc_ms(),
            venue_mono=clock.monotonic(),
            speed=1.0,
        ),
        positions=PositionsView(waiting="waiting for the desk"),
        funding=FundingView(waiting="waiting for the desk"),
        regime=RegimeView(waiting="waiting for the desk"),
        rebalance=RebalanceView(waiting="waiting for the desk"),
        limits=LimitsView(waiting="waiting for the desk"),
        journal=JournalView(),
        ticket=TicketView(),
    )


class Showing:
    """The views and what surrounds them; the widgets read it, the app writes it.

    Parameters
    ----------
    clock : Clock
        Monotonic time for ages; venue time only until the desk has said its own.
    glyphs : str
        ``braille``, ``block`` or ``ascii``.
    """

    def __init__(self, clock: Clock, glyphs: str = "braille") -> None:
        self.clock = clock
        self.glyphs = glyphs
        self.live = waiting_view(clock)
        self.frozen: DeskView | None = None
        self.frozen_mono = 0.0
        self.attached = False
        self.lost_mono: float | None = None
        self.lost_why = ""
        self.losses = 0
        self.received_mono = clock.monotonic()
        self.private = False
        self.uid = os.getuid()
        self.roles: tuple[str, ...] = EVERY_ROLE
        self.trouble: Callable[[], str] = str
        self.typed_wrong = ""
        self.refused_last = ""
        self._notice = ("", "info", 0.0)

    @property
    def view(self) -> DeskView:
        """The picture that the panels draw: the frozen one, else the newest."""
        return self.frozen or self.live

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.clock.monotonic()

    def venue_ms(self) -> int:
        """Return venue time now, as the desk's anchor and speed give it."""
        status = self.live.status
        return status.venue_ms + int((self.now() - status.venue_mono) * status.speed * 1000)

    def age(self, observed_mono: float | None) -> float | None:
        """Return seconds since `observed_mono`."""
        return None if observed_mono is None else max(self.now() - observed_mono, 0.0)

    # ---------------------------------------------------------------- the line to the desk

    def take_whole(self, view: DeskView) -> None:
        """Take a whole picture: the desk is there."""
        self.live = view
        self.attached = True
        self.lost_mono = None
        self.received_mono = self.now()

    def take(self, name: str, view: Panel) -> None:
        """Take one panel anew."""
        self.live = msgspec.structs.replace(self.live, **{name: view})
        self.received_mono = self.now()

    def observe(self, name: str, observed_mono: float) -> None:
        """Note that one panel as it stands was observed again."""
        stands: Panel = getattr(self.live, name)
        self.take(name, msgspec.structs.replace(stands, observed_mono=observed_mono))

    def lose(self, why: str) -> None:
        """Note that the desk is gone; the picture stays, with its age."""
        if self.lost_mono is None:
            self.lost_mono = self.now()
            self.losses += 1
        self.lost_why = why

    @property
    def lost(self) -> bool:
        """Whether there was a desk and it is gone."""
        return self.attached and self.lost_mono is not None

    # ---------------------------------------------------------------- the ticket

    def plan_stands(self) -> bool:
        """Return whether the open ticket was made from the proposal that stands."""
        return self.live.ticket.phase == "confirm" and self.ticket_is_of_proposal()

    def ticket_is_of_proposal(self) -> bool:
        """Return whether the ticket's legs are those of the proposal that stands."""
        rebalance, digest = self.live.rebalance, self.live.ticket.digest
        return bool(digest) and rebalance.state != "solving" and rebalance.digest == digest

    # ---------------------------------------------------------------- freezing, notices

    def toggle_freeze(self) -> bool:
        """Freeze or thaw this terminal's panels; return whether they are frozen now."""
        if self.frozen is None:
            self.frozen, self.frozen_mono = self.live, self.now()
        else:
            self.frozen = None
        return self.frozen is not None

    def notice(self, text: str, level: str = "info") -> None:
        """Put one line on the news line for a while."""
        self._notice = (text, level, self.now())
        if level == "warn":
            self.refused_last = text

    def wrong(self, text: str) -> None:
        """Note what is wrong with what is being typed; "" when nothing is."""
        self.typed_wrong = text
        self.refused_last = text or self.refused_last

    def refusal(self) -> tuple[str, int]:
        """Return what was refused or is wrong with what is typed, and its lines under the desk."""
        if self.typed_wrong:
            return self.typed_wrong, 1
        text, level, since = self._notice
        fresh = level == "warn" and self.now() - since < NOTICE_S
        return (text if fresh else ""), NEWS_LINES

    def drop_refusal(self) -> bool:
        """Drop what was refused or warned of: another key or step follows; return if there was."""
        text, level, _ = self._notice
        if not text or level != "warn":
            return False
        self._notice = ("", "info", 0.0)
        return True

    def current_notice(self) -> tuple[str, str] | None:
        """Return (text, level) of the notice while it is fresh, else of what is in trouble."""
        text, level, since = self._notice
        if text and self.now() - since < NOTICE_S:
            return text, level
        trouble = self.trouble()
        return (trouble, "warn") if trouble else None
