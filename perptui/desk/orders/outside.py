"""Changes that were taken for another hand's: whether a late trade of ours was what made them.

A position that moved without a trade of ours is EXTERNAL. A venue may name the trade later: it is
kept then as the fill that it is, and the EXTERNAL set right by one that takes it back, so that
nothing counts twice.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.desk.orders.notes import Notes
from perptui.journal.events import External
from perptui.journal.journal import Journal
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.money import plain
from perptui.model.order import OrderReport

WATCHED_MS = HOUR_MS
"""For so long after such a change, own trades of its contract are read again."""


class Outside:
    """Knows which contracts changed outside lately although orders of ours were sent there."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._notes = Notes(journal)

    def watched(self, venue: str, now_ms: int) -> dict[str, int]:
        """Return by contract since when own trades are to be read again, venue time in ms."""
        changed = {
            one.body.id
            for one in self._notes.mismatches
            if isinstance(one.body, External)
            and one.body.what == "position"
            and one.body.id.startswith(f"{venue}:")
            and now_ms - one.ts_ms <= WATCHED_MS
        }
        if not changed:
            return {}
        since: dict[str, int] = {}
        settled = self._notes.settled_since(now_ms - DAY_MS)
        for leg in (*self._journal.sent_since(now_ms - DAY_MS), *settled):
            if leg.instrument in changed and leg.sent_ms is not None:
                since[leg.instrument] = min(since.get(leg.instrument, leg.sent_ms), leg.sent_ms)
        return since


def placed(venue: str, report: OrderReport) -> External:
    """Return the notice of an order that no ticket of this journal placed."""
    key = f"order:{venue}:{report.venue_order_id}"
    text = f"order {report.venue_order_id} of {report.id} was placed outside"
    return External("order", report.id, text, key)


def changed(instrument: str, ours: Decimal, theirs: Decimal, late: Decimal) -> External:
    """Return the event that brings the journal's position to the venue's.

    `late`: signed contracts of our own that came now, after the contract had changed outside.
    """
    text = f"{instrument} changed outside from {plain(ours)} to {plain(theirs)}"
    if late and ours - theirs == late:
        text = (
            f"a trade of ours, {plain(late)} of {instrument}, had been taken for a change outside: "
            f"set right from {plain(ours)} to {plain(theirs)}"
        )
    return External("position", instrument, text, before=ours, after=theirs)
