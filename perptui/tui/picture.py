"""Lines of styled text, and a widget that repaints only the cells that changed.

A span is (text, role); a role names a style of the theme, and ``role@ground`` the same on another
background. Text is drawn as it is: nothing in it is markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from perptui.tui.theme import Palette

Span = tuple[str, str]
Line = tuple[Span, ...]

GAP = 6
"""Changed cells closer than this are sent as one run: moving the cursor costs as many bytes."""

ASCII = str.maketrans(
    {
        "−": "-",
        "▲": "^",
        "▼": "v",
        "·": ".",
        "×": "x",
        "→": ">",
        "±": "~",
        "▸": ">",
        "│": "|",
        "─": "-",
        "┄": ":",
        "┌": "+",
        "┐": "+",
        "└": "+",
        "┘": "+",
        "├": "+",
        "┤": "|",
        "┬": "+",
        "≥": ">",
        "≤": "<",
        "…": "~",
        "█": "#",
        "▏": "_",
        "σ": "s",
        "Δ": "d",
    }
)
"""One cell for one cell, so that columns stay where they are."""


def drawable(text: str) -> str:
    """Return `text` with every control, format and unassigned character as one visible cell."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def size_of(text: str) -> int:
    """Return the width of `text` in cells."""
    return len(text) if text.isascii() else cell_len(text)


def width_of(line: Line) -> int:
    """Return the width of `line` in cells."""
    return sum(size_of(text) for text, _ in line)


def crop(text: str, width: int) -> str:
    """Return `text` cut to `width` cells, ending in … where more than spaces is missing."""
    if size_of(text) <= width:
        return text
    bare = text.rstrip(" ")
    if size_of(bare) <= width:
        return bare + " " * (width - size_of(bare))
    kept, used = [], 0
    for character in text:
        size = cell_len(character)
        if used + size > width - 1:
            break
        kept.append(character)
        used += size
    return "".join(kept) + "…" if width > 0 else ""


def left(text: str, width: int) -> str:
    """Return `text` at the left of exactly `width` cells."""
    text = crop(text, width)
    return text + " " * (width - size_of(text))


def right(text: str, width: int) -> str:
    """Return `text` at the right of exactly `width` cells."""
    text = crop(text, width)
    return " " * (width - size_of(text)) + text


@lru_cache(maxsize=2048)
def fit(line: Line, width: int, role: str = "text") -> Line:
    """Return `line` in exactly `width` cells, drawable."""
    spans: list[Span] = []
    room = width
    for text, kind in line:
        shown = crop(drawable(text), room)
        if shown:
            spans.append((shown, kind))
        room -= size_of(shown)
        if room <= 0:
            break
    if room > 0:
        spans.append((" " * room, role))
    return tuple(spans)


def beside(first: Line, last: Line, width: int) -> Line:
    """Return `first` at the left and `last` at the right end of `width` cells."""
    room = max(width - width_of(last), 0)
    return fit(first, room) + fit(last, width - room)


def on_ground(line: Line, ground: str) -> Line:
    """Return `line` on another background."""
    return tuple((text, f"{role.partition('@')[0]}@{ground}") for text, role in line)


@lru_cache(maxsize=4096)
def _characters(text: str) -> tuple[str, ...]:
    """Return the characters of each cell of `text`; the second cell of a wide one is empty.

    Kept: most of a picture's spans come again in the next.
    """
    found: list[str] = []
    for character in text:
        size = cell_len(character)
        if size == 0 and found:
            found[-1] += character
            continue
        found.append(character)
        found.extend([""] * (size - 1))
    return tuple(found)


def _one_a_cell(text: str) -> bool:
    """Return whether each character of `text` takes one cell."""
    return text.isascii() or _none_is_wide(text)


@lru_cache(maxsize=4096)
def _none_is_wide(text: str) -> bool:
    return all(cell_len(character) == 1 for character in text)


def cells(line: Line) -> list[tuple[str, str]]:
    """Return one (characters, role) a cell; the second cell of a wide character is empty."""
    found: list[tuple[str, str]] = []
    for text, role in line:
        if text.isascii():
            found.extend([(character, role) for character in text])
            continue
        characters = _characters(text)
        if found and characters and cell_len(characters[0]) == 0:
            before, owner = found[-1]
            found[-1] = (before + characters[0], owner)
            characters = characters[1:]
        found.extend([(character, role) for character in characters])
    return found


def changed_runs(old: Line, new: Line) -> Iterator[tuple[int, int]]:
    """Yield (column, cells) of each run in which two lines of equal width differ."""
    start = end = -1
    for x in _changed_columns(old, new):
        if start < 0:
            start = x
        elif x - end > GAP:
            yield start, end - start
            start = x
        end = x + 1
    if start >= 0:
        yield start, end - start


