"""Cancels: of orders of ours that may work, and of stops; each is journalled before it leaves.

Protective stops only reduce: they are no working orders, and stay when those are cancelled, unless
a person asks for them too or a confirmed ticket replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping

from perptui.desk.orders.denied import Denied
from perptui.desk.orders.executor import WORKING
from perptui.desk.orders.holds import Holds
from perptui.desk.orders.stops import superseded
from perptui.desk.orders.throttle import cancels_left, messages_of
from perptui.journal.events import Actor, CancelOutcome, CancelSending
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import Clock
from perptui.model.limit import Limits
from perptui.model.order import LegState, Ticket
from perptui.model.record import Record
from perptui.venues.base import Venue

CANCELABLE = WORKING | {LegState.UNKNOWN}
RETRY_S = 1.0
"""After the first cancel of an order in a state; doubled with each further one."""
RETRY_MAX_S = 30.0


class _Tried(Record, frozen=True):
    """The cancels of one order in one state: how many, and when the next one is due."""

    state: LegState
    times: int
    due_mono: float


class Cancels:
    """Cancels one desk's orders; the journal's state of a leg is what says that one is gone.

    Orders of a venue that is not configured any more are out of reach: the reconcile names them.

    Parameters
    ----------
    denied : Denied, optional
        Orders that work though their venue had said that it has none: cancelled with the others,
        and so is one of which the venue has said no more than that.
    holds : Holds, optional
        Told of every answer: one may hold orders back from its venue.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        clock: Clock,
        limits: Limits,
        denied: Denied | None = None,
        holds: Holds | None = None,
    ) -> None:
        self._holds = holds or Holds(journal, clock)
        self._journal = journal
        self._venues = venues
        self._clock = clock
        self._limits = limits
        self._denied = denied or Denied(journal)
        self._tried: dict[str, _Tried] = {}

    @property
    def pending(self) -> bool:
        """True when an order may work whose cancel was not tried, or is due again."""
        return any(self._due(leg) for leg in self._within_reach())

    async def send(self, trader: Actor, *, due_only: bool = False, protective: bool = False) -> int:
        """Cancel every order that may work; return how many cancels were sent.

        Those beyond the minute's budget of cancels are left to be due.

        Parameters
        ----------
        due_only : bool
            True leaves out those that were tried in their present state a moment ago.
        protective : bool
            True cancels protective stops too.

        Raises
        ------
        JournalError
            When it cannot be journalled: that cancel was not sent.
        """
        within = self._within_reach(protective=protective)
        return await self._all([leg for leg in within if not due_only or self._due(leg)], trader)

    async def send_denied(self) -> int:
        """Cancel the orders that should not be and work; return how many cancels were sent.

        Raises
        ------
        JournalError
            When it cannot be journalled: that cancel was not sent.
        """
        legs = [leg for leg in self._denied_legs() if self._due(leg)]
        return await self._all(legs, self._journal.actor) if legs else 0

    async def _all(self, wanted: list[LegRow], trader: Actor) -> int:
        legs = self._affordable(wanted)
        for leg in legs:
            self._note(leg)
        for leg in legs:
            await self._one(leg, trader)
        return len(legs)

    def _denied_legs(self) -> list[LegRow]:
        """Return the legs of orders that should not be and work, stops of ours among them."""
        legs = (self._journal.leg(client_id) for client_id in self._denied.working)
        return [leg for leg in legs if leg is not None and leg.venue in self._venues]

    async def replaced(self, ticket: Ticket, trader: Actor) -> int:
        """Cancel the stops that a ticket replaces or makes pointless; return how many.

        Those that still protect something that nothing else does stay.

        Raises
        ------
        JournalError
            When it cannot be journalled: that cancel was not sent.
        """
        rows = self._journal.legs(ticket.id)
        positions = self._journal.positions()
        named = (self._journal.leg(client_id) for client_id in ticket.cancels)
        legs = [
            leg
            for leg in named
            if leg is not None
            and leg.state in WORKING
            and leg.venue in self._venues
            and superseded(ticket, rows, leg, positions)
        ]
        legs = self._affordable(legs)
        for leg in legs:
            await self._one(leg, trader, ticket.id)
        return len(legs)

    def _affordable(self, legs: list[LegRow]) -> list[LegRow]:
        now_ms = self._clock.utc_ms()
        messages = messages_of(self._journal, now_ms)
        left = {name: cancels_left(messages, name, now_ms, self._limits) for name in self._venues}
        found = []
        for leg in legs:
            if left[leg.venue] > 0:
                left[leg.venue] -= 1
                found.append(leg)
        return found

    def _within_reach(self, *, protective: bool = False) -> list[LegRow]:
        live = [
            leg
            for leg in self._journal.live_legs()
            if leg.state in CANCELABLE
            and leg.venue in self._venues
            and (protective or not leg.protective)
        ]
        denied = [
            leg
            for leg in self._denied.unanswered(self._clock.utc_ms())
            if leg.venue in self._venues and (protective or not leg.protective)
        ]
        return live + denied + self._denied_legs()

    def _due(self, leg: LegRow) -> bool:
        tried = self._tried.get(leg.client_id)
        if tried is None or tried.state is not leg.state:
            return True
        return self._clock.monotonic() >= tried.due_mono

    def _note(self, leg: LegRow) -> None:
        before = self._tried.get(leg.client_id)
        times = 0 if before is None or before.state is not leg.state else before.times
        wait_s = min(RETRY_MAX_S, RETRY_S * 2.0 ** min(times, 10))
        due_mono = self._clock.monotonic() + wait_s
        self._tried[leg.client_id] = _Tried(leg.state, times + 1, due_mono)

    async def _one(self, leg: LegRow, trader: Actor, ticket: str = "") -> None:
        self._journal.append(CancelSending(leg.client_id, ticket), actor=trader)
        venue = self._venues[leg.venue]
        cancel = venue.cancel_stop if leg.protective else venue.cancel
        outcome = await cancel(leg.instrument, leg.client_id)
        asked = self._holds.asked_by(leg.venue, outcome)
        self._journal.append(CancelOutcome(leg.client_id, outcome.state, outcome.text), *asked)
