import asyncio
from pathlib import Path

import pytest

from perptui.model.assignment import LIMITS, PARAMETERS
from perptui.protocol.frames import Reply
from perptui.protocol.intents import Bend, Intent, Undo, Withdraw
from perptui.settings.redaction import redacted
from perptui.tui.arrange import columns_of, regions
from perptui.tui.command_line import CommandLine
from perptui.tui.crash import report_of, write_report
from perptui.tui.editor import MOST, LineEditor
from perptui.tui.format import with_minus
from perptui.tui.keymap import BY_ID, KEYS, actions_by_key, footer, keys_of, unknown_ids
from perptui.tui.limit_settings import setting_of
from perptui.tui.trial import half_typed
from perptui.tui.whatif import IntentQueue

RESERVED = {f"ctrl+{letter}" for letter in "sqzabjo"}


# ---------------------------------------------------------------- keys


def test_no_key_is_bound_twice_or_kept_by_terminals_and_multiplexers() -> None:
    keys = [key.strip() for entry in KEYS for key in entry.keys.split(",") if entry.id != "why"]
    assert len(keys) == len(set(keys))
    assert BY_ID["why"].keys == BY_ID["copy_row"].keys  # told apart by the panel that has the keys
    assert not RESERVED & set(keys)
    assert len(BY_ID) == len(KEYS)


def test_a_key_of_ones_own_takes_the_place_of_a_standard_one() -> None:
    standard = actions_by_key({})
    assert standard["y"] == ("copy_row", "why")
    assert standard["question_mark"] == ("help",)
    assert standard["5"] == ("view('5')",)
    own = actions_by_key({"why": "w", "solve": "R,?"})
    assert own["w"] == ("why",)
    assert own["y"] == ("copy_row",)
    assert own["R"] == own["question_mark"] == ("solve",)
    assert "r" not in own


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


# ---------------------------------------------------------------- intents on their way


@pytest.mark.asyncio
async def test_of_what_is_typed_the_latest_is_sent_and_what_was_entered_always() -> None:
    gate = asyncio.Event()
    asked: list[Intent] = []
    answers: list[tuple[Intent, str]] = []

    async def ask(intent: Intent) -> Reply:
        asked.append(intent)
        await gate.wait()
        return Reply(number=1, ok=True, text="solved")

    line, cell = object(), "target:a:BTC/USDT:USDT"
    queue = IntentQueue(ask)
    assert queue.put(Bend(text="gross_max=1", preview=True), line)
    draining = asyncio.create_task(
        queue.drain(lambda intent, reply: answers.append((intent, reply.text)))
    )
    await asyncio.sleep(0)
    typed = (
        (Bend(text="gross_max=2", preview=True), line),
        (Bend(text="gross_max=2.5", preview=True), line),
        (Bend(text="gross_max=2.5"), line),
        (Undo(), None),
        (Bend(text=f"{cell}=1", preview=True), cell),
        (Withdraw(), cell),
        (Bend(text=f"{cell}=2", preview=True), cell),
        (Bend(text="net_max=.1", preview=True), "another"),
        (Bend(text=f"{cell}=3"), cell),
        (Bend(text=f"{cell}=4", preview=True), cell),
    )
    for intent, edits in typed:
        assert not queue.put(intent, edits)
    before = queue.busy, queue.rests
    await queue.drain(lambda intent, _: answers.append((intent, "twice")))
    gate.set()
    await draining
    assert asked[1:] == [typed[index][0] for index in (2, 3, 7, 8, 9)]
    assert answers == [(intent, "solved") for intent in asked]
    assert [before, (queue.busy, queue.rests)] == [(True, False), (False, True)]


# ---------------------------------------------------------------- the command line


def typed(line: CommandLine, text: str) -> None:
    for character in text:
        line.key(character, character)


