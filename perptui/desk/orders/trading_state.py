"""Where trading stands, for the status lines: may anything be sent, what hangs, what works."""

from __future__ import annotations

from perptui.desk.orders.drawdown_stop import DrawdownStop
from perptui.desk.orders.executor import WORKING
from perptui.desk.orders.gatekeeper import Gatekeeper
from perptui.desk.orders.kill import unknown_words
from perptui.desk.orders.stops import resting_stops
from perptui.desk.orders.ticket_view import JournalTail, ticket_view
from perptui.desk.orders.ticketing import Ticketing
from perptui.journal.journal import Journal
from perptui.protocol.views_ticket import JournalView, TicketView
from perptui.settings.schema import Settings


class TradingState:
    """What can be said of one desk's trading at any instant; `trading.Trading` acts on it."""

    _journal: Journal
    _settings: Settings
    _gatekeeper: Gatekeeper
    _drawdown: DrawdownStop
    _fault: str
    _tickets: Ticketing
    _tail: JournalTail

    @property
    def ticket_view(self) -> TicketView:
        """The open ticket, or the progress of the one being sent."""
        opened = self._tickets.open
        if opened is None:
            return TicketView()
        identifier = opened.ticket.id
        return ticket_view(
            opened, self._journal.legs(identifier), self._journal.fills_of(identifier)
        )

    @property
    def journal_view(self) -> JournalView:
        """The journal's tail."""
        return self._tail.view()

    @property
    def sends_locked(self) -> str:
        """Why nothing, or nothing but reductions, may be sent; "" when sending is possible."""
        mode = self._settings.desk.mode
        if mode in {"view", "export"}:
            return f"mode {mode} sends nothing"
        if self._journal.fault or self._fault:
            return self._journal.fault or self._fault
        if self.kill_state == "HALTED":
            return "; ".join(filter(None, ("the desk is HALTED", self._gatekeeper.only_reducing)))
        gate = self._gatekeeper
        reducing = (gate.holds.words, gate.only_reducing, self._drawdown.words)
        return gate.unclean or "; ".join(filter(None, reducing))

    @property
    def unknown_legs(self) -> int:
        """How many legs may or may not be at a venue."""
        return len(self._journal.unknown_legs())

    @property
    def working_orders(self) -> int:
        """How many orders of ours work at a venue, without the stops that wait."""
        live = self._journal.live_legs()
        return sum(leg.state in WORKING and not leg.protective for leg in live)

    @property
    def protective_stops(self) -> int:
        """How many stops of ours wait at a venue."""
        return len(resting_stops(self._journal.live_legs()))

    @property
    def kill_said(self) -> str:
        """Where the kill switch stands; unless it is ACTIVE, with what is UNKNOWN, in words."""
        state = self.kill_state
        unknown = "" if state == "ACTIVE" else unknown_words(self._journal.unknown_legs())
        return "; ".join(filter(None, (state, unknown)))

    @property
    def kill_state(self) -> str:
        """ACTIVE, REDUCING or HALTED."""
        return self._journal.kill_state().state
