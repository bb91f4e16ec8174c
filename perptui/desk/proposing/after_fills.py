"""What the desk does once a ticket was sent: it proposes anew on the book that the fills made."""

from __future__ import annotations

import asyncio
import logging

from perptui.desk.proposing.proposer import Proposer
from perptui.desk.state import DeskState
from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.whatif import WhatIf
from perptui.protocol.views_ticket import TicketView

_log = logging.getLogger(__name__)


class AfterFills:
    """Proposes after tickets.

    Parameters
    ----------
    base : Clock
        Monotonic time, by which accounts are known to be read after the fills.
    observed : asyncio.Event
        Set at every reading.
    """

    def __init__(
        self, state: DeskState, proposer: Proposer, base: Clock, observed: asyncio.Event
    ) -> None:
        self._state = state
        self._proposer = proposer
        self._base = base
        self._observed = observed

    async def propose(self, ticket: TicketView, sent: WhatIf) -> None:
        """Tell how a ticket ended, and propose anew once every account was read.

        Where anything was filled, what was bent for it is done: it is dropped, and that is said.

        Parameters
        ----------
        sent : WhatIf
            Of the proposal that the ticket was made from.
        """
        self._state.tell("info", f"ticket {ticket.id}: {ticket.reason}")
        await self._accounts_read()
        filled = any(leg.filled for leg in ticket.legs)
        try:
            dropped = await self._proposer.follow_fills(sent if filled else WhatIf())
        except WorkerError as error:
            _log.warning("proposing after fills: %s", error)
            return
        if dropped:
            self._state.tell(
                "info", f"what-if of ticket {ticket.id} is done and dropped, u restores: {dropped}"
            )

    async def _accounts_read(self) -> None:
        since = self._base.monotonic()
        while any(
            (venue.observed_mono("account") or 0.0) <= since for venue in self._state.picture.venues
        ):
            self._observed.clear()
            await self._observed.wait()
