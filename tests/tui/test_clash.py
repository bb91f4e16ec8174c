"""The page of what clashes: the members and their digits, the ways out, what stays broken."""

from __future__ import annotations

import msgspec

from perptui.model.explanation import Clash
from perptui.protocol.intents import Bend
from perptui.protocol.views_rebalance import Offer
from perptui.tui.panels.rebalance_clash import ways_out
from tests.tui import book, what_ifs
from tests.tui.test_snapshots import drawn

changed = msgspec.structs.replace


def page(size: tuple[int, int] = (120, 40), **changes: object) -> str:
    """Return the clash page's words, one blank between them."""
    view = what_ifs.infeasible(**changes)
    lines = drawn(book.desk(rebalance=view), size, "5", "i")
    return " ".join(" ".join(line.strip("│") for line in lines).split())


def test_a_reduction_is_headed_by_what_it_leaves_broken() -> None:
    headline = "reduction: 2 limits stay broken"
    view = changed(
        what_ifs.what_if(),
        clash=(),
        offers=(),
        status="ok",
        headline=headline,
        breached=("gross", "coin_net:BTC"),
    )
    lines = drawn(book.desk(rebalance=view), (120, 40), "5")
    assert any(f" · {headline} · " in line for line in lines)
    assert not any(" · ok · " in line for line in lines)
    shown = " ".join(" ".join(drawn(book.desk(rebalance=view), (120, 40), "5", "i")).split())
    assert f"{headline}: gross, coin net BTC. A step: propose again after it" in shown


BTC = "binanceusdm:BTC/USDT:USDT"
AS_THEY_ARE = "no value of it alone would do, the other limits as they are"


def test_where_no_limit_alone_mends_it_nothing_says_that_one_would() -> None:
    """What a turnover of 2 % and a target far away say: each has the others against it."""
    beside = f"as turnover 2% and target:{BTC} -0.6 cannot hold either"
    clash = (
        Clash("gross", 0.2, None, "gross_max", f"gross 0.2x cannot hold: {AS_THEY_ARE}, {beside}"),
        Clash("turnover", 0.02, None, "turnover_max", f"turnover 2% cannot hold: {AS_THEY_ARE}"),
    )
    free = f"target:{BTC}=free reduce_only=true"
    offers = (Offer("hold", "hold"), Offer("reduce_only", "only reduce: turnover 2.0%", free))
    shown = page(clash=clash, offers=offers)
    assert "None of them relaxed alone mends it: other limits clash as well." in shown
    assert "the others can hold" not in shown
    assert "would do, the other limits as they are, as turnover 2% and target BTC binance" in shown
    assert shown.count(AS_THEY_ARE) == 2
    assert "1 only reduce: turnover 2.0%" in shown
    assert ways_out(what_ifs.infeasible(clash=clash, offers=offers)) == [Bend(text=free)]


def test_each_figure_of_a_member_is_said_once() -> None:
    """The head holds what is needed; the sentence that says it again, in fewer digits, is not."""
    clash = (
        Clash("turnover", 0.05, 1.05136, "turnover_max", "turnover 5% cannot hold: needs 105.2%"),
    )
    shown = page(clash=clash)
    assert "turnover 5% → 105.2% would do" in shown or "turnover 0.05 → 1.052 would do" in shown
    assert "needs" not in shown
    assert "It relaxed as said below mends it." in shown


def test_a_largest_order_goes_by_its_setting_and_in_dollars() -> None:
    clash = (
        Clash(f"participation:{BTC}", 500_000.0, 612_340.4, "order_notional_max_usd", "…"),
        Clash("gross", 2.0, 2.5, "gross_max", "…"),
    )
    shown = page(clash=clash)
    assert "order_notional_max_usd BTC binance 500,000 $ → 612,400 $ would do" in shown
    assert "of volume" not in shown


def test_a_share_says_of_what_and_a_setting_of_another_name_stands_beside_it() -> None:
    sol = "standalone_risk:binanceusdm:SOL/USDT:USDT"
    clash = (
        Clash(sol, 1.0, 1.5, "standalone_risk_max", "…"),
        Clash("cvar", 0.1, 0.2, "drawdown_max", "…"),
    )
    words = f"{sol} 100% of volatility_max and cvar drawdown_max 10% cannot hold together"
    shown = page(clash=clash, reasons=(words,))
    assert "own risk SOL binance 100% of volatility_max → 150% would do" in shown
    assert "CVaR 95 % drawdown_max 10% → 20% would do" in shown
    lines = drawn(
        book.desk(rebalance=what_ifs.infeasible(clash=clash, reasons=(words,))), (120, 40), "5"
    )
    said = " ".join(" ".join(line.strip("│") for line in lines).split())
    assert "own risk SOL binance 100% of volatility_max and CVaR 95 % drawdown_max 10%" in said


def test_a_sentence_names_limits_as_the_heads_do() -> None:
    text = (
        f"gross 0.2x cannot hold: {AS_THEY_ARE}, as participation:{BTC} 1%, cvar 5% and "
        "volatility 40% cannot hold either"
    )
    shown = page(clash=(Clash("gross", 0.2, None, "gross_max", text),))
    assert "of volume BTC binance 1%, CVaR 95 % 5% and robust vol 40% cannot hold either" in shown
