"""What happens in a session that nobody at the desk did."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from perptui.model.order import Side
from perptui.settings.paths import KILL_FILE
from tests.campaign.picture import CLOUDS
from tests.campaign.truth import Outside
from tests.campaign.weather import MARKS, STEPS
from tests.desk.market import BTC

if TYPE_CHECKING:
    from tests.campaign.session import Session

JOURNAL_FAULTS: dict[str, sqlite3.Error] = {
    "disk full": sqlite3.OperationalError("database or disk is full"),
    "journal locked": sqlite3.OperationalError("database is locked"),
    "journal read-only": sqlite3.OperationalError("attempt to write a readonly database"),
    "journal corrupted": sqlite3.DatabaseError("database disk image is malformed"),
}
"""What SQLite says when the file of the journal fails."""
CHANCES = {
    "cloud": 0.30,
    "move_outside": 0.10,
    "move_mark": 0.15,
    "place_outside": 0.04,
    "reuse": 0.03,
    "break_journal": 0.05,
    "fall": 0.03,
    "lose": 0.03,
    "restart_venue": 0.05,
    "skew": 0.05,
    "kill_file": 0.04,
    "outage": 0.20,
}
"""What may happen before each act, and how likely it is in a plain session."""
MARK_WITH_STOPS = 0.4
WATCHED_S = 50.0
MANY = 2
"""A change from outside after so many others makes the watchdog bark."""


class Happenings:
    """Lets things happen to one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rng = session.rng
        self.clouded = False
        self.watched_mono = 0.0

    def change(self) -> None:
        """Let something happen that nobody at the desk did."""
        rng, chances = self._rng, self._session.theme.chances
        for name, chance in CHANCES.items():
            if name == "move_mark" and self._session.settings.stops.sigmas > 0:
                chance = MARK_WITH_STOPS
            if self._session.stormy and rng.random() < chances.get(name, chance):
                getattr(self, f"_{name}")()
        if self.clouded and rng.random() < 0.5:
            self.clear()

    def _cloud(self) -> None:
        all_of_them = (*sorted(CLOUDS), "book", "book", "inactive", "inactive")
        what = self._rng.choice(self._session.theme.clouds or all_of_them)
        self._session.picture.cloud(what, CLOUDS[what](self._rng))
        self._session.venue.coverage.note(f"picture: {what}", "gate", "clouded")
        self.clouded = True

    def clear(self) -> None:
        for what in CLOUDS:
            self._session.picture.cloud(what, "")
        self._session.picture.fall(None)
        self.clouded = False

    def _move_outside(self) -> None:
        instrument = self._rng.choice(sorted(self._session.core.positions))
        held = self._session.core.positions[instrument]
        why = self._rng.choice(("another hand", "ADL", "liquidation"))
        step = STEPS[instrument]
        after = {"ADL": held // 2 // step * step, "liquidation": held * 0}.get(why, held + step)
        if len(self._session.core.truth.all(Outside)) >= MANY:
            self._watch()
        if after != held:
            self._session.core.move_outside(instrument, after, why)
            self._session.venue.coverage.note(why, "positions", "moved")

    def _move_mark(self) -> None:
        triggers = [
            (one.instrument, one.trigger_price)
            for one in self._session.core.orders
            if one.alive and one.trigger_price is not None
        ]
        if triggers and self._rng.random() < 0.8:
            self._session.picture.move_to(*self._rng.choice(triggers))
            return
        instrument = self._rng.choice(sorted(MARKS))
        bps = self._rng.choice((-120, -20, -5, 5, 20, 120))
        self._session.picture.move(
            instrument, 1 + self._session.core.marks[instrument] * 0 + bps_of(bps)
        )

    def _place_outside(self) -> None:
        """Let another hand place an order; now and then its id looks like one of ours."""
        rng = self._rng
        instrument = rng.choice(sorted(MARKS))
        name = rng.choice(("pt", "web-", "x-")) + f"{rng.getrandbits(120):030x}"
        side = rng.choice((Side.BUY, Side.SELL))
        self._session.core.place_outside(
            name, instrument, side, STEPS[instrument] * rng.randint(1, 9)
        )
        self._session.venue.coverage.note("order of another hand", "open_orders", name[:2])

    def _reuse(self) -> None:
        """Let the next trade come with the id of an earlier one."""
        self._session.core.reuse_trade_id = True
        self._session.venue.coverage.note("reused trade id", "fills", "to come")

    def _break_journal(self) -> None:
        """Let the journal's file fail soon, until somebody ends the desk and mends it."""
        name = self._rng.choice(sorted(JOURNAL_FAULTS))
        self._session.mortality.at_fault(JOURNAL_FAULTS[name], self._rng.randint(1, 40))
        self._session.venue.coverage.note(name, "journal", "to come")

    def _fall(self) -> None:
        """Let the account be far below its peak from here on."""
        self._session.picture.fall(Decimal(40_000))

    def _lose(self) -> None:
        """Let the account lose more at once than the watchdog bears."""
        amount = self._rng.choice((600, 1_500, 3_000))
        self._session.picture.lose(Decimal(amount))
        if amount > 900:
            self._watch()

    def _watch(self) -> None:
        """Let the session last until the watchdog must have barked."""
        self.watched_mono = self._session.clock.monotonic() + WATCHED_S

    def _restart_venue(self) -> None:
        self._session.venue.weather.empty_until_ms = (
            self._session.core.now_ms() + self._rng.randint(500, 3_400)
        )

    def _outage(self) -> None:
        """Let queries of orders go dark for as long as it takes to be sure, then a restart."""
        weather, now_ms = self._session.venue.weather, self._session.core.now_ms()
        weather.dark_from_ms, weather.crawls = now_ms, self._rng.random() < 0.5
        if weather.crawls:
            return
        weather.dark_until_ms = now_ms + self._rng.randint(34_000, 44_000)
        weather.empty_until_ms = weather.dark_until_ms + self._rng.randint(1_000, 3_400)
        forgets_ms = self._rng.randint(*self._session.theme.forgets_ms)
        weather.forgets_until_ms = weather.dark_until_ms + forgets_ms
        weather.writes = max(weather.writes, 0.5)

    def _skew(self) -> None:
        far = () if self._session.mortal else (60_000, -60_000)
        self._session.core.skew_ms = self._rng.choice((-2_000, 2_000, -400, 400, *far))
        self._session.venue.coverage.note(
            f"clock {self._session.core.skew_ms:+} ms", "server_time", "skewed"
        )

    def _kill_file(self) -> None:
        self._session.path.with_name(KILL_FILE).write_text("smoke in the room")
        self._session.picture.sky("kill file", "there")
        self._session.venue.coverage.note("kill file", "gate", "there")


def bps_of(bps: int) -> Any:
    """Return basis points as an exact fraction."""
    return STEPS[BTC] * bps / 10
