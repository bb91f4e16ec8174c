"""Fit the generated market's parameters on real history, and show what the fit reproduces.

    python -m benchmarks.calibrate_market --data ../shared/data [--write]

Reads hourly bars, funding and depth of Binance from 2021 on; prints a table of statistics of the
history and of a market generated with the fit; with ``--write`` replaces
``perptui/simulator/market_parameters.toml``.
"""

from __future__ import annotations

import argparse
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from arch import arch_model

from perptui.model.clock import HOUR_MS, parse_iso
from perptui.simulator.market_generated import (
    CLAMP_8H,
    JUMP_Z,
    REGIMES,
    GeneratedMarket,
    load_parameters,
)

HOURLY = ("BTC", "ETH", "SOL", "BNB", "XRP")
EIGHT_HOURLY = ("ADA", "LINK", "LTC")
ASSUMED = {
    "DOGE": {"price": 0.1645, "volume_usd": 1.6e9, "interval_hours": 4},
    "AVAX": {"price": 17.98, "volume_usd": 0.35e9, "interval_hours": 4},
}
"""Not in the history: price, volume and interval assumed, the rest from the alt-coins fitted."""

BEGIN = "2021-01-01"
TARGET = Path(__file__).resolve().parents[1] / "perptui" / "simulator" / "market_parameters.toml"
REGIME_HOURS = 500
PROBABILITIES = (0.002, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.998)


def read(data: Path, name: str) -> pd.DataFrame:
    """Return one file from `BEGIN` on, indexed by stamp."""
    frame = pq.read_table(data / "binance" / f"{name}.parquet").to_pandas().set_index("ts")
    return frame[frame.index >= BEGIN]


def log_returns(close: pd.Series) -> pd.Series:
    """Return log returns between neighbouring stamps."""
    return np.log(close).diff().dropna()


def fit_regimes(factor: pd.Series) -> tuple[dict[str, Any], pd.Series]:
    """Return the regime table and each hour's variance multiple.

    The variance of `REGIME_HOURS` over the sample's decides: below .6 calm, above 1.8 stress.
    """
    around = factor.pow(2).rolling(REGIME_HOURS, center=True, min_periods=24).mean()
    relative = around / factor.pow(2).mean()
    label = pd.cut(relative, [0, 0.6, 1.8, np.inf], labels=list(REGIMES))
    table: dict[str, Any] = {}
    runs = (label != label.shift()).cumsum()
    lengths = label.groupby(runs).agg(["first", "size"])
    for name in REGIMES:
        stay = float(lengths[lengths["first"] == name]["size"].mean())
        table[name] = [float(relative[label == name].mean()), stay]
    order = [str(x) for x in lengths["first"]]
    leaving = [after for before, after in pairwise(order) if before == "normal"]
    table["to_calm"] = leaving.count("calm") / len(leaving)
    return table, label.map({name: table[name][0] for name in REGIMES}).astype(float)


def fit_factor(factor: pd.Series, multiple: pd.Series, wick: float) -> dict[str, float]:
    """Return the GJR-GARCH-t of the factor in units of its regime, and its jumps.

    Hours beyond `JUMP_Z` standardised residuals of a first fit are jumps and are cut to it for
    the second, so that the tail is counted once. Jumps are in units of the standard deviation.
    """
    scaled = factor / np.sqrt(multiple)
    first = garch(scaled)
    bound = JUMP_Z * first.conditional_volatility / 100
    is_jump = (scaled.abs() > bound).to_numpy()
    p = garch(scaled.clip(-bound, bound)).params
    jumps = (scaled * JUMP_Z / bound)[is_jump]
    return {
        "volatility_hourly": float(scaled[~is_jump].std()),
        "arch": float(p["alpha[1]"]),
        "leverage": max(0.0, float(p["gamma[1]"])),
        "garch": float(p["beta[1]"]),
        "degrees_of_freedom": float(p["nu"]),
        "drift_hourly": 0.0,
        "jump_per_hour": float(is_jump.mean()),
        "jump_mean": float(jumps.mean()),
        "jump_sd": float(jumps.std()),
        "wick": wick,
    }


def garch(returns: pd.Series) -> Any:
    """Return the GJR-GARCH(1,1)-t fit of `returns`, in percent."""
    model = arch_model(100 * returns, mean="Constant", p=1, o=1, q=1, dist="t", rescale=False)
    return model.fit(disp="off", backcast=float((100 * returns).var()))


