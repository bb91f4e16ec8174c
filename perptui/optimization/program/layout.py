"""A compiled program without the limits that cannot bind, in the solvers' own sparse form."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from perptui.optimization.inputs import FloatArray
from perptui.optimization.program.compiled import Compiled, Cones, IntArray, compiled
from perptui.optimization.program.quadratic import quadratic_places
from perptui.optimization.program.rows import CORE
from perptui.optimization.program.structure import Structure

KEPT_LAYOUTS = 64


class Pattern:
    """A fixed sparsity pattern, filled with new values again and again.

    Parameters
    ----------
    shape : tuple of int
    rows, columns, entries : (E,) integer arrays
        Where each value stands, and its place among the values that `fill` is given.
    """

    def __init__(
        self, shape: tuple[int, int], rows: IntArray, columns: IntArray, entries: IntArray
    ) -> None:
        order = np.lexsort((rows, columns))
        self._entries = entries[order]
        indices = rows[order].astype(np.int32)
        starts = np.searchsorted(columns[order], np.arange(shape[1] + 1)).astype(np.int32)
        self._matrix = sp.csc_matrix((np.zeros(len(order)), indices, starts), shape)

    def fill(self, values: FloatArray) -> sp.csc_matrix:
        """Return the matrix of these values, the same object each time: solvers copy it.

        Explicit zeros stay, so that patterns never change.
        """
        np.take(values, self._entries, out=self._matrix.data)
        return self._matrix


class Layout:
    """Which rows and columns of a compiled program are solved, and their patterns.

    Attributes
    ----------
    rows, columns : integer arrays
        Places of the kept rows and columns in the compiled program.
    matrix, quadratic : Pattern
        A and the upper triangle of P.
    cones : Cones
        Of the kept rows.
    """

    def __init__(self, program: Compiled, kept: frozenset[str]) -> None:
        groups = kept | {CORE}
        self.program = program
        self.shape = program.shape
        row_kept = np.isin(program.row_group.astype(str), sorted(groups))
        column_kept = np.isin(program.column_group.astype(str), sorted(groups))
        self.rows = np.flatnonzero(row_kept)
        self.columns = np.flatnonzero(column_kept)
        self.cones = _kept_cones(program.cones, row_kept)
        row_at, column_at = _positions(row_kept), _positions(column_kept)
        rows, columns = program.places
        entries = np.flatnonzero(row_kept[rows] & column_kept[columns])
        self.entry_rows = row_at[rows[entries]]
        self.entry_columns = column_at[columns[entries]]
        self.entries = entries
        size = len(self.columns)
        self.matrix = self.part(0, len(self.rows))
        p_rows, p_columns = quadratic_places(program)
        held = np.flatnonzero(column_kept[p_rows] & column_kept[p_columns])
        self.quadratic = Pattern(
            (size, size), column_at[p_rows[held]], column_at[p_columns[held]], held
        )

    def part(self, first: int, last: int) -> Pattern:
        """Return the pattern of the kept rows `first` to `last`, the last left out."""
        inside = (self.entry_rows >= first) & (self.entry_rows < last)
        return Pattern(
            (last - first, len(self.columns)),
            self.entry_rows[inside] - first,
            self.entry_columns[inside],
            self.entries[inside],
        )


def _positions(kept: npt.NDArray[np.bool_]) -> IntArray:
    return np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int64)


def _kept_cones(cones: Cones, kept: npt.NDArray[np.bool_]) -> Cones:
    linear = cones.zero + cones.positive
    starts = linear + np.cumsum([0, *cones.second_order])
    return Cones(
        int(kept[: cones.zero].sum()),
        int(kept[cones.zero : linear].sum()),
        tuple(
            size for start, size in zip(starts[:-1], cones.second_order, strict=True) if kept[start]
        ),
        tuple(power for index, power in enumerate(cones.powers) if kept[starts[-1] + 3 * index]),
    )


@lru_cache(maxsize=KEPT_LAYOUTS)
def layout(structure: Structure, kept: frozenset[str]) -> Layout:
    """Return a structure's layout with the kept groups, made at its first use and kept."""
    return Layout(compiled(structure), kept)
