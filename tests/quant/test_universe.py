from pathlib import Path

import pytest

from perptui.estimation.universe import UniverseRules
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, iso, parse_iso
from perptui.model.errors import InputError
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import Bar, FundingSettlement
from perptui.quant.universe import select_universe

MONDAY = parse_iso("2024-01-01T00:00Z")
RULES = UniverseRules(size=2)


def listed(
    history: History,
    symbol: str,
    volume_usd: list[float],
    *,
    first_day: int = 0,
    width_h: int = 1,
    funded: bool = True,
) -> None:
    """Bars at one dollar with a volume a day, from `first_day` on."""
    begin = MONDAY + first_day * DAY_MS
    bars = tuple(
        Bar(begin + day * DAY_MS + hour * HOUR_MS, 1.0, 1.0, 1.0, 1.0, usd * width_h / 24)
        for day, usd in enumerate(volume_usd)
        for hour in range(0, 24, width_h)
    )
    history.append(BarSeries("binanceusdm", symbol, "1h" if width_h == 1 else "8h", bars))
    if funded:
        days = len(volume_usd)
        rows = tuple(
            FundingSettlement(begin + k * 8 * HOUR_MS, 1e-4, 8.0) for k in range(1, 3 * days + 1)
        )
        history.append(FundingSeries("binanceusdm", symbol, rows))


@pytest.fixture
def history(tmp_path: Path) -> History:
    found = History(tmp_path)
    listed(found, "BTCUSDT", [9e6] * 120)
    listed(found, "ETHUSDT", [8e6] * 120)
    # XRP overtakes ETH for good after 60 days, ADA comes late and overtakes both.
    listed(found, "XRPUSDT", [7e6] * 60 + [8.5e6] * 60, width_h=8)
    listed(found, "ADAUSDT", [9.5e6] * 50, first_day=70)
    listed(found, "BTCUSDC", [99e6] * 120)
    listed(found, "DOGEUSDT", [99e6] * 120, funded=False)
    return found


def test_members_are_the_most_liquid_and_say_since_when(history: History) -> None:
    found = select_universe(history, ("binance",), MONDAY + 59 * DAY_MS + 5 * HOUR_MS, RULES)
    assert iso(found.decided_ms) == "2024-02-26T00:00:00Z"
    assert iso(found.next_ms) == "2024-03-04T00:00:00Z"
    assert found.members == ("binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT")
    rows = {row.id.partition(":")[2].partition("/")[0]: row for row in found.rows}
    assert list(rows) == ["BTC", "ETH", "XRP", "DOGE"]
    assert rows["BTC"].reason == "rank 1: within 2"
    assert rows["BTC"].volume_usd_day == pytest.approx(9e6)
    # 30 days old on 2024-01-31, so a member from the Monday after.
    assert rows["BTC"].since_ms == parse_iso("2024-02-05T00:00Z")
    assert (rows["XRP"].rank, rows["XRP"].reason) == (3, "rank 3: enters within 2")
    assert (rows["DOGE"].rank, rows["DOGE"].reason) == (None, "no funding")


def test_a_member_that_is_overtaken_is_kept_until_it_falls_behind_the_buffer(
    history: History,
) -> None:
    at_ms = MONDAY + 119 * DAY_MS
    found = select_universe(history, ("binance",), at_ms, RULES)
    rows = {row.id.partition(":")[2].partition("/")[0]: row for row in found.rows}
    # ADA is 49 days old and ranks first: ETH falls to fourth and leaves.
    assert [row.rank for row in rows.values()] == [1, 2, 3, 4, None]
    assert [name for name, row in rows.items() if row.member] == ["ADA", "BTC", "XRP"]
    assert rows["XRP"].reason == "rank 3: kept within 3"
    before = select_universe(history, ("binance",), MONDAY + 98 * DAY_MS, RULES)
    kept = {row.id: row for row in before.rows}["binanceusdm:ETH/USDT:USDT"]
    assert kept.reason == "rank 3: kept within 3"
    young = {row.id: row for row in before.rows}["binanceusdm:ADA/USDT:USDT"]
    assert young.reason == "too young: 28 of 30 days"


def test_wide_bars_count_on_days_without_narrow_ones(tmp_path: Path) -> None:
    history = History(tmp_path)
    listed(history, "BTCUSDT", [3e6] * 40, width_h=8)
    listed(history, "BTCUSDT", [5e6] * 10, first_day=30)
    rules = UniverseRules(volume_days=7)
    at = [MONDAY + days * DAY_MS for days in (35, 38, 42)]
    volumes = [
        select_universe(history, ("binance",), one, rules).rows[0].volume_usd_day for one in at
    ]
    # Days 28 to 34: two of 3 M and five of 5 M; days 35 to 41 have five of them, too.
    assert volumes == pytest.approx([5e6, 5e6, 5e6])
    early = select_universe(history, ("binance",), MONDAY + 28 * DAY_MS, rules)
    assert early.rows[0].volume_usd_day == pytest.approx(3e6)


def test_nothing_younger_is_touched(history: History, tmp_path: Path) -> None:
    at_ms = MONDAY + 61 * DAY_MS
    cut = History(tmp_path / "cut")
    listed(cut, "BTCUSDT", [9e6] * 61)
    listed(cut, "ETHUSDT", [8e6] * 61)
    listed(cut, "XRPUSDT", [7e6] * 60 + [8.5e6], width_h=8)
    listed(cut, "DOGEUSDT", [99e6] * 61, funded=False)
    assert select_universe(history, ("binance",), at_ms, RULES) == select_universe(
        cut, ("binance",), at_ms, RULES
    )


@pytest.mark.parametrize(
    ("days", "rules", "text"),
    [
        (0, RULES, "found none; choose another --at"),
        (50, UniverseRules(size=0), "size of at least 1"),
        (50, UniverseRules(buffer=0.5), "mend the rules"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    history: History, days: int, rules: UniverseRules, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        select_universe(history, ("binance",), MONDAY + days * DAY_MS, rules)


@pytest.mark.history
def test_the_real_universe_does_not_depend_on_when_it_is_asked(history_dir: Path) -> None:
    history = History(history_dir)
    venues, rules = ("binance", "bybit"), UniverseRules(size=6)
    at_ms = parse_iso("2022-11-09T10:00Z")
    found = select_universe(history, venues, at_ms, rules)
    assert "binanceusdm:BTC/USDT:USDT" in found.members
    assert 6 <= len(found.members) <= rules.last_rank
    later = select_universe(history, venues, found.next_ms - 1, rules)
    assert later == found
    # Every member since then was one on that very Monday, asked at that time.
    for row in found.rows:
        if row.since_ms is not None:
            then = select_universe(history, venues, row.since_ms, rules)
            assert row.id in then.members
            assert {one.id: one for one in then.rows}[row.id].since_ms == row.since_ms
