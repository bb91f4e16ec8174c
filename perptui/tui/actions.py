"""What the keys of the desk screen do: move, sort, filter, propose, confirm, kill."""

from __future__ import annotations

from perptui.protocol.intents import CancelWorking, ExportOrders, Kill, OpenTicket, Settle
from perptui.tui.actions_pages import PageActions
from perptui.tui.whose import another

OWN_TICKETS = ("protect", "drawdown")
"""Commands that open a ticket of the desk's own making."""
FLATTENS = ("25", "50", "100")
"""Shares of every position, per cent, that a ticket closes on a person's word."""
KILL_WINDOW_S = 2.0
"""The second F10 must come within this."""


class DeskActions(PageActions):
    """The actions; `screens.desk.DeskScreen` holds the widgets they act on."""

    _kill_armed_mono: float | None = None

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
        if panel.detail or panel.scrolls():
            panel.scroll_detail(pages * panel.detail_page)
            panel.repaint()
        elif panel.grid:
            self._move(pages * panel.grid.page)

    def _move(self, by: int) -> None:
        panel = self.active()
        if panel.grid and not panel.scrolls():
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
        """Leave the row, the filter, the page, the maximised panel, in this order."""
        panel = self.active()
        if panel.detail:
            panel.detail = False
        elif panel.grid and panel.grid.filter:
            panel.grid.set_filter("")
        elif not self.back_from_page():
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
            self.open_filter(grid.filter)

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

    # ---------------------------------------------------------------- orders

    def action_confirm(self) -> None:
        """Open the confirmation of the fresh proposal, or the ticket that is under way."""
        if self.showing.live.ticket.phase == "approval":
            self.open_ticket()
        elif self.may_propose():
            self.once_answered(self._open_plan, "its plan")

    def _open_plan(self, override: str = "") -> None:
        live = self.showing.live
        if live.ticket.phase == "sending" or self.showing.plan_stands():
            self.open_ticket()
            return
        refused = self._no_plan()
        if refused:
            self.say(refused, "warn")
            return
        purpose = "export" if live.status.mode.startswith("EXPORT") else "send"
        width, height = self.app.size
        intent = OpenTicket(
            digest=live.rebalance.digest,
            purpose=purpose,
            columns=width,
            rows=height,
            override=override,
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
        whose = another(view.typist) if view.preview else ""
        if whose:
            return f"{whose} is typing this what-if: it is not kept yet; u takes it back"
        if view.preview:
            return "the what-if is not kept yet: Enter keeps it, esc takes it back"
        if not view.rows:
            return "the proposal has no trade"
        if view.shown_only:
            return "this what-if is shown, never sent: " + "; ".join(view.shown_only)
        if not view.exportable:
            return "this proposal cannot be sent: " + ("; ".join(view.reasons) or "see its panel")
        return ""

    def action_export(self) -> None:
        """Write the orders to files."""
        if self.may_propose():
            self.once_answered(self._write_orders, "its export")

    def _write_orders(self) -> None:
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
        saying = {"flatten": self._flatten, "override": self._override, "settle": self._settle}
        if word == "kill":
            self.kill(rest.strip() or "typed :kill")
        elif word == "cancel" and rest.strip() == "stops":
            self.ask(CancelWorking(protective=True), "cancelling all orders and stops")
        elif word == "cancel":
            self.action_cancel_working()
        elif word in OWN_TICKETS:
            self._open_own(word)
        elif word in saying:
            saying[word](rest.strip())
        elif word in {"q", "quit"}:
            self.action_quit()
        elif word == "theme":
            self.choose_theme(rest.strip())
        elif word:
            known = (
                "kill, cancel, cancel stops, protect, drawdown, flatten 25|50|100, "
                "override REASON, settle LEG REASON, theme NAME, quit, "
                "or a what-if such as gross_max=2"
            )
            self.say(f"no command {word}: {known}", "warn")

    def _open_own(self, purpose: str) -> None:
        """Open a ticket of the desk's own making: stops for what has none, or the drawdown's."""
        width, height = self.app.size
        self.expect_ticket()
        self.ask(OpenTicket("", purpose, width, height), "making the ticket")

    def _flatten(self, typed: str) -> None:
        """Open a ticket that closes a share of every position, reduce-only."""
        share = typed.removesuffix("%").rstrip()
        if share in FLATTENS:
            self._open_own(f"flatten {share}")
        else:
            self.say(f"expected a share of every position: :flatten {' | '.join(FLATTENS)}", "warn")

    def _override(self, reason: str) -> None:
        """Plan the fresh proposal although it breaks limits: another person has to approve it."""
        if not reason:
            self.say("expected why, was nothing: :override REASON, for the second person", "warn")
        elif self.may_propose():
            self.once_answered(lambda: self._open_plan(reason), "its plan")

    def _settle(self, typed: str) -> None:
        """Give a person's word on a leg that no answer settles."""
        leg, _, reason = typed.partition(" ")
        if leg and reason.strip():
            self.ask(Settle(leg, reason.strip()), f"settling {leg}")
        else:
            self.say("expected a leg and why: :settle T3.1 REASON, of a leg with an ALARM", "warn")

    def action_command(self) -> None:
        """Type a what-if or a command."""
        self.open_command()

    # ---------------------------------------------------------------- terminal

    def action_theme(self) -> None:
        """Switch to the next theme."""
        self.choose_theme("")
