"""Approval: when a ticket takes a second person, and what is asked of that person.

The second person is another uid than the one that confirmed, which the kernel vouches for; no other
mark of identity counts. The rules of typing are those of a confirmation.
"""

from __future__ import annotations

import hmac
import os
from decimal import Decimal

import msgspec

from perptui.desk.orders import confirmation
from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.opened import OpenTicket, Waiting
from perptui.desk.orders.opened import said as as_said
from perptui.desk.orders.ticket_text import TicketInputs, usd
from perptui.journal.events import (
    Actor,
    ApprovalAsked,
    ApprovalDeclined,
    Body,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.journal import Journal
from perptui.model.canonical import canonical_json
from perptui.model.clock import Clock
from perptui.model.errors import ConfirmationRefused, JournalError
from perptui.protocol.intents import ApproveTicket, DeclineTicket
from perptui.settings.roles import RoleBook
from perptui.settings.schema import ApprovalSettings, Settings

LIMIT = "limit:"
"""How the gate's reasons begin that an override may pass over."""
OVERRIDE_LENGTH = 10
"""Fewest characters of an override's reason."""


def reasons_of(inputs: TicketInputs, asked: ApprovalSettings) -> tuple[str, ...]:
    """Return why a ticket takes a second person, in words; none: one is enough.

    Protective stops are not counted: they close what the ticket opens. Orders that only reduce
    lower the margin ratio, so that it keeps nobody alone from getting out.
    """
    legs = [leg for leg in inputs.legs if not leg.protective]
    total = sum((leg.notional_usd for leg in legs), Decimal(0))
    risk, found = inputs.proposal.risk, []
    if total >= asked.notional_usd:
        found.append(f"{usd(total)} USD of orders, from {usd(asked.notional_usd)} on")
    if risk.margin_ratio >= asked.margin_ratio and not all(leg.reduce_only for leg in legs):
        found.append(
            f"margin ratio {risk.margin_ratio:.4f} of {risk.worst_account or 'an account'} after "
            f"it, from {asked.margin_ratio:.4f} on"
        )
    if inputs.override:
        found.append("it passes over a limit")
    return tuple(found)


def overriding(
    inputs: TicketInputs, refusals: tuple[Refusal, ...], override: str
) -> tuple[TicketInputs, tuple[Refusal, ...]]:
    """Return the ticket's inputs with what its override passes over, and what it cannot pass over.

    Raises
    ------
    ConfirmationRefused
        With reason ``override`` where no limit is breached, or the reason given is too short.
    """
    if not override:
        return inputs, refusals
    reason = as_said(override)
    if len(override.strip()) < OVERRIDE_LENGTH:
        raise ConfirmationRefused(
            f"expected a reason of {OVERRIDE_LENGTH} characters or more, was {reason!r}; say why",
            "override",
        )
    passed_over = tuple(one for one in refusals if one.reason.startswith(LIMIT))
    left = tuple(one for one in refusals if not one.reason.startswith(LIMIT))
    if not passed_over and not left:
        raise ConfirmationRefused(
            "expected a breached limit to pass over, was none; confirm it without an override",
            "override",
        )
    return msgspec.structs.replace(inputs, override=reason, overridden=passed_over), left


class Approvals:
    """Asks for approvals, takes them, and ends those that did not come."""

    def __init__(self, journal: Journal, settings: Settings, clock: Clock) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        shared = bool(settings.desk.socket_dir)
        self._roles = RoleBook(settings.roles, clock, os.getuid(), shared=shared)

    def with_reasons(self, inputs: TicketInputs) -> TicketInputs:
        """Return a ticket's inputs with why it takes a second person, if it does."""
        reasons = reasons_of(inputs, self._settings.approval)
        return msgspec.structs.replace(inputs, approval=reasons)

    def require_somebody(self, opened: OpenTicket, trader: Actor) -> None:
        """Refuse a confirmation that nobody could approve.

        Raises
        ------
        ConfirmationRefused
            With reason ``nobody`` and the cure.
        """
        if not opened.ticket.approval or self._roles.somebody_besides(trader.uid, "approve"):
            return
        cure = "name another user in roles.approve"
        if not self._settings.desk.socket_dir:
            cure = "share the desk with another user (desk.socket_dir, roles.approve)"
        raise ConfirmationRefused(
            f"expected a second person ({'; '.join(opened.ticket.approval)}), was a desk where "
            f"nobody else approves; {cure}, raise [approval], or propose less",
            "nobody",
        )

    def missing(self, opened: OpenTicket) -> str:
        """Return why a ticket is not approved; "" where it is, or one person is enough.

        The journal says so, not this process's memory.
        """
        if not opened.ticket.approval:
            return ""
        row = self._journal.approval(opened.ticket.id)
        state = "nobody was asked" if row is None else row.state
        return "" if state == "APPROVED" else f"its approval is {state}"

    def unpermitted(self, trader: Actor) -> str:
        """Return why a trader may not send, "" while they may."""
        allowed = self._roles.may(trader.uid, "trade")
        return "" if allowed else f"{trader.name} has no trade role in [roles]"

    def ask(self, opened: OpenTicket, confirmed: TicketConfirmed) -> None:
        """Journal the confirmation with the wait for its approval; nothing is sent yet."""
        expiry_s = self._settings.approval.expiry_s
        now, now_ms = self._clock.monotonic(), self._clock.utc_ms()
        expires_ms = now_ms + round(expiry_s * 1000)
        ticket = opened.ticket
        asked = ApprovalAsked(ticket.id, ticket.approval, expires_ms)
        self._journal.append(confirmed, asked, actor=opened.trader)
        opened.waiting = Waiting(now, now + expiry_s, expires_ms, self._stored(ticket.id))
        opened.phase = "approval"

    def _stored(self, ticket: str) -> bytes:
        """Return the canonical JSON of what was shown, from the journal, not from memory."""
        head = next(one for one in self._journal.open_tickets("CONFIRMED") if one.id == ticket)
        body = self._journal.events(head.seq)[0].record()
        if not isinstance(body, TicketProposed):
            raise JournalError(f"expected a PROPOSED event at {head.seq}; verify the journal")
        return canonical_json({**body.shown, "text": list(body.ticket.text)})

    def require_approvable(
        self, opened: OpenTicket, waiting: Waiting, answer: ApproveTicket, approver: Actor
    ) -> None:
        """Let only an approval through that another person typed, of this very content, in time.

        Raises
        ------
        ConfirmationRefused
            With reason ``same_person``, ``token``, or one of `confirmation.require_typed`.
        """
        _require_other(opened, approver)
        if not hmac.compare_digest(answer.token.encode(), opened.ticket.token.encode()):
            raise ConfirmationRefused(
                "expected the token of what was confirmed, was another; look again", "token"
            )
        in_time = msgspec.structs.replace(opened.ticket, expires_mono=waiting.expires_mono)
        confirmation.require_typed(
            in_time, answer, shown_mono=waiting.asked_mono, now=self._clock.monotonic()
        )

    def require_declinable(
        self, opened: OpenTicket, answer: DeclineTicket, approver: Actor
    ) -> None:
        """Let only another person's no through, with a reason.

        Raises
        ------
        ConfirmationRefused
            With reason ``same_person`` or ``reason``.
        """
        _require_other(opened, approver)
        if not as_said(answer.reason):
            raise ConfirmationRefused("expected a reason, was none; say why not", "reason")

    def approved(
        self, opened: OpenTicket, waiting: Waiting, answer: ApproveTicket, approver: Actor
    ) -> None:
        """Journal the approval; the ticket may be sent from now on, for as long as one stands."""
        token = opened.ticket.token
        body = TicketApproved(opened.ticket.id, token, answer.columns, answer.rows)
        self._journal.append(body, actor=approver)
        waiting.state, waiting.by, waiting.content = "APPROVED", approver.name, b""
        opened.sent_by_mono = self._clock.monotonic() + opened.inputs.expiry_s
        opened.phase = "sending"

    def is_late(self, waiting: Waiting) -> bool:
        """Return whether nobody approved in time: by venue time, nor by the machine's own."""
        late = self._clock.utc_ms() >= waiting.expires_ms
        return late or self._clock.monotonic() >= waiting.expires_mono

    def end(
        self,
        opened: OpenTicket,
        waiting: Waiting,
        state: str,
        reason: str,
        actor: Actor | None = None,
        *,
        declined: bool = False,
    ) -> None:
        """Journal that the approval did not come, and with it the ticket's end in `state`."""
        decided = "REJECTED" if declined else "VOID"
        if not declined and self.is_late(waiting):
            decided = "EXPIRED"
        self._journal.append(*_ended(opened.ticket.id, decided, state, reason), actor=actor)
        waiting.state, waiting.content = decided, b""
        waiting.by = actor.name if declined and actor is not None else ""


def _require_other(opened: OpenTicket, approver: Actor) -> None:
    if opened.trader.uid == approver.uid:
        raise ConfirmationRefused(
            f"expected a second person, was {approver.name}, who confirmed it; another user of "
            "this desk approves or declines it",
            "same_person",
        )


def _ended(ticket: str, decided: str, state: str, reason: str) -> tuple[Body, ...]:
    return ApprovalDeclined(ticket, decided, reason), TicketEnded(ticket, state, reason)