def stationary(factor: dict[str, float]) -> dict[str, float]:
    """Return `factor` with alpha + gamma/2 + beta below 1, as the generator needs."""
    persistence = factor["arch"] + factor["leverage"] / 2 + factor["garch"]
    if persistence > 0.985:
        factor["garch"] -= persistence - 0.985
    return factor


def interest_of(rate: pd.Series) -> float:
    """Return the interest term: the most frequent rate (0.01 %, and 0 for BNB)."""
    return float(rate.round(8).mode().iloc[0])


def latent_premium(rate: pd.Series) -> pd.Series:
    """Return the premium behind each settled rate, sorted.

    The rate is I for P in I ± 0.05 %, where the premium is spread evenly; beyond it the rate
    moves one for one, so P = rate ± 0.05 %.
    """
    interest = interest_of(rate)
    ordered = rate.sort_values()
    away = np.sign((ordered - interest).round(8))
    inside = (away == 0).to_numpy()
    premium = (ordered + CLAMP_8H * away).to_numpy().copy()
    premium[inside] = interest + CLAMP_8H * np.linspace(-1, 1, inside.sum() + 2)[1:-1]
    return pd.Series(premium)


def fit_funding(data: Path, closes: pd.DataFrame) -> dict[str, Any]:
    """Return hourly persistence of the rate and its rank correlation with the 3-day return."""
    persistence, loading = [], []
    for coin in HOURLY:
        rate = read(data, f"{coin}USDT-funding")["funding_rate"]
        persistence.append(float(rate.rank().autocorr(1)) ** (1 / 8))
        trend = np.log(closes[coin]).diff(72)
        joined = pd.concat([rate, trend], axis=1, join="inner").dropna()
        loading.append(float(joined.rank().corr().iloc[0, 1]))
    return {
        "persistence_hourly": float(np.median(persistence)),
        "trend_correlation": float(np.median(loading)),
        "probabilities": list(PROBABILITIES),
    }


def fit_liquidity(data: Path, factor: pd.Series) -> dict[str, float]:
    """Return depth within 1 % over a day's volume, and how it falls with volatility."""
    level, power, spread = [], [], []
    day = factor.pow(2).rolling(24).mean()
    for coin in HOURLY:
        depth = read(data, f"{coin}USDT-depth1pct-8h")[["bid_depth", "ask_depth"]].mean(axis=1)
        volume = read(data, f"{coin}USDT-1h")["volume"].rolling(24 * 30).mean() * 24
        share = np.log((depth / volume).dropna())
        joined = pd.concat([share, np.log(day / day.mean())], axis=1, join="inner").dropna()
        slope, _ = np.polyfit(joined.iloc[:, 1], joined.iloc[:, 0], 1)
        level.append(float(np.exp(share.median())))
        power.append(-float(slope))
        spread.append(float((joined.iloc[:, 0] - slope * joined.iloc[:, 1]).std()))
    return {
        "depth_of_day": float(np.median(level)),
        "depth_volatility_power": max(0.0, float(np.median(power))),
        "depth_sd": float(np.median(spread)),
    }


