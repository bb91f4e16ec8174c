"""CVaR as a few rows of a small cone program: never above it, and itself near the books seen.

CVaR(w) = max over p of -p'(R w + o), 0 <= p <= 1/k, sum p = 1, k = tail·S. Any choice of which p
may vary is a bound from below. A cut fixes all of them; a block fixes those of scenarios that are
deep in the tail of a book, and lets those near its value at risk vary (Rockafellar and Uryasev
2000): exact wherever a book's tail differs from that one's in scenarios of the block alone.
"""

from __future__ import annotations

import numpy as np

from perptui.optimization.explain.limit_rows import CVAR, DEFINED, Entries, IntArray, Layout, Rows
from perptui.optimization.inputs import FloatArray
from perptui.risk.arrays import LimitArrays
from perptui.risk.tail import shortfall_slope, tail_count

NEAR = 80
"""Scenarios of a block on either side of the value at risk."""
CUTS = 2
"""Cuts before there is a block: many conflicts need no more."""
LEAST_RISK = 1e-9
BEND = (0.5, 6.0)
"""CVaR in multiples of risk, least and most: 2.06 of a normal market."""


class TailRows:
    """The rows known of one CVaR limit; they grow with every book that is looked at.

    Attributes
    ----------
    columns : int
        Extra ones that `rows` need: a, and u of each scenario of the block.
    """

    def __init__(self, limits: LimitArrays, layout: Layout) -> None:
        self._limits, self._layout = limits, layout
        self._cuts: list[Rows] = []
        self._block: list[Rows] = []
        self.columns = 0

    @property
    def cuts(self) -> list[Rows]:
        """Return the tangents at the books seen."""
        return self._cuts

    @property
    def rows(self) -> list[Rows]:
        """Return cuts and block."""
        return [*self._cuts, *self._block]

    def shape(self, weights: FloatArray, tighter: float) -> tuple[Entries, FloatArray]:
        """Return a cone like CVaR about a book: its value, its slope, and the bend of risk.

        CVaR is like kappa·s(w) in a market of one shape; with kappa as at the book, and what its
        slope there differs added as a plane, the cone is CVaR itself there and near it elsewhere,
        on either side of it. Rows of a second-order cone, the first the limit's.

        Parameters
        ----------
        tighter : float
            By how much the limit is held tighter, fraction of equity.
        """
        limits = self._limits
        returns = limits.scenarios @ weights + limits.scenario_offset
        value, slope = shortfall_slope(limits.scenarios, returns, limits.tail)
        spread = limits.root @ weights + limits.root_offset
        risk = max(float(np.linalg.norm(spread)), LEAST_RISK)
        bend = min(max(value / risk, BEND[0]), BEND[1])
        plane = slope - bend * (limits.root.T @ spread) / risk
        known = value - bend * risk - float(plane @ weights)
        rows = [self._layout.place(w=plane[None, :]), self._layout.place(w=-bend * limits.root)]
        bound = np.concatenate([[limits.cvar_max - tighter - known], bend * limits.root_offset])
        return Entries.below(rows), bound

    def look(self, weights: FloatArray, returns: FloatArray) -> None:
        """Make the rows exact at a book, and near it once some cuts are known.

        Parameters
        ----------
        returns : (S,) array
            Of the book, with what is held beside it.
        """
        limits = self._limits
        value, slope = shortfall_slope(limits.scenarios, returns, limits.tail)
        bound = np.array([limits.cvar_max - value + float(slope @ weights)])
        self._cuts.append(Rows(self._layout.place(w=slope[None, :]), bound, (CVAR,)))
        if len(self._cuts) > CUTS:
            self._surround(returns)

    def _surround(self, returns: FloatArray) -> None:
        """Put the block around a book's value at risk."""
        whole, part = tail_count(len(returns), self._limits.tail)
        first, last = max(whole - NEAR, 0), min(whole + NEAR, len(returns))
        order = np.argpartition(returns, [first, last - 1] if last > first else first)
        block = self._blocked(order[:first], order[first:last], whole + part)
        self._block, self.columns = [block], 1 + last - first

    def _blocked(self, deep: IntArray, near: IntArray, count: float) -> Rows:
        """Return (k - |deep|)/k·a + (sum of deep losses + sum u)/k <= cvar_max, u >= loss - a."""
        limits, layout = self._limits, self._layout
        size, places = len(near), np.arange(len(near))
        excess = Entries.beside(
            [
                layout.place(w=-limits.scenarios[near]),
                Entries.of(np.full((size, 1), -1.0), layout.columns),
                Entries(size, places, layout.columns + 1 + places, np.full(size, -1.0)),
            ]
        )
        positive = Entries(size, places, layout.columns + 1 + places, np.full(size, -1.0))
        shares = np.concatenate([[count - len(deep)], np.ones(size)]) / count
        mean = Entries.beside(
            [
                layout.place(w=-limits.scenarios[deep].sum(axis=0)[None, :] / count),
                Entries.of(shares[None, :], layout.columns),
            ]
        )
        known = limits.cvar_max + float(limits.scenario_offset[deep].sum()) / count
        bound = np.concatenate([limits.scenario_offset[near], np.zeros(size), [known]])
        matrix = Entries.below([excess, positive, mean])
        return Rows(matrix, bound, (*([DEFINED] * (2 * size)), CVAR))
