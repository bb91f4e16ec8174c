"""What the desk shows of its tickets: the open one, its legs, and the journal of all."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record

NOBODY = -1
"""Uid of no user."""


class TicketRow(Record, frozen=True):
    """A ticket in the journal view."""

    id: str
    created_ms: int
    purpose: str
    trader: str
    legs: int
    filled: int
    state: str
    digest: str


class JournalRow(Record, frozen=True):
    """An event of the journal, newest last."""

    seq: int
    ts_ms: int
    actor: str
    kind: str
    text: str


class JournalView(Record, frozen=True):
    """The journal's tail and whether its chain verified."""

    tickets: tuple[TicketRow, ...] = ()
    events: tuple[JournalRow, ...] = ()
    verified: str = ""
    """"chain verified to 123" or what is wrong."""
    path: str = ""
    fault: str = ""
    """Why nothing can be recorded any more, or at all, and the cure; "" while all is well."""


class LegProgress(Record, frozen=True):
    """Where one leg stands; `state` is a LegState in words, `index` counts from 1 as the text.

    `note` only where there is something to say: rejected and why, unknown, partly filled.
    """

    index: int
    label: str
    side: str
    contracts: Decimal
    filled: Decimal
    average_price: Decimal | None
    state: str
    note: str = ""
    shortfall_usd: Decimal | None = None
    """What the fills so far cost against the marks of the ticket, positive is a cost."""


class ApprovalView(Record, frozen=True):
    """The second person's part in a ticket.

    `state`: "" while nobody was asked, then PENDING, APPROVED, REJECTED, EXPIRED or VOID. `reasons`
    say why one person is not enough. `trader_uid` confirmed it and may not approve it; `by` is
    whoever approved or declined.
    """

    reasons: tuple[str, ...]
    trader: str
    trader_uid: int
    state: str = ""
    by: str = ""
    content: bytes = b""
    """While PENDING: canonical JSON of all that was shown; the token is its SHA-256."""


class TicketView(Record, frozen=True):
    """The open confirmation, or the progress of a ticket being sent.

    `phase`: "none", "confirm", "approval", "sending", "done", "void", "exported". `text` is the
    canonical ticket, 80 columns a line, drawn as it is. Input is dead until `opens_mono`; in phase
    "approval" `expires_mono` is when the approval must have been given.
    """

    phase: str = "none"
    id: str = ""
    purpose: str = ""
    token: str = ""
    text: tuple[str, ...] = ()
    opens_mono: float = 0.0
    expires_mono: float = 0.0
    legs: tuple[LegProgress, ...] = ()
    reason: str = ""
    """Why it is void, or where the export was written, in words."""
    digest: str = ""
    """Of the proposal it was made from: opening it again prices the same legs anew."""
    override: str = ""
    """Why limits are passed over; "" where none is."""
    approval: ApprovalView | None = None
    """Where a second person has to approve; None where one is enough."""
    trader: str = ""
    trader_uid: int = NOBODY
    """Who opened it, and alone may confirm it."""
