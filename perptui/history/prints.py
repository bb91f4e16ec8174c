"""Prices that were never paid: bad prints, and stretches in another unit.

What leaves and comes back is judged when it has come back, so a series cut at a time is judged as
it was known then; what has not come back yet is left to stand, and can be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from perptui.history.clean import BoolArray, FloatArray
from perptui.model.clock import DAY_MS

SPIKE_FACTOR = 3.0
"""A close this many times off both of its neighbours is a bad print, wherever it comes back to."""
PRINT_FACTOR = 1.35
"""Closes that leave by more than this, in one step, and come back by as much are bad prints.

In crashes a price fell by 1.40 in an hour and rose by 1.31 in the next: Solana, 2021-05-19.
"""
PRINT_BARS = 5
"""Most bars that bad prints last; what stays away for longer is a price, or another scale."""
BACK_FACTOR = 1.1
"""Within this factor of the last good close a price has come back."""
SHARP_SD = 25.0
"""A single close may leave by less when both of its steps are beyond this many deviations.

True prices did by 18.6 in 2020 to 2025: Ether, 2023-08-17T21:00Z."""
SHARP_LEAST = 0.03
"""And beyond this, where a series hardly moves at all."""
SHARP_BARS, SHARP_FEWEST = 720, 240
"""Steps before a close that its deviation is of, 30 days of hours, and the fewest that tell it."""
SCALE_BACK_FACTOR = 1.5
"""Prices in another unit come back to within this: the market has moved on for days."""
SCALE_DAYS = 7


class Excursion(NamedTuple):
    """Closes `first` to `last`, the last one in it, that were `factor` times the one before."""

    first: int
    last: int
    factor: float

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


def bad_prints(close: FloatArray) -> BoolArray:
    """Return which closes (T,) are bad prints.

    Up to `PRINT_BARS` closes are when the first leaves by a factor beyond `PRINT_FACTOR` and the
    one after them is back within `BACK_FACTOR` of the one before them, by such a step; a single one
    also when it leaves and comes back by `SPIKE_FACTOR`, or by `SHARP_SD` standard deviations of
    the 30 days of steps before it. A crash that recovers step by step is none.
    """
    found = np.zeros(len(close), dtype=bool)
    steps = _steps(close)
    if not (np.abs(steps) > SHARP_LEAST).any():
        return found
    for one in _returned(np.log(close), steps):
        found[one] = True
    if found.any():
        kept = np.flatnonzero(~found)
        found[kept[_sharp(_steps(close[kept]))]] = True
    else:
        found[_sharp(steps)] = True
    return found


def excursions(close: FloatArray, width_ms: int) -> tuple[Excursion, ...]:
    """Return the stretches of closes (T,) in another unit that are over.

    They leave and come back by one step beyond `SPIKE_FACTOR` each, at most `SCALE_DAYS` later and
    to within `SCALE_BACK_FACTOR` of where they left. Bad prints are taken out before.
    """
    steps = _steps(close)
    far = np.flatnonzero(np.abs(steps) > np.log(SPIKE_FACTOR)) + 1
    longest = SCALE_DAYS * DAY_MS // width_ms
    found: list[Excursion] = []
    over = 0
    for first in far.tolist():
        if first < over:
            continue
        factor = close[first] / close[first - 1]
        for back in far[(far > first) & (far <= first + longest)].tolist():
            opposite = steps[back - 1] * steps[first - 1] < 0.0
            if opposite and _is_near(close[back] / close[first - 1], SCALE_BACK_FACTOR):
                found.append(Excursion(first, back - 1, float(factor)))
                over = back + 1
                break
    return tuple(found)


def within(stretches: Sequence[Excursion], count: int) -> BoolArray:
    """Return which of `count` rows lie in a stretch."""
    found = np.zeros(count, dtype=bool)
    for one in stretches:
        found[one.first : one.last + 1] = True
    return found


def unsound(close: FloatArray, width_ms: int) -> BoolArray:
    """Return which closes (T,) are bad prints or of another unit."""
    found = bad_prints(close)
    kept = np.flatnonzero(~found)
    found[kept[within(excursions(close[kept], width_ms), len(kept))]] = True
    return found


def unconfirmed(close: FloatArray, width_ms: int) -> Excursion | None:
    """Return the last closes (T,) that left and may yet come back; None where there are none.

    Nobody can know of these whether they are prices. Bad prints and `excursions` are taken out
    before.
    """
    steps = _steps(close)
    longest = SCALE_DAYS * DAY_MS // width_ms
    for first in (np.flatnonzero(np.abs(steps) > np.log(PRINT_FACTOR)) + 1).tolist():
        age, size = len(close) - first, abs(steps[first - 1])
        away = not _is_near(close[-1] / close[first - 1], BACK_FACTOR)
        most = longest if size > np.log(SPIKE_FACTOR) else PRINT_BARS
        if away and age <= most:
            return Excursion(first, len(close) - 1, float(np.exp(steps[first - 1])))
    if len(steps) and abs(steps[-1]) > _sharp_size(steps, len(steps) - 1):
        return Excursion(len(close) - 1, len(close) - 1, float(np.exp(steps[-1])))
    return None


def _steps(close: FloatArray) -> FloatArray:
    steps: FloatArray = np.log(close[1:] / close[:-1])
    return steps


def _is_near(ratio: float, factor: float) -> bool:
    return 1.0 / factor <= ratio <= factor


def _returned(logs: FloatArray, steps: FloatArray) -> list[slice]:
    """Return the rows of each excursion of a few bars that left and came back by one step."""
    found: list[slice] = []
    over = 0
    for first in (np.flatnonzero(np.abs(steps) > np.log(PRINT_FACTOR)) + 1).tolist():
        if first < over:
            continue
        for back in range(first + 1, min(first + PRINT_BARS, len(logs) - 1) + 1):
            if _is_back(logs, steps, first, back):
                found.append(slice(first, back))
                over = back + 1
                break
    return found


def _is_back(logs: FloatArray, steps: FloatArray, first: int, back: int) -> bool:
    out, home = steps[first - 1], steps[back - 1]
    near = abs(logs[back] - logs[first - 1]) <= np.log(BACK_FACTOR)
    if near and abs(home) > np.log(PRINT_FACTOR):
        return True
    alone = back == first + 1 and out * home < 0.0
    return bool(alone and min(abs(out), abs(home)) > np.log(SPIKE_FACTOR))


def _sharp(steps: FloatArray) -> list[int]:
    """Return the rows whose close left and came back by far more than the series moves."""
    out, home = steps[:-1], steps[1:]
    size = np.minimum(np.abs(out), np.abs(home))
    candidates = (size > SHARP_LEAST) & (out * home < 0.0)
    # A step back that overshoots, or falls short, by half is another move and not a return.
    candidates &= np.abs(out + home) <= np.minimum(size / 2.0, np.log(BACK_FACTOR))
    return [
        row + 1
        for row in np.flatnonzero(candidates).tolist()
        if size[row] > _sharp_size(steps, row)
    ]


def _sharp_size(steps: FloatArray, row: int) -> float:
    before = steps[max(row - SHARP_BARS, 0) : row]
    if len(before) < SHARP_FEWEST:
        return np.inf
    return max(SHARP_LEAST, SHARP_SD * float(np.sqrt(np.mean(np.square(before)))))
