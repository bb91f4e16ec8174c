"""Help: the keys of the focused panel, then all others, as they are bound now."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.events import Key, MouseScrollDown, MouseScrollUp
from textual.screen import Screen

from perptui.tui.keymap import KEYS, keys_of
from perptui.tui.owner import Owner
from perptui.tui.panels.base import PanelWidget
from perptui.tui.panels.status import mode_role
from perptui.tui.picture import Line, Picture, fit, left
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

GROUPS = (
    ("move", "Moving"),
    ("views", "Views"),
    ("table", "Tables"),
    ("rebalance", "Rebalance and what-if"),
    ("orders", "Orders"),
    ("terminal", "This terminal"),
)
NOTES = (
    "+ funding rate: long pays short. Every figure carries its age; “·” is unknown, never zero.",
    "A bound a→b: a is the desk's own, b what the proposal is held to (drawdown, regime, what-if).",
    "Nothing is sent without a ticket whose token you type. Keys change under [keymap].",
)
TWO_COLUMNS = 110


def help_lines(panel: PanelWidget, keymap: dict[str, str], width: int) -> list[Line]:
    """Return the help, in two columns where there is room."""
    blocks: list[list[Line]] = []
    shown = {keys_of(binding_id, keymap) for binding_id, _ in panel.keys}
    if panel.keys:
        blocks.append(_block(panel.title, panel.keys, keymap))
    if panel.words:
        blocks.append(_words(panel.words))
    for group, title in GROUPS:
        pairs = tuple(
            (key.id, key.words)
            for key in KEYS
            if key.group == group and keys_of(key.id, keymap) not in shown
        )
        if not pairs:
            continue
        blocks.append(_block(title, pairs, keymap))
    notes: list[Line] = [((f" {note}", "dim"),) for note in NOTES]
    if width < TWO_COLUMNS:
        return [*_stacked(blocks), (), *notes]
    half = width // 2
    sides = ((_stacked(blocks[:at]), _stacked(blocks[at:])) for at in range(1, len(blocks) + 1))
    first, second = min(sides, key=lambda pair: max(map(len, pair)))
    longest = max(len(first), len(second))
    first += [()] * (longest - len(first))
    second += [()] * (longest - len(second))
    pairs_of = zip(first, second, strict=True)
    return [*((*fit(one, half), *fit(other, half)) for one, other in pairs_of), (), *notes]


def _stacked(blocks: list[list[Line]]) -> list[Line]:
    return [line for block in blocks for line in [*block, ()]][:-1]


def _block(title: str, pairs: tuple[tuple[str, str], ...], keymap: dict[str, str]) -> list[Line]:
    lines: list[Line] = [((f" {title}", "title"),)]
    lines += [
        ((f"  {left(keys_of(binding_id, keymap), 13)}", "key"), (words, "text"))
        for binding_id, words in pairs
    ]
    return lines


def _words(pairs: tuple[tuple[str, str], ...]) -> list[Line]:
    """Return the words on the panel that are no trader's, with what they mean."""
    lines: list[Line] = [((" Words", "title"),)]
    return [*lines, *(((f"  {left(word, 13)}", "key"), (means, "text")) for word, means in pairs)]


class HelpPicture(Picture):
    """The help's lines, scrolled."""

    def __init__(
        self,
        showing: Showing,
        palette: Callable[[], Palette],
        panel: PanelWidget,
        keymap: dict[str, str],
    ) -> None:
        super().__init__(palette, ascii_only=showing.glyphs == "ascii", name="help")
        self._showing = showing
        self._panel = panel
        self._keymap = keymap
        self.top = 0

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines in sight above one line of keys."""
        lines = help_lines(self._panel, self._keymap, width)
        self.top = min(max(self.top, 0), max(len(lines) - height + 2, 0))
        shown = lines[self.top : self.top + height - 2]
        shown += [()] * (height - 2 - len(shown))
        more = len(lines) - self.top - (height - 2)
        words = f"{more} more line{'s' if more > 1 else ''}" if more > 0 else "end"
        mode = self._showing.live.status.mode
        head: Line = (
            (" perptui · keys ", "title@bar"),
            (f" {mode} ", mode_role(mode)),
            (f"  {words}", "dim"),
        )
        foot: Line = ((" jk", "key"), (" scroll   ", "dim"), ("esc", "key"), (" back", "dim"))
        return [head, *shown, foot]


class HelpScreen(Screen[None]):
    """Any key that does not scroll goes back."""

    AUTO_FOCUS = None

    def __init__(self, desk_app: Owner, panel: PanelWidget) -> None:
        super().__init__()
        self.picture = HelpPicture(desk_app.showing, desk_app.palette_now, panel, desk_app.keymap)

    def compose(self) -> ComposeResult:
        """Yield the one picture."""
        yield self.picture

    def on_mount(self) -> None:
        """Give it the whole screen."""
        self.picture.styles.width = self.picture.styles.height = "100%"

    def repaint_all(self) -> None:
        """Help does not change with time."""

    def on_key(self, event: Key) -> None:
        """Scroll or leave."""
        event.stop()
        event.prevent_default()
        if not self.is_current:  # of a burst, keys reach it after the one that closed it
            return
        moves = {
            "j": 1,
            "down": 1,
            "k": -1,
            "up": -1,
            "space": 10,
            "pagedown": 10,
            "pageup": -10,
            "g": -1000,
            "home": -1000,
            "G": 1000,
            "end": 1000,
        }
        if event.key in moves:
            self._scroll(moves[event.key])
        else:
            self.dismiss()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Wheel down."""
        self._scroll(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Wheel up."""
        self._scroll(-3)

    def _scroll(self, by: int) -> None:
        self.picture.top += by
        self.picture.repaint()
