"""What the desk shows of its tickets: the open one, its legs, and the journal of all."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record


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


class TicketView(Record, frozen=True):
    """The open confirmation, or the progress of a ticket being sent.

    `phase`: "none", "confirm", "sending", "done", "void", "exported". `text` is the canonical
    ticket, 80 columns a line, drawn as it is. Input is dead until `opens_mono`.
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
