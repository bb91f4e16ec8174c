"""What is sent to the terminal after a change draws the same screen as a whole paint."""

from __future__ import annotations

import re

import pytest
from rich.style import Style
from textual.strip import Strip

from perptui.protocol.views import LimitsView
from tests.tui import book
from tests.tui.terminal import screen_text, terminal

SEQUENCE = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[0-9;]*m|([^\x1b]+)")


def written_over(lines: list[str], sequences: str) -> list[str]:
    """Return the screen after a terminal has obeyed `sequences`."""
    cells = [list(line) for line in lines]
    x = y = 0
    for match in SEQUENCE.finditer(sequences):
        row, column, text = match.groups()
        if row is not None:
            y, x = int(row) - 1, int(column) - 1
        for character in text or "":
            cells[y][x] = character
            x += 1
    return ["".join(line) for line in cells]


@pytest.mark.asyncio
async def test_a_partial_update_draws_the_same_screen_with_few_bytes() -> None:
    app = terminal(book.desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        screen = app.desk_screen
        before = screen_text(app)
        app.showing.take("positions", book.positions(age_s=9, stale=("SOL",)))
        app.showing.take("limits", LimitsView(rows=book.LIMITS[1:], waiting=None))
        panels = {screen.panels["positions"], screen.panels["limits"]}
        assert all(panel.repaint() for panel in panels)
        compositor = screen._compositor
        compositor.update_widgets(set(panels))
        update = compositor.render_partial_update()
        assert update is not None
        sequences = update.render_segments(app.console)
        after = screen_text(app)
        assert after != before
        assert written_over(before, sequences) == after
        await pilot.pause()


@pytest.mark.asyncio
async def test_one_changed_figure_is_sent_alone() -> None:
    app = terminal(book.desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        screen = app.desk_screen
        app.showing.clock.advance(1.0)  # type: ignore[attr-defined]
        assert screen.panels["limits"].repaint() == 1
        compositor = screen._compositor
        compositor.update_widgets({screen.panels["limits"]})
        update = compositor.render_partial_update()
        assert update is not None
        sequences = update.render_segments(app.console)
        assert len(sequences) < 60
        assert "3" in sequences, "12 s became 13 s"
        await pilot.pause()


def one_by_one(strip: Strip) -> list[tuple[str, Style | None]]:
    """Return each character of a strip with its style."""
    return [(character, style) for text, style, _ in strip for character in text]


@pytest.mark.asyncio
async def test_some_cells_of_a_line_are_those_of_the_whole_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = terminal(book.desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        panel = app.desk_screen.panels["positions"]
        wide = (("│", "border"), ("中a é", "text"), ("−1.25", "loss"), (" " * 200, "dim"))
        width = panel.size.width
        monkeypatch.setattr(panel, "body", lambda _width, _height: [wide])
        assert panel.repaint()
        for y in range(panel.size.height):
            for first in range(0, width - 1, 3):
                for last in (first + 1, min(first + 7, width), width):
                    whole = panel.render_line(y).crop(first, last)
                    assert one_by_one(panel.render_cells(y, first, last)) == one_by_one(whole)
