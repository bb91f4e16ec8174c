"""The terminal as a person uses it, against a desk's side of the socket."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.events import Key

from perptui.protocol.frames import Observed, Reply, encode
from perptui.protocol.intents import (
    AskFrontier,
    Bend,
    CancelWorking,
    Compare,
    ExportOrders,
    Intent,
    Keep,
    Kill,
    OpenTicket,
    Quit,
    Recall,
    Redo,
    Reestimate,
    Relax,
    Solve,
    Unbend,
    Undo,
    Withdraw,
)
from perptui.protocol.views import LimitRow, LimitsView, PositionsView
from perptui.tui.picture import Line
from tests.tui import book, what_ifs
from tests.tui.sitting import Session, session


@pytest.mark.asyncio
async def test_panels_fill_and_follow_the_desk() -> None:
    async with session() as made:
        assert "NAV 404,310" in made.text()
        made.desk.replace(book.status(news=(), equity_usd=None))
        await made.until(lambda: "NAV ·" in made.text())


@pytest.mark.asyncio
async def test_the_desk_is_told_which_views_are_drawn() -> None:
    everything = ("funding", "limits", "positions", "rebalance", "regime")
    async with session() as made:
        await made.until(lambda: made.desk.looks == [everything])
        await made.press("5")
        await made.until(lambda: made.desk.looks[1:] == [("rebalance",)])
        await made.press("8")
        await made.until(lambda: made.desk.looks[2:] == [("journal",)])
        await made.press("1")
        await made.until(lambda: made.desk.looks[3:] == [everything])
        await made.press("5")
        made.app.desk_screen.rebalance_panel().page = "compare"  # its words name the horizon
        made.app.tick()
        await made.until(lambda: made.desk.looks[5:] == [("rebalance", "regime")])


@pytest.mark.asyncio
async def test_a_panel_that_was_observed_again_keeps_its_figures() -> None:
    async with session() as made:
        before = made.app.showing.live.regime
        made.desk.send(encode(Observed(seq=9, panel="regime", observed_mono=12.5)))
        await made.until(lambda: made.app.showing.live.regime.observed_mono == 12.5)
        expected = msgspec.structs.replace(before, observed_mono=12.5)
        assert made.app.showing.live.regime == expected


@pytest.mark.asyncio
async def test_a_lost_desk_is_said_at_once_with_the_age_of_the_picture() -> None:
    async with session() as made:
        made.clock.advance(3)
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        assert "picture 3 s old" in made.text()
        assert "STALE 5 s" in made.text()
        await made.press("r")
        assert "there is no desk to ask" in made.text()
        assert made.desk.asked == []
        await made.desk.start()
        await made.until(lambda: "DESK LOST" not in made.text())


@pytest.mark.asyncio
async def test_what_still_arrives_after_the_screens_are_closed_paints_nothing() -> None:
    async with session() as made:
        app = made.app
    assert app.screen_stack == []
    app.paint_all()
    app.tick()


@pytest.mark.asyncio
async def test_solving_keys_ask_what_they_say() -> None:
    async with session() as made:
        await made.press("r", "R", "m", "u", "ctrl+r", "x", "C")
        await made.until(lambda: len(made.desk.asked) == 7)
        assert made.desk.asked == [
            Solve(),
            Reestimate(),
            Bend(text="strategy=hybrid"),
            Undo(),
            Redo(),
            ExportOrders(digest=book.DIGEST),
            CancelWorking(),
        ]


@pytest.mark.asyncio
async def test_a_no_of_the_desk_stands_on_the_news_line() -> None:
    async with session() as made:
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="quant is starting")
        await made.press("r")
        await made.until(lambda: "quant is starting" in made.text())
        made.clock.advance(9)
        made.app.tick()
        await made.pilot.pause()
        assert "quant is starting" not in made.text()
        assert "regime normal → stress" in made.text()


@pytest.mark.asyncio
async def test_the_end_of_the_simulated_venue_is_said_for_as_long_as_it_lasts() -> None:
    said = [""]
    async with session() as made:
        made.app.showing.trouble = lambda: said[0]
        made.app.tick()
        await made.pilot.pause()
        assert "regime normal → stress" in made.text()
        said[0] = "the simulated venue ended: expected a start inside the history"
        for _ in range(2):
            made.clock.advance(30)
            made.app.tick()
            await made.pilot.pause()
            assert said[0] in made.text()
        said[0] = ""
        made.app.tick()
        await made.pilot.pause()
        assert "the simulated venue ended" not in made.text()


BTC, ETH = "binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT"


@pytest.mark.asyncio
async def test_a_target_is_solved_at_every_key_kept_by_enter_and_reset() -> None:
    async with session() as made:
        await made.press("j", "e")  # ETH under the positions cursor
        assert "target ETH binance: ▏   was +.400 of equity" in made.text()
        await made.press(".", "2", "5")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked == [
            Bend(text=f"target:{ETH}=.2", preview=True),
            Bend(text=f"target:{ETH}=.25", preview=True),
        ]
        await made.press("enter")
        await made.until(lambda: len(made.desk.asked) == 3)
        assert made.desk.asked[-1] == Bend(text=f"target:{ETH}=.25")
        made.desk.replace(what_ifs.what_if())
        await made.until(lambda: "What if · 3 edits" in made.text())
        assert "*+.250" in made.text()
        assert "1 more · gross_max=1.85 · target ETH" in made.text()
        await made.press("0")
        await made.until(lambda: len(made.desk.asked) == 4)
        asked: list[Intent] = made.desk.asked
        assert asked[3:] == [Unbend(key=f"target:{ETH}")]


@pytest.mark.asyncio
async def test_escape_takes_the_preview_back_and_nonsense_is_never_sent() -> None:
    async with session() as made:
        await made.press("e", "9", "escape")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked == [Bend(text=f"target:{BTC}=9", preview=True), Withdraw()]
        assert "▏" not in made.text()
        await made.press("e", "-", "-", "enter")
        assert "expected a plain number for target" in made.text()
        await made.press("escape")
        assert "expected a plain number" not in made.text()
        assert len(made.desk.asked) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("typed", "text"), [("9", "9"), (".25", ".25"), ("-.3", "-.3"), ("+0.5", "+0.5")]
)
async def test_the_first_character_replaces_the_target_before(typed: str, text: str) -> None:
    async with session(size=(80, 24)) as made:
        await made.press("e")
        assert "target BTC binance: ▏   was +.620 of equity" in made.text()
        await made.press(*typed, "enter")
        await made.until(lambda: Bend(text=f"target:{BTC}={text}") in made.desk.asked)
        assert "of equity" not in made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "type a number such as −.25"),
        ("0.0.3", "expected a plain number"),
        ("25%", "expected a plain number"),
        ("nan", "expected a plain number"),
        ("10.1", "from -10 to 10, was '10.1'"),
    ],
)
async def test_a_target_that_cannot_be_read_says_why_until_the_next_key(
    typed: str, words: str
) -> None:
    async with session(size=(120, 40)) as made:
        await made.press("e", *typed, "enter")
        assert f"target BTC binance: {typed}▏" in made.text()
        assert words in made.text()
        await made.press("ctrl+u", ".", "1")
        assert words not in made.text()
        await made.press("enter")
        await made.until(lambda: Bend(text=f"target:{BTC}=.1") in made.desk.asked)


@pytest.mark.asyncio
async def test_nudges_of_a_row_become_one_step_when_they_rest() -> None:
    async with session() as made:
        held: list[Intent] = []

        def hold(intent: Intent) -> Reply | None:
            held.append(intent)
            return None if len(held) == 1 else Reply(number=0, ok=True)

        made.desk.answer = hold
        await made.press("right_square_bracket")
        await made.until(lambda: len(held) == 1)
        await made.press(*["right_square_bracket"] * 4, "left_square_bracket")
        wanted = made.app.desk_screen.rebalance_panel().wanted
        assert wanted == {BTC: pytest.approx(0.66)}
        assert "+.660…" in made.text()
        made.desk.send(encode(Reply(number=1, ok=True)))
        await made.until(lambda: len(held) >= 2)
        await made.until(lambda: held[-1] == Bend(text=f"target:{BTC}=0.660"))
        assert held[0] == Bend(text=f"target:{BTC}=0.630", preview=True)
        assert all(isinstance(intent, Bend) for intent in held)
        assert sum(not intent.preview for intent in held if isinstance(intent, Bend)) == 1


@pytest.mark.asyncio
async def test_undo_takes_a_whole_run_of_nudges_back() -> None:
    async with session() as made:
        await made.press("right_square_bracket", "right_square_bracket", "u")
        await made.until(lambda: Undo() in made.desk.asked)
        await made.pilot.pause(1.0)
        assert made.desk.asked[-1] == Undo()
        assert Bend(text=f"target:{BTC}=0.640") not in made.desk.asked


@pytest.mark.asyncio
async def test_a_cap_is_edited_in_the_risk_limits_panel() -> None:
    async with session(size=(80, 24)) as made:
        await made.press("6", "e", "2", ".")
        assert "gross (gross_max): 2.▏   was 2" in made.text()
        assert "│▸gross" in made.text()
        assert "2.▏       .00x   BREACH" in made.text()
        await made.press("5", "enter")
        await made.until(lambda: Bend(text="gross_max=2.5") in made.desk.asked)
        assert made.desk.asked[0] == Bend(text="gross_max=2", preview=True)
        await made.press("0")
        await made.until(lambda: made.desk.asked[-1] == Unbend(key="gross_max"))
        await made.press("5", "v", "e", "1", "escape")
        await made.until(lambda: made.desk.asked[-1] == Withdraw())


@pytest.mark.asyncio
async def test_an_edit_starts_from_the_setting_and_says_what_the_row_is_held_to() -> None:
    """Drawdown lowers a volatility of .6 to .493: what is typed is the .6, and lowered too."""
    own = LimitRow("volatility", "fraction", 0.6, 0.51, "ok", 0.49, "BINDS", limit_after=0.493317)
    tail = LimitRow("cvar", "fraction", 0.25, 0.08, "ok", 0.1, "BINDS", limit_after=0.1)
    limits = msgspec.structs.replace(book.desk().limits, rows=(own, tail))
    rebalance = msgspec.structs.replace(
        book.rebalance(),
        settings={"volatility_max": 0.6, "drawdown_max": 0.2},
        setting_keys={"cvar": "drawdown_max"},
    )
    async with session(book.desk(limits=limits, rebalance=rebalance), size=(120, 40)) as made:
        await made.press("5", "v", "e")
        assert "robust vol (volatility_max): ▏   was 0.6  " in made.text()
        assert (
            "volatility_max 0.6 is 49.3% here: lowered by drawdown, regime or turnover"
            in made.text()
        )
        await made.press("escape", "j", "e")
        assert "CVaR 95 % (drawdown_max): ▏   was 0.2  " in made.text()
        assert "drawdown_max 0.2 is 10.0% here" in made.text()


@pytest.mark.asyncio
async def test_a_what_if_is_typed_previewed_refused_and_kept() -> None:
    async with session() as made:
        await made.press("5", "colon", *"gro")
        assert "tab  gross_max=" in made.text()
        await made.press("tab", "2")
        await made.until(lambda: made.desk.asked == [Bend(text="gross_max=2", preview=True)])
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected gross_max up to 10")
        await made.press("0")
        await made.until(lambda: "expected gross_max up to 10" in made.text())
        assert ":gross_max=20▏" in made.text()
        made.desk.answer = lambda _: Reply(number=0, ok=True)
        await made.press("backspace", "enter")
        await made.until(lambda: made.desk.asked[-1] == Bend(text="gross_max=2"))
        await made.press("colon", "up")
        assert ":gross_max=2▏" in made.text()
        await made.press("escape", "colon", *"gross=2", "enter")
        assert "did you mean gross_max?" in made.text()
        await made.press("escape")
        assert "did you mean" not in made.text()


async def asked_by(made: Session, keys: str, intents: list[Intent]) -> None:
    """Hold what is asked by some keys of the Rebalance view against what should be."""
    await made.press("5", *keys)
    await made.until(lambda: len(made.desk.asked) == len(intents))
    assert made.desk.asked == intents


@pytest.mark.asyncio
async def test_switches_and_kept_proposals_are_asked_for() -> None:
    view = book.desk(rebalance=what_ifs.what_if(kept=(what_ifs.kept("A", 0.4, same_market=False),)))
    async with session(view) as made:
        switched = [Bend(text="robust=ellipsoid"), Bend(text="strategy=hybrid")]
        await asked_by(made, "omBb", [*switched, Keep(slot="B"), Compare()])
        await made.press("1")
        await made.until(lambda: made.desk.asked[-1] == Recall(slot="A"))
        await made.press("escape", "p")
        await made.until(lambda: made.desk.asked[-1] == AskFrontier(on=True))
        await made.press("escape")
        await made.until(lambda: made.desk.asked[-1] == AskFrontier(on=False))
        assert "REDUCE sell" in made.text()


@pytest.mark.asyncio
async def test_the_frontier_is_asked_for_again_where_another_desk_answers() -> None:
    async with session() as made:
        await made.press("5", "p")
        await made.until(lambda: made.desk.asked == [AskFrontier(on=True)])
        await made.desk.stop()
        await made.until(lambda: "DESK LOST" in made.text())
        await made.desk.start()
        await made.until(lambda: made.desk.asked[1:] == [AskFrontier(on=True)])
        await made.press("escape")
        await made.until(lambda: made.desk.asked[2:] == [AskFrontier(on=False)])


@pytest.mark.asyncio
async def test_a_digit_takes_a_way_out_of_a_clash_and_only_there() -> None:
    async with session(book.desk(rebalance=what_ifs.infeasible())) as made:
        await made.press("5")
        assert "these 3 limits cannot all hold" in made.text()
        await made.press("i", "2")
        await made.until(lambda: made.desk.asked == [Relax(name="turnover")])
        assert "digit tries a way out" not in made.text(), "the trades are in sight again"
        await made.press("i", "3")
        await made.until(
            lambda: made.desk.asked[-1] == Bend(text=f"target:{BTC}=free reduce_only=true")
        )
        await made.press("2")
        assert "┌ Positions" in made.text()
        assert len(made.desk.asked) == 2


@pytest.mark.asyncio
async def test_a_way_out_that_can_only_be_shown_says_so_before_its_digit() -> None:
    view = what_ifs.infeasible(clash_shown=("turnover",))
    async with session(book.desk(rebalance=view)) as made:
        await made.press("5", "i")
        lines = made.text().splitlines()
        marked = [n for n, line in enumerate(lines) if "shown as a what-if, never sent" in line]
        turnover = next(n for n, line in enumerate(lines) if " 2 turnover" in line)
        assert len(marked) == 1
        assert 0 < marked[0] - turnover <= 2


@pytest.mark.asyncio
async def test_a_wide_screen_shows_headroom_and_price_of_limits_with_long_names() -> None:
    long = LimitRow(
        "standalone_risk:binanceusdm:1000PEPE/USDT:USDT", "fraction", 1.0, 1.147, "BREACH",
        0.9123, "ok", limit_after=0.7777, price_usd_day=123456.0,
    )  # fmt: skip
    rows = (*book.desk().limits.rows, long)
    limits = msgspec.structs.replace(book.desk().limits, rows=rows)
    view = book.desk(limits=limits, rebalance=what_ifs.what_if())
    async with session(view, size=(200, 60)) as made:
        await made.press("5")
        panel = made.app.desk_screen.rebalance_panel()
        assert panel.caps.natural_width > 64
        line = next(one for one in made.text().splitlines() if "headroom" in one)
        assert line.index("bound") < line.index("headroom") < line.index("+1pp $")
        assert "$/day" in line


@pytest.mark.asyncio
async def test_the_page_of_what_is_kept_says_by_whose_measure() -> None:
    kept = (what_ifs.kept("A", 0.4),)
    view = book.desk(rebalance=what_ifs.what_if(kept=kept))
    days = view.regime.horizon_days
    assert days is not None
    async with session(view) as made:
        await made.press("5", "b")
        assert f"all columns measured by tactical's forecasts, {days:g} day" in made.text()


@pytest.mark.asyncio
async def test_a_refusal_goes_with_its_cause() -> None:
    """With the next key, and with a step that is taken though it was refused meanwhile."""
    shown = msgspec.structs.replace(book.rebalance(), shown_only=("an equity: supposed",))
    async with session(book.desk(rebalance=shown)) as made:
        await made.press("5", "c")
        assert "this what-if is shown, never sent" in made.text()
        await made.press("j")
        assert "this what-if is shown, never sent" not in made.text()
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected a step, was none")
        await made.press("u")
        await made.until(lambda: "expected a step, was none" in made.text())
        made.desk.answer = lambda _: Reply(number=0, ok=True)
        made.app.bend(Undo())
        await made.until(lambda: "expected a step, was none" not in made.text())


@pytest.mark.asyncio
async def test_y_is_why_in_the_rebalance_view_and_copies_elsewhere() -> None:
    async with session(book.desk(rebalance=what_ifs.what_if())) as made:
        await made.press("y")
        assert "row copied" in made.text()
        await made.press("5", "y")
        assert "why BTC binance · REDUCE sell" in made.text()
        await made.press("j")
        assert "why ETH binance" in made.text()
        await made.press("y")
        assert "to trade" in made.text()
        await made.press("j", "escape", "y")
        assert "why BTC bybit" in made.text()
        await made.press("v", "escape", "escape")
        assert "┌ Positions" in made.text()


@pytest.mark.asyncio
async def test_keys_that_come_all_at_once_mean_what_they_mean_one_by_one() -> None:
    async with session() as made:
        for key in ("5", "e", ".", "2", "5"):
            made.app.post_message(Key(key, key))
        made.app.post_message(Key("enter", None))
        await made.until(lambda: Bend(text=f"target:{BTC}=.25") in made.desk.asked)
        assert "[5 Reb]" in made.text()


@pytest.mark.asyncio
async def test_a_filter_narrows_the_table_as_it_is_typed() -> None:
    async with session() as made:
        await made.press("slash", *"bybit")
        assert "SOL  binance SHORT" not in made.text()
        assert "/bybit 2 of 6" in made.text()
        await made.press("enter", "escape")
        assert "SOL  binance SHORT" in made.text()
        await made.press("slash", "z", "z")
        assert "no row holds" in made.text()
        await made.press("escape")
        assert "SOL  binance SHORT" in made.text()


@pytest.mark.asyncio
async def test_the_kill_switch_needs_two_keys_within_two_seconds() -> None:
    async with session() as made:
        await made.press("f10")
        assert "F10 again within 2 s" in made.text()
        made.clock.advance(2.5)
        await made.press("f10")
        assert made.desk.asked == []
        made.clock.advance(1.0)
        await made.press("f10")
        await made.until(lambda: made.desk.asked == [Kill(reason="F10 F10")])


@pytest.mark.asyncio
async def test_commands_are_typed() -> None:
    async with session() as made:
        await made.press("colon", *"kill", "space", *"test", "enter")
        await made.press("colon", *"cancel", "enter")
        await made.press("colon", *"theme", "space", *"light", "enter")
        await made.press("colon", *"nope", "enter")
        await made.until(lambda: len(made.desk.asked) == 2)
        assert made.desk.asked == [Kill(reason="test"), CancelWorking()]
        assert made.app.palette_now().name == "light"
        assert "no command nope" in made.text()
        await made.press("colon", "q", "escape")
        assert made.app.is_running


@pytest.mark.asyncio
async def test_moving_sorting_and_the_whole_row() -> None:
    async with session() as made:
        await made.press("G", "enter")
        assert "binanceusdm:BNB/USDT:USDT" in made.text()
        await made.press("escape", "g", "s")
        assert "sort uPnL" in made.text()
        await made.press("S")
        assert "sort uPnL ▲" in made.text()
        await made.press("l", "h", "pagedown", "pageup", "k", "down", "up")
        assert "sort uPnL ▲" in made.text()


@pytest.mark.asyncio
async def test_views_by_digit_and_tab_at_the_smallest_size() -> None:
    async with session(size=(80, 24)) as made:
        for digit, title in (("3", "Funding carry"), ("4", "Vol & regime"), ("6", "Risk limits")):
            await made.press(digit)
            assert f"┌ {title}" in made.text()
        await made.press("1", "tab")
        assert "┌ Positions" in made.text()
        await made.press("shift+tab", "z", "z")
        assert "┌ Risk limits" in made.text()
        await made.press("7")
        assert "not there yet" in made.text()


@pytest.mark.asyncio
async def test_a_resize_lays_the_desk_out_anew() -> None:
    async with session(size=(120, 40)) as made:
        await made.pilot.resize_terminal(70, 20)
        await made.until(lambda: "need 80x24, have 70x20" in made.text())
        await made.pilot.resize_terminal(80, 24)
        await made.until(lambda: "┌ Positions" in made.text())
        assert "Risk limits" not in made.text()
        await made.pilot.resize_terminal(200, 60)
        await made.until(lambda: "Risk limits" in made.text())
        await made.pilot.resize_terminal(1, 1)
        await made.pilot.pause()
        await made.pilot.resize_terminal(120, 40)
        await made.until(lambda: "Proposed rebalance" in made.text())


@pytest.mark.asyncio
async def test_freezing_holds_the_panels_and_nothing_is_proposed_from_them() -> None:
    async with session() as made:
        await made.press("f", "r")
        assert "the picture is frozen" in made.text()
        made.desk.replace(LimitsView(waiting=None))
        await made.pilot.pause(0.6)
        assert "BREACH→BINDS" in made.text()
        await made.press("f")
        assert "BREACH→BINDS" not in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_confirm_asks_for_a_ticket_of_the_fresh_proposal() -> None:
    async with session() as made:
        await made.press("c")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [
            OpenTicket(digest=book.DIGEST, purpose="send", columns=120, rows=40)
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "solving"}, "a solve is under way"),
        ({"digest": ""}, "no proposal: r solves"),
        ({"expires_mono": book.NOW_MONO - 1}, "too old to confirm"),
        ({"rows": ()}, "has no trade"),
        ({"exportable": False, "reasons": ("gross 3.1x over 3.0x",)}, "gross 3.1x over 3.0x"),
    ],
    ids=["solving", "none", "old", "empty", "refused"],
)
async def test_without_a_sound_proposal_there_is_nothing_to_confirm(
    change: dict[str, Any], words: str
) -> None:
    view = book.desk(rebalance=msgspec.structs.replace(book.rebalance(), **change))
    async with session(view) as made:
        await made.press("c", "x")
        assert words in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_leaving_with_something_pending_asks_first() -> None:
    view = book.desk(status=book.status(working_orders=2, unknown_legs=1))
    async with session(view) as made:
        await made.press("q")
        assert "1 UNKNOWN, 2 working" in made.text()
        await made.press("r", "escape")
        assert made.desk.asked == []
        await made.press("q", "d")
        await made.until(lambda: made.desk.asked == [Quit(leave_desk=True)])


@pytest.mark.asyncio
async def test_leaving_tells_the_desk() -> None:
    async with session() as made:
        await made.press("q")
        await made.until(lambda: made.desk.asked == [Quit(leave_desk=False)])
        await made.until(lambda: not made.app.is_running or made.app.return_value == 0)
    assert made.app.return_value == 0


@pytest.mark.asyncio
async def test_copying_pictures_and_help(tmp_path: Path) -> None:
    async with session(folder=tmp_path) as made:
        await made.press("y")
        assert "binanceusdm:BTC/USDT:USDT" in made.app.clipboard
        await made.press("Y")
        assert "gross 1,219,200" in made.app.clipboard
        await made.press("f8")
        saved = [name for name in os.listdir(tmp_path) if name.endswith(".svg")]
        assert len(saved) == 1
        assert saved[0].startswith("perptui-")
        await made.press("question_mark")
        assert "perptui · keys" in made.text()
        await made.press("j", "G", "g", "escape")
        assert "NAV 404,310" in made.text()


@pytest.mark.asyncio
async def test_the_keymap_changes_keys_help_and_footer() -> None:
    async with session(keymap={"solve": "v", "nonsense": "w"}) as made:
        assert "v solve" in made.text()
        assert "names no binding nonsense" in made.text()
        await made.press("r", "v")
        await made.until(lambda: bool(made.desk.asked))
        assert made.desk.asked == [Solve()]


@pytest.mark.asyncio
async def test_the_palette_offers_neither_confirm_nor_kill() -> None:
    async with session() as made:
        titles = [c.title for c in made.app.get_system_commands(made.app.screen)]
        assert "solve on the newest market; bends stay" in titles
        assert not [title for title in titles if "confirm" in title or "HALT" in title]
        await made.press("ctrl+p", *"estimate again")
        await made.until(lambda: "estimate again from" in made.text())
        await made.press("down", "enter")
        await made.until(lambda: made.desk.asked == [Reestimate()])


@pytest.mark.asyncio
async def test_themes_go_round_and_a_missing_one_is_said() -> None:
    async with session() as made:
        seen = {made.app.palette_now().name}
        for _ in range(3):
            await made.press("T")
            seen.add(made.app.palette_now().name)
        assert seen == {"ansi", "colourblind", "dark", "light"}
        made.app.choose_theme("none")
        await made.pilot.pause()
        assert "expected a theme among" in made.text()


@pytest.mark.asyncio
async def test_hostile_strings_draw_as_text() -> None:
    name = "[@click=app.quit]SAFE[/]\x1b[2J\u202e"
    row = msgspec.structs.replace(book.positions().rows[0], coin=name)
    news = book.status().news[0]
    view = book.desk(
        positions=msgspec.structs.replace(book.positions(), rows=(row,)),
        status=book.status(news=(msgspec.structs.replace(news, text="[/] [b]x\x07"),)),
    )
    async with session(view) as made:
        text = made.text()
        assert "[@click=app.quit]SAFE" in text
        assert "[/] [b]x" in text
        assert not any((ord(c) < 32 and c != "\n") or c in "\x1b\u202e\x9b" for c in text)
        await made.pilot.click(offset=(8, 5))
        assert made.app.is_running


@pytest.mark.asyncio
async def test_the_wheel_moves_the_cursor_and_a_click_focuses() -> None:
    async with session() as made:
        screen = made.app.desk_screen
        await made.pilot.click("#limits")
        assert screen.active().panel == "limits"
        screen.on_mouse_scroll_down(None)  # type: ignore[arg-type]
        screen.on_mouse_scroll_down(None)  # type: ignore[arg-type]
        screen.on_mouse_scroll_up(None)  # type: ignore[arg-type]
        grid = screen.active().grid
        assert grid is not None
        assert grid.selected == book.LIMITS[2]


@pytest.mark.asyncio
async def test_a_panel_out_of_sight_comes_back_with_the_figures_of_now() -> None:
    async with session() as made:
        panel = made.app.desk_screen.panels["positions"]
        await made.press("5")
        assert not panel.region.area
        flat = PositionsView(waiting=None, observed_mono=book.NOW_MONO)
        made.app.showing.take("positions", flat)  # taken, not painted yet
        await made.press("1")
        assert "flat: no open position" in made.text()


@pytest.mark.asyncio
async def test_the_desk_under_another_screen_comes_back_with_the_figures_of_now() -> None:
    async with session() as made:
        await made.press("question_mark")
        flat = PositionsView(waiting=None, observed_mono=book.NOW_MONO)
        made.app.showing.take("positions", flat)
        await made.press("escape")
        assert "flat: no open position" in made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("state", "words"),
    [("solving", "wait for the solve"), ("none", "no target yet: wait for the solve")],
)
async def test_nothing_is_edited_before_the_first_proposal(state: str, words: str) -> None:
    first = msgspec.structs.replace(book.rebalance(), state=state, digest="")
    async with session(book.desk(rebalance=first)) as made:
        for key in ("right_square_bracket", "left_square_bracket", "e"):
            made.app.showing.notice("")
            await made.press(key)
            assert words in made.text()
        assert made.desk.asked == []


@pytest.mark.asyncio
async def test_switches_pressed_before_the_answer_go_on_from_what_was_asked() -> None:
    view = book.desk(rebalance=what_ifs.what_if(strategy="balanced"))
    async with session(view) as made:
        texts = ("strategy=tactical", "strategy=hybrid", "robust=ellipsoid", "robust=off")
        await asked_by(made, "mmoo", [Bend(text=text) for text in texts])
        made.desk.replace(what_ifs.what_if(strategy="hybrid", robust="off"))
        panel = made.app.desk_screen.rebalance_panel()
        await made.until(lambda: not panel.switched)
        await made.press("m")
        await made.until(lambda: made.desk.asked[-1] == Bend(text="strategy=balanced"))
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="no")
        await made.press("m")
        await made.until(lambda: not panel.switched)


@pytest.mark.asyncio
async def test_limits_beside_the_trades_are_painted_as_soon_as_they_come() -> None:
    """The answer is painted at once; its limits come just behind and may not lag half a second."""
    async with session(book.desk(rebalance=what_ifs.what_if()), size=(200, 60)) as made:
        await made.press("5")
        assert "1.87" not in made.text()
        made.desk.answer = lambda _: None
        await made.press("m")
        await made.until(lambda: bool(made.desk.asked))
        made.desk.replace(what_ifs.what_if(strategy="hybrid"))
        made.desk.send(encode(Reply(number=1, ok=True)))
        await made.until(lambda: " hybrid" in made.text())
        rows = tuple(
            msgspec.structs.replace(row, after=1.87) if row.name == "gross" else row
            for row in book.LIMITS
        )
        made.desk.replace(msgspec.structs.replace(book.limits(), rows=rows))
        await made.until(lambda: made.app.showing.live.limits.rows == rows)
        await made.pilot.pause()
        assert "1.87" in made.text()


@pytest.mark.asyncio
async def test_what_comes_together_is_painted_together_and_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person waits for it: neither the half second of live figures nor a frame of Textual's."""
    async with session(book.desk(rebalance=what_ifs.what_if()), size=(120, 40)) as made:
        await made.press("5")
        made.desk.answer = lambda _: None
        await made.press("m")
        await made.until(lambda: bool(made.desk.asked))
        panel = made.app.desk_screen.rebalance_panel()
        drawn: list[bool] = []
        body = panel.body

        def counted(width: int, height: int) -> list[Line]:
            drawn.append(True)
            return body(width, height)

        monkeypatch.setattr(panel, "body", counted)
        hybrid = what_ifs.what_if(strategy="hybrid")
        # Two frames that one read brings: they are drawn in the round of the loop after it.
        made.desk.replace(hybrid)
        made.desk.replace(book.limits())
        async with asyncio.timeout(5):
            while made.app.showing.live.rebalance != hybrid:
                drawn.clear()
                await asyncio.sleep(0)
        assert made.app.showing.live.limits == book.limits()
        assert not drawn
        await asyncio.sleep(0)
        assert drawn == [True]
        assert not any(picture.take_owed() for picture in made.app.desk_screen.pictures())
        assert " hybrid" in made.text()


