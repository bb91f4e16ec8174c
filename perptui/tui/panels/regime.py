"""Volatility and regime: probabilities, forecast against realised, the models, the evidence."""

from __future__ import annotations

from collections.abc import Callable

from perptui.protocol.views import RegimeView
from perptui.tui import format as figures
from perptui.tui.panels.base import PanelWidget, wrapped
from perptui.tui.picture import Line, Span
from perptui.tui.plot import Series, chart
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

REGIMES = ("calm", "normal", "stress", "crisis")
LEVEL_ROLES = {"calm": "ok", "normal": "text", "stress": "warn", "crisis": "alarm"}


def regime_role(label: str) -> str:
    """Return the role of a regime's word."""
    return LEVEL_ROLES.get(label, "text")


class RegimePanel(PanelWidget):
    """The regime panel; it has no rows, so moving keys do nothing here."""

    panel = "regime"
    title = "Vol & regime"

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self._drawn_chart: tuple[tuple[RegimeView | None, int, int], list[Line]]
        self._drawn_chart = ((None, 0, 0), [])

    @property
    def _view(self) -> RegimeView:
        return self.showing.view.regime

    def corner(self) -> Line:
        """Return which closed bar the estimates stand on."""
        bar = self._view.bar_ms
        return (
            () if bar is None else ((f"bar {figures.since(bar, self.showing.venue_ms())} ", "dim"),)
        )

    def body(self, width: int, height: int) -> list[Line]:
        """Return probabilities, figures, chart, models and evidence, as the height allows."""
        head = [self._probabilities(), self._figures()]
        foot = [self._exposure(), *self._why(width)]
        models = self._models(width)
        room = height - len(head) - len(foot) - len(models)
        if room < 3:
            foot = foot[: max(height - len(head) - 4, 1)]
            models = []
            room = height - len(head) - len(foot)
        return [*head, *self._chart(width, min(room, 24)), *models, *foot]

    def _probabilities(self) -> Line:
        view = self._view
        role = regime_role(view.label)
        spans: list[Span] = [(f" {view.label.upper()}", role)]
        for name, probability in zip(REGIMES, view.probabilities, strict=False):
            kind = role if name == view.label else "dim"
            spans.append((f"  {name} {figures.probability(probability)}", kind))
        return tuple(spans)

    def _figures(self) -> Line:
        view = self._view
        f = figures
        ratio = f.UNKNOWN if view.ratio_7d is None else f.number(view.ratio_7d, 2)
        return (
            (f" ┄ forecast {f.percent(view.forecast_volatility)} % a year", "series1"),
            (f"  ─ last 7 d {f.percent(view.realised_7d)} %", "series2"),
            (f"  ratio {ratio}", "dim"),
        )

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
        times: Line | None = None
        if len(view.track_ms) >= 2 and height >= 5:
            first, last = (
                figures.clock_time(ms, "%d %b") for ms in (view.track_ms[0], view.track_ms[-1])
            )
            gap = max(width - 8 - len(first) - len(last) - 24, 1)
            times = (
                (first, "dim"),
                (" " * (gap // 2), "dim"),
                ("┄ forecast ", "series1"),
                ("─ realised", "series2"),
                (" " * (gap - gap // 2), "dim"),
                (last, "dim"),
            )
        lines = chart(
            [
                Series(view.track_forecast, "series1", dashed=True),
                Series(view.track_realised, "series2"),
            ],
            width - 1,
            height,
            label=lambda value: figures.percent(value, 0),
            glyphs=self.showing.glyphs,
            below=times,
        )
        return [((" ", "text"), *line) for line in lines] or [
            ((" no track of forecasts yet", "dim"),)
        ]

    def _models(self, width: int) -> list[Line]:
        if not self._view.models:
            return []
        words = " ".join(
            f"{model.name}\N{NO-BREAK SPACE}{figures.probability(model.weight)}"
            + (
                ""
                if model.qlike is None
                else f"\N{NO-BREAK SPACE}({figures.number(model.qlike, 2)})"
            )
            for model in self._view.models
        )
        return wrapped(words, width - 1, " models (QLIKE): ", "dim")

    def _exposure(self) -> Line:
        view = self._view
        if view.exposure is None:
            return ((" exposure ·", "dim"),)
        spans: list[Span] = [(f" exposure ×{figures.number(view.exposure, 2)}", "title")]
        if view.since_ms is not None:
            since = figures.since(view.since_ms, self.showing.venue_ms())
            spans.append((f"  {view.label} since {since}", "dim"))
        if view.exposure_before is not None and view.exposure_before != view.exposure:
            spans.append((f", was ×{figures.number(view.exposure_before, 2)}", "dim"))
        return tuple(spans)

    def _why(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for index, evidence in enumerate(self._view.evidence):
            lines += wrapped(evidence, width, " why: " if index == 0 else "      ")
        return lines
