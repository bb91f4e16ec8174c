"""The ticket on the screens, and its part that waits for a second person."""

from __future__ import annotations

import msgspec

from perptui.desk.orders.ticket_text import TicketInputs
from perptui.journal.events import Actor
from perptui.model.order import Ticket
from perptui.model.text import safe_text

REASON_LENGTH = 200


class Waiting(msgspec.Struct):
    """A confirmed ticket's wait for its approval.

    Attributes
    ----------
    asked_mono, expires_mono : float
        Monotonic instants; the journal holds the same end in venue time, `expires_ms`.
    content : bytes
        Canonical JSON of what was shown, as the journal has it; the token is its SHA-256.
    state : str
        PENDING, APPROVED, REJECTED, EXPIRED or VOID.
    by : str
        Who approved or declined.
    """

    asked_mono: float
    expires_mono: float
    expires_ms: int
    content: bytes
    state: str = "PENDING"
    by: str = ""


class OpenTicket(msgspec.Struct):
    """A ticket on the screens.

    `phase` as `TicketView` names it; monotonic instants; `sent_by_mono`: until when its legs may be
    attempted, None while that is not decided; `attempted`: nothing of it is sent any more, though
    it may still be unresolved.
    """

    inputs: TicketInputs
    ticket: Ticket
    trader: Actor
    shown_mono: float
    phase: str = "confirm"
    reason: str = ""
    sent_by_mono: float | None = None
    attempted: bool = False
    waiting: Waiting | None = None

    @property
    def waits(self) -> bool:
        """True while it waits for a person: the trader, or the one who approves."""
        return self.phase in {"confirm", "approval"}

    @property
    def busy(self) -> bool:
        """True while it waits or is being sent."""
        return self.waits or (self.phase == "sending" and not self.attempted)


def said(reason: str) -> str:
    """Return a typed reason as it is journalled and shown."""
    return safe_text(reason.strip(), REASON_LENGTH)