def fit_coin(data: Path, coin: str, factor: pd.Series) -> dict[str, Any]:
    """Return one coin's loading, own volatility, premium, volume and last price."""
    hours = 1 if coin in HOURLY else 8
    bars = read(data, f"{coin}USDT-{hours}h")
    common = factor if hours == 1 else factor.rolling(8).sum().shift(-7)
    joined = pd.concat([log_returns(bars["close"]), common], axis=1, join="inner").dropna()
    beta = float(np.cov(joined.T)[0, 1] / joined.iloc[:, 1].var())
    own = joined.iloc[:, 0] - beta * joined.iloc[:, 1]
    rate = read(data, f"{coin}USDT-funding")["funding_rate"]
    year = bars.iloc[-365 * 24 // hours :]
    return {
        "price": float(bars["close"].iloc[-1]),
        "beta": beta,
        "volatility_hourly": float(own.std() / np.sqrt(hours)),
        "interest": interest_of(rate),
        "premium": [float(q) for q in latent_premium(rate).quantile(PROBABILITIES)],
        "volume_usd": float((year["volume"] * year["close"]).sum() / 365),
        "interval_hours": 8,
    }


def fit(data: Path) -> dict[str, Any]:
    """Return the whole table of parameters."""
    closes = pd.concat({c: read(data, f"{c}USDT-1h")["close"] for c in HOURLY}, axis=1)
    returns = np.log(closes).diff().dropna()
    factor = returns.mean(axis=1)
    bars = read(data, "BTCUSDT-1h")
    upper = np.log(bars["high"] / bars[["open", "close"]].max(axis=1))
    wick = float(upper.mean() / log_returns(bars["close"]).std() / np.sqrt(2 / np.pi))
    regimes, multiple = fit_regimes(factor)
    coins = {c: fit_coin(data, c, factor) for c in (*HOURLY, *EIGHT_HOURLY)}
    alts = [coins[c] for c in ("SOL", "XRP", *EIGHT_HOURLY)]
    for coin, known in ASSUMED.items():
        medians = {n: np.median([alt[n] for alt in alts], axis=0).tolist() for n in alts[0]}
        coins[coin] = medians | known
    order = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC")
    return {
        "factor": stationary(fit_factor(factor, multiple.reindex(factor.index).fillna(1.0), wick)),
        "regimes": regimes,
        "funding": fit_funding(data, closes),
        "liquidity": fit_liquidity(data, factor),
        "coins": {coin: coins[coin] for coin in order},
    }


def toml(table: dict[str, Any]) -> str:
    """Return `table` as TOML with its header."""
    lines = [
        "# Parameters of the generated market, fitted on Binance history 2021-01 to 2025-06 by",
        "#     python -m benchmarks.calibrate_market --data DIR --write",
        "# Hourly units; variance multiples of a regime with its mean stay in hours; DOGE and AVAX",
        "# are not in that history: price, volume and interval assumed, the rest the alt-coins'.",
    ]
    for section in ("factor", "regimes", "funding", "liquidity"):
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {_number(value)}" for name, value in table[section].items()]
    for coin, row in table["coins"].items():
        lines += ["", f"[coins.{coin}]"]
        lines += [f"{name} = {_number(value)}" for name, value in row.items()]
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_number, value)) + "]"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def statistics(
    closes: pd.DataFrame, rates: dict[str, np.ndarray], names: tuple[str, ...]
) -> dict[str, float]:
    """Return what history and generated market are compared by."""
    returns = np.log(closes).diff().dropna()
    btc = returns[names[0]]
    at_interest = [float(np.mean(np.abs(r - 0.0001) < 1e-8)) for r in rates.values()]
    autocorrelation = btc.abs().autocorr
    return {
        "volatility a year, mean of coins": float(returns.std().mean() * np.sqrt(8760)),
        "volatility a year, BTC": float(btc.std() * np.sqrt(8760)),
        "kurtosis of hours, BTC": float(btc.kurt()),
        "mean pair correlation": float(
            (returns.corr().to_numpy().sum() - len(names)) / (len(names) * (len(names) - 1))
        ),
        "autocorrelation of |r|, 1 h": float(autocorrelation(1)),
        "autocorrelation of |r|, 24 h": float(autocorrelation(24)),
        "autocorrelation of |r|, 168 h": float(autocorrelation(168)),
        "funding APR, mean": float(np.mean([r.mean() * 3 * 365 for r in rates.values()])),
        "funding sd, bp": float(np.mean([np.std(r) * 1e4 for r in rates.values()])),
        "share of settlements at 0.01 %": float(np.mean(at_interest)),
    }


def of_history(data: Path) -> dict[str, float]:
    """Return the statistics of the history."""
    closes = pd.concat({c: read(data, f"{c}USDT-1h")["close"] for c in HOURLY}, axis=1).dropna()
    rates = {c: read(data, f"{c}USDT-funding")["funding_rate"].to_numpy() for c in HOURLY}
    return statistics(closes, rates, HOURLY)


def of_generated(table: dict[str, Any], seeds: int = 6) -> dict[str, float]:
    """Return the statistics of generated markets, averaged over seeds."""
    found = []
    for seed in range(seeds):
        market = GeneratedMarket(seed, parse_iso("2025-01-01"), table)
        market.extend(parse_iso("2025-01-01") + 700 * 24 * HOUR_MS)
        closes = pd.DataFrame({c: market.series[f"{c}USDT"].close for c in HOURLY})
        rates = {c: market.series[f"{c}USDT"].funding_rate for c in HOURLY}
        found.append(statistics(closes, rates, HOURLY))
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


def main() -> None:
    """Fit, compare, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    text = toml(fit(args.data))
    history, now = of_history(args.data), of_generated(tomllib.loads(text))
    stored = of_generated(load_parameters()) if not args.write else now
    print(f"{'':36}{'history':>10}{'fit':>10}{'stored':>10}")
    for name, value in history.items():
        print(f"{name:36}{value:10.4f}{now[name]:10.4f}{stored[name]:10.4f}")
    if args.write:
        TARGET.write_text(text, encoding="utf-8")
        print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
