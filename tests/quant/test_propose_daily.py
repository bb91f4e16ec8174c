"""The walk of `benchmarks.propose_daily`: its accounts, and a slice of real history."""

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.propose_daily import (
    Campaign,
    Day,
    funding_paid,
    kept_days,
    print_table,
    snapshot_on,
    stressed_ratio,
    walk,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, parse_iso
from perptui.quant.worker import Worker
from perptui.settings.load import load
from tests.quant.market import written

D = Decimal
BTC = "binanceusdm:BTC/USDT:USDT"
AT = parse_iso("2023-05-20T00:00Z")
FIRST, LAST = parse_iso("2021-10-01T00:00Z"), parse_iso("2025-06-30T00:00Z")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("history"), ("binanceusdm", "bybit"))


def before(history: History, at_ms: int, contracts: Decimal) -> Day:
    """Return a day that ended with so many contracts of bitcoin at Binance."""
    market = snapshot_on(history, at_ms, None)
    marks = {quote.id: quote.mark for quote in market.quotes}
    return Day(
        at_ms, "ok", True, "calm", 1.0, None, 0.1, 0.1, (), (), "", 0.0, 0.0, D(1_000_000),
        {"binanceusdm": D(600_000), "bybit": D(400_000)}, {BTC: contracts}, marks,
    )  # fmt: skip


@pytest.mark.parametrize("contracts", [D("2.5"), D("-1.25")])
def test_the_book_earns_its_moves_less_its_funding_in_its_own_account(
    history: History, contracts: Decimal
) -> None:
    """Settlement by settlement: contracts x last close x rate, a long pays a positive rate."""
    day = before(history, AT - DAY_MS, contracts)
    market = snapshot_on(history, AT, day)
    one = next(one for one in market.instruments if one.id == BTC)
    settled = history.funding("binanceusdm", "BTCUSDT", AT)
    bars = history.traded("binanceusdm", "BTCUSDT", AT)
    paid = 0.0
    for stamp, rate in zip(settled.ts_ms.tolist(), settled.rate.tolist(), strict=True):
        if AT - DAY_MS < stamp <= AT:
            paid += float(contracts) * float(bars.close[bars.close_ms <= stamp][-1]) * rate
    assert paid != 0.0
    assert float(funding_paid(history, one, contracts, AT - DAY_MS, AT)) == pytest.approx(paid)
    mark = next(quote.mark for quote in market.quotes if quote.id == BTC)
    moved = float(contracts * (mark - day.marks[BTC]))
    equity = {account.key: float(account.equity_usd) for account in market.accounts}
    assert equity["binanceusdm"] == pytest.approx(600_000 + moved - paid, abs=1e-6)
    assert equity["bybit"] == 400_000
    held = market.accounts[0].positions
    assert [(position.id, position.contracts) for position in held] == [(BTC, contracts)]
    assert market.peak_equity_usd == max(D(1_000_000), market.equity_usd)


def test_a_month_begins_with_the_first_equity_again(history: History) -> None:
    first = parse_iso("2023-05-01T00:00Z")
    market = snapshot_on(history, first, before(history, first - DAY_MS, D(1)))
    assert [account.equity_usd for account in market.accounts] == [D(500_000), D(500_000)]
    assert market.peak_equity_usd == D(1_000_000)


def test_the_stressed_requirement_is_worked_out_tier_by_tier(history: History) -> None:
    market = snapshot_on(history, AT, None)
    one = next(one for one in market.instruments if one.id == BTC)
    mark = next(float(quote.mark) for quote in market.quotes if quote.id == BTC)
    equity = {"binanceusdm": D(500_000), "bybit": D(500_000)}
    ratios = []
    for shift in (0.2, -0.2):
        notional = 2.0 * mark * (1.0 + shift)
        margin = max(float(tier.rate) * notional - float(tier.deduction_usd) for tier in one.tiers)
        ratios.append(0.02 + (1.5 * margin - 2.0 * mark * shift) / 500_000)
    found = stressed_ratio(market, {BTC: D(2)}, equity, D("0.2"), D("0.5"), D("0.02"))
    assert found == pytest.approx(max(ratios), rel=1e-12)


def test_days_are_kept_and_gone_on_from(history: History, tmp_path: Path) -> None:
    day = before(history, AT, D(1))
    file = tmp_path / "balanced.jsonl"
    assert kept_days(file) == []
    file.write_bytes(msgspec.json.encode(day) + b"\n")
    assert kept_days(file) == [day]


@pytest.mark.history
@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_walk_through_real_history_fails_nowhere_and_breaks_nothing(
    history_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fifteen dates over four years, with views strong enough to fill the book."""
    history, settings = History(history_dir), load().settings
    stamps = np.linspace(FIRST, LAST, 15).astype(np.int64) // DAY_MS * DAY_MS
    campaign = Campaign(history, settings, "tactical", Worker(history), with_views=True)
    days = list(walk(campaign, stamps.tolist(), None))
    assert len(days) == 15
    assert {day.status for day in days} <= {"ok", "no_trade", "infeasible"}
    assert all(day.clash for day in days if day.status == "infeasible")
    assert all(not day.broken for day in days)
    assert all(0.0 <= day.stressed <= 1.0 for day in days)
    assert max(day.gross for day in days) > 0.3
    assert all(day.gross <= 3.0 * day.exposure + 1e-9 for day in days if day.exportable)
    print_table("tactical", days)
    assert "all" in capsys.readouterr().out
