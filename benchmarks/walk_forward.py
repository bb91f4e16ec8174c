"""Variance forecasts walked forward over ten coins: every model, coin and period, and the verdict.

    python -m benchmarks.walk_forward --data ../shared/data [--horizon 1 7]

A forecast made at the end of a day uses that day and earlier ones. Parameters were chosen on the
columns to 2022; 2023 to 2025 is beside them untouched. Models are level-corrected, and EWMA speaks
where one is silent; `raw` is the same without the level correction. EGARCH is judged only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perptui.estimation.court.comparison import diebold_mariano, mincer_zarnowitz
from perptui.estimation.court.confidence_set import confidence_set
from perptui.estimation.losses import qlike, squared_error
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.recursion import FloatArray
from perptui.estimation.variance.combination import complete_mean, delayed, level_corrected
from perptui.estimation.variance.forecast import MODELS, forecast_variances
from perptui.estimation.variance.garch import Specification
from perptui.estimation.variance.garch_walk import walk_forward_garch
from perptui.history.dataset import History
from perptui.history.prints import bad_prints
from perptui.model.clock import DAY_MS, parse_iso

HOURLY = ("BTC", "ETH", "SOL", "BNB", "XRP")
EIGHT_HOURLY = ("ADA", "ATOM", "DOT", "LINK", "LTC")
SINGLES = (*MODELS, "egarch")
FIRST, LAST = "2020-01-01", "2025-07-01"
PERIODS = {
    "2021-01 to 2022-12 (parameters chosen here)": ("2021-01-01", "2023-01-01"),
    "2023-01 to 2025-06 (untouched)": ("2023-01-01", LAST),
    "2021-01 to 2025-06 (whole)": ("2021-01-01", LAST),
}
HALFLIFE_DAYS = 63.0
MOST_SIGNIFICANT = 2.0
LEAST_COINS = 9


@dataclass(frozen=True, slots=True)
class Walk:
    """Forecasts of one horizon beside what came, by the day on which the target was complete.

    `forecasts` (M + 1, D, N): levelled singles, the combination last; `raw` (M, D, N): not
    levelled; `weights` (M, D, N) at the day when the forecast was made; `target` (D, N).
    """

    horizon: int
    forecasts: FloatArray
    raw: FloatArray
    weights: FloatArray
    target: FloatArray


def stamp(day: str) -> int:
    """Return a day's first millisecond."""
    return parse_iso(f"{day}T00:00Z")


