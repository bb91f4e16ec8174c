"""Nothing that comes later has any influence: fifty random times, files that end there."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.clock import MINUTE_MS, iso, parse_iso
from perptui.model.jobs import EstimateJob
from perptui.quant.estimate import Estimator, estimate
from tests.quant.cut import tables_in, write_until
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


@pytest.mark.history
@pytest.mark.slow
@pytest.mark.unmeasured
def test_every_estimate_has_the_same_bytes_when_the_files_end_there(
    history_dir: Path, tmp_path: Path
) -> None:
    times = np.sort(np.random.default_rng(SEED).integers(FIRST, LAST, TIMES)) // MINUTE_MS
    kept, tables = Estimator(History(history_dir)), tables_in(history_dir, CONTRACTS)
    for number, minute in enumerate(times.tolist()):
        at_ms = minute * MINUTE_MS
        ended = tmp_path / str(number)
        write_until(tables, ended, at_ms)
        job = EstimateJob(snapshot(CONTRACTS, at_ms), (BALANCED, TACTICAL)[number % 2])
        whole = msgspec.msgpack.encode(kept.estimate(job))
        assert msgspec.msgpack.encode(estimate(job, History(ended))) == whole, iso(at_ms)
