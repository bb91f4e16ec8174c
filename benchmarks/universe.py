"""Time to rank 500 contracts and decide the universe, beside what a caller would write in pandas.

Three figures: one Monday ranked from 30 days of dollar volume, which is what a desk does after its
tickers came; five and a half years of Mondays replayed with their hysteresis; and the same from
Parquet files, 60 days of hourly bars and funding of each contract, read anew and from memory.

    uv run python benchmarks/universe.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perptui.estimation.universe import DailyLiquidity, UniverseRules, decide, mondays, weekly
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.quant.universe import select_universe

CONTRACTS = 500
DAYS = 2000
FILE_DAYS = 60
REPEATS = 15
START_MS = parse_iso("2020-01-06T00:00Z")
RULES = UniverseRules(size=10)
TARGET_MS = 200.0


def made(days: int) -> DailyLiquidity:
    """Return seeded volumes of contracts whose ranks wander, a tenth of days missing."""
    rng = np.random.default_rng(7)
    level = rng.normal(16.0, 2.0, CONTRACTS) + np.cumsum(
        rng.normal(0.0, 0.05, (days, CONTRACTS)), axis=0
    )
    traded = rng.random((days, CONTRACTS)) < 0.95
    return DailyLiquidity(
        START_MS + DAY_MS * np.arange(1, days + 1, dtype=np.int64),
        np.where(traded, np.exp(level + rng.normal(0.0, 0.4, level.shape)), 0.0),
        np.where(traded, 24.0, 0.0),
        np.where(rng.random(level.shape) < 0.2, rng.lognormal(14.0, 1.0, level.shape), np.nan),
        START_MS + DAY_MS * rng.integers(0, max(1, days // 2), CONTRACTS),
        np.ones(level.shape, dtype=bool),
    )


def replayed(daily: DailyLiquidity, weeks: int) -> np.ndarray:
    """Return the members of the last `weeks` Mondays, (W, N)."""
    at_ms = mondays(START_MS, int(daily.end_ms[-1]))[-weeks:]
    return decide(weekly(daily, at_ms, RULES), RULES).member


def with_pandas(daily: DailyLiquidity, weeks: int) -> np.ndarray:
    """Return the same by rolling medians of a frame and a loop over Mondays."""
    at_ms = mondays(START_MS, int(daily.end_ms[-1]))[-weeks:]
    rows = np.searchsorted(daily.end_ms, at_ms, side="right") - 1
    volume = pd.DataFrame(daily.volume_usd).rolling(30, min_periods=30).median().iloc[rows]
    missing = 1 - pd.DataFrame(daily.hours).rolling(30, min_periods=30).sum().iloc[rows] / 720
    depth = pd.DataFrame(daily.depth_usd).rolling(30, min_periods=1).mean().iloc[rows]
    thin = (depth / RULES.least_depth_usd).clip(upper=1.0).fillna(1.0)
    age = (at_ms[:, None] - daily.first_ms) / DAY_MS
    sound = (
        (age >= RULES.least_age_days)
        & (daily.hours[rows] > 0)
        & (missing.to_numpy() <= RULES.most_missing)
        & (volume.to_numpy() > 0)
    )
    rank = (volume * thin).where(sound).rank(axis=1, ascending=False).to_numpy()
    members, before = [], np.zeros(CONTRACTS, dtype=bool)
    for row in rank:
        before = (row <= RULES.size) | (before & (row <= RULES.last_rank))
        members.append(before)
    return np.array(members)


def written(root: Path) -> History:
    """Write `FILE_DAYS` of hourly bars and funding of each contract."""
    folder = root / "binance"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    hours = 24 * FILE_DAYS
    stamp = pa.timestamp("ms", tz="UTC")
    bars_ms = pa.array(START_MS + HOUR_MS * np.arange(hours)).cast(stamp)
    settled_ms = pa.array(START_MS + 8 * HOUR_MS * np.arange(1, hours // 8 + 1)).cast(stamp)
    rates = {
        "ts": settled_ms,
        "funding_rate": np.full(hours // 8, 1e-4),
        "interval_hours": np.full(hours // 8, 8, np.int16),
    }
    for k in range(CONTRACTS):
        close = np.exp(np.cumsum(rng.normal(0.0, 0.01, hours)))
        table = {"ts": bars_ms, "open": close, "high": close, "low": close, "close": close}
        table["volume"] = rng.lognormal(rng.normal(10.0, 2.0), 1.0, hours)
        pq.write_table(pa.table(table), folder / f"C{k:03d}USDT-1h.parquet")
        pq.write_table(pa.table(rates), folder / f"C{k:03d}USDT-funding.parquet")
    return History(root)


def median_ms(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median wall time of `run` in milliseconds."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(times)


def line(what: str, ours: float, peer: float | None = None) -> str:
    """Return one row of the table."""
    beside = "" if peer is None else f"{peer:>10.1f}{ours / peer:>9.2f}"
    return f"{what:<52}{ours:>10.1f}{beside}"


def main() -> None:
    """Print the table; the answers are compared first."""
    daily = made(DAYS)
    weeks = len(mondays(START_MS, int(daily.end_ms[-1]))) - 5
    same = np.array_equal(replayed(daily, weeks), with_pandas(daily, weeks))
    assert same, "expected the members that pandas finds, was another set"
    print(f"{CONTRACTS} contracts, size {RULES.size}, medians of {REPEATS} runs")
    print(f"{'':<52}{'ms':>10}{'pandas':>10}{'ratio':>9}")
    recent = DailyLiquidity(
        daily.end_ms[-30:],
        daily.volume_usd[-30:],
        daily.hours[-30:],
        daily.depth_usd[-30:],
        daily.first_ms,
        daily.funded[-30:],
    )
    one = median_ms(lambda: replayed(recent, 1))
    print(line("one Monday from 30 days", one, median_ms(lambda: with_pandas(recent, 1))))
    whole = median_ms(lambda: replayed(daily, weeks), 5)
    print(line(f"{weeks} Mondays replayed", whole, median_ms(lambda: with_pandas(daily, weeks), 3)))
    with tempfile.TemporaryDirectory() as folder:
        history = written(Path(folder))
        at_ms = START_MS + FILE_DAYS * DAY_MS
        begun = time.perf_counter()
        select_universe(history, ("binance",), at_ms, RULES)
        cold = 1e3 * (time.perf_counter() - begun)
        print(line(f"from {2 * CONTRACTS} files of {FILE_DAYS} days, read anew", cold))
        warm = median_ms(lambda: select_universe(history, ("binance",), at_ms, RULES), 5)
        print(line("the same, read before", warm))
    print(f"target: ranked in <= {TARGET_MS:g} ms: {'met' if one <= TARGET_MS else 'missed'}")


if __name__ == "__main__":
    main()
