"""Stops that wait for an order of their contract: sent once that ended, while they are confirmed.

An order whose answer was lost may have been filled. Its stop was confirmed with it: once the
reconcile knows how the order ended the stop goes, if there is something to protect and the
confirmation still stands. Later it needs a new one: it is left, and that is an ALARM.
"""

from __future__ import annotations

from collections.abc import Callable

from perptui.desk.orders.canceling import Cancels
from perptui.desk.orders.executor import Admit, Executor
from perptui.desk.orders.opened import OpenTicket
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.order import Leg, LegState

UNSENT = frozenset({LegState.CONFIRMED, LegState.APPROVED})


class LateStops:
    """The tickets of this process with stops that wait.

    Parameters
    ----------
    executor : Executor
        Sends a stop, or leaves it.
    cancels : Cancels
        Cancels the stops that it replaces.
    changed : callable
        Called whenever a view changed.
    """

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        cancels: Cancels,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._executor = executor
        self._cancels = cancels
        self._clock = clock
        self._changed = changed
        self._waiting: dict[str, tuple[OpenTicket, Admit]] = {}

    def keep(self, opened: OpenTicket, admit: Admit) -> None:
        """Remember a ticket that was attempted if stops of it wait."""
        if self._stops(opened):
            self._waiting[opened.ticket.id] = (opened, admit)

    async def look(self, *, answered: bool) -> None:
        """Send what can be now, leave what waited too long; the caller holds the send lock.

        Parameters
        ----------
        answered : bool
            Whether the venues answered the reconcile before: else nothing is sent.

        Raises
        ------
        JournalError
            When a step cannot be journalled.
        """
        for identifier, (opened, admit) in list(self._waiting.items()):
            stands = self._clock.monotonic() < (opened.sent_by_mono or 0.0)
            if not answered and stands:
                continue
            for leg in self._stops(opened):
                await self._executor.protect(
                    opened.ticket, leg, opened.trader, admit, self._changed, wait=stands
                )
            if not self._stops(opened):
                self._waiting.pop(identifier)
                await self._cancels.replaced(opened.ticket, opened.trader)

    def _stops(self, opened: OpenTicket) -> list[Leg]:
        rows = {row.client_id: row.state for row in self._journal.legs(opened.ticket.id)}
        return [
            leg
            for leg in opened.ticket.legs
            if leg.intent.protective and rows.get(leg.client_id) in UNSENT
        ]
