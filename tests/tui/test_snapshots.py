"""Pictures of every state at every size; what they must say is asserted beside them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, cast

import pytest
from textual.pilot import Pilot

from perptui.model.clock import ManualClock
from perptui.protocol.views import DeskView, Feed
from perptui.tui.app import DeskApp
from tests.tui import book, waiting, what_ifs
from tests.tui.terminal import SIZES, screen_text, terminal

pytestmark = pytest.mark.unmeasured

Compare = Callable[..., bool]


def stale_desk() -> DeskView:
    """The venue bybit has not answered for 47 s; its two positions are as old."""
    return book.desk(
        positions=book.positions(stale=("bybit",)),
        status=book.status(
            feeds=(
                Feed("binanceusdm", book.NOW_MONO - 2, stale=False),
                Feed("bybit", book.NOW_MONO - 47, stale=True, text="bad response"),
            ),
            sends_locked="bybit is stale",
        ),
    )


def what_if_desk() -> DeskView:
    """A what-if with everything that can stand beside it."""
    return what_ifs.desk()


def compared_desk() -> DeskView:
    """Two what-ifs kept, and a frontier half solved."""
    kept = (what_ifs.kept("A", 0.4), what_ifs.kept("B", 0.1))
    return what_ifs.desk(rebalance=what_ifs.what_if(kept=kept, frontier=what_ifs.frontier()))


STATES: dict[str, tuple[Callable[[], DeskView | None], list[str]]] = {
    "desk": (book.desk, []),
    "waiting": (lambda: None, []),
    "stale": (stale_desk, []),
    "what_if": (what_if_desk, ["5"]),
    "clash": (lambda: what_ifs.desk(rebalance=what_ifs.infeasible()), ["5", "i"]),
    "funding": (book.desk, ["3"]),
    "regime": (book.desk, ["4"]),
    "confirmation": (lambda: book.desk(ticket=book.ticket()), ["c", "G"]),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_picture(state: str, size: tuple[int, int], snap_compare: Compare) -> None:
    made, keys = STATES[state]
    assert snap_compare(terminal(made()), press=keys, terminal_size=size)


@pytest.mark.parametrize(
    ("name", "size", "keys", "options", "made"),
    [
        ("too_small", (79, 23), [], {}, book.desk),
        ("colourblind", (120, 40), [], {"theme": "colourblind"}, book.desk),
        ("light", (120, 40), [], {"theme": "light"}, book.desk),
        ("ansi_ascii", (120, 40), [], {"theme": "ansi", "glyphs": "ascii"}, book.desk),
        ("help", (120, 40), ["5", "question_mark"], {}, book.desk),
        ("journal", (120, 40), ["8"], {}, book.desk),
        ("regime_tables", (80, 24), ["4", "enter"], {}, book.desk),
        ("funding_row", (80, 24), ["3", "enter"], {}, book.desk),
        ("limits", (80, 24), ["6"], {}, book.desk),
        ("rebalance", (80, 24), ["5"], {}, book.desk),
        ("why", (80, 24), ["5", "y"], {}, what_if_desk),
        ("ledgers", (120, 40), ["5", "y", "y"], {}, what_if_desk),
        ("compare", (120, 40), ["5", "b"], {}, compared_desk),
        ("compare_small", (80, 24), ["5", "b"], {}, compared_desk),
        ("frontier", (120, 40), ["5", "p"], {}, compared_desk),
        ("frontier_ascii", (80, 24), ["5", "p"], {"glyphs": "ascii"}, compared_desk),
        ("cap_edit", (80, 24), ["5", "v", "e", "2", "x"], {}, what_if_desk),
        ("typing", (120, 40), ["5", "colon", "g", "r"], {}, what_if_desk),
        ("row", (80, 24), ["j", "enter"], {}, book.desk),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_size(
    name: str,
    size: tuple[int, int],
    keys: list[str],
    options: dict[str, Any],
    made: Callable[[], DeskView],
    snap_compare: Compare,
) -> None:
    assert snap_compare(terminal(made(), **options), press=keys, terminal_size=size)


def test_progress_names_every_state(snap_compare: Compare) -> None:
    view = book.desk(
        ticket=book.ticket(phase="sending", legs=book.progress()),
        status=book.status(unknown_legs=1, working_orders=1),
    )
    assert snap_compare(terminal(view), press=["c"], terminal_size=(80, 24))


def test_killed(snap_compare: Compare) -> None:
    view = book.desk(status=book.status(kill_state="HALTED", sends_locked="the desk is HALTED"))
    assert snap_compare(terminal(view), terminal_size=(120, 40))


async def a_second_later(pilot: Pilot[int]) -> None:
    """Open the ticket that waits, let its first second pass, and read it to its end."""
    await pilot.press("c")
    clock = cast(DeskApp, pilot.app).showing.clock
    assert isinstance(clock, ManualClock)
    clock.advance(1.1)
    await pilot.press("G")


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("whose", ["own", "anothers"])
def test_a_ticket_that_waits_for_a_second_person(
    whose: str, size: tuple[int, int], snap_compare: Compare
) -> None:
    view = book.desk(ticket=waiting.ticket(os.getuid() + (whose == "anothers")))
    assert snap_compare(terminal(view), run_before=a_second_later, terminal_size=size)


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_desk_says_that_a_ticket_waits(size: tuple[int, int], snap_compare: Compare) -> None:
    view = book.desk(ticket=waiting.ticket(os.getuid() + 1))
    assert snap_compare(terminal(view), terminal_size=size)


def test_declined_and_the_reason_for_it(snap_compare: Compare) -> None:
    async def opened(pilot: Pilot[int]) -> None:
        cast(DeskApp, pilot.app).open_ticket()
        await pilot.pause()

    view = book.desk(ticket=waiting.declined())
    assert snap_compare(terminal(view), run_before=opened, terminal_size=(80, 24))


def test_why_not_is_typed(snap_compare: Compare) -> None:
    async def declining(pilot: Pilot[int]) -> None:
        await a_second_later(pilot)
        await pilot.press("n", *"twice", "space", *"the", "space", *"size")

    view = book.desk(ticket=waiting.ticket(os.getuid() + 1))
    assert snap_compare(terminal(view), run_before=declining, terminal_size=(80, 24))


# ------------------------------------------------------------------- what the pictures must say


def drawn(view: DeskView | None, size: tuple[int, int], *keys: str) -> list[str]:
    """Return the text on a screen after some keys."""

    async def run() -> list[str]:
        app = terminal(view)
        async with app.run_test(size=size) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            return screen_text(app)

    return asyncio.run(run())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_line_fills_the_screen_and_no_more(size: tuple[int, int]) -> None:
    lines = drawn(book.desk(), size)
    assert len(lines) == size[1]
    assert {len(line) for line in lines} == {size[0]}


def test_the_desk_says_the_sums_and_signs_of_the_mock_up() -> None:
    text = "\n".join(drawn(book.desk(), (120, 40)))
    assert "NAV 404,310" in text
    assert "today −1,940  = price −2,210 fund +318 fees −48" in text
    assert -2210 + 318 - 48 == -1940
    assert "gross 1,219,200  net +357,000" in text
    assert 421300 + 301900 + 180200 + 162500 + 88400 + 64900 == 1_219_200
    assert 421300 + 301900 + 64900 - 180200 - 162500 - 88400 == 357_000
    assert "book +14.8 $/day → +56.1 after the proposal" in text
    assert "binance liq −44/+86%" in text
    assert "STRESS .86 ×0.50 since 12:03" in text
    assert "gross and CVaR 95 % BREACH" in text
    assert "SIMULATED MARKET" in text


def test_a_binding_limit_has_a_price_and_the_others_cost_nothing() -> None:
    lines = drawn(book.desk(), (200, 60))
    rows = [line for line in lines if "BREACH→" in line or " ok  " in line]
    assert any("BREACH→BINDS" in row and " 9.4 " in row for row in rows)
    assert any("BREACH→ok" in row and " 0.0 " in row for row in rows)


def test_long_pays_a_positive_rate_and_short_is_paid() -> None:
    lines = drawn(book.desk(), (120, 40))
    btc = next(line for line in lines if "BTC  binance LONG" in line)
    sol = next(line for line in lines if "SOL  binance SHORT" in line)
    assert "+0.0100%" in btc
    assert "−126.4" in btc
    assert "+0.0310%" in sol
    assert "+151.1" in sol


def test_stale_rows_show_their_age_in_words_at_any_size() -> None:
    for size in SIZES:
        text = "\n".join(drawn(stale_desk(), size))
        assert "STALE 47 s" in text
        assert "sends locked: bybit is stale" in text


def test_before_the_desk_answers_every_panel_says_what_it_waits_for() -> None:
    lines = drawn(None, (120, 40))
    assert "connecting to the desk" in lines[0]
    assert sum(line.count("waiting for the desk") for line in lines) == 5
    assert not any("0.00" in line for line in lines)


def test_too_small_says_what_is_needed_and_what_is_there() -> None:
    text = "\n".join(drawn(book.desk(), (79, 23)))
    assert "need 80x24, have 79x23" in text
    assert "NAV" not in text


def test_the_confirmation_draws_the_canonical_text_exactly() -> None:
    ticket = book.ticket()
    lines = drawn(book.desk(ticket=ticket), (200, 60), "c")
    start = next(y for y, line in enumerate(lines) if ticket.text[0] in line)
    left = lines[start].index(ticket.text[0])
    found = [line[left : left + 80].rstrip() for line in lines[start : start + len(ticket.text)]]
    assert found == [line.rstrip() for line in ticket.text]


def test_the_ansi_theme_in_ascii_keeps_every_column_in_place() -> None:
    async def run() -> list[str]:
        app = terminal(book.desk(), theme="ansi", glyphs="ascii")
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            return screen_text(app)

    lines, usual = asyncio.run(run()), drawn(book.desk(), (120, 40))
    assert all(line.isascii() for line in lines)
    assert {len(line) for line in lines} == {120}
    assert lines[5].index("421,300") == usual[5].index("421,300")


def test_the_status_is_never_frozen() -> None:
    lines = drawn(book.desk(), (120, 40), "f")
    assert "panels FROZEN" in lines[0]
    assert any("FROZEN 2 s" in line for line in lines[3:5])
