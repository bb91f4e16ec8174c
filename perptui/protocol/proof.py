"""That a text is what a token stands for, worked out by the process that shows it.

An approver's terminal trusts no desk for it: it hashes what it was sent and reads the text there.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from perptui.protocol.views_ticket import TicketView


class Shown(msgspec.Struct, frozen=True):
    """What a terminal needs to know of a ticket's content; the rest of it is in the hash too."""

    ticket: str
    text: tuple[str, ...]


def proven_token(view: TicketView) -> str:
    """Return the token that this process made of the ticket's content; "" where it is not shown.

    The hash of the content must be the token that the trader confirmed, and the text and id that
    are drawn must be those in the content.
    """
    content = b"" if view.approval is None else view.approval.content
    token = hashlib.sha256(content).hexdigest()
    if not hmac.compare_digest(token, view.token):
        return ""
    try:
        shown = msgspec.json.decode(content, type=Shown)
    except msgspec.MsgspecError:
        return ""
    return token if (shown.ticket, shown.text) == (view.id, view.text) else ""
