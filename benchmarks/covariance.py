"""How likely the days that came were under each covariance, and what an estimate costs.

    python -m benchmarks.covariance --data ../shared/data [--only likelihood|basis|speed]

Every forecast uses the days before the day it is judged on. Choices were made on the columns to
2022; 2023 to 2025 stand beside them untouched.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from perptui.estimation.covariance.correlation import (
    advance,
    correlation_of,
    pairwise_correlation,
    standardise,
    state_of,
)
from perptui.estimation.covariance.forecast import (
    CovarianceSettings,
    forecast_correlation,
    forecast_covariance,
)
from perptui.estimation.covariance.mixture import forecast_mixture
from perptui.estimation.covariance.shrinkage import (
    analytical_nonlinear,
    ledoit_wolf_constant_correlation,
    ledoit_wolf_identity,
    ledoit_wolf_single_factor,
)
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.recursion import decay, ewma
from perptui.estimation.variance.forecast import forecast_variances
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

FloatArray = NDArray[np.float64]
Estimator = Callable[[FloatArray], FloatArray]

COINS = ("ADA", "ATOM", "BNB", "BTC", "DOT", "ETH", "LINK", "LTC", "SOL", "XRP")
TWO_VENUES = ("BTC", "ETH", "SOL", "BNB", "XRP")
BEGIN, SPLIT, END = "2021-01-01", "2023-01-01", "2025-07-01"
SPANS = {
    "2021": ("2021-01-01", "2022-01-01"),
    "2022": ("2022-01-01", "2023-01-01"),
    "to 2022": (BEGIN, SPLIT),
    "2023": ("2023-01-01", "2024-01-01"),
    "2024": ("2024-01-01", "2025-01-01"),
    "2025": ("2025-01-01", END),
    "2023-25": (SPLIT, END),
    "all": (BEGIN, END),
}
PAIRS = ((10.0, 21.0), (21.0, 63.0), (63.0, 125.0))
CRISES = ("2022-05-09", "2022-06-13", "2022-11-08", "2022-11-09", "2024-08-05")
LOOKBACK_DAYS = 400
JUMP = "2023-07-13"
"""XRP rose by 60 % in a day: forty deviations, which alone decide a normal likelihood."""


def stamp(day: str) -> int:
    """Return a day's first millisecond."""
    return parse_iso(f"{day}T00:00Z")


def daily_returns(data: Path) -> tuple[NDArray[np.int64], FloatArray]:
    """Return days (D,) and log returns (D, 10) of the coins; NaN where a close is missing."""
    table = pq.read_table(data / "daily" / "binance-perp-1d.parquet").to_pandas()
    closes = table.pivot_table(index="ts", columns="symbol", values="close")
    closes = closes[[f"{coin}USDT" for coin in COINS]].asfreq("D")
    days = closes.index.astype("datetime64[ms, UTC]").astype(np.int64).to_numpy()
    logs = np.log(closes.to_numpy(dtype=np.float64))
    returns = np.full(logs.shape, np.nan)
    returns[1:] = np.diff(logs, axis=0)
    return days, returns


def log_likelihood(sigma: FloatArray, row: FloatArray) -> float:
    """Return ln N(row; 0, sigma)."""
    factor = np.linalg.cholesky(sigma)
    scaled = np.linalg.solve(factor, row)
    determinant = 2.0 * float(np.log(np.diag(factor)).sum())
    return -0.5 * (len(row) * float(np.log(2 * np.pi)) + determinant + float(scaled @ scaled))


def second_moment(past: FloatArray, rows: int | None = None) -> FloatArray:
    """Return the mean of r r' over the last complete rows."""
    kept = complete(past, rows)
    return kept.T @ kept / len(kept)


def complete(past: FloatArray, rows: int | None) -> FloatArray:
    """Return the last rows without a hole."""
    kept = past[np.isfinite(past).all(axis=1)]
    return kept if rows is None else kept[-rows:]


def weighted_moment(past: FloatArray, halflife: float) -> FloatArray:
    """Return the plain EWMA of r r' over complete rows."""
    kept = complete(past, None)
    weights = decay(halflife) ** np.arange(len(kept))[::-1]
    moment: FloatArray = (kept * weights[:, None]).T @ kept / weights.sum()
    return moment


def iterated(past: FloatArray, fast: float, slow: float, target: str) -> FloatArray:
    """Return the iterated EWMA, shrunk to a target."""
    matrix = forecast_correlation(standardise(past, fast), slow, target).matrix
    deviation = np.sqrt(ewma(past**2, fast)[-1])
    return matrix * np.outer(deviation, deviation)


