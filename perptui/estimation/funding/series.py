"""Settled funding as a series in time: its checks, its levels at any time, its interest rate.

Rates are worked with by the hour, so that a contract whose interval changed has one history.
f > 0 means that a long pays. An origin is a time at which a forecast is made: what is stated for
it uses settlements stamped at or before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

INTEREST_PER_HOUR = 1e-4 / 8.0
"""The interest term of Binance-type rules: 0.01 % per 8 h."""
FEWEST_SETTLEMENTS = 3
WINDOW_DAYS = 90
LEAST_RATE = 1e-10
"""Venues quote rates to 1e-8 or so: a window whose largest hourly rate is smaller is misscaled."""
ATOM_SHARE = 0.1
"""A rate that comes again this often is the rule's own: the interest between the clamp's ends."""
ATOM_WIDTH = 2e-9
"""Half-width, by the hour, in which two rates are the same: half a printed digit of a rate."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Settled rates of one contract, rising in time; each (T,); `rate` for `interval_h` hours."""

    ts_ms: IntArray
    rate: FloatArray
    interval_h: FloatArray

    @property
    def hourly(self) -> FloatArray:
        """Rates by the hour, (T,)."""
        rates: FloatArray = self.rate / self.interval_h
        return rates


@dataclass(frozen=True, slots=True)
class Open:
    """The open interval: the rate that the venue shows for it, its end, its length in hours.

    Not `observed`: the rate is the last that settled and says nothing of the open interval.
    """

    rate: float
    next_ms: int
    interval_h: float
    observed: bool = True


def since(settled: Settled, first_ms: int) -> Settled:
    """Return the settlements stamped at `first_ms` or later."""
    k = int(np.searchsorted(settled.ts_ms, first_ms))
    return Settled(settled.ts_ms[k:], settled.rate[k:], settled.interval_h[k:])


def check_settled(settled: Settled, now_ms: int) -> None:
    """Refuse a series from which nothing can be forecast at `now_ms`.

    Raises
    ------
    EstimationError
        As `checked` does of the last 90 days, or when there are none.
    """
    checked(since(settled, now_ms - WINDOW_DAYS * DAY_MS))


def checked(settled: Settled) -> Settled:
    """Return the series as it is, when it can be forecast from.

    Raises
    ------
    EstimationError
        When its arrays differ in length, it is shorter than three settlements, a value is not
        finite, stamps do not rise, an interval is not positive, or every rate of the last 90 days
        is nonzero and too small to be a fraction of notional.
    """
    count = len(settled.ts_ms)
    if not count == len(settled.rate) == len(settled.interval_h):
        raise EstimationError(
            f"expected stamps, rates and intervals of one length, was {count}, "
            f"{len(settled.rate)}, {len(settled.interval_h)}; fetch funding history anew"
        )
    if count < FEWEST_SETTLEMENTS:
        raise EstimationError(
            f"expected at least {FEWEST_SETTLEMENTS} funding settlements in {WINDOW_DAYS} days, "
            f"was {count}; fetch funding history"
        )
    unknown = int(np.sum(~(np.isfinite(settled.rate) & np.isfinite(settled.interval_h))))
    if unknown:
        raise EstimationError(f"expected finite funding rates, was {unknown} not; drop those rows")
    if (np.diff(settled.ts_ms) <= 0).any() or (settled.interval_h <= 0).any():
        raise EstimationError(
            "expected rising stamps and positive intervals, was otherwise; clean the history"
        )
    largest = float(np.abs(settled.hourly).max())
    if 0.0 < largest < LEAST_RATE:
        raise EstimationError(
            f"expected funding rates as fractions of notional, was at most {largest:.1e} an hour; "
            "check their scale"
        )
    return settled


def interest_of(hourly: FloatArray, default: float = INTEREST_PER_HOUR) -> tuple[float, bool]:
    """Return the rate by the hour that the rule falls back to, and whether it was seen.

    Under F = P + clamp(I - P, ±.05 %) the rate is I itself whenever P is within .05 % of it, so I
    is the commonest rate. Seen means that at least a tenth of the rates, and two of them, are it.
    """
    cells = np.round(hourly / ATOM_WIDTH).astype(np.int64)
    values, counts = np.unique(cells, return_counts=True)
    most = int(np.argmax(counts))
    if counts[most] < max(2, ATOM_SHARE * len(hourly)):
        return default, False
    return float(hourly[np.flatnonzero(cells == values[most])[-1]]), True


