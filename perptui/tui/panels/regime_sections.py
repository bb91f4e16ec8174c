"""The parts of the volatility and regime view: tables of models, votes, tails and verdicts.

Each function returns lines of one part, empty where the desk knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perptui.model.forecast import (
    CalibrationVerdict,
    CoverageVerdict,
    ModelScore,
    RegimeVote,
    ScoreTrack,
    TailRisk,
)
from perptui.protocol.views import RegimeView
from perptui.tui import format as figures
from perptui.tui.panels.base import wrapped
from perptui.tui.picture import Line, Span, left
from perptui.tui.plot import Series, chart, line_mark, spark

REGIMES = ("calm", "normal", "stress", "crisis")
LEVEL_ROLES = {"calm": "ok", "normal": "text", "stress": "warn", "crisis": "alarm"}
LIGHT_ROLES = {"green": "ok", "yellow": "warn", "red": "alarm"}
TOO_FEW = "too few"
NAME, LONG_NAME, COVERED, TAIL_NAME, NARROW_TAIL_NAME = 10, 14, 24, 28, 15
WIDE, WIDE_SCORES, WIDE_TAILS, WIDEST = 72, 76, 77, 90
"""Cells from which regime models have their full names, variance models their scores over time,
tails their books, votes their weights."""
SHORT = {"hidden Markov": "HMM"}
LEGEND = (
    "QLIKE, MSE: mean loss of a day's variance, MSE as a multiple of the least · MZ p: chance of "
    "this bias in a right forecast · DM t: against the best model, above 2 is worse · Kupiec, "
    "cond., DQ: p-values that the VaR covers, independently · FHS: filtered historical simulation, "
    "± its sampling error"
)


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
    space = "\N{NO-BREAK SPACE}"
    said = [
        f"{model.name}{space}{figures.probability(model.weight)}"
        f"{space}({figures.number(model.qlike, 2)})"
        for model in models
        if model.qlike is not None
    ]
    unheard = f",{space}".join(model.name for model in models if model.qlike is None)
    words = " ".join([*said, *([f"silent:{space}{unheard}"] if unheard else [])])
    return wrapped(words, width, " models (QLIKE): ", "dim")


def model_table(view: RegimeView, width: int, glyphs: str) -> list[Line]:
    """Return one row a variance model: weight, losses, calibration, evidence against the best.

    The confidence set is a column where it is known of any model, and so is the QLIKE of the last
    year where there is room.
    """
    if not view.models:
        return []
    confident = any(model.kept is not None for model in view.models)
    trends = _trends(view.scores, glyphs) if width >= WIDE_SCORES else {}
    titles = ("weight", "QLIKE", "MSE", "MZ p", "DM t", *(("90% set",) if confident else ()))
    head = f" {left('model', NAME)}" + "".join(f"{title:>8}" for title in titles)
    head += "  QLIKE by month" if trends else ""
    least = min((model.mse for model in view.models if model.mse), default=None)
    lines: list[Line] = [((head, "dim"),)]
    for model in view.models:
        name: Span = (f" {left(model.name, NAME)}", "title")
        weight: Span = (f"{figures.probability(model.weight):>8}", "text")
        if model.qlike is None:
            lines.append((name, weight, (f"   {_why_not(model, view.silent)}", "dim")))
            continue
        cells = (
            figures.number(model.qlike, 3),
            _times_least(model.mse, least),
            figures.p_value(model.slope_p),
            _known(model.against_best, 1),
            *(({None: "·", True: "in", False: "out"}[model.kept],) if confident else ()),
        )
        text = "".join(f"{cell:>8}" for cell in cells)
        trend: Span = (f"  {trends.get(model.name, '')}", "series1")
        lines.append((name, weight, (text, "text"), trend))
    return lines


def _trends(scores: ScoreTrack, glyphs: str) -> dict[str, str]:
    """Return each model's QLIKE over time as bars, blank where it was not judged yet.

    All models have one scale, so that the lower bars are the better model's.
    """
    known = [value for row in scores.qlike for value in row if value is not None]
    if len(scores.qlike) < 2 or not known:
        return {}
    span = (min(known), max(known))
    columns = zip(*scores.qlike, strict=True)
    return {
        name: "".join(
            " " if value is None else spark((*span, value), 3, glyphs)[-1] for value in column
        )
        for name, column in zip(scores.models, columns, strict=True)
    }


def _why_not(model: ModelScore, silent: Mapping[str, str]) -> str:
    if model.name in silent:
        return f"silent: {silent[model.name].removeprefix(f'{model.name}: ')}"
    if not model.observations:
        return "not judged yet"
    return f"{TOO_FEW}: {model.observations} d"


def _times_least(error: float | None, least: float | None) -> str:
    if least is None or error is None:
        return figures.UNKNOWN
    return f"×{figures.number(error / least, 2)}"


def _known(value: float | None, digits: int) -> str:
    return figures.UNKNOWN if value is None else figures.number(value, digits)


def vote_table(votes: Sequence[RegimeVote], width: int) -> list[Line]:
    """Return one row a regime model: its word and probabilities, or why it is silent."""
    lines: list[Line] = []
    for vote in votes:
        name = left(SHORT.get(vote.model, vote.model), NAME)
        if width >= WIDE:
            name = left(vote.model, LONG_NAME)
        if vote.probabilities:
            word: Span = (left(vote.label.upper(), 6), regime_role(vote.label))
            more: Span = (f"  {vote.text}" if width >= WIDEST else "", "dim")
            said = chances(vote.label, vote.probabilities)
            lines.append(((f" {name} ", "title"), word, *said, more))
        else:
            lines += wrapped(f"silent: {vote.text}", width, f" {name} ", "dim")
    return lines


def coverage_table(rows: Sequence[CoverageVerdict]) -> list[Line]:
    """Return how often losses went beyond the VaR, with the tests' p-values.

    The method stands in the head where all rows have the same one.
    """
    if not rows:
        return []
    methods = {row.method for row in rows}
    shared = f", {rows[0].method}" if len(methods) == 1 else ""
    cells = f"{'Kupiec':>8}{'cond.':>7}{'DQ':>7}"
    head = f" {left(f'days beyond VaR{shared}', COVERED)}{'':>11}{cells}"
    lines: list[Line] = [((head, "dim"),)]
    for row in rows:
        name = f"{row.book} {figures.percent(row.level, 0)} %"
        name += "" if shared else f" {row.method}"
        share = f"{row.exceedances} of {row.observations}"
        kupiec, conditional, quantile = map(
            figures.p_value, (row.kupiec_p, row.christoffersen_p, row.dynamic_quantile_p)
        )
        text = f"{share:>11}{kupiec:>8}{conditional:>7}{quantile:>7}"
        light: Span = (f"  {row.light or TOO_FEW}", LIGHT_ROLES.get(row.light, "dim"))
        lines.append(((f" {left(name, COVERED)}", "title"), (text, "text"), light))
    return lines


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


def tail_table(rows: Sequence[TailRisk], horizon_days: float | None, width: int) -> list[Line]:
    """Return VaR and expected shortfall, percent of equity: a row a book and method.

    Where a method gave way to another, why stands below, once.
    """
    if not rows:
        return []
    wide = width >= WIDE_TAILS
    name_width = TAIL_NAME if wide else NARROW_TAIL_NAME
    levels = sorted({row.level for row in rows})
    over = "" if horizon_days is None else f", {horizon_days:g} d"
    title = ("loss % of equity" if wide else "loss %") + over
    titles = "".join(
        f"{f'VaR {figures.percent(level, 0)} %':>11}{'±':>6}{'ES':>7}" for level in levels
    )
    lines: list[Line] = [((f" {left(title, name_width)}{titles}", "dim"),)]
    for book in dict.fromkeys(row.book for row in rows):
        own = {(row.method, row.level): row for row in rows if row.book == book}
        if not wide:
            lines.append(((f" {book}", "title"),))
        for method in dict.fromkeys(method for method, _ in own):
            name = f"{book} {method}" if wide else method
            cells = "".join(_tail_cells(own.get((method, level))) for level in levels)
            lines.append(((f" {left(name, name_width)}", "title"), (cells, "text")))
    return [*lines, *_gave_way(rows, width)]


def _tail_cells(row: TailRisk | None) -> str:
    if row is None:
        return f"{figures.UNKNOWN:>11}{figures.UNKNOWN:>6}{figures.UNKNOWN:>7}"
    error = figures.percent(row.error, 2) if row.error else figures.UNKNOWN
    loss, shortfall = figures.percent(row.var, 2), figures.percent(row.shortfall, 2)
    return f"{loss:>11}{error:>6}{shortfall:>7}"


def _gave_way(rows: Sequence[TailRisk], width: int) -> list[Line]:
    levels = {row.level for row in rows}
    said: dict[tuple[str, str], set[float]] = {}
    for row in rows:
        if row.text:
            said.setdefault((row.method, row.text), set()).add(row.level)
    lines: list[Line] = []
    for (method, text), of in said.items():
        some = ", ".join(f" {figures.percent(level, 0)} %" for level in sorted(of))
        lines += wrapped(f"{method}{'' if of == levels else some}: {text}", width, "   ", "dim")
    return lines


def regime_chart(view: RegimeView, width: int, height: int, glyphs: str, margin: int) -> list[Line]:
    """Return the probabilities of stress or worse, and of calm, through time.

    `margin` is the width of the value axis, so that it stands under another chart's.
    """
    if height < 3 or len(view.regime_track) < 2:
        return []
    worse = tuple(row[2] + row[3] for row in view.regime_track)
    calm = tuple(row[0] for row in view.regime_track)
    words: tuple[Span, ...] = (
        (f"{line_mark(0, glyphs)} stress or crisis ", "series2"),
        (f"{line_mark(1, glyphs, dashed=True)} calm", "series1"),
    )
    lines = chart(
        [Series(worse, "series2"), Series(calm, "series1", dashed=True)],
        width - 1,
        height,
        label=lambda value: f"{figures.probability(value):>{margin}}",
        glyphs=glyphs,
        floor_at=0.0,
        below=time_axis(view.regime_ms, words, width - margin - 3),
    )
    return [((" ", "text"), *line) for line in lines]


def time_axis(stamps: Sequence[int], words: Sequence[Span], width: int) -> Line | None:
    """Return the first and last day at both ends of `width` cells, what is drawn between them."""
    if len(stamps) < 2:
        return None
    first, last = (figures.clock_time(ms, "%d %b") for ms in (stamps[0], stamps[-1]))
    used = sum(len(text) for text, _ in words)
    gap = max(width - len(first) - len(last) - used, 2)
    before, after = (" " * (gap // 2), "dim"), (" " * (gap - gap // 2), "dim")
    return ((first, "dim"), before, *words, after, (last, "dim"))
