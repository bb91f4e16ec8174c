from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.funding.forecast import Settled
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError
from perptui.model.jobs import BarSeries
from perptui.model.market import Bar
from perptui.quant.gather import gather
from perptui.quant.soundness import check_funding, funding_flags, recent_shift
from tests.quant.markets import HOUR, bars_of, closes, instrument, write_bars, write_funding

BTC = instrument("binanceusdm", "BTC")


def gathered_flags(root: Path, prices: np.ndarray, **volumes: slice) -> tuple[str, ...]:
    history = History(root)
    bars = [
        Bar(bar.ts_ms, bar.open, bar.high, bar.low, bar.close, 2_000.0) for bar in bars_of(prices)
    ]
    if "idle" in volumes:
        bars[volumes["idle"]] = [
            Bar(bar.ts_ms, bar.open, bar.high, bar.low, bar.close, 0.0)
            for bar in bars[volumes["idle"]]
        ]
    history.append(BarSeries("binanceusdm", "BTCUSDT", "1h", tuple(bars)))
    write_funding(history, BTC)
    return gather(BTC, history, HOUR).flags


def test_a_stretch_of_another_scale_is_left_out_and_said(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-300:-200] *= 1000.0
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR)
    assert "100 bar(s) of another scale left out" in found.flags
    assert len(found.closes.price) == 24 * 200 - 100
    assert found.closes.price.max() < 1000.0


def test_a_scale_that_stays_starts_the_history_anew(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-24 * 60 :] *= 1000.0
    assert f"{24 * 140} bar(s) of another scale left out" in gathered_flags(tmp_path, prices)


def test_a_new_scale_that_is_too_young_is_refused(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-24 * 3 :] /= 1000.0
    with pytest.raises(EstimationError, match=r"on one scale of prices, was 3\.0 since 2024-08-02"):
        gathered_flags(tmp_path, prices)


def test_a_feed_that_stands_still_is_flagged_and_a_dead_one_refused(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-40:-30] = prices[-40]
    flags = gathered_flags(tmp_path / "stuck", prices)
    assert "close unchanged for 10 bars up to 2024-08-04T06:00:00Z" in flags
    prices[-24 * 20 :] = prices[-1]
    with pytest.raises(EstimationError, match="that move, was the close before again in 67%"):
        gathered_flags(tmp_path / "dead", prices)


def test_hours_without_volume_are_counted_and_none_at_all_is_refused(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    flags = gathered_flags(tmp_path / "quiet", prices, idle=slice(-50, -40))
    assert "no volume in 10 of 720 bars" in flags
    with pytest.raises(EstimationError, match=r"expected trades of .* in 30 days, was no volume"):
        gathered_flags(tmp_path / "dead", prices, idle=slice(-720, None))


def settled(hours: list[int], interval: float) -> Settled:
    stamps = HOUR + HOUR_MS * np.array(hours, dtype=np.int64)
    count = len(hours)
    return Settled(stamps, np.full(count, 1e-4), np.full(count, interval))


@pytest.mark.parametrize(
    ("hours", "interval", "expected"),
    [
        ([-32, -24, -16, -8, 0], 8.0, ()),
        ([-40, -32, -8, 0], 8.0, ("2 funding settlement(s) missing in 30 days",)),
        (
            [-16, -8, -4, 0],
            8.0,
            ("funding interval says 8 h, stamps are 4 h apart, 2 time(s) in 30 days",),
        ),
        ([-36, -28, -20], 8.0, ("last funding settled 20 h ago",)),
        ([-3 * 720, -8, 0], 8.0, ()),
    ],
)
def test_odd_funding_is_said(hours: list[int], interval: float, expected: tuple[str, ...]) -> None:
    assert funding_flags(settled(hours, interval), HOUR) == expected


def test_recent_bars_and_depth_are_gathered_for_the_cost_of_leaving(tmp_path: Path) -> None:
    history = History(tmp_path)
    prices = closes(1, 24 * 60)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR).traded
    assert len(found.close) == 720
    assert int(found.close_ms[-1]) == HOUR
    assert int(found.close_ms[0]) == HOUR - 30 * DAY_MS + HOUR_MS
    assert found.half_tick == pytest.approx(0.01 / prices[-1] / 2)
    assert not len(found.depth_usd)


@pytest.mark.history
def test_real_depth_comes_in_dollars(history_dir: Path) -> None:
    at_ms = HOUR // DAY_MS * DAY_MS
    found = gather(BTC, History(history_dir), at_ms).traded
    assert len(found.depth_usd) == 90
    # Some 2,000 BTC a side within 1 % in August 2024, as the file itself says.
    book = History(history_dir).depth("binance", "BTCUSDT", at_ms)
    coins = (book.bid[-90:].mean() + book.ask[-90:].mean()) / 2
    assert found.depth_usd.mean() == pytest.approx(coins * found.close.mean(), rel=0.05)


def test_a_price_that_came_back_to_its_scale_or_jumped_once_has_not_shifted(tmp_path: Path) -> None:
    history = History(tmp_path)
    prices = closes(1, 24 * 40)
    prices[-20:-10] *= 1000.0
    prices[-5] *= 1000.0
    prices[-3:] *= 0.2
    write_bars(history, BTC, prices)
    bars = history.bars("binanceusdm", "BTCUSDT", "1h", HOUR)
    assert recent_shift(bars) == ""
    inside = history.bars("binanceusdm", "BTCUSDT", "1h", HOUR - 12 * HOUR_MS)
    assert recent_shift(inside).startswith(
        "its price is 1e+3 times what it was before 2024-08-04T1"
    )
    assert recent_shift(history.bars("binanceusdm", "BTCUSDT", "1h", 0)) == ""


