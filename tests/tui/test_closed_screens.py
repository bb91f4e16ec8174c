"""A burst of keys on a screen that its first one closes: the rest closes nothing else."""

from __future__ import annotations

import pytest
from textual.events import Key

from perptui.tui.screens.confirm import ConfirmScreen
from perptui.tui.screens.desk import DeskScreen
from perptui.tui.screens.help import HelpScreen
from tests.tui import book
from tests.tui.sitting import session


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("opens", "kind", "closes", "asked"),
    [
        ("question_mark", HelpScreen, "q", 0),
        ("c", ConfirmScreen, "escape", 0),
        ("c", ConfirmScreen, "n", 1),
        ("c", ConfirmScreen, "x", 1),
    ],
)
async def test_only_the_first_of_a_burst_counts(
    opens: str, kind: type[HelpScreen | ConfirmScreen], closes: str, asked: int
) -> None:
    async with session(book.desk(ticket=book.ticket())) as made:
        await made.press(opens)
        screen = made.app.screen
        assert isinstance(screen, kind)
        for _ in range(3):
            screen.post_message(Key(closes, closes if len(closes) == 1 else None))
        await made.until(lambda: isinstance(made.app.screen, DeskScreen))
        await made.pilot.pause()
        await made.until(lambda: len(made.desk.asked) == asked)
        assert isinstance(made.app.screen, DeskScreen)
        await made.press("2")
        assert "Positions" in made.text()
        assert len(made.desk.asked) == asked
