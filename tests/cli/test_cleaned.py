from pathlib import Path

import msgspec
import pytest

from perptui.cli.cleaned import cleaned_series
from perptui.history.dataset import History
from perptui.model.cleaning import CleanedSeries, LeftOutRows, MissingTime
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.jobs import BarSeries
from perptui.model.market import Bar
from tests.quant.markets import HOUR, bars_of, closes, instrument, write_funding

BTC = instrument("binanceusdm", "BTC")
NAMED = [("binance", "BTCUSDT")]


def written(root: Path) -> History:
    history = History(root)
    prices = closes(1, 24 * 40)
    prices[-200] *= 7.0
    prices[-100:-90] = prices[-100]
    rows = bars_of(prices)
    wrong = Bar(rows[-30].ts_ms, 10.0, 9.0, 8.0, 8.5, 1.0)
    kept = (*rows[:-31], wrong, *rows[-29:])
    history.append(BarSeries("binanceusdm", "BTCUSDT", "1h", (kept[1], kept[0], *kept[2:])))
    write_funding(history, BTC)
    return history


def test_everything_that_was_done_is_in_the_record(tmp_path: Path) -> None:
    bars, funding = cleaned_series(written(tmp_path), NAMED, HOUR)
    assert bars.series == "binanceusdm/BTCUSDT-1h"
    assert (bars.rows, bars.kept, bars.out_of_order) == (959, 958, 1)
    assert bars.first == "2024-06-26T12:00:00Z"
    assert bars.left_out == (
        LeftOutRows(
            "open or close outside of low and high",
            1,
            "2024-08-04T06:00:00Z",
            "2024-08-04T06:00:00Z",
        ),
    )
    # The row that was refused and the one that never came.
    assert bars.gaps == (MissingTime("2024-08-04T05:00:00Z", "2024-08-04T07:00:00Z", 2.0),)
    assert bars.bad_prints == ("2024-07-28T04:00:00Z",)
    assert [(one.what, one.rows) for one in bars.suspect] == [("stuck", 10)]
    assert (funding.series, funding.rows, funding.gaps) == (
        "binanceusdm/BTCUSDT-funding",
        200,
        (),
    )
    assert msgspec.json.decode(msgspec.json.encode(bars), type=CleanedSeries) == bars


def test_nothing_younger_is_spoken_of(tmp_path: Path) -> None:
    early, _ = cleaned_series(written(tmp_path), NAMED, HOUR - 20 * DAY_MS)
    assert (early.left_out, early.gaps, early.bad_prints, early.suspect) == ((), (), (), ())
    assert early.out_of_order == 1
    none, _ = cleaned_series(written(tmp_path / "other"), NAMED, HOUR - 40 * DAY_MS)
    assert (none.rows, none.first) == (0, None)
    one, _ = cleaned_series(written(tmp_path / "one"), NAMED, HOUR - 40 * DAY_MS + HOUR_MS)
    assert (one.rows, one.out_of_order) == (1, 0)


@pytest.mark.parametrize("content", [b"no parquet at all", b""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    written(tmp_path)
    (tmp_path / "binance" / "BTCUSDT-1h.parquet").write_bytes(content)
    (found,) = cleaned_series(History(tmp_path), NAMED, HOUR)
    assert found.series == "binanceusdm/BTCUSDT"
    assert "BTCUSDT-1h.parquet" in found.error
