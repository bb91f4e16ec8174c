"""A seeded market: common factor + coin + jumps, GJR-GARCH-t, regimes, funding, depth.

r_i = beta_i·f + u_i, f = sqrt(h·m)·t_nu + jump with h a GJR-GARCH(1,1) and m the variance multiple
of a Markov regime; u_i of the coin's own scale, moved by the same volatility. A contract's
premium follows a Gaussian AR(1), correlated with the coin's three-day return, through the quantiles
that its history had; the funding of an interval is (P + clamp(I - P, ±0.05 %))·interval/8 h of the
interval's mean premium P, capped.
Parameters come from `market_parameters.toml`, whose header names the command that fitted them.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from statistics import NormalDist
from typing import Any

import numpy as np

from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.risk.contract_rules import QUOTE, rules_table
from perptui.simulator.market import Series
from perptui.simulator.path import Floats

VENUE = "binanceusdm"
HISTORY_DAYS = 220
BLOCK_HOURS = 96
CLAMP_8H = 0.0005
TREND_HOURS = 72
JUMP_Z = 7.0
REGIMES = ("calm", "normal", "stress")


def load_parameters() -> dict[str, Any]:
    """Return the table of parameters."""
    source = resources.files("perptui.simulator") / "market_parameters.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def funding_of(premium: float, interest: float, hours: float, cap: float) -> float:
    """Return the rate per interval of a mean premium, Binance's rule.

    (P + clamp(I - P, ±0.05 %)) divided by 8/hours, within ±cap, to 1e-8.
    """
    clamped = min(max(interest - premium, -CLAMP_8H), CLAMP_8H)
    rate = (premium + clamped) * hours / 8
    return round(min(max(rate, -cap), cap), 8)


class GeneratedMarket:
    """A market without end.

    Parameters
    ----------
    seed : int
        The same seed gives the same market, hour by hour from its first.
    start_ms : int
        The present: `HISTORY_DAYS` of history lie before it.
    """

    label = "SIMULATED MARKET"
    kind = "generated"

    def __init__(self, seed: int, start_ms: int, parameters: dict[str, Any] | None = None) -> None:
        table = load_parameters() if parameters is None else parameters
        self.seed: int | None = seed
        self.start_ms = start_ms
        self.end_ms: int | None = None
        self.detail = f"generated, seed {seed}"
        self._table = table
        self._coins: list[str] = list(table["coins"])
        self._rng = np.random.default_rng(seed)
        self._state = _State(self._coins, table)
        self._caps = {
            symbol: float(rules.funding_cap)
            for symbol, rules in rules_table().contracts[VENUE].items()
        }
        self._premiums = np.empty((0, len(self._coins)))
        self._first_ms = start_ms // HOUR_MS * HOUR_MS - HISTORY_DAYS * DAY_MS
        self.series: dict[str, Series] = {}
        self._start(HISTORY_DAYS * 24)

    def extend(self, to_ms: int) -> None:
        """Generate whole blocks until the series reach a day beyond `to_ms`."""
        end_ms = next(iter(self.series.values())).end_ms
        while end_ms < to_ms + DAY_MS:
            self._append(self._state.block(self._rng, self._table, BLOCK_HOURS))
            end_ms += BLOCK_HOURS * HOUR_MS

    def funding_estimate(self, symbol: str, utc_ms: int) -> float:
        """Return the rate that the premiums of the open interval so far would give."""
        column = self._coins.index(symbol.removesuffix(QUOTE))
        hours = self._hours(column)
        row = (utc_ms - self._first_ms) // HOUR_MS
        opened = (utc_ms // (hours * HOUR_MS) * hours * HOUR_MS - self._first_ms) // HOUR_MS
        part = self._premiums[max(0, min(opened, row - 1)) : row, column]
        return funding_of(float(part.mean()), self._interest(column), hours, self._caps[symbol])

    def _interest(self, column: int) -> float:
        return float(self._table["coins"][self._coins[column]]["interest"])

    def _hours(self, column: int) -> int:
        return int(self._table["coins"][self._coins[column]]["interval_hours"])

    def _start(self, hours: int) -> None:
        block = self._state.block(self._rng, self._table, hours)
        prices = [self._table["coins"][coin]["price"] for coin in self._coins]
        scale = np.array(prices) / block["close"][-1]
        for name in ("open", "high", "low", "close", "mark"):
            block[name] = block[name] * scale
        block["volume"] = block["volume"] / scale
        block["depth"] = block["depth"] / scale
        self._state.price = np.array(prices)
        self._state.scale = scale
        empty_stamps, empty = np.empty(0, np.int64), np.empty(0)
        for coin in self._coins:
            self.series[f"{coin}{QUOTE}"] = Series(
                f"{coin}{QUOTE}", self._first_ms, empty, empty, empty, empty, empty, empty,
                np.empty(0, bool), empty_stamps, empty, empty,
            )  # fmt: skip
        self._append(block)
        self.extend(self.start_ms)

    def _append(self, block: dict[str, Floats]) -> None:
        begin = len(self._premiums)
        self._premiums = np.concatenate([self._premiums, block["premium"]])
        for column, series in enumerate(self.series.values()):
            for name in ("open", "high", "low", "close", "volume", "mark"):
                values = np.concatenate([getattr(series, name), block[name][:, column]])
                setattr(series, name, values)
            series.traded = np.ones(len(series.close), bool)
            self._add_depth(series, begin, block["depth"][:, column])
            self._add_funding(series, column, begin)

    def _add_depth(self, series: Series, begin: int, depth: Floats) -> None:
        stamps = self._first_ms + HOUR_MS * np.arange(begin, begin + len(depth), dtype=np.int64)
        series.depth_ms = np.concatenate([series.depth_ms, stamps])
        tilt = np.cos(np.arange(begin, begin + len(depth)) * 0.7) * 0.15
        series.bid_depth = np.concatenate([series.bid_depth, depth * (1 + tilt)])
        series.ask_depth = np.concatenate([series.ask_depth, depth * (1 - tilt)])

    def _add_funding(self, series: Series, column: int, begin: int) -> None:
        hours, interest = self._hours(column), self._interest(column)
        cap, step = self._caps[series.symbol], hours * HOUR_MS
        offset = -self._first_ms % step // HOUR_MS
        rows = np.arange(begin + 1, len(self._premiums) + 1)
        rows = rows[(rows - offset) % hours == 0]
        stamps = self._first_ms + HOUR_MS * rows.astype(np.int64)
        total = np.concatenate([[0.0], np.cumsum(self._premiums[:, column])])
        since = np.maximum(rows - hours, 0)
        means = (total[rows] - total[since]) / (rows - since)
        rates = [funding_of(mean, interest, hours, cap) for mean in means.tolist()]
        series.funding_ms = np.concatenate([series.funding_ms, stamps])
        series.funding_rate = np.concatenate([series.funding_rate, np.array(rates)])
        series.funding_hours = np.concatenate([series.funding_hours, np.full(len(rates), hours)])


class _State:
    """What one block hands to the next."""

    def __init__(self, coins: list[str], table: dict[str, Any]) -> None:
        rows = [table["coins"][coin] for coin in coins]
        self.beta = np.array([row["beta"] for row in rows])
        self.own = np.array([row["volatility_hourly"] for row in rows])
        self.quantiles = np.array([row["premium"] for row in rows])
        normal = NormalDist()
        self.knots = np.array([normal.inv_cdf(p) for p in table["funding"]["probabilities"]])
        three_days = TREND_HOURS * ((self.beta * table["factor"]["volatility_hourly"]) ** 2)
        self.trend_sd = np.sqrt(three_days + TREND_HOURS * self.own**2)
        self.volume_usd = np.array([row["volume_usd"] for row in rows])
        self.price = np.ones(len(coins))
        self.scale = np.ones(len(coins))
        self.variance = table["factor"]["volatility_hourly"] ** 2
        self.shock = 0.0
        self.regime = 1
        self.premium = np.zeros(len(coins))
        self.depth = np.zeros(len(coins))
        self.trend = np.zeros((TREND_HOURS, len(coins)))

    def block(
        self, rng: np.random.Generator, table: dict[str, Any], hours: int
    ) -> dict[str, Floats]:
        """Return `hours` rows of everything, one column a coin."""
        relative, factor = self._factor(rng, table, hours)
        spread = np.sqrt(relative)[:, None]
        nu = table["factor"]["degrees_of_freedom"]
        own = _student(rng, nu, (hours, len(self.beta))) * self.own * spread
        returns = np.outer(factor, self.beta) + own
        scale = np.sqrt((self.beta * table["factor"]["volatility_hourly"]) ** 2 + self.own**2)
        close = self.price * np.exp(np.cumsum(returns, axis=0))
        opened = np.vstack([self.price, close[:-1]])
        wick = (
            np.abs(rng.standard_normal((2, hours, len(self.beta))))
            * scale
            * spread
            * table["factor"]["wick"]
        )
        premium = self._premium(rng, table, returns)
        volume = self._volume(rng, relative, returns / (scale * spread)) / close
        block = {
            "open": opened,
            "close": close,
            "high": np.maximum(opened, close) * np.exp(wick[0]),
            "low": np.minimum(opened, close) * np.exp(-wick[1]),
            "mark": close * (1 + rng.standard_normal(close.shape) * 0.00008),
            "volume": volume,
            "premium": premium,
            "depth": self._depth(rng, table, relative) / close,
        }
        self.price = close[-1]
        return block

    def _factor(
        self, rng: np.random.Generator, table: dict[str, Any], hours: int
    ) -> tuple[Floats, Floats]:
        """Return the factor's variance over its level, and the factor's returns."""
        p = table["factor"]
        level = p["volatility_hourly"] ** 2
        base = level * (1 - p["arch"] - p["leverage"] / 2 - p["garch"])
        shocks = _student(rng, p["degrees_of_freedom"], (hours,))
        jumps = rng.random(hours) < p["jump_per_hour"]
        sizes = p["jump_mean"] + p["jump_sd"] * rng.standard_normal(hours)
        moves = rng.random((hours, 2))
        relative, returns = np.empty(hours), np.empty(hours)
        for hour in range(hours):
            bad = p["leverage"] if self.shock < 0 else 0.0
            self.variance = base + (p["arch"] + bad) * self.shock**2 + p["garch"] * self.variance
            self.shock = float(np.sqrt(self.variance)) * float(shocks[hour])
            multiple = self._regime_multiple(table["regimes"], moves[hour])
            relative[hour] = self.variance / level * multiple
            jump = sizes[hour] * np.sqrt(self.variance * multiple) if jumps[hour] else 0.0
            returns[hour] = p["drift_hourly"] + self.shock * np.sqrt(multiple) + jump
        return relative, returns

    def _regime_multiple(self, table: dict[str, Any], moves: Floats) -> float:
        multiple, stay = table[REGIMES[self.regime]]
        if moves[0] < 1 / stay:
            self.regime = 1 if self.regime != 1 else (0 if moves[1] < table["to_calm"] else 2)
        return float(multiple)

    def _premium(self, rng: np.random.Generator, table: dict[str, Any], returns: Floats) -> Floats:
        phi = table["funding"]["persistence_hourly"]
        share = table["funding"]["trend_correlation"]
        padded = np.vstack([self.trend, returns])
        total = np.cumsum(padded, axis=0)
        trend = (total[TREND_HOURS:] - total[:-TREND_HOURS]) / self.trend_sd
        noise = rng.standard_normal(returns.shape) * np.sqrt(1 - phi**2)
        latent = np.empty_like(returns)
        for hour in range(len(returns)):
            self.premium = phi * self.premium + noise[hour]
            latent[hour] = self.premium
        self.trend = padded[-TREND_HOURS:]
        latent = np.sqrt(1 - share**2) * latent + share * trend
        columns = zip(latent.T, self.quantiles, strict=True)
        return np.column_stack([np.interp(z, self.knots, q) for z, q in columns])

    def _volume(self, rng: np.random.Generator, relative: Floats, z: Floats) -> Floats:
        noise = np.exp(0.35 * rng.standard_normal(z.shape) - 0.06)
        activity = np.minimum(relative, 9.0)[:, None] ** 0.6 * (
            0.6 + 0.5 * np.minimum(np.abs(z), 6)
        )
        volume: Floats = self.volume_usd / 24 * activity * noise
        return volume

    def _depth(self, rng: np.random.Generator, table: dict[str, Any], relative: Floats) -> Floats:
        p = table["liquidity"]
        depth = np.empty((len(relative), len(self.beta)))
        noise = rng.standard_normal(depth.shape) * p["depth_sd"] * np.sqrt(1 - 0.9**2)
        for hour in range(len(relative)):
            self.depth = 0.9 * self.depth + noise[hour]
            depth[hour] = self.depth
        thinner = relative[:, None] ** (-p["depth_volatility_power"])
        usd: Floats = p["depth_of_day"] * self.volume_usd * np.exp(depth) * np.minimum(thinner, 3.0)
        return usd


def _student(rng: np.random.Generator, nu: float, shape: tuple[int, ...]) -> Floats:
    """Return Student-t draws of unit variance, cut where the fit begins to call them jumps."""
    draws: Floats = rng.standard_t(nu, shape) * np.sqrt((nu - 2) / nu)
    return np.clip(draws, -JUMP_Z, JUMP_Z)
