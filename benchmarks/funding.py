"""Funding forecasts on real history, walk-forward: errors, coverage, what the clamp pays, cost.

Every forecast rests on settlements up to its time and no quote. Errors are mean squared errors of
the sum over the span, over those of peers that need no model: the last rate kept, the mean of
7 and of 30 days kept. `clamp` is the autoregression on the premium over the plain one, alone and
in the blend. Coverage is the share of outcomes within one and two stated deviations. Parameters
were chosen up to 2022-12; later years are looked at, not tuned on.

    uv run python benchmarks/funding.py [--history DIRECTORY] [--every DAYS]
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.forecast import (
    FundingEstimate,
    Open,
    Settled,
    fit_funding,
    forecast,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

SPANS = (1.0, 7.0, 30.0)
WARM_DAYS = 100
PERIODS = (("2020-01-01", "2023-01-01"), ("2023-01-01", "2025-07-01"))
VENUES = ("binance", "bybit", "hyperliquid")
REPEATS = 200
COLUMNS = ("last", "mean 7d", "mean 30d", "plain AR", "blend")
FloatArray = NDArray[np.float64]


def main() -> None:
    """Print every cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--history", type=Path, default=root)
    parser.add_argument("--every", type=float, default=3.0, help="days between forecasts")
    arguments = parser.parse_args()
    history = History(arguments.history)
    contracts = [
        (venue, symbol)
        for venue in VENUES
        for symbol in history.symbols(venue)
        if history.has(venue, symbol, "funding")
    ]
    for first, end in PERIODS:
        cells = {}
        for venue, symbol in contracts:
            rows = history.funding(venue, symbol, parse_iso(end) - 1)
            settled = Settled(rows.ts_ms, rows.rate, rows.interval_h)
            found = walk(settled, parse_iso(first), parse_iso(end), arguments.every)
            if len(found):
                cells[f"{venue} {symbol}"] = found
        report(f"{first} to {end}", cells)
    cost(history)


def walk(settled: Settled, first_ms: int, end_ms: int, every: float) -> FloatArray:
    """Return one row a forecast and span: errors of ours and of peers, and the stated sd."""
    if not len(settled.ts_ms):
        return np.empty((0, len(SPANS), 8))
    total = np.concatenate([[0.0], np.cumsum(settled.rate)])
    now = max(first_ms, int(settled.ts_ms[0]) + WARM_DAYS * DAY_MS)
    rows = []
    while now + int(max(SPANS) * DAY_MS) < end_ms:
        k = int(np.searchsorted(settled.ts_ms, now, side="right"))
        rows.append(one(settled, k, now, total))
        # A third of a day more each time: every hour of settlement has its turn.
        now += int(every * DAY_MS) + 8 * HOUR_MS
    return np.array(rows).reshape(len(rows), len(SPANS), 8)


def one(settled: Settled, k: int, now: int, total: FloatArray) -> list[list[float]]:
    """Return errors by span: blend, last, 7 d, 30 d, AR twice, plain blend; and our sd."""
    fit = fit_funding(Settled(settled.ts_ms[:k], settled.rate[:k], settled.interval_h[:k]))
    plain = replace(fit, premium=None)
    rows = []
    for days in SPANS:
        end = int(np.searchsorted(settled.ts_ms, now + int(days * DAY_MS), side="right"))
        came, hours = total[end] - total[k], float(settled.interval_h[k:end].sum())
        ours, other = forecast(fit, None, now, days), forecast(plain, None, now, days)
        peers = (fit.last * hours, fit.means[1] * hours, fit.means[2] * hours)
        rows.append(
            [came - ours.forecast.horizon_mean]
            + [came - peer for peer in peers]
            + [came - regressed(ours), came - regressed(other)]
            + [came - other.forecast.horizon_mean, ours.forecast.horizon_sd]
        )
    return rows


def regressed(estimate: FundingEstimate) -> float:
    """Return the autoregression's own expectation."""
    return estimate.forecast.parts[-1].mean


def report(period: str, cells: dict[str, FloatArray]) -> None:
    """Print one table a span: error ratios and coverage of every contract, then of all."""
    for s, days in enumerate(SPANS):
        print(f"\n{period}, {days:g} d: mean squared error over that of peers; coverage")
        print(f"{'contract':24}{'n':>5}{'/last':>8}{'/7d':>8}{'/30d':>8}", end="")
        print(f"{'clamp AR':>10}{'blend':>8}{'1 sd':>8}{'2 sd':>8}{'rms z':>8}")
        table = [line(name, found[:, s, :]) for name, found in cells.items()]
        ratios = np.array([row[:5] for row in table])
        shares = np.array([row[5:] for row in table])
        mean = [*np.exp(np.log(ratios).mean(axis=0)), *shares.mean(axis=0)]
        print_line("all (geometric; mean)", sum(map(len, cells.values())), mean)


def line(name: str, rows: FloatArray) -> list[float]:
    """Print and return the figures of one contract."""
    squares = (rows[:, :7] ** 2).mean(axis=0)
    ratios = [squares[0] / squares[j] for j in (1, 2, 3)]
    ratios += [squares[4] / squares[5], squares[0] / squares[6]]
    z = np.abs(rows[:, 0] / rows[:, 7])
    figures = [*ratios, float((z < 1).mean()), float((z < 2).mean()), math.sqrt((z**2).mean())]
    print_line(name, len(rows), figures)
    return figures


def print_line(name: str, count: int, figures: list[float]) -> None:
    """Print one row."""
    ratios = "".join(f"{value:8.3f}" for value in figures[:3])
    clamp = f"{figures[3]:10.3f}{figures[4]:8.3f}"
    cover = f"{figures[5]:8.1%}{figures[6]:8.1%}{figures[7]:8.2f}"
    print(f"{name:24}{count:5d}{ratios}{clamp}{cover}", flush=True)


def cost(history: History) -> None:
    """Print the least time of a fit and of a forecast from a kept fit."""
    print()
    for venue, symbol in (("binance", "BTCUSDT"), ("hyperliquid", "BTCUSDC")):
        rows = history.funding(venue, symbol, parse_iso("2024-08-05"))
        settled = Settled(rows.ts_ms, rows.rate, rows.interval_h)
        now = int(settled.ts_ms[-1]) + HOUR_MS
        interval = float(settled.interval_h[-1])
        opened = Open(2e-4, now + HOUR_MS // 2, interval)
        fit = fit_funding(settled)
        spent = [math.inf, math.inf]
        for _ in range(REPEATS):
            start = time.perf_counter()
            fit_funding(settled)
            between = time.perf_counter()
            forecast(fit, opened, now, 7.0)
            spent[0] = min(spent[0], between - start)
            spent[1] = min(spent[1], time.perf_counter() - between)
        print(f"{venue} {symbol}: fit {spent[0] * 1e3:.2f} ms, forecast {spent[1] * 1e3:.3f} ms")


if __name__ == "__main__":
    main()
