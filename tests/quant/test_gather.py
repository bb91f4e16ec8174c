from pathlib import Path

import msgspec
import numpy as np
import pytest

from perptui.estimation.panel import build_panel
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError, HistoryError
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import FundingSettlement
from perptui.quant.gather import gather, gather_all
from tests.quant.markets import (
    HOUR,
    bars_of,
    closes,
    instrument,
    market,
    write_bars,
    write_funding,
)

BTC = instrument("binanceusdm", "BTC")


def test_a_sound_series_has_no_flags_but_its_age(tmp_path: Path) -> None:
    history = History(tmp_path)
    market(history, [("binanceusdm", "BTC")], 200)
    found = gather(BTC, history, HOUR)
    assert found.flags == ()
    assert found.days == 199
    # 2,000 coins an hour at about 100 dollars and more.
    recent = history.bars("binanceusdm", "BTCUSDT", "1h", HOUR).close[-720:]
    assert found.volume_usd_day == pytest.approx(24 * 2000 * recent.mean())
    short = History(tmp_path / "short")
    market(short, [("binanceusdm", "BTC")], 60)
    assert gather(BTC, short, HOUR).flags == ("60 days of history",)


def test_absurd_funding_is_left_out_and_said(tmp_path: Path) -> None:
    history = History(tmp_path)
    market(history, [("binanceusdm", "BTC")], 60)
    known = gather(BTC, history, HOUR)
    absurd = FundingSettlement(int(known.settled.ts_ms[-1]) - HOUR_MS, 50.0, 8.0)
    good = FundingSettlement(int(known.settled.ts_ms[-1]) - 2 * HOUR_MS, 0.0003, 8.0)
    history.append(FundingSeries("binanceusdm", "BTCUSDT", (good, absurd)))
    found = gather(BTC, history, HOUR)
    assert len(found.settled.rate) == len(known.settled.rate) + 1
    assert abs(found.settled.rate).max() < 0.01
    (line,) = found.notes
    assert "binanceusdm/BTCUSDT-funding: 1 row(s) left out for a funding rate beyond 10%" in line


def test_marks_are_preferred_where_they_reach_as_far_as_trades(tmp_path: Path) -> None:
    history = History(tmp_path)
    prices = closes(1, 24 * 50)
    write_bars(history, BTC, prices[-24 * 40 :])
    write_funding(history, BTC)
    write_bars(history, BTC, 1.005 * prices, "mark-1h")
    found = gather(BTC, history, HOUR)
    # What the mark was before the contract traded is the index, and left out.
    assert len(found.closes.price) == 24 * 40
    assert found.closes.price[-1] == pytest.approx(1.005 * prices[-1])
    assert gather(BTC, history, HOUR - DAY_MS).closes.close_ms[-1] == HOUR - DAY_MS


def test_marks_that_stopped_are_not_used(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, closes(1, 24 * 40))
    write_funding(history, BTC)
    write_bars(history, BTC, 2 * closes(1, 24 * 40)[:-5], "mark-1h", HOUR - 5 * HOUR_MS)
    found = gather(BTC, history, HOUR)
    assert found.closes.price[-1] == pytest.approx(closes(1, 24 * 40)[-1])
    assert "marks end before trades: trades are used" in found.flags


def test_eight_hour_bars_stand_in_and_are_flagged(tmp_path: Path) -> None:
    history = History(tmp_path)
    end = HOUR // (8 * HOUR_MS) * 8 * HOUR_MS
    write_bars(history, BTC, closes(1, 3 * 200), "8h", end)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR)
    assert "realised variance from 3 bars a day" in found.flags
    assert found.closes.width_ms == 8 * HOUR_MS


@pytest.mark.parametrize(
    ("days", "end_ms", "message"),
    [
        (20, HOUR, "at least 30 days of history, was 20.0"),
        (60, HOUR - 30 * HOUR_MS, "up to 24 h ago, was 30 h"),
    ],
)
def test_short_and_stale_histories_are_refused(
    tmp_path: Path, days: int, end_ms: int, message: str
) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, closes(1, 24 * days), end_ms=end_ms)
    write_funding(history, BTC)
    with pytest.raises(EstimationError, match=message):
        gather(BTC, history, HOUR)


def holed(history: History, missing: int) -> None:
    rows = bars_of(closes(1, 24 * 60))
    rows = rows[: -missing - 30] + rows[-30:]
    history.append(BarSeries("binanceusdm", "BTCUSDT", "1h", rows))
    write_funding(history, BTC)


