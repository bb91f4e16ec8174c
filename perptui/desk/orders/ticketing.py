"""The one ticket that is open: shown, confirmed, sent; and the gate asked on its behalf."""

from __future__ import annotations

import pwd
from decimal import Decimal

import msgspec

from perptui.desk.orders import confirmation
from perptui.desk.orders.drafting import Drafts
from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.gatekeeper import Gatekeeper, signed
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import (
    Actor,
    GateSaidNo,
    LegOutcome,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import ConfirmationRefused, GateRefused
from perptui.model.order import Leg, LegState, OrderIntent, Ticket
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.text import safe_text
from perptui.protocol.intents import ConfirmTicket
from perptui.settings.schema import Settings

REASON_LENGTH = 200


class OpenTicket(msgspec.Struct):
    """A ticket on the screens.

    `phase` as `TicketView` names it; monotonic instants; `attempted`: nothing of it is sent any
    more, though it may still be unresolved.
    """

    inputs: TicketInputs
    ticket: Ticket
    trader: Actor
    shown_mono: float
    phase: str = "confirm"
    reason: str = ""
    confirmed_mono: float | None = None
    attempted: bool = False

    @property
    def busy(self) -> bool:
        """True while it waits for a confirmation or is being sent."""
        return self.phase == "confirm" or (self.phase == "sending" and not self.attempted)


class Ticketing:
    """Opens tickets, lets them be confirmed while they stand, and asks the gate.

    Parameters
    ----------
    gatekeeper : Gatekeeper
        Asks the gate.

    Attributes
    ----------
    open : OpenTicket | None
        The ticket on the screens.
    ending : bool
        The desk ends: no ticket is opened or confirmed any more; set by the caller.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        picture: TradingPicture,
        gatekeeper: Gatekeeper,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._picture = picture
        self.gatekeeper = gatekeeper
        self._drafts = Drafts(journal, settings, clock, picture)
        self.open: OpenTicket | None = None
        self.ending = False

    def show(
        self, proposal: Proposal, purpose: str, trader: Actor, columns: int, rows: int
    ) -> OpenTicket:
        """Make a ticket of a fresh proposal, priced at the newest marks; journal and show it.

        Raises
        ------
        ConfirmationRefused
            When the terminal is too small, another ticket is open, or the mode forbids it.
        GateRefused
            With the gate's first reason; all of them are in the message and the journal.
        """
        confirmation.require_size(columns, rows)
        self._require_room(proposal)
        self._require_mode(purpose)
        inputs = self._drafts.priced_now(proposal, purpose, trader)
        if purpose == "send":
            self._require_gate("", self.gatekeeper.ask(inputs, inputs.legs, ""), trader)
        return self._shown(inputs, trader)

    def show_as_proposed(self, proposal: Proposal, trader: Actor) -> OpenTicket:
        """Make a ticket that exports exactly the orders that the proposal shows.

        Raises
        ------
        ConfirmationRefused
            When another ticket is open, the mode forbids it, or the proposal is not fresh.
        """
        self._require_room(proposal)
        self._require_mode("export")
        return self._shown(self._drafts.as_proposed(proposal, "export", trader), trader)

    def _shown(self, inputs: TicketInputs, trader: Actor) -> OpenTicket:
        now = self._clock.monotonic()
        ticket, shown = confirmation.ticket_of(inputs, now)
        self._journal.append(TicketProposed(ticket, shown), actor=trader)
        self.open = OpenTicket(inputs, ticket, trader, now)
        return self.open

    def supersede(self, digest: str) -> bool:
        """Void the ticket that waits unless it is of the proposal `digest`; True when voided."""
        opened = self.open
        if opened is None or opened.phase != "confirm" or opened.inputs.proposal.digest == digest:
            return False
        self.end("VOID", f"a newer proposal stands: #{digest[:4]}")
        return True

    def _require_room(self, proposal: Proposal) -> None:
        self._require_going_on()
        self.look()
        if self._picture.proposal(proposal.digest) is not None:
            self.supersede(proposal.digest)
        if self.open is not None and self.open.busy:
            raise ConfirmationRefused(
                f"expected no open ticket, was {self.open.ticket.id}; finish or reject it", "open"
            )

    def _require_going_on(self) -> None:
        if self.ending:
            raise ConfirmationRefused(
                "expected a desk that goes on, was one that ends; start it again", "ending"
            )

    def _require_mode(self, purpose: str) -> None:
        mode = self._settings.desk.mode
        allowed = {"paper": {"send", "export"}, "live": {"send", "export"}, "export": {"export"}}
        if purpose not in allowed.get(mode, set()):
            raise ConfirmationRefused(
                f"expected a purpose that mode {mode} has, was {purpose!r}; change desk.mode",
                "mode",
            )

    def require_own(self, ticket: str, trader: Actor) -> OpenTicket:
        """Return the ticket of that id if it waits, stands, and `trader` opened it.

        Raises
        ------
        ConfirmationRefused
            With reason ``ending``, ``other_ticket``, ``other_trader`` or ``void``.
        """
        self._require_going_on()
        opened = self.open
        if opened is None or opened.phase != "confirm" or opened.ticket.id != ticket:
            raise ConfirmationRefused(
                f"expected an open ticket, was {ticket!r}; solve again", "other_ticket"
            )
        if opened.trader.uid != trader.uid:
            raise ConfirmationRefused(
                f"expected {opened.trader.name}, who opened it, was {trader.name}", "other_trader"
            )
        self.look()
        if opened.phase != "confirm":
            raise ConfirmationRefused(f"the ticket is void: {opened.reason}; price it anew", "void")
        return opened

    def require_confirmable(self, answer: ConfirmTicket, trader: Actor) -> OpenTicket:
        """Return the open ticket if `answer` confirms it.

        Raises
        ------
        ConfirmationRefused
            When it does not stand or the answer is not its own, typed, in time.
        GateRefused
            When the gate refuses it; then it is void.
        """
        opened = self.require_own(answer.id, trader)
        now = self._clock.monotonic()
        confirmation.require_typed(opened.ticket, answer, shown_mono=opened.shown_mono, now=now)
        if opened.inputs.purpose == "send":
            refusals = self.gatekeeper.ask(opened.inputs, opened.inputs.legs, "")
            if refusals:
                self.end("VOID", refusals[0].text)
            self._require_gate(opened.ticket.id, refusals, trader)
        return opened

    def confirmed(self, opened: OpenTicket, answer: ConfirmTicket, trader: Actor) -> None:
        """Journal the confirmation; from here on the ticket's token is used up."""
        body = TicketConfirmed(opened.ticket.id, opened.ticket.token, answer.columns, answer.rows)
        self._journal.append(body, actor=trader)
        opened.confirmed_mono = self._clock.monotonic()
        opened.phase = "sending"

    def admit(self, opened: OpenTicket, leg: Leg) -> tuple[Refusal, ...]:
        """Ask the gate about `leg` and the ones after it, with everything as it is now.

        While legs that only reduce are sent, those that add are left out: they are asked about in
        their own turn, and one that no longer fits must not keep the book from getting smaller.
        """
        left = opened.inputs.legs[leg.index :]
        if leg.intent.reduce_only:
            left = tuple(one for one in left if one.reduce_only)
        return self.gatekeeper.ask(opened.inputs, left, self._stand(opened, left))

    def look(self) -> bool:
        """Void the open ticket if it expired or drifted; True when it was voided now."""
        opened = self.open
        if opened is None or opened.phase != "confirm":
            return False
        if self._clock.monotonic() >= opened.ticket.expires_mono:
            self.end("VOID", "expired")
            return True
        snapshot = self._picture.snapshot()
        positions = {} if snapshot is None else confirmation.positions_of(snapshot)
        reason = self._drift(opened, snapshot, opened.inputs.legs, positions)
        if reason is not None:
            self.end("VOID", reason)
        return reason is not None

    def end(self, state: str, reason: str, actor: Actor | None = None) -> None:
        """End the open ticket before it was confirmed."""
        opened = self.open
        if opened is None or opened.phase != "confirm":
            return
        said = safe_text(reason, REASON_LENGTH)
        self._journal.append(TicketEnded(opened.ticket.id, state, said), actor=actor)
        opened.phase, opened.reason = "void", said or state.lower()

    def end_settled(self) -> None:
        """End every confirmed ticket of whose legs nothing more is to be learned."""
        for head in self._journal.open_tickets("CONFIRMED"):
            legs = self._journal.legs(head.id)
            if not all(leg.settled for leg in legs):
                continue
            filled = sum(leg.state is LegState.FILLED for leg in legs)
            reason = f"{filled} of {len(legs)} legs filled"
            self._journal.append(TicketEnded(head.id, "DONE", reason))
            if self.open is not None and self.open.ticket.id == head.id:
                self.open.phase, self.open.reason = "done", reason

    def end_leftovers(self) -> None:
        """End what an earlier process left open: nothing of it is sent by this one."""
        why = "the desk started anew"
        for head in self._journal.open_tickets("PROPOSED"):
            self._journal.append(TicketEnded(head.id, "VOID", why))
        for leg in self._journal.live_legs():
            if leg.state is LegState.CONFIRMED:
                body = LegOutcome(leg.client_id, LegState.NOT_SENT, "restart", why)
                self._journal.append(body)

    def _stand(self, opened: OpenTicket, left: tuple[OrderIntent, ...]) -> str:
        """Return why a confirmed ticket no longer stands; "" while it does."""
        confirmed = opened.confirmed_mono
        if confirmed is None:
            return "not confirmed"
        if self._clock.monotonic() >= confirmed + opened.inputs.expiry_s:
            return "expired"
        snapshot = self._picture.snapshot()
        known = self.gatekeeper.known_positions()
        # Of other contracts the venue's word counts: an ADL or another hand shows there first.
        # Of the ticket's own the journal's does: the venue's reading lags behind its fills.
        positions = {} if snapshot is None else confirmation.positions_of(snapshot)
        for leg in self._journal.legs(opened.ticket.id):
            positions[leg.instrument] = known.get(leg.instrument, Decimal(0))
        for leg in self._journal.legs(opened.ticket.id):
            positions[leg.instrument] -= signed(leg, max(leg.filled, leg.executed))
        return self._drift(opened, snapshot, left, positions) or ""

    def _drift(
        self,
        opened: OpenTicket,
        snapshot: MarketSnapshot | None,
        legs: tuple[OrderIntent, ...],
        positions: dict[str, Decimal],
    ) -> str | None:
        return confirmation.drift(
            opened.inputs,
            snapshot,
            legs=legs,
            positions=positions,
            settings_digest=self._picture.settings_digest(),
            stale=self._picture.stale(),
        )

    def _require_gate(self, ticket: str, refusals: tuple[Refusal, ...], trader: Actor) -> None:
        if not refusals:
            return
        text = "; ".join(refusal.text for refusal in refusals)
        codes = tuple(refusal.reason for refusal in refusals)
        self._journal.append(GateSaidNo(ticket, "", codes, text), actor=trader)
        raise GateRefused(f"nothing was sent: {text}", codes[0])


def trader_of(uid: int, ssh: str = "") -> Actor:
    """Return the actor of a uid that the kernel vouched for."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Actor(uid=uid, name=name, ssh=ssh)