@pytest.mark.asyncio
async def test_what_was_entered_and_refused_comes_back_with_the_reason() -> None:
    async with session() as made:
        await made.press("5", *":gross_max=-1")
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="expected from 0 to 10, was -1")
        await made.press("enter")
        await made.until(lambda: "was -1" in made.text())
        assert ":gross_max=-1" in made.text()
        made.desk.answer = lambda _: Reply(number=0, ok=True)
        await made.press("backspace", "backspace", "1", "enter")
        await made.until(lambda: Bend(text="gross_max=1") in made.desk.asked)
        assert ":gross_max" not in made.text()
        await made.press("e", "3")
        made.desk.answer = lambda _: Reply(number=0, ok=False, text="at most 2 times equity")
        await made.press("enter")
        await made.until(lambda: "at most 2 times" in made.text())
        assert "target BTC binance: 3" in made.text()
        made.desk.answer = lambda _: Reply(number=0, ok=True)
        await made.press("escape")
        assert "at most 2 times" not in made.text()


@pytest.mark.asyncio
async def test_a_switch_back_to_the_desks_own_bends_nothing() -> None:
    standing = what_ifs.what_if(assignments=(), what_if=False, edits=0, robust="off")
    async with session(book.desk(rebalance=standing)) as made:
        bends = [Bend(text="robust=box"), Bend(text="robust=ellipsoid")]
        await asked_by(made, "ooo", [*bends, Unbend(key="robust")])


