"""Value at risk and expected shortfall of a sample of returns, and their sampling error.

Losses are positive: a value at risk of .03 is a loss of 3 % of equity that is exceeded with
probability one minus the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

LEAST_TAIL = 3
"""Returns that must lie beyond a level before a sample's own quantile is shown for it."""
LEAST_RANGE = 1e-9
JUMP_SHARE = 0.9
LEAST_JUDGED = 20


@dataclass(frozen=True, slots=True)
class Tail:
    """Value at risk and expected shortfall, positive loss fractions of equity.

    `error` is the standard error of `var` by sampling, 0 where it was not sampled.
    """

    var: float
    shortfall: float
    error: float = 0.0


def historical(returns: FloatArray, level: float) -> Tail:
    """Return the empirical value at risk and the Rockafellar-Uryasev shortfall of a sample (T,).

    Raises
    ------
    EstimationError
        When fewer than `LEAST_TAIL` returns lie beyond the level, or as `check_varies` does.
    """
    ordered = np.sort(returns)
    check_sample(ordered, level)
    var = -_linear_quantile(ordered, 1.0 - level)
    error = order_statistic_error(ordered, level)
    return Tail(var, expected_shortfall(ordered, level), error)


def _linear_quantile(ordered: FloatArray, probability: float) -> float:
    """Return the quantile of sorted values (T,) by numpy's rule `linear` (Hyndman & Fan 7).

    Order statistics are joined at the probabilities (k-1)/(T-1).
    """
    place = probability * (len(ordered) - 1)
    below = min(math.floor(place), len(ordered) - 2)
    low, high = float(ordered[below]), float(ordered[below + 1])
    return low + (place - below) * (high - low)


def check_sample(ordered: FloatArray, level: float) -> None:
    """Refuse sorted returns (T,) that say nothing about their tail.

    Raises
    ------
    EstimationError
        As `historical` does.
    """
    check_level(level)
    least = math.ceil(LEAST_TAIL / (1.0 - level) - 1e-9)
    if len(ordered) < least:
        raise EstimationError(
            f"expected at least {least} returns for a level of {level:g}, was {len(ordered)}; "
            "wait or fetch history"
        )
    check_varies(ordered)


def check_varies(ordered: FloatArray) -> None:
    """Refuse sorted returns (T,) of which a few say everything, or which are in wrong units.

    Raises
    ------
    EstimationError
        When one is not finite, their range is below `LEAST_RANGE`, more than half are the same, or
        one holds more than `JUMP_SHARE` of their variance.
    """
    lowest, highest = float(ordered[0]), float(ordered[-1])
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        bad = int(np.count_nonzero(~np.isfinite(ordered)))
        raise EstimationError(f"expected finite returns, was {bad} that are not; leave them out")
    if lowest == highest:
        raise EstimationError("expected returns that vary, was a constant; leave the book out")
    if highest - lowest < LEAST_RANGE:
        raise EstimationError(
            f"expected returns that range over {LEAST_RANGE:g} or more, was "
            f"{highest - lowest:.1e}; check their units"
        )
    middle = float(ordered[len(ordered) // 2])
    same = int(np.diff(np.searchsorted(ordered, [middle, np.nextafter(middle, np.inf)]))[0])
    if 2 * same > len(ordered):
        raise EstimationError(
            f"expected returns that vary, was {same} of {len(ordered)} at {middle:g}; clean them"
        )
    off = ordered - middle
    largest = max(float(off[0]) ** 2, float(off[-1]) ** 2) / float(off @ off)
    if len(ordered) >= LEAST_JUDGED and largest > JUMP_SHARE:
        raise EstimationError(
            f"expected returns of many days, was one that holds {largest:.0%} of their variance; "
            "look at that day"
        )


def check_level(level: float) -> None:
    """Refuse a level that is no probability above one half.

    Raises
    ------
    EstimationError
        Outside of (.5, 1).
    """
    if not 0.5 < level < 1.0:
        raise EstimationError(f"expected a level between .5 and 1, was {level}; mend the setting")


def expected_shortfall(ordered: FloatArray, level: float) -> float:
    """Return min over a of a + mean(max(-r - a, 0))/(1 - level) of sorted returns (T,).

    Rockafellar & Uryasev (2002): with m = (1 - level)·T, the mean of the floor(m) largest losses
    and of the fraction m - floor(m) of the next one. It is not the mean beyond the quantile.
    """
    count = (1.0 - level) * len(ordered)
    whole = min(math.floor(count + 1e-9), len(ordered) - 1)
    total = float(ordered[:whole].sum()) + max(count - whole, 0.0) * float(ordered[whole])
    return -total / count


def order_statistic_error(ordered: FloatArray, level: float) -> float:
    """Return the standard error of the (1 - level) quantile of sorted returns, without a density.

    The number of returns below the true quantile is binomial(T, 1 - level); the order statistics
    one standard deviation of it below and above the quantile's own rank bound the quantile with
    68 % confidence (David & Nagaraja 2003, ch. 7). Half their distance is returned.
    """
    tail = 1.0 - level
    spread = math.sqrt(tail * level / len(ordered))
    low, high = max(tail - spread, 0.0), min(tail + spread, 1.0)
    return (_linear_quantile(ordered, high) - _linear_quantile(ordered, low)) / 2.0
