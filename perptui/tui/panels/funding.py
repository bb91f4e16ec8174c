"""Funding carry: the rate now, its next stamp, its mean, what it is worth a day to our position."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perptui.protocol.views import FundingRow, FundingSpan, FundingView
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.grid import Grid
from perptui.tui.panels.base import RowsPanel, contract, figure, gain, gain_role
from perptui.tui.picture import Line, Span
from perptui.tui.plot import spark
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

LARGE_USD = 1000
"""Dollars from which cents say nothing."""
TREND = 8
"""Settlements in the trend."""


def _apr(row: FundingRow, _now: float) -> Cell:
    sd = "" if row.apr_sd is None else f" ± {figures.percent(row.apr_sd, 1):>5}"
    return Cell(figures.percent(row.apr, 1, sign=True) + sd)


def _expected(row: FundingRow) -> list[tuple[str, str]]:
    """Return what the estimators expect: the term structure, what it is made of, the caps."""
    f = figures
    lines = [(f"expected {span.span}", _span_words(span)) for span in row.term]
    if any(span.carry_usd is not None for span in row.term):
        lines.insert(0, ("", f"{'a long pays':<22}our position earns $"))
    if row.regime:
        z = f"{f.signed(row.horizon_z, 1)} sd over the horizon"
        halves = "" if row.halflife_h is None else f", half-way there in {row.halflife_h:.0f} h"
        lines.append(("funding regime", f"{row.regime}, {z}"))
        lines.append(("anchor", f"{f.percent(row.anchor_apr, 1, sign=True)} % APR{halves}"))
    if row.parts:
        words = (f"{part.name} {f.probability(part.weight)}" for part in row.parts)
        lines.append(("made of", ", ".join(words)))
    for side, cap in (("long", row.long_cap), ("short", row.short_cap)):
        if cap < 1.0:
            lines.append((f"{side} cap", f"×{f.number(cap, 2)}: {_why_capped(row, side)}"))
    return lines


def _why_capped(row: FundingRow, side: str) -> str:
    """Return why a side has less room: it pays, or the sum over the horizon may be anything."""
    z = row.horizon_z or 0.0
    unsteady = "funding is unsteady"
    if abs(z) <= 1.0 or (side == "long") != (z > 0.0):
        return unsteady
    also = f", and {unsteady}" if max(row.long_cap, row.short_cap) < 1.0 else ""
    return f"a {side} pays {figures.number(abs(z), 1)} sd over the horizon{also}"


def _span_words(span: FundingSpan) -> str:
    f = figures
    words = f"{f.rate(span.mean):>9} ± {f.percent(span.sd, 4):<8}"
    if span.carry_usd is None:
        return words.rstrip()
    digits = 1 if abs(span.carry_usd) < LARGE_USD else 0
    earned, sd = f.signed(span.carry_usd, digits), f.number(span.carry_sd_usd, digits)
    return f"{words}{earned:>10} ± {sd}"


def _after(row: FundingRow, _now: float) -> Cell:
    return gain(row.carry_usd_day_after, 1)


class FundingPanel(RowsPanel):
    """The funding table of held and watched contracts."""

    panel = "funding"
    title = "Funding carry"
    keys = (
        ("drill", "this contract: funding expected, parts, caps"),
        ("sort", "sort by the next column"),
        ("filter", "show rows that hold some words"),
    )

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.grid: Grid[FundingRow] = Grid(
            self._columns(),
            lambda row: row.id,
            sort="APR %",
            mark=lambda row: "dim" if row.stale else "",
        )

    def _columns(self) -> list[Column[FundingRow]]:
        f = figures
        return [
            Column(
                "contract",
                lambda r, _: Cell(contract(r.coin, r.venue)),
                lambda r: (r.coin, r.venue),
                align_left=True,
                priority=0,
            ),
            Column("now", lambda r, _: Cell(f.rate(r.rate)), lambda r: r.rate),
            Column("per", lambda r, _: Cell(f"{r.interval_h:g}h", "dim"), priority=3),
            Column("next in", self._next, lambda r: -r.next_ms, priority=5, live=True),
            Column("trend", self._trend, align_left=True, priority=2, least=TREND),
            Column("7 d", lambda r, _: figure(r.mean_7d, f.rate), priority=3),
            Column("30 d", lambda r, _: figure(r.mean_30d, f.rate), priority=7),
            Column("APR %", _apr, lambda r: r.apr, priority=1),
            Column("z", lambda r, _: figure(r.z, lambda v: f.signed(v, 1)), priority=6),
            Column(
                "$/day",
                lambda r, _: gain(r.carry_usd_day, 1),
                lambda r: r.carry_usd_day,
                priority=2,
            ),
            Column("after", _after, priority=4),
            Column(
                "best",
                lambda r, _: Cell(f.venue(r.best_venue) or "only one", "dim"),
                align_left=True,
                priority=8,
            ),
            Column("age", self._age, priority=9, live=True),
        ]

    def _next(self, row: FundingRow, _now: float) -> Cell:
        return Cell(figures.countdown(row.next_ms - self.showing.venue_ms()), "dim")

    def _trend(self, row: FundingRow, _now: float) -> Cell:
        return Cell(spark(row.trend, TREND, self.showing.glyphs) or figures.UNKNOWN, "series1")

    def _age(self, row: FundingRow, now: float) -> Cell:
        seconds = figures.age(max(now - row.observed_mono, 0.0))
        return Cell(f"STALE {seconds}", "warn") if row.stale else Cell(seconds, "dim")

    @property
    def _view(self) -> FundingView:
        return self.showing.view.funding

    def corner(self) -> Line:
        """Return the next stamp, or the filter in force."""
        if self.grid.filter:
            return self.sort_words()
        next_ms = self._view.next_ms
        if next_ms is None:
            return ()
        left = figures.countdown(next_ms - self.showing.venue_ms())
        return ((f"next stamp {figures.clock_time(next_ms, '%H:%M')} in {left} ", "dim"),)

    def before_lines(self) -> None:
        """Hand the rows to the grid."""
        self.grid.set_rows(self._view.rows)

    def body(self, width: int, height: int) -> list[Line]:
        """Return the table above what the book earns a day."""
        lines = self.with_card(self.grid_lines(width, height - 2), width, height - 1)
        lines += [()] * max(height - 1 - len(lines), 0)
        return [*lines[: height - 1], self._book()]

    def _book(self) -> Line:
        view = self._view
        now = figures.signed(view.carry_usd_day, 1)
        spans: list[Span] = [(" book ", "title"), (f"{now} $/day", gain_role(view.carry_usd_day))]
        if view.carry_usd_day_after is not None:
            spans.append((" → ", "dim"))
            after = figures.signed(view.carry_usd_day_after, 1)
            spans.append((after, gain_role(view.carry_usd_day_after)))
            spans.append((" after the proposal", "dim"))
        return tuple(spans)

    def card(self) -> Sequence[tuple[str, str]]:
        """Return everything known of the contract under the cursor."""
        row = self.grid.selected
        if row is None:
            return ()
        f = figures
        left = f.countdown(row.next_ms - self.showing.venue_ms())
        return (
            ("contract", row.id),
            ("rate now", f"{f.rate(row.rate)} per {row.interval_h:g} h (+: long pays short)"),
            ("next stamp", f"{f.clock_time(row.next_ms, '%Y-%m-%d %H:%M')} in {left}"),
            ("mean 1, 7, 30 d", ", ".join(map(f.rate, (row.mean_1d, row.mean_7d, row.mean_30d)))),
            ("APR", f"{f.percent(row.apr, 2, sign=True)} % ± {f.percent(row.apr_sd, 2)}"),
            ("z", f.signed(row.z, 2)),
            *_expected(row),
            ("carry a day", f"{f.signed(row.carry_usd_day, 2)} $"),
            ("after the proposal", f"{f.signed(row.carry_usd_day_after, 2)} $"),
            ("best venue", f.venue(row.best_venue) or f"{f.venue(row.venue)}, the only one here"),
            ("trend", spark(row.trend, 40, self.showing.glyphs) or f.UNKNOWN),
            ("observed", f"{f.age(self.showing.age(row.observed_mono))} ago"),
        )
