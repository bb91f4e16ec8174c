"""The what-if desk: trades, limits, ledgers, clashes, A and B, the frontier, all in one panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perptui.tui import format as figures
from perptui.tui.grid import Grid
from perptui.tui.panels import rebalance_book as book
from perptui.tui.panels import rebalance_why as whys
from perptui.tui.panels.base import wrapped
from perptui.tui.panels.limits import limits_named
from perptui.tui.panels.rebalance_clash import clash_lines
from perptui.tui.panels.rebalance_compare import compare_lines
from perptui.tui.panels.rebalance_frontier import frontier_lines
from perptui.tui.panels.rebalance_state import RebalanceState
from perptui.tui.panels.rebalance_trades import trade_card
from perptui.tui.picture import Line, Span, left

SIDE_BY_SIDE = 104
"""From this width on, before and after stand beside the trades, else below them."""

ROOMY = 18
"""From this height on, limits stand below the trades of a wide panel."""

WIDEST = 170
"""From this width on, limits stand in a column of their own."""

BENT_ALWAYS = 70
"""From this width on, it is said as well that nothing is bent."""

LIMITS_WIDTH = 64
LEAST_TRADES = 68
"""Trades without contracts and limit prices: headroom and price of a limit go before these."""
LEAST_LIMITS = 6
LEAST_TABLE = 6
"""Lines that a refusal leaves to the page under it."""
LEAST_FIGURES = 3
MOST_REASONS = 3
LEAST_REASONS = 2
SHOWN_ONLY = "shown, not sent: "
GOOD = frozenset({"ok", "no_trade"})
"""Words of a status that need no warning colour."""


class RebalancePanel(RebalanceState):
    """The Rebalance view."""

    # ---------------------------------------------------------------- drawing

    def body(self, width: int, height: int) -> list[Line]:
        """Return the head, what is bent, and the page."""
        head = [self._head()]
        view = self._view
        if view.asked is not None:
            head.append(book.asked_line(view.assignments, view.asked, width))
        elif view.assignments or width >= BENT_ALWAYS:
            head.append(book.bent_line(view.assignments, view.tried, width))
        head += self._refusal(width, height - len(head) - LEAST_TABLE)
        return [*head, *self._page(width, height - len(head))]

    def _refusal(self, width: int, room: int) -> list[Line]:
        """Return in full what was refused, where the lines under the panels do not hold it."""
        text, lines = self.showing.refusal()
        if not text or len(wrapped(text, self.app.size.width - 1, " ")) <= lines:
            return []
        return self._cut(wrapped(text, width - 1, " ! ", "warn"), max(room, 0))

    def _page(self, width: int, height: int) -> list[Line]:
        view = self._view
        match self.page:
            case "why":
                return self._why_page(width, height)
            case "ledgers":
                table = self._table(self.ledgers, width, height - 1)
                return [*table, *whys.table_notes()]
            case "clash":
                return self._rolled(clash_lines(view, self._units(), width), height)
            case "compare":
                days = self.showing.view.regime.horizon_days
                return self._rolled(compare_lines(view, width, max(height, 60), days), height)
            case "frontier":
                return frontier_lines(view.frontier, width, height, self.showing.glyphs)
        if view.clash and not any(row.trade_usd for row in view.rows) and self.part == "trades":
            reasons = self._reasons(width)
            return [*clash_lines(view, self._units(), width, "i"), (), *reasons]
        if not view.rows:
            none: Line = ((" no trade: nothing to rebalance", "dim"),)
            return [*self._reasons(width), none]
        if width >= SIDE_BY_SIDE and height >= ROOMY:
            return self._desk(width, height)
        if width >= SIDE_BY_SIDE:
            wide = width - book.COMPARISON_WIDTH
            table = self._trades(wide - 2, height)
            return book.beside_each_other(table, book.comparison_lines(view), wide, height)
        return self._narrow(width, height)

    def _units(self) -> dict[str, str]:
        """Return the unit of each limit by name."""
        return {row.name: row.unit for row in self.showing.view.limits.proposed}

    def _rolled(self, lines: list[Line], height: int) -> list[Line]:
        """Return the lines in sight of a page that is longer than the panel."""
        if len(lines) <= height:
            self._skipped = 0
            return lines
        self._skipped = min(max(self._skipped, 0), len(lines) - height + 1)
        shown = lines[self._skipped : self._skipped + height - 1]
        left = len(lines) - self._skipped - len(shown)
        return [*shown, ((f" … {left} more lines: j" if left else " end", "dim"),)]

    def _head(self) -> Line:
        view = self._view
        f = figures
        spans: list[Span] = [(f" {view.strategy or 'no strategy'}", "title")]
        if view.blend is not None:
            spans.append((f" {f.percent(view.blend, 0)}% tactical", "dim"))
        if view.robust:
            spans.append((f" · robust {view.robust}", "dim"))
        if view.status:
            words = view.headline or view.status
            spans.append((f" · {words}", "text" if words in GOOD else "warn"))
        if view.solve_ms is not None:
            spans.append((f" · {f.number(view.solve_ms, 1)} ms", "dim"))
        if view.exposure is not None:
            spans.append((f" · ×{f.number(view.exposure, 2)}", "dim"))
        if view.state == "failed":
            spans.append((" · FAILED", "alarm"))
        elif self.is_stale() and not self.showing.lost:
            spans.append((" · too old to confirm: r solves", "warn"))
        return tuple(spans)

    def _table(self, grid: Grid[Any], width: int, height: int, **extra: Any) -> list[Line]:
        """Return a grid's lines; the cursor is drawn only where keys go."""
        if height < 2:
            return []
        lines = grid.lines(
            width,
            height,
            now=self.showing.now(),
            focused=self.has_focus and grid is self.grid,
            **extra,
        )
        if grid.filter and not grid.shown:
            lines.append(((f" no row holds “{grid.filter}”: esc clears the filter", "dim"),))
        return lines

    def _trades(self, width: int, height: int, most_reasons: int = 99) -> list[Line]:
        """Return the trades, and under them as many reasons as they leave room for."""
        reasons = self._reasons(width)
        room = max(height - len(self.trades.shown) - 1, min(LEAST_REASONS, height - 3), 0)
        reasons = self._cut(reasons, min(room, most_reasons))
        editing = self._cell_of_trade
        return [*self._table(self.trades, width, height - len(reasons), editing=editing), *reasons]

    def _cut(self, lines: list[Line], room: int) -> list[Line]:
        if len(lines) <= room:
            return lines
        more = len(lines) - room + 1
        return [*lines[: max(room - 1, 0)], ((f" … {more} more lines: enter", "dim"),)][:room]

    def _caps(self, width: int, height: int) -> list[Line]:
        """Return the limits, under the supposed market that now and after are on, if any."""
        market = self.showing.view.limits.market
        if not market or height < LEAST_LIMITS:
            return self._caps_table(width, height)
        words = figures.with_minus(f" limits now and after both at {market}")
        return [((left(words, width), "edited"),), *self._caps_table(width, height - 1)]

    def _caps_table(self, width: int, height: int) -> list[Line]:
        shown = len(self.caps.shown)
        if self.grid is self.caps and shown > height - 1:
            table = self._table(self.caps, width, height - 1, editing=self._cell_of_cap)
            return [*table, ((f" {self.caps.place} of {shown} limits: j k", "dim"),)]
        lines = self._table(self.caps, width, height, editing=self._cell_of_cap)
        hidden = shown - self.caps.page
        if hidden > 0 and len(lines) > 2:
            lines[-1] = ((f" … {hidden + 1} more limits: v", "dim"),)
        return lines

    def _desk(self, width: int, height: int) -> list[Line]:
        """Return trades, figures and limits in two or three columns."""
        three = width >= WIDEST
        caps_width = self._caps_width(width)
        caps = self._caps(caps_width, height) if three else []
        if three and self._caps_width(width) != caps_width:  # known once its rows are written
            caps_width = self._caps_width(width)
            caps = self._caps(caps_width, height)
        beside = book.COMPARISON_WIDTH + (caps_width + 2 if three else 0)
        wide = width - beside
        inner = wide - 2
        second = self._figures(book.COMPARISON_WIDTH)
        if three:
            second = book.beside_each_other(second, caps, book.COMPARISON_WIDTH + 2, height)
        needed = len(self.trades.shown) + 1
        spare = height - needed - 2
        if spare < LEAST_LIMITS:
            return book.beside_each_other(self._trades(inner, height), second, wide, height)
        why = self._why_block(inner, spare) if three else []
        below = len(why) if three else len(self.caps.shown) + 1
        # More than a few reasons only where nothing else has use for the lines.
        most = max(min(MOST_REASONS, spare - LEAST_LIMITS), spare - below)
        reasons = self._cut(self._reasons(inner), most)
        first = self._table(self.trades, inner, needed, editing=self._cell_of_trade)
        first += [*reasons, ()]
        room = height - len(first)
        if not three:
            first += self._caps(inner, room)
        else:
            first += why if len(why) <= room else self._why_block(inner, room)
        return book.beside_each_other(first, second, wide, height)

    def _caps_width(self, width: int) -> int:
        """Return the limits' width in three columns: what they need, as far as trades spare it."""
        left_over = width - book.COMPARISON_WIDTH - 4 - LEAST_TRADES
        return max(min(self.caps.natural_width, left_over), LIMITS_WIDTH)

    def _figures(self, width: int) -> list[Line]:
        """Return the book before and after, its accounts, hedges and drift."""
        view = self._view
        blocks = (
            book.account_lines(view.accounts, width - 1),
            book.hedge_lines(view.hedges, width - 1, view.assignments),
        )
        lines = book.comparison_lines(view)
        if view.drift is not None:
            lines += [(), *book.drift_lines(view.drift)]
        for block in blocks:
            lines += [(), *block] if block else []
        return lines

    def _narrow(self, width: int, height: int) -> list[Line]:
        """Return the part with the cursor alone; figures below it where there is room."""
        if self.part == "limits":
            return self._caps(width, height)
        view = self._view
        reasons = min(len(self._reasons(width)), LEAST_REASONS)
        table = len(self.trades.shown) + 1 + reasons
        below = self._below(width, height - 1 - table)
        if below:
            return [*self._trades(width, height - len(below)), *below]
        lines = self._trades(width, height - 1)
        lines += [()] * (height - 1 - len(lines))
        return [*lines[: height - 1], book.foot_line(view, width)]

    def _below(self, width: int, room: int) -> list[Line]:
        """Return the trade's cost, and figures now and after: as many as `room` more lines take."""
        view = self._view
        if not view.comparisons:
            return []
        head, *lines = book.comparison_lines(view)
        if len(lines) + 1 <= room:
            return [(), head, *lines]
        known = len(view.comparisons)
        half = min((known + 1) // 2, room - 1)
        if half < LEAST_FIGURES or width < 2 * book.COMPARISON_WIDTH - 4:
            return []
        kept = book.most_telling(view, 2 * half)
        first, second = [head, *kept[:half]], [head, *kept[half:]]
        both = book.beside_each_other(first, second, book.COMPARISON_WIDTH - 1, half + 1)
        return [book.trade_line(view, known - 2 * half), *both]

    def _why_block(self, width: int, height: int) -> list[Line]:
        row = self.selected
        if row is None or height < 3:
            return []
        view = self._view
        (why,) = whys.joined((row,), view.ledger, view.break_even)
        return whys.why_lines(why, width, height, self.showing.glyphs)

    def _why_page(self, width: int, height: int) -> list[Line]:
        """Return the ledger under the cursor, the trades above it where both fit."""
        rows = len(self.trades.shown) + 1
        if height - rows > whys.LEDGER_LINES + 2:
            table = self._table(self.trades, width, rows, editing=self._cell_of_trade)
            return [*table, (), *self._why_block(width, height - rows - 1)]
        return self._why_block(width, height)

    def details(self, width: int) -> list[Line]:
        """Return the card of the row under the cursor; every reason, figure and edit in full.

        What was refused last comes first, until something is taken.
        """
        refused = wrapped(self.showing.refused_last, width - 1, " refused ", "warn")
        bent = [((f"   {book.named(text)}", "edited"),) for text in self._view.assignments]
        blocks: list[list[Line]] = [
            refused if self.showing.refused_last else [],
            super().details(width),
            self._reasons(width),
            book.comparison_lines(self._view) if self._view.comparisons else [],
            [((" bent", "header"),), *bent] if bent else [],
        ]
        lines: list[Line] = []
        for block in blocks:
            lines += [(), *block] if lines and block else block
        return lines

    def _reasons(self, width: int) -> list[Line]:
        view = self._view
        supposed = [f"{SHOWN_ONLY}{reason}" for reason in view.shown_only]
        others = [reason for reason in view.reasons if reason not in supposed]
        lines: list[Line] = []
        for reason in (*supposed, *others):
            said = limits_named(book.reason_of(view, reason))
            lines += wrapped(said, width - 1, " ! ", "warn")
        return lines

    def card(self) -> Sequence[tuple[str, str]]:
        """Return everything known of the row under the cursor."""
        row = self.selected
        return () if row is None else trade_card(row)
