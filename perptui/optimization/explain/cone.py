"""A small cone program: limits as rows, each of which may give way at a price.

Columns are those of `limit_rows`, and after them one for each way to give: a single scalar that
widens many limits at once, or one for each limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Self

import clarabel
import numpy as np
from scipy import sparse

from perptui.optimization.explain.limit_rows import TARGET, Entries, Key, Layout, Rows
from perptui.optimization.inputs import FloatArray, ProgramInputs

ATTEMPTS = ((1e-9, True), (1e-9, False), (1e-8, True), (1e-7, False))
"""Tolerance and equilibration, tried in turn."""


@dataclass(frozen=True, eq=False)
class Widening:
    """How limits may give way.

    Attributes
    ----------
    give : mapping of Key to float
        Weight units by which each limit widens per unit of its column.
    column : mapping of Key to int
        Which column widens it.
    costs, low, most : (m,) arrays
        Of each column: its cost, and its least and largest value; infinite where there is none.
    stops : mapping of Key to float
        Largest widening of single limits, weight units.
    """

    give: Mapping[Key, float]
    column: Mapping[Key, int]
    costs: FloatArray
    low: FloatArray
    most: FloatArray
    stops: Mapping[Key, float] = field(default_factory=dict)

    @classmethod
    def common(
        cls,
        give: Mapping[Key, float],
        low: float,
        most: float | None,
        stops: Mapping[Key, float] | None = None,
    ) -> Self:
        """Return one scalar behind all of `give`."""
        columns = dict.fromkeys(give, 0)
        largest = np.array([np.inf if most is None else most])
        return cls(give, columns, np.ones(1), np.array([low]), largest, stops or {})

    @classmethod
    def each(cls, costs: Mapping[Key, float], most: Mapping[Key, float]) -> Self:
        """Return a column for each limit, from none to its largest."""
        keys = list(costs)
        return cls(
            dict.fromkeys(keys, 1.0),
            {key: at for at, key in enumerate(keys)},
            np.array([costs[key] for key in keys]),
            np.zeros(len(keys)),
            np.array([most[key] for key in keys]),
        )

    def entries(self, keys: Sequence[Key | None], start: int) -> Entries:
        """Return the coefficients of the columns, from `start` on, in rows of these limits."""
        found = [
            (row, start + self.column[key], -self.give[key])
            for row, key in enumerate(keys)
            if key is not None and key in self.give
        ]
        rows, columns, values = zip(*found, strict=True) if found else ((), (), ())
        return Entries(
            len(keys),
            np.array(rows, dtype=np.intp),
            np.array(columns, dtype=np.intp),
            np.array(values, dtype=float),
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """The cheapest point: its columns, the widening's cost and columns, and prices by limit."""

    point: FloatArray
    amount: float
    given: FloatArray
    prices: dict[Key, float]


