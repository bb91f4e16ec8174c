"""Nothing that comes later has any influence: fifty random times, files that end there."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perptui.history.dataset import History
from perptui.model.clock import MINUTE_MS, iso, parse_iso
from perptui.model.jobs import EstimateJob
from perptui.quant.estimate import Estimator, estimate
from tests.quant.markets import BALANCED, TACTICAL, instrument, snapshot

FIRST, LAST = parse_iso("2021-03-01T00:00Z"), parse_iso("2025-06-30T23:00Z")
TIMES, SEED = 50, 20221231
CONTRACTS = tuple(
    instrument(venue, coin)
    for venue, coin in (
        ("binanceusdm", "ADA"),
        ("binanceusdm", "BTC"),
        ("binanceusdm", "ETH"),
        ("bybit", "BTC"),
    )
)


def tables_in(source: Path) -> dict[Path, pa.Table]:
    """Return these contracts' files by their path below `source`."""
    return {
        file.relative_to(source): pq.read_table(file)
        for one in CONTRACTS
        for file in sorted(
            (source / one.venue.removesuffix("usdm")).glob(f"{one.venue_symbol}-*.parquet")
        )
    }


def cut(tables: dict[Path, pa.Table], target: Path, at_ms: int) -> None:
    """Write files without the rows stamped after `at_ms`."""
    for path, table in tables.items():
        kept = pc.less_equal(pc.cast(table.column("ts"), "int64"), at_ms)
        (target / path).parent.mkdir(exist_ok=True, parents=True)
        # As fast as it can be written: they are read once.
        plainly = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pq.write_table(table.filter(kept), target / path, **plainly)


@pytest.mark.history
@pytest.mark.slow
def test_every_estimate_has_the_same_bytes_when_the_files_end_there(
    history_dir: Path, tmp_path: Path
) -> None:
    times = np.sort(np.random.default_rng(SEED).integers(FIRST, LAST, TIMES)) // MINUTE_MS
    kept, tables = Estimator(History(history_dir)), tables_in(history_dir)
    for number, minute in enumerate(times.tolist()):
        at_ms = minute * MINUTE_MS
        ended = tmp_path / str(number)
        cut(tables, ended, at_ms)
        job = EstimateJob(snapshot(CONTRACTS, at_ms), (BALANCED, TACTICAL)[number % 2])
        whole = msgspec.msgpack.encode(kept.estimate(job))
        assert msgspec.msgpack.encode(estimate(job, History(ended))) == whole, iso(at_ms)
