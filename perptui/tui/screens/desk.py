"""The desk: status lines, five panels and the journal, in as many columns as there is room for."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.layout import Layout
from textual.widget import Widget

from perptui.protocol.intents import Intent
from perptui.protocol.views import DeskView
from perptui.tui.actions import DeskActions
from perptui.tui.arrange import BOTTOM, DESK_PANELS, TOP, DeskLayout, columns_of, regions
from perptui.tui.gone import gone_with_desk
from perptui.tui.keymap import actions_by_key, bindings
from perptui.tui.owner import Owner
from perptui.tui.panels.base import PanelWidget
from perptui.tui.panels.funding import FundingPanel
from perptui.tui.panels.journal import JournalPanel
from perptui.tui.panels.limits import LimitsPanel
from perptui.tui.panels.positions import PositionsPanel
from perptui.tui.panels.rebalance import RebalancePanel
from perptui.tui.panels.regime import RegimePanel
from perptui.tui.panels.status import NewsLines, StatusLines
from perptui.tui.picture import Picture
from perptui.tui.screens.small import TooSmall
from perptui.tui.spans import SpanCompositor

VIEWS = {
    "2": "positions",
    "3": "funding",
    "4": "regime",
    "5": "rebalance",
    "6": "limits",
    "8": "journal",
}
DIGITS = {panel: digit for digit, panel in VIEWS.items()}


class DeskScreen(DeskActions):
    """The one screen that is always there."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    AUTO_FOCUS = None

    def __init__(self, desk_app: Owner) -> None:
        super().__init__()
        self._compositor = SpanCompositor()
        self.desk_app = desk_app
        self.showing = desk_app.showing
        self.alone = ""
        self._plan = DeskLayout()
        palette = desk_app.palette_now
        showing = self.showing
        self._rebalance = RebalancePanel(showing, palette)
        panels = (
            PositionsPanel(showing, palette),
            FundingPanel(showing, palette),
            RegimePanel(showing, palette),
            self._rebalance,
            LimitsPanel(showing, palette),
            JournalPanel(showing, palette),
        )
        self.panels: dict[str, PanelWidget] = {panel.panel: panel for panel in panels}
        self.top = StatusLines(showing, palette, TOP, self.digit, self.digits_mean)
        self.news = NewsLines(showing, palette, BOTTOM, self.digit)
        self.news.keymap = desk_app.keymap
        self.bound = actions_by_key(desk_app.keymap)
        self.too_small = TooSmall(showing, palette)

    def compose(self) -> ComposeResult:
        """Yield what the first frame may show; the others are mounted when they are asked for."""
        yield self.top
        for name in DESK_PANELS:
            yield self.panels[name]
        yield self.news

    def on_mount(self) -> None:
        """Focus the first panel."""
        self.styles.overflow_x = self.styles.overflow_y = "hidden"
        self.set_focus(self.panels[DESK_PANELS[0]], scroll_visible=False)

    @property
    def layout(self) -> Layout:
        """The layout by `regions`; Textual's styles only know layouts by name."""
        return self._plan

    # ---------------------------------------------------------------- which panels are in sight

    def digit(self) -> str:
        """Return the digit of the view in sight."""
        if self.alone:
            return DIGITS[self.alone]
        return "1" if columns_of(*self.app.size) != 1 else DIGITS[self.active().panel]

    def visible_panels(self) -> list[PanelWidget]:
        """Return the panels in sight, in order of tab."""
        places = regions(*self.app.size, self._plan.alone)
        return [panel for name, panel in self.panels.items() if name in places]

    def draws_from(self) -> set[str]:
        """Return the desk's views that the panels in sight are drawn from."""
        names = {panel.panel for panel in self.visible_panels()}
        compares = "rebalance" in names and self._rebalance.page == "compare"
        return names | {"regime"} if compares else names

    def active(self) -> PanelWidget:
        """Return the focused panel."""
        focused = self.focused
        return focused if isinstance(focused, PanelWidget) else self.panels[DESK_PANELS[0]]

    def rebalance_panel(self) -> RebalancePanel:
        """Return the rebalance panel."""
        return self._rebalance

    def show_view(self, digit: str) -> None:
        """Show one panel alone, or the whole desk."""
        self.alone = VIEWS.get(digit, "")
        self._place(self.panels[self.alone] if self.alone else self.active())

    def _ensure(self, widget: Picture) -> None:
        if not widget.is_attached:
            self.mount(widget)

    def _place(self, panel: PanelWidget) -> None:
        """Lay out with `panel` focused; on a small terminal it is the only one."""
        self._ensure(panel)
        single = columns_of(*self.app.size) == 1
        if not self.alone and panel.panel not in DESK_PANELS:
            panel = self.panels[DESK_PANELS[0]]
        alone = panel.panel if single or self.alone else ""
        changed = alone != self._plan.alone
        self._plan.alone = alone
        self.set_focus(panel, scroll_visible=False)
        if changed:
            # A child's request: the screen's own would be answered from its cache of arrangements.
            self.top.refresh(layout=True)
            self.desk_app.look()
        self.repaint_all()

    def on_resize(self, event: Resize) -> None:
        """Follow the terminal's size."""
        if columns_of(*event.size) == 0:
            self._ensure(self.too_small)
        self._plan.alone = self.alone or (
            self.active().panel if columns_of(*event.size) == 1 else ""
        )
        self.desk_app.look()

    def action_maximise(self) -> None:
        """Give the focused panel the whole desk, or give it back."""
        if self.alone:
            self.show_view("1")
        else:
            self.show_view(DIGITS[self.active().panel])

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self._step(1)

    def action_previous_panel(self) -> None:
        """Focus the panel before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        names = list(DESK_PANELS)
        here = self.active().panel
        index = (names.index(here) + by) if here in names else 0
        chosen = names[index % len(names)]
        if self.alone:
            self.alone = chosen
        self._place(self.panels[chosen])

    # ---------------------------------------------------------------- painting

    def pictures(self) -> list[Picture]:
        """Return all pictures of this screen."""
        found = [self.top, *self.panels.values(), self.news, self.too_small]
        return [picture for picture in found if picture.is_attached]

    def repaint_all(self) -> None:
        """Repaint what changed anywhere; pictures out of sight cost nothing."""
        for picture in self.pictures():
            _repaint(picture)

    def on_screen_suspend(self) -> None:
        """Go under another screen: what comes back is drawn anew."""
        for picture in self.pictures():
            picture.forget()

    def on_screen_resume(self) -> None:
        """Come back, also from under a screen that let this one be seen."""
        self.repaint_all()

    def repaint_panel(self, name: str) -> None:
        """Repaint what changed in one panel."""
        picture = self.top if name == "status" else self.panels.get(name)
        if picture is not None and picture.is_attached:
            _repaint(picture)
        if name == "status":
            self.news.repaint()

    def send_painted(self) -> None:
        """Send what was repainted to the terminal now: a person waits for it.

        Textual would do so at its next frame, some milliseconds and some turns of the loop later.
        """
        if self._layout_required or self.top.lays_out or not self.is_current:
            return
        painted: set[Widget] = {picture for picture in self.pictures() if picture.take_owed()}
        if painted:
            self._compositor.update_widgets(painted)
            self._compositor_refresh()

    # ---------------------------------------------------------------- the mouse

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Wheel down: cursor down."""
        self.action_down()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Wheel up: cursor up."""
        self.action_up()

    # ---------------------------------------------------------------- the desk

    def take_whole(self, view: DeskView) -> None:
        """Take the picture of a desk that is there, or there again: then say what is gone."""
        lost, before = self.showing.lost, self.showing.live.rebalance
        self.showing.take_whole(view)
        self.ask_for_page()
        if not lost:
            return
        self.say_once_seen(gone_with_desk(before, view.rebalance))
        self.type_on()
        self.look_at_typed()

    # ---------------------------------------------------------------- the app behind

    def say(self, text: str, level: str = "info") -> None:
        """Put a line on the news line."""
        self.showing.notice(text, level)
        self.repaint_all()

    def ask(self, intent: Intent, done: str = "") -> None:
        """Send an intent; the answer, or `done` until it comes, goes to the news line."""
        if done:
            self.say(done)
        self.desk_app.ask(intent)

    def send(self, intent: Intent, edits: object = None) -> None:
        """Send an intent of the what-if, after those before it; see `IntentQueue.put`."""
        self.desk_app.bend(intent, edits)

    @property
    def bending(self) -> tuple[Intent, ...]:
        """The intents of the what-if whose answers are still to come."""
        return self.desk_app.bending

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell the two meanings of a key apart: on the Rebalance view y is why, else copy."""
        rebalancing = self.active() is self.rebalance_panel()
        if action == "why":
            return rebalancing
        return not rebalancing if action == "copy_row" else True

    def leave(self, *, leave_desk: bool) -> None:
        """Leave with this terminal; a nudge is kept, not taken back as something half typed."""
        self.settle()
        self.desk_app.leave(leave_desk=leave_desk)

    def expect_ticket(self) -> None:
        """Note that this terminal asked for a ticket."""
        self.desk_app.expects_ticket = True

    def open_ticket(self) -> None:
        """Show the ticket that is there."""
        self.desk_app.open_ticket()

    def choose_theme(self, name: str) -> None:
        """Switch theme."""
        self.desk_app.choose_theme(name)

    def action_palette(self) -> None:
        """Search the commands; only from here, so that no ticket can be reached by it."""
        from textual.command import CommandPalette

        self.app.push_screen(CommandPalette())

    def action_picture(self) -> None:
        """Save a picture of the screen."""
        self.desk_app.save_picture()

    def action_help(self) -> None:
        """Show the keys, those of the focused panel first."""
        from perptui.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.desk_app, self.active()))

    # ---------------------------------------------------------------- leaving

    def action_quit(self) -> None:
        """Leave; ask first when something is pending."""
        pending = self.desk_app.pending()
        if not pending or self.showing.lost:
            self.leave(leave_desk=False)
            return
        self.ask_to_quit(pending)


def _repaint(picture: Picture) -> None:
    """Repaint what changed; one out of sight comes back with the figures of then."""
    if picture.region.area:
        picture.repaint()
    else:
        picture.forget()
