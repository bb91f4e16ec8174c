"""What the regime models look at, by hour and causal: a row uses its hour and those before it.

The book is one equal part of each coin, hourly. Ratios are volatilities over their level of the
last 180 days: what is high is relative to the half-year, not to all time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import SMALLEST_DAILY_VOLATILITY
from perptui.estimation.recursion import divided, ewma
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_H = 24
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS
"""1970-01-05, the first Monday: weekly refits are counted from it, whatever the data."""
LEVEL_H = 180 * DAY_H
LEAST_LEVEL_H = 20 * DAY_H
FAST_HALFLIFE_H = 24.0
SLOW_WINDOW_H = 240
CENTER_H = 90 * DAY_H
"""Funding and spread are compared with their last 90 days."""
LEAST_CENTER_H = 20 * DAY_H


@dataclass(frozen=True, slots=True)
class SideInputs:
    """What else is known of the market by hour, (T,) each, NaN where unknown; None: not at all.

    `correlation` is the mean pair correlation, `funding` the cross-coin median of the hourly rate
    last settled, `spread` the mean half-spread. A row holds what was known at the end of its hour.
    """

    correlation: FloatArray | None = None
    funding: FloatArray | None = None
    spread: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class RegimeInputs:
    """The inputs by hour; the first row's hour begins at `start_ms`.

    Attributes
    ----------
    ratios : (T, 2) array
        x1 and x2 (method §5): volatility of the last 24 h and 10 d over the level.
    recent : (T, 3) array
        Log volatility of a day: of the last day, of the last 10, of the falls of the last (x3).
        Made of whole days that end with the row, so that it does not depend on where the rows
        begin; what is high in it is for a model's window to say.
    day : (T, 2) array
        Return and log realised variance of the 24 h that end with the row.
    correlation, funding_z, spread_z : (T,) array
        x4, x5, x6; NaN where not known.
    """

    start_ms: int
    ratios: FloatArray
    recent: FloatArray
    day: FloatArray
    correlation: FloatArray
    funding_z: FloatArray
    spread_z: FloatArray

    @property
    def rows(self) -> int:
        """How many hours there are."""
        return len(self.day)


def regime_inputs(
    book: FloatArray, start_ms: int = MONDAY_MS, side: SideInputs | None = None
) -> RegimeInputs:
    """Return the inputs of an equal-weight book's hourly log returns (T,).

    Raises
    ------
    EstimationError
        With fewer than 20 days of hours, a book that does not move, or side inputs of another
        length.
    """
    check_book(book)
    side = side or SideInputs()
    day = day_windows(book)
    return RegimeInputs(
        start_ms=start_ms,
        ratios=volatility_ratios(book),
        recent=recent_volatility(book, day),
        day=day,
        correlation=_of_length(side.correlation, len(book)),
        funding_z=score(_of_length(side.funding, len(book))),
        spread_z=score(_of_length(side.spread, len(book))),
    )


def check_book(book: FloatArray) -> None:
    """Refuse a book from which no regime can be told.

    Raises
    ------
    EstimationError
        With fewer than 20 days of hours, or hours that move less than any price does.
    """
    known = book[np.isfinite(book)]
    if len(known) < LEAST_LEVEL_H or not np.isfinite(book[-1]):
        raise EstimationError(
            f"expected {LEAST_LEVEL_H} hours of the book for its regime, up to the last, "
            f"was {len(known)}; fetch history"
        )
    daily = float(np.sqrt(DAY_H * np.mean(known[-LEVEL_H:] ** 2)))
    if daily < SMALLEST_DAILY_VOLATILITY:
        raise EstimationError(
            f"expected a daily volatility of the book above {SMALLEST_DAILY_VOLATILITY:g}, "
            f"was {daily:.1e}; check its units"
        )


def _of_length(x: FloatArray | None, rows: int) -> FloatArray:
    if x is None:
        return np.full(rows, np.nan)
    if x.shape != (rows,):
        raise EstimationError(
            f"expected a side input of {rows} hours as the book, was {x.shape}; put it on its clock"
        )
    return x


def volatility_ratios(book: FloatArray) -> FloatArray:
    """Return each leg's volatility over its 180-day level, (T, 2), from hourly returns (T,).

    The level is the root mean square of the last 180 d, of what there is while there is less, and
    NaN below 20 days.
    """
    squares = book**2
    level = trailing_mean(squares, LEVEL_H, LEAST_LEVEL_H)
    fast = ewma(squares, FAST_HALFLIFE_H)
    # A running sum keeps rounding of what left it long ago: a mean square is never below zero.
    slow = np.maximum(trailing_mean(squares, SLOW_WINDOW_H, SLOW_WINDOW_H // 2), 0.0)
    legs = np.column_stack([fast, slow])
    ratios: FloatArray = np.sqrt(divided(legs, level[:, None], (level > 0)[:, None]))
    return ratios


def trailing_mean(x: FloatArray, window: int, least: int) -> FloatArray:
    """Return the mean of the finite values among the last `window`, NaN below `least` of them."""
    seen = np.isfinite(x)
    total = np.concatenate([[0.0], np.cumsum(np.where(seen, x, 0.0))])
    count = np.concatenate([[0], np.cumsum(seen)])
    end = np.arange(1, len(x) + 1)
    begin = np.maximum(end - window, 0)
    hours = count[end] - count[begin]
    return divided(total[end] - total[begin], hours, hours >= least)


def day_windows(book: FloatArray) -> FloatArray:
    """Return return and ln RV of the last 24 h, (T, 2); NaN below 12 known hours or RV of 0.

    RV is the sum of squared hourly returns, scaled to 24 h where some are missing.
    """
    seen = np.isfinite(book)
    filled = np.where(seen, book, 0.0)
    hours = _last_day(seen.astype(np.float64))
    squares = _last_day(filled**2)
    known = (hours >= DAY_H // 2) & (squares > 0.0)
    variance = divided(DAY_H * squares, hours, known, 1.0)
    rows = np.column_stack([_last_day(filled), np.log(variance)])
    return np.where(known[:, None], rows, np.nan)


def recent_volatility(book: FloatArray, day: FloatArray) -> FloatArray:
    """Return log volatilities of a day, (T, 3): of about the last day, of the last 10, of falls.

    The last day's and the falls' are means over the last 10 days that halve their weight a day
    (the half-life of 24 h of x1), of days that end with the row. NaN while a day is not known.
    """
    moves = np.exp(day[:, 1])
    falls = np.where(
        np.isfinite(moves), _last_day(np.minimum(np.nan_to_num(book), 0.0) ** 2), np.nan
    )
    days = SLOW_WINDOW_H // DAY_H
    halving: FloatArray = np.power(0.5, np.arange(days, dtype=np.float64))
    means = [
        _mean_of_days(moves, halving),
        _mean_of_days(moves, np.ones(days)),
        _mean_of_days(falls, halving),
    ]
    known = np.column_stack(means)
    return 0.5 * np.log(np.where(known > 0.0, known, np.nan))


def _mean_of_days(x: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted mean of a row and those 24, 48, ... rows before it; NaN at first."""
    total = np.full(len(x), np.nan)
    reach = (len(weights) - 1) * DAY_H
    if len(x) > reach:
        total[reach:] = 0.0
        for ago, weight in enumerate(weights):
            total[reach:] += weight * x[reach - ago * DAY_H : len(x) - ago * DAY_H]
    mean: FloatArray = total / weights.sum()
    return mean


