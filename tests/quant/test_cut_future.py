"""Nothing that comes later has any influence: fifty random times, files that end there."""

from pathlib import Path

import msgspec
import numpy as np
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


def cut(source: Path, target: Path, at_ms: int) -> None:
    """Copy these contracts' files without the rows stamped after `at_ms`."""
    for one in CONTRACTS:
        folder = one.venue.removesuffix("usdm")
        for file in (source / folder).glob(f"{one.venue_symbol}-*.parquet"):
            table = pq.read_table(file)
            stamps = pc.cast(table.column("ts"), "int64")
            copy = target / folder / file.name
            copy.parent.mkdir(exist_ok=True)
            pq.write_table(table.filter(pc.less_equal(stamps, at_ms)), copy)


@pytest.mark.history
@pytest.mark.slow
def test_every_estimate_has_the_same_bytes_when_the_files_end_there(
    history_dir: Path, tmp_path: Path
) -> None:
    times = np.sort(np.random.default_rng(SEED).integers(FIRST, LAST, TIMES)) // MINUTE_MS
    kept = Estimator(History(history_dir))
    for number, minute in enumerate(times.tolist()):
        at_ms = minute * MINUTE_MS
        ended = tmp_path / str(number)
        ended.mkdir()
        cut(history_dir, ended, at_ms)
        job = EstimateJob(snapshot(CONTRACTS, at_ms), (BALANCED, TACTICAL)[number % 2])
        whole = msgspec.msgpack.encode(kept.estimate(job))
        assert msgspec.msgpack.encode(estimate(job, History(ended))) == whole, iso(at_ms)
