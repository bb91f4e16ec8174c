"""The full estimate of 20 contracts x 90 days of hours, warm, and its update on a new bar.

There is no peer to compare with: the targets of the design are times, 150 ms and 10 ms. So that
they travel, each is printed as well as a multiple of a calibration that runs beside it: numpy
sorting two million doubles. A seeded market of 20 coins is written to a temporary directory.
"Full" is a new estimator on history that is in memory; "new bar" a kept estimator after one more
hour of every contract; "new quote" the same hour with other rates and marks.

    uv run python -m benchmarks.estimate [--days N] [--contracts N] [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.instrument import Instrument
from perptui.model.jobs import BarSeries, EstimateJob
from perptui.model.market import Bar
from perptui.quant.estimate import Estimator
from tests.quant.markets import AS_OF, HOUR, TACTICAL, market, snapshot

FULL_MS, NEW_BAR_MS = 150.0, 10.0
VENUE = "binanceusdm"


def calibration() -> float:
    """Return the median milliseconds of a sort of two million doubles."""
    numbers = np.random.default_rng(1).standard_normal(2_000_000)
    return timed(lambda: np.sort(numbers), 5)


def timed(work: Callable[[], object], rounds: int) -> float:
    """Return the median milliseconds of `work`."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def job(instruments: Sequence[Instrument], hours: int, rate: str = "0.0002") -> EstimateJob:
    """Return the question `hours` after the written history's end."""
    return EstimateJob(snapshot(instruments, AS_OF + hours * HOUR_MS, rate=rate), TACTICAL)


def append_hour(history: History, instruments: Sequence[Instrument], hour: int) -> None:
    """Write one more bar of every contract."""
    rng = np.random.default_rng(hour)
    for one in instruments:
        last = history.bars(VENUE, one.venue_symbol, "1h", HOUR + hour * HOUR_MS).close[-1]
        close = float(last * np.exp(0.007 * rng.standard_normal()))
        high, low = max(last, close) * 1.001, min(last, close) * 0.999
        bar = Bar(HOUR + (hour - 1) * HOUR_MS, float(last), high, low, close, 2_000.0)
        history.append(BarSeries(VENUE, one.venue_symbol, "1h", (bar,)))


def new_bars(history: History, instruments: Sequence[Instrument], rounds: int) -> float:
    """Return the median milliseconds of an estimate after one more hour."""
    kept = Estimator(history)
    kept.estimate(job(instruments, 0))
    seconds = []
    for hour in range(1, rounds + 1):
        append_hour(history, instruments, hour)
        asked = job(instruments, hour)
        begun = time.perf_counter()
        kept.estimate(asked)
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Print every figure beside its target; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        coins = [(VENUE, f"C{number:02d}") for number in range(args.contracts)]
        instruments = market(history, coins, args.days)
        first = job(instruments, 0)
        Estimator(history).estimate(first)
        full = timed(lambda: Estimator(history).estimate(first), args.rounds)
        kept = Estimator(history)
        kept.estimate(first)
        rates = iter(range(1, args.rounds + 1))
        quote = timed(
            lambda: kept.estimate(job(instruments, 0, f"0.000{next(rates):02d}")), args.rounds
        )
        bar = new_bars(history, instruments, args.rounds)
    unit = calibration()
    print(f"{args.contracts} contracts x {args.days} days; calibration {unit:.1f} ms")
    missed = 0
    for name, found, target in (
        ("full estimate, warm", full, FULL_MS),
        ("kept, one more bar", bar, NEW_BAR_MS),
        ("kept, new quotes", quote, NEW_BAR_MS),
    ):
        verdict = "ok" if found <= target else "MISSED"
        missed += found > target
        print(f"{name:<22}{found:8.1f} ms  {found / unit:6.2f} x  target {target:g} ms  {verdict}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
