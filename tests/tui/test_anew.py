"""A void ticket: one key prices its legs anew, and nothing that is typed or pasted does."""

from __future__ import annotations

import asyncio

import pytest
from textual import events

from perptui.protocol.frames import Reply
from perptui.protocol.intents import CloseTicket, OpenTicket
from perptui.tui.screens.confirm import ConfirmScreen
from tests.tui import book
from tests.tui.sitting import Session, session, slowly
from tests.tui.test_confirm import newer_proposal, ticket_desk


async def turned_void(made: Session, *before: str) -> None:
    """Open the ticket, press some keys, and let it turn void; the dead second is over."""
    await made.press("c", *before)
    made.desk.replace(book.ticket(phase="void", reason="the price of BTC left its collar"))
    await made.until(lambda: "VOID: the price of BTC left its collar" in made.text())
    made.clock.advance(1.1)
    made.app.paint_all()
    await asyncio.sleep(0.04)


def priced_anew(made: Session) -> OpenTicket:
    width, height = made.app.size
    return OpenTicket(digest=book.DIGEST, purpose="send", columns=width, rows=height)


OFF = "typed keys were ignored: esc back, then c plans the same legs anew"


@pytest.mark.asyncio
async def test_a_void_ticket_is_priced_anew_by_one_key() -> None:
    async with session(ticket_desk()) as made:
        await turned_void(made, "r")
        assert made.desk.asked == [], "r does nothing while the ticket stands"
        assert "r price the same legs anew" in made.text()
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected a fresh proposal")
        await made.press("r")
        await made.until(lambda: "expected a fresh proposal" in made.text())
        assert made.desk.asked == [priced_anew(made)]
        made.desk.replace(book.ticket(id="tk-new"))
        await made.until(lambda: "ticket tk-new" in made.text())
        assert isinstance(made.app.screen, ConfirmScreen)


@pytest.mark.asyncio
async def test_a_line_typed_on_a_void_ticket_asks_for_nothing() -> None:
    """Of :gross_max=2 the r would: any other character turns it off until esc."""
    async with session(ticket_desk()) as made:
        await turned_void(made)
        await slowly(made, ":gross_max=2")
        await slowly(made, "rnxc")
        assert made.desk.asked == []
        assert OFF in made.text()
        await made.press("escape")
        await made.until(lambda: len(made.desk.asked) == 1)
        made.desk.replace(book.ticket(phase="none", digest=""))
        await made.press("c")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked == [CloseTicket(id="tk-9f3c"), priced_anew(made)]


@pytest.mark.asyncio
@pytest.mark.parametrize("line", [":g", "/", ":beta_m", "Q"])
async def test_a_line_begun_before_the_ticket_turned_void_asks_for_nothing(line: str) -> None:
    async with session(ticket_desk()) as made:
        await turned_void(made, *line)
        await slowly(made, "r")
        assert OFF in made.text()
        await slowly(made, "ross_max=2")
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_the_first_second_of_a_void_ticket_is_dead() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "a", "7")
        made.desk.replace(book.ticket(phase="void", reason="BTC left its collar"))
        await made.until(lambda: "r price the same legs anew, in a second" in made.text())
        await slowly(made, "rc4")
        assert made.desk.asked == []
        made.clock.advance(1.1)
        await slowly(made, "r")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [priced_anew(made)], "the rest of a token is no line"


@pytest.mark.asyncio
@pytest.mark.parametrize("burst", ["rr", "ro", "\nr", "r1"])
async def test_keys_too_fast_for_a_hand_price_nothing_anew(burst: str) -> None:
    async with session(ticket_desk()) as made:
        await turned_void(made)
        screen = made.app.screen
        for character in burst:
            key = "enter" if character == "\n" else character
            screen.post_message(events.Key(key, character))
        await asyncio.sleep(0.06)
        await made.pilot.pause()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_pasting_on_a_void_ticket_is_refused() -> None:
    async with session(ticket_desk()) as made:
        await turned_void(made)
        made.app.screen.post_message(events.Paste("r"))
        await made.pilot.pause()
        assert "pasting is refused" in made.text()
        await slowly(made, "r")
        assert made.desk.asked == []
        assert OFF in made.text()


@pytest.mark.asyncio
async def test_nothing_is_priced_anew_where_it_cannot_be_seen() -> None:
    async with session(ticket_desk(), size=(80, 24)) as made:
        await turned_void(made)
        await made.pilot.resize_terminal(79, 24)
        await made.until(lambda: "need 80x24, have 79x24" in made.text())
        await slowly(made, "r")
        assert made.desk.asked == []


def words(made: Session) -> str:
    return " ".join(made.text().split())


@pytest.mark.asyncio
async def test_legs_that_are_no_longer_proposed_are_not_priced_anew() -> None:
    void = book.ticket(phase="void", reason="a newer proposal stands")
    async with session(book.desk(ticket=void, rebalance=newer_proposal())) as made:
        made.app.open_ticket()
        await made.pilot.pause()
        assert "VOID: a newer proposal stands" in made.text()
        made.clock.advance(1.1)
        assert "the same legs anew" not in made.text()
        assert "esc back: a newer proposal stands, look at it, then c" in words(made)
        await slowly(made, "r")
        await slowly(made, ":r")
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_legs_of_a_proposal_too_old_are_not_priced_anew() -> None:
    async with session(ticket_desk()) as made:
        await turned_void(made)
        assert "r price the same legs anew" in made.text()
        ends = made.app.showing.live.rebalance.expires_mono
        assert ends is not None
        made.clock.advance(ends - made.clock.monotonic() + 1)
        made.app.paint_all()
        await made.pilot.pause()
        assert "the same legs anew" not in made.text()
        assert "the proposal is too old: esc back, r solves it again, then c plans" in words(made)
        await slowly(made, "r")
        assert made.desk.asked == []
