"""The journal's tail: tickets, events, and whether the chain of hashes verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perptui.protocol.views_ticket import JournalRow, JournalView
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.grid import Grid
from perptui.tui.panels.base import PanelWidget, wrapped
from perptui.tui.picture import Line
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

TICKETS = 6
"""Newest tickets above the events."""

EVENT_LEAST = 30
"""Cells of an event's words that are kept in sight before anything but its time."""

COLUMNS: list[Column[JournalRow]] = [
    Column(
        "time",
        lambda r, _: Cell(figures.clock_time(r.ts_ms, "%d %H:%M:%S"), "dim"),
        lambda r: r.seq,
        priority=0,
    ),
    Column("seq", lambda r, _: Cell(str(r.seq), "dim"), priority=3),
    Column("actor", lambda r, _: Cell(r.actor), align_left=True, priority=4),
    Column("kind", lambda r, _: Cell(r.kind, "header"), align_left=True, priority=2),
    Column(
        "event",
        lambda r, _: Cell(r.text),
        align_left=True,
        priority=1,
        stretch=True,
        least=EVENT_LEAST,
    ),
]


class JournalPanel(PanelWidget):
    """Tickets above events, the newest event first."""

    panel = "journal"
    title = "Journal"
    keys = (("filter", "show events that hold some words"), ("drill", "the whole event"))

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.grid: Grid[JournalRow] = Grid(COLUMNS, lambda row: str(row.seq), sort="time")

    @property
    def _view(self) -> JournalView:
        return self.showing.view.journal

    def observed_mono(self) -> float | None:
        """Return None: the journal is as old as its newest event."""
        return None

    def corner(self) -> Line:
        """Return whether the chain verified."""
        if self.grid.filter:
            return self.sort_words()
        verified = self._view.verified
        role = "dim" if verified.startswith("chain verified") else "warn"
        return ((verified, role),) if verified else ()

    def before_lines(self) -> None:
        """Hand the events to the grid."""
        self.grid.set_rows(self._view.events)

    def body(self, width: int, height: int) -> list[Line]:
        """Return the newest tickets above the events."""
        lines = [*self._fault(width), *self._tickets(), ()]
        if not self._view.events:
            said = "no event to show" if self._view.fault else "no event yet"
            return [*lines, ((f" {said}", "dim"),)]
        table = self.grid_lines(width, height - len(lines) - 1)
        lines += table + [()] * (height - 1 - len(lines) - len(table))
        return [*lines, ((f" {self._view.path}", "dim"),)]

    def _fault(self, width: int) -> list[Line]:
        """Return why nothing is recorded, whole: the cure stands at its end."""
        fault = self._view.fault
        return [*wrapped(fault, width - 1, " ", "alarm"), ()] if fault else []

    def _tickets(self) -> list[Line]:
        if self._view.fault and not self._view.tickets:
            return []
        if not self._view.tickets:
            return [((" no ticket yet: c confirms a proposal", "dim"),)]
        lines: list[Line] = [
            (
                (
                    " ticket  made      by          purpose  legs filled  state      proposal",
                    "header",
                ),
            )
        ]
        newest = sorted(self._view.tickets, key=lambda ticket: -ticket.created_ms)[:TICKETS]
        for ticket in newest:
            made = figures.clock_time(ticket.created_ms)
            lines.append(
                (
                    (f" {ticket.id[:6]:<6}  {made}  {ticket.trader[:10]:<10}  ", "text"),
                    (f"{ticket.purpose:<7}  {ticket.legs:>4} {ticket.filled:>6}  ", "text"),
                    (f"{ticket.state:<10} {ticket.digest[:8]}", "title"),
                )
            )
        return lines

    def card(self) -> Sequence[tuple[str, str]]:
        """Return the whole event under the cursor."""
        row = self.grid.selected
        if row is None:
            return ()
        text, width = row.text, max(self.size.width - 14, 20)
        pieces = [text[at : at + width] for at in range(0, len(text), width)] or [""]
        return (
            ("event", str(row.seq)),
            ("at", figures.clock_time(row.ts_ms, "%Y-%m-%d %H:%M:%S UTC")),
            ("actor", row.actor),
            ("kind", row.kind),
            *(("text" if index == 0 else "", piece) for index, piece in enumerate(pieces)),
        )
