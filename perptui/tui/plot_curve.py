"""A curve over two axes with marked points, in braille dots, half blocks or ASCII."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from perptui.tui.picture import Line, Span, left, right
from perptui.tui.plot import Raster, ticks

LEAST_CELLS = 8
MARGIN = 0.06
"""Share of each axis left free around the points."""


class Point(NamedTuple):
    """A point of the plane, x to the right, y up."""

    x: float
    y: float


class Mark(NamedTuple):
    """A point with a name: drawn as one character, over the curve and earlier marks."""

    at: Point
    sign: str
    role: str


class Axes(NamedTuple):
    """The window of the plane, and how its ticks are written."""

    low: Point
    high: Point
    x_label: Callable[[float], str]
    y_label: Callable[[float], str]


def window(points: Sequence[Point]) -> tuple[Point, Point]:
    """Return the lower left and upper right corner that hold all points with room around."""
    xs, ys = [point.x for point in points], [point.y for point in points]
    low, high = Point(min(xs), min(ys)), Point(max(xs), max(ys))
    wide = (high.x - low.x) * MARGIN or abs(high.x) * MARGIN or 1.0
    tall = (high.y - low.y) * MARGIN or abs(high.y) * MARGIN or 1.0
    return Point(low.x - wide, low.y - tall), Point(high.x + wide, high.y + tall)


def curve_chart(
    curve: Sequence[Point],
    marks: Sequence[Mark],
    width: int,
    height: int,
    *,
    x_label: Callable[[float], str],
    y_label: Callable[[float], str],
    glyphs: str = "braille",
) -> list[Line]:
    """Return the curve through its points in their order, the marks on it, and both axes.

    Returns
    -------
    list of Line
        `height` lines; none where nothing is to be drawn or there is no room.
    """
    points = [*curve, *(mark.at for mark in marks)]
    rows = height - 2
    if not points or rows < 3:
        return []
    low, high = window(points)
    axes = Axes(low, high, x_label, y_label)
    labels = _y_labels(axes, rows)
    margin = max(map(len, labels.values()), default=0)
    inner = width - margin - 1
    if inner < LEAST_CELLS:
        return []
    raster = Raster(inner, rows, glyphs)
    for first, second in pairwise(curve):
        _stroke(raster, _dot(raster, axes, first), _dot(raster, axes, second))
    if len(curve) == 1:
        raster.set(*_dot(raster, axes, curve[0]), 0)
    placed = {_cell(raster, axes, mark.at): mark for mark in marks}
    lines = [_row(raster, placed, y, inner, labels.get(y), margin) for y in range(rows)]
    return [*lines, *_x_axis(axes, inner, margin)]


def _y_labels(axes: Axes, rows: int) -> dict[int, str]:
    tall = axes.high.y - axes.low.y
    values = ticks(axes.low.y, axes.high.y, max(rows // 3, 2))
    return {
        round((axes.high.y - value) / tall * (rows - 1)): axes.y_label(value) for value in values
    }


def _dot(raster: Raster, axes: Axes, point: Point) -> tuple[int, int]:
    across, down = raster.dots
    x = (point.x - axes.low.x) / (axes.high.x - axes.low.x) * (across - 1)
    y = (axes.high.y - point.y) / (axes.high.y - axes.low.y) * (down - 1)
    return round(x), round(y)


def _cell(raster: Raster, axes: Axes, point: Point) -> tuple[int, int]:
    x, y = _dot(raster, axes, point)
    return x // raster.across, y // raster.down


def _stroke(raster: Raster, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Set the dots of a straight line."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    for step in range(steps + 1):
        share = step / steps
        x = round(start[0] + share * (end[0] - start[0]))
        y = round(start[1] + share * (end[1] - start[1]))
        raster.set(x, y, 0)


def _row(
    raster: Raster,
    marks: dict[tuple[int, int], Mark],
    y: int,
    width: int,
    label: str | None,
    margin: int,
) -> Line:
    spans: list[Span] = [(f"{right(label or '', margin)}{'┤' if label else '│'}", "dim")]
    text = ""
    for x in range(width):
        mark = marks.get((x, y))
        if mark is None:
            text += raster.character(x, y)[0]
            continue
        spans += [(text, "series1"), (mark.sign, mark.role)]
        text = ""
    return (*spans, (text, "series1"))


def _x_axis(axes: Axes, width: int, margin: int) -> list[Line]:
    """Return the axis with its ticks, and the line of their labels."""
    rule, below = ["─"] * width, ""
    wide = axes.high.x - axes.low.x
    for value in ticks(axes.low.x, axes.high.x, max(width // 12, 2)):
        x = round((value - axes.low.x) / wide * (width - 1))
        label = axes.x_label(value)
        start = min(max(x - len(label) // 2, 0), width - len(label))
        if start > len(below) or not below:
            below = left(below, start) + label
            rule[x] = "┬"
    lead = " " * margin
    return [((f"{lead}└{''.join(rule)}", "dim"),), ((f"{lead} {below}", "dim"),)]
