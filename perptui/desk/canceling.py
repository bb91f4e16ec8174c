"""Cancels: of every order of ours that may work; each is journalled before it leaves."""

from __future__ import annotations

from collections.abc import Mapping

from perptui.desk.executor import WORKING
from perptui.journal.events import Actor, CancelOutcome, CancelSending
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.order import LegState
from perptui.venues.base import Venue

CANCELABLE = WORKING | {LegState.UNKNOWN}


class Cancels:
    """Cancels one desk's orders."""

    def __init__(self, journal: Journal, venues: Mapping[str, Venue]) -> None:
        self._journal = journal
        self._venues = venues
        self._tried: set[tuple[str, LegState]] = set()

    @property
    def pending(self) -> bool:
        """True when an order may work that was not cancelled in the state it is in."""
        works = {(leg.client_id, leg.state) for leg in self._journal.live_legs()}
        return any(pair[1] in CANCELABLE for pair in works - self._tried)

    async def send(self, trader: Actor) -> int:
        """Cancel every order that may work; return how many cancels were sent.

        Raises
        ------
        JournalError
            When it cannot be journalled: that cancel was not sent.
        """
        legs = [leg for leg in self._journal.live_legs() if leg.state in CANCELABLE]
        for leg in legs:
            self._tried.add((leg.client_id, leg.state))
            await self._one(leg, trader)
        return len(legs)

    async def _one(self, leg: LegRow, trader: Actor) -> None:
        self._journal.append(CancelSending(leg.client_id), actor=trader)
        outcome = await self._venues[leg.venue].cancel(leg.instrument, leg.client_id)
        self._journal.append(CancelOutcome(leg.client_id, outcome.state, outcome.text))