def rates(rate: np.ndarray, interval: float = 8.0, apart_h: int = 8) -> Settled:
    stamps = HOUR - apart_h * HOUR_MS * np.arange(len(rate), dtype=np.int64)[::-1]
    return Settled(stamps, rate, np.full(len(rate), interval))


def test_intervals_that_their_stamps_contradict_are_refused() -> None:
    usual = np.full(200, 1e-4)
    check_funding(BTC, rates(usual))
    check_funding(BTC, rates(usual / 8, 1.0, 1))
    with pytest.raises(EstimationError, match=r"every 1 h as stated, was 8 h apart, 10 of the"):
        check_funding(BTC, rates(usual, 1.0))
    with pytest.raises(EstimationError, match=r"BTC/USDT:USDT settled every 8 h .* was 4 h apart"):
        check_funding(BTC, rates(usual, 8.0, 4))
    # Five of ten that are missing are flagged, not refused; an interval that changed is sound.
    holed = settled([-120, -104, -88, -72, -56, -40, -32, -24, -16, -8, 0], 8.0)
    check_funding(BTC, holed)
    assert "stamps are 16 h apart, 5 time(s)" in " ".join(funding_flags(holed, HOUR))
    hours = np.array([-40, -32, -24, -16, -8, -6, -4, -2, 0])
    stated = np.array([8.0, 8, 8, 8, 8, 2, 2, 2, 2])
    check_funding(BTC, Settled(HOUR + HOUR_MS * hours, np.full(9, 1e-4), stated))


def test_rates_in_percent_are_refused() -> None:
    found = 1e-4 + 5e-5 * np.random.default_rng(3).standard_normal(200)
    check_funding(BTC, rates(found))
    with pytest.raises(EstimationError, match=r"fractions of notional, was 1\.0.% per 8 h"):
        check_funding(BTC, rates(100 * found))
    # Two hours at the cap through a week of a month, as after FTX, are dear but true.
    crash = rates(np.concatenate([found, np.full(60, -0.02)]), 2.0, 2)
    check_funding(BTC, crash)
    # Hours of a contract that has just begun say nothing of its scale.
    check_funding(BTC, rates(np.full(10, 8e-4), 1.0, 1))


def test_funding_that_fell_silent_is_said_and_one_that_never_spoke_is_not() -> None:
    silent = np.concatenate([np.full(100, 1e-4), np.zeros(95)])
    (said,) = funding_flags(rates(silent), HOUR)
    assert said == "funding zero for 30 days and not before: its feed may be dead"
    assert funding_flags(rates(silent[:-10]), HOUR - 80 * HOUR_MS) == ()
    assert funding_flags(rates(np.zeros(200)), HOUR) == ()


@pytest.mark.history
def test_no_real_funding_is_refused(history_dir: Path) -> None:
    """The spring of 2021, the week after FTX, Hyperliquid's first months, a crash, the end."""
    history, checked = History(history_dir), 0
    for text in (
        "2021-02-23",
        "2021-05-20",
        "2022-11-13",
        "2023-06-20",
        "2024-08-05",
        "2025-06-30",
    ):
        at_ms = parse_iso(f"{text}T12:00Z")
        for venue in ("binance", "bybit", "hyperliquid"):
            for symbol in history.symbols(venue):
                found = history.funding(venue, symbol, at_ms)
                if len(found.ts_ms) > 3:
                    check_funding(BTC, Settled(found.ts_ms, found.rate, found.interval_h))
                    checked += 1
    assert checked > 90


@pytest.mark.parametrize(
    ("factor", "bars"), [(2.5, 1), (1.5, 4), (0.2, 3), (10.0, 2), (50.0, 5), (1.3, 1)]
)
def test_what_left_and_came_back_does_not_move_the_closes(
    tmp_path: Path, factor: float, bars: int
) -> None:
    prices = closes(1, 24 * 200)
    prices[-60 : -60 + bars] *= factor
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR)
    assert f"{bars} bad print(s) left out" in found.flags
    left = np.delete(prices, np.arange(len(prices) - 60, len(prices) - 60 + bars))
    np.testing.assert_array_equal(found.closes.price, left)
    # One bar before it came back nobody could know.
    before = gather(BTC, history, HOUR - (60 - bars) * HOUR_MS)
    assert any(flag.endswith("not confirmed") for flag in before.flags)
    assert len(before.closes.price) == 24 * 200 - 60 + bars


def test_days_in_other_units_are_left_out_and_said(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-300:-200] *= 50.0
    prices[-1000:-990] *= 4.0
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = gather(BTC, history, HOUR)
    (flag,) = (one for one in found.flags if one.startswith("prices x"))
    assert flag.endswith("for 100 h and 1 shorter stretch(es) left out")
    left = np.delete(prices, np.r_[-300:-200, -1000:-990])
    np.testing.assert_array_equal(found.closes.price, left)
    inside = gather(BTC, history, HOUR - 250 * HOUR_MS).flags
    assert any("50 bars ago, not confirmed" in flag for flag in inside)


def test_two_opposite_moves_that_hold_the_variance_are_said(tmp_path: Path) -> None:
    prices = closes(1, 24 * 200)
    prices[-60:-40] *= 1.6
    assert any(
        flag.startswith("two opposite moves hold") for flag in gathered_flags(tmp_path, prices)
    )
