"""The parts of the volatility and regime view: tables of models, votes, tails and verdicts.

Each function returns lines of one part, empty where the desk knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.forecast import (
    CalibrationVerdict,
    CoverageVerdict,
    ModelScore,
    RegimeVote,
    TailRisk,
)
from perptui.protocol.views import RegimeView
from perptui.tui import format as figures
from perptui.tui.panels.base import wrapped
from perptui.tui.picture import Line, Span, left
from perptui.tui.plot import Series, chart

REGIMES = ("calm", "normal", "stress", "crisis")
LEVEL_ROLES = {"calm": "ok", "normal": "text", "stress": "warn", "crisis": "alarm"}
LIGHT_ROLES = {"green": "ok", "yellow": "warn", "red": "alarm"}
TOO_FEW = "too few"
NAME = 10


def regime_role(label: str) -> str:
    """Return the role of a regime's word."""
    return LEVEL_ROLES.get(label, "text")


def chances(label: str, probabilities: Sequence[float]) -> list[Span]:
    """Return the four probabilities, that of `label` in its colour."""
    role = regime_role(label)
    return [
        (f"  {name} {figures.probability(chance)}", role if name == label else "dim")
        for name, chance in zip(REGIMES, probabilities, strict=False)
    ]


def model_words(models: Sequence[ModelScore], width: int) -> list[Line]:
    """Return weights and scores in running text, for where there is no room for a table."""
    if not models:
        return []
    words = " ".join(
        f"{model.name}\N{NO-BREAK SPACE}{figures.probability(model.weight)}"
        + ("" if model.qlike is None else f"\N{NO-BREAK SPACE}({figures.number(model.qlike, 2)})")
        for model in models
    )
    return wrapped(words, width, " models (QLIKE): ", "dim")


def model_table(models: Sequence[ModelScore]) -> list[Line]:
    """Return one row a variance model: weight, losses, calibration, evidence against the best."""
    if not models:
        return []
    titles = ("weight", "QLIKE", "MSE", "a0 b1 p", "DM t", "90% set")
    head = f" {left('model', NAME)}" + "".join(f"{title:>8}" for title in titles)
    known = [model.mse for model in models if model.mse]
    least = min(known, default=None)
    lines: list[Line] = [((head, "dim"),)]
    for model in models:
        error = None if least is None or model.mse is None else model.mse / least
        cells = (
            figures.probability(model.weight),
            _known(model.qlike, 3),
            "·" if error is None else f"×{figures.number(error, 2)}",
            _known(model.slope_p, 2),
            _known(model.against_best, 1),
            {None: "·", True: "in", False: "out"}[model.kept],
        )
        text = "".join(f"{cell:>8}" for cell in cells)
        lines.append(((f" {left(model.name, NAME)}", "title"), (text, "text")))
    return lines


def _known(value: float | None, digits: int) -> str:
    return figures.UNKNOWN if value is None else figures.number(value, digits)


def vote_table(votes: Sequence[RegimeVote], width: int) -> list[Line]:
    """Return one row a regime model: its word and probabilities, or why it is silent."""
    lines: list[Line] = []
    for vote in votes:
        name: Span = (f" {left(vote.model, NAME)} ", "title")
        if vote.probabilities:
            word: Span = (left(vote.label.upper(), 6), regime_role(vote.label))
            lines.append((name, word, *chances(vote.label, vote.probabilities)))
        else:
            lines += wrapped(f"silent: {vote.text}", width, f" {left(vote.model, NAME)} ", "dim")
    return lines


def coverage_table(rows: Sequence[CoverageVerdict]) -> list[Line]:
    """Return how often losses went beyond the VaR, with the tests' p-values."""
    if not rows:
        return []
    titles = ("beyond", "of", "Kupiec", "cond.", "DQ")
    head = f" {left('VaR of', 22)}" + "".join(f"{title:>7}" for title in titles) + "  light"
    lines: list[Line] = [((head, "dim"),)]
    for row in rows:
        name = f"{row.book} {figures.percent(row.level, 0)} % {row.method}"
        cells = (str(row.exceedances), str(row.observations), *_p_values(row))
        text = "".join(f"{cell:>7}" for cell in cells)
        light: Span = (f"  {row.light or TOO_FEW}", LIGHT_ROLES.get(row.light, "dim"))
        lines.append(((f" {left(name, 22)}", "title"), (text, "text"), light))
    return lines


def _p_values(row: CoverageVerdict) -> tuple[str, ...]:
    return tuple(
        figures.UNKNOWN if p is None else figures.probability(p)
        for p in (row.kupiec_p, row.christoffersen_p, row.dynamic_quantile_p)
    )


def calibration_lines(rows: Sequence[CalibrationVerdict]) -> list[Line]:
    """Return the bias statistic of each book beside the band of a right forecast."""
    lines: list[Line] = []
    for row in rows:
        if row.bias is None or row.low is None or row.high is None:
            lines.append(((f" bias {row.book}: {row.text or TOO_FEW}", "dim"),))
            continue
        inside = row.low <= row.bias <= row.high
        band = f"{figures.number(row.low, 2)}..{figures.number(row.high, 2)}"
        lines.append(
            (
                (f" bias {row.book} ", "title"),
                (figures.number(row.bias, 2), "ok" if inside else "warn"),
                (f" in {band}" if inside else f" outside {band}", "ok" if inside else "warn"),
                (f"  {row.observations} d", "dim"),
            )
        )
    return lines


def tail_table(rows: Sequence[TailRisk]) -> list[Line]:
    """Return VaR and expected shortfall by book and method, percent of equity, loss positive."""
    if not rows:
        return []
    titles = ("VaR", "±", "ES")
    head = f" {left('loss % of equity', 30)}" + "".join(f"{title:>7}" for title in titles)
    lines: list[Line] = [((head, "dim"),)]
    for row in rows:
        name = f"{row.book} {figures.percent(row.level, 0)} % {row.method}"
        error = figures.percent(row.error, 2) if row.error else figures.UNKNOWN
        cells = (figures.percent(row.var, 2), error, figures.percent(row.shortfall, 2))
        text = "".join(f"{cell:>7}" for cell in cells)
        lines.append(((f" {left(name, 30)}", "title"), (text, "text"), (f"  {row.text}", "dim")))
    return lines


def regime_chart(view: RegimeView, width: int, height: int, glyphs: str) -> list[Line]:
    """Return the probabilities of stress or worse, and of calm, through time."""
    if height < 3 or len(view.regime_track) < 2:
        return []
    worse = tuple(row[2] + row[3] for row in view.regime_track)
    calm = tuple(row[0] for row in view.regime_track)
    caption: Line = (("─ stress or crisis  ", "series2"), ("┄ calm", "series1"))
    lines = chart(
        [Series(worse, "series2"), Series(calm, "series1", dashed=True)],
        width - 1,
        height,
        label=figures.probability,
        glyphs=glyphs,
        floor_at=0.0,
        below=caption,
    )
    return [((" ", "text"), *line) for line in lines]
