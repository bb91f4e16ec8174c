"""Two terminals on one desk: what another types is shown as another's."""

from __future__ import annotations

import os

import pytest

from perptui.protocol.views_rebalance import Author
from perptui.tui.whose import another
from tests.tui import book, what_ifs
from tests.tui.sitting import session
from tests.tui.test_snapshots import drawn

MINE = Author(os.getuid(), os.getpid(), "mira")
OTHERS = (Author(os.getuid(), os.getpid() + 1, "mira"), Author(os.getuid() + 1, 7, "noor"))


def test_only_anothers_step_is_named() -> None:
    assert (another(None), another(MINE)) == ("", "")
    assert another(OTHERS[1]) == "noor, terminal 7,"


@pytest.mark.parametrize("typist", OTHERS)
def test_a_preview_says_who_types_it(typist: Author) -> None:
    for size in ((80, 24), (120, 40)):
        view = what_ifs.what_if(preview=True, typist=typist)
        shown = "\n".join(drawn(book.desk(rebalance=view), size, "5"))
        assert f"{typist.name}, terminal {typist.pid}, is typing" in shown
        own = what_ifs.what_if(preview=True, typist=MINE)
        assert "edits, not kept yet" in "\n".join(drawn(book.desk(rebalance=own), size, "5"))


@pytest.mark.asyncio
async def test_what_another_types_is_not_this_terminals_to_keep() -> None:
    view = what_ifs.what_if(preview=True, typist=OTHERS[1], shown_only=())
    async with session(book.desk(rebalance=view)) as made:
        await made.press("c")
        assert "noor, terminal 7, is typing this what-if" in made.text()
        assert made.desk.asked == []
