"""What was never paid is left out; what was paid, however fast, stays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.history.dataset import History
from perptui.history.prints import (
    PRINT_BARS,
    bad_prints,
    excursions,
    unconfirmed,
    unsound,
)
from perptui.model.clock import HOUR_MS, parse_iso

HOURLY = (
    [("binance", f"{coin}USDT", kind) for coin in ("BTC", "ETH", "SOL", "XRP", "BNB")
     for kind in ("1h", "mark-1h")]
    + [("bybit", f"{coin}USDT", "1h") for coin in ("BTC", "ETH", "SOL", "XRP", "BNB")]
)  # fmt: skip
WIDE = [("binance", f"{coin}USDT", "8h") for coin in ("ADA", "ATOM", "DOT", "LINK", "LTC")] + [
    ("hyperliquid", f"{coin}USDC", "8h") for coin in ("BTC", "ETH", "SOL", "XRP", "BNB")
]


def walk(count: int = 1000, seed: int = 3) -> np.ndarray:
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.005, count)))


def test_a_close_off_both_neighbours_by_three_is_a_bad_print() -> None:
    assert bad_prints(np.array([100.0, 350.0, 101.0, 99.0])).tolist() == [False, True, False, False]
    assert bad_prints(np.array([100.0, 30.0, 101.0])).tolist() == [False, True, False]
    assert bad_prints(np.array([100.0, 600.0, 130.0])).tolist() == [False, True, False]
    # A crash that stays is a price; the last bar has nobody to confirm it.
    assert not bad_prints(np.array([100.0, 30.0, 31.0, 29.0])).any()
    assert not bad_prints(np.array([100.0, 101.0, 350.0])).any()
    assert not bad_prints(np.array([100.0, 350.0])).any()
    assert not bad_prints(np.array([100.0])).any()
    assert not bad_prints(np.empty(0)).any()


@pytest.mark.parametrize(
    ("factor", "bars"), [(2.5, 1), (1.5, 4), (0.2, 3), (10.0, 2), (0.6, 5), (50.0, 5)]
)
def test_a_few_bars_that_leave_and_come_back_are_bad_prints(factor: float, bars: int) -> None:
    price = walk()
    price[600 : 600 + bars] *= factor
    assert np.flatnonzero(bad_prints(price)).tolist() == list(range(600, 600 + bars))
    # Before they came back nobody could know, and it is said that they are not confirmed.
    for seen in range(601, 601 + bars):
        assert not bad_prints(price[:seen]).any()
        one = unconfirmed(price[:seen], HOUR_MS)
        assert one is not None
        assert (one.first, one.rows) == (600, seen - 600)
        assert one.factor == pytest.approx(factor, rel=0.03)
    assert unconfirmed(price[: 601 + bars][~bad_prints(price[: 601 + bars])], HOUR_MS) is None


def test_prints_that_come_twice_and_go_both_ways_are_all_found() -> None:
    price = walk()
    price[[500, 502, 700]] *= 2.0
    price[701] *= 0.1
    assert np.flatnonzero(bad_prints(price)).tolist() == [500, 502, 700, 701]


def test_what_lasts_stays_or_comes_back_step_by_step_is_a_price() -> None:
    longer = walk()
    longer[600 : 601 + PRINT_BARS] *= 1.6
    elsewhere = walk()
    elsewhere[600] *= 1.6
    elsewhere[601:] *= 1.25
    crash = walk()
    crash[600:606] *= np.array([0.6, 0.7, 0.78, 0.85, 0.92, 0.97])
    for price in (longer, elsewhere, crash):
        assert not bad_prints(price).any()
        assert excursions(price, HOUR_MS) == ()


def test_a_small_print_is_judged_by_how_the_series_moves() -> None:
    quiet = walk()
    # 25 deviations of 0.005 are 12.5 %.
    quiet[800] *= 1.17
    assert np.flatnonzero(bad_prints(quiet)).tolist() == [800]
    last = unconfirmed(quiet[:801], HOUR_MS)
    assert last is not None
    assert last.rows == 1
    lively = walk()
    lively[800] *= 1.1
    assert not bad_prints(lively).any()
    young = walk()
    young[200] *= 1.17
    assert not bad_prints(young).any()
    # A large print before does not hide a small one: deviations are of what is left.
    quiet[600:603] *= 5.0
    assert np.flatnonzero(bad_prints(quiet)).tolist() == [600, 601, 602, 800]


@pytest.mark.parametrize("factor", [50.0, 0.02, 4.0])
def test_days_in_another_unit_are_a_stretch(factor: float) -> None:
    price = walk()
    price[600:700] *= factor
    (one,) = excursions(price, HOUR_MS)
    assert (one.first, one.last, one.rows) == (600, 699, 100)
    assert one.factor == pytest.approx(factor, rel=0.05)
    assert np.flatnonzero(unsound(price, HOUR_MS)).tolist() == list(range(600, 700))
    assert excursions(price[:700], HOUR_MS) == ()
    open_yet = unconfirmed(price[:700], HOUR_MS)
    assert open_yet is not None
    assert open_yet.rows == 100
    # What stays for more than a week is a price.
    stays = walk()
    stays[600:780] *= factor
    assert excursions(stays, HOUR_MS) == ()
    assert unconfirmed(stays[:780], HOUR_MS) is None


@given(
    st.lists(st.sampled_from([1.0, 1.0, 1.0, 1.03, 1.5, 2.5, 40.0]), max_size=30),
    st.integers(0, 30),
)
def test_a_series_cut_at_a_time_is_judged_as_then(factors: list[float], cut: int) -> None:
    price = 100.0 * np.array(factors, dtype=np.float64)
    whole, early = bad_prints(price), bad_prints(price[:cut])
    # What had come back by then is known; only the last bars may be judged since.
    settled = max(len(early) - 2 * PRINT_BARS, 0)
    assert early[:settled].tolist() == whole[:settled].tolist()
    changed = price.copy()
    changed[cut:] *= 7.0
    assert bad_prints(changed[:cut]).tolist() == early.tolist()


@pytest.mark.history
@pytest.mark.parametrize(("venue", "symbol", "kind"), HOURLY + WIDE)
def test_no_price_of_2020_to_2025_is_taken_for_a_bad_print(
    history_dir: Path, venue: str, symbol: str, kind: str
) -> None:
    # XRP +60 % on 2023-07-13, and the crashes of 2020-03-12, 2021-05-19 and 2022-11-08 are in it.
    bars = History(history_dir).bars(venue, symbol, kind, parse_iso("2025-07-01T00:00Z"))
    assert len(bars.close) > 2000
    assert not unsound(bars.close, bars.width_ms).any()
