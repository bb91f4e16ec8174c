"""`TailRows` as variables, parameters and rows of the compiled program."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.tail_rows import TailRows


class TailBlock:
    """The CVaR cap with room for scenarios counted one by one, and for tangents.

    Parameters
    ----------
    weights : (N,) variable
    shape : (int, int)
        `TailRows.shape`.

    Attributes
    ----------
    definitions : list of constraints
        The level of CVaR is at least what the split and the tangents say.
    limit : tuple of two expressions
        That level, at most the cap: the limit named ``cvar``.
    """

    def __init__(self, weights: cp.Variable, shape: tuple[int, int]) -> None:
        scenarios, tangents = shape
        contracts = weights.shape[0]
        self._near = cp.Parameter((scenarios, contracts))
        self._factor, self._offset = cp.Parameter(scenarios), cp.Parameter(scenarios)
        self._whole, self._whole_offset = cp.Parameter(contracts), cp.Parameter()
        self._rest, self._each, self._cap = cp.Parameter(), cp.Parameter(), cp.Parameter()
        self._tangents = cp.Parameter((tangents, contracts))
        self._constants = cp.Parameter(tangents)
        level, edge, beyond = cp.Variable(), cp.Variable(), cp.Variable(scenarios)
        split = self._rest * edge + self._each * cp.sum(beyond) - self._whole @ weights
        losses = -(self._near @ weights) - cp.multiply(self._factor, edge)
        self.definitions: list[cp.Constraint] = [
            beyond >= 0,
            beyond >= losses - self._offset,
            level >= split - self._whole_offset,
            level >= self._tangents @ weights + self._constants,
        ]
        self.limit = (level, self._cap)

    def values(self, rows: TailRows) -> list[tuple[Any, Any]]:
        """Return each parameter with its value."""
        near, factor, offset = rows.scenario_rows()
        tangents, constants = rows.tangent_rows()
        return [
            (self._near, near),
            (self._factor, factor),
            (self._offset, offset),
            (self._whole, rows.whole),
            (self._whole_offset, np.asarray(rows.whole_offset)),
            (self._rest, np.asarray(1.0 - rows.whole_share)),
            (self._each, np.asarray(1.0 / rows.count)),
            (self._tangents, tangents),
            (self._constants, constants),
            (self._cap, np.asarray(rows.cap)),
        ]
