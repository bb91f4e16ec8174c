import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.errors import HistoryError
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import Bar, FundingSettlement
from tests.quant.markets import HOUR, closes, instrument, write_bars

START = parse_iso("2024-08-05T00:00Z")


def bar(hour: int, close: float = 50_000.0) -> Bar:
    return Bar(START + hour * HOUR_MS, close - 5.0, close + 20.0, close - 30.0, close, 12.5)


def series(*bars: Bar, kind: str = "1h", symbol: str = "BTCUSDT") -> BarSeries:
    return BarSeries("binanceusdm", symbol, kind, bars)


def test_only_closed_bars_are_known(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(series(*(bar(hour, 50_000.0 + hour) for hour in range(5))))
    known = history.bars("binanceusdm", "BTCUSDT", "1h", START + 3 * HOUR_MS)
    assert known.close.tolist() == [50_000.0, 50_001.0, 50_002.0]
    assert int(known.close_ms[-1]) == START + 3 * HOUR_MS
    just_before = history.bars("binanceusdm", "BTCUSDT", "1h", START + 3 * HOUR_MS - 1)
    assert len(just_before.ts_ms) == 2


def test_a_mark_close_is_known_an_hour_after_its_stamp_and_has_no_other_columns(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    history.append(series(bar(0, 51_000.0), bar(1, 52_000.0), kind="mark-1h"))
    marks = history.bars("binanceusdm", "BTCUSDT", "mark-1h", START + HOUR_MS)
    assert marks.close.tolist() == [51_000.0]
    assert np.isnan(marks.open).all()
    assert np.isnan(marks.volume).all()


def test_funding_is_known_when_it_settles(tmp_path: Path) -> None:
    history = History(tmp_path)
    rows = tuple(
        FundingSettlement(START + hour * HOUR_MS, rate, interval)
        for hour, rate, interval in [(0, 1e-4, 8.0), (8, -2e-4, 8.0), (12, 3e-4, 4.0)]
    )
    history.append(FundingSeries("bybit", "BTCUSDT", rows))
    settled = history.funding("bybit", "BTCUSDT", START + 8 * HOUR_MS)
    assert settled.rate.tolist() == [1e-4, -2e-4]
    whole = history.funding("bybit", "BTCUSDT", START + 12 * HOUR_MS)
    assert whole.interval_h.tolist() == [8.0, 8.0, 4.0]


def test_files_have_the_layout_and_the_rights_that_the_design_states(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    history.append(series(bar(0), bar(1)))
    history.append(FundingSeries("binanceusdm", "BTCUSDT", (FundingSettlement(START, 1e-4, 8.0),)))
    file = tmp_path / "history" / "binance" / "BTCUSDT-1h.parquet"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    frame = pd.read_parquet(file)
    assert list(frame.columns) == ["ts", "open", "high", "low", "close", "volume"]
    assert frame["ts"].tolist() == [
        pd.Timestamp("2024-08-05 00:00", tz="UTC"),
        pd.Timestamp("2024-08-05 01:00", tz="UTC"),
    ]
    schema = pq.read_schema(file.with_name("BTCUSDT-funding.parquet"))
    assert schema.field("interval_hours").type == pa.int16()
    assert sorted(entry.name for entry in file.parent.iterdir()) == [
        "BTCUSDT-1h.parquet",
        "BTCUSDT-funding.parquet",
    ]


def test_what_is_kept_is_left_alone_and_what_is_new_is_merged(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(series(bar(1, 50_001.0), bar(2, 50_002.0)))
    before = history.version
    assert history.append(series(bar(1, 99.0), bar(2, 98.0))) == ()
    assert history.version == before
    history.append(series(bar(0, 50_000.0), bar(2, 98.0), bar(3, 50_003.0)))
    assert history.version > before
    again = History(tmp_path).bars("binanceusdm", "BTCUSDT", "1h", START + 9 * HOUR_MS)
    assert again.close.tolist() == [50_000.0, 50_001.0, 50_002.0, 50_003.0]


def test_bad_rows_are_refused_in_words(tmp_path: Path) -> None:
    history = History(tmp_path)
    wrong = Bar(START + HOUR_MS, 10.0, 9.0, 8.0, 8.5, 1.0)
    notes = history.append(series(bar(3), wrong, bar(0), bar(3), bar(4), bar(4, 40_000.0)))
    assert any("open or close outside of low and high" in line for line in notes)
    assert any("a stamp that is there already" in line for line in notes)
    assert any("2 row(s) left out for a stamp of rows that differ" in line for line in notes)
    assert any("out of order" in line for line in notes)
    kept = history.bars("binanceusdm", "BTCUSDT", "1h", START + 9 * HOUR_MS)
    assert kept.close.tolist() == [50_000.0, 50_000.0]
    assert history.all_notes()
    assert history.notes("binanceusdm", "BTCUSDT", "1h", START) == ()
    assert len(history.notes("binanceusdm", "BTCUSDT", "1h", START + 9 * HOUR_MS)) == 4


def test_a_bad_bar_is_not_spoken_of_before_it_closed(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(series(bar(0), Bar(START + HOUR_MS, 10.0, 9.0, 8.0, 8.5, 1.0)))
    named = ("binanceusdm", "BTCUSDT", "1h")
    assert history.notes(*named, START + 2 * HOUR_MS - 1) == ()
    (line,) = history.notes(*named, START + 2 * HOUR_MS)
    assert line.endswith("first 2024-08-05T01:00:00Z")


@pytest.mark.parametrize("stamp", [None, -1, 2**60])
def test_a_row_without_a_stamp_condemns_its_file(tmp_path: Path, stamp: int | None) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    stamps = pa.array([START, stamp], pa.timestamp("ms", tz="UTC"))
    pq.write_table(
        pa.table({"ts": stamps, "mark_price": [1.0, 2.0]}), folder / "BTCUSDT-mark-1h.parquet"
    )
    with pytest.raises(
        HistoryError, match=r"a stamp .* of .*BTCUSDT-mark-1h\.parquet, was none in 1"
    ):
        History(tmp_path).bars("binanceusdm", "BTCUSDT", "mark-1h", START)


def test_reach_names_the_last_stamp_of_each_series(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(series(bar(0), bar(4)))
    history.append(series(bar(2), kind="mark-1h", symbol="BTC-USDT-SWAP"))
    history.append(FundingSeries("bybit", "ETHUSDT", (FundingSettlement(START, 1e-4, 8.0),)))
    expected = {
        "binanceusdm/BTCUSDT-1h": START + 4 * HOUR_MS,
        "binanceusdm/BTC-USDT-SWAP-mark-1h": START + 2 * HOUR_MS,
        "bybit/ETHUSDT-funding": START,
    }
    assert history.reach() == expected
    assert History(tmp_path).reach() == expected
    assert history.venues() == ("binanceusdm",)
    assert history.symbols("binance") == ("BTCUSDT",)
    assert History(tmp_path / "nowhere").reach() == {}


def test_a_missing_series_and_a_strange_name_are_named(tmp_path: Path) -> None:
    history = History(tmp_path)
    with pytest.raises(HistoryError, match=r"BTCUSDT-1h\.parquet"):
        history.bars("binanceusdm", "BTCUSDT", "1h", START)
    with pytest.raises(HistoryError, match="plain name"):
        history.bars("binanceusdm", "../../etc/passwd", "1h", START)
    with pytest.raises(HistoryError, match="a kind of"):
        history.has("binanceusdm", "BTCUSDT", "5m")
    with pytest.raises(HistoryError, match="bars of 1h"):
        history.append(series(bar(0), kind="funding"))


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    (folder / "BTCUSDT-1h.parquet").write_bytes(b"not parquet at all")
    pq.write_table(pa.table({"ts": [1, 2]}), folder / "ETHUSDT-1h.parquet")
    history = History(tmp_path)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        with pytest.raises(HistoryError, match=f"{symbol}-1h"):
            history.bars("binanceusdm", symbol, "1h", START)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(series(bar(0)))
    blocked = tmp_path / "binance" / "ETHUSDT-1h.parquet"
    blocked.mkdir()
    with pytest.raises(HistoryError, match="expected to write"):
        history.append(series(bar(0), symbol="ETHUSDT"))
    assert sorted(entry.name for entry in blocked.parent.iterdir()) == [
        "BTCUSDT-1h.parquet",
        "ETHUSDT-1h.parquet",
    ]


@pytest.mark.history
def test_the_real_history_reads_as_pandas_reads_it(history_dir: Path) -> None:
    history = History(history_dir)
    frame = pd.read_parquet(history_dir / "binance" / "SOLUSDT-1h.parquet")
    end = pd.Timestamp("2022-03-01", tz="UTC")
    expected = frame[frame["ts"] + pd.Timedelta("1h") <= end]
    bars = history.bars("binanceusdm", "SOLUSDT", "1h", int(end.timestamp() * 1000))
    np.testing.assert_array_equal(bars.close, expected["close"].to_numpy())
    assert pd.Timestamp(int(bars.ts_ms[-1]), unit="ms", tz="UTC") == expected["ts"].iloc[-1]
    assert "BTCUSDT" in history.symbols("bybit")
    assert not any("spot" in symbol for symbol in history.symbols("binance"))
    depth = history.depth("binance", "BTCUSDT", parse_iso("2023-01-01T08:00Z"))
    assert depth.bid.tolist() == [pytest.approx(4978.3083)]
    assert history.reach()["bybit/SOLUSDT-1h"] == parse_iso("2025-06-30T23:00Z")


def test_hourly_bars_speak_once_they_reach_far_enough(tmp_path: Path) -> None:
    aligned = HOUR // (8 * HOUR_MS) * 8 * HOUR_MS
    history = History(tmp_path)
    one = instrument("binanceusdm", "BTC")
    write_bars(history, one, closes(1, 3 * 300), "8h", aligned)
    write_bars(history, one, closes(1, 26))
    venue, symbol = one.venue, one.venue_symbol
    assert history.traded(venue, symbol, HOUR).width_ms == 8 * HOUR_MS
    older = History(tmp_path / "older")
    write_bars(older, one, closes(1, 3 * 300), "8h", aligned)
    write_bars(older, one, closes(1, 24 * 181))
    assert older.traded(venue, symbol, HOUR).width_ms == HOUR_MS
    stopped = History(tmp_path / "stopped")
    write_bars(stopped, one, closes(1, 3 * 300), "8h", aligned)
    write_bars(stopped, one, closes(1, 24 * 250), end_ms=HOUR - 72 * HOUR_MS)
    assert stopped.traded(venue, symbol, HOUR).width_ms == 8 * HOUR_MS