def test_a_gap_is_flagged_and_a_large_one_refused(tmp_path: Path) -> None:
    small, large = History(tmp_path / "small"), History(tmp_path / "large")
    holed(small, 30)
    assert "30 h of bars missing in 30 days" in gather(BTC, small, HOUR).flags
    holed(large, 200)
    with pytest.raises(EstimationError, match="at most 144 h of bars missing"):
        gather(BTC, large, HOUR)


def test_bad_prints_are_left_out_and_one_jump_is_flagged(tmp_path: Path) -> None:
    prices = closes(1, 24 * 60)
    prices[-100] *= 5.0
    prices[-50:] *= 1.5
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR)
    assert "1 bad print(s) left out" in found.flags
    assert len(found.closes.price) == 24 * 60 - 1
    assert any("one bar holds" in flag for flag in found.flags)


def test_a_last_bar_that_nobody_confirmed_is_flagged(tmp_path: Path) -> None:
    prices = closes(1, 24 * 60)
    prices[-1] *= 4.0
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    assert any("not confirmed" in flag for flag in gather(BTC, history, HOUR).flags)


def test_constant_and_tiny_prices_and_missing_funding_are_refused(tmp_path: Path) -> None:
    flat, tiny, bare = (History(tmp_path / name) for name in ("flat", "tiny", "bare"))
    write_bars(flat, BTC, np.full(24 * 60, 100.0))
    write_funding(flat, BTC)
    with pytest.raises(EstimationError, match="that move"):
        gather(BTC, flat, HOUR)
    wobble = 1e-13 * np.where(np.arange(24 * 60) % 2, 1.0, -1.0)
    write_bars(tiny, BTC, 100.0 * (1.0 + wobble))
    write_funding(tiny, BTC)
    with pytest.raises(EstimationError, match="check its units"):
        gather(BTC, tiny, HOUR)
    write_bars(bare, BTC, closes(1, 24 * 60))
    with pytest.raises(HistoryError, match="BTCUSDT-funding"):
        gather(BTC, bare, HOUR)
    write_funding(bare, BTC, count=2)
    with pytest.raises(EstimationError, match="3 funding settlements in 90 days, was 2"):
        gather(BTC, bare, HOUR)
    with pytest.raises(EstimationError, match="was none by then"):
        gather(BTC, bare, HOUR - 90 * DAY_MS)


def test_one_bad_contract_is_left_out_with_its_reason(tmp_path: Path) -> None:
    history = History(tmp_path)
    good = market(history, [("binanceusdm", "BTC"), ("bybit", "BTC")])
    stranger = instrument("bybit", "DOGE")
    found, left_out = gather_all((*good, stranger), history, HOUR)
    assert [one.instrument.id for one in found] == [one.id for one in good]
    assert left_out[0].startswith("bybit:DOGE/USDT:USDT: expected DOGEUSDT-1h.parquet")
    with pytest.raises(EstimationError, match="DOGE"):
        gather_all((stranger,), history, HOUR)
    with pytest.raises(EstimationError, match="no instrument was asked for"):
        gather_all((), history, HOUR)


@pytest.mark.history
def test_two_venues_with_bars_of_different_widths_meet_on_one_clock(history_dir: Path) -> None:
    # Hyperliquid has 8-hour bars and settles every hour; Binance has hourly bars, every 8 hours.
    at_ms = parse_iso("2024-08-05T12:00Z")
    there = msgspec.structs.replace(
        instrument("hyperliquid", "BTC"), venue_symbol="BTCUSDC", settle="USDC"
    )
    found, left_out = gather_all((BTC, there), History(history_dir), at_ms)
    assert left_out == ()
    assert found[1].settled.interval_h[-1] == 1.0
    assert "realised variance from 3 bars a day" in found[1].flags
    panel = build_panel([one.closes for one in found], at_ms, 365)
    assert panel.is_hourly.tolist() == [True, False]
    # Days that end four hours apart differ by four hours of prices; at one instant only the
    # venues' basis is left, a few basis points.
    apart = np.nanstd(np.diff(panel.log_price, axis=1))
    together = np.nanstd(np.diff(panel.common_log_price, axis=1))
    assert together < 0.0015 < 0.005 < apart
    here, other = panel.common_daily[np.isfinite(panel.common_daily).all(axis=1)].T
    assert float(np.mean(here * other) / np.sqrt(np.mean(here**2) * np.mean(other**2))) > 0.995
