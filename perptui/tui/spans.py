"""Send only the cells that changed.

Textual 8.2.8 starts each changed span at the left edge of its widget, a line's spans each anew, and
renders for it every line between the first and the last that changed. Here a span is sent from
where it starts, and a line is rendered where one of its spans changed: pictures are all there is
on this screen, and none stands on another. Textual is pinned exactly; a test compares the screen
after such updates with one that was painted whole.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from textual._compositor import Compositor, CompositorUpdate
from textual.geometry import Region
from textual.strip import Strip

from perptui.tui.picture import Picture


class Run(NamedTuple):
    """Cells that stand side by side, from column `x` of line `y` on."""

    x: int
    y: int
    strip: Strip


class SpanUpdate(CompositorUpdate):
    """A partial update whose spans begin where the change begins."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def render_segments(self, console: Console) -> str:
        """Return the terminal's sequences for all spans."""
        sequences: list[str] = []
        for x, y, strip in self.runs:
            sequences.append(Control.move_to(x, y).segment.text)
            sequences.append(strip.render(console))
        return "".join(sequences)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the same as segments."""
        for x, y, strip in self.runs:
            yield Control.move_to(x, y).segment
            yield from strip


class SpanCompositor(Compositor):
    """A compositor whose partial updates are `SpanUpdate`s."""

    def render_partial_update(self) -> SpanUpdate | None:  # type: ignore[override]
        """Return what changed since the last update, None when nothing did."""
        regions = self._dirty_regions.copy()
        self._dirty_regions.clear()
        if not regions:
            return None
        pictures = [
            (widget, region)
            for widget, (region, _) in self.visible_widgets.items()
            if isinstance(widget, Picture)
        ]
        return SpanUpdate(
            [
                _run_of(picture, region, cells)
                for y, first, last in self._regions_to_spans(regions)
                for picture, region in pictures
                if (cells := region.intersection(Region(first, y, last - first, 1)))
            ]
        )


def _run_of(picture: Picture, region: Region, cells: Region) -> Run:
    """Return cells of one line of the screen, of the picture that stands in `region` there."""
    first = cells.x - region.x
    strip = picture.render_cells(cells.y - region.y, first, first + cells.width)
    return Run(cells.x, cells.y, strip)