def mixed(past: FloatArray, window_days: int) -> FloatArray:
    """Return CM-IEWMA's covariance."""
    return forecast_mixture(past, window_days=window_days).sigma


def estimators() -> dict[str, Estimator]:
    """Return every estimator by name: past returns (T, 10) to Sigma of the next day."""
    found: dict[str, Estimator] = {
        "sample, expanding": second_moment,
        "sample, 90 d": lambda past: second_moment(past, 90),
        "sample, 250 d": lambda past: second_moment(past, 250),
        "LW identity, 250 d": lambda past: ledoit_wolf_identity(complete(past, 250)).matrix,
        "LW one factor, 250 d": lambda past: ledoit_wolf_single_factor(complete(past, 250)).matrix,
        "LW constant corr, 250 d": lambda past: (
            ledoit_wolf_constant_correlation(complete(past, 250)).matrix
        ),
        "LW nonlinear, 250 d": lambda past: analytical_nonlinear(complete(past, 250)),
        "RiskMetrics .94": lambda past: weighted_moment(past, np.log(0.5) / np.log(0.94)),
        "EWMA 21": lambda past: weighted_moment(past, 21.0),
        "EWMA 63": lambda past: weighted_moment(past, 63.0),
    }
    for fast, slow in PAIRS:
        name = f"IEWMA {fast:g}/{slow:g}"
        found[name] = partial(iterated, fast=fast, slow=slow, target="none")
        found[f"{name}, shrunk"] = partial(iterated, fast=fast, slow=slow, target="one factor")
    for target in ("identity", "constant correlation", "nonlinear"):
        found[f"21/63 to {target}"] = partial(iterated, fast=21.0, slow=63.0, target=target)
    for window in (10, 21):
        found[f"CM-IEWMA, {window} d"] = partial(mixed, window_days=window)
    return found


def judged(days: NDArray[np.int64], returns: FloatArray, every: int = 1) -> NDArray[np.int64]:
    """Return the rows from `BEGIN` on, one in `every`, on which all coins have a return."""
    inside = (days >= stamp(BEGIN)) & (days < stamp(END)) & np.isfinite(returns).all(axis=1)
    return np.flatnonzero(inside)[::every]


def walk(returns: FloatArray, rows: NDArray[np.int64], estimator: Estimator) -> FloatArray:
    """Return the log-likelihood of each of `rows` under the estimate from the rows before it."""
    longest = len(returns) if estimator is second_moment else LOOKBACK_DAYS
    return np.array(
        [
            log_likelihood(estimator(returns[max(0, t - longest) : t]), returns[t])
            for t in rows.tolist()
        ]
    )


def desk(
    data: Path,
    days: NDArray[np.int64],
    returns: FloatArray,
    rows: NDArray[np.int64],
    fast: float,
    *,
    slows: tuple[float, ...] = (63.0, 125.0),
    mixture: bool = True,
) -> dict[str, FloatArray]:
    """Return log-likelihoods of each of `rows` with the desk's combined volatilities.

    By the correlation's half-life, shrunk as the desk does, and with CM-IEWMA's correlation.
    """
    panel = binance_panel(data)
    forecasts = forecast_variances(panel, fast).combined
    stamps = panel.end_ms - DAY_MS * np.arange(panel.days)[::-1]
    whole = standardise(returns, fast)
    found: dict[str, list[float]] = {}
    for t in rows.tolist():
        deviation = np.sqrt(forecasts[int(np.searchsorted(stamps, days[t]))])
        scale = np.outer(deviation, deviation)
        past = returns[max(0, t - LOOKBACK_DAYS) : t]
        z = whole[max(0, t - LOOKBACK_DAYS) : t]
        for slow in slows:
            sigma = forecast_correlation(z, slow).matrix * scale
            name = f"combined vol, {fast:g}/{slow:g}, shrunk"
            found.setdefault(name, []).append(log_likelihood(sigma, returns[t]))
        if mixture:
            sigma = correlation_of(forecast_mixture(past).sigma) * scale
            name = f"combined vol {fast:g}, CM-IEWMA's R"
            found.setdefault(name, []).append(log_likelihood(sigma, returns[t]))
    return {name: np.array(path) for name, path in found.items()}


def in_span(stamps: NDArray[np.int64], span: str) -> NDArray[np.bool_]:
    """Return which stamps fall in one of `SPANS`."""
    first, last = SPANS[span]
    inside: NDArray[np.bool_] = (stamps >= stamp(first)) & (stamps < stamp(last))
    return inside


