"""The watchdog: the fourth way into the kill switch, and never a way out.

It sets REDUCING when the desk loses too much too fast, when venues keep rejecting its orders, when
things change that nobody here did, or when a hedged pair stands on one leg. What it has barked at
is not barked at again once a person has released the switch: only what came after counts. All but
the loss, whose window begins with the process, is read from the journal, so that a restart
forgets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from perptui.desk.orders.kill import WATCHDOG, KillSwitch
from perptui.desk.orders.notes import Notes
from perptui.desk.orders.pairs import Pairs
from perptui.desk.orders.trading_picture import ProfitMark, TradingPicture
from perptui.journal.events import KillChanged
from perptui.journal.journal import Journal
from perptui.journal.queries import Noted
from perptui.model.clock import HOUR_MS, MINUTE_MS, Clock
from perptui.model.order import LegState
from perptui.model.record import Record
from perptui.settings.schema import WatchdogSettings

LOOK_S = 1.0
"""How often it looks."""
REJECTIONS_MS = 10 * MINUTE_MS
MISMATCHES_MS = HOUR_MS
SETTLE_S = 20.0
"""How long a loss must last: a withdrawal shows in equity before the venue's books name it."""


class Release(Record, frozen=True):
    """When a person last let the desk go on: the event's number and venue time; (0, 0) never."""

    seq: int = 0
    ts_ms: int = 0


class LossWindow:
    """Profit over the last seconds, transfers taken out.

    Parameters
    ----------
    span_s : float
        Length of the window.
    """

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._marks: list[tuple[float, Decimal, Decimal]] = []
        self._days: dict[str, tuple[int, Decimal]] = {}
        self._earned = Decimal(0)

    def reset(self) -> None:
        """Begin anew: what was lost before counts for nothing."""
        self._marks.clear()

    def add(self, now: float, mark: ProfitMark) -> None:
        """Take where equity and profit stand at monotonic `now`."""
        for venue, (since_ms, profit) in mark.days.items():
            since_before, before = self._days.get(venue, (since_ms, profit))
            # A new day counts from the last reading of the old one: from 0.
            self._earned += profit - before if since_ms == since_before else profit
            self._days[venue] = (since_ms, profit)
        self._marks.append((now, mark.equity_usd, self._earned))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._span_s:
            self._marks.pop(0)

    def loss(self) -> float:
        """Return the loss over equity at the window's start; a profit is negative.

        Without equity then, any loss is a whole one.
        """
        if not self._marks:
            return 0.0
        _, equity, earned = self._marks[0]
        lost = earned - self._marks[-1][2]
        if equity <= 0:
            return 1.0 if lost > 0 else 0.0
        return float(lost / equity)


class Watchdog:
    """Watches one desk.

    Parameters
    ----------
    kill : KillSwitch
        Tightened to REDUCING; nothing else is done to it.
    """

    def __init__(
        self,
        journal: Journal,
        picture: TradingPicture,
        clock: Clock,
        settings: WatchdogSettings,
        kill: KillSwitch,
    ) -> None:
        self._journal = journal
        self._picture = picture
        self._clock = clock
        self._settings = settings
        self._kill = kill
        self._notes = Notes(journal)
        self._window = LossWindow(settings.loss_window_s)
        self._pairs = Pairs(journal)
        self._losing_since: float | None = None
        self._released = Release()
        self._next_mono = clock.monotonic()

    def look(self) -> bool:
        """Look if it is time to; True when the switch was tightened now.

        Raises
        ------
        JournalError
            When it cannot be journalled.
        """
        now = self._clock.monotonic()
        if now < self._next_mono:
            return False
        self._next_mono = now + LOOK_S
        self._follow_release()
        why = self.why(now)
        if not why or self._journal.kill_state().state != "ACTIVE":
            return False
        self._kill.tighten("REDUCING", why, WATCHDOG)
        return True

    def why(self, now: float) -> str:
        """Return why the desk should only reduce from monotonic `now` on, "" while it need not."""
        now_ms = self._clock.utc_ms()
        reasons = (
            self._loss(now),
            self._rejections(now_ms),
            self._mismatches(now_ms),
            self._pair(now_ms),
        )
        return "; ".join(filter(None, reasons))

    def _follow_release(self) -> None:
        released = last_release(self._notes.kills)
        if released != self._released:
            self._released = released
            self._window.reset()
            self._losing_since = None

    def _loss(self, now: float) -> str:
        mark = self._picture.profit()
        if mark is None or self._picture.stale():
            return ""
        self._window.add(now, mark)
        lost, most = self._window.loss(), self._settings.loss_max
        if lost < most or lost <= 0:
            self._losing_since = None
            return ""
        if self._losing_since is None:
            self._losing_since = now
        if now - self._losing_since < SETTLE_S:
            return ""
        return f"lost {lost:.2%} within {self._settings.loss_window_s:.0f} s"

    def _rejections(self, now_ms: int) -> str:
        since = max(now_ms - REJECTIONS_MS, self._released.ts_ms + 1)
        count = sum(leg.state is LegState.REJECTED for leg in self._journal.sent_since(since))
        if count < self._settings.rejections_max:
            return ""
        return f"{count} orders rejected within ten minutes"

    def _mismatches(self, now_ms: int) -> str:
        since = now_ms - MISMATCHES_MS
        events = [one for one in self._notes.mismatches if one.seq > self._released.seq]
        count = sum(one.ts_ms >= since for one in events)
        if count < self._settings.mismatches_max:
            return ""
        return f"{count} changes within an hour that nobody here made"

    def _pair(self, now_ms: int) -> str:
        for stood_since_ms, words in self._pairs.one_legged(now_ms):
            waited_s = (now_ms - stood_since_ms) / 1000
            if stood_since_ms > self._released.ts_ms and waited_s > self._settings.pair_s:
                return words
        return ""


def last_release(kills: Sequence[Noted]) -> Release:
    """Return when the switch last went back to ACTIVE."""
    for one in reversed(kills):
        if isinstance(one.body, KillChanged) and one.body.state == "ACTIVE":
            return Release(one.seq, one.ts_ms)
    return Release()