def read_panel(data: Path) -> Panel:
    """Return the ten coins on Binance: hourly marks, from when they traded, or 8-hour bars."""
    history, end = History(data), stamp(LAST)
    series = []
    for coin in (*HOURLY, *EIGHT_HOURLY):
        symbol = f"{coin}USDT"
        bars = history.bars("binanceusdm", symbol, "1h" if coin in HOURLY else "8h", end)
        first = 0
        if coin in HOURLY:
            traded, bars = bars, history.bars("binanceusdm", symbol, "mark-1h", end)
            first = int(np.searchsorted(bars.ts_ms, traded.ts_ms[0]))
        close_ms, price = bars.close_ms[first:], bars.close[first:]
        good = ~bad_prints(price)
        name = f"binanceusdm:{coin}/USDT:USDT"
        series.append(Closes(name, coin, close_ms[good], price[good], bars.width_ms))
    return build_panel(series, end, (end - stamp(FIRST)) // DAY_MS)


def walk(panel: Panel, horizon: int) -> Walk:
    """Return every model's forecasts of `horizon` days and the combination's."""
    found = forecast_variances(panel, HALFLIFE_DAYS, float(horizon))
    target = complete_mean(panel.variance, horizon)
    egarch = walk_forward_garch(panel, horizon, Specification("egarch")).variance
    own = np.concatenate([found.own, egarch[None]])
    raw = np.where(np.isfinite(own), own, own[:1])
    alone = level_corrected(egarch, target, horizon)
    alone = np.where(np.isfinite(alone), alone, found.combination.levelled[0])
    levelled = np.concatenate([found.combination.levelled, alone[None], found.combined[None]])
    weights = np.concatenate([found.combination.weights, np.zeros((1, *target.shape))])
    return Walk(
        horizon,
        np.stack([delayed(each, horizon) for each in levelled]),
        np.stack([delayed(each, horizon) for each in raw]),
        np.stack([delayed(each, horizon) for each in weights]),
        target,
    )


def rows_of(panel: Panel, begin: str, end: str) -> slice:
    """Return the rows whose day ended in [begin + 1 day, end]."""
    start = panel.end_ms - panel.days * DAY_MS
    return slice((stamp(begin) - start) // DAY_MS, (stamp(end) - start) // DAY_MS)


def mean_by_coin(x: FloatArray) -> FloatArray:
    """Return the mean over days (K, D, N) to (K, N), holes left out."""
    seen = np.isfinite(x)
    total: FloatArray = np.where(seen, x, 0.0).sum(axis=1) / seen.sum(axis=1)
    return total


def text(value: float | None, form: str = "7.2f") -> str:
    """Return a number, or a dash where there is none."""
    width = form.split(".", maxsplit=1)[0]
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"


def print_coin(coin: str, walked: Walk, rows: slice, column: int) -> float:
    """Print one coin's rows; return the DM t of the combination against the best single."""
    forecasts, target = walked.forecasts[:, rows, column], walked.target[rows, column]
    losses, errors = qlike(target, forecasts), squared_error(target, forecasts)
    means, mse = np.nanmean(losses, axis=1), np.nanmean(errors, axis=1)
    best = int(np.argmin(means[:-1]))
    kept = confidence_set(losses.T, walked.horizon).kept or (None,) * len(losses)
    weight = [*np.nanmean(walked.weights[:, rows, column], axis=1), 1.0]
    for row, name in enumerate((*SINGLES, "combined")):
        met = None
        if row != best:
            met = diebold_mariano(losses[row], losses[best], walked.horizon).statistic
        line = mincer_zarnowitz(target, forecasts[row], walked.horizon, weighted=True)
        mark = "best" if row == best else ""
        print(
            f"  {coin:5s} {name:9s} {means[row]:7.4f} {1e6 * mse[row]:10.3f} {text(met)} {mark:4s} "
            f"{'-' if kept[row] is None else 'in' if kept[row] else 'out':>4s} "
            f"{text(line.intercept if line.intercept is None else 1e4 * line.intercept, '8.2f')} "
            f"{text(line.slope, '6.2f')} {text(line.p_value, '7.4f')} {weight[row]:6.2f}"
        )
    return diebold_mariano(losses[-1], losses[best], walked.horizon).statistic or 0.0


def print_period(title: str, coins: Sequence[str], walked: Walk, rows: slice) -> bool:
    """Print every cell of one period; return whether both acceptance lines hold."""
    print(f"\n== H = {walked.horizon} d, {title}")
    print(
        f"  {'coin':5s} {'model':9s} {'QLIKE':>7s} {'MSE 1e-6':>10s} {'DM t':>7s} {'':4s} "
        f"{'MCS':>4s} {'MZ a 1e-4':>8s} {'b':>5s} {'p':>7s} {'weight':>6s}"
    )
    met = [print_coin(coin, walked, rows, column) for column, coin in enumerate(coins)]
    levelled = qlike(walked.target[rows], walked.forecasts[:, rows])
    means = mean_by_coin(levelled).mean(axis=1)
    raw = mean_by_coin(qlike(walked.target[rows], walked.raw[:, rows])).mean(axis=1)
    pooled = confidence_set(np.nanmean(levelled, axis=2).T, walked.horizon)
    print("  mean over coins: QLIKE levelled, raw; 90 % set of the coins' mean loss (p)")
    for row, name in enumerate((*SINGLES, "combined")):
        unlevelled = f"{raw[row]:.4f}" if row < len(raw) else "     -"
        p = pooled.p_values[row] if pooled.p_values else float("nan")
        print(f"    {name:9s} {means[row]:.4f}  {unlevelled}  {p:.3f}")
    lowest = bool(means[-1] <= means[:-1].min())
    below = sum(t < MOST_SIGNIFICANT for t in met)
    print(f"  combined not above any levelled single: {'holds' if lowest else 'MISSES'}")
    holds = "holds" if means[-1] <= raw.min() else "MISSES"
    print(f"  combined not above any raw single:      {holds}")
    verdict = "holds" if below >= LEAST_COINS else "MISSES"
    print(f"  DM t against the best single below 2:   {below} of {len(met)} coins, {verdict}")
    return lowest and below >= LEAST_COINS


def main() -> None:
    """Print the walk of every horizon asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--horizon", type=int, nargs="+", default=[1, 7])
    parser.add_argument(
        "--until", default=LAST, help="print only periods that end by this day (2023-01-01)"
    )
    asked = parser.parse_args()
    panel = read_panel(asked.data)
    for horizon in asked.horizon:
        walked = walk(panel, horizon)
        for title, (begin, end) in PERIODS.items():
            if stamp(end) <= stamp(asked.until):
                print_period(title, panel.coins, walked, rows_of(panel, begin, end))


if __name__ == "__main__":
    main()
