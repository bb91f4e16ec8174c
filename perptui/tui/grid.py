"""A table by lines: header, cursor, zebra, sort, filter, fixed columns, right-aligned figures.

The grid only lays out text; `perptui.tui.picture` repaints the cells that differ. Rows are
formatted once and again only when they change, and only those in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic

from perptui.tui.column import Cell, Column, Row
from perptui.tui.format import NONE, UNKNOWN
from perptui.tui.picture import Line, Span, fit, left, on_ground, right, size_of

FIXED_MOST = 30
"""Widest a column that stays can be: a longer name is cut, for a row without one is nobody's."""


class Grid(Generic[Row]):
    """Rows under a header, with a cursor that stays on its row when the order changes.

    Parameters
    ----------
    columns : Sequence[Column]
        The first `fixed` of them stay when the others scroll.
    identity : Callable[[Row], str]
        What makes a row the same row after an update.
    mark : Callable[[Row], str]
        Role that overrides all cells of a row ("" for none): ``dim`` for a stale one.
    """

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        identity: Callable[[Row], str],
        *,
        sort: str = "",
        descending: bool = True,
        fixed: int = 1,
        mark: Callable[[Row], str] | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.sort = sort
        self.descending = descending
        self.filter = ""
        self._identity = identity
        self._fixed = fixed
        self._mark = mark
        self._rows: tuple[Row, ...] = ()
        self._shown: list[Row] = []
        self._cursor = ""
        self._top = 0
        self._skip = 0
        self._page = 1
        self._cache: dict[str, tuple[Row, tuple[Cell, ...]]] = {}
        self._laid: dict[str, tuple[tuple[Any, ...], Line]] = {}
        self._widths: list[int] = []
        self._known: set[int] = set()
        self._live: list[int] = []
        self._width = 0
        self._reset()

    # ---------------------------------------------------------------- rows

    @property
    def shown(self) -> Sequence[Row]:
        """The rows that pass the filter, in order."""
        return self._shown

    @property
    def total(self) -> int:
        """How many rows there are, filtered or not."""
        return len(self._rows)

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        index = self._index()
        return self._shown[index] if index is not None else None

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Change the columns; the sort is kept where its column still is."""
        old = [(column.name, column.priority) for column in self.columns]
        if [(column.name, column.priority) for column in columns] == old:
            return
        self.columns = tuple(columns)
        self._reset()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Take new rows; what is equal to before is not formatted again."""
        if rows is self._rows:
            return
        self._rows = tuple(rows)
        if len(self._cache) > 2 * len(self._rows) + 16:
            alive = {self._identity(row) for row in self._rows}
            self._cache = {k: v for k, v in self._cache.items() if k in alive}
            self._laid = {k: v for k, v in self._laid.items() if k in alive}
        self._arrange()

    def _arrange(self) -> None:
        rows: list[Row] = list(self._rows)
        words = self.filter.lower().split()
        if words:
            rows = [row for row in rows if self._matches(row, words)]
        column = next((c for c in self.columns if c.name == self.sort and c.key), None)
        if column is not None and column.key is not None:
            keyed = [(column.key(row), row) for row in rows]
            known = [pair for pair in keyed if pair[0] is not None]
            known.sort(key=itemgetter(0), reverse=self.descending)
            rows = [row for _, row in known] + [row for key, row in keyed if key is None]
        self._shown = rows
        if rows and self._index() is None:
            self._cursor = self._identity(rows[min(self._top, len(rows) - 1)])

    def _matches(self, row: Row, words: list[str]) -> bool:
        text = " ".join(cell.text for cell in self._cells(row, 0.0)).lower()
        return all(word in text for word in words)

    def _index(self) -> int | None:
        for index, row in enumerate(self._shown):
            if self._identity(row) == self._cursor:
                return index
        return None

    def _cells(self, row: Row, now: float) -> tuple[Cell, ...]:
        name = self._identity(row)
        cached = self._cache.get(name)
        if cached is None or cached[0] != row:
            cells = tuple(column.cell(row, now) for column in self.columns)
            self._cache[name] = (row, cells)
            self._widen(range(len(self.columns)), cells)
            return cells
        if not self._live:
            return cached[1]
        fresh = list(cached[1])
        for index in self._live:
            fresh[index] = self.columns[index].cell(row, now)
        self._widen(self._live, fresh)
        return tuple(fresh)

    def _widen(self, indices: Iterable[int], cells: Sequence[Cell]) -> None:
        """Let columns grow with their figures; they never shrink, so that nothing jumps."""
        for index in indices:
            cell = cells[index]
            if cell.text not in {UNKNOWN, NONE}:
                self._known.add(index)
            needed = size_of(cell.text) + len(cell.lead)
            if index < self._fixed:
                needed = min(needed, FIXED_MOST)
            if needed > self._widths[index]:
                self._widths[index] = needed

    def _reset(self) -> None:
        """Forget how wide columns have been."""
        self._cache.clear()
        self._laid.clear()
        self._known = set()
        self._live = [index for index, column in enumerate(self.columns) if column.live]
        self._widths = [max(size_of(c.name), c.least) for c in self.columns]

    # ---------------------------------------------------------------- moving

    def move(self, by: int) -> None:
        """Move the cursor `by` rows, held at the ends."""
        self.go((self._index() or 0) + by)

    def go(self, index: int) -> None:
        """Put the cursor on row `index`, held at the ends."""
        if self._shown:
            index = min(max(index, 0), len(self._shown) - 1)
            self._cursor = self._identity(self._shown[index])

    def first(self) -> None:
        """Put the cursor on the first row."""
        self.go(0)

    def last(self) -> None:
        """Put the cursor on the last row."""
        self.go(len(self._shown) - 1)

    @property
    def page(self) -> int:
        """Rows in sight at the last layout."""
        return self._page

    @property
    def place(self) -> int:
        """Which of the rows shown the cursor is on, from 1; 0 where there is none."""
        index = self._index()
        return 0 if index is None else index + 1

    def select(self, name: str) -> None:
        """Put the cursor on the row with this identity, where it is shown."""
        if any(self._identity(row) == name for row in self._shown):
            self._cursor = name

    def scroll(self, by: int) -> None:
        """Scroll the columns that are not fixed by `by` columns."""
        movable = max(len(self.columns) - self._fixed - 1, 0)
        self._skip = min(max(self._skip + by, 0), movable)

    def sort_next(self) -> None:
        """Sort by the next column that can be sorted by; figures from the largest."""
        names = [column.name for column in self.columns if column.key]
        if not names:
            return
        index = names.index(self.sort) + 1 if self.sort in names else 0
        self.sort = names[index % len(names)]
        chosen = next(column for column in self.columns if column.name == self.sort)
        self.descending = not chosen.align_left
        self._arrange()

    def reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self._arrange()

    def set_filter(self, text: str) -> None:
        """Show only rows that hold every word of `text`."""
        self.filter = text
        self._arrange()

    # ---------------------------------------------------------------- layout

    def lines(
        self,
        width: int,
        height: int,
        *,
        now: float,
        focused: bool,
        editing: Callable[[Row, str], Span | None] | None = None,
    ) -> list[Line]:
        """Return the header and the rows in sight, in `width` x `height` cells.

        `editing` may replace a cell, given its row and column name, while it is typed into.
        """
        self._page = max(height - 1, 1)
        if width != self._width:
            self._width = width
            self._reset()
        self._keep_in_sight()
        visible = self._shown[self._top : self._top + self._page]
        matrix = [self._cells(row, now) for row in visible]
        order, widths, gap = self._fit(width)
        lines = [self._header(order, widths, gap, width)]
        cursor = self._index()
        for y, (row, found) in enumerate(zip(visible, matrix, strict=True)):
            at_cursor = focused and self._top + y == cursor
            ground = "cursor" if at_cursor else "zebra" if (self._top + y) % 2 else ""
            typed = self._typed(row, order, editing)
            key = (found, tuple(order), tuple(widths.values()), gap, ground, typed)
            name = self._identity(row)
            laid = self._laid.get(name)
            if laid is None or laid[0] != key:
                line = self._line(row, found, order, widths, gap, typed)
                line = (("▸" if at_cursor else " ", "focus"), *line)
                line = on_ground(fit(line, width), ground) if ground else line
                laid = self._laid[name] = (key, line)
            lines.append(laid[1])
        return lines

    def _typed(
        self, row: Row, order: Sequence[int], editing: Callable[[Row, str], Span | None] | None
    ) -> dict[int, Span]:
        """Return what is typed in the place of figures of a row, by column."""
        if editing is None:
            return {}
        spans = ((index, editing(row, self.columns[index].name)) for index in order)
        return {index: span for index, span in spans if span is not None}

    def _keep_in_sight(self) -> None:
        index = self._index() or 0
        self._top = min(self._top, max(len(self._shown) - self._page, 0))
        if index < self._top:
            self._top = index
        elif index >= self._top + self._page:
            self._top = index - self._page + 1

    @property
    def natural_width(self) -> int:
        """Cells that every column takes, its contents uncut, with a gap of one between them."""
        return sum(self._widths) + len(self._widths) + 1

    def _fit(self, width: int) -> tuple[list[int], dict[int, int], int]:
        """Return the columns in order of display, the width of each, and the gap between."""
        widths = {
            index: self._widths[index]
            for index, column in enumerate(self.columns)
            if not column.optional or index in self._known
        }
        room = width - 2
        gap = 2 if sum(widths.values()) + 2 * (len(widths) - 1) <= room else 1
        by_priority = sorted(widths, key=lambda i: (i >= self._fixed, self.columns[i].priority))
        kept: set[int] = set()
        used = -gap
        for index in by_priority:
            column = self.columns[index]
            if column.stretch and column.least:
                widths[index] = max(min(widths[index], room - used - gap), column.least)
            if used + gap + widths[index] > room:
                continue
            kept.add(index)
            used += gap + widths[index]
        order = sorted(kept) + [i for i in widths if i not in kept]
        fixed, movable = order[: self._fixed], order[self._fixed :]
        start = min(self._skip, max(len(movable) - 1, 0))
        order = _whole(fixed + movable[start:], widths, gap, room)
        if len(kept) == len(widths) and not self._skip:
            gap = self._share(widths, room - used, gap)
        return order, widths, gap

    def _share(self, widths: dict[int, int], spare: int, gap: int) -> int:
        """Give width left over to the column that stretches, else to the gaps; return the gap."""
        for index, column in enumerate(self.columns):
            if column.stretch:
                widths[index] += max(spare, 0)
                return gap
        return gap + min(max(spare, 0) // max(len(widths) - 1, 1), 2)

    def _header(self, order: Sequence[int], widths: dict[int, int], gap: int, width: int) -> Line:
        spans: list[Span] = [(" ", "header")]
        for index in order:
            column = self.columns[index]
            align = left if column.align_left else right
            role = "title" if column.name == self.sort else "header"
            spans.append((align(column.name, widths[index]) + " " * gap, role))
        if len(order) == len(widths):
            return tuple(spans)
        return (*fit(tuple(spans), width - 1), ("→", "dim"))

    def _line(
        self,
        row: Row,
        found: Sequence[Cell],
        order: Sequence[int],
        widths: dict[int, int],
        gap: int,
        typed: dict[int, Span],
    ) -> Line:
        spans: list[Span] = []
        mark = self._mark(row) if self._mark else ""
        for index in order:
            column, cell, width = self.columns[index], found[index], widths[index]
            if index in typed:
                text, role = typed[index]
                spans.append((right(text, width) + " " * gap, role))
                continue
            if column.align_left:
                text = left(cell.text, width)
            else:
                text = cell.lead + right(cell.text, width - len(cell.lead))
            spans.append((text + " " * gap, mark or cell.role))
        return tuple(spans)


def _whole(order: list[int], widths: dict[int, int], gap: int, room: int) -> list[int]:
    """Return the columns of `order` up to the first that does not stand whole in `room`."""
    used = -gap
    for place, index in enumerate(order):
        used += gap + widths[index]
        if used > room:
            return order[:place]
    return order
