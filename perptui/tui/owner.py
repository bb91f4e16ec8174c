"""What the screens ask of the application that shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from perptui.protocol.intents import Intent
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette


class Owner(Protocol):
    """The application, as screens know it."""

    showing: Showing
    keymap: dict[str, str]
    expects_ticket: bool

    def palette_now(self) -> Palette:
        """Return the theme of the moment."""
        ...

    def ask(self, intent: Intent) -> None:
        """Send an intent; its answer goes to the news line."""
        ...

    def ask_for_ticket(self, intent: Intent, then: Callable[[bool, str], None]) -> None:
        """Send an intent and hand its answer to `then`."""
        ...

    def bend(self, intent: Intent, edits: object = None) -> None:
        """Send an intent of the what-if, after those before it; see `IntentQueue.put`."""
        ...

    @property
    def bending(self) -> tuple[Intent, ...]:
        """The intents of the what-if whose answers are still to come."""
        ...

    def look(self) -> None:
        """Tell the desk what is drawn from now on."""
        ...

    def open_ticket(self) -> None:
        """Show the ticket that is there."""
        ...

    def pending(self) -> str:
        """Return what would be left behind, in words."""
        ...

    def leave(self, *, leave_desk: bool) -> None:
        """Tell the desk and exit."""
        ...

    def choose_theme(self, name: str) -> None:
        """Switch theme."""
        ...

    def save_picture(self) -> None:
        """Save the screen as SVG."""
        ...
