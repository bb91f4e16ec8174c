"""What looks wrong in rows that could each be right: stuck feeds, other scales, odd intervals.

Every finding at a row rests on that row and those before it; what needs the row after it is not
found at the last one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perptui.history.clean import BoolArray, FloatArray, IntArray
from perptui.model.clock import HOUR_MS

STUCK_BARS = 5
"""Closes alike in a row from which on a feed looks stuck; four is the most in 2020 to 2025."""
IDLE_BARS = 3
"""Bars in a row without volume from which on they are named."""
LEAST_SCALE = 2
"""Powers of ten that a price must jump by to be of another scale: a crash took a coin by 10."""
SCALE_TOLERANCE = 0.15
STAMP_TOLERANCE_H = 0.1
"""Venues stamp settlements up to seconds late."""
REPEATED = 3
"""Distances alike in a row that say what the interval really was; fewer are settlements lost."""


class Run(NamedTuple):
    """Rows `first` to `last`, the last one in it."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


class Spacing(NamedTuple):
    """How settlements lie against the intervals they state.

    `lost` (T-1,) are settlements missing before each row but the first, `odd` (T-1,) whether its
    distance from the row before contradicts its interval, `hours` (T-1,) that distance.
    """

    lost: IntArray
    odd: BoolArray
    hours: FloatArray


def runs_of(mask: BoolArray, least: int) -> tuple[Run, ...]:
    """Return the runs of at least `least` rows in which `mask` (T,) holds."""
    if not mask.any():
        return ()
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    first, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = end - first >= least
    return tuple(Run(int(a), int(b) - 1) for a, b in zip(first[long], end[long], strict=True))


def stuck(close: FloatArray) -> tuple[Run, ...]:
    """Return the runs of at least `STUCK_BARS` closes (T,) that are the same."""
    same = runs_of(close[1:] == close[:-1], STUCK_BARS - 1)
    return tuple(Run(run.first, run.last + 1) for run in same)


def idle(volume: FloatArray) -> tuple[Run, ...]:
    """Return the runs of at least `IDLE_BARS` bars without volume (T,); an unknown one is none."""
    return runs_of(volume == 0, IDLE_BARS)


def scales(close: FloatArray) -> IntArray:
    """Return the power of ten by which each close (T,) is off the first one's scale.

    A step within `SCALE_TOLERANCE` of a factor of 100, 1000, ... or its inverse changes the scale.
    """
    steps = np.log10(close[1:] / close[:-1])
    powers = np.rint(steps)
    shifted = (np.abs(powers) >= LEAST_SCALE) & (
        np.abs(steps - powers) <= SCALE_TOLERANCE / np.log(10.0)
    )
    level = np.zeros(len(close), dtype=np.int64)
    level[1:] = np.cumsum(np.where(shifted, powers, 0.0)).astype(np.int64)
    return level


def spacing(ts_ms: IntArray, interval_h: FloatArray) -> Spacing:
    """Return what is missing between settlements (T,) and which contradict their interval.

    A distance of n intervals is n - 1 lost settlements, unless it repeats `REPEATED` times in a
    row, or is no whole multiple, or is shorter than the interval: then the interval is wrong.
    """
    hours = np.diff(ts_ms) / HOUR_MS
    stated = interval_h[1:]
    ratio = np.rint(hours / stated)
    fits = np.abs(hours - ratio * stated) <= STAMP_TOLERANCE_H
    longer = fits & (ratio >= 2)
    odd = ~fits | (ratio < 1)
    whole = np.rint(hours)
    same = np.zeros(len(hours), dtype=bool)
    same[1:] = (whole[1:] == whole[:-1]) & (stated[1:] == stated[:-1]) & longer[1:] & longer[:-1]
    for run in runs_of(same, REPEATED - 1):
        odd[run.first - 1 : run.last + 1] = True
    return Spacing(np.where(longer & ~odd, ratio - 1, 0).astype(np.int64), odd, hours)
