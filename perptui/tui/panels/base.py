"""What all panels share: the frame, the title with its age, the grid's keys, the card of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from perptui.tui import format as figures
from perptui.tui.column import Cell
from perptui.tui.editing import CellEdit
from perptui.tui.grid import Grid
from perptui.tui.picture import Line, Picture, beside, crop, fit, size_of, width_of
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

STALE_ROLE = "warn"
LONG_CARD = 15
"""Lines of a card from which it may be cut."""


def gain_role(value: figures.Number | None) -> str:
    """Return the role of a gain or a loss; the sign stands beside the colour."""
    if value is None or value == 0:
        return "dim"
    return "gain" if value > 0 else "loss"


def contract(coin: str, venue: str) -> str:
    """Return a contract's name in a table: "BTC  binance"."""
    return f"{coin:<4} {figures.venue(venue)}"


def wrapped(text: str, width: int, first: str = "", role: str = "text") -> list[Line]:
    """Return `text` on as many lines of `width` cells as it needs, `first` before the first.

    A no-break space keeps two words on one line.
    """
    return list(_wrapped(text, width, first, role))


@lru_cache(maxsize=512)
def _wrapped(text: str, width: int, first: str, role: str) -> tuple[Line, ...]:
    """Kept: the same reasons stand in picture after picture."""
    lines: list[Line] = []
    lead, current = first, ""
    for word in text.split(" "):
        word = word.replace("\N{NO-BREAK SPACE}", " ")
        tried = f"{current} {word}".strip()
        if current and len(lead) + size_of(tried) > width:
            lines.append(((lead, "dim"), (current, role)))
            lead, current = " " * len(first), word
        else:
            current = tried
    lines.append(((lead, "dim"), (crop(current, max(width - len(lead), 1)), role)))
    return tuple(lines)


def shortened(lines: list[Line], most: int, width: int) -> list[Line]:
    """Return up to `most` of the wrapped lines; the last ends in … where there are more."""
    if len(lines) <= most:
        return lines
    lead, (text, role) = lines[most - 1]
    return [*lines[: most - 1], (lead, (crop(text, width - len(lead[0]) - 2) + " …", role))]


