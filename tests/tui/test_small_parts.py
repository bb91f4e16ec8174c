import asyncio
from pathlib import Path

import pytest

from perptui.protocol.frames import Reply
from perptui.protocol.intents import EditTarget, Intent
from perptui.tui.arrange import columns_of, regions
from perptui.tui.crash import redacted, report_of, write_report
from perptui.tui.editor import MOST, LineEditor
from perptui.tui.keymap import BY_ID, KEYS, footer, keys_of, unknown_ids
from perptui.tui.whatif import EditQueue

RESERVED = {f"ctrl+{letter}" for letter in "sqzabjo"}


# ---------------------------------------------------------------- keys


def test_no_key_is_bound_twice_or_kept_by_terminals_and_multiplexers() -> None:
    keys = [key.strip() for entry in KEYS for key in entry.keys.split(",")]
    assert len(keys) == len(set(keys))
    assert not RESERVED & set(keys)
    assert len(BY_ID) == len(KEYS)


def test_the_footer_fits_eighty_columns_and_follows_the_keymap() -> None:
    for width in (80, 120, 200):
        text = "".join(part for part, _ in footer({"confirm": "f9"}, width))
        assert len(text) <= width
        assert "F9 confirm" in text
        assert "q quit" in text
    assert keys_of("redo", {}) == "^r"
    assert keys_of("first", {}) == "g home"
    assert unknown_ids({"solve": "v", "sovle": "w"}) == ["sovle"]


# ---------------------------------------------------------------- the line editor


def test_editing_a_line() -> None:
    line = LineEditor("0.62", "0123456789.-")
    for key, character in (
        ("home", None),
        ("delete", "x"),
        ("end", None),
        ("backspace", None),
        ("left", None),
        ("minus", "-"),
        ("x", "x"),
        ("right", None),
        ("5", "5"),
    ):
        assert line.key(key, character)
    assert line.text == ".-65"
    assert line.shown() == ".-65▏"
    assert not line.key("f5", None)
    line.key("ctrl+u", None)
    assert (line.text, line.at) == ("", 0)
    line.key("backspace", None)
    line.insert("1" * 200 + "\x1b")
    assert line.text == "1" * MOST


# ---------------------------------------------------------------- edits on their way


@pytest.mark.asyncio
async def test_an_edit_that_was_refused_drops_what_waits() -> None:
    asked: list[Intent] = []

    async def ask(intent: Intent) -> Reply:
        asked.append(intent)
        queue.put("eth", 0.3)
        return Reply(number=1, ok=False, text="infeasible")

    queue = EditQueue(ask)
    assert queue.put("btc", 0.1)
    reply = await queue.drain()
    assert reply is not None
    assert reply.text == "infeasible"
    assert asked == [EditTarget(id="btc", weight=0.1)]
    assert not queue.busy


@pytest.mark.asyncio
async def test_a_second_drain_while_one_runs_does_nothing() -> None:
    gate = asyncio.Event()

    async def ask(intent: Intent) -> Reply:
        await gate.wait()
        return Reply(number=1, ok=True)

    queue = EditQueue(ask)
    queue.put("btc", 0.1)
    first = asyncio.create_task(queue.drain())
    await asyncio.sleep(0)
    assert not queue.put("btc", 0.2)
    assert await queue.drain() is None
    gate.set()
    assert (await first) == Reply(number=1, ok=True)


# ---------------------------------------------------------------- where panels stand


@pytest.mark.parametrize("size", [(80, 24), (109, 60), (120, 40), (179, 47), (200, 60), (400, 99)])
def test_the_regions_cover_the_screen_exactly_once(size: tuple[int, int]) -> None:
    width, height = size
    places = regions(width, height, "")
    assert sum(region.area for region in places.values()) == width * height
    found = list(places.values())
    for index, region in enumerate(found):
        assert not any(region.overlaps(other) for other in found[index + 1 :])
        assert region.right <= width
        assert region.bottom <= height


def test_columns_by_size() -> None:
    assert [columns_of(*size) for size in ((79, 24), (80, 23), (80, 24), (120, 40), (200, 60))] == [
        0,
        0,
        1,
        2,
        3,
    ]
    assert list(regions(20, 5, "")) == ["too-small"]
    assert "journal" in regions(120, 40, "journal")


# ---------------------------------------------------------------- crashes


def crash(secret: str) -> BaseException:
    canary = {"apiKey": secret}
    try:
        int(f"signature={canary['apiKey']}")
    except ValueError as error:
        return error
    raise AssertionError


def test_a_report_holds_the_place_and_no_variable(tmp_path: Path) -> None:
    error = crash("CANARY123")
    path = write_report(error, tmp_path)
    assert path is not None
    text = path.read_text()
    assert "in crash" in text
    assert "ValueError" in text
    assert "CANARY123" not in text
    assert path.stat().st_mode & 0o077 == 0
    assert report_of(error) == text


def test_secrets_are_redacted_by_name() -> None:
    assert redacted("listenKey: abc, x=1 Authorization=Bearer") == (
        "listenKey: *** x=1 Authorization=***"
    )


def test_a_folder_that_cannot_be_written_falls_back(tmp_path: Path) -> None:
    path = write_report(crash("x"), tmp_path / "none")
    assert path is not None
    path.unlink()
