"""The model confidence set: the models that none of the others beats for certain.

Hansen, Lunde & Nason (2011), as arch computes it; arch is loaded when a set is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.evaluate import too_few

FloatArray = NDArray[np.float64]

SIZE = 0.10
"""1 - confidence: the set holds the best model with 90 %."""
REPETITIONS = 1000
SEED = 2011


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
    """Return which models the 90 % set keeps, from losses (T, M); the range statistic.

    Rows where any model that takes part has a NaN are left out; a model without any loss takes no
    part. The bootstrap's seed is fixed: the same losses give the same set.
    """
    taking = np.isfinite(losses).any(axis=0)
    part = losses[:, taking]
    rows = part[np.isfinite(part).all(axis=1)]
    if text := too_few(len(rows), horizon):
        return ConfidenceSet(None, None, len(rows), text)
    # A model that fell back on another on every day has its very losses: no variance between them.
    same = (rows[:, :, None] == rows[:, None, :]).all(axis=0)
    first = same.argmax(axis=1)
    apart = np.unique(first)
    p_values = np.full(losses.shape[1], np.nan)
    of_apart = _p_values(rows[:, apart], block_length(len(rows), horizon))
    p_values[taking] = of_apart[np.searchsorted(apart, first)]
    kept = tuple(bool(p > SIZE) for p in p_values)
    return ConfidenceSet(kept, tuple(float(p) for p in p_values), len(rows))


def _p_values(rows: FloatArray, block: int) -> FloatArray:
    if rows.shape[1] < 2:
        return np.ones(rows.shape[1])
    from arch.bootstrap import MCS

    # Only ratios of losses count: a unit of 1 keeps variances off the smallest numbers.
    found = MCS(rows / np.abs(rows).mean(), SIZE, REPETITIONS, block, method="R", seed=SEED)
    found.compute()
    by_model: FloatArray = found.pvalues["Pvalue"].sort_index().to_numpy(dtype=np.float64)
    return by_model
