"""A venue whose texts are markup, escapes, bidirectional signs and endless: drawn, no more.

The adapter makes texts safe once; here they come raw, as from a desk that let one through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from textual.events import Paste

from perptui.model.text import safe_text
from perptui.protocol.views import DeskView
from perptui.simulator.fault_payloads import HOSTILE
from tests.tui import book, what_ifs
from tests.tui.terminal import screen_text, terminal

pytestmark = pytest.mark.unmeasured

Compare = Callable[..., bool]
OUTSIDE = frozenset(
    {"coin", "venue", "text", "reason", "note", "label", "detail", "worst_account", "trader"}
    | {"sends_locked", "why", "symbol", "code", "news", "market", "cause", "subject", "line"}
)
"""Fields that hold, or quote, what a venue said."""
LONG = 1_000_000
"""What is longer than 64 characters the adapter has cut; a line is cut again where it is drawn."""
STATES: dict[str, tuple[Callable[[], DeskView], list[str]]] = {
    "positions": (book.desk, []),
    "funding": (book.desk, ["3"]),
    "rebalance": (what_ifs.desk, ["5"]),
    "limits": (book.desk, ["6"]),
    "journal": (book.desk, ["8"]),
    "confirmation": (lambda: book.desk(ticket=book.ticket()), ["c", "G"]),
    "progress": (
        lambda: book.desk(ticket=book.ticket(phase="sending", legs=book.progress())),
        ["c"],
    ),
    "void": (lambda: book.desk(ticket=book.ticket(phase="void", reason="drift")), ["c"]),
}


def hostile(value: Any, text: str, name: str = "") -> Any:
    """Return a view with `text` wherever a venue's words may stand."""
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        changed = {field: hostile(getattr(value, field), text, field) for field in names}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(hostile(item, text, name) for item in value)
    return text if type(value) is str and value and name in OUTSIDE else value


def drawn(view: DeskView, keys: list[str]) -> str:
    """Return the text on a screen after some keys."""

    async def run() -> str:
        app = terminal(view)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            assert app.is_running
            return "".join(screen_text(app))

    return asyncio.run(run())


@pytest.mark.parametrize("state", ["positions", "rebalance", "journal", "confirmation"])
def test_hostile_picture(state: str, snap_compare: Compare) -> None:
    made, keys = STATES[state]
    app = terminal(hostile(made(), safe_text(HOSTILE)))
    assert snap_compare(app, press=keys, terminal_size=(120, 40))


@pytest.mark.parametrize("state", STATES)
def test_raw_hostile_text_is_drawn_as_text_and_runs_nothing(state: str) -> None:
    made, keys = STATES[state]
    text = drawn(hostile(made(), HOSTILE), keys)
    assert text.isprintable()
    assert "[@c" in text


def test_a_megabyte_in_every_field_is_cut_to_its_cell() -> None:
    made, keys = STATES["progress"]
    text = drawn(hostile(made(), "A" * LONG), keys)
    assert "AAAA" in text
    assert len(text) == 120 * 40


def test_a_name_of_any_length_stands_before_its_figures() -> None:
    made, keys = STATES["positions"]
    text = drawn(hostile(made(), "X" * 64), keys)
    lines = [text[at : at + 120] for at in range(0, len(text), 120)]
    rows = [line for line in lines if "LONG" in line or "SHORT" in line]
    assert len(rows) == 6
    assert all("XXXXXXXXXX" in row[: row.index("T" if "SHORT" in row else "G")] for row in rows)


def test_what_is_pasted_into_the_palette_is_drawn_as_text() -> None:
    async def run() -> str:
        app = terminal(book.desk())
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("ctrl+p")
            app.post_message(Paste(f"picture{HOSTILE}\nsecond line"))
            await pilot.pause()
            return "".join(screen_text(app))

    text = asyncio.run(run())
    assert text.isprintable()
    assert "picture[@c" in text
    assert "second line" not in text
