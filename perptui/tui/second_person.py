"""What this terminal's user may do, and whether a ticket waits for them: words for every screen."""

from __future__ import annotations

from perptui.tui.picture import Line
from perptui.tui.showing import Showing

TRADE, APPROVE = "trade", "approve"


def may_trade(showing: Showing) -> bool:
    """Return whether this user may change anything."""
    return TRADE in showing.roles


def waits_for_me(showing: Showing) -> bool:
    """Return whether a ticket waits that this user may approve: another's, with the role to."""
    ticket = showing.live.ticket
    if ticket.phase != "approval" or ticket.approval is None:
        return False
    return APPROVE in showing.roles and ticket.approval.trader_uid != showing.uid


def waiting_line(showing: Showing) -> Line:
    """Return which ticket waits for whom, and the key that opens it; empty while none waits."""
    ticket = showing.live.ticket
    if ticket.phase != "approval" or ticket.approval is None:
        return ()
    whose = f"{ticket.id} of {ticket.approval.trader}"
    if waits_for_me(showing):
        return ((f" {whose} waits for YOUR approval: c ", "alarm@alarm"),)
    return ((f" {whose} waits for approval: c ", "warn"),)


def role_words(showing: Showing) -> str:
    """Return what this user may not do, "" where they may trade."""
    if may_trade(showing):
        return ""
    return "you may look and approve" if APPROVE in showing.roles else "you may look only"
