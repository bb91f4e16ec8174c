"""The most that a book's CVaR can be, by the mean and the deviation of its scenarios alone.

Of all distributions with mean m and deviation s none has a larger CVaR than -m + s·sqrt((1-t)/t), t
the share of the tail (El Ghaoui, Oks and Oustry 2003). It takes no pass over the scenarios: a book
that keeps its cap by the bound keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.optimization.inputs import FloatArray
from perptui.optimization.kept import Kept
from perptui.risk.arrays import LimitArrays

KEPT = 4
ROUNDING = 1e-9
"""Share of a cap that a bound keeps clear of: sums of floats."""


@dataclass(frozen=True, eq=False)
class _Moments:
    """Mean (N,) and covariance (N, N) of scenarios."""

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, scenarios: FloatArray) -> _Moments:
        mean = scenarios.mean(axis=0)
        apart = scenarios - mean
        return cls(mean, apart.T @ apart / len(scenarios))


_MOMENTS: Kept[_Moments] = Kept(KEPT)


def surely_keep_tail(books: FloatArray, limits: LimitArrays) -> bool:
    """Return whether all books (M, N) keep the CVaR cap by the bound alone; S is at least 1.

    False, too, where other holdings add to the scenarios: nothing is known of those sums.
    """
    if limits.scenario_offset.any():
        return False
    scenarios = limits.scenarios
    moments = _MOMENTS.of((scenarios,), (), lambda: _Moments.of(scenarios))
    variance = ((books @ moments.covariance) * books).sum(axis=1)
    widest = np.sqrt(np.maximum(variance, 0.0) * (1.0 - limits.tail) / limits.tail)
    most = widest - books @ moments.mean
    return bool((most <= limits.cvar_max - ROUNDING * abs(limits.cvar_max)).all())
