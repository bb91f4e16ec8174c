"""What the panels say when something is missing, wrong, or out of the ordinary."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perptui.model.clock import parse_iso
from perptui.model.explanation import Clash
from perptui.model.forecast import CoverageVerdict, ModelScore, ScoreTrack, TailRisk
from perptui.protocol.intents import Relax
from perptui.protocol.views import (
    DeskView,
    EventLine,
    FundingView,
    LimitRow,
    LimitsView,
    PositionsView,
    RegimeView,
)
from perptui.protocol.views_rebalance import Comparison, FrontierView, RebalanceView
from perptui.protocol.views_ticket import JournalView
from perptui.tui.arrange import BOTTOM
from perptui.tui.panels.base import wrapped
from perptui.tui.panels.limits import cap_edit, headroom, limit_name, state_words
from perptui.tui.panels.rebalance_book import figure_name
from perptui.tui.panels.rebalance_clash import ways_out
from perptui.tui.panels.rebalance_why import COLUMNS as WHY_COLUMNS
from perptui.tui.panels.rebalance_why import TERMS, Why, why_lines
from perptui.tui.panels.regime_sections import coverage_table, tail_table
from perptui.tui.panels.status import NewsLines
from perptui.tui.plot import line_mark
from perptui.tui.showing import Showing
from perptui.tui.theme import find
from tests.tui import book, what_ifs
from tests.tui.test_snapshots import drawn

WIDE = (120, 40)
SMALL = (80, 24)


def text(view: DeskView, size: tuple[int, int] = WIDE, *keys: str) -> str:
    return "\n".join(drawn(view, size, *keys))


def changed(view: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(view, **changes)


def test_a_flat_book_says_so() -> None:
    flat = PositionsView(waiting=None, observed_mono=book.NOW_MONO)
    assert "flat: no open position" in text(book.desk(positions=flat))


def test_every_panel_waits_in_its_own_words() -> None:
    view = book.desk(
        positions=PositionsView(),
        funding=FundingView(),
        regime=RegimeView(),
        rebalance=RebalanceView(),
        limits=LimitsView(),
    )
    shown = text(view)
    for panel in (PositionsView(), FundingView(), RegimeView(), RebalanceView()):
        assert panel.waiting
        assert panel.waiting in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "LIVE"}, " LIVE main "),
        ({"mode": "VIEW"}, " VIEW main "),
        (
            {"kill_state": "HALTED", "sends_locked": "no journal"},
            " HALTED   sends locked: no journal",
        ),
        ({"kill_state": "HALTED", "sends_locked": "the desk is HALTED"}, " HALTED   STRESS"),
        (
            {"kill_state": "REDUCING", "sends_locked": "all but reductions, drawdown"},
            " REDUCING   sends locked: all but reductions, drawdown  STRESS",
        ),
        ({"unknown_legs": 2}, "2 UNKNOWN legs"),
        ({"working_orders": 1}, "1 working order "),
        ({"sends_locked": "reconcile is not clean"}, "sends locked: reconcile is not clean"),
        ({"liquidation_down": None, "liquidation_up": None}, "binance liq none"),
        ({"liquidation_up": 12212.7}, "−44/>+999%"),
        ({"liquidation_up": None}, "binance liq −44%/none"),
        ({"liquidation_down": None}, "binance liq none/+86%"),
        ({"equity_usd": None}, "NAV ·"),
        ({"drawdown": None}, "dd ·"),
        ({"market": "SIMULATED MARKET", "speed": 20.0}, "SIMULATED MARKET ×20"),
        ({"market": "REPLAY", "speed": 60.0, "venue_ms": 1_722_837_600_000}, "05 Aug 2024 ×60"),
        ({"proposal": "", "breaches": ()}, "STRESS .86 ×0.50 since 12:03  funding"),
        ({"breaches": ("gross", "net_max", "drawdown")}, "gross and net ≤ +1 BREACH"),
        ({"carry_usd_day_after": None}, "STRESS"),
    ],
)
def test_the_status_lines_say_it_in_words(changes: dict[str, Any], words: str) -> None:
    assert words in text(book.desk(status=book.status(**changes)))


def test_pieces_stand_whole_or_not_at_all() -> None:
    status = book.status(
        equity_usd=Decimal("123456789"), today_usd=Decimal(-9876543), sends_locked="x" * 70
    )
    lines = drawn(book.desk(status=status), SMALL)
    assert "…" not in "".join(lines[:2])
    assert any("sends locked: " + "x" * 45 + "…" in line for line in lines)
    assert "gross and CVaR" not in "\n".join(lines)


def test_a_long_event_is_cut_and_said_to_be() -> None:
    event = EventLine(book.BAR_MS, "alarm", "late fill " * 20)
    line = drawn(book.desk(status=book.status(news=(event,))), SMALL)[22]
    assert line.startswith(" 12:00 late fill")
    assert line.rstrip().endswith("…")


def test_the_regime_panel_keeps_its_first_lines_where_the_height_is_short() -> None:
    reasons = tuple(f"reason {index} in words" for index in range(12))
    shown = text(book.desk(regime=changed(book.regime(), evidence=reasons)))
    assert "forecast 57.9 %/y" in shown
    assert "exposure ×0.50" in shown
    assert "reason 11" not in shown


def test_unknown_estimates_are_dots() -> None:
    regime = changed(
        book.regime(),
        forecast_volatility=None,
        realised_7d=None,
        ratio_7d=None,
        exposure=None,
        track_ms=(),
        track_forecast=(),
        track_realised=(),
        models=(),
        bar_ms=None,
    )
    shown = text(book.desk(regime=regime), WIDE, "4")
    assert "forecast · % a year" in shown
    assert "ratio ·" in shown
    assert "exposure ·" in shown
    assert "no track of forecasts yet" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "failed", "reasons": ("the limits contradict each other",)}, "· FAILED"),
        ({"reasons": ("gross 3.1x over 3.0x",)}, "! gross 3.1x over 3.0x"),
        ({"state": "solving"}, "solving"),
        ({"expires_mono": book.NOW_MONO - 1}, "too old to confirm: r solves"),
        ({"rows": ()}, "no trade: nothing to rebalance"),
        ({"what_if": True, "edits": 2}, "What if · 2 edits"),
        ({"comparisons": ()}, "turnover 51%"),
        ({"exposure": None, "solve_ms": None, "status": ""}, "tactical"),
    ],
)
def test_the_rebalance_panel_says_its_state(changes: dict[str, Any], words: str) -> None:
    view = book.desk(rebalance=changed(book.rebalance(), **changes))
    assert words in text(view, SMALL, "5")


def test_the_cards_hold_everything_known() -> None:
    for digit, words in (
        ("2", "liquidation price"),
        ("3", "(+: long pays short)"),
        ("5", "rounded to lots"),
        ("6", "$ a day for one more percentage point"),
        ("8", "normal to stress, exposure 0.92 to 0.50"),
    ):
        assert words in text(book.desk(), SMALL, digit, "enter")
    assert "Vol & regime" in text(book.desk(), SMALL, "4", "enter", "y", "slash", "j", "G", "s")


def test_what_cannot_be_liquidated_is_none_and_a_stale_figure_unknown() -> None:
    rows = tuple(
        changed(row, liquidation_distance=None, venue_liquidation_price=None)
        for row in book.positions().rows
    )
    fresh = book.desk(positions=changed(book.positions(), rows=rows))
    assert "  none, ours" in text(fresh, SMALL, "2", "enter")
    assert "  none, the venue's" in text(fresh, SMALL, "2", "enter")
    assert text(fresh, (200, 60), "2").count("none") >= len(rows)
    stale = changed(book.positions(), rows=tuple(changed(row, stale=True) for row in rows))
    shown = text(book.desk(positions=stale), SMALL, "2", "enter")
    assert "  ·, ours" in shown
    assert "none" not in shown


def test_the_figures_after_say_none_where_nothing_liquidates() -> None:
    figures = (
        Comparison("liquidation down", "fraction", -0.75, None),
        Comparison("margin", "fraction", 0.02, None),
    )
    view = book.desk(rebalance=changed(book.rebalance(), comparisons=figures))
    lines = text(view, (200, 60), "5").splitlines()
    assert any("liquidation down" in line and "−75.0%      none" in line for line in lines)
    assert any("margin" in line and "2.0%         ·" in line for line in lines)


def test_a_short_position_has_the_one_minus_sign() -> None:
    shown = text(book.desk(), SMALL, "2", "slash", *"SOL", "enter", "enter")
    assert "SHORT −" in shown
    assert "SHORT -" not in shown


def test_the_words_of_an_event_come_before_its_actor_and_kind() -> None:
    events = tuple(
        changed(row, text=f"normal to stress, {'and on ' * 20}") for row in book.journal().events
    )
    shown = text(book.desk(journal=changed(book.journal(), events=events)), SMALL, "8")
    assert "normal to stress, and on and on" in shown


def test_an_empty_journal_and_a_broken_chain() -> None:
    empty = JournalView(verified="chain broken at 17", path="journal.db")
    shown = text(book.desk(journal=empty), SMALL, "8")
    assert "no ticket yet" in shown
    assert "no event yet" in shown
    assert "chain broken at 17" in shown
    assert "/leg 3 of 5" in text(book.desk(), SMALL, "8", "slash", *"leg", "enter")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("margin_ratio:binanceusdm", "margin binance"),
        ("liquidation:bybit", "liq bybit"),
        ("coin_net:BTC", "coin net BTC"),
        ("gross", "gross"),
        ("participation:bybit:ETH/USDT:USDT", "of volume ETH bybit"),
        ("margin_stress:binanceusdm", "stress binance"),
    ],
)
def test_limits_have_names_a_trader_reads(name: str, shown: str) -> None:
    assert limit_name(name) == shown


def test_a_limit_that_stays_as_it_is_has_one_word() -> None:
    row = LimitRow("gross", "x", 2.0, 1.0, "ok", 1.5, "ok")
    assert state_words(row) == "ok"
    assert state_words(changed(row, state_after="BINDS")) == "ok→BINDS"
    many = LimitsView(
        rows=tuple(changed(row, name=f"coin_net:C{index}") for index in range(40)), waiting=None
    )
    assert "more: G or z" in text(book.desk(limits=many))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kill_state": "HALTED"}, "HALTED"),
        ({"unknown_legs": 3}, "3 UNKNOWN"),
    ],
)
def test_even_a_tiny_terminal_says_what_must_not_be_missed(
    changes: dict[str, Any], words: str
) -> None:
    shown = text(book.desk(status=book.status(**changes)), (40, 10))
    assert words in shown
    assert "need 80x24, have 40x10" in shown


def test_words_are_wrapped_under_their_lead_and_kept_together() -> None:
    lines = wrapped("one two\N{NO-BREAK SPACE}three four", 15, " why: ")
    assert ["".join(part for part, _ in line) for line in lines] == [
        " why: one",
        "      two three",
        "      four",
    ]


def test_help_scrolls_and_any_other_key_leaves_it() -> None:
    first = text(book.desk(), SMALL, "question_mark")
    last = text(book.desk(), SMALL, "question_mark", "G")
    assert "Moving" in first
    assert "Nothing is sent without a ticket" in last
    assert "NAV" in text(book.desk(), SMALL, "question_mark", "space", "j", "k", "g", "x")


def test_a_model_that_is_silent_says_why_and_one_with_few_days_how_many() -> None:
    models = (ModelScore("har", 0.0, None, 0), ModelScore("gjr", 0.0, None, 12))
    view = book.desk(regime=changed(book.regime(), models=models, silent={"har": "9 of 156 days"}))
    shown = text(view, WIDE, "4")
    assert "har            .00   silent: 9 of 156 days" in shown
    assert "gjr            .00   too few: 12 d" in shown
    assert "90% set" not in shown
    assert "90% set" in text(book.desk(), WIDE, "4")
    assert "models (QLIKE): silent: har, gjr" in text(view, SMALL, "4")


def test_scores_over_a_year_share_one_scale_and_are_blank_before_they_were_judged() -> None:
    shown = text(book.desk(), WIDE, "4").splitlines()
    rows = {name: next(row for row in shown if row.startswith(f"│ {name} ")) for name in
            ("har", "garch", "ewma", "combined")}  # fmt: skip
    start = next(row for row in shown if "QLIKE by month" in row).index("QLIKE by month")
    year = {name: row[start : start + 13] for name, row in rows.items()}
    assert year["garch"][:4] == " " * 4
    assert year["ewma"][0] == "█"
    assert year["combined"][6] == "▁"
    assert "QLIKE by month" not in text(book.desk(), (200, 60))
    none = changed(book.regime(), scores=ScoreTrack())
    assert "QLIKE by month" not in text(book.desk(regime=none), WIDE, "4")


def test_tails_state_their_horizon_and_why_a_method_gave_way() -> None:
    shown = text(book.desk(), (200, 60), "4")
    assert "loss % of equity, 2 d" in shown
    assert "equal weight Cornish-Fisher" in shown
    assert shown.count("27 periods: FHS instead") == 1
    narrow = [words for line in tail_table(book.regime().tails, 2.0, 64) for words, _ in line]
    assert " loss %, 2 d    " in "".join(narrow)
    assert " equal weight" in narrow


def test_what_is_true_of_all_levels_of_a_method_is_said_without_them() -> None:
    tails = [TailRisk("book", "exit", level, 0.1, 0.2, text="why") for level in (0.95, 0.99)]
    tails += [TailRisk("book", "other", 0.95, 0.1, 0.2, text="because")]
    lines = ["".join(words for words, _ in line) for line in tail_table(tails, 7.0, 80)]
    assert lines[-2:] == ["   exit: why", "   other 95 %: because"]


def test_a_tail_without_one_level_is_a_dot_there() -> None:
    tails = (
        TailRisk("book", "FHS", 0.95, 0.04, 0.05),
        TailRisk("book", "normal", 0.99, 0.06, 0.07),
    )
    lines = ["".join(words for words, _ in line) for line in tail_table(tails, None, 80)]
    assert lines[1].split() == ["book", "FHS", "4.00", "·", "5.00", "·", "·", "·"]
    assert lines[2].split() == ["book", "normal", "·", "·", "·", "6.00", "·", "7.00"]


def test_the_exposure_that_the_strategy_takes_stands_beside_the_regimes() -> None:
    regime = changed(book.regime(), exposure=0.3, exposure_used=1.0, strategy="balanced")
    shown = text(book.desk(regime=regime), WIDE, "4")
    assert "exposure ×0.30, balanced takes ×1.00" in shown
    assert "takes" not in text(book.desk(), WIDE, "4")


def test_where_not_every_table_fits_the_corner_says_so() -> None:
    assert "enter: all tables" in text(book.desk(), WIDE, "4")
    assert "enter: all tables" not in text(book.desk(), (200, 60), "4")


def test_coverage_names_the_method_in_each_row_where_they_differ() -> None:
    rows = [
        CoverageVerdict("book", method, 0.95, 412, 23, 0.61, 0.0004, 0.31, "green")
        for method in ("FHS", "normal")
    ]
    lines = ["".join(words for words, _ in line) for line in coverage_table(rows)]
    assert lines[0].startswith(" days beyond VaR  ")
    assert lines[1].startswith(" book 95 % FHS ")
    assert lines[2].startswith(" book 95 % normal ")
    assert "<.001" in lines[1]


def test_a_side_that_receives_is_not_said_to_pay() -> None:
    row = changed(book.funding().rows[0], long_cap=0.3, short_cap=0.4, horizon_z=1.4, regime="x")
    view = book.desk(funding=changed(book.funding(), rows=(row,)))
    shown = text(view, WIDE, "3")
    assert "×0.30: a long pays 1.4 sd over the horizon, and funding is unsteady" in shown
    assert "short cap           ×0.40: funding is unsteady" in shown


def test_the_only_venue_of_a_coin_is_said_to_be() -> None:
    row = changed(book.funding().rows[0], best_venue="")
    view = book.desk(funding=changed(book.funding(), rows=(row,)))
    assert "binance, the only one here" in text(view, WIDE, "3")
    assert "only one" in text(view, (200, 60), "3")


def test_reasons_leave_the_trades_in_sight_and_stand_whole_in_the_details() -> None:
    reasons = tuple(f"binanceusdm:C{n:02d}/USDT:USDT: funding caps it" for n in range(20))
    view = book.desk(rebalance=changed(book.rebalance(), reasons=reasons))
    shown = text(view, SMALL, "5")
    assert all(f"{coin:<4} " in shown for coin in ("BTC", "ETH", "SOL", "XRP", "BNB"))
    assert "more lines: enter" in shown
    full = text(view, WIDE, "5", "enter", "pagedown")
    assert "C19 binance: funding caps it" in full


def test_a_long_wait_is_told_on_several_lines() -> None:
    view = book.desk(regime=RegimeView(waiting="market history: " + "expected an answer " * 8))
    assert text(view, SMALL, "4").count("expected an answer") == 8


def test_the_legend_shows_the_marks_that_are_drawn() -> None:
    assert [line_mark(n, "ascii", dashed=True) for n in range(4)] == ["*", "+", "o", "x"]
    assert [line_mark(0, "braille", dashed=True), line_mark(1, "braille")] == ["┄", "─"]


def test_a_replays_day_is_todays_and_the_clock_stands_apart() -> None:
    # Read a minute before midnight an hour of replay ago: the picture is older than its day.
    status = book.status(
        market="REPLAY",
        venue_ms=parse_iso("2024-08-04T23:59:00Z"),
        venue_mono=book.NOW_MONO - 60.0,
        speed=60.0,
        today_usd=Decimal(-36078),
        today_price_usd=Decimal(-36058),
    )
    shown = drawn(book.desk(status=status), WIDE)
    assert "REPLAY 05 Aug 2024 ×60" in shown[1]
    assert " 00:59:00Z" in shown[0]


def test_a_bent_limit_stands_as_the_proposal_is_held_to_it_with_its_price_a_point() -> None:
    row = LimitRow(
        "gross", "x", 3.0, 2.71, "WARN", 1.0, "BINDS", price_usd_day=940.0, limit_after=1.0
    )
    shown = text(book.desk(limits=LimitsView(rows=(row,), waiting=None)), SMALL, "6", "enter")
    assert "held to             1.00x" in shown
    assert "9.40 $ a day for one more percentage point" in shown
    table = text(book.desk(limits=LimitsView(rows=(row,), waiting=None)), WIDE, "6")
    line = next(line for line in table.splitlines() if "▸gross" in line)
    assert "1.00x" in line
    assert "3.00x→1.00x" in line
    assert "WARN→BINDS" in line
    assert " 9.4 " in line


def test_reasons_that_say_the_same_stand_once() -> None:
    why = "a regime: supposed, not so in the market"
    view = what_ifs.what_if(shown_only=(why,), reasons=(f"shown, not sent: {why}", "lots"))
    shown = text(book.desk(rebalance=view), WIDE, "5")
    assert shown.count("shown, not sent") == 1
    assert "! lots" in shown


def test_what_is_only_tried_is_marked_and_stays_in_sight() -> None:
    bent = tuple(f"view:COIN{index}=0.{index}" for index in range(9))
    view = what_ifs.what_if(assignments=bent, edits=9, preview=True, tried=(bent[0], bent[7]))
    lines = drawn(book.desk(rebalance=view), SMALL, "5")
    assert "What if · 9 edits, 2 not kept yet" in lines[2]
    assert "bent … 6 more · view:COIN0=0.0 ? · view:COIN7=0.7 ? · view:COIN8=0.8" in lines[4]
    view = msgspec.structs.replace(view, tried=bent[:5])
    line = drawn(book.desk(rebalance=view), SMALL, "5")[4]
    assert "bent … 6 more · view:COIN2=0.2 ? · view:COIN3=0.3 ? · view:COIN4=0.4 ?" in line


@pytest.mark.parametrize("keys", [("y",), ("y", "y"), ("i",), ("b",), ("p",), ("v",)])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_every_page_fits_and_says_something_with_nothing_known(
    keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    lines = drawn(book.desk(), size, "5", *keys)
    assert {len(line) for line in lines} == {size[0]}
    words = {
        ("y",): "no ledger: the program had no optimum here",
        ("y", "y"): "bp a year of one more unit at the target",
        ("i",): "no limits clash",
        ("b",): "nothing is kept yet",
        ("p",): "frontier under the limits in force",
        ("v",): "BREACH→BINDS",
    }
    assert words[keys] in "\n".join(lines)


def test_a_frontier_that_does_not_exist_is_not_waited_for() -> None:
    frontier = FrontierView(none="no book keeps every limit")
    lines = drawn(book.desk(rebalance=what_ifs.infeasible(frontier=frontier)), (80, 24), "5", "p")
    shown = "\n".join(lines)
    assert "frontier under the limits in force · none: no book keeps every limit" in shown
    assert "asked for" not in shown


def test_only_what_an_assignment_relaxes_has_a_digit() -> None:
    bound = Clash("bound:binanceusdm:BTC/USDT:USDT", 0.0, -0.2, "", "a bound")
    gross = Clash("gross", 2.0, 2.5, "gross_max", "gross 2x")
    view = what_ifs.infeasible(clash=(bound, gross), offers=())
    assert ways_out(view) == [Relax(name="gross")]
    lines = drawn(book.desk(rebalance=view), (120, 40), "5", "i")
    heads = [line for line in lines if "would do" in line]
    assert ["1" in line.split("gross")[0] for line in heads if "gross" in line] == [True]
    assert not any(figure in heads[0].split("bound")[0] for figure in "123456789")


def test_a_clash_that_is_not_known_yet_says_so() -> None:
    view = what_ifs.infeasible(clash=(), clash_pending=True)
    for size in [(80, 24), (120, 40)]:
        text = " ".join(" ".join(drawn(book.desk(rebalance=view), size, "5", "i")).split())
        assert "which of them clash is being looked for" in text


def test_markup_from_outside_is_text() -> None:
    hostile = "[@click=app.quit]x[/]"
    view = what_ifs.infeasible(
        reasons=(hostile,), offers=(), assignments=(f"view:{hostile}=1",), edits=1
    )
    shown = text(book.desk(rebalance=view), WIDE, "5")
    assert hostile in shown
    assert f"view:{hostile}=1" in shown


def test_headroom_is_of_the_figure_and_the_bound_beside_it() -> None:
    """Held to 1.5 by the proposal, 3 by the desk: 1.5 - .75 after, and both bounds in words."""
    held = LimitRow("gross", "x", 3.0, 1.94, "ok", 0.75, "ok", limit_after=1.5)
    assert headroom(held) == 0.75
    floor = LimitRow("free", "fraction", 0.2, 0.5, "ok", 0.45, "ok", at_least=True, limit_after=0.3)
    assert headroom(floor) == pytest.approx(0.15)
    alone = LimitRow("gross", "x", 3.0, 1.94, "ok")
    assert headroom(alone) == pytest.approx(1.06)
    assert headroom(LimitRow("gross", "x", 3.0, None, "")) is None
    shown = text(book.desk(limits=changed(book.limits(), rows=(held, alone))), WIDE, "6")
    assert "3.00x→1.50x" in shown


def test_the_split_of_today_is_written_short_before_it_is_left_out() -> None:
    status = book.status(
        today_usd=Decimal(-121_940),
        today_price_usd=Decimal(-117_410),
        today_funding_usd=Decimal(318),
        today_fees_usd=Decimal(-4_848),
    )
    line = drawn(book.desk(status=status), WIDE)[0]
    assert "today −121.9k  px −117.4k fund +318 fees −4.8k" in line
    assert "= price −2,210 fund +318 fees −48" in drawn(book.desk(), WIDE)[0]


def many_figures() -> RebalanceView:
    """All figures that a desk shows, in its order."""
    named: tuple[str, ...] = (
        "carry",
        "carry expected",
        "volatility",
        "expected return",
        "CVaR 95 %",
        "beta",
    )
    named += ("correlation", "gross", "net", "margin binance", "liquidation down", "liquidation up")
    figures = tuple(Comparison(name, "x", 1.0, 0.5) for name in named)
    return what_ifs.what_if(comparisons=figures)


def test_a_small_terminal_keeps_gross_net_margin_liquidation_cost_and_turnover() -> None:
    shown = text(book.desk(rebalance=many_figures()), SMALL, "5")
    for words in ("gross", "net ", "margin binance", "liquidation down", "liquidation up"):
        assert f" {words}" in shown
    assert "turnover 58%   cost 282.7 $   … 6 more figures: enter" in shown
    card = text(book.desk(rebalance=many_figures()), (80, 60), "5", "enter")
    for row in many_figures().comparisons:
        assert f" {figure_name(row.name)} " in card
    assert "target ETH binance=0.25" in card


def test_limits_that_find_no_room_are_counted_where_the_cursor_is() -> None:
    rows = tuple(LimitRow(f"coin_net:C{index}", "x", 1.0, 0.1, "ok") for index in range(40))
    view = book.desk(rebalance=what_ifs.what_if(), limits=changed(book.limits(), rows=rows))
    assert " 1 of 40 limits: j k" in text(view, SMALL, "5", "v")
    assert " 40 of 40 limits: j k" in text(view, SMALL, "5", "v", "G")


def test_the_help_of_a_view_names_each_key_once() -> None:
    lines = text(book.desk(), (100, 90), "5", "question_mark").splitlines()
    for key in ("y", "m", "p"):
        assert sum(line.split()[:1] == [key] for line in lines) == 1


def test_limits_that_a_proposal_leaves_broken_are_never_said_to_hold() -> None:
    view = changed(what_ifs.what_if(), clash=(), offers=(), status="ok", breached=())
    assert "every limit holds" in " ".join(drawn(book.desk(rebalance=view), (120, 40), "5", "i"))
    names = ("gross", "coin_net:BTC", "cvar", "volatility")
    for status, words in (("ok", "its trades go no further"), ("no_trade", "nothing is traded")):
        left = changed(view, breached=names, status=status)
        shown = " ".join(" ".join(drawn(book.desk(rebalance=left), (120, 40), "5", "i")).split())
        assert "every limit holds" not in shown
        assert "the proposal leaves gross" in shown
        assert "and 1 more breached" in shown
        assert words in shown


def test_one_setting_has_one_digit_whatever_stands_behind_it() -> None:
    clash = (
        Clash("coin_net:BTC", 0.1, 0.25, "coin_net_max"),
        Clash("funding_cap:binanceusdm:ETH/USDT:USDT", 0.1, 0.25, "coin_net_max"),
        Clash("net_min", 0.5, None, "net_min"),
        Clash("gross", 2.0, 2.5, "gross_max"),
    )
    view = what_ifs.infeasible(clash=clash, offers=())
    assert ways_out(view) == [Relax(name="coin_net:BTC"), Relax(name="gross")]
    lines = drawn(book.desk(rebalance=view), (120, 40), "5", "i")
    shown = " ".join(" ".join(line.strip("│") for line in lines).split())
    assert "One of them relaxed mends it where it says how far" in shown


def test_the_words_of_every_key_stand_whole_in_two_columns() -> None:
    for view in "1234568":
        assert "…" not in text(book.desk(), (120, 90), view, "question_mark")


def test_a_small_panel_keeps_the_sum_of_a_ledger() -> None:
    """What the terms add up to is said whatever the height; what is left out is in one line."""
    row, ledger = what_ifs.what_if().rows[0], what_ifs.what_if().ledger[0]
    total = sum(getattr(ledger, name) for name, _ in TERMS)
    for height in range(6, 20):
        lines = [
            "".join(text for text, _ in line)
            for line in why_lines(Why(row, ledger, None), 78, height, "ascii")
        ]
        assert len(lines) <= height
        at = next(y for y, line in enumerate(lines) if line.startswith(" sum"))
        said = [line for line in lines[2:at] if not line.startswith("   ")]
        figures = [float(line[27:38].replace("−", "-").replace(",", "")) for line in said]
        assert sum(figures) == pytest.approx(total, abs=0.06)


@pytest.mark.parametrize(
    ("traded", "trade", "said", "cell"),
    [
        (True, 2500, "traded: no gain is left", "traded"),
        # The optimum trades it, and lots leave the trade out.
        (True, 0, "no trade: less than lots can trade", "rounded"),
        (False, 2500, "traded in lots only", "traded"),
        (False, 0, "no trade before it gains 23.4 more", "23.4"),
    ],
)
def test_a_ledger_says_of_a_trade_what_its_row_says(
    *, traded: bool, trade: int, said: str, cell: str
) -> None:
    view = what_ifs.what_if()
    row = changed(view.rows[0], trade_usd=Decimal(trade))
    why = Why(row, changed(view.ledger[0], traded=traded, distance=23.4), None)
    lines = ["".join(text for text, _ in line) for line in why_lines(why, 78, 20, "ascii")]
    assert ("no trade" in lines[0]) == ("no trade" in said)
    assert said in next(line for line in lines if line.startswith(" sum"))
    column = next(one for one in WHY_COLUMNS if one.name == "to trade")
    assert column.cell(why, 0.0).text == cell


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_orders_are_named_beside_their_trades_whatever_the_figures(size: tuple[int, int]) -> None:
    view = what_ifs.what_if()
    long = tuple(
        changed(row, why="uncertainty, turnover", cost_usd=row.cost_usd * 9, carry_usd_day=-1234)
        for row in view.rows
    )
    small = tuple(changed(row, effect="ADD", side="buy", why="") for row in view.rows)
    places = set()
    for rows in (view.rows, long, small):
        lines = drawn(book.desk(rebalance=changed(view, rows=rows)), size, "5")
        head = next(y for y, line in enumerate(lines) if "contract " in line)
        at = lines[head].index(" order ")
        places.add(at)
        found = [line[at + 1 :].split()[:2] for line in lines[head + 1 : head + 1 + len(rows)]]
        assert sorted(found) == sorted([row.effect, row.side] for row in rows)
    assert len(places) == 1, "equal at equal size"


def test_a_refusal_longer_than_the_screen_is_wide_stands_whole() -> None:
    said = (
        "this what-if is shown, never sent: a regime: supposed, not so in the market; "
        "a price shock: supposed, not so in the market"
    )
    for size in [(80, 24), (120, 40)]:
        showing = Showing(book.clock())
        showing.take_whole(book.desk())
        showing.notice(said, "warn")
        lines = NewsLines(showing, lambda: find("dark", ()), BOTTOM, lambda: "5").draw(size[0], 4)
        shown = " ".join("".join(text for text, _ in line).strip() for line in lines)
        assert said in " ".join(shown.split())
        assert len(lines) == 4


def test_reasons_take_the_lines_that_nothing_else_has_use_for() -> None:
    reasons = tuple(f"reason {n}" for n in range(9))
    view = what_ifs.what_if(reasons=reasons, shown_only=())
    shown = text(book.desk(rebalance=view), (200, 60), "5")
    assert all(reason in shown for reason in reasons)
    assert "more lines" not in shown
    many = what_ifs.what_if(reasons=tuple(f"reason {n}" for n in range(60)), shown_only=())
    assert "more lines: enter" in text(book.desk(rebalance=many), (200, 60), "5")


def test_a_clash_names_limits_and_their_units_as_the_limits_do() -> None:
    clash = (Clash("turnover", 0.1, 1.10661, "turnover_max", "coin_net:BTC stands against it"),)
    view = what_ifs.infeasible(clash=clash, offers=())
    rows = (*book.LIMITS, LimitRow("turnover", "fraction", 0.0, 0.0, "ok"))
    limits = changed(book.limits(), rows=rows)
    shown = text(book.desk(rebalance=view, limits=limits), (120, 40), "5", "i")
    assert "10% → 110.7% would do" in " ".join(shown.split())


def test_what_is_being_solved_is_said_beside_what_the_figures_are_of() -> None:
    view = what_ifs.what_if(assignments=("gross_max=2.5",), asked=("gross_max=2.5", "shock=-0.1"))
    assert "solving shock=−0.1   figures still of: 1 edit" in text(
        book.desk(rebalance=view), (120, 40), "5"
    )
    back = what_ifs.what_if(assignments=("gross_max=2.5",), asked=())
    assert "solving without gross_max=2.5" in text(book.desk(rebalance=back), (80, 24), "5")


def test_a_state_that_is_not_known_now_is_said_after_the_proposal_alone() -> None:
    row = LimitRow("participation:BTC", "fraction", 0.01, None, "", 0.0, "ok")
    assert state_words(row) == "ok"


def test_what_is_being_solved_needs_no_key() -> None:
    view = RebalanceView(waiting="r solves", state="solving")
    shown = text(book.desk(rebalance=view), (80, 24), "5")
    assert "solving the first proposal" in shown
    assert "r solves" not in shown.split("solving the first")[1].split("┘")[0]


def test_the_worst_limit_comes_first_and_a_farthest_liquidation_is_no_share() -> None:
    rows = (
        LimitRow("gross", "x", 3.0, 3.1, "BREACH"),
        LimitRow("liquidation:bybit", "fraction", 0.2, 1.0, "ok", 1.0, "ok", at_least=True),
        LimitRow("volatility", "fraction", 0.6, 0.9, "BREACH"),
        LimitRow("net_max", "x", 1.0, 0.95, "WARN"),
    )
    view = book.desk(limits=changed(book.limits(), rows=rows))
    lines = [line for line in drawn(view, WIDE, "6") if "BREACH" in line or "100%" in line]
    at = {
        word: n for n, line in enumerate(lines) for word in ("robust vol", "gross") if word in line
    }
    assert at["robust vol"] < at["gross"]
    assert ">100%" in next(line for line in lines if "liq bybit" in line)


def test_a_bent_stress_is_named_among_the_edits() -> None:
    bent = what_ifs.what_if(assignments=("stress:ftx-2022-11:BTC=-0.4",), edits=1)
    assert "stress ftx-2022-11 BTC=−0.4" in text(what_ifs.desk(rebalance=bent), WIDE, "5")


def test_limits_on_a_supposed_market_say_so_where_they_stand() -> None:
    limits = changed(what_ifs.limits(), market="prices all -20 %")
    shown = text(what_ifs.desk(limits=limits), (80, 24), "5", "v")
    assert "limits now and after both at prices all −20 %" in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("margin_stress_ftx-2022-11:bybit", "type :stress:ftx-2022-11:BTC=-.4"),
        ("stablecoin", "the strategy's stablecoin_min"),
        ("volatility", "as far as one proposal's trades reach"),
    ],
)
def test_a_limit_without_a_key_says_what_sets_it(name: str, words: str) -> None:
    rows = (LimitRow(name, "fraction", 1.0, 0.5, "ok", 0.5, "ok"),)
    told = changed(what_ifs.what_if(), setting_keys={name: ""})
    view = book.desk(rebalance=told, limits=changed(book.limits(), rows=rows))
    assert words in text(view, WIDE, "5", "v", "e")


def test_a_cap_that_is_a_share_of_the_risk_budget_says_of_what() -> None:
    row = LimitRow("first_component", "fraction", 0.6, 0.5, "ok", 0.4, "ok", limit_after=0.48)
    settings = {"first_component_max": 1.0, "volatility_max": 0.6}
    told = changed(what_ifs.what_if(), setting_keys={}, settings=settings)
    edit = cap_edit(row, told)
    assert edit is not None
    assert edit.note == "first_component_max 1 of volatility_max is 48.0% here: lowered by drawdown"
    assert len(edit.note) < SMALL[0]
    plain = cap_edit(changed(row, limit_after=None), told)
    assert plain is not None
    assert plain.note == "first_component_max 1 of volatility_max is 60.0% here"


def test_a_put_that_is_only_supposed_is_not_to_be_bought() -> None:
    of_desk = " ".join(text(what_ifs.desk(), (200, 60), "5").split())
    assert "buy 1.25 for 1,430 $ by hand" in of_desk
    told = "the puts are no orders of this proposal and are to be bought by hand first: with them"
    bent = what_ifs.what_if(
        assignments=("put:BTC=80000,2026-04-03T12:00Z,1144",), reasons=(f"{told} CVaR 2%",)
    )
    supposed = " ".join(text(what_ifs.desk(rebalance=bent), (200, 60), "5").split())
    assert "supposed: 1.25 for 1,430 $" in supposed
    assert "no orders of this proposal and only supposed: with them CVaR 2%" in supposed
    assert "by hand" not in supposed


def test_the_card_of_a_contracts_own_risk_says_what_it_is_a_share_of() -> None:
    row = LimitRow("standalone_risk:bybit:BTC/USDT:USDT", "fraction", 0.6, 0.5, "ok")
    shown = text(book.desk(limits=changed(book.limits(), rows=(row,))), WIDE, "6", "enter")
    assert "at most 60.0% of volatility a year: standalone_risk_max × volatility_max" in shown
