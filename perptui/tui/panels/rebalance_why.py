"""Why a trade: the ledger of one contract, what its limits charge, break-even and waiting.

All figures are the desk's: basis points of equity a year that one more unit of weight would bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from perptui.model.explanation import BreakEven, LedgerRow
from perptui.protocol.views_rebalance import RebalanceRow
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.panels.base import contract, figure, gain, gain_role, wrapped
from perptui.tui.panels.limits import limit_name
from perptui.tui.picture import Line, left

TERMS = (
    ("alpha", "expected price drift"),
    ("carry", "expected funding"),
    ("risk", "risk it adds"),
    ("uncertainty", "uncertain mean"),
    ("cost", "cost of trading"),
    ("limits", "limits at their prices"),
)
NAME_WIDTH = 26
FIGURE_WIDTH = 11
BAR_LEAST = 8
BAR_MOST = 40
LEAST_LEDGER = 9
"""Lines of a ledger in full: title, header, six terms and their sum."""

LEDGER_LINES = 11
"""Lines that the ledger of one contract takes without its limits."""


class Why(NamedTuple):
    """A trade with all that is known of its reasons; None where the program had no optimum."""

    trade: RebalanceRow
    ledger: LedgerRow | None
    pays: BreakEven | None


def joined(
    rows: Iterable[RebalanceRow], ledger: Iterable[LedgerRow], pays: Iterable[BreakEven]
) -> list[Why]:
    """Return each trade beside its ledger and its break-even."""
    ledgers = {row.id: row for row in ledger}
    break_evens = {row.id: row for row in pays}
    return [Why(row, ledgers.get(row.id), break_evens.get(row.id)) for row in rows]


def _points(value: figures.Number) -> str:
    return figures.signed(value, 1)


def _term(name: str) -> Column[Why]:
    short = {"alpha": "drift", "carry": "funding", "uncertainty": "uncert"}.get(name, name)
    return Column(
        short,
        lambda why, _: figure(None if why.ledger is None else getattr(why.ledger, name), _whole),
        lambda why: None if why.ledger is None else abs(getattr(why.ledger, name)),
        priority={"alpha": 2, "carry": 1, "risk": 1, "limits": 1, "cost": 2}.get(name, 3),
    )


def _whole(value: figures.Number) -> str:
    return figures.signed(value, 0)


def _distance(why: Why, _now: float) -> Cell:
    if why.ledger is None:
        return Cell(figures.UNKNOWN, "dim")
    if why.trade.trade_usd:
        return Cell("traded", "accent")
    if why.ledger.traded:
        return Cell("rounded", "warn")
    return Cell(figures.number(why.ledger.distance, 1))


def _hours(why: Why, _now: float) -> Cell:
    return Cell(pays_after(why.pays), "dim" if why.pays is None else "text")


def _probability(why: Why, _now: float) -> Cell:
    known = None if why.pays is None else why.pays.probability
    return figure(known, lambda value: f"{figures.percent(value, 0)}%")


def _wait(why: Why, _now: float) -> Cell:
    return gain(None if why.pays is None else why.pays.wait_usd, 1)


COLUMNS: list[Column[Why]] = [
    Column(
        "contract",
        lambda why, _: Cell(contract(why.trade.coin, why.trade.venue)),
        lambda why: (why.trade.coin, why.trade.venue),
        align_left=True,
        priority=0,
    ),
    *(_term(name) for name, _ in TERMS),
    Column(
        "sum",
        lambda why, _: figure(None if why.ledger is None else why.ledger.residual, _points),
        priority=4,
    ),
    Column(
        "to trade",
        _distance,
        lambda why: None if why.ledger is None else why.ledger.distance,
        priority=1,
    ),
    Column("pays in", _hours, priority=3),
    Column("chance", _probability, priority=4),
    Column("wait $", _wait, priority=5),
]
"""The table of all ledgers."""


def pays_after(pays: BreakEven | None) -> str:
    """Return how long carry takes to earn the round trip back: "31 h", "never"."""
    if pays is None:
        return figures.UNKNOWN
    if pays.hours is None:
        return "never"
    return f"{figures.number(pays.hours)} h" if pays.hours < 96 else f"{pays.hours / 24:.0f} d"


def why_lines(why: Why, width: int, height: int, glyphs: str) -> list[Line]:
    """Return the ledger of one contract: its terms with bars, its limits, when it pays."""
    row, ledger = why.trade, why.ledger
    lines: list[Line] = [_title(row)]
    if ledger is None:
        return [*lines, ((" no ledger: the program had no optimum here", "dim"),)]
    lines.append(
        ((f" {'':<{NAME_WIDTH}}{'bp a year':>{FIGURE_WIDTH}}", "header"),
         ("  per unit at the target", "dim"))
    )  # fmt: skip
    terms = [(words, getattr(ledger, name)) for name, words in TERMS]
    size = max((abs(value) for _, value in terms), default=0.0)
    bar = min(max(width - NAME_WIDTH - FIGURE_WIDTH - 6, 0), 2 * BAR_MOST)
    for words, value in _most_of(terms, height - 3):
        lines.append((*_named(words, value), (_bar(value, size, bar, glyphs), gain_role(value))))
    lines += _limit_lines(ledger, max(height - LEDGER_LINES, 0)) if height > LEAST_LEDGER else []
    lines.append(
        (*_named("sum", ledger.residual), (f"  {_distance_words(why.trade, ledger)}", "dim"))
    )
    return [*lines, *_pays_lines(why.pays, width)][:height]


def _most_of(terms: Sequence[tuple[str, float]], room: int) -> list[tuple[str, float]]:
    """Return the terms in their order; where not all have a line, the smallest in one of theirs."""
    if len(terms) <= room:
        return list(terms)
    largest = sorted(terms, key=lambda term: -abs(term[1]))[: max(room - 1, 0)]
    kept = [term for term in terms if term in largest]
    rest = sum(value for _, value in terms) - sum(value for _, value in kept)
    return [*kept, (f"{len(terms) - len(kept)} smaller terms", rest)]


def _title(row: RebalanceRow) -> Line:
    name = " ".join(contract(row.coin, row.venue).split())
    order = f"{row.effect} {row.side}".strip() or "no trade"
    words = f" · {order} {figures.number(abs(row.trade_usd))} $" if row.trade_usd else " · no trade"
    why = f" · the whole trade: {row.why}" if row.why else ""
    return ((f" why {name}", "title"), (words, "text"), (why, "dim"))


def _named(words: str, value: float) -> Line:
    return (
        (f" {left(words, NAME_WIDTH)}", "text"),
        (f"{_points(value):>{FIGURE_WIDTH}}", gain_role(value)),
    )


def _bar(value: float, size: float, width: int, glyphs: str) -> str:
    """Return a bar to the left of its middle for a charge, to the right for a gain."""
    half = width // 2
    if half < BAR_LEAST or size <= 0:
        return ""
    sign = "#" if glyphs == "ascii" else "█"
    cells = round(abs(value) / size * half)
    if value < 0:
        return "  " + " " * (half - cells) + sign * cells + "│"
    return "  " + " " * half + "│" + sign * cells


def _limit_lines(ledger: LedgerRow, most: int) -> list[Line]:
    """Return the limits that charge, the dearest first; the rest in one line."""
    charged = sorted(
        ((name, value) for name, value in ledger.by_limit.items() if abs(value) >= 0.05),
        key=lambda pair: -abs(pair[1]),
    )
    most = max(most, 1)
    shown = charged if len(charged) <= most else charged[: most - 1]
    lines: list[Line] = [
        (
            (f"   {left(limit_name(name), NAME_WIDTH - 2)}", "dim"),
            (f"{_points(value):>{FIGURE_WIDTH}}", "dim"),
        )
        for name, value in shown
    ]
    if len(shown) < len(charged):
        rest = sum(value for _, value in charged[len(shown) :])
        words = f"{len(charged) - len(shown)} limits more"
        lines.append(((f"   {left(words, NAME_WIDTH - 2)}{_points(rest):>{FIGURE_WIDTH}}", "dim"),))
    return lines


def _distance_words(row: RebalanceRow, ledger: LedgerRow) -> str:
    """Return whether it trades: the ledger is of the optimum, which lots may round to no trade."""
    if ledger.traded:
        return "traded: no gain is left" if row.trade_usd else "no trade: less than lots can trade"
    if row.trade_usd:
        return "traded in lots only: rounding makes up for others"
    return f"no trade before it gains {figures.number(ledger.distance, 1)} more"


def _pays_lines(pays: BreakEven | None, width: int) -> list[Line]:
    if pays is None:
        return []
    if pays.hours is None:
        words = "carry does not pay for it: the trade is for something else"
    else:
        words = f"carry earns its cost back in {pays_after(pays)}"
        if pays.probability is not None:
            words += (
                f", within the horizon with probability {figures.probability(pays.probability)}"
            )
    lines = wrapped(words, width, " ")
    if pays.wait_usd is not None:
        later = figures.signed(pays.wait_usd, 1)
        advice = "wait" if pays.wait_usd > 0 else "trade now"
        lines += wrapped(f"after the next stamp instead of now: {later} $ ({advice})", width, " ")
    return lines


def table_notes() -> Sequence[Line]:
    """Return what the columns of the table of ledgers mean."""
    return (
        (
            (" bp a year of one more unit at the target; ", "dim"),
            ("to trade", "title"),
            (": gain missing; ", "dim"),
            ("rounded", "title"),
            (": traded but for lots", "dim"),
        ),
    )
