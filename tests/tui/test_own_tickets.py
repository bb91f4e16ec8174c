"""Stops and the drawdown's ticket from a terminal: typed commands, and what leaving says."""

from __future__ import annotations

import pytest

from perptui.protocol.intents import CancelWorking, OpenTicket, Settle
from tests.tui import book
from tests.tui.sitting import session

pytestmark = pytest.mark.asyncio


async def test_own_tickets_and_stops_are_asked_for_by_commands() -> None:
    async with session(size=(120, 40)) as made:
        for words in ("protect", "drawdown"):
            await made.press("colon", *words, "enter")
        await made.press("colon", *"cancel", "space", *"stops", "enter")
        await made.until(lambda: len(made.desk.asked) == 3)
        assert made.desk.asked == [
            OpenTicket("", "protect", 120, 40),
            OpenTicket("", "drawdown", 120, 40),
            CancelWorking(protective=True),
        ]


@pytest.mark.parametrize("typed", ["50", "50%", "50 %"])
async def test_flattening_is_asked_for_by_its_share(typed: str) -> None:
    keys = ["space" if one == " " else "percent_sign" if one == "%" else one for one in typed]
    async with session(size=(120, 40)) as made:
        await made.press("colon", *"flatten", "space", *keys, "enter")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [OpenTicket("", "flatten 50", 120, 40)]


async def test_flattening_takes_one_of_three_shares() -> None:
    async with session(size=(120, 40)) as made:
        await made.press("colon", *"flatten", "space", *"33", "enter")
        assert ":flatten 25 | 50 | 100" in made.text()
        assert made.desk.asked == []


async def test_leaving_says_how_many_stops_stay() -> None:
    async with session(book.desk(status=book.status(protective_stops=2))) as made:
        await made.press("q")
        assert "2 protective stops stay" in made.text()
        assert "working" not in made.app.pending()


async def test_a_persons_word_on_a_leg_is_given_by_a_command() -> None:
    async with session(size=(120, 40)) as made:
        await made.press("colon", *"settle", "space", "T", "1", "full_stop", "1", "enter")
        assert ":settle T3.1 REASON" in made.text()
        assert made.desk.asked == []
        keys = (*"settle", "space", "T", "1", "full_stop", "1", "space", *"it never arrived")
        await made.press("colon", *("space" if one == " " else one for one in keys), "enter")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [Settle("T1.1", "it never arrived")]