def _changed_columns(old: Line, new: Line) -> Iterator[int]:
    """Yield each column in which two lines of equal width differ, from left to right.

    Spans that stand above each other are compared as such; most of them are equal.
    """
    x = 0
    alike = _spans_alike(old, new)
    for (before, was), (after, role) in zip(old[:alike], new[:alike], strict=True):
        if was != role:
            yield from range(x, x + len(after))
        elif before != after:
            yield from (k for k, (a, b) in enumerate(zip(before, after, strict=True), x) if a != b)
        x += len(after)
    if old[alike:] != new[alike:]:
        rest = zip(cells(old[alike:]), cells(new[alike:]), strict=True)
        yield from (k for k, (a, b) in enumerate(rest, x) if a != b)


def _spans_alike(old: Line, new: Line) -> int:
    """Return how many spans two lines begin with that are equally long, a cell a character.

    Where the next one may begin with what joins the cell before, one less.
    """
    pairs = list(zip(old, new, strict=False))
    for index, ((before, _), (after, _)) in enumerate(pairs):
        if len(before) != len(after) or not (_one_a_cell(before) and _one_a_cell(after)):
            joins = not (before.isascii() and after.isascii())
            return max(index - joins, 0)
    return len(pairs)


def differences(old: Sequence[Line], new: Sequence[Line]) -> list[Region]:
    """Return the regions in which two pictures of equal size differ."""
    return [
        Region(x, y, width, 1)
        for y, (before, after) in enumerate(zip(old, new, strict=True))
        for x, width in changed_runs(before, after)
    ]


class Picture(Widget):
    """A widget drawn by lines.

    Parameters
    ----------
    palette : Callable[[], Palette]
        Where the theme of the moment comes from.
    ascii_only : bool
        Draw nothing but ASCII.
    """

    DEFAULT_CSS = ""

    def __init__(
        self, palette: Callable[[], Palette], *, ascii_only: bool = False, name: str | None = None
    ) -> None:
        super().__init__(id=name)
        self._palette = palette
        self._ascii = ascii_only
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._drawn = (-1, -1)

    def draw(self, _width: int, _height: int) -> Sequence[Line]:
        """Return the lines of the picture, none of its own; they are fitted to the size after."""
        return ()

    def _compose_lines(self) -> list[Line]:
        width, height = self.size
        lines = [fit(line, width) for line in self.draw(width, height)[:height]]
        lines += [((" " * width, "text"),)] * (height - len(lines))
        if self._ascii:
            lines = [tuple((t.translate(ASCII), r) for t, r in line) for line in lines]
        self._drawn = (width, height)
        return lines

    def repaint(self) -> int:
        """Draw anew and refresh what changed; return how many regions that were."""
        if not self.size.area or self._drawn != tuple(self.size):
            return 0
        lines = self._compose_lines()
        regions = differences(self._lines, lines)
        self._lines = lines
        for region in regions:
            self._strips.pop(region.y, None)
        if regions:
            self.refresh(*regions)
        return len(regions)

    @property
    def lays_out(self) -> bool:
        """Whether a new layout was asked for and has not come."""
        return self._layout_required

    def take_owed(self) -> bool:
        """Return whether cells were repainted that have not been sent; they are sent now."""
        owed, self._repaint_required = self._repaint_required, False
        return owed

    def forget(self) -> None:
        """Draw anew at the next frame that shows the picture: out of sight, it costs nothing."""
        self._drawn = (-1, -1)

    def recolour(self) -> None:
        """Draw every cell again, in the theme of the moment."""
        self.forget()
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return line `y` as a strip of the theme's styles."""
        if self._drawn != tuple(self.size):
            self._lines = self._compose_lines()
            self._strips.clear()
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._strip(y)
        return strip

    def _strip(self, y: int) -> Strip:
        if y >= len(self._lines):
            return Strip.blank(self.size.width)
        return self._styled(self._lines[y], self.size.width)

    def _styled(self, line: Sequence[Span], width: int) -> Strip:
        """Return spans of so many cells in the theme's styles."""
        style = self._palette().style
        strip = Strip([Segment(text, style(role)) for text, role in line], width)
        for line_filter in self.get_line_filters():
            if self._palette().ansi or not isinstance(line_filter, ANSIToTruecolor):
                strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip

    def render_cells(self, y: int, first: int, last: int) -> Strip:
        """Return the cells of line `y` from column `first` up to `last`, of its spans alone."""
        if self._drawn != tuple(self.size) or y >= len(self._lines):
            return self.render_line(y).crop(first, last)
        shown, at = [], 0
        for text, role in self._lines[y]:
            ends = at + len(text)
            if not _one_a_cell(text):  # a column is not the place of a character there
                return self.render_line(y).crop(first, last)
            if ends > first:
                shown.append((text[max(first - at, 0) : last - at], role))
            if ends >= last:
                break
            at = ends
        return self._styled(shown, last - first)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the strips of `crop`; there is no border or padding that styles could add."""
        return [self.render_line(y).crop(crop.x, crop.right) for y in crop.line_range]

    def plain(self) -> list[str]:
        """Return the picture's lines as they stand, without styles."""
        return ["".join(text for text, _ in line) for line in self._lines]
