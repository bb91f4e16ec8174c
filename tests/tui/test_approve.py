"""The second person's screen: the same text, proven by this process; typed, declined, refused."""

from __future__ import annotations

import msgspec
import pytest
from textual import events

from perptui.protocol.frames import Reply
from perptui.protocol.intents import ApproveTicket, DeclineTicket, Kill, RejectTicket
from perptui.tui.screens.confirm import ConfirmScreen
from tests.tui import book, waiting
from tests.tui.sitting import Session, session, slowly

pytestmark = pytest.mark.asyncio


async def opened(made: Session) -> None:
    """Open the ticket, and let the first second pass."""
    await made.press("c")
    assert isinstance(made.app.screen, ConfirmScreen)
    made.clock.advance(1.1)


async def test_every_terminal_says_that_a_ticket_waits_and_which_key_opens_it() -> None:
    async with session(book.desk(ticket=waiting.ticket()), size=(80, 24)) as made:
        assert "tk-9f3c of mira waits for YOUR approval: c" in made.text()
    async with session(book.desk(ticket=waiting.ticket(waiting.SERVED)), size=(80, 24)) as made:
        assert "tk-9f3c of mira waits for approval: c" in made.text()


async def test_the_token_is_typed_after_the_end_was_seen_and_goes_with_the_own_hash() -> None:
    ticket = waiting.ticket()
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        await opened(made)
        assert "mira asks you" in made.text()
        assert f"hashed here: {ticket.token}" in made.text()
        assert "expires in 9 min" in made.text()
        await slowly(made, ticket.token[-4:])
        await made.press("enter")
        assert made.desk.asked == []
        assert "read to the end" in made.text()
        await made.press("G")
        assert f"type {ticket.token[-4:]} and Enter to approve and send these orders" in made.text()
        await slowly(made, ticket.token[-4:])
        await made.press("enter")
        await made.until(lambda: bool(made.desk.asked))
        (intent,) = made.desk.asked
        assert isinstance(intent, ApproveTicket)
        assert (intent.id, intent.typed, intent.seen_end) == ("tk-9f3c", ticket.token[-4:], True)
        assert intent.token == ticket.token
        assert (intent.columns, intent.rows) == (80, 24)
        assert all(30 <= gap < 2000 for gap in intent.key_gaps_ms)


async def test_the_first_second_on_this_screen_is_dead_whenever_it_was_asked() -> None:
    ticket = waiting.ticket(opens_mono=book.NOW_MONO - 500)
    async with session(book.desk(ticket=ticket)) as made:
        await made.press("c", "G", ticket.token[-4])
        assert "closed for the first second" in made.text()
        made.clock.advance(1.1)
        await made.press(ticket.token[-4])
        assert f"{ticket.token[-4]}▏__" in made.text()


@pytest.mark.parametrize("what", ["text", "token", "content", "id"])
async def test_nothing_can_be_typed_where_the_own_hash_is_another(what: str) -> None:
    ticket = waiting.ticket()
    assert ticket.approval is not None
    forged: dict[str, dict[str, object]] = {
        "text": {"text": (*ticket.text[:-1], "one more order")},
        "token": {"token": "0" * 60 + ticket.token[-4:]},
        "content": {"approval": msgspec.structs.replace(ticket.approval, content=b"{}")},
        "id": {"id": "tk-0000"},
    }
    view = msgspec.structs.replace(ticket, **forged[what])
    async with session(book.desk(ticket=view), size=(80, 24)) as made:
        await opened(made)
        await made.press("G")
        assert "hashed here" not in made.text()
        assert "HASH DIFFERS: this text is not what was confirmed; decline it" in made.text()
        await slowly(made, ticket.token[-4:])
        await made.press("enter")
        assert made.desk.asked == []
        await made.press("n", *"forged", "enter")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [DeclineTicket(id=view.id, reason="forged")]


@pytest.mark.parametrize("trader", [waiting.TRADER, waiting.SERVED])
async def test_both_terminals_show_the_whole_hash_that_each_made_itself(trader: int) -> None:
    """So that two people on the telephone can compare what they look at."""
    ticket = waiting.ticket(trader)
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        await opened(made)
        assert len(ticket.token) == 64
        assert f" hashed here: {ticket.token}" in made.text()
    forged = msgspec.structs.replace(ticket, text=(*ticket.text, "one more order"))
    async with session(book.desk(ticket=forged), size=(80, 24)) as made:
        await opened(made)
        assert "hashed here" not in made.text()
        await made.press("G")
        assert "HASH DIFFERS: this text is not what was confirmed" in made.text()


async def test_what_two_persons_sent_names_both() -> None:
    asked = msgspec.structs.replace(waiting.asked(), state="APPROVED", by="noor", content=b"")
    sent = book.ticket(phase="sending", legs=book.progress(), approval=asked)
    async with session(book.desk(ticket=sent), size=(80, 24)) as made:
        await made.press("c")
        assert "confirmed by mira, approved by noor" in made.text()


async def test_a_ticket_that_waits_for_its_trader_cannot_be_typed_by_another() -> None:
    ticket = book.ticket(trader="mira", trader_uid=waiting.TRADER)
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        made.app.open_ticket()
        await made.press("G")
        made.clock.advance(1.1)
        assert "mira opened it, and alone may confirm it" in made.text()
        assert "export instead" not in made.text()
        await slowly(made, ticket.token[-4:])
        assert "the field is closed: mira opened it" in made.text()
        await made.press("enter")
        assert made.desk.asked == []
        made.app.showing.roles = ("view",)
        await made.press("n")
        assert "you may not reject it" in made.text()
        assert made.desk.asked == []
        made.app.showing.roles = ("view", "trade")
        await made.press("n")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [RejectTicket(ticket.id, "rejected by another trader")]


