"""The efficient frontier under the limits in force, with the books on it."""

from __future__ import annotations

from perptui.protocol.views_rebalance import FrontierPlace, FrontierView
from perptui.tui import format as figures
from perptui.tui.picture import Line, Span
from perptui.tui.plot_curve import Mark, Point, curve_chart

SIGNS = {"now": ("N", "warn"), "desk": ("D", "text"), "target": ("T", "ok")}
WORDS = {"now": "the book", "desk": "nothing bent", "target": "what stands"}
KEPT_ROLE = "accent"


def _sign(place: FrontierPlace) -> tuple[str, str]:
    return SIGNS.get(place.name, (place.name[:1].upper() or "?", KEPT_ROLE))


def _percent(value: float) -> str:
    return f"{figures.percent(value, 0 if abs(value) >= 0.1 or value == 0 else 1)}%"


def frontier_lines(view: FrontierView, width: int, height: int, glyphs: str) -> list[Line]:
    """Return the legend, the curve with its marks, and how far the solves have come."""
    curve = [Point(point.volatility_annual, point.return_annual) for point in view.points]
    marks = [
        Mark(Point(place.volatility_annual, place.return_annual), *_sign(place))
        for place in reversed(view.places)  # what stands is drawn over what is kept
    ]
    head = [_progress(view), *_legend(view)]
    chart = curve_chart(
        curve,
        marks,
        width - 2,
        height - len(head) - 2,
        x_label=_percent,
        y_label=_percent,
        glyphs=glyphs,
    )
    if not chart:
        return head
    top: Line = ((" % a year: return upwards, volatility to the right", "dim"),)
    return [*head, top, *(((" ", "text"), *line) for line in chart)]


def _progress(view: FrontierView) -> Line:
    done, wanted = len(view.points), view.wanted
    words = " frontier under the limits in force"
    if view.none:
        return ((words, "title"), (f" · none: {view.none}", "warn"))
    if not wanted:
        return ((words, "title"), (" · asked for", "dim"))
    if done == wanted:
        return ((words, "title"), (f" · {done} points", "dim"))
    return ((words, "title"), (f" · {done} of {wanted} solved", "accent"))


def _legend(view: FrontierView) -> list[Line]:
    """Return a line for each book: its sign, its words, where it stands."""
    lines: list[Line] = []
    for place in view.places:
        sign, role = _sign(place)
        words = WORDS.get(place.name, f"kept as {place.name}")
        spans: tuple[Span, ...] = (
            (f" {sign} ", role),
            (f"{words:<12}", "text"),
            (f" volatility {figures.percent(place.volatility_annual):>6}%", "text"),
            (f"  return {figures.percent(place.return_annual, sign=True):>7}%", "text"),
        )
        lines.append(spans)
    return lines
