"""The one key that prices a void ticket's legs anew, and what keeps typed text from being it."""

from __future__ import annotations

from textual.events import Key

from perptui.protocol.hand import DEAD_S, KEY_GAP_MS
from perptui.protocol.views_ticket import TicketView

ANEW = "r"
TOKEN = frozenset("0123456789abcdef")
ASKED = frozenset("jkgGnxr ")
"""What else means something, or nothing yet, while a ticket waits for its token."""


class PriceAnew:
    """Tells a hand's `r` on a void ticket from one inside a line that is typed or pasted.

    A ticket turns void by itself: what was being typed then goes on into its screen. So `r` is dead
    for a second, is none where another key is less than 30 ms away, and is off from the first other
    character on, for as long as the screen stands.

    Attributes
    ----------
    typed_over : bool
        Other characters were typed or pasted: `r` is off.
    """

    def __init__(self) -> None:
        self.typed_over = False
        self._void_id = ""
        self._void_mono = 0.0
        self._last_s = float("-inf")

    def look(self, ticket: TicketView, now: float) -> None:
        """Note since when the ticket is void, monotonic seconds."""
        if ticket.phase != "void":
            self._void_id = ""
        elif self._void_id != ticket.id:
            self._void_id, self._void_mono = ticket.id, now

    def is_dead(self, now: float) -> bool:
        """Return whether the ticket has been void for less than a second."""
        return now < self._void_mono + DEAD_S

    def paste(self) -> None:
        """Note that text was pasted."""
        self.typed_over = True

    def hears(self, event: Key, ticket: TicketView, now: float) -> bool:
        """Return whether a key is an `r` that counts, unless another follows within 30 ms.

        Every key of the screen is to be told, whatever the ticket's phase.
        """
        self.look(ticket, now)
        before, self._last_s = self._last_s, event.time
        if event.key == ANEW:
            by_hand = event.time - before >= KEY_GAP_MS / 1000
            return ticket.phase == "void" and by_hand and not (self.typed_over or self.is_dead(now))
        if event.is_printable and not self._is_meant(event.character or "", ticket, now):
            self.typed_over = True
        return False

    def _is_meant(self, character: str, ticket: TicketView, now: float) -> bool:
        """Return whether a character belongs to the ticket that waited, not to a line."""
        of_token = character.lower() in TOKEN
        if ticket.phase in {"confirm", "approval"}:
            return of_token or character in ASKED
        # The rest of a token whose ticket turned void under the hand that typed it.
        return of_token and ticket.phase == "void" and self.is_dead(now)