class ConeProgram:
    """Rows collected and then solved once.

    Parameters
    ----------
    columns : int
        Without those of the widening; rows with fewer have nothing in the others.
    """

    def __init__(self, columns: int, widening: Widening) -> None:
        self._columns, self._widening = columns, widening
        self._parts: list[tuple[Entries, FloatArray, list[Key | None]]] = []
        self._cones: list[Any] = []

    def equal(self, matrix: Entries, bound: FloatArray) -> None:
        """Add equations; they come first."""
        self._add(matrix, bound, [None] * len(bound), clarabel.ZeroConeT(len(bound)))

    def below(self, matrix: Entries, bound: FloatArray, keys: Sequence[Key | None]) -> None:
        """Add rows ``matrix @ x <= bound + give·column``."""
        self._add(matrix, bound, list(keys), clarabel.NonnegativeConeT(len(bound)))

    def cone(self, matrix: Entries, bound: FloatArray, key: Key) -> None:
        """Add a second-order cone whose first row is the limit's."""
        keys: list[Key | None] = [key, *([None] * (len(bound) - 1))]
        self._add(matrix, bound, keys, clarabel.SecondOrderConeT(len(bound)))

    def _add(self, matrix: Entries, bound: FloatArray, keys: list[Key | None], cone: Any) -> None:
        if len(bound):
            self._parts.append((matrix, bound, keys))
            self._cones.append(cone)

    def solved(self, trace: FloatArray) -> Answer | str:
        """Return the cheapest point, or "infeasible" or "failed".

        Parameters
        ----------
        trace : array
            A small cost of the first columns, which decides between widenings that are equal.
        """
        keys = [key for _, _, part in self._parts for key in part]
        limited, ends = self._ends()
        left = Entries.below([*(matrix for matrix, _, _ in self._parts), limited])
        whole = Entries.beside([left, self._widening.entries(keys, self._columns)])
        shape = (whole.height, self._columns + len(self._widening.costs))
        places = (whole.rows, whole.columns)
        matrix = sparse.csc_matrix((whole.values, places), shape=shape)
        bound = np.concatenate([*(part for _, part, _ in self._parts), ends])
        costs = np.zeros(self._columns + len(self._widening.costs))
        costs[: len(trace)], costs[self._columns :] = trace, self._widening.costs
        cones = [*self._cones, clarabel.NonnegativeConeT(len(ends))]
        found = _solved(matrix, bound, costs, cones)
        if isinstance(found, str):
            return found
        point, duals = found
        given = point[self._columns :]
        prices: dict[Key, float] = {}
        for key, dual in zip(keys, duals, strict=False):
            if key is not None:
                prices[key] = prices.get(key, 0.0) + max(float(dual), 0.0)
        return Answer(point[: self._columns], float(self._widening.costs @ given), given, prices)

    def _ends(self) -> tuple[Entries, FloatArray]:
        """Return the rows that keep the widening within its bounds."""
        widening, count = self._widening, len(self._widening.costs)
        bounded = np.flatnonzero(np.isfinite(widening.most))
        columns = self._columns + np.concatenate([np.arange(count), bounded])
        values = np.repeat([-1.0, 1.0], [count, len(bounded)])
        rows = Entries(len(values), np.arange(len(values)), columns, values)
        return rows, np.concatenate([-widening.low, widening.most[bounded]])


def _solved(
    matrix: sparse.csc_matrix, bound: FloatArray, costs: FloatArray, cones: list[Any]
) -> tuple[FloatArray, FloatArray] | str:
    for tolerance, equilibrate in ATTEMPTS:
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.equilibrate_enable = equilibrate
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        none = sparse.csc_matrix((len(costs), len(costs)))
        answer = clarabel.DefaultSolver(none, costs, matrix, bound, cones, settings).solve()
        if answer.status == clarabel.SolverStatus.Solved:
            return np.array(answer.x), np.array(answer.z)
        if answer.status == clarabel.SolverStatus.PrimalInfeasible:
            return "infeasible"
    return "failed"


def sides_of(rows: Rows, kept: Set[Key], give: Mapping[Key, float]) -> tuple[list[int], list[int]]:
    """Return which rows of `kept` are equations, and which inequalities.

    A fixed target leaves no interior as two inequalities: where it does not give it is an
    equation.
    """
    equal: dict[Key, int] = {}
    below = []
    for index, key in enumerate(rows.keys):
        if key not in kept:
            continue
        if key[0] == TARGET and key not in give:
            equal.setdefault(key, index)
        else:
            below.append(index)
    return list(equal.values()), below


def volatility_cone(inputs: ProgramInputs, layout: Layout) -> tuple[Entries, FloatArray]:
    """Return (s_max, F w + o, sqrt(rho_S)·sigma'|w|) as rows of a second-order cone."""
    limits = inputs.limits
    rows = [layout.place(w=np.zeros((1, layout.contracts))), layout.place(w=-limits.root)]
    offset = [limits.root_offset]
    if limits.covariance_uncertainty > 0.0:
        alone = np.sqrt(limits.covariance_uncertainty) * limits.sigma[None, :]
        rows.append(layout.place(size=-alone))
        offset.append(np.zeros(1))
    return Entries.below(rows), np.concatenate([[limits.volatility_max], *offset])
