"""Prices of several contracts on one clock: hours for books, days for variances.

The clock ends at the last full hour and days are counted back from there, so a day is the 24 hours
that ended at this time of the clock. A return over a gap is a rate over the time that really
passed; nothing is filled in and called an observation.

Bars of different widths meet on that clock: a contract with bars wider than an hour says nothing
about single hours, and its days end at its own last close. What is compared across contracts,
correlations and bases, is measured where all of them closed at the same instant.
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
BoolArray = NDArray[np.bool_]

SMALLEST_DAILY_VOLATILITY = 1e-6
"""Below this a price does not move, or came in wrong units (method §14)."""
SMALLEST_PRICE = 1e-9
"""USD. Venues multiply cheaper coins by 1000 and more: below it the units are wrong."""
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
        Log returns by hour; 0 in an hour without a new close, NaN before the first. A column with
        bars wider than an hour is NaN throughout: its hours are not known.
    daily : (D, N) array
        Log returns by day, scaled to one day after a gap; NaN where a day has no close.
    variance : (D, N) array
        Realised variance by day: 24 h · sum of r² over the hours that these returns span.
    log_price : (D + 1, N) array
        At the days' ends; NaN where the last close was too old.
    width_ms : (N,) array
        Width of each contract's bars.
    closing : (24·D, N) array
        As `hourly`, but a wider bar's return stands in the hour in which it closed, zeros between.
    common_log_price : (D + 1, N) array
        At the last instant up to each day's end that bars of every width close at; `log_price`
        itself where all bars are hourly.
    """

    ids: tuple[str, ...]
    coins: tuple[str, ...]
    end_ms: int
    hourly: FloatArray
    daily: FloatArray
    variance: FloatArray
    log_price: FloatArray
    width_ms: IntArray
    closing: FloatArray
    common_log_price: FloatArray

    @property
    def days(self) -> int:
        """How many days it spans."""
        return len(self.daily)

    @property
    def common_daily(self) -> FloatArray:
        """Log returns by day (D, N), all over the same 24 hours, scaled to one day after a gap.

        For correlations and bases: days of a contract with 8-hour bars may end up to 8 h before
        those of an hourly one.
        """
        if self.common_log_price is self.log_price:
            return self.daily
        return np.column_stack([_daily(column) for column in self.common_log_price.T])

    @property
    def is_hourly(self) -> BoolArray:
        """Which contracts are known by the hour, (N,)."""
        known: BoolArray = self.width_ms == HOUR_MS
        return known

    def by_coin(self) -> tuple[tuple[str, ...], IntArray]:
        """Return the coins, sorted, and the column of its coin for each contract (N,)."""
        names = tuple(sorted(set(self.coins)))
        return names, np.array([names.index(coin) for coin in self.coins], dtype=np.int64)


def check_closes(closes: Closes) -> None:
    """Refuse a series from which nothing can be learnt.

    Raises
    ------
    EstimationError
        When a price is not finite and above `SMALLEST_PRICE`, stamps do not rise, the price never
        moves, or it moves less than `SMALLEST_DAILY_VOLATILITY`.
    """
    _checked_logs(closes)


def _checked_logs(closes: Closes) -> FloatArray:
    price, name = closes.price, closes.id
    if len(price) < 2:
        raise EstimationError(f"expected a series for {name}, was {len(price)} close(s); wait")
    lowest, highest = float(price.min()), float(price.max())
    if not (0.0 < lowest <= highest < np.inf):
        raise EstimationError(
            f"expected finite, positive prices of {name}, was {price[~(price > 0)][:1]}; clean it"
        )
    if lowest < SMALLEST_PRICE:
        raise EstimationError(
            f"expected prices of {name} above {SMALLEST_PRICE:g} USD, was {lowest:.1e}; "
            "check its units"
        )
    if (closes.close_ms[1:] <= closes.close_ms[:-1]).any():
        raise EstimationError(f"expected rising stamps of {name}, was another order; sort it")
    logs: FloatArray = np.log(price)
    steps = logs[1:] - logs[:-1]
    # No product of vectors: BLAS would start threads for years of hours.
    spread = float(np.square(steps).mean()) - float(steps.mean()) ** 2
    moves = np.sqrt(max(0.0, spread) * DAY_MS / closes.width_ms)
    if lowest == highest:
        raise EstimationError(f"expected prices of {name} that move, was a constant; leave it out")
    if moves < SMALLEST_DAILY_VOLATILITY:
        raise EstimationError(
            f"expected a daily volatility of {name} above {SMALLEST_DAILY_VOLATILITY:g}, "
            f"was {moves:.1e}; check its units"
        )
    return logs


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
    end = end_ms // HOUR_MS * HOUR_MS
    logs = [_checked_logs(closes) for closes in series]
    shape = (days * 24, len(series))
    closing, log_price = np.empty(shape), np.empty((days + 1, len(series)))
    daily, variance = np.empty((days, len(series))), np.empty((days, len(series)))
    for k, (closes, log_close) in enumerate(zip(series, logs, strict=True)):
        steps, ends, realised = _column(closes, log_close, end, days)
        closing[:, k], variance[:, k] = steps, realised
        log_price[:, k], daily[:, k] = ends, _daily(ends)
    width_ms = np.array([closes.width_ms for closes in series], dtype=np.int64)
    wide = width_ms > HOUR_MS
    return Panel(
        ids=tuple(closes.id for closes in series),
        coins=tuple(closes.coin for closes in series),
        end_ms=end,
        hourly=np.where(wide, np.nan, closing) if wide.any() else closing,
        daily=daily,
        variance=variance,
        log_price=log_price,
        width_ms=width_ms,
        closing=closing,
        common_log_price=_common(series, logs, end, days) if wide.any() else log_price,
    )


