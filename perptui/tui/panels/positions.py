"""Positions: side in words, notional, marks, carry, weight now and wanted, liquidation distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perptui.protocol.views import PositionRow, PositionsView
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.grid import Grid
from perptui.tui.panels.base import RowsPanel, contract, figure, figure_or_none, gain
from perptui.tui.picture import Line, Span
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette


def rate_8h(row: PositionRow) -> float | None:
    """Return the funding rate scaled to eight hours, fraction of notional."""
    if row.funding_rate is None or not row.funding_interval_h:
        return None
    return row.funding_rate * 8.0 / row.funding_interval_h


def change(row: PositionRow) -> float | None:
    """Return target less weight now."""
    return None if row.weight_target is None else row.weight_target - row.weight


def _size(row: PositionRow) -> float:
    return abs(float(row.notional_usd))


def _contracts(row: PositionRow, _now: float) -> Cell:
    return Cell(f"{row.contracts.normalize():+,f}".replace("-", figures.MINUS))


def _age(row: PositionRow, now: float) -> Cell:
    seconds = max(now - row.observed_mono, 0.0)
    if row.stale:
        return Cell(f"STALE {figures.age(seconds)}", "warn")
    return Cell(figures.age(seconds), "dim")


def columns(*, stale: bool) -> list[Column[PositionRow]]:
    """Return the columns; where a row is `stale`, ages stay in sight at any width."""
    f = figures
    return [
        Column(
            "contract",
            lambda r, _: Cell(contract(r.coin, r.venue)),
            lambda r: (r.coin, r.venue),
            align_left=True,
            priority=0,
        ),
        Column("side", lambda r, _: Cell(f.side(r.contracts)), align_left=True),
        Column("notional", lambda r, _: Cell(f.number(abs(r.notional_usd))), _size),
        Column("contracts", _contracts, priority=7),
        Column("entry", lambda r, _: Cell(f.price(r.entry_price)), priority=6),
        Column("mark", lambda r, _: Cell(f.price(r.mark_price)), priority=3),
        Column(
            "uPnL",
            lambda r, _: gain(r.unrealised_usd, arrowed=True),
            lambda r: r.unrealised_usd,
            priority=2,
        ),
        Column("fund/8h", lambda r, _: figure(rate_8h(r), f.rate), rate_8h, priority=3),
        Column(
            "fund/day",
            lambda r, _: gain(r.carry_usd_day, 1),
            lambda r: r.carry_usd_day,
            priority=5,
        ),
        Column("paid today", lambda r, _: gain(r.funding_today_usd, 1), priority=8, optional=True),
        Column("now", lambda r, _: Cell(f.weight(r.weight)), lambda r: r.weight),
        Column("tgt", lambda r, _: figure(r.weight_target, f.weight), priority=2),
        Column("Δ", lambda r, _: figure(change(r), f.weight, "accent"), change, priority=2),
        Column(
            "liq%",
            lambda r, _: figure_or_none(
                r.liquidation_distance, lambda v: f.percent(v, 0, sign=True), known=not r.stale
            ),
            lambda r: None if r.liquidation_distance is None else -abs(r.liquidation_distance),
            priority=3,
        ),
        Column(
            "liq venue",
            lambda r, _: figure_or_none(
                r.venue_liquidation_price,
                f.price,
                "warn" if r.liquidation_differs else "dim",
                known=not r.stale,
            ),
            priority=9,
            optional=True,
        ),
        Column("age", _age, priority=1 if stale else 10, live=True),
    ]


class PositionsPanel(RowsPanel):
    """The positions table and its totals."""

    panel = "positions"
    title = "Positions"
    keys = (("sort", "sort by the next column"), ("filter", "show rows that hold some words"))

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.grid: Grid[PositionRow] = Grid(
            columns(stale=False),
            lambda row: row.id,
            sort="notional",
            mark=lambda row: "dim" if row.stale else "",
        )

    @property
    def _view(self) -> PositionsView:
        return self.showing.view.positions

    def heading(self) -> str:
        """Return the title with the number of rows."""
        return f"Positions · {len(self._view.rows)}" if self._view.waiting is None else "Positions"

    def corner(self) -> Line:
        """Return sort and filter."""
        return self.sort_words() if self._view.waiting is None else ()

    def before_lines(self) -> None:
        """Hand the rows to the grid."""
        stale = any(row.stale for row in self._view.rows)
        if stale != (self.grid.columns[-1].priority == 1):
            self.grid.set_columns(columns(stale=stale))
        self.grid.set_rows(self._view.rows)

    def body(self, width: int, height: int) -> list[Line]:
        """Return the table above its totals."""
        view = self._view
        if not view.rows:
            return [(), (("  flat: no open position", "dim"),)]
        lines = [*self.grid_lines(width, height - 2), (), self._totals()]
        return self.with_card(lines, width, height)

    def _totals(self) -> Line:
        view = self._view
        f = figures
        spans: list[Span] = [
            (f" gross {f.number(view.gross_usd)}  net {f.signed(view.net_usd)}  uPnL ", "title")
        ]
        total = gain(view.unrealised_usd, arrowed=True)
        spans.append((f"{total.lead} {total.text}".strip() + "  ", total.role))
        carry = gain(view.carry_usd_day, 1)
        spans += [("carry ", "title"), (f"{carry.text}/day  ", carry.role)]
        if view.gross is not None:
            target = "" if view.gross_target is None else f" → {f.multiple(view.gross_target)}"
            spans.append((f"{f.multiple(view.gross)}{target}", "title"))
        return tuple(spans)

    def card(self) -> Sequence[tuple[str, str]]:
        """Return everything known of the position under the cursor."""
        row = self.grid.selected
        if row is None:
            return ()
        f = figures
        known = not row.stale
        alone = figure_or_none(
            row.liquidation_distance, lambda v: f"{f.percent(v, 1, sign=True)} %", known=known
        )
        venues = figure_or_none(row.venue_liquidation_price, f.price, known=known)
        return (
            ("contract", row.id),
            ("side", f"{f.side(row.contracts)} {_contracts(row, 0.0).text}"),
            ("notional", f"{f.signed(row.notional_usd)} $"),
            ("entry → mark", f"{f.price(row.entry_price)} → {f.price(row.mark_price)}"),
            ("unrealised", f"{f.signed(row.unrealised_usd, 2)} $"),
            (
                "funding rate",
                f"{f.rate(row.funding_rate)} per {row.funding_interval_h or f.UNKNOWN} h",
            ),
            ("carry a day", f"{f.signed(row.carry_usd_day, 2)} $"),
            ("funding today", f"{f.signed(row.funding_today_usd, 2)} $"),
            ("weight now → target", f"{f.weight(row.weight)} → {f.weight(row.weight_target)}"),
            ("liquidation alone", f"{alone.text}, ours{_at_price(row)}"),
            ("liquidation price", f"{venues.text}, the venue's{_differing(row)}"),
            ("observed", f"{f.age(self.showing.age(row.observed_mono))} ago"),
        )


def _at_price(row: PositionRow) -> str:
    known = row.liquidation_price is not None and not row.stale
    return f", at {figures.price(row.liquidation_price)}" if known else ""


def _differing(row: PositionRow) -> str:
    return ": they differ" if row.liquidation_differs and not row.stale else ""
