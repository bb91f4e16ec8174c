"""Lines of a chart drawn with braille dots (2 x 4 a cell), half blocks or ASCII; spark lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from perptui.tui.picture import Line, Span

SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.,-~=+*"
ASCII_MARKS = "*+ox"
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800


class Series(NamedTuple):
    """A line of the chart, oldest value first; None leaves a gap."""

    values: Sequence[float | None]
    role: str
    dashed: bool = False


def line_mark(index: int, glyphs: str, *, dashed: bool = False) -> str:
    """Return what a chart's series `index` looks like, for its legend."""
    if glyphs == "ascii":
        return ASCII_MARKS[index % len(ASCII_MARKS)]
    return "┄" if dashed else "─"


def spark(values: Sequence[float], width: int, glyphs: str = "braille") -> str:
    """Return the last `width` of `values` as one line of bars between their extremes."""
    marks = ASCII_SPARKS if glyphs == "ascii" else SPARKS
    values = values[-width:] if width > 0 else ()
    if not values:
        return ""
    low, high = min(values), max(values)
    if high <= low:
        return marks[len(marks) // 2] * len(values)
    top = len(marks) - 1
    return "".join(marks[round((value - low) / (high - low) * top)] for value in values)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values (1, 2 or 5 times a power of ten) within [low, high]."""
    if most < 1 or high <= low:
        return [low] if most >= 1 else []
    rough = (high - low) / most
    size = 10.0 ** floor(log10(rough))
    step = next(size * unit for unit in (1, 2, 5, 10, 20) if _fits(low, high, size * unit, most))
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _fits(low: float, high: float, step: float, most: int) -> bool:
    return floor(high / step + 1e-9) - ceil(low / step - 1e-9) + 1 <= most


class Raster:
    """Dots on `width` x `height` cells, `across` x `down` dots a cell."""

    def __init__(self, width: int, height: int, glyphs: str) -> None:
        self.across, self.down = {"braille": (2, 4), "block": (1, 2)}.get(glyphs, (1, 1))
        self._glyphs = glyphs
        self._width = width
        self._height = height
        self._bits: dict[tuple[int, int], int] = {}
        self._series: dict[tuple[int, int], int] = {}

    @property
    def dots(self) -> tuple[int, int]:
        """Dots across and down."""
        return self._width * self.across, self._height * self.down

    def set(self, x: int, y: int, series: int) -> None:
        """Set the dot `x` from the left, `y` from the top; the first series keeps a cell."""
        cell = (x // self.across, y // self.down)
        row, column = y % self.down, x % self.across
        bit = _DOTS[row][column] if self._glyphs == "braille" else 1 << row
        self._bits[cell] = self._bits.get(cell, 0) | bit
        self._series.setdefault(cell, series)

    def character(self, x: int, y: int) -> tuple[str, int | None]:
        """Return the character of a cell and the series that owns it."""
        bits = self._bits.get((x, y), 0)
        if not bits:
            return " ", None
        owner = self._series[(x, y)]
        if self._glyphs == "braille":
            return chr(_BRAILLE + bits), owner
        if self._glyphs == "block":
            return " ▀▄█"[bits], owner
        return ASCII_MARKS[owner % len(ASCII_MARKS)], owner


def _trace(raster: Raster, series: Series, index: int, low: float, high: float) -> None:
    """Draw one series: each column of dots from the value before it to its own."""
    across, down = raster.dots
    values = series.values
    previous: int | None = None
    for x in range(across):
        at = x * (len(values) - 1) / max(across - 1, 1)
        value = values[round(at)]
        if value is None:
            previous = None
            continue
        y = round((high - value) / (high - low) * (down - 1))
        y = min(max(y, 0), down - 1)
        start = y if previous is None else previous
        step = 1 if start <= y else -1
        if not series.dashed or (x // raster.across) % 2 == 0:
            for dot in range(start + (step if start != y else 0), y + step, step):
                raster.set(x, dot, index)
        previous = y


def _bounds(series: Sequence[Series], floor_at: float | None) -> tuple[float, float] | None:
    values = [value for line in series for value in line.values if value is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    if floor_at is not None:
        low = min(low, floor_at)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return (low if floor_at is not None else low - margin), high + margin


def chart(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    label: Callable[[float], str],
    glyphs: str = "braille",
    floor_at: float | None = None,
    below: Line | None = None,
) -> list[Line]:
    """Return a line chart with its value axis at the left.

    Parameters
    ----------
    series : Sequence[Series]
        Lines over the same span of time, each stretched to the full width.
    label : Callable[[float], str]
        Text of a tick.
    floor_at : float | None
        A value that the axis must reach down to.
    below : Line | None
        A line under the chart, for the time axis; it takes one of the `height` lines.
    """
    rows = height - (1 if below else 0)
    bounds = _bounds(series, floor_at)
    if bounds is None or rows < 2:
        return []
    low, high = bounds
    marks = {}
    for value in ticks(low, high, max(rows // 2, 2)):
        marks[round((high - value) / (high - low) * (rows - 1))] = label(value)
    margin = max((len(text) for text in marks.values()), default=0)
    inner = width - margin - 1
    if inner < 4:
        return []
    raster = Raster(inner, rows, glyphs)
    for index, line in enumerate(series):
        if line.values:
            _trace(raster, line, index, low, high)
    lines = [_row(raster, series, y, inner, marks.get(y), margin) for y in range(rows)]
    if below:
        lines.append(((" " * (margin + 1), "dim"), *below))
    return lines


def _row(
    raster: Raster, series: Sequence[Series], y: int, width: int, mark: str | None, margin: int
) -> Line:
    axis = f"{mark:>{margin}}┤" if mark is not None else " " * margin + "│"
    spans: list[Span] = [(axis, "dim")]
    text, role = "", "text"
    for x in range(width):
        character, owner = raster.character(x, y)
        kind = role if owner is None else series[owner].role
        if kind != role and text:
            spans.append((text, role))
            text = ""
        role = kind
        text += character
    spans.append((text, role))
    return tuple(spans)
