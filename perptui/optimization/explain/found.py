"""The answer to how far limits must give for a book to exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from perptui.optimization.explain.limit_rows import Key
from perptui.optimization.inputs import FloatArray

TOLERANCE = 1e-7
"""Excess of a limit, weight units, that is the solver's rounding."""


@dataclass(frozen=True, eq=False)
class Found:
    """Answer of one question.

    Attributes
    ----------
    status : str
        "solved", "infeasible" or "failed".
    amount : float
        The scalar by which the chosen limits were widened, at its least.
    weights : (N,) array
        The book there.
    prices : mapping of Key to float
        Fall of `amount` per unit by which each limit is widened; at least 0.
    given : (m,) array
        By how much each of the limits gave way that were asked one by one.
    """

    status: str
    amount: float = float("inf")
    weights: FloatArray = field(default_factory=lambda: np.zeros(0))
    prices: Mapping[Key, float] = field(default_factory=dict)
    given: FloatArray = field(default_factory=lambda: np.zeros(0))
