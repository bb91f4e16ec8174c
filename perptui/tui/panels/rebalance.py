"""The proposed rebalance and the what-if: targets edited in place, figures now and after."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from perptui.protocol.views_rebalance import Comparison, RebalanceRow, RebalanceView
from perptui.tui import format as figures
from perptui.tui.editor import LineEditor
from perptui.tui.grid import Cell, Column, Grid
from perptui.tui.panels.base import PanelWidget, contract, figure, gain, wrapped
from perptui.tui.picture import Line, Span, fit, left, width_of
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

COMPARISON_WIDTH = 40
"""Cells that the before/after table takes beside the trades."""

MOST_WEIGHT = 10.0
"""Largest target that can be typed, either side, in multiples of equity."""

FRACTION = re.compile(r"[+\-−]?(\d+\.?\d*|\.\d+)", re.ASCII)

LEAST_REASONS = 2
"""Lines that reasons have even where not every trade is in sight."""

SIDE_BY_SIDE = 104
"""From this width on, before and after stand beside the trades, else below them."""


GOOD = frozenset({"ok", "optimal", "no_trade"})
"""Solver words that need no warning colour."""


def _target(row: RebalanceRow, _now: float) -> Cell:
    text = figures.weight(row.weight_rounded)
    return Cell(text, "edited", "*") if row.edited else Cell(text)


def _order(row: RebalanceRow, _now: float) -> Cell:
    return Cell(f"{row.effect} {row.side}".strip() or figures.UNKNOWN)


def _quantity(row: RebalanceRow, _now: float) -> Cell:
    return figure(
        row.contracts,
        lambda value: f"{value.normalize():,f}" if hasattr(value, "normalize") else str(value),
    )


COLUMNS: list[Column[RebalanceRow]] = [
    Column(
        "contract",
        lambda r, _: Cell(contract(r.coin, r.venue)),
        lambda r: (r.coin, r.venue),
        align_left=True,
        priority=0,
    ),
    Column("now", lambda r, _: Cell(figures.weight(r.weight_now)), lambda r: abs(r.weight_now)),
    Column("tgt", _target, lambda r: abs(r.weight_rounded), priority=0, least=6),
    Column("Δ$", lambda r, _: gain(r.trade_usd), lambda r: abs(r.trade_usd)),
    Column("order", _order, align_left=True, priority=5),
    Column("contracts", _quantity, priority=6),
    Column("limit price", lambda r, _: figure(r.limit_price, figures.price), priority=7),
    Column("cost", lambda r, _: Cell(figures.number(r.cost_usd, 1)), priority=3),
    Column("$/day", lambda r, _: gain(r.carry_usd_day, 1), lambda r: r.carry_usd_day, priority=2),
    Column("why", lambda r, _: Cell(r.why, "dim"), align_left=True, priority=4, stretch=True),
]


class RebalancePanel(PanelWidget):
    """The rebalance table; `editor` is there while a target is typed."""

    panel = "rebalance"
    title = "Proposed rebalance"
    keys = (
        ("drill", "this trade, and every reason in full"),
        ("solve", "a new proposal, without edits"),
        ("reestimate", "estimate again from the newest bars"),
        ("edit", "type this target: Enter applies, esc leaves"),
        ("nudge_up", "target up by .01 of equity"),
        ("nudge_down", "target down by .01 of equity"),
        ("reset", "drop the edit of this row"),
        ("undo", "back to the what-if before"),
        ("redo", "forward again"),
        ("strategy", "the other strategy: balanced, tactical"),
        ("confirm", "plan and confirm (from a fresh proposal)"),
        ("export", "write the orders to CSV and JSON instead"),
    )

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.grid: Grid[RebalanceRow] = Grid(
            COLUMNS, lambda row: row.id, sort="now", mark=lambda row: "" if row.trade_usd else "dim"
        )
        self.editor: LineEditor | None = None
        self.editing = ""
        self.wrong = ""
        self._edited = ("", "")
        self.wanted: dict[str, float] = {}

    @property
    def _view(self) -> RebalanceView:
        return self.showing.view.rebalance

    def heading(self) -> str:
        """Return the title: a proposal, or a what-if with its edits."""
        if self._view.what_if:
            edits = self._view.edits
            return f"What if · {edits} edit{'s' if edits != 1 else ''}"
        return self.title

    def corner(self) -> Line:
        """Return the filter, or the digest and its state."""
        if self.grid.filter:
            return self.sort_words()
        view = self._view
        if view.state == "solving":
            return (("solving ", "accent"),)
        if view.digest and view.waiting is None:
            return ((f"#{view.digest[:4]} ", "dim"),)
        return ()

    def is_stale(self) -> bool:
        """Return whether the proposal is too old to be confirmed, or the desk lost."""
        expires = self._view.expires_mono
        return self.showing.lost or (expires is not None and self.showing.now() > expires)

    def before_lines(self) -> None:
        """Hand the rows to the grid; forget asked-for targets that have come back."""
        self.grid.set_rows(self._view.rows)
        for row in self._view.rows:
            if row.edited and abs(row.weight_target - self.wanted.get(row.id, 9.0)) < 5e-7:
                del self.wanted[row.id]

    # ---------------------------------------------------------------- editing

    def target_of(self, row: RebalanceRow) -> float:
        """Return the target that stands: the one just asked for, else the desk's."""
        return self.wanted.get(row.id, row.weight_target if row.edited else row.weight_rounded)

    def proposed(self) -> bool:
        """Return whether a proposal stands that can be edited."""
        return self._view.waiting is None and bool(self._view.digest)

    def start_editing(self) -> bool:
        """Open the editor on the row under the cursor; False when there is none."""
        row = self.grid.selected
        if row is None or not self.proposed():
            return False
        self.editing = row.id
        self.editor = LineEditor()
        self._edited = (contract(row.coin, row.venue), figures.weight(self.target_of(row)))
        self.wrong = ""
        return True

    def typed_target(self) -> float | None:
        """Return the weight typed so far; None, and why in `wrong`, when it is not a sane one."""
        typed = self.editor.text.strip() if self.editor is not None else ""
        if not FRACTION.fullmatch(typed):
            self.wrong = "not a fraction of equity: type one such as −.25"
            return None
        value = float(typed.replace(figures.MINUS, "-"))
        if abs(value) > MOST_WEIGHT:
            self.wrong = f"too large: at most {MOST_WEIGHT:.0f} times equity"
            return None
        return value

    def type_key(self, key: str, character: str | None) -> None:
        """Hand a key to the editor; what was wrong is said until then."""
        self.wrong = ""
        if self.editor is not None:
            self.editor.key(key, character)

    def stop_editing(self) -> None:
        """Close the editor."""
        self.editor = None
        self.editing = self.wrong = ""

    def editing_prompt(self) -> Line:
        """Return what is being typed, the target before it, and what is wrong with it."""
        if self.editor is None:
            return ()
        name, before = self._edited
        typed: Span = (f" target {' '.join(name.split())}: {self.editor.shown()}", "title")
        if self.wrong:
            return (typed, (f"   {self.wrong}", "warn"))
        return (typed, (f"   was {before} of equity   Enter applies, esc leaves", "dim"))

    def _cell_being_edited(self, row: RebalanceRow, column: str) -> Span | None:
        if column != "tgt":
            return None
        if self.editor is not None and row.id == self.editing:
            shown = self.editor.shown() + ("" if self.editor.text else self._edited[1])
            return shown[-7:], "edited"
        if row.id in self.wanted:
            return figures.weight(self.wanted[row.id]) + "…", "edited"
        return None

    # ---------------------------------------------------------------- drawing

    def body(self, width: int, height: int) -> list[Line]:
        """Return head, trades, figures now and after, and why it cannot be exported."""
        view = self._view
        if not view.rows:
            return [
                self._head(),
                *self._reasons(width),
                ((" no trade: nothing to rebalance", "dim"),),
            ]
        comparisons = view.comparisons
        if width >= SIDE_BY_SIDE and comparisons:
            table = self._trades(width - COMPARISON_WIDTH - 2, height - 1)
            beside_it = self._comparison_lines()
            return [self._head(), *_joined(table, beside_it, width - COMPARISON_WIDTH, height - 1)]
        rows = len(self.grid.shown) + 2 + len(self._reasons(width))
        below = self._below(width, height - 2 - min(rows, height - 2))
        if below:
            lines = [self._head(), *self._trades(width, height - 1 - len(below) - 1)]
            return [*lines, (), *below]
        lines = [self._head(), *self._trades(width, height - 2)]
        lines += [()] * (height - 1 - len(lines))
        return [*lines[: height - 1], self._foot(width)]

    def _head(self) -> Line:
        view = self._view
        f = figures
        spans: list[Span] = [(f" {view.strategy or 'no strategy'}", "title")]
        status_role = "text" if view.status in GOOD else "warn"
        if view.status:
            spans.append((f" · {view.status}", status_role))
        if view.solve_ms is not None:
            spans.append((f" · {f.number(view.solve_ms, 1)} ms", "dim"))
        if view.exposure is not None:
            spans.append((f" · ×{f.number(view.exposure, 2)}", "dim"))
        if view.state == "failed":
            spans.append((" · FAILED", "alarm"))
        elif self.is_stale() and not self.showing.lost:
            spans.append((" · too old to confirm: r solves", "warn"))
        return tuple(spans)

    def _trades(self, width: int, height: int) -> list[Line]:
        """Return the trades, and under them as many reasons as they leave room for."""
        reasons = self._reasons(width)
        room = max(height - len(self.grid.shown) - 1, min(LEAST_REASONS, height - 3), 0)
        if len(reasons) > room:
            more = len(reasons) - room + 1
            reasons = [*reasons[: room - 1], ((f" … {more} more lines: enter", "dim"),)][:room]
        lines = self.grid_lines(width, height - len(reasons), editing=self._cell_being_edited)
        return [*lines, *reasons]

    def details(self, width: int) -> list[Line]:
        """Return the card of the trade under the cursor, and every reason in full."""
        reasons = self._reasons(width)
        return [*super().details(width), *([()] if reasons else []), *reasons]

    def _reasons(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for reason in self._view.reasons:
            lines += wrapped(figures.named(reason), width - 1, " ! ", "warn")
        return lines

    def _comparison_lines(self) -> list[Line]:
        view = self._view
        lines: list[Line] = [((f" {'book':<17}{'now':>9}{'after':>10}", "header"),)]
        lines += [_comparison(row) for row in view.comparisons]
        cost = f"{figures.number(view.cost_usd, 1)} $"
        turnover = f"{figures.percent(view.turnover, 0)}%"
        return [
            *lines,
            ((f" {'cost':<17}{'':>9}{cost:>10}", "dim"),),
            ((f" {'turnover':<17}{'':>9}{turnover:>10}", "dim"),),
        ]

    def _below(self, width: int, room: int) -> list[Line]:
        """Return the figures now and after in one or two columns, whichever `room` lines take."""
        if not self._view.comparisons:
            return []
        head, *lines = self._comparison_lines()
        if len(lines) + 1 <= room:
            return [head, *lines]
        half = (len(lines) + 1) // 2
        if half + 1 > room or width < 2 * COMPARISON_WIDTH - 4:
            return []
        first, second = [head, *lines[:half]], [head, *lines[half:]]
        return _joined(first, second, COMPARISON_WIDTH - 1, half + 1)

    def _foot(self, width: int) -> Line:
        view = self._view
        f = figures
        pieces = [
            f"turnover {f.percent(view.turnover, 0)}%",
            f"cost {f.number(view.cost_usd, 1)} $",
            *(
                f"{row.name} {_compared(row, row.now)}→{_compared(row, row.after)}"
                for row in view.comparisons
            ),
        ]
        text = ""
        for piece in pieces:
            if len(text) + len(piece) + 3 > width:
                break
            text += ("   " if text else " ") + piece
        return ((text, "title"),)

    def card(self) -> Sequence[tuple[str, str]]:
        """Return everything known of the trade under the cursor."""
        row = self.grid.selected
        if row is None:
            return ()
        f = figures
        return (
            ("contract", row.id),
            ("weight now", f.weight(row.weight_now)),
            ("target", f.weight(row.weight_target, 4)),
            ("rounded to lots", f.weight(row.weight_rounded, 4)),
            ("edited", "yes" if row.edited else "no"),
            ("trade", f"{f.signed(row.trade_usd, 2)} $"),
            (
                "order",
                f"{row.effect} {row.side} {f.UNKNOWN if row.contracts is None else row.contracts}",
            ),
            ("limit price", f.price(row.limit_price)),
            ("cost", f"{f.number(row.cost_usd, 2)} $"),
            ("carry", f"{f.signed(row.carry_usd_day, 2)} $ a day more"),
            ("why", row.why),
        )


def _compared(row: Comparison, value: float | None) -> str:
    """Return the figure; "none" for a liquidation that no move of prices brings about."""
    if value is None and row.name.startswith("liquidation"):
        return figures.NONE
    return figures.in_unit(value, row.unit)


def _comparison(row: Comparison) -> Line:
    now, after = (_compared(row, value) for value in (row.now, row.after))
    role = "text" if now == after else "accent"
    name = left(figures.known_venues(row.name), 17)
    return ((f" {name}{now:>9}", "text"), (f"{after:>10}", role))


def _joined(
    table: Sequence[Line], beside_it: Sequence[Line], width: int, height: int
) -> list[Line]:
    """Return two blocks of lines beside each other; the first is `width` cells wide."""
    lines: list[Line] = []
    for y in range(min(max(len(table), len(beside_it)), height)):
        first = table[y] if y < len(table) else ()
        second = beside_it[y] if y < len(beside_it) else ()
        lines.append((*fit(first, width - 2), (" │", "border"), *second))
        if not width_of(second):
            lines[-1] = (*fit(first, width - 2), (" │", "border"))
    return lines
