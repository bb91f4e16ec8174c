"""The second person's part in a ticket: the same text, proven by this process, typed or declined.

Nothing here is an app action either: `ConfirmScreen` hands its raw keys on while a ticket waits.
"""

from __future__ import annotations

from textual.events import Key

from perptui.protocol.hand import DEAD_S
from perptui.protocol.intents import DeclineTicket, Intent, RejectTicket
from perptui.protocol.proof import proven_token
from perptui.protocol.views_ticket import TicketView
from perptui.tui.editor import LineEditor
from perptui.tui.picture import Line
from perptui.tui.second_person import may_trade, waits_for_me
from perptui.tui.showing import Showing

NO = "n"
MOST_REASON = 200
DIFFERS = "HASH DIFFERS: this text is not what was confirmed"


class Approving:
    """One terminal's part in a ticket that waits for a second person.

    Attributes
    ----------
    reason : LineEditor | None
        Why the ticket is declined, while it is being typed.
    token : str
        The token as this process made it of what the ticket shows; "" where it is another.
    """

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._seen: TicketView | None = None
        self._since_mono = 0.0
        self.reason: LineEditor | None = None
        self.token = ""

    def look(self, ticket: TicketView, now: float) -> None:
        """Prove what the ticket shows, and note since when this screen has shown it."""
        if ticket.phase != "approval":
            self._seen, self.reason, self.token = None, None, ""
        elif self._seen is not ticket:
            if self._seen is None or self._seen.id != ticket.id:
                self._since_mono, self.reason = now, None
            self._seen, self.token = ticket, proven_token(ticket)

    @property
    def mine(self) -> bool:
        """Whether this user may approve it."""
        return waits_for_me(self._showing)

    def is_dead(self, now: float) -> bool:
        """Return whether the screen has shown it for less than a second."""
        return self._seen is None or now < self._since_mono + DEAD_S

    def lets_type(self, now: float) -> bool:
        """Return whether the token may be typed, as far as this part is concerned."""
        return self.mine and bool(self.token) and self.reason is None and not self.is_dead(now)

    def why_closed(self, now: float) -> str:
        """Return why it may not, in words; "" where this part does not keep it closed."""
        if not self.mine:
            return "the field is closed: another user has to approve it"
        if not self.token:
            return f"{DIFFERS}; decline it"
        return "the field is closed for the first second" if self.is_dead(now) else ""

    def refuse(self, ticket: TicketView) -> tuple[Intent | None, str]:
        """Take the key for no: open the line for its reason, or take an own ticket back."""
        if self.mine:
            self.reason = LineEditor(most=MOST_REASON)
            return None, ""
        if may_trade(self._showing):
            return RejectTicket(id=ticket.id, reason="withdrawn before it was approved"), ""
        return None, "expected the role trade or approve, was neither: you may look only"

    def type_reason(self, line: LineEditor, event: Key, ticket: TicketView) -> Intent | None:
        """Take a key of the reason's line; return the no once Enter ends one that is not empty."""
        if event.key == "escape":
            self.reason = None
        elif event.key == "enter":
            if line.text.strip():
                self.reason = None
                return DeclineTicket(id=ticket.id, reason=line.text.strip())
        else:
            line.key(event.key, event.character)
        return None

    # ---------------------------------------------------------------- words

    def reasons(self, ticket: TicketView) -> str:
        """Return why the ticket takes a second person."""
        return "" if ticket.approval is None else "; ".join(ticket.approval.reasons)

    def proof(self) -> Line:
        """Return the hash that this process made of the text: the same at every terminal."""
        return ((" hashed here: ", "dim"), (self.token, "text")) if self.token else ()

    def line(self, ticket: TicketView, width: int) -> Line:
        """Return what stands in the place of the field where nothing may be typed there."""
        if self.reason is not None:
            lead = " why not? "
            return ((lead, "title"), (self.reason.shown(width - len(lead)), "edited"))
        if not self.token:
            return ((f" {DIFFERS}{'; decline it' if self.mine else ''}", "alarm"),)
        return (
            (" waits for a second person: ", "title"),
            (self.reasons(ticket), "text"),
        )

    def keys(self) -> tuple[tuple[str, str], ...]:
        """Return the keys and their words."""
        if self.reason is not None:
            return (("enter", "decline with this reason"), ("esc", "back to the ticket"))
        if self.mine:
            return (("jk", "scroll"), (NO, "decline with a reason"), ("esc", "back"))
        if may_trade(self._showing):
            return (("jk", "scroll"), (NO, "take it back"), ("esc", "back, it waits on"))
        return (("jk", "scroll"), ("esc", "back, it waits on"))
