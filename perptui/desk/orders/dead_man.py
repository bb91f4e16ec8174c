"""The dead man's switch: the venue cancels working orders when the desk falls silent.

Binance's ``countdownCancelAll`` is by contract and by account: it cancels all open orders of the
contract, and its documentation does not say whether conditional orders are among them. So it is
armed only where an order of ours works and no protective stop of ours waits, and it is disarmed
before one is sent there. A countdown outlives the process that armed it: for as long as one may
still run after a start, every contract counts as armed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from perptui.desk.orders.executor import WORKING
from perptui.desk.orders.holds import Holds
from perptui.journal.events import DeadManSet
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import JournalError
from perptui.model.instrument import split_id
from perptui.model.order import LegState, Outcome, Ticket
from perptui.model.record import Record
from perptui.venues.base import Venue

RENEWALS = 3
"""A countdown is set anew this many times while it would run once."""
UNARMED = frozenset({LegState.REJECTED, LegState.NOT_SENT})
"""How a request ends that certainly changed nothing."""


def protected_by(ticket: Ticket) -> frozenset[str]:
    """Return the contracts where a ticket sends a stop."""
    return frozenset(leg.intent.id for leg in ticket.legs if leg.intent.protective)


class _Armed(Record, frozen=True):
    """A countdown that runs, or may: how the last request ended, and when the next is due."""

    state: LegState
    due_mono: float
    disarming: bool = False


class DeadMan:
    """Keeps the venue's countdowns armed while orders of ours work.

    Parameters
    ----------
    seconds : float
        How long the desk may be silent; 0: never armed.
    holds : Holds, optional
        Told of every answer: one may hold orders back from its venue.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        clock: Clock,
        seconds: float,
        holds: Holds | None = None,
    ) -> None:
        self._holds = holds or Holds(journal, clock)
        self._journal = journal
        self._venues = venues
        self._clock = clock
        self._seconds = seconds
        self._armed: dict[str, _Armed] = {}
        self._doubtful_until_mono = clock.monotonic() + seconds
        self._cleared: set[str] = set()

    @property
    def armed(self) -> frozenset[str]:
        """The contracts whose countdown runs, or may run."""
        return frozenset(self._armed)

    async def look(self) -> None:
        """Arm, renew and disarm as the journal's orders ask for; without any it costs nothing.

        Where the journal takes nothing any more, no cancel can be sent: the desk falls silent to
        the venue too, which then ends what works.

        Raises
        ------
        JournalError
            When a change cannot be journalled.
        """
        if self._seconds <= 0 or self._journal.fault:
            return
        wanted = self._wanted()
        now = self._clock.monotonic()
        for identifier in sorted(self._armed.keys() - wanted):
            tried = self._armed[identifier].disarming
            if not tried or now >= self._armed[identifier].due_mono:
                await self._disarm(identifier)
        for identifier in sorted(wanted):
            armed = self._armed.get(identifier)
            if armed is None or armed.disarming or now >= armed.due_mono:
                await self._arm(identifier, armed)

    def _wanted(self) -> set[str]:
        """Return the contracts where an order of ours works and no stop of ours waits."""
        live = [leg for leg in self._journal.live_legs() if leg.venue in self._venues]
        works = {leg.instrument for leg in live if leg.state in WORKING and not leg.protective}
        waiting = (leg for leg in live if leg.protective and leg.state is not LegState.PROPOSED)
        return works - {leg.instrument for leg in waiting}

    async def clear(self, instruments: Iterable[str]) -> None:
        """Disarm what runs, or may run, in these contracts: a stop is about to be sent there.

        Raises
        ------
        JournalError
            When a change cannot be journalled.
        """
        if self._seconds <= 0:
            return
        doubtful = self._clock.monotonic() < self._doubtful_until_mono
        for identifier in sorted(set(instruments)):
            if identifier in self._armed or (doubtful and identifier not in self._cleared):
                await self._disarm(identifier)

    async def _arm(self, identifier: str, before: _Armed | None) -> None:
        countdown_ms = round(self._seconds * 1000)
        outcome = await self._ask(identifier, countdown_ms)
        if before is None or before.state is not outcome.state:
            self._tell(identifier, countdown_ms, outcome.state, outcome.text)
        due_mono = self._clock.monotonic() + self._seconds / RENEWALS
        self._armed[identifier] = _Armed(outcome.state, due_mono)
        self._cleared.discard(identifier)

    async def _disarm(self, identifier: str) -> None:
        """Disarm one; what may not have reached the venue is tried again."""
        before = self._armed.get(identifier)
        outcome = await self._ask(identifier, 0)
        self._tell(identifier, 0, outcome.state, outcome.text)
        never_ran = before is not None and not before.disarming and before.state in UNARMED
        if outcome.state is LegState.ACKED or never_ran:
            self._armed.pop(identifier, None)
            self._cleared.add(identifier)
            return
        due_mono = self._clock.monotonic() + self._seconds / RENEWALS
        self._armed[identifier] = _Armed(outcome.state, due_mono, disarming=True)

    def _tell(self, identifier: str, countdown_ms: int, state: LegState, text: str) -> None:
        self._journal.append(DeadManSet(identifier, countdown_ms, state.value, text))

    async def _ask(self, identifier: str, countdown_ms: int) -> Outcome:
        """Ask the venue once, and journal what its answer asks for beyond this.

        Interrupted, the venue may have it all the same: that is what is journalled.
        """
        name = split_id(identifier)[0]
        try:
            outcome = await self._venues[name].arm_dead_man(identifier, countdown_ms)
        except asyncio.CancelledError:
            with suppress(JournalError):
                self._tell(identifier, countdown_ms, LegState.UNKNOWN, "the call did not end")
            raise
        asked = self._holds.asked_by(name, outcome)
        if asked:
            self._journal.append(*asked)
        return outcome