@cache
def read_closes(data: Path, folder: str, symbol: str, kind: str, venue: str) -> Closes:
    """Return one series of closes."""
    width = HOUR_MS if kind == "1h" else 8 * HOUR_MS
    table = pq.read_table(data / folder / f"{symbol}-{kind}.parquet", columns=["ts", "close"])
    frame = table.to_pandas()
    opened = frame["ts"].astype("datetime64[ms, UTC]").astype(np.int64).to_numpy()
    coin = symbol[:-4]
    return Closes(
        f"{venue}:{coin}/U:U", coin, opened + width, frame["close"].to_numpy(np.float64), width
    )


def binance_panel(data: Path) -> Panel:
    """Return the ten coins of Binance to the end, hourly where there are hours."""
    series = [
        read_closes(
            data, "binance", f"{coin}USDT", "1h" if coin in TWO_VENUES else "8h", "binanceusdm"
        )
        for coin in COINS
    ]
    return build_panel(series, stamp(END), (stamp(END) - stamp("2020-09-20")) // DAY_MS)


def print_likelihoods(data: Path) -> None:
    """Print mean log-likelihoods a day of all estimators by span."""
    days, returns = daily_returns(data)
    rows = judged(days, returns)
    paths = {name: walk(returns, rows, one) for name, one in estimators().items()}
    for fast in (21.0, 63.0):
        paths |= desk(data, days, returns, rows, fast)
    print(f"mean log-likelihood of {len(rows)} days of ten coins' returns (higher is better)")
    print(f"{'':32s}" + "".join(f"{span:>9s}" for span in SPANS) + f"   2023-25 less {JUMP}")
    ordinary = in_span(days[rows], "2023-25") & (days[rows] != stamp(JUMP))
    for name, path in paths.items():
        cells = [f"{path[in_span(days[rows], span)].mean():9.3f}" for span in SPANS]
        print(f"{name:32s}" + "".join(cells) + f"   {path[ordinary].mean():9.3f}")


def venue_series(data: Path, *, hyperliquid: bool) -> list[Closes]:
    """Return five coins on Binance (hourly) and the same on a second venue."""
    first = [read_closes(data, "binance", f"{c}USDT", "1h", "binanceusdm") for c in TWO_VENUES]
    if hyperliquid:
        return first + [
            read_closes(data, "hyperliquid", f"{c}USDC", "8h", "hyperliquid") for c in TWO_VENUES
        ]
    return first + [read_closes(data, "bybit", f"{c}USDT", "1h", "bybit") for c in TWO_VENUES]


def venue_panel(data: Path, end: int, days: int, *, hyperliquid: bool) -> Panel:
    """Return `venue_series` on one clock."""
    return build_panel(venue_series(data, hyperliquid=hyperliquid), end, days)


def months(first: str, last: str) -> list[str]:
    """Return the first day of every month."""
    found = np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)
    return [f"{month}-01" for month in found.astype(str)]


def weeks(first: str) -> list[str]:
    """Return every seventh day to the middle of 2025."""
    return [str(day) for day in np.arange(np.datetime64(first), np.datetime64("2025-06-20"), 7)]


def print_basis(data: Path) -> None:
    """Print least eigenvalues against the floor, and what the basis did against its forecast."""
    for hyperliquid, first in ((False, "2021-11-20"), (True, "2023-07-20")):
        second = "Hyperliquid (8 h bars)" if hyperliquid else "Bybit"
        print(f"\nBinance with {second}: least eigenvalue / floor, and venues' shocks")
        dates = sorted(weeks(first) + months(first, "2025-06") + [d for d in CRISES if d >= first])
        for horizon in (1.0, 7.0):
            scores = [basis_on(data, day, horizon, hyperliquid=hyperliquid) for day in dates]
            for span in ("to 2022", "2023-25"):
                print_basis_span(horizon, span, dates, np.array(scores))


def basis_on(data: Path, day: str, horizon: float, *, hyperliquid: bool) -> FloatArray:
    """Return least eigenvalue over floor, the first venue's shock, and z of the spreads after.

    (8,): the spreads of five coins, then of the book long all on one venue, short on the other.
    """
    panel = venue_panel(data, stamp(day), 60, hyperliquid=hyperliquid)
    made = forecast_covariance(panel, CovarianceSettings(21.0, 63.0, horizon))
    if made.least_eigenvalue < made.floor:
        raise SystemExit(f"least eigenvalue {made.least_eigenvalue} on {day}")
    spread = spreads_after(data, stamp(day), horizon, hyperliquid=hyperliquid)
    z = spread / np.sqrt(made.basis.total[:5] + made.basis.total[5:])
    book = np.repeat([0.2, -0.2], 5)
    of_book = float(spread.mean() / np.sqrt(book @ made.sigma @ book))
    shock = 1e4 * float(np.sqrt(made.basis.venue[0]))
    return np.array([made.least_eigenvalue / made.floor, shock, *z, of_book])


