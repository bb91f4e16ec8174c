"""What was kept as A and B beside what stands: figures first, then targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from perptui.protocol.views_rebalance import Comparison, KeptProposal, RebalanceView
from perptui.tui import format as figures
from perptui.tui.panels.base import contract, wrapped
from perptui.tui.panels.rebalance_book import compared, figure_name, named
from perptui.tui.picture import Line, Span, left, right

NAME_WIDTH = 18
COLUMN_WIDTH = 11
WEIGHT_WIDTH = 8
GAP = 3


class Side(NamedTuple):
    """One column: its heading, its figures by name, its weights by instrument id."""

    name: str
    figures: Mapping[str, str]
    weights: Mapping[str, float]


def _write(
    figures_of: Sequence[Comparison], pick: Callable[[Comparison], float | None]
) -> dict[str, str]:
    return {row.name: compared(row, pick(row)) for row in figures_of}


def _kept_side(kept: KeptProposal) -> Side:
    shown = _write(kept.figures, lambda row: row.after)
    shown |= {
        "objective": _objective(kept.objective_usd_day),
        "cost": f"{figures.number(kept.cost_usd, 1)} $",
        "turnover": f"{figures.percent(kept.turnover, 0)}%",
    }
    return Side(kept.slot, shown, kept.weights)


def _objective(value: float | None) -> str:
    return figures.UNKNOWN if value is None else f"{figures.signed(value, 1)} $/d"


def sides(view: RebalanceView) -> list[Side]:
    """Return the columns: the book now, each kept proposal, what stands."""
    now = Side(
        "now",
        _write(view.comparisons, lambda row: row.now),
        {row.id: row.weight_now for row in view.rows},
    )
    stands = Side(
        "stands",
        _write(view.comparisons, lambda row: row.after)
        | {
            "objective": _objective(view.objective_usd_day),
            "cost": f"{figures.number(view.cost_usd, 1)} $",
            "turnover": f"{figures.percent(view.turnover, 0)}%",
        },
        {row.id: row.weight_rounded for row in view.rows},
    )
    return [now, *(_kept_side(kept) for kept in view.kept), stands]


def compare_lines(
    view: RebalanceView, width: int, height: int, days: float | None = None
) -> list[Line]:
    """Return the columns side by side; without anything kept, how to keep it.

    Parameters
    ----------
    days : float, optional
        Horizon of the estimates that what stands was measured by.
    """
    if not view.kept:
        return wrapped(
            "nothing is kept yet: A keeps what stands as A, B as B; "
            "then bend further and see both beside each other here",
            width,
            " ",
            "dim",
        )
    columns = sides(view)
    head = [*_kept_lines(view, width), *_measure_lines(view, width, days), ()]
    table, targets = _figures(columns), _targets(view, columns)
    room = height - len(head)
    half = NAME_WIDTH + COLUMN_WIDTH * len(columns) + GAP
    if width >= half + NAME_WIDTH + WEIGHT_WIDTH * len(columns):
        most = max(len(table), len(targets))
        pairs = ((_at(table, y), _at(targets, y)) for y in range(min(most, room)))
        return [*head, *(((*one, (_pad(one, half), "text"), *other)) for one, other in pairs)]
    short = max(room - len(table) - 1, 0)
    if len(targets) > short > 2:
        more = len(targets) - short + 1
        targets = [*targets[: short - 1], ((f" … {more} more: a wider terminal", "dim"),)]
    return [*head, *table, (), *targets[:short]][:height]


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()


def _pad(line: Line, width: int) -> str:
    return " " * max(width - sum(len(text) for text, _ in line), 0)


def _kept_lines(view: RebalanceView, width: int) -> list[Line]:
    """Return what is kept under each name: strategy, status, what was bent."""
    lines: list[Line] = []
    for digit, kept in enumerate(view.kept, 1):
        bent = " · ".join(map(named, kept.assignments)) or "nothing bent"
        old = "" if kept.same_market else " · on an older market"
        own = " · figures by its own measure" if kept.own_measure else ""
        words = f"{kept.strategy} · {kept.status} · {bent}{old}{own}"
        role = "warn" if old or own else "text"
        first, *more = wrapped(words, width, f" {digit} {kept.slot}  ", role)
        lines += [((f" {digit} ", "key"), (f"{kept.slot}  ", "title"), *first[1:]), *more]
    digits = "a digit goes back to what was kept · A, B keep what stands"
    return [*lines, ((f" {digits}", "dim"),)]


def _measure_lines(view: RebalanceView, width: int, days: float | None) -> list[Line]:
    """Return by whose forecasts, and on which market, every column is measured: as what stands."""
    over = "" if days is None else f", {days:g} day{'' if days == 1 else 's'}"
    own = any(kept.own_measure for kept in view.kept)
    of = "all but what is marked" if own else "all columns"
    market = figures.with_minus(f", at {view.market}") if view.market else ""
    return wrapped(f"{of} measured by {view.strategy}'s forecasts{over}{market}", width, " ", "dim")


def _figures(columns: Sequence[Side]) -> list[Line]:
    """Return one line a figure; where a column differs from the one before it stands out."""
    names = list(dict.fromkeys(name for side in columns for name in side.figures))
    lines: list[Line] = [_header("book", columns)]
    for name in names:
        texts = [side.figures.get(name, "") for side in columns]
        lines.append(_line(figure_name(name), texts))
    return lines


def _header(name: str, columns: Sequence[Side], wide: int = COLUMN_WIDTH) -> Line:
    titles = "".join(right(side.name, wide) for side in columns)
    return ((f" {left(name, NAME_WIDTH - 1)}{titles}", "header"),)


def _line(name: str, texts: Sequence[str], wide: int = COLUMN_WIDTH) -> Line:
    spans: list[Span] = [(f" {left(name, NAME_WIDTH - 1)}", "text")]
    for index, text in enumerate(texts):
        changed = index > 1 and bool(text) and text != texts[index - 1]
        spans.append((right(text, wide), "accent" if changed else "text"))
    return tuple(spans)


def _targets(view: RebalanceView, columns: Sequence[Side]) -> list[Line]:
    """Return one line a contract that any column holds."""
    lines: list[Line] = [_header("target", columns, WEIGHT_WIDTH)]
    for row in view.rows:
        weights = [side.weights.get(row.id, 0.0) for side in columns]
        if any(abs(weight) >= 5e-4 for weight in weights):
            texts = [figures.weight(weight) for weight in weights]
            lines.append(_line(contract(row.coin, row.venue), texts, WEIGHT_WIDTH))
    return lines
