"""Judge the daily 95 % value at risk of two books, year by year, beside RiskMetrics' normal.

    python -m benchmarks.value_at_risk --data ../shared/data [--until 2022-12-31] [--simulated]

Ten contracts on Binance: five with hourly bars and five with 8-hour bars. Days end at 00:00 UTC.
Each value at risk uses bars that closed and funding that settled by then; 2020 warms up. The
method's parameters were chosen on data to the end of 2022; what comes after is reported as it is.

- equal weight: one part of each contract from its 30th day on.
- carry: each Monday 1/6 long in each of the three contracts with the lowest mean funding of the
  week before, 1/6 short in each of the three with the highest; dollar-neutral, gross 1.

Returns are those of the day after, funding paid and received included. p-values are Kupiec's and
Christoffersen's (conditional coverage) as `estimation.court.coverage` computes them; the half
year of 2025 has fewer days than it asks for and is judged with the same statistics.

With --simulated, the filtered historical simulation that the tail rows rest on is judged too:
10,000 paths of all contracts from the last 400 days, each day for the next and each week for the
next seven; so few weeks are no more than a look.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.court.coverage import (
    conditional_coverage,
    dynamic_quantile,
    exceedances,
    independence_statistic,
    kupiec,
    kupiec_statistic,
)
from perptui.estimation.court.significance import chi_squared_beyond
from perptui.estimation.funding.forecast import Settled
from perptui.estimation.losses import tick_loss
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.recursion import ewma
from perptui.estimation.tails.filtered import PATHS, FundingDraw, Scenarios, horizon_scenarios
from perptui.estimation.tails.residuals import funding_residuals
from perptui.estimation.tails.sample import historical
from perptui.estimation.tails.value_at_risk import (
    HALFLIVES_DAYS,
    LEAST_LISTED_DAYS,
    LEAST_RESIDUALS,
    Quantiles,
    ValueAtRiskPath,
    book_var_path,
    equal_weights,
    filtered_quantiles,
    funding_by_hour,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOURLY = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")
EIGHT_HOURLY = ("ADAUSDT", "ATOMUSDT", "DOTUSDT", "LINKUSDT", "LTCUSDT")
BEGIN = parse_iso("2020-01-01T00:00Z")
LEVEL, TAIL = 0.95, 0.05
SPANS = {
    "2021": ("2021-01-01", "2022-01-01"),
    "2022": ("2022-01-01", "2023-01-01"),
    "2023": ("2023-01-01", "2024-01-01"),
    "2024": ("2024-01-01", "2025-01-01"),
    "2025H1": ("2025-01-01", "2025-07-01"),
}
LEG = 3
LOOKBACK_DAYS = 400
RISKMETRICS_DECAY = 0.94


def riskmetrics_quantiles(
    returns: FloatArray, variance: FloatArray, level: float, begin: int = 0
) -> FloatArray:
    """Return RiskMetrics' (1996) normal value at risk, as `filtered_quantiles` does: the yardstick.

    The variance is the EWMA of squared daily returns with lambda = .94; that within the day is
    not used.
    """
    halflife = -1.0 / math.log2(RISKMETRICS_DECAY)
    deviation = np.sqrt(ewma(returns**2, halflife))
    known = np.cumsum(np.isfinite(returns)) >= LEAST_RESIDUALS
    value_at_risk: FloatArray = np.where(known, NormalDist().inv_cdf(level) * deviation, np.nan)
    return value_at_risk[begin:]


METHODS: dict[str, Quantiles] = {
    "filtered historical": filtered_quantiles,
    "RiskMetrics normal": riskmetrics_quantiles,
}


@dataclass(frozen=True, slots=True)
class Market:
    """Prices, and funding settled by hour (24·D, N)."""

    panel: Panel
    funding: FloatArray


def read_market(data: Path, end_ms: int) -> Market:
    """Return the ten contracts from 2020 to `end_ms`."""
    history = History(data)
    days = (end_ms - BEGIN) // DAY_MS
    series, funding = [], []
    for symbol in HOURLY + EIGHT_HOURLY:
        kind = "1h" if symbol in HOURLY else "8h"
        bars = history.bars("binanceusdm", symbol, kind, end_ms)
        series.append(Closes(symbol, symbol, bars.close_ms, bars.close, bars.width_ms))
        settled = history.funding("binanceusdm", symbol, end_ms)
        rows = Settled(settled.ts_ms, settled.rate, settled.interval_h)
        funding.append(funding_by_hour(rows, end_ms, days))
    return Market(build_panel(series, end_ms, days), np.column_stack(funding))


def carry_weights(market: Market) -> FloatArray:
    """Return the dollar-neutral carry book's weights from the end of each day on, (D, N)."""
    daily = market.panel.daily
    paid = market.funding.reshape(-1, 24, daily.shape[1]).sum(axis=1)
    listed = np.cumsum(np.isfinite(daily), axis=0) >= LEAST_LISTED_DAYS
    ends = BEGIN + DAY_MS * np.arange(1, len(daily) + 1)
    monday = (ends // DAY_MS + 3) % 7 == 0
    weights = np.zeros(daily.shape)
    for day in range(LEAST_LISTED_DAYS, len(daily)):
        weights[day] = weights[day - 1]
        known = np.flatnonzero(listed[day])
        if monday[day] and len(known) >= 2 * LEG:
            order = known[np.argsort(paid[day - 6 : day + 1, known].mean(axis=0), kind="stable")]
            weights[day] = 0.0
            weights[day, order[:LEG]] = 0.5 / LEG
            weights[day, order[-LEG:]] = -0.5 / LEG
    return weights


def books(market: Market) -> dict[str, FloatArray]:
    """Return each book's weights by day, (D, N)."""
    return {"equal weight": equal_weights(market.panel), "carry": carry_weights(market)}


def path_of(market: Market, weights: FloatArray, method: Quantiles) -> ValueAtRiskPath:
    """Return one book's values at risk by one method."""
    step_hours = int(market.panel.width_ms.max()) // HOUR_MS
    return book_var_path(market.panel.closing, market.funding, weights, LEVEL, step_hours, method)


def rows_of(days: int, span: tuple[str, str]) -> IntArray:
    """Return the days whose day after lies in `span`."""
    first, last = ((parse_iso(f"{stamp}T00:00Z") - BEGIN) // DAY_MS - 1 for stamp in span)
    return np.arange(first, min(last, days - 1))


def p_values(path: ValueAtRiskPath, rows: IntArray) -> tuple[float, float]:
    """Return Kupiec's and the conditional coverage's p-value, however few the days are."""
    hits = exceedances(path.realised[rows], path.forecast[rows])
    verdicts = kupiec(hits, TAIL).p_value, conditional_coverage(hits, TAIL).p_value
    if verdicts[0] is not None and verdicts[1] is not None:
        return verdicts[0], verdicts[1]
    count = kupiec_statistic(int(np.nansum(hits)), int(np.isfinite(hits).sum()), TAIL)
    both = count + independence_statistic(hits)
    return chi_squared_beyond(count, 1), chi_squared_beyond(both, 2)


def mean_tick(path: ValueAtRiskPath, rows: IntArray) -> float:
    """Return the mean quantile score of a span, in bp of equity."""
    return 1e4 * float(tick_loss(path.realised[rows], path.forecast[rows], TAIL).mean())


def print_row(name: str, span: str, path: ValueAtRiskPath, rows: IntArray) -> None:
    """Print one cell: how many went beyond, what the tests say, and the tick loss."""
    hits = exceedances(path.realised[rows], path.forecast[rows])
    known = np.isfinite(hits)
    unconditional, conditional = p_values(path, rows)
    quantile = dynamic_quantile(hits, path.forecast[rows], TAIL).p_value
    shown = f"{quantile:.3f}" if quantile is not None else "too few"
    verdict = "pass" if min(unconditional, conditional) > TAIL else "MISS"
    print(
        f"{name:20} {span:7} {int(known.sum()):5d} {int(np.nansum(hits)):4d} "
        f"{np.nanmean(hits):6.2%} {unconditional:7.3f} {conditional:8.3f} {shown:>8} "
        f"{mean_tick(path, rows):7.2f}  {verdict}"
    )


def scenarios_at(market: Market, variance: FloatArray, day: int, horizon: int) -> Scenarios:
    """Return the scenarios at the end of `day` from what was known then, for all contracts."""
    window = slice(max(0, day + 1 - LOOKBACK_DAYS), day + 1)
    daily = market.panel.daily[window]
    known = np.isfinite(daily).sum(axis=0) >= LEAST_LISTED_DAYS
    paid = market.funding.reshape(-1, 24, len(known)).sum(axis=1)[window]
    recent = np.lib.stride_tricks.sliding_window_view(paid[-90:], horizon, axis=0).sum(axis=2)
    funding = FundingDraw(
        horizon * paid[-7:].mean(axis=0)[known],
        np.nanstd(recent[:, known], axis=0),
        funding_residuals(paid)[:, known],
    )
    drawn = horizon_scenarios(
        daily[:, known], variance[window][:, known], funding, float(horizon), seed=day
    )
    returns = np.zeros((len(drawn.returns), len(known)))
    returns[:, known] = drawn.returns
    return replace(drawn, returns=returns)


def print_simulated(market: Market, horizon: int) -> None:
    """Print how the simulated figures of both books did over `horizon` days, step by step."""
    panel = market.panel
    variance = np.mean([ewma(panel.variance, halflife) for halflife in HALFLIVES_DAYS], axis=0)
    first = int(rows_of(panel.days, ("2021-01-01", "2021-01-02"))[0])
    days = range(first, panel.days - horizon, horizon)
    prices = np.concatenate([np.zeros((1, len(panel.ids))), np.nancumsum(panel.closing, axis=0)])
    paid = np.concatenate([np.zeros((1, len(panel.ids))), np.nancumsum(market.funding, axis=0)])
    held = books(market)
    found: dict[str, list[tuple[float, float]]] = {book: [] for book in held}
    begun = perf_counter()
    for day in days:
        drawn = scenarios_at(market, variance, day, horizon)
        now, then = 24 * (day + 1), 24 * (day + 1 + horizon)
        came = np.expm1(prices[then] - prices[now]) - (paid[then] - paid[now])
        for book, weights in held.items():
            simulated = historical(drawn.book(weights[day]), LEVEL)
            found[book].append((simulated.var, float(weights[day] @ came)))
    took = 1e3 * (perf_counter() - begun) / len(days)
    for book, pairs in found.items():
        forecast, realised = np.array(pairs).T
        path = ValueAtRiskPath(forecast, realised)
        print_row(f"{book} FHS {horizon} d", "whole", path, np.arange(len(pairs)))
    print(f"{'':20} {took:.0f} ms a time, {LOOKBACK_DAYS} days, seed: the day's number")


def print_speed() -> None:
    """Print what a refresh costs: the median of nine. No peer simulates funding."""
    generator = np.random.default_rng(1)
    days, contracts, horizon = 400, 20, 7.0
    daily = 0.03 * generator.standard_t(4, (days, contracts))
    funding = FundingDraw(
        np.zeros(contracts), np.full(contracts, 1e-3), generator.normal(size=daily.shape)
    )
    variance = np.full(daily.shape, 0.0012)
    hours = 0.006 * generator.standard_t(4, (24 * 1000, 1))
    tasks: dict[str, Callable[[], object]] = {
        f"{PATHS} paths x {horizon:g} d x {contracts}": lambda: horizon_scenarios(
            daily, variance, funding, horizon, seed=1
        ),
        "value at risk of 1000 days": lambda: book_var_path(hours, 0.0 * hours, np.ones(1)),
    }
    for name, task in tasks.items():
        took = []
        for _ in range(9):
            begun = perf_counter()
            task()
            took.append(1e3 * (perf_counter() - begun))
        print(f"{name:32} {np.median(took):6.1f} ms")


def main() -> None:
    """Print every cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--until", default="2025-06-30", help="last day, included")
    parser.add_argument("--simulated", action="store_true")
    arguments = parser.parse_args()
    end_ms = parse_iso(f"{arguments.until}T00:00Z") + DAY_MS
    market = read_market(arguments.data, end_ms)
    spans = {"whole": ("2021-01-01", "2025-07-01"), **SPANS}
    for book, weights in books(market).items():
        print(f"\n{book}: {len(HOURLY)} hourly and {len(EIGHT_HOURLY)} 8-hourly contracts")
        print(
            f"{'method':20} {'span':7} {'days':>5} {'beyond':>6} {'share':>4} {'Kupiec':>7} "
            f"{'cond.cov':>8} {'DQ':>8} {'tick bp':>7}"
        )
        for name, method in METHODS.items():
            begun = perf_counter()
            path = path_of(market, weights, method)
            took = 1e3 * (perf_counter() - begun)
            for span, ends in spans.items():
                rows = rows_of(market.panel.days, ends)
                if len(rows):
                    print_row(name, span, path, rows)
            print(f"{'':20} {took:.0f} ms for {market.panel.days} days")
    print()
    print_speed()
    if arguments.simulated:
        print("\nsimulated")
        for horizon in (1, 7):
            print_simulated(market, horizon)
    print(f"\nlast hour {end_ms // HOUR_MS}, level {LEVEL:.0%}")


if __name__ == "__main__":
    main()
