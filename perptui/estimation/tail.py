"""Value at risk and expected shortfall of a sample of returns, and their sampling error.

Losses are positive: a value at risk of .03 is a loss of 3 % of equity that is exceeded with
probability one minus the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

QUANTILE: Final = "linear"
"""numpy's name of the quantile rule: order statistics joined at (k-1)/(T-1) (Hyndman & Fan 7)."""
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
    check_sample(returns, level)
    var = -float(np.quantile(returns, 1.0 - level, method=QUANTILE))
    return Tail(var, expected_shortfall(returns, level), order_statistic_error(returns, level))


def check_sample(returns: FloatArray, level: float) -> None:
    """Refuse a sample that says nothing about its tail.

    Raises
    ------
    EstimationError
        As `historical` does.
    """
    check_level(level)
    least = math.ceil(LEAST_TAIL / (1.0 - level) - 1e-9)
    if len(returns) < least:
        raise EstimationError(
            f"expected at least {least} returns for a level of {level:g}, was {len(returns)}; "
            "wait or fetch history"
        )
    check_varies(returns)


def check_varies(returns: FloatArray) -> None:
    """Refuse returns (T,) of which a few say everything, or which are in wrong units.

    Raises
    ------
    EstimationError
        When one is not finite, their range is below `LEAST_RANGE`, more than half are the same, or
        one holds more than `JUMP_SHARE` of their variance.
    """
    if not np.isfinite(returns).all():
        bad = int(np.count_nonzero(~np.isfinite(returns)))
        raise EstimationError(f"expected finite returns, was {bad} that are not; leave them out")
    spread = float(np.ptp(returns))
    if spread == 0.0:
        raise EstimationError("expected returns that vary, was a constant; leave the book out")
    if spread < LEAST_RANGE:
        raise EstimationError(
            f"expected returns that range over {LEAST_RANGE:g} or more, was {spread:.1e}; "
            "check their units"
        )
    middle = float(np.median(returns))
    same = int(np.count_nonzero(returns == middle))
    if 2 * same > len(returns):
        raise EstimationError(
            f"expected returns that vary, was {same} of {len(returns)} at {middle:g}; clean them"
        )
    squares = (returns - middle) ** 2
    largest = float(squares.max() / squares.sum())
    if len(returns) >= LEAST_JUDGED and largest > JUMP_SHARE:
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


def expected_shortfall(returns: FloatArray, level: float) -> float:
    """Return min over a of a + mean(max(-r - a, 0))/(1 - level) of a sample (T,).

    Rockafellar & Uryasev (2002): with m = (1 - level)·T, the mean of the floor(m) largest losses
    and of the fraction m - floor(m) of the next one. It is not the mean beyond the quantile.
    """
    count = (1.0 - level) * len(returns)
    whole = min(math.floor(count + 1e-9), len(returns) - 1)
    worst = np.sort(np.partition(returns, whole)[: whole + 1])
    total = float(worst[:whole].sum()) + max(count - whole, 0.0) * float(worst[whole])
    return -total / count


def order_statistic_error(returns: FloatArray, level: float) -> float:
    """Return the standard error of a sample's (1 - level) quantile, without a density.

    The number of returns below the true quantile is binomial(T, 1 - level); the order statistics
    one standard deviation of it below and above the quantile's own rank bound the quantile with
    68 % confidence (David & Nagaraja 2003, ch. 7). Half their distance is returned.
    """
    count, tail = len(returns), 1.0 - level
    spread = math.sqrt(tail * level / count)
    low, high = np.quantile(
        returns, np.clip([tail - spread, tail + spread], 0.0, 1.0), method=QUANTILE
    )
    return float(high - low) / 2.0