def origins_before(settled: Settled, days: int) -> IntArray:
    """Return origins a day apart up to the last stamp, rising, (G,): none before the first."""
    last, first = int(settled.ts_ms[-1]), int(settled.ts_ms[0])
    count = min(days, (last - first) // DAY_MS + 1)
    return last - DAY_MS * np.arange(count, dtype=np.int64)[::-1]


def known_by(settled: Settled, stamps: IntArray) -> IntArray:
    """Return how many settlements are stamped at or before each of `stamps`."""
    found: IntArray = settled.ts_ms.searchsorted(stamps, side="right")
    return found


def running(x: FloatArray) -> FloatArray:
    """Return the sums of the first 0, 1, ... T rows of (T, ...)."""
    total = np.zeros((len(x) + 1, *x.shape[1:]))
    np.cumsum(x, axis=0, out=total[1:])
    return total


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of rates and of hours over the first 0, 1, ... T settlements, (T + 1,)."""

    ts_ms: IntArray
    rate: FloatArray
    hours: FloatArray

    @classmethod
    def of(cls, settled: Settled) -> Totals:
        """Return the totals of a series."""
        return cls(settled.ts_ms, running(settled.rate), running(settled.interval_h))

    def level(self, origins: IntArray, span_ms: IntArray | int) -> FloatArray:
        """Return the mean hourly rate over the hours settled in the `span_ms` before, (G,).

        Where none settled in them, the last rate.
        """
        until = self.ts_ms.searchsorted(origins, side="right")
        after = self.ts_ms.searchsorted(origins - span_ms, side="right")
        after = np.minimum(after, np.maximum(until - 1, 0))
        above, below = self.rate[until] - self.rate[after], self.hours[until] - self.hours[after]
        return divided(above, below, below > 0)


def day_of(settled: Settled, origins: IntArray) -> IntArray:
    """Return the first origin at or after each settlement that one knows of, (K,), K <= T."""
    known = known_by(settled, origins)
    return np.repeat(np.arange(len(origins)), np.diff(known, prepend=0))


def decayed_at(
    settled: Settled, origins: IntArray, columns: tuple[FloatArray, ...], halflife_days: float
) -> FloatArray:
    """Return the sum of x_k 2^(-age/halflife) over settlements known at each origin, (G, C).

    Each of the C `columns` is (T,). Ages are in time, not in settlements, so mixed intervals weigh
    as they last. Origins are a day apart: settlements are decayed to the next origin and summed by
    day, then days are decayed to the origins after them.
    """
    ends = known_by(settled, origins)
    day = day_of(settled, origins)
    age = (settled.ts_ms[: len(day)] - origins[day]) * (1.0 / DAY_MS)
    fade = np.exp2(age * (1.0 / halflife_days))
    total = np.zeros((len(columns), len(day) + 1))
    for c, x in enumerate(columns):
        np.cumsum(x[: len(day)] * fade, out=total[c, 1:])
    by_day = np.diff(total[:, ends], axis=1, prepend=0.0)
    found: FloatArray = (by_day @ _fading(len(origins), halflife_days).T).T
    return found


@lru_cache(maxsize=8)
def _fading(days: int, halflife_days: float) -> FloatArray:
    """Return the lower triangle of 2^(-(g - k)/halflife), (days, days): it is asked for often."""
    lags = np.subtract.outer(np.arange(days), np.arange(days))
    triangle = np.where(lags >= 0, 2.0 ** (-np.maximum(lags, 0) / halflife_days), 0.0)
    triangle.setflags(write=False)
    return triangle


def missing_share(settled: Settled, days: int) -> float:
    """Return the share of hours of the last `days` (or since the first stamp) without a rate."""
    last = int(settled.ts_ms[-1])
    recent = since(settled, last - days * DAY_MS + 1)
    span_h = (last - int(recent.ts_ms[0])) / HOUR_MS + float(recent.interval_h[0])
    return max(0.0, 1.0 - float(recent.interval_h.sum()) / span_h)