def _column(
    closes: Closes, log_close: FloatArray, end: int, days: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return returns by hour, log prices at the days' ends and realised variance by day."""
    whole = _unbroken(closes, end, days)
    if whole is None:
        filled, ends = _on_the_clock(closes, log_close, end, days)
        realised = _realised(closes, log_close, end - days * DAY_MS, days)
        return filled[1:] - filled[:-1], ends, realised
    filled = log_close[whole]
    steps = filled[1:] - filled[:-1]
    squares = (steps**2).reshape(-1, 24).sum(axis=1)
    return steps, filled[::24], np.where(squares > 0, squares, np.nan)


def _unbroken(closes: Closes, end: int, days: int) -> slice | None:
    """Return the rows of the window where every hour has its close; None where one has none."""
    last = int(np.searchsorted(closes.close_ms, end, side="right"))
    first = last - 24 * days - 1
    if first < 0 or closes.close_ms[last - 1] != end:
        return None
    stamps = closes.close_ms[first:last]
    return slice(first, last) if (stamps[1:] - stamps[:-1] == HOUR_MS).all() else None


def _on_the_clock(
    closes: Closes, log_close: FloatArray, end: int, days: int
) -> tuple[FloatArray, FloatArray]:
    """Return the last known log price at each hour (24·D + 1,) and at each day's end (D + 1,)."""
    start = end - days * DAY_MS
    stamps = closes.close_ms
    first = int(np.searchsorted(stamps, start, side="right"))
    last = int(np.searchsorted(stamps, end, side="right"))
    # Where an hour has no new close, the one before speaks: row numbers only ever rise.
    index = np.zeros(days * 24 + 1, dtype=np.int64)
    index[0] = first
    index[-((start - stamps[first:last]) // HOUR_MS)] = np.arange(first + 1, last + 1)
    index = np.maximum.accumulate(index) - 1
    filled = log_close[np.maximum(index, 0)]
    unknown = int(np.searchsorted(index, 0))
    filled[:unknown] = np.nan
    at = index[::24]
    age = np.arange(start, end + 1, DAY_MS) - stamps[np.maximum(at, 0)]
    ends = np.where((at >= 0) & (age <= 2 * closes.width_ms), filled[::24], np.nan)
    return filled, ends


def _common(
    series: Sequence[Closes], logs: Sequence[FloatArray], end: int, days: int
) -> FloatArray:
    """Return log prices (D + 1, N) at the days' ends of the widest bars' clock."""
    widest = max(closes.width_ms for closes in series)
    grid = end // widest * widest - DAY_MS * np.arange(days, -1, -1, dtype=np.int64)
    columns = []
    for closes, log_close in zip(series, logs, strict=True):
        index = np.searchsorted(closes.close_ms, grid, side="right") - 1
        found = np.maximum(index, 0)
        # Only a close at that very instant is comparable.
        exact = (index >= 0) & (closes.close_ms[found] == grid)
        columns.append(np.where(exact, log_close[found], np.nan))
    return np.column_stack(columns)


def _daily(ends: FloatArray) -> FloatArray:
    daily = np.full(len(ends) - 1, np.nan)
    at = np.flatnonzero(np.isfinite(ends))
    if len(at) > 1:
        daily[at[1:] - 1] = np.diff(ends[at]) / np.sqrt(np.diff(at))
    return daily


def _realised(closes: Closes, log_close: FloatArray, start: int, days: int) -> FloatArray:
    stamps = closes.close_ms
    first = max(1, int(np.searchsorted(stamps, start, side="right")))
    last = int(np.searchsorted(stamps, start + days * DAY_MS, side="right"))
    day = (stamps[first:last] - start - 1) // DAY_MS
    steps = log_close[first:last] - log_close[first - 1 : max(first, last) - 1]
    hours = (stamps[first:last] - stamps[first - 1 : max(first, last) - 1]) / HOUR_MS
    total = np.bincount(day, weights=steps**2, minlength=days)
    covered = np.bincount(day, weights=hours, minlength=days)
    count = np.bincount(day, minlength=days)
    enough = (covered >= _LEAST_COVERED_H) & (count >= 2) & (total > 0)
    return divided(24.0 * total, covered, enough)


def equal_weight_book(panel: Panel) -> FloatArray:
    """Return hourly log returns of one equal part of each coin that is known by the hour, (24·D,).

    Coins with wider bars only are left out: zeros between their bars would halve the book's
    volatility and then jump. Where no coin is hourly, each bar's return stands in the hour in
    which it closed, which is right on average over its width. NaN where no coin is known.
    """
    _, owner = panel.by_coin()
    return equal_weight(panel.hourly if panel.is_hourly.any() else panel.closing, owner)


def equal_weight(columns: FloatArray, owner: IntArray) -> FloatArray:
    """Return the mean over coins of the mean over each coin's contracts, (T, N) to (T,)."""
    coins = int(owner.max()) + 1
    of_coins = merge_by_coin(columns, owner, coins)
    return merge_by_coin(of_coins, np.zeros(coins, np.int64), 1)[:, 0]


def merge_by_coin(columns: FloatArray, owner: IntArray, coins: int) -> FloatArray:
    """Return the mean over each coin's contracts, (T, N) to (T, C); NaN where none is known."""
    seen = np.isfinite(columns)
    belongs = np.equal.outer(owner, np.arange(coins)).astype(np.float64)
    total = np.where(seen, columns, 0.0) @ belongs
    count = seen.astype(np.float64) @ belongs
    return divided(total, count, count > 0)
