"""The model confidence set: the models that none of the others beats for certain.

Hansen, Lunde & Nason (2011) with the range statistic T_R over the stationary bootstrap of Politis &
Romano (1994): one set of resampled days for every step of the elimination.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.court.comparison import LEAST_WINDOWS

FloatArray = NDArray[np.float64]

SIZE = 0.10
"""1 - confidence: the set holds the best model with 90 %."""
REPETITIONS = 1000
"""A p-value of 10 % has a Monte-Carlo error of 1 %."""
SEED = 2011
LEAST_DAYS = 250
"""A year of trading days; fewer hold nearly every model."""
SAME = 1e-12
"""Of the losses' size: models that differ by rounding alone are one."""
_NO_VARIANCE = 1e-300


@dataclass(frozen=True, slots=True)
class ConfidenceSet:
    """`kept` and `p_values` (M,); both None, with `text`, where days are too few.

    A model with a NaN p-value took no part: it has no losses.
    """

    kept: tuple[bool, ...] | None
    p_values: tuple[float, ...] | None
    observations: int
    text: str = ""


def block_length(observations: int, horizon: int) -> int:
    """Return the mean block of the stationary bootstrap: max(H, T^{1/3}) rows, rounded up.

    T^{1/3} is the rate of the best block (Politis & White 2004); forecasts of H rows overlap.
    """
    return max(horizon, int(np.ceil(observations ** (1.0 / 3.0) - 1e-9)))


def confidence_set(losses: FloatArray, horizon: int = 1) -> ConfidenceSet:
    """Return which models the 90 % set keeps, from losses (T, M) of forecasts of H rows.

    Rows where any model that takes part has a NaN are left out; a model without any loss takes no
    part. It takes 250 rows, or ten horizons. The bootstrap's seed is fixed: the same losses give
    the same set.
    """
    taking = np.isfinite(losses).any(axis=0)
    part = losses[:, taking]
    rows = part[np.isfinite(part).all(axis=1)]
    needed = max(LEAST_DAYS, LEAST_WINDOWS * horizon)
    if len(rows) < needed:
        text = f"too few: {len(rows)} of {needed} days"
        return ConfidenceSet(None, None, len(rows), text)
    # A model that fell back on another on every day has its very losses: no variance between them.
    first = _first_alike(rows)
    apart = np.unique(first)
    p_values = np.full(losses.shape[1], np.nan)
    of_apart = _p_values(rows[:, apart], block_length(len(rows), horizon))
    p_values[taking] = of_apart[np.searchsorted(apart, first)]
    kept = tuple(bool(p > SIZE) for p in p_values)
    return ConfidenceSet(kept, tuple(float(p) for p in p_values), len(rows))


def _first_alike(rows: FloatArray) -> NDArray[np.int64]:
    """Return for each column of `rows` (T, K) the first that is the same but for rounding, (K,)."""
    first = np.arange(rows.shape[1])
    rounding = SAME * np.abs(rows).max(initial=0.0)
    for column in range(1, len(first)):
        earlier = np.unique(first[:column])
        apart = np.abs(rows[:, earlier] - rows[:, column, None]).max(axis=0)
        if (apart <= rounding).any():
            first[column] = earlier[(apart <= rounding).argmax()]
    return first


def _p_values(rows: FloatArray, block: int) -> FloatArray:
    """Return the models' p-values (K,): the largest by the time that a model is eliminated.

    t_ij = (mean d_ij)/sd*(mean d_ij) with d_ij = L_i - L_j and sd* over resampled days; the test
    of a set refuses for a large max t_ij, and then the i of that pair leaves (section 3.1.2).
    """
    # Only ratios of losses count: a unit of 1 keeps variances off the smallest numbers.
    size = float(np.abs(rows).mean())
    scaled = rows / (size if size > 0.0 else 1.0)
    mean = scaled.mean(axis=0)
    drawn = resampled_means(scaled - mean, block)
    noise = drawn[:, :, None] - drawn[:, None, :]
    deviation = np.sqrt(np.maximum((noise**2).mean(axis=0), _NO_VARIANCE))
    t = np.subtract.outer(mean, mean) / deviation
    noise /= deviation
    p_values = np.ones(len(mean))
    left, reached = np.arange(len(mean)), 0.0
    while len(left) > 1:
        among = t[np.ix_(left, left)]
        worst = int(among.argmax()) // len(left)
        chance = noise[:, left[:, None], left].max(axis=(1, 2))
        reached = max(reached, float((chance > among.max()).mean()))
        p_values[left[worst]] = reached
        left = np.delete(left, worst)
    return p_values


def resampled_means(
    x: FloatArray, block: int, repetitions: int = REPETITIONS, seed: int = SEED
) -> FloatArray:
    """Return means (R, K) of rows drawn from `x` (T, K) by the stationary bootstrap.

    Each draw is of T rows in blocks, whose lengths are geometric with mean `block` and which run
    on from the last row to the first. `x` should have a mean near zero: blocks are differences of
    its running sums.
    """
    days, total = len(x), repetitions * len(x)
    generator = np.random.default_rng(seed)
    # The draws stand one after another. A geometric length forgets: cut where a draw ends, the
    # next block begins anew. Ten deviations more than are expected reach the end of the last.
    expected = total / block
    lengths = generator.geometric(1.0 / block, int(expected + 10.0 * np.sqrt(expected)) + 1)
    starts, draws = np.cumsum(lengths), np.arange(0, total, days)
    begin = np.sort(np.concatenate([draws, starts[starts < total]]), kind="stable")
    first = generator.integers(0, days, len(begin))
    last = first + np.diff(begin, append=total)
    of_draw = np.searchsorted(begin, draws)
    means = np.empty((x.shape[1], repetitions))
    for column, mean in zip(x.T, means, strict=True):
        running = np.append(0.0, np.cumsum(np.append(column, column)))
        mean[:] = np.add.reduceat(running[last] - running[first], of_draw) / days
    return means.T
