"""Orders that should not be: the venue has one of a leg that it refused, or never knew of.

REJECTED, NOT_SENT and NEVER_ACCEPTED say that there is no order, and stay what they are. A venue
may say so and have taken it all the same: such legs are asked about again for a while, one that is
found is an ALARM, what works of it is cancelled, and what was filled of it is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from perptui.desk.orders.lost import SHORT_MS, short_of_fills
from perptui.desk.orders.notes import Notes
from perptui.journal.events import Alarm
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import DAY_MS, HOUR_MS, MINUTE_MS
from perptui.model.money import plain
from perptui.model.order import LegState, OrderReport
from perptui.model.record import Record

WITHOUT_ORDER = frozenset({LegState.REJECTED, LegState.NOT_SENT, LegState.NEVER_ACCEPTED})
"""Final states that say the venue has no such order: one that it has, or a fill, is an ALARM."""
ALIVE = frozenset({LegState.ACKED, LegState.OPEN, LegState.PARTIAL})
AGAIN_MS = 2 * MINUTE_MS
"""For so long after it left, such a leg's order is asked about again."""
AT_START_MS = HOUR_MS
"""The first look of a process goes back further: it does not know what was asked before."""
WITHOUT_ANSWER = frozenset({LegState.REJECTED, LegState.NOT_SENT})
"""Final states that rest on one answer alone; of NEVER_ACCEPTED the venue was asked by name."""
FORGOTTEN_MS = 10 * MINUTE_MS
"""After so long without a trace of it, the fills that an order reported are waited for no more."""


class Found(Record, frozen=True):
    """An order that should not be, as it was last seen: venue time, what is filled, if it works.

    `over_ms`: since when it is over and short of fills; None while it works.
    """

    instrument: str
    seen_ms: int
    over_ms: int | None
    filled: Decimal
    works: bool


def _as_said(report: OrderReport) -> bool:
    """Return True of an order that the venue keeps as one that it rejected: there is none."""
    return report.state is LegState.REJECTED and not report.filled


class Denied:
    """Keeps track of orders that should not be.

    Parameters
    ----------
    journal : Journal
        Told once of each.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._found: dict[str, Found] = {}
        self._since: dict[str, int] = {}
        self._answered: set[str] = set()
        self._notes = Notes(journal)

    @property
    def working(self) -> tuple[str, ...]:
        """Client ids of those that work: they are to be cancelled."""
        return tuple(client_id for client_id, one in self._found.items() if one.works)

    @property
    def instruments(self) -> frozenset[str]:
        """The contracts in which one works, or has fills that are not here yet."""
        return frozenset(one.instrument for one in self._found.values())

    def concerns(self, leg: LegRow) -> bool:
        """Return whether a leg has no (more) order for all we know, or by a person's word."""
        return leg.state in WITHOUT_ORDER or leg.client_id in self._notes.settled

    def lately(self, since_ms: int) -> list[LegRow]:
        """Return the legs sent since, and those that a person settled since."""
        sent = self._journal.sent_since(since_ms)
        known = {leg.client_id for leg in sent}
        settled = self._notes.settled_since(since_ms)
        return sent + [leg for leg in settled if leg.client_id not in known]

    def short(self, client_id: str) -> Decimal | None:
        """Return what is filled of one that is over and short of fills, None of any other."""
        found = self._found.get(client_id)
        return None if found is None or found.works else found.filled

    @property
    def short_ones(self) -> tuple[str, ...]:
        """Client ids of those that are over and short of fills."""
        return tuple(client_id for client_id, one in self._found.items() if not one.works)

    def _known(self, leg: LegRow) -> Decimal:
        """Return the contracts whose fills are here, or of which a person said enough."""
        said = self._notes.settled.get(leg.client_id)
        return leg.executed if said is None else max(leg.executed, said.filled)

    @property
    def reasons(self) -> list[str]:
        """What is unresolved of them, in words."""
        return [
            f"an order of leg {client_id[:8]} works that the venue said it had not"
            if one.works
            else f"fills of leg {client_id[:8]} are not all here yet"
            for client_id, one in self._found.items()
        ]

    def suspects(self, venue: str, now_ms: int, watched: Collection[str]) -> list[LegRow]:
        """Return the legs to ask about again: late ones, those found, those of `watched`.

        Those too of which the venue has answered nothing yet, however long that takes.
        """
        since = now_ms - AGAIN_MS
        first = self._since.setdefault(venue, now_ms - AT_START_MS)
        return [
            leg
            for leg in self.lately(now_ms - DAY_MS)
            if leg.venue == venue
            and self.concerns(leg)
            and (
                leg.client_id in self._notes.settled
                or (leg.sent_ms or 0) >= since
                or ((leg.sent_ms or 0) >= first and leg.client_id not in self._answered)
                or leg.client_id in self._found
                or leg.instrument in watched
            )
        ]

    def unanswered(self, now_ms: int) -> list[LegRow]:
        """Return the legs refused in words whose venue has not said by name that it has none."""
        return [
            leg
            for leg in self._journal.sent_since(now_ms - DAY_MS)
            if leg.state in WITHOUT_ANSWER
            and leg.client_id not in self._answered
            and (leg.sent_ms or 0) >= self._since.get(leg.venue, now_ms - AT_START_MS)
        ]

    def met(self, leg: LegRow, report: OrderReport, now_ms: int) -> None:
        """Take that the venue has the order of a leg that says it has none."""
        if _as_said(report):
            self.missed(leg, now_ms)
            return
        self._answered.add(leg.client_id)
        works = report.state in ALIVE
        if not works and report.filled <= self._known(leg):
            self._found.pop(leg.client_id, None)
        else:
            self._keep(leg, report.filled, now_ms, works=works)
        key = f"denied:{leg.client_id}"
        # What was filled of one that is over is an alarm of its own, with the fill.
        if (works or not report.filled) and not self._journal.has_notice(key):
            end = "it is cancelled" if works else "it is over"
            text = (
                f"leg {leg.client_id} is {leg.state} and the venue has its order: {report.state} "
                f"with {plain(report.filled)} of {plain(leg.contracts)} filled; {end}"
            )
            self._journal.append(Alarm("denied order", key, text))

    def _keep(self, leg: LegRow, filled: Decimal, now_ms: int, *, works: bool) -> None:
        before = self._found.get(leg.client_id)
        over_ms = None if works else now_ms if before is None else before.over_ms or now_ms
        self._found[leg.client_id] = Found(leg.instrument, now_ms, over_ms, filled, works)
        key = f"short:{leg.client_id}"
        if (
            over_ms is not None
            and now_ms - over_ms > SHORT_MS
            and not self._journal.has_notice(key)
        ):
            self._journal.append(short_of_fills(leg))

    def missed(self, leg: LegRow, now_ms: int) -> None:
        """Take that the venue has, or has any more, no order of a leg."""
        self._answered.add(leg.client_id)
        before = self._found.get(leg.client_id)
        if before is None:
            return
        gone = msgspec.structs.replace(before, works=False)
        if gone.filled <= self._known(leg) or now_ms - gone.seen_ms > FORGOTTEN_MS:
            self._found.pop(leg.client_id)
        else:
            self._found[leg.client_id] = gone

    def filled(self, client_id: str) -> None:
        """Look whether the fills that were waited for are all here now."""
        before, leg = self._found.get(client_id), self._journal.leg(client_id)
        arrived = before is not None and leg is not None and self._known(leg) >= before.filled
        if before is not None and arrived and not before.works:
            self._found.pop(client_id)
