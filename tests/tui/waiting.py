"""A ticket that waits for a second person, as the desk sends it."""

from __future__ import annotations

import hashlib

import msgspec

from perptui.model.canonical import canonical_json
from perptui.protocol.views_ticket import ApprovalView, TicketView
from tests.tui import book

TRADER = 1000
"""The uid of the trader; `tests.tui.served` tells every terminal that it is uid 1."""
SERVED = 1
WHY = "1,219,200.00 USD of orders, from 1,000,000.00 on"
EXPIRES_S = 552.0


def asked(trader_uid: int = TRADER, content: bytes = b"") -> ApprovalView:
    """Return what the second person is asked."""
    return ApprovalView((WHY,), "mira", trader_uid, "PENDING", content=content)


def ticket(trader_uid: int = TRADER, **changes: object) -> TicketView:
    """Return the book's ticket, confirmed by mira and not approved yet."""
    plain = book.ticket()
    lines = list(plain.text)
    text = (*lines[:2], f"takes a second person: {WHY}", *lines[2:])
    content = canonical_json({"ticket": plain.id, "text": list(text), "v": 1})
    made = msgspec.structs.replace(
        plain,
        phase="approval",
        text=text,
        token=hashlib.sha256(content).hexdigest(),
        expires_mono=book.NOW_MONO + EXPIRES_S,
        approval=asked(trader_uid, content),
        trader="mira",
        trader_uid=trader_uid,
    )
    return msgspec.structs.replace(made, **changes)


def declined() -> TicketView:
    """Return the same after noor declined it."""
    made = ticket()
    assert made.approval is not None
    decided = msgspec.structs.replace(made.approval, state="REJECTED", by="noor", content=b"")
    return msgspec.structs.replace(
        made,
        phase="void",
        reason="declined by noor: twice the size we agreed this morning",
        approval=decided,
    )
