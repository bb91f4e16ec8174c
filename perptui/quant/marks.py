"""Which prices a contract is estimated from: its marks where they agree with its trades."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perptui.estimation.recursion import FloatArray
from perptui.history.dataset import Bars, History
from perptui.history.prints import PRINT_BARS, unsound
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.instrument import Instrument
from perptui.quant.soundness import RECENT_DAYS

MARK = "mark-1h"
QUOTE_FACTOR = 1.5
"""A mark further from the last price than this is in other units, or of another contract."""
MOST_MEDIAN_OFF = 0.01
"""Median distance of marks from trades over 30 days; true ones are a hundredth of that apart."""
FAR_OFF, FAR_HOURS = 0.05, 3
"""A mark this far from trades for so many hours is named."""


class Priced(NamedTuple):
    """The bars to estimate from, the kind of series they are of, and what is weak about that."""

    bars: Bars
    kind: str
    flags: tuple[str, ...]


def apart(mark: float, last: float) -> str:
    """Return how a mark is too far from the last price to be used; "" where it is not."""
    ratio = mark / last
    if 1.0 / QUOTE_FACTOR <= ratio <= QUOTE_FACTOR:
        return ""
    return f"its mark is {ratio:.4g} times its last price, mend the units"


def priced(history: History, instrument: Instrument, traded: Bars, as_of_ms: int) -> Priced:
    """Return mark closes where they reach as far as traded ones and agree, else traded bars."""
    venue, symbol = instrument.venue, instrument.venue_symbol
    kind = "1h" if traded.width_ms == HOUR_MS else "8h"
    if not history.has(venue, symbol, MARK):
        return Priced(traded, kind, ())
    marks = history.bars(venue, symbol, MARK, as_of_ms)
    # Marks may begin before the contract traded: they are the index then.
    marks = rows_from(marks, int(np.searchsorted(marks.ts_ms, traded.ts_ms[0])))
    reason = _unusable(marks, traded)
    if reason:
        return Priced(traded, kind, (f"{reason}: trades are used",))
    off = np.abs(_distance(marks, traded))
    return Priced(marks, MARK, _far_flags(off))


def rows_from(bars: Bars, first: int) -> Bars:
    """Return the bars from row `first` on."""
    return Bars(
        bars.ts_ms[first:],
        bars.open[first:],
        bars.high[first:],
        bars.low[first:],
        bars.close[first:],
        bars.volume[first:],
        bars.width_ms,
    )


def _unusable(marks: Bars, traded: Bars) -> str:
    """Return why marks cannot stand for trades; "" where they can."""
    if not len(marks.ts_ms) or marks.close_ms[-1] < traded.close_ms[-1]:
        return "marks end before trades"
    missing = len(traded.ts_ms) * traded.width_ms // HOUR_MS - len(marks.ts_ms)
    if missing > 0:
        return f"{missing} h of marks missing"
    off = _distance(marks, traded)
    usual = float(np.median(np.abs(off))) if len(off) else 0.0
    if usual > MOST_MEDIAN_OFF:
        factor = float(np.exp(np.median(off)))
        return f"marks are {factor:.4g} times trades in the median of {RECENT_DAYS} days"
    far = int(np.count_nonzero(np.abs(off) > np.log(QUOTE_FACTOR)))
    if far > PRINT_BARS:
        return f"marks are off trades by more than {QUOTE_FACTOR:g} times in {far} bars"
    return ""


def _distance(marks: Bars, traded: Bars) -> FloatArray:
    """Return ln(mark/close) where both closed at one time, over the last 30 days.

    What is no price in the trades says nothing about marks.
    """
    oldest = int(traded.close_ms[-1]) - RECENT_DAYS * DAY_MS
    recent = traded.close_ms > oldest
    stamps, close = traded.close_ms[recent], traded.close[recent]
    sound = ~unsound(close, traded.width_ms)
    stamps, close = stamps[sound], close[sound]
    row = np.searchsorted(marks.close_ms, stamps)
    row[row == len(marks.ts_ms)] = 0
    both = marks.close_ms[row] == stamps
    distance: FloatArray = np.log(marks.close[row[both]] / close[both])
    return distance


def _far_flags(off: FloatArray) -> tuple[str, ...]:
    far = int(np.count_nonzero(off > FAR_OFF))
    if far < FAR_HOURS:
        return ()
    return (f"mark more than {FAR_OFF:.0%} off trades in {far} h of {RECENT_DAYS} days",)