async def test_declining_takes_a_typed_reason_with_any_letter_in_it() -> None:
    async with session(book.desk(ticket=waiting.ticket()), size=(80, 24)) as made:
        await opened(made)
        await made.press("n", "enter")
        assert "why not?" in made.text()
        assert made.desk.asked == []
        for key in ("j", "k", "space", "g", "G", "r", "x", "backspace"):
            await made.press(key)
        assert "why not? jk gGr▏" in made.text()
        await made.press("escape")
        assert isinstance(made.app.screen, ConfirmScreen)
        await made.press("n", *"too", "space", *"large", "enter")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [DeclineTicket(id="tk-9f3c", reason="too large")]


async def test_its_trader_sees_that_it_waits_cannot_type_and_may_take_it_back() -> None:
    ticket = waiting.ticket(waiting.SERVED)
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        await opened(made)
        await made.press("G")
        assert "waits for a second person: 1,219,200.00 USD of orders" in made.text()
        await slowly(made, ticket.token[-4:])
        assert "another user has to approve it" in made.text()
        await made.press("enter", "x")
        assert made.desk.asked == []
        await made.press("escape")
        assert made.desk.asked == [], "leaving its screen takes nothing back"
        await made.press("c", "n")
        await made.until(lambda: bool(made.desk.asked))
        (intent,) = made.desk.asked
        assert intent == RejectTicket(id="tk-9f3c", reason="withdrawn before it was approved")


async def test_who_may_only_look_neither_types_nor_takes_it_back() -> None:
    async with session(book.desk(ticket=waiting.ticket()), size=(80, 24)) as made:
        made.app.showing.roles = ("view",)
        made.app.paint_all()
        assert "you may look only" in made.text()
        await opened(made)
        await made.press("G", "n")
        assert "you may look only" in made.text()
        await slowly(made, waiting.ticket().token[-4:])
        await made.press("enter", "escape")
        assert made.desk.asked == []


async def test_pasting_and_the_mouse_approve_nothing() -> None:
    ticket = waiting.ticket()
    async with session(book.desk(ticket=ticket)) as made:
        await opened(made)
        await made.press("G", ticket.token[-4])
        made.app.screen.post_message(events.Paste(ticket.token[-4:]))
        await made.pilot.pause()
        assert "pasting is refused" in made.text()
        await made.press("enter", "ctrl+p", "q", "r", "T")
        await made.pilot.click(offset=(40, 38))
        await made.pilot.click(offset=(20, 12))
        assert made.desk.asked == []
        assert isinstance(made.app.screen, ConfirmScreen)


async def test_a_terminal_made_tiny_and_large_again_starts_reading_anew() -> None:
    ticket = waiting.ticket()
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        await opened(made)
        await made.press("G", ticket.token[-4])
        await made.pilot.resize_terminal(1, 1)
        await made.pilot.pause()
        await made.press(*ticket.token[-4:], "enter")
        await made.pilot.resize_terminal(80, 24)
        await made.until(lambda: "read to the end" in made.text())
        await made.press(*ticket.token[-4:], "enter")
        assert made.desk.asked == []


async def test_who_read_it_as_a_bystander_reads_it_again_as_the_second_person() -> None:
    async with session(book.desk(ticket=book.ticket()), size=(80, 24)) as made:
        await made.press("c", "G")
        assert "type a7c4" in made.text()
        made.desk.replace(waiting.ticket())
        await made.until(lambda: "mira asks you" in made.text())
        made.clock.advance(1.1)
        await made.press("j")
        assert "read to the end" in made.text()


async def test_what_the_desk_refuses_is_said_and_a_decline_is_seen_by_its_trader() -> None:
    ticket = waiting.ticket()
    async with session(book.desk(ticket=ticket), size=(80, 24)) as made:
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected a second person")
        await opened(made)
        await made.press("G")
        await slowly(made, ticket.token[-4:])
        await made.press("enter")
        await made.until(lambda: "expected a second person" in made.text())
        made.desk.replace(waiting.declined())
        await made.until(lambda: "declined by noor: twice the size" in made.text())
        assert "DECLINED" in made.text()
        long = f"declined by noor: {'too large, and ' * 12}late"
        made.desk.replace(msgspec.structs.replace(waiting.declined(), reason=long))
        await made.until(lambda: "too large, and late" in made.text())
        assert "price the same legs anew" in made.text()


async def test_kill_is_reached_from_the_reasons_line_too() -> None:
    async with session(book.desk(ticket=waiting.ticket())) as made:
        await opened(made)
        await made.press("n", "t", "f10", "f10")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [Kill(reason="F10 F10 on the ticket")]


async def test_an_override_is_a_command_with_its_reason_and_no_what_if() -> None:
    async with session() as made:
        await made.press(":", *"override", "enter")
        assert ":override REASON, for the second person" in made.text()
        assert made.desk.asked == []
        await made.press(":")
        for character in "override hedge: agreed=yes":
            key = {" ": "space", ":": "colon", "=": "equals_sign"}.get(character, character)
            await made.press(key)
        await made.press("enter")
        await made.until(lambda: bool(made.desk.asked))
        (intent,) = made.desk.asked
        assert getattr(intent, "override", None) == "hedge: agreed=yes"