def _last_day(x: FloatArray) -> FloatArray:
    """Return the sum over the last 24 rows, NaN before there are as many.

    A difference of running sums would keep rounding of an old jump, and depend on where the rows
    begin; sums of 2, 4, 8 and three times 8 rows do neither.
    """
    out = np.full(len(x), np.nan)
    if len(x) >= DAY_H:
        total = x
        for width in (1, 2, 4):
            total = total[width:] + total[:-width]
        out[DAY_H - 1 :] = total[16:] + total[8:-8] + total[:-16]
    return out


def score(x: FloatArray) -> FloatArray:
    """Return (x - mean)/deviation over the last 90 days up to each row; NaN without a spread."""
    mean = trailing_mean(x, CENTER_H, LEAST_CENTER_H)
    center = np.where(np.isfinite(x), x, np.nan)
    variance = trailing_mean(center**2, CENTER_H, LEAST_CENTER_H) - mean**2
    moves = variance > 1e-10 * mean**2
    return divided(x - mean, np.sqrt(np.where(moves, variance, 1.0)), moves)


def anchors(start_ms: int, rows: int) -> IntArray:
    """Return how many rows end by each Monday 00:00 UTC, rising: where weekly refits stand."""
    first_hour = -(-(MONDAY_MS - start_ms) // HOUR_MS) % (WEEK_MS // HOUR_MS)
    return np.arange(first_hour, rows + 1, WEEK_MS // HOUR_MS, dtype=np.int64)
