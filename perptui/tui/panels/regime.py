"""Volatility and regime: probabilities, forecast against realised, the models, the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perptui.protocol.views import RegimeView
from perptui.tui import format as figures
from perptui.tui.panels import regime_sections as sections
from perptui.tui.panels.base import PanelWidget, wrapped
from perptui.tui.picture import Line, Span, fit
from perptui.tui.plot import Series, chart, line_mark
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

SIDE_BY_SIDE = 130
"""Columns from which charts stand at the left and tables at the right."""
WHOLE = 28
"""Lines from which every table is shown."""
LEAST_CHART, TALLEST_CHART = 5, 24
LEAST_REGIME, REGIME_CHART = 6, 8
CHARTS = 14
"""Lines that the two charts have before any table."""
NARROW = 60
"""Cells from which the forecast's unit is a word."""
AXIS = 4
"""Cells of the value axes, so that times stand under each other."""


class RegimePanel(PanelWidget):
    """The regime panel; it has no rows, so moving keys scroll its tables."""

    panel = "regime"
    title = "Vol & regime"
    keys = (("drill", "regimes over time, models, votes, verdicts"),)

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self._drawn_chart: tuple[tuple[RegimeView | None, int, int], list[Line]]
        self._drawn_chart = ((None, 0, 0), [])
        self._all_shown = False

    @property
    def _view(self) -> RegimeView:
        return self.showing.view.regime

    def corner(self) -> Line:
        """Return where the other tables are, and which closed bar the estimates stand on."""
        bar = self._view.bar_ms
        if bar is None:
            return ()
        tables = "" if self.detail or self._all_shown else "enter: all tables  "
        return ((f"{tables}bar {figures.since(bar, self.showing.venue_ms())} ", "dim"),)

    def body(self, width: int, height: int) -> list[Line]:
        """Return as much of the view as the size allows: what matters at once comes first."""
        self._all_shown = False
        if height < WHOLE:
            return self._compact(width, height)
        if width >= SIDE_BY_SIDE:
            return self._wide(width, height)
        return self._tall(width, height)

    def _compact(self, width: int, height: int) -> list[Line]:
        head = [self._probabilities(), self._figures(width)]
        foot = [self._exposure(), *self._why(width)]
        models = sections.model_words(self._view.models, width - 1)
        room = height - len(head) - len(foot) - len(models)
        if room < 3:
            foot = foot[: max(height - len(head) - 4, 1)]
            models = []
            room = height - len(head) - len(foot)
        return [*head, *self._chart(width, min(room, TALLEST_CHART)), *models, *foot]

    def _tall(self, width: int, height: int) -> list[Line]:
        head = [self._probabilities(), self._figures(width), self._exposure(), *self._why(width)]
        tables = self._fitting(width, height - len(head) - CHARTS)
        left = height - len(head) - len(tables)
        below = min(REGIME_CHART, max(left - LEAST_CHART - 3, LEAST_REGIME))
        over_time = self._over_time(width, below)
        lines = self._chart(width, min(left - len(over_time), TALLEST_CHART))
        return [*head, *lines, *over_time, *tables]

    def _wide(self, width: int, height: int) -> list[Line]:
        """Charts at the left, tables at the right."""
        half = width // 2
        left = [self._probabilities(), self._figures(half)]
        over_time = self._over_time(half - 1, min(REGIME_CHART * 2, height // 3))
        left += self._chart(half - 1, height - len(left) - len(over_time))
        left += over_time
        right = [self._exposure(), *self._why(width - half)]
        right += self._fitting(width - half, height - len(right), apart=True)
        rows = max(len(left), len(right))
        left += [()] * (rows - len(left))
        right += [()] * (rows - len(right))
        return [fit(a, half) + b for a, b in zip(left, right, strict=True)]

    def _fitting(self, width: int, room: int, *, apart: bool = False) -> list[Line]:
        """Return the tables that fit into `room` lines, and note whether all did."""
        lines: list[Line] = []
        self._all_shown = True
        for part in filter(None, self._tables(width)):
            block = [(), *part] if apart else part
            if len(lines) + len(block) <= room:
                lines += block
            else:
                self._all_shown = False
        return lines

    def _tables(self, width: int) -> list[list[Line]]:
        """Return the tables, the most wanted first; the last ones give way where room is short."""
        view = self._view
        return [
            sections.model_table(view, width, self.showing.glyphs),
            sections.vote_table(view.votes, width - 1),
            [
                *sections.coverage_table(view.coverage),
                *sections.calibration_lines(view.calibration),
            ],
            sections.tail_table(view.tails, view.horizon_days, width),
            listed(view.verdicts, width, " court: ", "text"),
            listed(view.weak, width, " notes: ", "dim"),
        ]

    def details(self, width: int) -> list[Line]:
        """Return the regime over time and all tables: not every terminal has room for them."""
        lines: list[Line] = self._over_time(width, REGIME_CHART)
        for part in filter(None, self._tables(width)):
            lines += [(), *part] if lines else part
        return [*lines, (), *wrapped(sections.LEGEND, width, " ", "dim")] if lines else []

    def _probabilities(self) -> Line:
        view = self._view
        label: Span = (f" {view.label.upper()}", sections.regime_role(view.label))
        return (label, *sections.chances(view.label, view.probabilities))

    def _figures(self, width: int) -> Line:
        view = self._view
        f = figures
        glyphs = self.showing.glyphs
        dashes, line = line_mark(0, glyphs, dashed=True), line_mark(1, glyphs)
        a_year = " a year" if width >= NARROW else "/y"
        ratio = f.UNKNOWN if view.ratio_7d is None else f.number(view.ratio_7d, 2)
        return (
            (f" {dashes} forecast {f.percent(view.forecast_volatility)} %{a_year}", "series1"),
            (f"  {line} last 7 d {f.percent(view.realised_7d)} %", "series2"),
            (f"  ratio {ratio}", "dim"),
        )

    def _over_time(self, width: int, height: int) -> list[Line]:
        return sections.regime_chart(self._view, width, height, self.showing.glyphs, AXIS)

    def _chart(self, width: int, height: int) -> list[Line]:
        """Return the chart; it is drawn again only for new estimates or another size."""
        key = (self._view, width, height)
        if self._drawn_chart[0] != key:
            self._drawn_chart = (key, self._draw_chart(width, height))
        return self._drawn_chart[1]

    def _draw_chart(self, width: int, height: int) -> list[Line]:
        view = self._view
        if height < 3:
            return [()] * max(height, 0)
        if not view.track_ms:
            return [((" no track of forecasts yet", "dim"),)]
        band = [Series(edge, "dim", dashed=True) for edge in (view.track_low, view.track_high)]
        lines = chart(
            [
                Series(view.track_forecast, "series1", dashed=True),
                Series(view.track_realised, "series2"),
                *(edge for edge in band if edge.values),
            ],
            width - 1,
            height,
            label=lambda value: f"{figures.percent(value, 0):>{AXIS}}",
            glyphs=self.showing.glyphs,
            below=self._time_axis(width) if height >= LEAST_CHART else None,
        )
        return [((" ", "text"), *line) for line in lines]

    def _time_axis(self, width: int) -> Line | None:
        glyphs = self.showing.glyphs
        words: list[Span] = [
            (f"{line_mark(0, glyphs, dashed=True)} forecast ", "series1"),
            (f"{line_mark(1, glyphs)} realised", "series2"),
        ]
        if self._view.track_low:
            edges = dict.fromkeys(line_mark(row, glyphs, dashed=True) for row in (2, 3))
            words.append((f" {' '.join(edges)} 95 % band", "dim"))
        return sections.time_axis(self._view.track_ms, words, width - AXIS - 3)

    def _exposure(self) -> Line:
        view = self._view
        if view.exposure is None:
            return ((" exposure ·", "dim"),)
        spans: list[Span] = [(f" exposure ×{figures.number(view.exposure, 2)}", "title")]
        used = figures.number(view.exposure_used, 2)
        if used not in {figures.UNKNOWN, figures.number(view.exposure, 2)}:
            spans.append((f", {view.strategy} takes ×{used}", "title"))
        if view.since_ms is not None:
            since = figures.since(view.since_ms, self.showing.venue_ms())
            spans.append((f"  {view.label} since {since}", "dim"))
        before = figures.number(view.exposure_before, 2)
        if before not in {figures.UNKNOWN, figures.number(view.exposure, 2)}:
            spans.append((f", was ×{before}", "dim"))
        return tuple(spans)

    def _why(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for index, evidence in enumerate(self._view.evidence):
            lines += wrapped(figures.named(evidence), width, " why: " if index == 0 else "      ")
        return lines


def listed(texts: Sequence[str], width: int, title: str, role: str) -> list[Line]:
    """Return texts below each other, each wrapped, `title` before the first."""
    lines: list[Line] = []
    for index, words in enumerate(texts):
        lines += wrapped(figures.named(words), width, " " * len(title) if index else title, role)
    return lines