class PanelWidget(Picture, can_focus=True):
    """A framed panel.

    Attributes
    ----------
    panel : str
        The field of `DeskView` it draws.
    title : str
        Its name in the frame.
    keys : tuple[tuple[str, str], ...]
        Binding ids and words for the help of this panel.
    words : tuple[tuple[str, str], ...]
        What the words on it mean that are no trader's, for its help.
    """

    panel = ""
    title = ""
    keys: tuple[tuple[str, str], ...] = ()
    words: tuple[tuple[str, str], ...] = ()

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(palette, ascii_only=showing.glyphs == "ascii", name=self.panel)
        self.showing = showing
        self.grid: Grid[Any] | None = None
        self.edit: CellEdit | None = None
        self.detail = False
        self.detail_page = 1
        self._skipped = 0

    # ---------------------------------------------------------------- what a panel says

    @property
    def view(self) -> Any:
        """The panel's record in the picture."""
        return getattr(self.showing.view, self.panel)

    def waits_for(self) -> str | None:
        """Return what there is to wait for before there are figures; None where there are."""
        found: str | None = getattr(self.view, "waiting", None)
        return found

    def observed_mono(self) -> float | None:
        """Return when the panel's figures were observed."""
        found: float | None = self.view.observed_mono
        return found

    def is_stale(self) -> bool:
        """Return whether the figures may no longer be true."""
        return self.showing.lost

    def heading(self) -> str:
        """Return the frame's title."""
        return self.title

    def corner(self) -> Line:
        """Return what stands before the age at the right of the frame's top."""
        return ()

    def body(self, width: int, height: int) -> list[Line]:
        """Return the lines inside the frame: those of the grid, where there is one."""
        return self.grid_lines(width, height)

    def card(self) -> Sequence[tuple[str, str]]:
        """Return the names and figures of the row under the cursor, for `enter`."""
        return ()

    def before_lines(self) -> None:
        """Hand the newest rows to the grid."""

    def start_edit(self) -> CellEdit | None:
        """Return the editing of the cell under the cursor; None when there is none to edit."""
        return None

    # ---------------------------------------------------------------- drawing

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the framed panel."""
        border = "focus" if self.has_focus else "border"
        inner = max(width - 2, 0)
        self.before_lines()
        waiting = self.waits_for()
        if waiting is not None:
            lines = self._waiting(waiting, inner, height - 2)
        elif self.detail and (details := self.details(inner)):
            lines = self._scrolled(details, inner, height - 2)
        else:
            lines = self.body(inner, height - 2)
        lines = [fit(line, inner) for line in lines[: height - 2]]
        lines += [fit((), inner)] * (height - 2 - len(lines))
        side = (("│", border),)
        return [
            self._top(width, border),
            *(side + line + side for line in lines),
            ((f"└{'─' * inner}┘", border),),
        ]

    def _top(self, width: int, border: str) -> Line:
        last = self._age_line()
        corner = self.corner()
        heading = f" {self.heading()} "
        room = width - 4 - len(heading)
        if corner and width_of(corner) + width_of(last) + 2 <= room:
            last = (*corner, (" ", border), *last) if last else corner
        if last:
            last = ((" ", border), *last, (" ", border))
        if width_of(last) > room:
            last = ()
        fill = max(width - 2 - len(heading) - width_of(last), 0)
        title = "focus" if self.has_focus else "title"
        return (("┌", border), (heading, title), ("─" * fill, border), *last, ("┐", border))

    def _age_line(self) -> Line:
        seconds = self.showing.age(self.observed_mono())
        if seconds is None:
            return ()
        if self.is_stale():
            return ((f"STALE {figures.age(seconds)}", STALE_ROLE),)
        if self.showing.frozen is not None:
            return ((f"FROZEN {figures.age(seconds)}", "accent"),)
        return ((figures.age(seconds), "dim"),)

    def _waiting(self, text: str, width: int, height: int) -> list[Line]:
        words = wrapped(figures.named(text), max(width - 2, 1), role="dim")
        lines: list[Line] = [()] * max((height - len(words)) // 2, 0)
        for line in words:
            shown = line[-1]
            lines.append(((" " * max((width - len(shown[0])) // 2, 0), "dim"), shown))
        return lines

    def show_detail(self) -> None:
        """Show the details from their first line, where there are any."""
        self.detail = bool(self.details(self.region.width - 2))
        self._skipped = 0

    def scrolls(self) -> bool:
        """Return whether moving scrolls what is shown rather than a cursor."""
        return False

    def scroll_detail(self, by: int) -> None:
        """Move the details by some lines, where they do not fit."""
        self._skipped += by

    def details(self, width: int) -> list[Line]:
        """Return everything that `enter` shows: by default the card."""
        rows = self.card()
        longest = max((len(name) for name, _ in rows), default=0)
        lines: list[Line] = []
        for name, text in rows:
            lead = f" {name:<{longest}}  "
            if len(lead) + len(text) <= width:
                lines.append(((lead, "dim"), (text, "text")))
            else:
                lines += wrapped(text, width, lead)
        return lines

    def _scrolled(self, lines: list[Line], width: int, height: int) -> list[Line]:
        """Return the lines that fit above the way back, from where they were scrolled to."""
        self.detail_page = max(height - 2, 1)
        hidden = max(len(lines) - self.detail_page, 0)
        self._skipped = min(max(self._skipped, 0), hidden)
        below = hidden - self._skipped
        shown = lines[self._skipped : self._skipped + self.detail_page]
        more = ((f"{below} more lines: page down ", "dim"),) if below else ()
        blank: list[Line] = [()] if len(shown) < height - 1 else []
        return [*shown, *blank, beside(((" esc back", "dim"),), more, width)]

    def with_card(self, lines: list[Line], width: int, height: int) -> list[Line]:
        """Return `lines` with the card of the row under the cursor below, where there is room.

        Of a long card the first lines stand for all: `enter` shows the rest.
        """
        card = PanelWidget.details(self, width)
        room = height - len(lines) - 2
        if not card or room < min(len(card), LONG_CARD):
            return lines
        if len(card) > room:
            more = len(card) - room + 1
            card = [*card[: room - 1], ((f" … {more} more lines: enter", "dim"),)]
        return [*lines, (), ((" " + "─" * (width - 2), "border"),), *card]

    def grid_lines(self, width: int, height: int, **extra: Any) -> list[Line]:
        """Return the grid's lines in this panel."""
        if self.grid is None or height < 2:
            return []
        lines = self.grid.lines(
            width, height, now=self.showing.now(), focused=self.has_focus, **extra
        )
        if self.grid.filter and not self.grid.shown:
            lines.append(((f" no row holds “{self.grid.filter}”: esc clears the filter", "dim"),))
        return lines

    def sort_words(self) -> Line:
        """Return how the grid is sorted and filtered, for the corner."""
        grid = self.grid
        if grid is None:
            return ()
        if grid.filter:
            return ((f"/{grid.filter} {len(grid.shown)} of {grid.total}", "accent"),)
        order = "▼" if grid.descending else "▲"
        words = f"sort {grid.sort} {order}" if grid.sort else "s sorts"
        return ((f"{words}  / filter ", "dim"),)


class RowsPanel(PanelWidget):
    """A panel of rows that are observed each on its own: as old as the oldest stale one."""

    def observed_mono(self) -> float | None:
        """Return when the figures were observed: those of the oldest stale row, where one is."""
        old = [row.observed_mono for row in self.view.rows if row.stale]
        return min(old) if old else super().observed_mono()

    def is_stale(self) -> bool:
        """Return whether any row is stale or the desk is lost."""
        return super().is_stale() or any(row.stale for row in self.view.rows)


def note_line(first: str, last: str, width: int) -> Line:
    """Return a dim line with something at both ends."""
    return beside(((first, "dim"),), ((last, "dim"),), width)


def unknown_cell() -> Cell:
    """Return the cell of a figure that nobody knows."""
    return Cell(figures.UNKNOWN, "dim")


def figure(
    value: figures.Number | None, write: Callable[[figures.Number], str], role: str = "text"
) -> Cell:
    """Return `value` as written by `write`, or the dim sign of the unknown."""
    return unknown_cell() if value is None else Cell(write(value), role)


def figure_or_none(
    value: figures.Number | None,
    write: Callable[[figures.Number], str],
    role: str = "text",
    *,
    known: bool,
) -> Cell:
    """Return `value` as written by `write`; "none" where it is `known` that there is none."""
    if value is None and known:
        return Cell(figures.NONE, "dim")
    return figure(value, write, role)


def gain(value: figures.Number | None, digits: int = 0, *, arrowed: bool = False) -> Cell:
    """Return a gain or loss: signed, or with ▲▼ before its size."""
    if value is None:
        return unknown_cell()
    if not arrowed:
        return Cell(figures.signed(value, digits), gain_role(value))
    size = -value if value < 0 else value
    return Cell(figures.number(size, digits), gain_role(value), figures.arrow(value))
