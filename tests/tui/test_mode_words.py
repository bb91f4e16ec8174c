"""LIVE, TESTNET, PAPER and SIMULATED stand in words on every screen, at every size."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest

from perptui.protocol.views_ticket import TicketView
from perptui.settings.load import load
from perptui.tui.screens.confirm import ConfirmScreen
from perptui.tui.screens.help import HelpScreen
from tests.tui import book
from tests.tui.sitting import Session, session
from tests.tui.terminal import SIZES

LONGEST = "PAPER on TESTNET DATA"
TOO_SMALL = (60, 15)
TICKETS = (
    book.ticket(),
    book.ticket(phase="approval"),
    book.ticket(phase="sending", legs=book.progress()),
    book.ticket(phase="done", legs=book.progress(), reason="1 of 3 legs filled"),
    book.ticket(phase="void", reason="a price left its collar"),
)


def says(made: Session, words: str = LONGEST) -> bool:
    """Return whether the mode stands whole in the first line that is not empty."""
    first = next(line for line in made.text().splitlines() if line.strip())
    return words in first


def shows(made: Session, ticket: TicketView) -> bool:
    return made.app.showing.live.ticket == ticket


def test_no_mode_has_longer_words() -> None:
    found = []
    modes, endpoints = ("paper", "export", "live", "view"), ("simulated", "testnet", "live")
    for mode, endpoint in product(modes, endpoints):
        if (mode, endpoint) == ("live", "simulated"):
            continue  # refused
        given = {"desk.mode": mode, "venues.binanceusdm.endpoint": endpoint}
        found.append(load(None, given).settings.mode_words)
        assert any(word in found[-1] for word in ("LIVE", "TESTNET", "SIMULATED"))
    assert len(set(found)) == len(found)
    assert max(map(len, found)) == len(LONGEST)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", SIZES)
async def test_the_desk_its_views_and_the_help_say_it(size: tuple[int, int]) -> None:
    async with session(book.desk(status=book.status(mode=LONGEST)), size=size) as made:
        for view in "12345678":
            await made.press(view)
            assert says(made), (view, made.text())
        await made.press("question_mark")
        assert isinstance(made.app.screen, HelpScreen)
        assert says(made), made.text()
        await made.press("escape", "ctrl+p")
        assert LONGEST in made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", SIZES)
async def test_a_ticket_says_it_in_every_phase(size: tuple[int, int]) -> None:
    view = book.desk(status=book.status(mode=LONGEST), ticket=TICKETS[0])
    async with session(view, size=size) as made:
        made.app.open_ticket()
        for ticket in TICKETS:
            made.desk.replace(ticket)
            await made.until(partial(shows, made, ticket))
            await made.pilot.pause()
            assert isinstance(made.app.screen, ConfirmScreen)
            assert says(made), made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [*SIZES, TOO_SMALL])
async def test_a_lost_desk_leaves_it_in_sight(size: tuple[int, int]) -> None:
    async with session(book.desk(status=book.status(mode=LONGEST)), size=size) as made:
        await made.desk.stop()
        await made.until(lambda: made.app.showing.lost)
        await made.pilot.pause()
        assert "DESK LOST" in made.text()
        assert LONGEST in made.text(), made.text()
