"""What stands on a terminal smaller than 80x24."""

from __future__ import annotations

from collections.abc import Callable

from perptui.tui.arrange import LEAST, TOO_SMALL
from perptui.tui.panels.status import mode_role
from perptui.tui.picture import Line, Picture
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette


def too_small_lines(width: int, height: int, showing: Showing) -> list[Line]:
    """Return "need 80x24, have WxH" in the middle, mode below, what must not be missed above."""
    words = f"need {LEAST[0]}x{LEAST[1]}, have {width}x{height}"
    status = showing.live.status
    warning = ""
    if showing.lost:
        warning = "DESK LOST"
    elif status.kill_state != "ACTIVE":
        warning = status.kill_state
    elif status.unknown_legs:
        warning = f"{status.unknown_legs} UNKNOWN"
    lines: list[Line] = [()] * max((height - 1) // 2, 0)
    if warning and lines:
        lines[-1] = ((warning.center(width), "alarm"),)
    lines.append(((words.center(width), "title"),))
    if status.mode and len(lines) < height:
        lines.append(((status.mode.center(width), mode_role(status.mode)),))
    return lines


class TooSmall(Picture):
    """Covers the screen while it is too small for figures to be read in full."""

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(palette, ascii_only=showing.glyphs == "ascii", name=TOO_SMALL)
        self.showing = showing

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the words."""
        return too_small_lines(width, height, self.showing)
