"""What keys do on the pages of the Rebalance view: turn to them, keep, compare, take a way out."""

from __future__ import annotations

from textual.events import Key

from perptui.protocol.intents import AskFrontier, Bend, Compare, Intent, Keep, Recall
from perptui.tui.actions_rebalance import RebalanceActions
from perptui.tui.panels.rebalance_clash import ways_out


class PageActions(RebalanceActions):
    """Actions of the pages and parts of the Rebalance view."""

    def _turn(self, page: str) -> bool:
        """Turn to a page, or back from it; return whether it is in sight now."""
        panel = self.rebalance_panel()
        self._bring(panel)
        left = panel.page
        panel.turn_to("" if left == page else page)
        if "frontier" in {left, panel.page} and left != panel.page and self._answers():
            self.bend(AskFrontier(on=panel.page == "frontier"))
        self.repaint_all()
        return panel.page == page

    def _answers(self) -> bool:
        return self.showing.attached and not self.showing.lost

    def action_why(self) -> None:
        """Show the ledger under the cursor; then all ledgers; then the trades again."""
        panel = self.rebalance_panel()
        after = {"why": "ledgers", "ledgers": "ledgers"}
        self._turn(after.get(panel.page, "why"))

    def action_clash(self) -> None:
        """Show which limits clash."""
        self._turn("clash")

    def action_compare(self) -> None:
        """Show what was kept beside what stands, solved on the same market."""
        if not self._turn("compare") or not self._answers():
            return
        kept = self.showing.live.rebalance.kept
        if any(one.own_measure or not one.same_market for one in kept):
            self.bend(Compare())

    def action_frontier(self) -> None:
        """Show the efficient frontier; it is solved in the background."""
        self._turn("frontier")

    def ask_for_page(self) -> None:
        """Ask a desk that is there anew for what it works out only for the page in sight."""
        if self.rebalance_panel().page == "frontier":
            self.send(AskFrontier())

    def action_limits_part(self) -> None:
        """Move the cursor between trades and limits."""
        panel = self.rebalance_panel()
        self._bring(panel)
        if panel.page == "frontier":
            self._turn("frontier")
        panel.turn_part()
        panel.repaint()

    def action_keep_a(self) -> None:
        """Keep what stands as A."""
        self._keep("A")

    def action_keep_b(self) -> None:
        """Keep what stands as B."""
        self._keep("B")

    def _keep(self, slot: str) -> None:
        if not self.may_propose():
            return
        if not self.rebalance_panel().proposed():
            self.say(self._no_target(), "warn")
            return
        self.say(f"kept as {slot}: b compares")
        self.bend(Keep(slot=slot))

    def digits_mean(self) -> str:
        """Return what digits do on the page in sight; "" where they choose a view."""
        if not self._choices():
            return ""
        page = self.rebalance_panel().page
        words = (
            "a digit tries a way out" if page == "clash" else "a digit goes back to what was kept"
        )
        return f"{words} · esc: views again"

    def _choices(self) -> list[Intent]:
        """Return what each digit from 1 on asks for on the page in sight."""
        panel, view = self.rebalance_panel(), self.showing.live.rebalance
        if self.active() is not panel or panel.page not in {"clash", "compare"}:
            return []
        if panel.page == "clash":
            return ways_out(view)
        return [Recall(slot=kept.slot) for kept in view.kept]

    def take_key(self, event: Key) -> bool:
        """Take a digit on the page of clashes or of what was kept: it is a choice there."""
        panel, choices = self.rebalance_panel(), self._choices()
        if not event.key.isdigit():
            return False
        index = int(event.key) - 1
        if not 0 <= index < len(choices):
            return False
        if self.may_propose():
            if panel.page == "clash":  # what it leads to stands among the trades
                self._turn("clash")
            self._choose(choices[index])
        return True

    def _choose(self, choice: Intent) -> None:
        """Ask for a choice; what was asked for before stays only where it says what it bends."""
        panel = self.rebalance_panel()
        if isinstance(choice, Bend):
            self.bend(choice)
            panel.ask_for(choice)
            return
        panel.take_nudges()
        panel.forget_asked()
        self.bend(choice)

    def back_from_page(self) -> bool:
        """Leave a page of the Rebalance view, or its limits; return whether there was one."""
        panel = self.rebalance_panel()
        if self.active() is not panel:
            return False
        if panel.page:
            self._turn(panel.page)
            return True
        if panel.part == "limits":
            panel.turn_part()
            panel.repaint()
            return True
        return False
