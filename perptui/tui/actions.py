"""What the keys of the desk screen do: move, sort, filter, edit, propose, confirm, kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from perptui.protocol.intents import (
    CancelWorking,
    ExportOrders,
    Intent,
    Kill,
    OpenTicket,
    Redo,
    Reestimate,
    ResetTargets,
    Solve,
    Undo,
)
from perptui.tui.panels.base import PanelWidget
from perptui.tui.panels.rebalance import RebalancePanel
from perptui.tui.showing import Showing

NUDGE = 0.01
STRATEGIES = ("balanced", "tactical")
KILL_WINDOW_S = 2.0
"""The second F10 must come within this."""


class DeskActions(Screen[None]):
    """The actions; `screens.desk.DeskScreen` holds the widgets they act on."""

    showing: Showing
    _kill_armed_mono: float | None = None

    if TYPE_CHECKING:  # what `screens.desk.DeskScreen` gives

        def active(self) -> PanelWidget:
            """Return the panel that keys go to."""

        def rebalance_panel(self) -> RebalancePanel:
            """Return the rebalance panel."""

        def show_view(self, digit: str) -> None:
            """Show the view of a digit."""

        def open_line(self, kind: str, text: str = "") -> None:
            """Open the line editor at the bottom for a filter or a command."""

        def say(self, text: str, level: str = "info") -> None:
            """Put a line on the news line."""

        def ask(self, intent: Intent, done: str = "") -> None:
            """Send an intent; the answer, or `done`, goes to the news line."""

        def show_target(self) -> None:
            """Show on the news line the target that is being typed."""

        def edit_target(self, identifier: str, weight: float) -> None:
            """Ask for a target, the latest first."""

        def expect_ticket(self) -> None:
            """Note that this terminal asked for a ticket, so its confirmation opens here."""

        def open_ticket(self) -> None:
            """Show the ticket that is there."""

        def action_quit(self) -> None:
            """Leave, asking first when something is pending."""

        def choose_theme(self, name: str) -> None:
            """Switch to a theme by name, or to the next when it is empty."""

    # ---------------------------------------------------------------- moving

    def action_down(self) -> None:
        """Cursor down."""
        self._move(1)

    def action_up(self) -> None:
        """Cursor up."""
        self._move(-1)

    def action_page_down(self) -> None:
        """Cursor, or the details of a row, a page down."""
        self._page(1)

    def action_page_up(self) -> None:
        """Cursor, or the details of a row, a page up."""
        self._page(-1)

    def _page(self, pages: int) -> None:
        panel = self.active()
        if panel.detail:
            panel.scroll_detail(pages * panel.detail_page)
            panel.repaint()
        elif panel.grid:
            self._move(pages * panel.grid.page)

    def _move(self, by: int) -> None:
        panel = self.active()
        if panel.grid:
            panel.grid.move(by)
        else:
            panel.scroll_detail(by)
        panel.repaint()

    def action_first(self) -> None:
        """Cursor on the first row."""
        panel = self.active()
        if panel.grid:
            panel.grid.first()
            panel.repaint()

    def action_last(self) -> None:
        """Cursor on the last row."""
        panel = self.active()
        if panel.grid:
            panel.grid.last()
            panel.repaint()

    def action_left(self) -> None:
        """Columns back."""
        self._scroll(-1)

    def action_right(self) -> None:
        """Columns on."""
        self._scroll(1)

    def _scroll(self, by: int) -> None:
        panel = self.active()
        if panel.grid:
            panel.grid.scroll(by)
            panel.repaint()

    def action_drill(self) -> None:
        """Show all of the row under the cursor."""
        panel = self.active()
        panel.show_detail()
        panel.repaint()

    def action_back(self) -> None:
        """Leave the row, the filter, the maximised panel, in this order."""
        panel = self.active()
        if panel.detail:
            panel.detail = False
        elif panel.grid and panel.grid.filter:
            panel.grid.set_filter("")
        else:
            self.show_view("1")
        panel.repaint()

    # ---------------------------------------------------------------- tables

    def action_view(self, digit: str) -> None:
        """Show a view."""
        if digit == "7":
            self.say("backtest and stress are not there yet: they come with their own issue")
            return
        self.show_view(digit)

    def action_filter(self) -> None:
        """Type a filter for the focused table."""
        grid = self.active().grid
        if grid is not None:
            self.open_line("/", grid.filter)

    def action_sort(self) -> None:
        """Sort by the next column."""
        panel = self.active()
        if panel.grid:
            panel.grid.sort_next()
            panel.repaint()

    def action_reverse(self) -> None:
        """Turn the order round."""
        panel = self.active()
        if panel.grid:
            panel.grid.reverse()
            panel.repaint()

    def action_copy_row(self) -> None:
        """Copy the row under the cursor."""
        rows = self.active().card()
        if rows:
            self.app.copy_to_clipboard("\n".join(f"{name}\t{text}" for name, text in rows))
            self.say("row copied")

    def action_copy_table(self) -> None:
        """Copy the focused panel as it stands."""
        panel = self.active()
        self.app.copy_to_clipboard("\n".join(line.rstrip() for line in panel.plain()))
        self.say(f"{panel.title} copied")

    def action_freeze(self) -> None:
        """Freeze or thaw the panels of this terminal."""
        frozen = self.showing.toggle_freeze()
        self.say("picture frozen, the desk goes on: f thaws" if frozen else "picture live again")

    # ---------------------------------------------------------------- rebalance

    def _may_propose(self) -> bool:
        if self.showing.frozen is not None:
            self.say("the picture is frozen: f thaws it first", "warn")
            return False
        if not self.showing.attached or self.showing.lost:
            self.say("there is no desk to ask", "warn")
            return False
        return True

    def action_solve(self) -> None:
        """Ask for a new proposal."""
        if self._may_propose():
            self.rebalance_panel().wanted.clear()
            self.ask(Solve(), "solving")

    def action_reestimate(self) -> None:
        """Ask for new estimates."""
        if self._may_propose():
            self.ask(Reestimate(), "estimating again")

    def action_strategy(self) -> None:
        """Solve with the other strategy."""
        if not self._may_propose():
            return
        now = self.showing.live.rebalance.strategy
        index = STRATEGIES.index(now) + 1 if now in STRATEGIES else 0
        chosen = STRATEGIES[index % len(STRATEGIES)]
        self.rebalance_panel().wanted.clear()
        self.ask(Solve(strategy=chosen), f"solving with {chosen}")

    def action_edit(self) -> None:
        """Type the target of the row under the rebalance cursor."""
        if not self._may_propose():
            return
        panel = self.rebalance_panel()
        self._bring(panel)
        if panel.start_editing():
            self.show_target()
        else:
            self.say(self._no_target(), "warn")
        panel.repaint()

    def _no_target(self) -> str:
        solving = self.showing.live.rebalance.state == "solving"
        return "wait for the solve" if solving else "no target yet: wait for the solve, or r solves"

    def _bring(self, panel: RebalancePanel) -> None:
        """Show the rebalance panel, on the contract that was chosen in the panel before."""
        before = self.active()
        if before is panel:
            return
        row: Any = before.grid.selected if before.grid else None
        panel.before_lines()
        if row is not None:
            panel.grid.select(getattr(row, "id", ""))
        if not panel.region.area:
            self.show_view("5")
        self.set_focus(panel, scroll_visible=False)

    def action_nudge_up(self) -> None:
        """Raise the target by NUDGE."""
        self._nudge(NUDGE)

    def action_nudge_down(self) -> None:
        """Lower the target by NUDGE."""
        self._nudge(-NUDGE)

    def _nudge(self, by: float) -> None:
        if not self._may_propose():
            return
        panel = self.rebalance_panel()
        self._bring(panel)
        row = panel.grid.selected
        if row is None or not panel.proposed():
            self.say(self._no_target(), "warn")
            return
        self.edit_target(row.id, round(panel.target_of(row) + by, 6))
        panel.repaint()

    def action_reset(self) -> None:
        """Drop the edit of this row."""
        panel = self.rebalance_panel()
        row = panel.grid.selected
        if row is not None and self._may_propose():
            panel.wanted.pop(row.id, None)
            self.ask(ResetTargets(id=row.id))

    def action_undo(self) -> None:
        """Step back."""
        if self._may_propose():
            self.rebalance_panel().wanted.clear()
            self.ask(Undo())

    def action_redo(self) -> None:
        """Step forward."""
        if self._may_propose():
            self.rebalance_panel().wanted.clear()
            self.ask(Redo())

    # ---------------------------------------------------------------- orders

    def action_confirm(self) -> None:
        """Open the confirmation of the fresh proposal, or the ticket that is under way."""
        if not self._may_propose():
            return
        live = self.showing.live
        if live.ticket.phase == "sending" or self.showing.plan_stands():
            self.open_ticket()
            return
        refused = self._no_plan()
        if refused:
            self.say(refused, "warn")
            return
        purpose = "export" if live.status.mode == "EXPORT" else "send"
        width, height = self.app.size
        intent = OpenTicket(
            digest=live.rebalance.digest, purpose=purpose, columns=width, rows=height
        )
        self.expect_ticket()
        self.ask(intent, "making the plan")

    def _no_plan(self) -> str:
        """Return why there is nothing to confirm; "" when there is."""
        view = self.showing.live.rebalance
        if view.state == "solving":
            return "a solve is under way: wait for it"
        if view.waiting is not None or not view.digest:
            return "no proposal: r solves"
        if self.rebalance_panel().is_stale():
            return "the proposal is too old to confirm: r solves again"
        if not view.rows:
            return "the proposal has no trade"
        if not view.exportable:
            return "this proposal cannot be sent: " + ("; ".join(view.reasons) or "see its panel")
        return ""

    def action_export(self) -> None:
        """Write the orders to files."""
        if not self._may_propose():
            return
        refused = self._no_plan()
        if refused:
            self.say(refused, "warn")
        else:
            self.ask(ExportOrders(digest=self.showing.live.rebalance.digest), "exporting")

    def action_cancel_working(self) -> None:
        """Cancel all our working orders: it only takes risk off the book's edge."""
        self.ask(CancelWorking(), "cancelling all working orders")

    def action_kill(self) -> None:
        """Arm the kill switch; at the second key within two seconds, throw it."""
        now = self.showing.now()
        armed, self._kill_armed_mono = self._kill_armed_mono, now
        if armed is None or now - armed > KILL_WINDOW_S:
            self.say("F10 again within 2 s: HALT, cancel what works, send nothing more", "alarm")
            return
        self._kill_armed_mono = None
        self.kill("F10 F10")

    def kill(self, reason: str) -> None:
        """Throw the kill switch."""
        self.ask(Kill(reason=reason), "HALT asked")

    def run_command(self, text: str) -> None:
        """Run a typed command."""
        word, _, rest = text.strip().partition(" ")
        if word == "kill":
            self.kill(rest.strip() or "typed :kill")
        elif word == "cancel":
            self.action_cancel_working()
        elif word in {"q", "quit"}:
            self.action_quit()
        elif word == "theme":
            self.choose_theme(rest.strip())
        elif word:
            self.say(f"no command {word}: kill, cancel, theme NAME, quit", "warn")

    def action_command(self) -> None:
        """Type a command."""
        self.open_line(":")

    # ---------------------------------------------------------------- terminal

    def action_theme(self) -> None:
        """Switch to the next theme."""
        self.choose_theme("")
