"""The canonical ticket: 80 columns, every figure of every leg, sums that add up."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.ticket_text import TicketInputs, headroom, render, usd
from perptui.model.assignment import bend_all
from perptui.model.clock import parse_iso
from perptui.model.limit import LimitCheck
from perptui.model.order import OrderIntent
from perptui.model.proposal import HedgeRow, SolverReport
from perptui.model.whatif import WhatIf
from tests.desk.dealing import ADD_ETH, ALICE, REDUCE_BTC, REDUCE_ETH, Deal, proposal

replace = msgspec.structs.replace


def inputs(folder: Path, *orders: OrderIntent, **changes: object) -> TicketInputs:
    deal = Deal(folder)
    snapshot = deal.picture.snapshot()
    assert snapshot is not None
    made = TicketInputs(
        ticket="T41",
        purpose="send",
        mode="PAPER",
        desk="main",
        account="fund-2",
        trader=ALICE.name,
        created_ms=snapshot.as_of_ms + 2000,
        expiry_s=30.0,
        proposal=proposal(*orders),
        legs=orders,
        snapshot=snapshot,
        basis=snapshot,
        settings_digest="a" * 64,
        limits_digest="b" * 64,
        volume_usd_day={order.id: 1e8 for order in orders},
    )
    deal.journal.close()
    return replace(made, **changes)


def test_each_leg_shows_all_that_is_sent(tmp_path: Path) -> None:
    text = render(inputs(tmp_path, REDUCE_BTC, ADD_ETH))
    place = text.index(" 1  BTC/USDT:USDT binanceusdm  REDUCE sell 0.2 contracts  reduce-only")
    assert text[place + 1 : place + 4] == (
        "    0.2 BTC = 19,500.00 USD  limit 97305  mark 97500 of 07:20:00Z",
        "    fee 9.75  slippage 1.95  0.0195% of volume  funding +0.0200% at 08:00Z",
        "    position +0.4 -> +0.2 contracts  weight +1.300 -> +0.650",
    )
    assert " 2  ETH/USDT:USDT binanceusdm  ADD sell 0.5 contracts  may add" in text
    assert "    position -6 -> -6.5 contracts  weight -0.640 -> -0.693" in text


def test_the_sums_add_up(tmp_path: Path) -> None:
    text = render(inputs(tmp_path, REDUCE_BTC, REDUCE_ETH))
    assert "2 orders, 22,700.00 USD" in text
    assert "fees 11.35 + slippage 2.27 = 13.62 USD" in text


def test_it_says_whose_where_and_until_when(tmp_path: Path) -> None:
    text = render(inputs(tmp_path, REDUCE_BTC))
    whole = "\n".join(text)
    assert text[0].startswith("CONFIRM plan ")
    assert text[0].endswith("PAPER")
    for words in (
        "ticket T41",
        "venue binanceusdm",
        "account fund-2",
        "trader alice",
        "model tactical-1",
        "regime stress",
        "solver optimal (clarabel)",
        "data 2 s old",
        "expires 30 s",
        "cannot be undone: fills.",
        "one attempt each",
    ):
        assert words in whole


def test_an_export_says_that_nothing_is_sent(tmp_path: Path) -> None:
    text = render(inputs(tmp_path, REDUCE_BTC, purpose="export", mode="EXPORT"))
    assert text[0].endswith("EXPORT")
    assert "EXPORT: these orders are written to files; nothing is sent" in text
    assert not any("expires" in line for line in text)


def test_limits_stand_with_their_headroom(tmp_path: Path) -> None:
    checks = (
        LimitCheck("gross", 1.29, 3.0, ok=True),
        LimitCheck("liquidation:binanceusdm", 0.58, 0.2, ok=True, at_least=True),
        LimitCheck("participation:binanceusdm:BTC/USDT:USDT", 0.002, 0.001, ok=False),
    )
    made = replace(proposal(REDUCE_BTC), limits=checks)
    text = render(inputs(tmp_path, REDUCE_BTC, proposal=made))
    assert "gross                              1.9400     1.2900     <= 3.0000     1.7100" in text
    assert "liquidation:binanceusdm                 -     0.5800     >= 0.2000     0.3800" in text
    place = text.index("participation:binanceusdm:BTC/USDT:USDT")
    assert text[place + 1].endswith("0.0020     <= 0.0010    -0.0010  ~")
    assert "~: the limit is soft and gives way" in text


def test_a_reduction_that_leaves_limits_broken_says_so(tmp_path: Path) -> None:
    checks = (
        LimitCheck("gross", 1.29, 1.0, ok=False),
        LimitCheck("coin_net:BTC", 0.9, 0.8, ok=False),
        LimitCheck("net_max", 0.4, 1.0, ok=True),
    )
    broken = ("gross", "coin_net:BTC")
    solver = SolverReport(status="optimal", name="", seconds=0.0)
    made = replace(proposal(REDUCE_BTC), limits=checks, stays_broken=broken, solver=solver)
    text = render(inputs(tmp_path, REDUCE_BTC, proposal=made))
    place = text.index("REDUCTION: 2 LIMITS STAY BROKEN: gross, coin_net:BTC")
    assert text[place + 1] == "  none of them by more than now: a step; propose again after it"
    assert text[place + 2].startswith("solver optimal | data")
    assert [line[:12] for line in text if line.endswith("  X")] == ["gross       ", "coin_net:BTC"]
    assert "X: the limit stays broken, by no more than now" in text
    kept = render(inputs(tmp_path, REDUCE_BTC))
    assert not any("REDUCTION" in line or line.startswith(("X:", "~:")) for line in kept)


@pytest.mark.parametrize("length", [1, 20, 60])
def test_no_line_is_longer_than_80_columns(tmp_path: Path, length: int) -> None:
    coin = "1000000" + "M" * length
    long = replace(REDUCE_BTC, id=f"binanceusdm:{coin}/USDT:USDT")
    made = inputs(tmp_path, long, REDUCE_ETH, account="a" * 32, desk="d" * 32)
    text = render(made)
    assert max(map(len, text)) <= 80
    assert all(line == line.rstrip() for line in text)
    assert coin in "".join(text)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    made = inputs(tmp_path, REDUCE_BTC, REDUCE_ETH)
    assert render(made) == render(made)
    other = replace(made, trader="mallory")
    assert render(made) != render(other)


def test_moves_are_told_apart_only_where_it_matters(tmp_path: Path) -> None:
    given = inputs(tmp_path, REDUCE_BTC)
    far = replace(given.proposal.risk, liquidation_up=11997.59, liquidation_down=None)
    text = render(replace(given, proposal=replace(given.proposal, risk=far)))
    assert "liquidation, prices up                      none   over +1000%" in text
    assert "liquidation, prices down                  -60.0%          none" in text


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    made = inputs(tmp_path, REDUCE_BTC, volume_usd_day={})
    bare = replace(made.snapshot, instruments=(), quotes=(), funding=())
    none = replace(made.proposal, rows=())
    text = "\n".join(render(replace(made, snapshot=bare, proposal=none)))
    assert "    19,500.00 USD  limit 97305\n    fee 9.75  slippage 1.95\n" in text
    assert "    position +0.4 -> +0.2 contracts\n" in text


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1234.5", "1,234.50"), ("-0.004", "0.00"), ("-1234567.891", "-1,234,567.89"), ("0", "0.00")],
)
def test_dollars_stand_to_the_cent(amount: str, shown: str) -> None:
    assert usd(Decimal(amount)) == shown


def test_headroom_is_positive_inside_and_negative_beyond() -> None:
    assert headroom(LimitCheck("gross", 2.0, 3.0, ok=True)) == pytest.approx(1.0)
    assert headroom(LimitCheck("x", 0.1, 0.2, ok=False, at_least=True)) == pytest.approx(-0.1)


def test_a_what_if_and_the_puts_it_counts_on_are_named(tmp_path: Path) -> None:
    put = HedgeRow(
        name="put BTC 50000",
        coin="BTC",
        strike=50000.0,
        expiry_ms=parse_iso("2026-12-25T08:00Z"),
        quantity=0.4,
        premium_usd=Decimal("480"),
        delta=-0.2,
    )
    bent = bend_all(WhatIf(), ["gross_max=2", "view:BTC=0.1", "risk_aversion=8", "robust=off"])
    made = replace(
        proposal(REDUCE_BTC), what_if=bent, hedges=(put, replace(put, quantity=0.0, coin="ETH"))
    )
    text = render(inputs(tmp_path, REDUCE_BTC, proposal=made))
    assert "what-if view:BTC=0.1; gross_max=2; risk_aversion=8; robust=off" in text
    joined = " ".join(line.strip() for line in text)
    told = "counts on 0.4 BTC of puts at 50000 to 2026-12-25 for 480.00 USD: bought by hand"
    assert told in joined
    assert "of ETH" not in joined
    assert max(map(len, text)) <= 80
    assert "what-if" not in " ".join(render(inputs(tmp_path / "plain", REDUCE_BTC)))