def print_basis_span(horizon: float, span: str, dates: list[str], scores: FloatArray) -> None:
    """Print one line of `print_basis`."""
    first, last = SPANS[span]
    inside = np.array([first <= day < last for day in dates])
    if not inside.any():
        return
    rows = scores[inside]
    z, book = rows[:, 2:7], rows[:, 7]
    by_coin = " ".join(f"{np.nanstd(column):.2f}" for column in z.T)
    print(
        f"  H = {horizon:g} d, {span:8s} {len(rows):4d} dates: least/floor >= "
        f"{rows[:, 0].min():.6f}, median shock {np.median(rows[:, 1]):.1f} bp; sd of z "
        f"{np.nanstd(z):.2f}, by coin {by_coin}; spread book {np.nanstd(book):.2f}; "
        f"|z| > 2 {np.nanmean(np.abs(z) > 2):.1%}"
    )


def spreads_after(data: Path, start: int, horizon: float, *, hyperliquid: bool) -> FloatArray:
    """Return the change of ln(P1/P2) of the five coins over the horizon after `start`, (5,)."""
    after = venue_panel(data, start + int(horizon) * DAY_MS, int(horizon), hyperliquid=hyperliquid)
    moved = after.log_price[-1] - after.log_price[0]
    spread: FloatArray = moved[:5] - moved[5:]
    return spread


def median_ms(call: Callable[[], object], repetitions: int = 15) -> float:
    """Return the median time of a call in milliseconds."""
    spent = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(spent))


def print_speed(data: Path) -> None:
    """Print what a batch, a day's update, a mixture and a whole forecast cost."""
    rng = np.random.default_rng(0)
    for coins, rows in ((20, 90), (20, 1000), (500, 400)):
        print_updates(0.03 * (rng.standard_normal((rows, 1)) + rng.standard_normal((rows, coins))))
    past = 0.03 * (rng.standard_normal((400, 1)) + rng.standard_normal((400, 20)))
    print(f"CM-IEWMA N=20 T=400: {median_ms(lambda: forecast_mixture(past)):.1f} ms")
    settings = CovarianceSettings(21.0, 63.0, 7.0)
    panel = venue_panel(data, stamp("2024-08-05"), 90, hyperliquid=False)
    took = median_ms(lambda: forecast_covariance(panel, settings))
    print(f"whole forecast, 10 contracts of 5 coins on 2 venues, 90 days: {took:.2f} ms")
    wide = wide_panel(rng)
    took = median_ms(lambda: forecast_covariance(wide, settings))
    print(f"whole forecast, 20 contracts of 10 coins on 2 venues, 90 days: {took:.2f} ms")


def print_updates(daily: FloatArray) -> None:
    """Print the cost of a batch and of one more day."""
    repetitions = 15 if daily.shape[1] < 100 else 5
    z, state = standardise(daily, 21.0), state_of(daily, 21.0, 63.0)
    batch = median_ms(lambda: pairwise_correlation(standardise(daily, 21.0), 63.0), repetitions)
    update = median_ms(lambda: advance(state, daily[-1]).correlation(), repetitions)
    shrunk = median_ms(lambda: forecast_correlation(z, 63.0), repetitions)
    print(
        f"N={daily.shape[1]} T={len(daily)}: batch {batch:.2f} ms, one day's update "
        f"{update:.3f} ms (1/{batch / update:.0f}), shrunk and checked {shrunk:.2f} ms"
    )


def wide_panel(rng: np.random.Generator) -> Panel:
    """Return 20 contracts of 10 coins on 2 venues over 90 days."""
    hours = 24 * 90 + 1
    close_ms = stamp("2024-08-05") - HOUR_MS * np.arange(hours, dtype=np.int64)[::-1]
    coins = np.cumsum(rng.normal(0, 0.007, (hours, 10)), axis=0)
    series = [
        Closes(
            f"v{venue}:C{k}/U:U",
            f"C{k}",
            close_ms,
            np.exp(coins[:, k] + rng.normal(0, 2e-4, hours)),
            HOUR_MS,
        )
        for k in range(10)
        for venue in range(2)
    ]
    return build_panel(series, int(close_ms[-1]), 90)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("likelihood", "basis", "speed"))
    arguments = parser.parse_args()
    if arguments.only in (None, "likelihood"):
        print_likelihoods(arguments.data)
    if arguments.only in (None, "basis"):
        print_basis(arguments.data)
    if arguments.only in (None, "speed"):
        print_speed(arguments.data)


if __name__ == "__main__":
    main()
