"""What sends is reached by raw keys on its own screen and by nothing else."""

from __future__ import annotations

import msgspec
import pytest
from textual.app import App
from textual.screen import Screen

from perptui.protocol.intents import Kill
from perptui.protocol.views_ticket import TicketView
from perptui.tui.app import DeskApp
from perptui.tui.commands import commands
from perptui.tui.screens.confirm import ConfirmScreen
from perptui.tui.screens.desk import DeskScreen
from tests.tui import book, waiting
from tests.tui.sitting import session, slowly

pytestmark = pytest.mark.asyncio

HOSTILE = "[@click=app.quit]BTC[/] [@click=screen.dismiss]send[/] [/] [bold]"
DECIDES = {"typed", "enter", "approve", "send", "token", "decline"}


def actions_of(kind: type) -> set[str]:
    return {name for name in dir(kind) if name.startswith(("action_", "_action_"))}


async def test_no_action_of_any_screen_confirms_or_approves() -> None:
    own = actions_of(DeskApp) - actions_of(App)
    assert own == set()
    for screen in (ConfirmScreen, DeskScreen):
        words = {part for name in actions_of(screen) for part in name.split("_")}
        assert not words & DECIDES, screen
    # The desk's `confirm` only opens the screen; the ticket's own screen adds no binding at all.
    assert ConfirmScreen.BINDINGS is Screen.BINDINGS
    assert actions_of(ConfirmScreen) == actions_of(Screen)


async def test_the_palette_neither_opens_a_ticket_nor_halts() -> None:
    async with session(book.desk(ticket=book.ticket())) as made:
        named = " ".join(command.title for command in commands(made.app.desk_screen))
        for words in ("plan and confirm", "HALT", "cancel all", "approve"):
            assert words not in named


@pytest.mark.parametrize("ticket", [book.ticket(), waiting.ticket()], ids=["own", "anothers"])
async def test_markup_in_a_ticket_is_text_under_every_click(ticket: TicketView) -> None:
    hostile = msgspec.structs.replace(ticket, text=(HOSTILE, *ticket.text))
    async with session(book.desk(ticket=hostile), size=(80, 24)) as made:
        await made.press("c")
        line = next(y for y, text in enumerate(made.text().splitlines()) if "[@click" in text)
        assert HOSTILE in made.text()
        for x in range(0, 64, 4):
            await made.pilot.click(offset=(x, line))
        assert isinstance(made.app.screen, ConfirmScreen)
        assert made.desk.asked == []


async def test_the_switch_is_thrown_in_the_dead_second_too() -> None:
    async with session(book.desk(ticket=book.ticket(opens_mono=book.NOW_MONO + 1))) as made:
        await made.press("c", "a", "f10", "f10")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [Kill(reason="F10 F10 on the ticket")]


async def test_a_ticket_that_turned_void_under_the_hand_takes_no_enter() -> None:
    async with session(book.desk(ticket=book.ticket())) as made:
        await made.press("c", "G")
        await slowly(made, "a7c4")
        made.desk.replace(book.ticket(phase="void", reason="the desk is HALTED"))
        await made.until(lambda: "the desk is HALTED" in made.text())
        await made.press("enter")
        assert made.desk.asked == []


async def test_at_one_cell_no_key_counts_and_what_was_read_is_forgotten() -> None:
    async with session(book.desk(ticket=book.ticket()), size=(80, 24)) as made:
        await made.press("c", "G", "a", "7")
        await made.pilot.resize_terminal(1, 1)
        await made.press("c", "4", "enter")
        await made.pilot.resize_terminal(80, 24)
        await made.until(lambda: "read to the end" in made.text())
        await slowly(made, "a7c4")
        await made.press("enter")
        assert made.desk.asked == []
