"""A journal that takes nothing more: said whole, wherever the trader is."""

from __future__ import annotations

import pytest

from perptui.protocol.views_ticket import JournalView
from tests.tui import book
from tests.tui.sitting import session

FAULT = (
    "the journal's disk is full: free space, then start the desk again "
    "(/home/a-user-with-a-long-name/.local/state/perptui/main/journal.db)"
)


def said(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_journal_view_says_it_whole(size: tuple[int, int]) -> None:
    async with session(book.desk(journal=JournalView(fault=FAULT)), size=size) as made:
        await made.press("8")
        assert FAULT in said(made.text())
        assert "no event yet" not in made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_ticket_that_is_being_sent_says_it(size: tuple[int, int]) -> None:
    ticket = book.ticket(phase="sending", legs=book.progress())
    view = book.desk(ticket=ticket, journal=JournalView(fault=FAULT))
    async with session(view, size=size) as made:
        await made.press("c")
        assert f"nothing more is sent or recorded: {FAULT}" in said(made.text())