def test_a_what_if_is_read_as_it_is_typed() -> None:
    line = CommandLine([], ("binanceusdm:BTC/USDT:USDT",))
    typed(line, "gross_max=2 shock=-.1")
    assert line.bends
    assert line.assignments() == "gross_max=2 shock=-.1"
    typed(line, " regime=str")
    assert line.assignments() is None
    assert "expected regime one of calm, normal, stress, crisis" in line.wrong
    assert line.below(200) == ((f" {line.wrong}", "warn"),)
    typed(line, "ess")
    assert line.assignments() == "gross_max=2 shock=-.1 regime=stress"


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("cvar_max=0", True),
        ("cvar_max=0.0", True),
        ("cvar_max=.", True),
        ("cvar_max=0.05", False),
        ("target:binanceusdm:BTC/USDT:USDT=0", False),
        ("shock=0", False),
        ("regime=calm", False),
    ],
)
def test_a_cap_of_nothing_is_on_its_way_to_something(text: str, half: bool) -> None:
    assert half_typed(text) is half


def test_names_are_completed_as_far_as_they_are_one() -> None:
    line = CommandLine([], ("binanceusdm:BTC/USDT:USDT", "binanceusdm:BNB/USDT:USDT"))
    typed(line, "gro")
    line.key("tab", None)
    assert line.text == "gross_max="
    typed(line, "2 target:")
    assert line.key("tab", None)
    assert line.text == "gross_max=2 target:binanceusdm:B"
    assert "target:binanceusdm:BTC/USDT:USDT=" in line.below(200)[0][0]
    typed(line, "T")
    line.key("tab", None)
    assert line.text.endswith("target:binanceusdm:BTC/USDT:USDT=")
    assert not line.key("tab", None)


def test_lines_kept_before_come_back_the_newest_first() -> None:
    history: list[str] = []
    for text in ("gross_max=2", "regime=stress", "gross_max=2"):
        line = CommandLine(history)
        typed(line, text)
        line.remember()
    assert history == ["regime=stress", "gross_max=2"]
    line = CommandLine(history)
    line.key("up", None)
    assert line.text == "gross_max=2"
    line.key("up", None)
    line.key("up", None)
    assert line.text == "regime=stress"
    line.key("down", None)
    line.key("down", None)
    assert line.text == ""


def test_a_line_longer_than_the_screen_shows_the_part_around_the_cursor() -> None:
    line = LineEditor("x" * 40 + "end", most=400)
    assert line.shown(20) == "…" + "x" * 15 + "end▏"
    assert len(line.shown(20)) == 20
    line.key("home", None)
    assert line.shown(20) == "▏" + "x" * 18


# ---------------------------------------------------------------- which key sets a limit


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("gross", "gross_max"),
        ("net_min", "net_min"),
        ("coin_net:BTC", "coin_net_max"),
        ("margin_ratio:binanceusdm", "margin_ratio_max"),
        ("liquidation:bybit", "liquidation_distance_min"),
        ("free_collateral:bybit", "free_collateral_min"),
        ("cluster:BTC ETH", "cluster_gross_max"),
        ("daily_loss", "daily_loss_max"),
        ("stablecoin", ""),
    ],
)
def test_a_limit_is_set_by_its_key(name: str, setting: str) -> None:
    assert setting_of(name) == setting
    assert setting == "" or setting in {*LIMITS, *PARAMETERS}
    assert setting_of(name, {name: "volatility_max"}) == "volatility_max"


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
        "listenKey: ***, x=1 Authorization=***"
    )


def test_a_folder_that_cannot_be_written_falls_back(tmp_path: Path) -> None:
    path = write_report(crash("x"), tmp_path / "none")
    assert path is not None
    path.unlink()


def test_a_target_by_coin_is_of_its_one_contract() -> None:
    names = ("v:BTC/USDT:USDT", "v:ETH/USDT:USDT", "w:ETH/USDT:USDT")
    line = CommandLine([], names)
    for character in "target:BTC=−.25":
        line.key(character, character)
    assert line.assignments() == "target:v:BTC/USDT:USDT=-.25"
    both = CommandLine([], names)
    for character in "target:ETH=.1":
        both.key(character, character)
    assert both.assignments() is None
    assert "target:v:ETH/USDT:USDT or target:w:ETH/USDT:USDT" in both.wrong


def test_a_minus_is_written_before_figures_and_nowhere_else() -> None:
    text = "target=-0.25, prices all -10 % until 2026-12-25, reduce-only ftx-2022-11, -.5"
    assert with_minus(text) == (
        "target=−0.25, prices all −10 % until 2026-12-25, reduce-only ftx-2022-11, −.5"
    )
