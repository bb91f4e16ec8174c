"""Prices of several contracts on one clock: hours for books, days for variances.

The clock ends at the last full hour and days are counted back from there, so a day is the 24 hours
that ended at this time of the clock. A return over a gap is a rate over the time that really
passed; nothing is filled in and called an observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALLEST_DAILY_VOLATILITY = 1e-6
"""Below this a price does not move, or came in wrong units (method §14)."""
_LEAST_COVERED_H = 12.0


@dataclass(frozen=True, slots=True)
class Closes:
    """Closes of one contract: `close_ms` (T,) when each was known, `price` (T,), bar width."""

    id: str
    coin: str
    close_ms: IntArray
    price: FloatArray
    width_ms: int


@dataclass(frozen=True, slots=True)
class Panel:
    """N contracts over D days that end at `end_ms`.

    Attributes
    ----------
    hourly : (24·D, N) array
        Log returns by hour; 0 in an hour without a new close, NaN before the first.
    daily : (D, N) array
        Log returns by day, scaled to one day after a gap; NaN where a day has no close.
    variance : (D, N) array
        Realised variance by day: 24 h · sum of r² over the hours that these returns span.
    log_price : (D + 1, N) array
        At the days' ends; NaN where the last close was too old.
    """

    ids: tuple[str, ...]
    coins: tuple[str, ...]
    end_ms: int
    hourly: FloatArray
    daily: FloatArray
    variance: FloatArray
    log_price: FloatArray

    @property
    def days(self) -> int:
        """How many days it spans."""
        return len(self.daily)

    def by_coin(self) -> tuple[tuple[str, ...], IntArray]:
        """Return the coins, sorted, and the column of its coin for each contract (N,)."""
        names = tuple(sorted(set(self.coins)))
        return names, np.array([names.index(coin) for coin in self.coins], dtype=np.int64)


def check_closes(closes: Closes) -> None:
    """Refuse a series from which nothing can be learnt.

    Raises
    ------
    EstimationError
        When a price is not finite and positive, stamps do not rise, the price never moves, or it
        moves less than `SMALLEST_DAILY_VOLATILITY`.
    """
    price, name = closes.price, closes.id
    if len(price) < 2:
        raise EstimationError(f"expected a series for {name}, was {len(price)} close(s); wait")
    if not (np.isfinite(price).all() and (price > 0).all()):
        raise EstimationError(
            f"expected finite, positive prices of {name}, was {price[~(price > 0)][:1]}; clean it"
        )
    if (np.diff(closes.close_ms) <= 0).any():
        raise EstimationError(f"expected rising stamps of {name}, was another order; sort it")
    bars_a_day = DAY_MS / closes.width_ms
    moves = float(np.std(np.diff(np.log(price)))) * np.sqrt(bars_a_day)
    if moves == 0.0:
        raise EstimationError(f"expected prices of {name} that move, was a constant; leave it out")
    if moves < SMALLEST_DAILY_VOLATILITY:
        raise EstimationError(
            f"expected a daily volatility of {name} above {SMALLEST_DAILY_VOLATILITY:g}, "
            f"was {moves:.1e}; check its units"
        )


def build_panel(series: Sequence[Closes], end_ms: int, days: int) -> Panel:
    """Return `series` on one clock of `days` days ending at the last full hour before `end_ms`.

    Raises
    ------
    EstimationError
        When there is no series, or one is refused by `check_closes`.
    """
    if not series:
        raise EstimationError(
            "expected at least one contract with history, was none; fetch history"
        )
    for closes in series:
        check_closes(closes)
    end = end_ms // HOUR_MS * HOUR_MS
    columns = [_column(closes, end, days) for closes in series]
    hourly, daily, variance, log_price = (
        np.column_stack(parts) for parts in zip(*columns, strict=True)
    )
    ids = tuple(closes.id for closes in series)
    coins = tuple(closes.coin for closes in series)
    return Panel(ids, coins, end, hourly, daily, variance, log_price)


def _column(closes: Closes, end: int, days: int) -> tuple[FloatArray, ...]:
    start = end - days * DAY_MS
    grid = np.arange(start, end + 1, HOUR_MS, dtype=np.int64)
    index = np.searchsorted(closes.close_ms, grid, side="right") - 1
    log_close = np.log(closes.price)
    known = index >= 0
    log_price = np.where(known, log_close[np.maximum(index, 0)], np.nan)
    age = np.where(known, grid - closes.close_ms[np.maximum(index, 0)], 2 * DAY_MS)
    ends = np.where(age <= 2 * closes.width_ms, log_price, np.nan)[::24]
    return np.diff(log_price), _daily(ends), _realised(closes, log_close, start, days), ends


def _daily(ends: FloatArray) -> FloatArray:
    daily = np.full(len(ends) - 1, np.nan)
    at = np.flatnonzero(np.isfinite(ends))
    if len(at) > 1:
        daily[at[1:] - 1] = np.diff(ends[at]) / np.sqrt(np.diff(at))
    return daily


def _realised(closes: Closes, log_close: FloatArray, start: int, days: int) -> FloatArray:
    day = (closes.close_ms[1:] - start - 1) // DAY_MS
    inside = (day >= 0) & (day < days)
    squares = np.diff(log_close)[inside] ** 2
    hours = np.diff(closes.close_ms)[inside] / HOUR_MS
    total = np.bincount(day[inside], weights=squares, minlength=days)
    covered = np.bincount(day[inside], weights=hours, minlength=days)
    count = np.bincount(day[inside], minlength=days)
    enough = (covered >= _LEAST_COVERED_H) & (count >= 2) & (total > 0)
    return divided(24.0 * total, covered, enough)


def merge_by_coin(columns: FloatArray, owner: IntArray, coins: int) -> FloatArray:
    """Return the mean over each coin's contracts, (T, N) to (T, C); NaN where none is known."""
    seen = np.isfinite(columns)
    belongs = np.equal.outer(owner, np.arange(coins)).astype(np.float64)
    total = np.where(seen, columns, 0.0) @ belongs
    count = seen.astype(np.float64) @ belongs
    return divided(total, count, count > 0)
