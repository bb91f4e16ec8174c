"""The CVaR cap as rows of the program, with most scenarios counted together.

Rockafellar and Uryasev 2000: CVaR(w) = min_a a + sum_s (loss_s - a)+ / m with m = tail·S. Every
split of the scenarios into those that are surely among the worst ("whole", counted by their sum),
those counted one by one ("near") and the rest, left out, gives a bound from below: a loss less a is
at most its positive part. The bound is the CVaR itself where the split is true of w. Tangents at
other books bound it from below too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

CAPACITIES = (160, 320, 640, 1280, 2560, 5120, 10240, 20480)
"""Rows that are compiled; those not needed say nothing. Few shapes, so that few are compiled."""
TANGENTS = 16
"""Compiled with them, in whole multiples."""
NOTHING = 1.0
"""What rows without a scenario read u + 1 >= 0 and -1 <= level with: both always hold."""


@dataclass(frozen=True, eq=False)
class TailRows:
    """One split of the scenarios; K counted one by one, J tangents, N contracts.

    Attributes
    ----------
    near, near_offset : (K, N), (K,) arrays
        Their returns, and what other holdings add to the book's.
    whole, whole_offset : (N,) array, float
        The sum of the returns of those surely among the worst, over m.
    whole_share : float
        Their number over m, below 1.
    tangents, constants : (J, N), (J,) arrays
        CVaR(w) >= tangents @ w + constants.
    count : float
        m = tail·S.
    cap : float
        Bound on CVaR.
    """

    near: FloatArray
    near_offset: FloatArray
    whole: FloatArray
    whole_offset: float
    whole_share: float
    tangents: FloatArray
    constants: FloatArray
    count: float
    cap: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows to compile for scenarios and for tangents."""
        rows = len(self.near)
        return (
            next((size for size in CAPACITIES if size >= rows), rows),
            max(-(-len(self.tangents) // TANGENTS), 1) * TANGENTS,
        )

    def scenario_rows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return near, its factor on a and its offset, padded to the shape."""
        rows, spare = len(self.near), self.shape[0] - len(self.near)
        near = np.vstack([self.near, np.zeros((spare, self.near.shape[1]))])
        factor = np.concatenate([np.ones(rows), np.zeros(spare)])
        return near, factor, np.concatenate([self.near_offset, np.full(spare, NOTHING)])

    def tangent_rows(self) -> tuple[FloatArray, FloatArray]:
        """Return tangents and constants, padded to the shape."""
        spare = self.shape[1] - len(self.tangents)
        tangents = np.vstack([self.tangents, np.zeros((spare, self.near.shape[1]))])
        return tangents, np.concatenate([self.constants, np.full(spare, -NOTHING)])
