"""What is typed beside figures of something else: it says so, and asks again where it can."""

from __future__ import annotations

import os

import msgspec
import pytest

from perptui.protocol.frames import Reply, encode
from perptui.protocol.intents import Bend, Intent
from perptui.protocol.views_rebalance import Author, RebalanceView
from perptui.tui.gone import gone_with_desk
from tests.tui import book, what_ifs
from tests.tui.sitting import Session, session
from tests.tui.what_ifs import BTC

pytestmark = pytest.mark.asyncio
STILL = "the figures are still of "
TRIED = f"target:{BTC}=.2"


def previewed() -> RebalanceView:
    """Return the proposal with what this terminal types."""
    mine = Author(os.getuid(), os.getpid(), "mira")
    return msgspec.structs.replace(
        book.rebalance(), what_if=True, edits=1, assignments=(TRIED,), tried=(TRIED,),
        preview=True, typist=mine,
    )  # fmt: skip


def tries(made: Session) -> list[str]:
    """Return what was asked for as a preview."""
    return [one.text for one in made.desk.asked if isinstance(one, Bend) and one.preview]


@pytest.mark.parametrize(
    ("typed", "deleted", "then", "of", "on"),
    [
        ("e.4", 2, "", "target BTC binance=.4", ".3"),
        ("e.4", 1, "", "target BTC binance=.4", "3"),
        (":gross_max=.2", 2, "0", "gross_max=.2", ".4"),
        (":gross_max=.2", 2, "", "gross_max=.2", ".3"),
        (":gross_max=.2", 3, "", "gross_max=.2", "=.3"),
        (":cost=2 gross_max=.2", 1, "", "cost=2 gross_max=.2", "3"),
    ],
)
async def test_what_is_half_typed_says_what_the_figures_are_still_of(
    typed: str, deleted: int, then: str, of: str, on: str
) -> None:
    async with session() as made:
        await made.press("5", *typed)
        await made.until(lambda: not made.app.bending)
        assert STILL not in made.text()
        await made.press(*["backspace"] * deleted, *then)
        assert f"{STILL}{of}" in made.text()
        await made.press(*on)
        await made.until(lambda: not made.app.bending)
        assert STILL not in made.text()


async def test_the_figures_are_of_the_preview_answered_last_though_another_is_asked() -> None:
    held: list[Reply] = []

    def hold(_: Intent) -> None:
        held.append(Reply(number=len(made.desk.asked), ok=True))

    async with session() as made:
        await made.press("5", *":gross_max=2")
        await made.until(lambda: not made.app.bending)
        made.desk.answer = hold
        await made.press("5", "0", *["backspace"] * 3)
        assert made.text().count(f"{STILL}gross_max=2") == 1
        await made.until(lambda: bool(held))
        made.desk.send(encode(held.pop()))
        await made.until(lambda: f"{STILL}gross_max=25 " in made.text())
        await made.until(lambda: bool(held))
        made.desk.send(encode(held.pop()))
        await made.until(lambda: f"{STILL}gross_max=2 " in made.text())
        assert tries(made) == ["gross_max=2", "gross_max=25", "gross_max=2"]


async def test_another_name_under_way_after_what_is_tried_says_what_it_may_become() -> None:
    async with session() as made:
        await made.press("5", *":cost=2 gross")
        await made.until(lambda: not made.app.bending)
        assert STILL not in made.text()
        assert "gross_max=" in made.text()


async def test_what_is_typed_is_asked_again_when_a_step_took_the_place_of_its_preview() -> None:
    async with session() as made:
        await made.press("5", *"e.2")
        await made.until(lambda: tries(made) == [TRIED] and not made.app.bending)
        made.desk.replace(previewed())
        await made.until(lambda: made.app.showing.live.rebalance.preview)
        assert tries(made) == [TRIED]
        stepped = msgspec.structs.replace(
            book.rebalance(), what_if=True, edits=1, assignments=("gross_max=2",), can_undo=True
        )
        made.desk.replace(msgspec.structs.replace(stepped, state="solving"))
        made.desk.replace(stepped)
        await made.until(lambda: tries(made) == [TRIED, TRIED])


async def test_what_another_took_back_is_not_asked_again_against_them() -> None:
    async with session() as made:
        await made.press("5", *"e.2")
        await made.until(lambda: tries(made) == [TRIED] and not made.app.bending)
        made.desk.replace(previewed())
        made.desk.replace(msgspec.structs.replace(book.rebalance(), can_redo=True))
        await made.until(lambda: "taken back by another terminal" in made.text())
        assert tries(made) == [TRIED]
        await made.press("5")
        await made.until(lambda: tries(made) == [TRIED, f"{TRIED}5"])
        assert "taken back" not in made.text()


async def test_an_open_line_goes_on_at_a_desk_that_is_there_again() -> None:
    async with session() as made:
        await made.press("5", *"e.2")
        await made.until(lambda: tries(made) == [TRIED] and not made.app.bending)
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        await made.press("5")
        assert "no desk: nothing was asked" in made.text()
        made.desk.view = book.desk(rebalance=RebalanceView(waiting="waiting for the venue"))
        await made.desk.start()
        await made.until(lambda: "DESK LOST" not in made.text())
        assert "no desk" not in made.text()
        assert tries(made) == [TRIED]
        made.desk.replace(book.rebalance())
        await made.until(lambda: tries(made) == [TRIED, f"{TRIED}5"])


async def test_what_cannot_be_read_still_says_so_at_a_desk_that_is_there_again() -> None:
    async with session() as made:
        await made.press("5", *":gross_mx=2")
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        await made.desk.start()
        await made.until(lambda: "DESK LOST" not in made.text())
        assert "gross_mx" in made.text()
        typed = made.app.desk_screen.trial
        assert typed is not None
        assert "gross_mx" in typed.wrong


@pytest.mark.parametrize("typing", [False, True], ids=["at once", "after what is typed"])
async def test_what_went_with_the_desk_is_said(*, typing: bool) -> None:
    def refuse(_: Intent) -> Reply:
        return Reply(number=0, ok=False, text="no")

    kept = (what_ifs.kept("A", 0.3), what_ifs.kept("B", 0.4))
    async with session(book.desk(rebalance=what_ifs.what_if(kept=kept))) as made:
        made.desk.answer = refuse
        await made.press("5", *(":cost" if typing else ""))
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        made.desk.view = book.desk(rebalance=RebalanceView(waiting="waiting for the venue"))
        await made.desk.start()
        await made.until(lambda: "DESK LOST" not in made.text())
        if typing:
            made.clock.advance(9)
            assert "gone with the desk" not in made.text()
            await made.press("escape")
        await made.until(lambda: "gone with the desk that was lost: what was bent" in made.text())


async def test_only_what_stands_no_more_is_gone() -> None:
    both = msgspec.structs.replace(
        previewed(), assignments=("gross_max=2", TRIED), kept=(what_ifs.kept("A", 0.3),)
    )
    assert gone_with_desk(both, both) == ""
    assert gone_with_desk(both, RebalanceView()) == (
        "gone with the desk that was lost: what was bent (gross_max=2), what was kept as A"
    )
    assert gone_with_desk(previewed(), RebalanceView()) == ""
