"""Where the panels stand: one at 80x24, two columns at 120x40, three at 200x60."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement

if TYPE_CHECKING:
    from textual.widget import Widget

LEAST = (80, 24)
TWO_COLUMNS = (110, 36)
THREE_COLUMNS = (180, 48)
DESK_PANELS = ("positions", "funding", "regime", "rebalance", "limits")
TOO_SMALL = "too-small"
TOP = "status"
BOTTOM = "news"


def columns_of(width: int, height: int) -> int:
    """Return how many columns of panels a terminal of this size has; 0 when it is too small."""
    if width < LEAST[0] or height < LEAST[1]:
        return 0
    if width >= THREE_COLUMNS[0] and height >= THREE_COLUMNS[1]:
        return 3
    return 2 if width >= TWO_COLUMNS[0] and height >= TWO_COLUMNS[1] else 1


def regions(width: int, height: int, alone: str) -> dict[str, Region]:
    """Return the region of each widget in sight.

    Parameters
    ----------
    width, height : int
        The terminal's cells.
    alone : str
        The panel that has the whole desk to itself; "" for all of them, where they fit.
    """
    columns = columns_of(width, height)
    if columns == 0:
        return {TOO_SMALL: Region(0, 0, width, height)}
    top, bottom = (3, 1) if columns > 1 else (2, 3)
    found = {
        TOP: Region(0, 0, width, top),
        BOTTOM: Region(0, height - 1 - bottom, width, bottom + 1),
    }
    body = Region(0, top, width, height - top - bottom - 1)
    if alone or columns == 1:
        return {**found, alone or DESK_PANELS[0]: body}
    return {**found, **(_three(body) if columns == 3 else _two(body))}


def _two(body: Region) -> dict[str, Region]:
    """Positions above funding beside regime above rebalance beside limits."""
    half = (body.width + 7) // 2
    row = (body.height * 12 + 17) // 35
    first = body.height - 2 * row
    middle, low = body.y + first, body.y + first + row
    return {
        "positions": Region(0, body.y, body.width, first),
        "funding": Region(0, middle, half, row),
        "regime": Region(half, middle, body.width - half, row),
        "rebalance": Region(0, low, half, row),
        "limits": Region(half, low, body.width - half, row),
    }


def _three(body: Region) -> dict[str, Region]:
    """Positions and limits above funding, rebalance and regime."""
    third = body.width // 3
    upper = body.height * 4 // 9
    low, rest = body.y + upper, body.height - upper
    wide = body.width - 2 * third
    return {
        "positions": Region(0, body.y, third + wide, upper),
        "limits": Region(third + wide, body.y, third, upper),
        "funding": Region(0, low, third, rest),
        "rebalance": Region(third, low, wide, rest),
        "regime": Region(third + wide, low, third, rest),
    }


class DeskLayout(Layout):
    """Textual's side of `regions`: the screen says which panel stands alone."""

    name = "desk"

    def __init__(self) -> None:
        self.alone = ""

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        """Return the placement of each widget in sight; the others are hidden."""
        places = regions(size.width, size.height, self.alone)
        return [
            WidgetPlacement(places[child.id], NULL_OFFSET, Spacing(), child)
            for child in children
            if child.id in places
        ]
