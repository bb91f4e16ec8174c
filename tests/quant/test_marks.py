"""Marks are taken for prices only where trades agree with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.jobs import BarSeries
from perptui.quant.gather import Gathered, gather
from perptui.quant.marks import apart
from tests.quant.markets import HOUR, bars_of, closes, instrument, write_bars, write_funding

BTC = instrument("binanceusdm", "BTC")
PRICES = closes(1, 24 * 200)
FULL = len(PRICES)


def gathered(root: Path, change: Callable[[np.ndarray], np.ndarray]) -> Gathered:
    history = History(root)
    write_bars(history, BTC, PRICES)
    write_funding(history, BTC)
    write_bars(history, BTC, change(PRICES.copy()), "mark-1h")
    return gather(BTC, history, HOUR)


def times(factor: float, rows: slice) -> Callable[[np.ndarray], np.ndarray]:
    def change(prices: np.ndarray) -> np.ndarray:
        prices[rows] *= factor
        return prices

    return change


@pytest.mark.parametrize("factor", [1.005, 1.0, 0.995])
def test_marks_that_agree_are_the_price(tmp_path: Path, factor: float) -> None:
    found = gathered(tmp_path, times(factor, slice(None)))
    assert (found.priced, found.flags) == ("mark-1h", ())
    np.testing.assert_array_equal(found.closes.price, factor * PRICES)


@pytest.mark.parametrize(
    ("factor", "rows", "flag"),
    [
        (1000.0, slice(None), "marks are 1000 times trades in the median of 30 days"),
        (1.02, slice(None), "marks are 1.02 times trades in the median of 30 days"),
        (2.5, slice(-50, -40), "marks are off trades by more than 1.5 times in 10 bars"),
    ],
)
def test_marks_that_contradict_trades_are_not_used(
    tmp_path: Path, factor: float, rows: slice, flag: str
) -> None:
    found = gathered(tmp_path, times(factor, rows))
    assert (found.priced, found.flags) == ("1h", (f"{flag}: trades are used",))
    np.testing.assert_array_equal(found.closes.price, PRICES)


def test_a_mark_off_trades_for_hours_is_said(tmp_path: Path) -> None:
    found = gathered(tmp_path / "off", times(1.08, slice(-50, -40)))
    assert found.priced == "mark-1h"
    assert "mark more than 5% off trades in 10 h of 30 days" in found.flags
    short = gathered(tmp_path / "short", times(1.06, slice(-50, -48)))
    assert not any("off trades" in flag for flag in short.flags)


def test_trades_in_other_units_say_nothing_against_marks(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, times(50.0, slice(-150, -50))(PRICES.copy()))
    write_funding(history, BTC)
    write_bars(history, BTC, PRICES, "mark-1h")
    found = gather(BTC, history, HOUR)
    assert (found.priced, found.flags) == ("mark-1h", ())
    np.testing.assert_array_equal(found.closes.price, PRICES)


def test_a_hole_in_the_marks_alone_falls_back_to_trades_and_says_so(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, PRICES)
    write_funding(history, BTC)
    marks = bars_of(PRICES)
    history.append(BarSeries("binanceusdm", "BTCUSDT", "mark-1h", marks[:-200] + marks[-128:]))
    found = gather(BTC, history, HOUR)
    assert (found.priced, found.flags) == ("1h", ("72 h of marks missing: trades are used",))
    assert len(found.closes.price) == FULL
    # Before the hole marks were whole.
    assert gather(BTC, history, HOUR - 200 * HOUR_MS).priced == "mark-1h"


def test_a_mark_within_half_of_the_last_price_is_its_own() -> None:
    assert apart(1872899.97, 1872.84) == "its mark is 1000 times its last price, mend the units"
    assert [apart(ratio, 1.0) for ratio in (0.67, 1.0, 1.49)] == ["", "", ""]
    assert apart(1.51, 1.0)
    assert apart(0.66, 1.0)
