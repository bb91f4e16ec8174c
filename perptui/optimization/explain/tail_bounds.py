"""CVaR as a few rows of a small cone program: never above it, and itself at the books seen.

Scenarios are gathered in groups, each of which stands as often as it has members with their mean
return: CVaR is convex, so that of the groups is a bound from below (Jensen). A group is parted
where the tail of a book that was looked at ends, and then the bound is exact there (Espinoza and
Moreno 2014, aggregation for CVaR). Before there are a few books, their tangents do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.optimization.explain.limit_rows import CVAR, DEFINED, Entries, Layout, Rows
from perptui.optimization.inputs import FloatArray
from perptui.risk.arrays import LimitArrays
from perptui.risk.tail import shortfall_slope, tail_count

NEAR = 40
"""Scenarios on either side of a book's value at risk that stand alone."""
CUTS = 2
"""Cuts before there are groups: many conflicts need no more."""
LEAST_RISK = 1e-9
BEND = (0.5, 6.0)
"""CVaR in multiples of risk, least and most: 2.06 of a normal market."""


class TailRows:
    """The rows known of one CVaR limit; they grow with every book that is looked at.

    Attributes
    ----------
    columns : int
        Extra ones that `rows` need: a, and u of each group.
    """

    def __init__(self, limits: LimitArrays, layout: Layout) -> None:
        self._limits, self._layout = limits, layout
        self._cuts: list[Rows] = []
        self._block: list[Rows] = []
        self._group = np.zeros(len(limits.scenarios), dtype=np.intp)
        self._parted = self._group
        self.columns = 0

    def under(self, limits: LimitArrays, layout: Layout) -> TailRows:
        """Return what is known of CVaR under another cap; nothing where scenarios are others.

        Under the same cap it is itself, and goes on growing.
        """
        same = layout.columns == self._layout.columns and _same_tail(limits, self._limits)
        if same and limits.cvar_max == self._limits.cvar_max:
            return self
        other = TailRows(limits, layout)
        if same:
            more = limits.cvar_max - self._limits.cvar_max
            other._cuts = [replace(cut, bound=cut.bound + more) for cut in self._cuts]
            other._group, other._parted = self._group, self._parted
            other._gather()
        return other

    @property
    def cuts(self) -> list[Rows]:
        """Return the tangents at the books seen."""
        return self._cuts

    @property
    def rows(self) -> list[Rows]:
        """Return the groups, which are exact wherever the tangents are; those before there are."""
        return self._block or self._cuts

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
        """Make the rows exact at a book.

        Parameters
        ----------
        returns : (S,) array
            Of the book, with what is held beside it.
        """
        limits = self._limits
        value, slope = shortfall_slope(limits.scenarios, returns, limits.tail)
        bound = np.array([limits.cvar_max - value + float(slope @ weights)])
        self._cuts.append(Rows(self._layout.place(w=slope[None, :]), bound, (CVAR,)))
        self._part(returns)
        self._gather()

    def _gather(self) -> None:
        if len(self._cuts) > CUTS:
            groups = int(self._group.max()) + 1
            self._block, self.columns = [self._blocked(groups)], 1 + groups

    def _part(self, returns: FloatArray) -> None:
        """Part every group where a book's tail ends; for the last, those near its end are alone."""
        whole, _ = tail_count(len(returns), self._limits.tail)
        first, end = max(whole - NEAR, 0), min(whole, len(returns) - 1)
        last = min(whole + NEAR, len(returns))
        order = np.argpartition(returns, sorted({first, end, last - 1}))
        deep = np.zeros(len(returns), dtype=np.intp)
        deep[order[:whole]] = 1
        deep[order[end]] = 2
        self._parted = np.unique(3 * self._parted + deep, return_inverse=True)[1]
        names = self._parted.copy()
        names[order[first:last]] = len(returns) + order[first:last]
        self._group = np.unique(names, return_inverse=True)[1]

    def _blocked(self, groups: int) -> Rows:
        """Return a + sum of count·u/k <= cvar_max, u >= mean loss - a, u >= 0, one u a group."""
        limits, layout = self._limits, self._layout
        whole, part = tail_count(len(self._group), limits.tail)
        count = np.bincount(self._group, minlength=groups).astype(float)
        offset = np.bincount(self._group, limits.scenario_offset, groups) / count
        means = np.stack(
            [np.bincount(self._group, column, groups) / count for column in limits.scenarios.T],
            axis=1,
        )
        places = layout.columns + 1 + np.arange(groups)
        own = Entries(groups, np.arange(groups), places, np.full(groups, -1.0))
        excess = Entries.beside(
            [layout.place(w=-means), Entries.of(np.full((groups, 1), -1.0), layout.columns), own]
        )
        shares = np.concatenate([[1.0], count / (whole + part)])
        mean = Entries.of(shares[None, :], layout.columns)
        bound = np.concatenate([offset, np.zeros(groups), [limits.cvar_max]])
        matrix = Entries.below([excess, own, mean])
        return Rows(matrix, bound, (*([DEFINED] * (2 * groups)), CVAR))


def _same_tail(limits: LimitArrays, others: LimitArrays) -> bool:
    return (
        limits.tail == others.tail
        and np.array_equal(limits.scenarios, others.scenarios)
        and np.array_equal(limits.scenario_offset, others.scenario_offset)
    )
