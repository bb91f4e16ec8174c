import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perptui.history.parquet import read_columns
from perptui.model.errors import HistoryError

HOUR_MS = 3_600_000
STAMPS = np.arange(5, dtype=np.int64) * HOUR_MS + 1_600_000_000_000


def written(file: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


@pytest.mark.parametrize(
    "stamps",
    [
        pa.array(STAMPS, pa.timestamp("ms", tz="UTC")),
        pa.array(STAMPS * 1000, pa.timestamp("us", tz="UTC")),
        pa.array(STAMPS * 1_000_000, pa.timestamp("ns", tz="UTC")),
        pa.array(STAMPS, pa.timestamp("ms")),
        pa.array(STAMPS, pa.int64()),
    ],
    ids=str,
)
def test_stamps_of_any_unit_are_milliseconds(tmp_path: Path, stamps: pa.Array) -> None:
    found = read_columns(written(tmp_path / "x.parquet", ts=stamps), ("ts",))
    assert found["ts"].tolist() == STAMPS.tolist()


def test_numbers_come_as_they_are_and_holes_as_nan(tmp_path: Path) -> None:
    file = written(
        tmp_path / "x.parquet",
        whole=pa.array([3, 1, 2], pa.int16()),
        single=pa.array([0.5, -1.5, 2.0], pa.float32()),
        holes=pa.array([1.0, None, 3.0], pa.float64()),
        other=pa.array(["a", "b", "c"]),
    )
    found = read_columns(file, ("whole", "single", "holes"))
    assert found["whole"].tolist() == [3, 1, 2]
    assert found["single"].tolist() == [0.5, -1.5, 2.0]
    np.testing.assert_array_equal(found["holes"], [1.0, np.nan, 3.0])
    with pytest.raises(HistoryError, match="column other holds string"):
        read_columns(file, ("other",))
    with pytest.raises(HistoryError, match=r"expected absent in .*x\.parquet"):
        read_columns(file, ("absent",))


def test_a_file_of_several_row_groups_and_an_empty_one(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=1000)
    pq.write_table(pa.table({"v": values}), tmp_path / "x.parquet", row_group_size=99)
    assert read_columns(tmp_path / "x.parquet", ("v",))["v"].tolist() == values.tolist()
    empty = written(tmp_path / "y.parquet", v=pa.array([], pa.float64()))
    assert len(read_columns(empty, ("v",))["v"]) == 0


def test_reading_and_appending_import_no_pandas(tmp_path: Path) -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\n"
            "from perptui.history.dataset import History\n"
            "from perptui.model.jobs import FundingSeries\n"
            "from perptui.model.market import FundingSettlement as Settled\n"
            f"root = pathlib.Path({str(tmp_path)!r})\n"
            "rows = (Settled(1_600_000_000_000, 1e-4, 8.0),)\n"
            "History(root).append(FundingSeries('binanceusdm', 'BTCUSDT', rows))\n"
            "print(History(root).funding('binanceusdm', 'BTCUSDT', 2**60).rate.tolist())\n"
            "print('pandas' in sys.modules, 'pyarrow.compute' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "[0.0001]\nFalse False\n"
