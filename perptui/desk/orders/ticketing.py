"""The one ticket that is open: shown, confirmed, sent; and the gate asked on its behalf."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.desk.orders import confirmation, endings
from perptui.desk.orders.approval import LIMIT, Approvals, overriding
from perptui.desk.orders.drafting import Drafts
from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.gatekeeper import Gatekeeper, signed
from perptui.desk.orders.opened import OpenTicket, Waiting, said
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import (
    Actor,
    GateSaidNo,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import ConfirmationRefused, GateRefused
from perptui.model.order import Leg, LegState, OrderIntent
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.intents import ApproveTicket, ConfirmTicket, DeclineTicket
from perptui.settings.schema import Settings

NAME_LENGTH = 32
"""Of a user's name, as it stands in tickets and in the journal; a directory may hold anything."""
OVERRIDE_CURE = ":override REASON passes over it with a second person"


class Ticketing:
    """Opens tickets, lets them be confirmed while they stand, and asks the gate.

    Parameters
    ----------
    gatekeeper : Gatekeeper
        Asks the gate.
    approvals : Approvals
        Asks for second persons.

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
        approvals: Approvals,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._picture = picture
        self.gatekeeper = gatekeeper
        self._approvals = approvals
        self.drafts = Drafts(journal, settings, clock, picture)
        self.open: OpenTicket | None = None
        self.ending = False

    def show(
        self,
        proposal: Proposal,
        purpose: str,
        trader: Actor,
        size: tuple[int, int],
        override: str = "",
    ) -> OpenTicket:
        """Make a ticket of a fresh proposal, priced at the newest marks; journal and show it.

        Parameters
        ----------
        size : tuple of int
            Columns and rows of the terminal.
        override : str
            Why the limits that the gate would hold are passed over; "" passes over none.

        Raises
        ------
        ConfirmationRefused
            When the terminal is too small, another ticket is open, the mode forbids it, or there is
            nothing that the override may pass over.
        GateRefused
            With the gate's first reason; all of them are in the message and the journal.
        """
        confirmation.require_size(*size)
        self._require_room(proposal)
        self._require_mode(purpose)
        inputs = self.drafts.priced_now(proposal, purpose, trader)
        inputs = msgspec.structs.replace(inputs, hosts=self.gatekeeper.hosts())
        if purpose == "send":
            refusals = self.gatekeeper.ask(inputs, inputs.legs, "")
            inputs, refusals = overriding(inputs, refusals, override)
            self._require_gate("", refusals, trader)
            inputs = self._approvals.with_reasons(inputs)
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
        return self._shown(self.drafts.as_proposed(proposal, "export", trader), trader)

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
            self._approvals.require_somebody(opened, trader)
            self._require_gate_now(opened, "", trader)
        return opened

    def confirmed(self, opened: OpenTicket, answer: ConfirmTicket, trader: Actor) -> None:
        """Journal the confirmation; from here on the ticket's token is used up.

        Its phase is "sending" from here on, or "approval" where it takes a second person.
        """
        body = TicketConfirmed(opened.ticket.id, opened.ticket.token, answer.columns, answer.rows)
        if opened.ticket.approval:
            self._approvals.ask(opened, body)
            return
        self._journal.append(body, actor=trader)
        opened.sent_by_mono = self._clock.monotonic() + opened.inputs.expiry_s
        opened.phase = "sending"

    def approve(self, answer: ApproveTicket, approver: Actor) -> OpenTicket:
        """Take the second person's approval of the ticket that waits for one; it may be sent then.

        Prices are checked here again: one that left its collar meanwhile voids the ticket.

        Raises
        ------
        ConfirmationRefused
            When it does not stand or the answer is not a second person's own, typed, in time.
        GateRefused
            When the gate refuses it; then it is void.
        """
        opened, waiting = self._require_waiting(answer.id)
        self._approvals.require_approvable(opened, waiting, answer, approver)
        self._require_gate_now(opened, self._drifted(opened, opened.inputs.legs) or "", approver)
        self._approvals.approved(opened, waiting, answer, approver)
        return opened

    def decline(self, answer: DeclineTicket, approver: Actor) -> None:
        """Take the second person's no.

        Raises
        ------
        ConfirmationRefused
            When no such ticket waits for an approval, its own trader declines it, or without a
            reason.
        """
        opened, waiting = self._require_waiting(answer.id)
        self._approvals.require_declinable(opened, answer, approver)
        reason = said(answer.reason)
        self._approvals.end(opened, waiting, "REJECTED", reason, approver, declined=True)
        opened.phase, opened.reason = "void", f"declined by {approver.name}: {reason}"

    def _require_waiting(self, ticket: str) -> tuple[OpenTicket, Waiting]:
        """Return the ticket of that id and its wait, if it waits for an approval and stands."""
        self._require_going_on()
        opened = self.open
        waiting = None if opened is None else opened.waiting
        if opened is None or waiting is None or opened.ticket.id != ticket:
            raise ConfirmationRefused(
                f"expected a ticket that waits for approval, was {ticket!r}; look again",
                "other_ticket",
            )
        self.look()
        if opened.phase != "approval":
            why = opened.reason or f"it is {waiting.state}"
            raise ConfirmationRefused(f"the ticket waits no more: {why}", "void")
        return opened, waiting

    def _require_gate_now(self, opened: OpenTicket, stand: str, actor: Actor) -> None:
        """Ask the gate about all of a ticket that waits; what it refuses is void."""
        refusals = self.gatekeeper.ask(opened.inputs, opened.inputs.legs, stand)
        if refusals:
            self.end("VOID", refusals[0].text)
        self._require_gate(opened.ticket.id, refusals, actor)

    def admit(self, opened: OpenTicket, leg: Leg) -> tuple[Refusal, ...]:
        """Ask the gate about `leg` and the ones after it, with everything as it is now.

        While legs that only reduce are sent, those that add are left out: they are asked about in
        their own turn, and one that no longer fits must not keep the book from getting smaller.
        Stops are asked about one by one, and legs that were given up not at all.
        """
        left = self._left_of(opened, leg)
        return self.gatekeeper.ask(
            opened.inputs,
            left,
            self._stand(opened, left),
            approval=self._approvals.missing(opened),
            permission=self._approvals.unpermitted(opened.trader),
        )

    def _left_of(self, opened: OpenTicket, leg: Leg) -> tuple[OrderIntent, ...]:
        if leg.intent.protective:
            return (leg.intent,)
        rows = self._journal.legs(opened.ticket.id)
        gone = {row.number for row in rows if row.state is LegState.NOT_SENT}
        return tuple(
            one.intent
            for one in opened.ticket.legs[leg.index :]
            if one.index not in gone
            and not one.intent.protective
            and (one.intent.reduce_only or not leg.intent.reduce_only)
        )

    def look(self) -> bool:
        """Void the open ticket if it expired or drifted; True when it was voided now.

        While it waits for a second person prices may move: they are checked when it is approved.
        """
        opened = self.open
        if opened is None or not opened.waits:
            return False
        waiting = opened.waiting
        if waiting is None:
            late = self._clock.monotonic() >= opened.ticket.expires_mono
            reason = "expired" if late else self._drifted(opened, opened.inputs.legs)
        else:
            late = self._approvals.is_late(waiting)
            reason = "nobody approved it in time" if late else self._drifted(opened, ())
        if reason is not None:
            self.end("VOID", reason)
        return reason is not None

    def _drifted(self, opened: OpenTicket, legs: tuple[OrderIntent, ...]) -> str | None:
        """Return why a ticket that waits no longer stands, None while it does.

        `legs`: those whose prices must still be within their collars.
        """
        snapshot = self._picture.snapshot()
        positions = {} if snapshot is None else confirmation.positions_of(snapshot)
        return self._drift(opened, snapshot, legs, positions)

    def end(self, state: str, reason: str, actor: Actor | None = None) -> None:
        """End the open ticket before anything of it was sent."""
        opened = self.open
        if opened is None or not opened.waits:
            return
        why = said(reason)
        if opened.waiting is None:
            self._journal.append(TicketEnded(opened.ticket.id, state, why), actor=actor)
        else:
            self._approvals.end(opened, opened.waiting, state, why, actor)
        opened.phase, opened.reason = "void", why or state.lower()

    def end_settled(self) -> None:
        """End every confirmed ticket of whose legs nothing more is to be learned."""
        for identifier, reason in endings.end_settled(self._journal).items():
            if self.open is not None and self.open.ticket.id == identifier:
                self.open.phase, self.open.reason = "done", reason

    def _stand(self, opened: OpenTicket, left: tuple[OrderIntent, ...]) -> str:
        """Return why a confirmed ticket no longer stands; "" while it does."""
        if opened.sent_by_mono is None:
            return "not confirmed, or not approved"
        if self._clock.monotonic() >= opened.sent_by_mono:
            return "expired"
        snapshot = self._picture.snapshot()
        known = self.gatekeeper.known_positions()
        # The venue's word counts: an ADL or another hand shows there first. Only where the ticket
        # itself has sent does the journal's: the venue's reading lags behind its fills.
        positions = {} if snapshot is None else confirmation.positions_of(snapshot)
        sent = [leg for leg in self._journal.legs(opened.ticket.id) if leg.sent_ms is not None]
        for leg in sent:
            positions[leg.instrument] = known.get(leg.instrument, Decimal(0))
        for leg in sent:
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
        only_limits = all(code.startswith(LIMIT) for code in codes)
        cure = f"; {OVERRIDE_CURE}" if only_limits and not ticket else ""
        raise GateRefused(f"nothing was sent: {text}{cure}", codes[0])
