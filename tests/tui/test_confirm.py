"""The confirmation: read to the end, typed by hand, and by nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual import events

from perptui.protocol.frames import Reply
from perptui.protocol.intents import (
    CancelWorking,
    CloseTicket,
    ConfirmTicket,
    ExportOrders,
    Kill,
    OpenTicket,
    RejectTicket,
)
from perptui.tui.screens.confirm import ConfirmScreen
from perptui.tui.screens.ticket import Token
from tests.tui import book
from tests.tui.sitting import session, slowly


def ticket_desk(**changes: Any) -> Any:
    return book.desk(ticket=book.ticket(**changes))


@pytest.mark.asyncio
async def test_the_token_is_typed_after_the_end_was_seen_and_sent_with_its_gaps() -> None:
    async with session(ticket_desk(), size=(80, 24)) as made:
        await made.press("c")
        assert "more lines: read to the end" in made.text()
        await slowly(made, "a7c4")
        await made.press("enter")
        assert made.desk.asked == []
        assert "read to the end" in made.text()
        await made.press("G")
        assert "type a7c4 and Enter to send these orders" in made.text()
        await slowly(made, "a7c4")
        await made.press("enter")
        await made.until(lambda: bool(made.desk.asked))
        (intent,) = made.desk.asked
        assert isinstance(intent, ConfirmTicket)
        assert (intent.id, intent.typed, intent.seen_end) == ("tk-9f3c", "a7c4", True)
        assert (intent.columns, intent.rows) == (80, 24)
        assert len(intent.key_gaps_ms) == 3
        assert all(30 <= gap < 2000 for gap in intent.key_gaps_ms)


@pytest.mark.asyncio
async def test_enter_alone_and_a_short_token_do_nothing() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "enter", "a", "7", "c", "enter", "backspace", "backspace", "enter")
        assert "a▏__" in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_the_first_second_is_dead() -> None:
    async with session(ticket_desk(opens_mono=book.NOW_MONO + 1)) as made:
        await made.press("c", "a")
        assert "closed for the first second" in made.text()
        made.clock.advance(1.1)
        await made.press("a")
        assert "a▏__" in made.text()


@pytest.mark.asyncio
async def test_an_expired_ticket_takes_no_key() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", *"a7c")
        made.clock.advance(28)
        await made.press("4", "enter")
        assert "expired" in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_pasting_is_refused_and_clears_the_field() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "a", "7")
        made.app.screen.post_message(events.Paste("a7c4"))
        await made.pilot.pause()
        assert "pasting is refused" in made.text()
        await made.press("enter")
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_neither_bindings_nor_palette_nor_mouse_reach_it() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "r", "q", "T", "ctrl+p", "tab", "5", "1", "2")
        assert isinstance(made.app.screen, ConfirmScreen)
        await made.pilot.click(offset=(40, 38))
        await made.pilot.click(offset=(40, 10))
        assert made.desk.asked == []
        assert [name for name in dir(ConfirmScreen) if name.startswith("action_confirm")] == []


@pytest.mark.asyncio
async def test_a_terminal_made_smaller_closes_the_field() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "a", "7")
        await made.pilot.resize_terminal(79, 24)
        await made.until(lambda: "need 80x24, have 79x24" in made.text())
        await made.press("c", "4", "enter")
        await made.pilot.resize_terminal(80, 24)
        await made.until(lambda: "more lines: read to the end" in made.text())
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_a_void_ticket_says_why() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "a")
        made.desk.replace(book.ticket(phase="void", reason="BTC left its collar"))
        await made.until(lambda: "VOID: BTC left its collar. Nothing was sent." in made.text())
        await made.press("a", "7", "c", "4", "enter", "escape")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [CloseTicket(id="tk-9f3c")]
        assert "NAV" in made.text()


@pytest.mark.asyncio
async def test_a_refused_confirmation_says_why_and_the_field_is_empty() -> None:
    async with session(ticket_desk()) as made:
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected the last four")
        await made.press("c")
        await slowly(made, "0000")
        await made.press("enter")
        await made.until(lambda: "expected the last four" in made.text())
        assert "type a7c4 and Enter to send these orders:  ▏___" in made.text()
        await made.press("j")
        assert "expected the last four" not in made.text()
        assert "▏___" in made.text()


@pytest.mark.asyncio
async def test_sending_turns_into_progress_and_can_be_cancelled_or_halted() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c")
        made.desk.replace(book.ticket(phase="sending", legs=book.progress()))
        await made.until(lambda: "1 of 3 filled" in made.text())
        for words in ("FILLED", "PARTIAL", "UNKNOWN", "no answer: reconciling", "97,840.1"):
            assert words in made.text()
        await made.press("C", "f10", "f10")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked == [CancelWorking(), Kill(reason="F10 F10 on the ticket")]
        await made.press("escape")
        assert "NAV 404,310" in made.text()
        assert len(made.desk.asked) == 2, "leaving progress does not close the ticket"


@pytest.mark.asyncio
async def test_the_shortfall_is_shown_where_the_desk_says_it() -> None:
    from decimal import Decimal

    legs = tuple(
        msgspec.structs.replace(leg, shortfall_usd=Decimal("12.34")) for leg in book.progress()
    )
    async with session(ticket_desk(phase="done", legs=legs, reason="late fill")) as made:
        made.app.open_ticket()
        await made.pilot.pause()
        assert "shortfall 37.02 $ so far" in made.text()
        assert "late fill" in made.text()


@pytest.mark.asyncio
async def test_reject_and_export_instead() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "n")
        await made.until(lambda: len(made.desk.asked) == 1)
        assert made.desk.asked == [RejectTicket(id="tk-9f3c", reason="rejected by the trader")]
        await made.press("c", "x")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked[1:] == [ExportOrders(digest=book.DIGEST, ticket="tk-9f3c")]
        await made.press("c", "escape")
        assert "NAV 404,310" in made.text()
        assert len(made.desk.asked) == 2


@pytest.mark.asyncio
async def test_a_ticket_that_comes_while_a_line_is_typed_does_not_take_its_keys() -> None:
    async with session() as made:
        await made.press("c")
        await made.until(lambda: len(made.desk.asked) == 1)
        await made.press(":", *"gros")
        made.desk.replace(book.ticket())
        await made.until(lambda: made.app.showing.live.ticket.phase == "confirm")
        await made.press("s")
        assert ":gross▏" in made.text()
        await made.press("escape")
        assert not isinstance(made.app.screen, ConfirmScreen)
        await made.press("c")
        await made.until(lambda: isinstance(made.app.screen, ConfirmScreen))


def newer_proposal() -> Any:
    return msgspec.structs.replace(book.rebalance(), digest="b" * 16)


@pytest.mark.asyncio
async def test_an_older_plan_is_not_opened_again_after_the_proposal_changed() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "escape")
        made.desk.replace(newer_proposal())
        await made.until(lambda: made.app.showing.live.rebalance.digest == "b" * 16)
        await made.press("c")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [
            OpenTicket(digest="b" * 16, purpose="send", columns=120, rows=40)
        ]
        assert not isinstance(made.app.screen, ConfirmScreen)
        made.desk.replace(book.ticket(id="tk-new", digest="b" * 16))
        await made.until(lambda: isinstance(made.app.screen, ConfirmScreen))
        await made.until(lambda: "ticket tk-new" in made.text())


@pytest.mark.asyncio
async def test_while_a_solve_runs_the_older_plan_stays_shut() -> None:
    solving = msgspec.structs.replace(book.rebalance(), state="solving")
    async with session(book.desk(ticket=book.ticket(), rebalance=solving)) as made:
        await made.press("c")
        assert "a solve is under way" in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_what_is_being_sent_opens_whatever_is_proposed() -> None:
    sending = book.ticket(phase="sending", legs=book.progress())
    async with session(book.desk(ticket=sending, rebalance=newer_proposal())) as made:
        await made.press("c")
        assert "1 of 3 filled" in made.text()


@pytest.mark.asyncio
async def test_the_ticket_opens_only_where_it_was_asked_for() -> None:
    async with session() as made:
        made.desk.replace(book.ticket())
        await made.until(lambda: made.app.showing.live.ticket.phase == "confirm")
        await made.pilot.pause()
        assert not isinstance(made.app.screen, ConfirmScreen)
    async with session() as made:
        await made.press("c")
        made.desk.replace(book.ticket())
        await made.until(lambda: isinstance(made.app.screen, ConfirmScreen))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("phase", "words"), [("exported", "exported: orders.csv"), ("none", "this ticket is closed")]
)
async def test_the_end_of_a_ticket_is_said(phase: str, words: str) -> None:
    reason = "orders.csv" if phase == "exported" else ""
    async with session(ticket_desk(phase=phase, reason=reason)) as made:
        made.app.open_ticket()
        await made.pilot.pause()
        assert words in made.text()


@pytest.mark.asyncio
async def test_a_lost_desk_closes_the_field() -> None:
    async with session(ticket_desk()) as made:
        await made.press("c", "a")
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        await made.press("7")
        assert "the field is closed" in made.text()


@pytest.mark.asyncio
async def test_a_desk_that_ended_under_the_ticket_is_said_with_the_ticket() -> None:
    words = "the desk ended; ticket tk-9f3c: see the journal (8)"
    async with session(ticket_desk(phase="sending", legs=book.progress())) as made:
        await made.press("c")
        assert words not in made.text()
        await made.desk.stop()
        await made.until(lambda: words in made.text())
        made.app.showing.take_whole(book.desk())  # another desk, which knows no ticket
        made.app.paint_all()
        await made.pilot.pause()
        assert words in made.text()
        assert "ticket tk-9f3c · closed" in made.text()


def test_gaps_follow_the_characters_that_stand() -> None:
    token = Token()
    for character, at_s in (("a", 1.0), ("7", 1.1), ("c", 1.25)):
        token.type(character, at_s)
    token.erase()
    token.type("b", 2.0)
    token.type("4", 2.5)
    token.type("9", 2.6)
    assert token.text == "a7b4"
    assert token.gaps_ms == pytest.approx((100.0, 900.0, 500.0))
