"""Orders that the venue does not find: when that is enough to say it never accepted one.

A failed query proves nothing. Authoritative answers count, at least `NOT_FOUND_GAP_MS` apart, and
only those given once the request was too old to be accepted: an earlier one says nothing of an
order that was still on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from perptui.desk.orders.gate_desk import RECEIVE_WINDOW_MS
from perptui.desk.orders.stop_news import bare
from perptui.journal.events import Alarm, LegMoved
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import DAY_MS, MINUTE_MS, Clock, VenueClock
from perptui.model.order import TERMINAL_STATES, LegState, Side

ACCEPTANCE_MS = RECEIVE_WINDOW_MS + 30_000
"""After this much venue time a request that was on its way can no longer be accepted."""
NOT_FOUNDS = 3
NOT_FOUND_GAP_MS = 2_000
LOST_NOT_FOUNDS = 6
"""After so many, a move of a position against the order's side was another hand's."""
PERSON_AFTER_MS = 3 * DAY_MS
"""Venues forget unfilled orders after this long: "no such order" then proves nothing."""

SHORT_MS = 10 * MINUTE_MS
"""After this long fills that the venue reports and does not give are for a person too."""
DOUBTFUL = frozenset({LegState.UNKNOWN, LegState.ACKED})
PERSONAL = ("lost", "old", "short")
"""How the keys of alarms over legs begin that only a person can settle."""

Pairs = Mapping[str, tuple[Decimal, Decimal]]
"""By contract: the position as the journal has it, and as the venue has it, where they differ."""


def out_of_reach(journal: Journal, venues: Collection[str]) -> list[str]:
    """Return what to do about legs whose venue the configuration does not name any more."""
    return [
        f"{venue}: expected it in the configuration, was absent with {count} unsettled "
        f"leg{'s' if count > 1 else ''}; add [venues.{venue}] again until they are settled"
        for venue, count in journal.unsettled_by_venue().items()
        if venue not in venues
    ]


def cure(leg: LegRow) -> str:
    """Return what a person does about a leg that the program cannot settle."""
    return f"ask the venue, then `:settle {leg.ticket}.{leg.number + 1} REASON`"


def short_of_fills(leg: LegRow) -> Alarm:
    """Return the alarm for fills that a venue reports and does not give."""
    text = f"leg {leg.client_id} has reported fills that do not come: {cure(leg)}"
    return Alarm("short of fills", f"short:{leg.client_id}", text)


class Lost:
    """Counts how often each leg's order was not found.

    Parameters
    ----------
    journal : Journal
        Told of what can be said of an order.
    clock : Clock, optional
        Whose monotonic time must agree that an order is too old to be accepted: the venue's clock
        may jump.
    """

    def __init__(self, journal: Journal, clock: Clock | None = None) -> None:
        self._journal = journal
        self._clock = clock
        self._sent_mono: dict[str, float] = {}
        self._seen_ms: dict[str, list[int]] = {}
        self._short_ms: dict[str, int] = {}

    def asked(self, leg: LegRow) -> None:
        """Remember, when a leg is first asked about, when it was sent by our own clock."""
        if self._clock is not None and leg.client_id not in self._sent_mono:
            now_ms = self._clock.utc_ms()
            age_s = max(0, now_ms - (leg.sent_ms or now_ms)) / 1000
            self._sent_mono[leg.client_id] = self._clock.monotonic() - age_s / self._speed

    def _early(self, leg: LegRow, now_ms: int) -> bool:
        """Return whether the order may still be accepted, by the venue's clock or by ours."""
        if leg.sent_ms is None or now_ms - leg.sent_ms <= ACCEPTANCE_MS:
            return True
        sent = self._sent_mono.get(leg.client_id)
        if self._clock is None or sent is None:
            return False
        return (self._clock.monotonic() - sent) * self._speed * 1000 <= ACCEPTANCE_MS

    @property
    def _speed(self) -> float:
        """Venue seconds per second of our own: in a simulation the rules run on venue time."""
        return self._clock.speed if isinstance(self._clock, VenueClock) else 1.0

    def note(self, leg: LegRow, now_ms: int) -> None:
        """Count an authoritative "no such order", unless it is early or another was just now."""
        if self._early(leg, now_ms):
            return
        seen = self._seen_ms.setdefault(leg.client_id, [])
        if not seen or now_ms - seen[-1] >= NOT_FOUND_GAP_MS:
            seen.append(now_ms)

    def found(self, client_id: str) -> None:
        """Forget what was counted: the venue has the order."""
        self._seen_ms.pop(client_id, None)

    def _long(self, leg: LegRow, times: int) -> bool:
        return leg.executed == 0 and len(self._seen_ms.get(leg.client_id, ())) >= times

    def moves(self, leg: LegRow, disagree: Pairs) -> bool:
        """Return whether a leg may be why its contract's position disagrees.

        Not so where the leg was long not found and the position moved the other way. A move its
        own way may hold the order, and another hand's beside it: that is an alarm, and a person
        has to ask the venue.
        """
        ours, theirs = disagree.get(leg.instrument, (Decimal(0), Decimal(0)))
        if ours == theirs or not self._long(leg, LOST_NOT_FOUNDS):
            return True
        moved = theirs - ours if leg.side is Side.BUY else ours - theirs
        if moved <= 0:
            return False
        text = f"leg {leg.client_id} is not found, its position moved as if it were: {cure(leg)}"
        self._alarm("lost order", f"lost:{leg.client_id}", text)
        return True

    def never_accepted(self, missing: Iterable[LegRow], disagree: Pairs, now_ms: int) -> None:
        """Journal which of the legs that were not found now were never accepted."""
        for asked in missing:
            leg = self._journal.leg(asked.client_id)
            if leg is None or leg.state in TERMINAL_STATES:
                continue
            doubtful = leg.state in DOUBTFUL
            counted = len(self._seen_ms.get(leg.client_id, ()))
            if now_ms - (leg.sent_ms or now_ms) > PERSON_AFTER_MS:
                if doubtful or counted >= NOT_FOUNDS:
                    text = f"leg {leg.client_id} is {leg.state} for over three days: {cure(leg)}"
                    self._alarm("old unknown", f"old:{leg.client_id}", text)
            elif not doubtful:
                continue
            elif self._long(leg, NOT_FOUNDS) and leg.instrument not in disagree:
                text = f"{counted} times not found, no trade, positions agree"
                self._journal.append(
                    LegMoved(leg.client_id, LegState.NEVER_ACCEPTED, leg.filled, None, "", text)
                )
                if leg.protective:
                    alarm = bare(leg.client_id, leg.instrument, text)
                    self._alarm(alarm.what, alarm.key, alarm.text)

    def short(self, leg: LegRow, now_ms: int) -> None:
        """Take that a leg which is over is still short of fills: for long, it is for a person."""
        if now_ms - self._short_ms.setdefault(leg.client_id, now_ms) > SHORT_MS:
            alarm = short_of_fills(leg)
            self._alarm(alarm.what, alarm.key, alarm.text)

    def _alarm(self, what: str, key: str, text: str) -> None:
        if not self._journal.has_notice(key):
            self._journal.append(Alarm(what, key, text))
