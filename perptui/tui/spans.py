"""Send only the cells that changed.

Textual 8.2.8 starts each changed span at the left edge of its widget, and a line's spans each
anew: a changed figure at the right end of a table costs the whole line, several cost it several
times. Here a span is sent from where it starts. Textual is pinned exactly; a test compares the
screen after such updates with one that was painted whole.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class SpanUpdate(ChopsUpdate):
    """A partial update whose spans begin where the change begins."""

    def render_segments(self, console: Console) -> str:
        """Return the terminal's sequences for all spans."""
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                left, right = max(x, first), min(end, last)
                sequences.append(Control.move_to(left, y).segment.text)
                sequences.append(strip.crop(left - x, right - x).render(console))
        return "".join(sequences)


class SpanCompositor(Compositor):
    """A compositor whose partial updates are `SpanUpdate`s."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return what changed since the last update, None when nothing did."""
        update = super().render_partial_update()
        if update is None:
            return None
        return SpanUpdate(update.chops, update.spans, update.chop_ends)
