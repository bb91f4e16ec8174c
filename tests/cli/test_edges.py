"""Series that teach nothing or too little, from their file to what `perptui estimate` prints.

Method §14: each gives a named refusal or a flag, never a plausible number.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perptui.cli.app import run
from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import FundingSettlement
from tests.quant.markets import HOUR, bars_of, closes, instrument, write_bars, write_funding

AT = "2024-08-05T12:34:56Z"
BAD = "binanceusdm:BTC/USDT:USDT"
GOOD = "binanceusdm:ETH/USDT:USDT"
DAYS = 70
BTC, ETH = instrument("binanceusdm", "BTC"), instrument("binanceusdm", "ETH")


def market(root: Path) -> History:
    """A history with one sound contract, beside which a bad one can be put."""
    history = History(root)
    write_bars(history, ETH, closes(2, 24 * DAYS))
    write_funding(history, ETH)
    return history


def estimated(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["estimate", "--data", str(root), "--at", AT, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def refused(report: dict[str, Any]) -> str:
    """Return why the bad contract was left out: it is, and the sound one is not."""
    assert [row["id"] for row in report["instruments"]] == [GOOD]
    (line,) = report["left_out"]
    assert str(line).startswith(f"{BAD}: ")
    return str(line)


def flags(report: dict[str, Any]) -> str:
    """Return what is said of the bad contract, which takes part."""
    assert [row["id"] for row in report["instruments"]] == [BAD, GOOD]
    assert report["left_out"] == []
    return "\n".join(str(note) for note in report["notes"])


def with_prices(root: Path, prices: np.ndarray) -> None:
    history = market(root)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)


def one_jump(prices: np.ndarray, factor: float, hours_ago: int) -> np.ndarray:
    jumped = prices.copy()
    jumped[-hours_ago:] *= factor
    return jumped


WALK = closes(1, 24 * DAYS)
TINY = 100.0 * (1.0 + 1e-14 * np.where(np.arange(24 * DAYS) % 2, 1.0, -1.0))


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        (WALK[-24 * 20 :], "at least 30 days of history, was"),
        (WALK[-30:], "at least 30 days of history, was"),
        (np.full(24 * DAYS, 100.0), "that move"),
        (one_jump(np.full(24 * DAYS, 100.0), 1.2, 100), "that move, was the close before again"),
        (TINY, "check its units"),
        (100.0 * (1.0 + 1e-12 * np.sin(np.arange(24.0 * DAYS))), "check its units"),
        (WALK * 1e-14, "above 1e-09 USD"),
        (one_jump(WALK, 1000.0, 100), "on one scale of prices"),
        (one_jump(WALK, 1e-3, 100), "on one scale of prices"),
        (one_jump(WALK, 1000.0, 5), "1e+3 times what it was before 2024-08-05T08:00:00Z"),
        (one_jump(WALK, 1e-3, 5), "1e-3 times what it was before 2024-08-05T08:00:00Z"),
    ],
    ids=[
        "short", "a day", "constant", "constant but for one jump", "moves of 1e-14",
        "moves of 1e-12", "prices of 1e-12", "a thousandfold", "a thousandth",
        "a thousandfold today", "a thousandth today",
    ],
)  # fmt: skip
def test_a_series_that_teaches_nothing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prices: np.ndarray, reason: str
) -> None:
    with_prices(tmp_path, prices)
    assert reason in refused(estimated(tmp_path, capsys))


def gapped(root: Path, missing_h: int) -> None:
    history = market(root)
    rows = bars_of(WALK)
    history.append(BarSeries("binanceusdm", "BTCUSDT", "1h", rows[: -missing_h - 60] + rows[-60:]))
    write_funding(history, BTC)


def test_a_small_gap_is_flagged_and_a_large_one_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gapped(tmp_path / "small", 30)
    assert "30 h of bars missing in 30 days" in flags(estimated(tmp_path / "small", capsys))
    gapped(tmp_path / "large", 200)
    assert "at most 144 h of bars missing" in refused(estimated(tmp_path / "large", capsys))


def test_one_jump_is_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_prices(tmp_path, one_jump(WALK, 1.5, 100))
    assert "of the last variance" in flags(estimated(tmp_path, capsys))


def test_a_bad_print_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_prices(tmp_path / "sound", WALK)
    printed = WALK.copy()
    printed[-100] *= 6.0
    with_prices(tmp_path / "printed", printed)
    sound, mended = estimated(tmp_path / "sound", capsys), estimated(tmp_path / "printed", capsys)
    assert "1 bad print(s) left out" in flags(mended)
    before, after = (
        report["instruments"][0]["volatility_annual"]["ewma"] for report in (sound, mended)
    )
    assert after == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize("factor", [1000.0, 0.5])
def test_a_mark_in_other_units_than_the_last_price_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float
) -> None:
    with_prices(tmp_path, WALK)
    write_bars(History(tmp_path), BTC, factor * WALK, "mark-1h")
    reason = refused(estimated(tmp_path, capsys))
    assert f"its mark is {factor:g} times its last price" in reason


@pytest.mark.parametrize("holes", [1, 24 * DAYS])
def test_prices_that_are_no_numbers_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], holes: int
) -> None:
    with_prices(tmp_path, WALK)
    file = tmp_path / "binance" / "BTCUSDT-1h.parquet"
    table = pq.read_table(file)
    close = table.column("close").to_numpy().copy()
    close[-holes - 24 : -24 if holes == 1 else None] = np.nan
    place = table.schema.get_field_index("close")
    pq.write_table(table.set_column(place, "close", pa.array(close, from_pandas=False)), file)
    report = estimated(tmp_path, capsys)
    if holes == 1:
        assert "1 row(s) left out for a value that is not a number" in flags(report)
        assert "1 h of bars missing in 30 days" in flags(report)
    else:
        assert "no bars by then" in refused(report)


def test_a_funding_interval_that_its_stamps_contradict_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = market(tmp_path)
    write_bars(history, BTC, WALK)
    last = HOUR // (8 * HOUR_MS) * 8 * HOUR_MS
    rows = tuple(
        FundingSettlement(last - k * 4 * HOUR_MS, 1e-4 * (1 + k % 3), 8.0) for k in range(200)
    )
    history.append(FundingSeries("binanceusdm", "BTCUSDT", rows[::-1]))
    reason = refused(estimated(tmp_path, capsys))
    assert "settled every 8 h as stated, was 4 h apart, 10 of the last 10 time(s)" in reason


def test_a_market_of_bad_series_alone_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, np.full(24 * DAYS, 100.0))
    write_funding(history, BTC)
    assert run(["estimate", "--data", str(tmp_path), "--at", AT, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "that move" in err