@pytest.mark.asyncio
async def test_where_digits_take_a_way_out_the_views_give_them_up() -> None:
    async with session(book.desk(rebalance=what_ifs.infeasible()), size=(120, 40)) as made:
        await made.press("5")
        assert "[5 Reb]" in made.text()
        await made.press("i")
        assert "a digit tries a way out · esc: views again" in made.text()
        assert "[5 Reb]" not in made.text()
        await made.press("escape")
        assert "[5 Reb]" in made.text()


@pytest.mark.asyncio
async def test_what_is_typed_no_longer_standing_takes_its_preview_back() -> None:
    async with session() as made:
        await made.press("5", "colon", *"gross_max=2", ",")
        await made.until(lambda: made.desk.asked[-1:] == [Withdraw()])
        assert made.desk.asked[0] == Bend(text="gross_max=2", preview=True)
        await made.press("backspace", "space", *"net_max=")
        assert "expected" not in made.text()
        await made.until(lambda: made.desk.asked[-1] == Bend(text="gross_max=2", preview=True))
        await made.press("x")
        await made.until(lambda: made.desk.asked[-1] == Withdraw())
        withdrawn = made.desk.asked.count(Withdraw())
        await made.press("escape", "e", "2", "x")
        await made.until(lambda: made.desk.asked.count(Withdraw()) == withdrawn + 1)


@pytest.mark.asyncio
async def test_a_terminal_too_small_to_show_anything_takes_only_quit_and_kill() -> None:
    async with session(size=(79, 23)) as made:
        await made.press("5", "m", "right_square_bracket", "colon", *"gross_max=2", "enter", "r")
        assert made.desk.asked == []
        await made.press("f10", "f10")
        await made.until(lambda: len(made.desk.asked) == 1)
        assert isinstance(made.desk.asked[0], Kill)
        await made.press("q")
        await made.until(lambda: any(isinstance(one, Quit) for one in made.desk.asked))
