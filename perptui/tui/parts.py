"""What the desk screen's actions stand on: `screens.desk.DeskScreen` gives all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

from perptui.protocol.intents import Intent
from perptui.tui.panels.base import PanelWidget
from perptui.tui.panels.rebalance import RebalancePanel
from perptui.tui.panels.status import NewsLines
from perptui.tui.showing import Showing


class DeskParts(Screen[None]):
    """The screen as its actions know it."""

    showing: Showing
    news: NewsLines

    if TYPE_CHECKING:

        def active(self) -> PanelWidget:
            """Return the panel that keys go to."""

        def rebalance_panel(self) -> RebalancePanel:
            """Return the rebalance panel."""

        def show_view(self, digit: str) -> None:
            """Show the view of a digit."""

        def say(self, text: str, level: str = "info") -> None:
            """Put a line on the news line."""

        def ask(self, intent: Intent, done: str = "") -> None:
            """Send an intent; the answer, or `done`, goes to the news line."""

        def send(self, intent: Intent, edits: object = None) -> None:
            """Send an intent of the what-if, after those before it; see `IntentQueue.put`."""

        def bend(self, intent: Intent, edits: object = None) -> None:
            """Send an intent of the what-if once nudges before it are settled."""

        @property
        def bending(self) -> tuple[Intent, ...]:
            """The intents of the what-if whose answers are still to come."""

        def repaint_all(self) -> None:
            """Repaint what changed anywhere."""

        def send_painted(self) -> None:
            """Send what was repainted to the terminal now."""

        def expect_ticket(self) -> None:
            """Note that this terminal asked for a ticket, so its confirmation opens here."""

        def open_ticket(self) -> None:
            """Show the ticket that is there."""

        def action_quit(self) -> None:
            """Leave, asking first when something is pending."""

        def choose_theme(self, name: str) -> None:
            """Switch to a theme by name, or to the next when it is empty."""

        def leave(self, *, leave_desk: bool) -> None:
            """Leave with this terminal."""

    def may_propose(self) -> bool:
        """Return whether the desk can be asked for a proposal; say why not."""
        if self.showing.frozen is not None:
            self.say("the picture is frozen: f thaws it first", "warn")
            return False
        if not self.showing.attached or self.showing.lost:
            self.say("there is no desk to ask", "warn")
            return False
        return True
