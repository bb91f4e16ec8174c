"""The program compiled once per structure: its data as affine maps of the parameters.

cvxpy states and canonicalises the program (disciplined parametrised programming: Agrawal et al.
2019); what a solve needs of it afterwards is one sparse product, maps times parameters, and the
places of rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import cvxpy as cp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.rows import (
    CORE,
    TRADE,
    Stated,
    definitions,
    limit_rows,
    margin_limits,
    objective,
)
from perptui.optimization.program.structure import Structure
from perptui.optimization.program.terms import Terms

KEPT_SHAPES = 16

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cones:
    """Sizes of the cones, in the order of the rows: zero, positive, second-order, powers."""

    zero: int
    positive: int
    second_order: tuple[int, ...]
    powers: tuple[float, ...]


class Compiled:
    """One compiled structure.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of A.
    rows : dict of str to integer array
        Places of each stated constraint's rows.
    columns : dict of str to integer array
        Places of each variable's entries: "w", "size", "trade", "margin_0", ..., "slack_gross".
    row_group, column_group : arrays of str
        Group of each row and column (`rows.Stated`).
    tier_rows : (Q + 1, K, N) integer array
        Places of the rows of margin tiers.
    slacks : tuple of str
        Names of the limits with slack; "rows" for the linear ones.
    places : (2, E) integer array
        Row and column of every entry of A that any parameters fill, column by column.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        terms = Terms(structure)
        stated = [*definitions(terms), *limit_rows(terms)]
        problem = cp.Problem(cp.Minimize(objective(terms)), [one.constraint for one in stated])
        for parameter in problem.parameters():
            parameter.value = np.zeros(parameter.shape)
        data, chain, inverse = problem.get_problem_data(cp.CLARABEL, solver_opts={})
        program, dims = data["param_prob"], data["dims"]
        self.cones = Cones(dims.zero, dims.nonneg, tuple(dims.soc), tuple(dims.p3d))
        self._read_parameters(program, problem)
        self._read_maps(program)
        problem.unpack_results(_numbered(self.shape), chain, inverse)
        self._read_places(terms, stated)
        self.slacks = tuple(terms.slacks)
        stresses = range(1 + len(structure.stresses))
        self.tier_rows: IntArray = np.array(
            [
                [self.rows[f"tier_{index}_{tier}"] for tier in range(structure.tiers)]
                for index in stresses
            ]
        )

    def _read_parameters(self, program: Any, problem: cp.Problem) -> None:
        first = program.param_id_to_col
        self._slots = [
            (one.name(), slice(first[one.id], first[one.id] + one.size), one.ndim == 2)
            for one in problem.parameters()
        ]
        self._size = program.total_param_size + 1

    def _read_maps(self, program: Any) -> None:
        cost = sp.csr_array(program.q)
        count = cost.shape[0] - 1
        self._cost = cost[:count]
        tensor = sp.csr_array(program.A)
        tensor.eliminate_zeros()
        rows = tensor.shape[0] // (count + 1)
        self.shape = (rows, count)
        filled = np.flatnonzero(np.diff(tensor.indptr))
        matrix = filled[filled < rows * count]
        # cvxpy keeps A x + b in the cone: the solvers' A is its negative.
        self._matrix = -tensor[matrix]
        self._bounds = tensor[rows * count :]
        self.places: IntArray = np.array([matrix % rows, matrix // rows], dtype=np.int64)

    def _read_places(self, terms: Terms, stated: list[Stated]) -> None:
        self.rows: dict[str, IntArray] = {}
        self.row_group = np.full(self.shape[0], CORE, dtype=object)
        for one in stated:
            numbers = _dual_places(one.constraint)
            self.rows[one.name] = numbers
            self.row_group[numbers] = one.group
        self.columns: dict[str, IntArray] = {}
        self.column_group = np.full(self.shape[1], CORE, dtype=object)
        for name, group, variable in _variables(terms):
            numbers = _integers(np.asarray(variable.value))
            self.columns[name] = numbers
            self.column_group[numbers] = group

    def affine(
        self, values: Mapping[str, FloatArray | float]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return A's values at `places`, b and q at parameter values.

        Raises
        ------
        OptimizationError
            When a value is not finite: a solver may drop an infinite bound for good.
        """
        vector = np.zeros(self._size)
        vector[-1] = 1.0
        for name, place, is_matrix in self._slots:
            value = values[name]
            vector[place] = np.asarray(value).ravel(order="F") if is_matrix else value
        if not np.isfinite(vector).all():
            raise OptimizationError("expected finite limits and data, was infinity or NaN")
        return self._matrix @ vector, self._bounds @ vector, self._cost @ vector


def _numbered(shape: tuple[int, int]) -> SimpleNamespace:
    """Return an answer whose numbers are their own places: unpacked, they say what went where."""
    return SimpleNamespace(
        status="Solved",
        x=np.arange(shape[1], dtype=float),
        z=np.arange(shape[0], dtype=float),
        obj_val=0.0,
        solve_time=0.0,
        iterations=0,
    )


def _dual_places(constraint: cp.Constraint) -> IntArray:
    dual = constraint.dual_value
    parts = dual if isinstance(dual, list) else [dual]
    # Duals of equalities come back with the other sign.
    return np.concatenate([_integers(np.abs(np.asarray(part, dtype=float))) for part in parts])


def _integers(values: FloatArray) -> IntArray:
    return np.rint(np.atleast_1d(values).ravel(order="F")).astype(np.int64)


def _variables(terms: Terms) -> list[tuple[str, str, cp.Variable]]:
    """Return every variable with its name and its group."""
    named = [("w", CORE, terms.w), ("size", CORE, terms.size), ("trade", TRADE, terms.trade)]
    for index, (limit, margin) in enumerate(zip(margin_limits(terms), terms.margins, strict=True)):
        named.append((f"margin_{index}", limit, margin))
    optional = (
        ("spread", CORE, terms.spread),
        ("impact", CORE, terms.impact),
        ("doubt", CORE, terms.doubt),
        ("robust", CORE, terms.robust),
        ("charged", CORE, terms.charged),
        ("shortfall", "cvar", terms.shortfall),
        ("tail_edge", "cvar", terms.tail_edge),
        ("tail_beyond", "cvar", terms.tail_beyond),
    )
    named.extend((name, group, one) for name, group, one in optional if one is not None)
    named.extend((f"slack_{name}", name, slack) for name, slack in terms.slacks.items())
    return named


@lru_cache(maxsize=KEPT_SHAPES)
def compiled(structure: Structure) -> Compiled:
    """Return a structure's compiled program, made at its first use and kept."""
    return Compiled(structure)
