"""The quadratic part of the objective, written into P by hand.

gamma·Sigma stands in w's block (upper triangle, fixed pattern), or gamma·I in that of F w where
the covariance is given by factors. Through cvxpy the covariance
would enter by its root, and that would be a dense block of A.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.compiled import Compiled, IntArray
from perptui.optimization.program.structure import Structure


def quadratic_places(program: Compiled) -> tuple[IntArray, IntArray]:
    """Return row and column of each value of `quadratic_values`, upper triangle."""
    structure, columns = program.structure, program.columns
    rows: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    others: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    if structure.relaxes:
        return rows[0], others[0]
    if structure.factors:
        rows.append(columns["spread"])
        others.append(columns["spread"])
    else:
        upper, lower = upper_triangle(structure.contracts)
        rows.append(columns["w"][upper])
        others.append(columns["w"][lower])
    for name, wanted in (("w", structure.specific), (structure.charged, structure.charged != "")):
        if wanted:
            rows.append(columns[name])
            others.append(columns[name])
    return np.concatenate(rows), np.concatenate(others)


def quadratic_values(inputs: ProgramInputs, structure: Structure, scale: float) -> FloatArray:
    """Return the values of P at those places: gamma times Sigma, or its parts, times `scale`."""
    gamma = scale * inputs.risk_aversion
    if structure.relaxes:
        return np.zeros(0)
    parts = []
    if structure.factors:
        parts.append(np.full(structure.factors, gamma))
        if structure.specific and inputs.specific is not None:
            parts.append(gamma * inputs.specific)
    else:
        parts.append(gamma * inputs.covariance[upper_triangle(structure.contracts)])
    if structure.charged:
        parts.append(np.full(1, gamma))
    return np.concatenate(parts)


@lru_cache(maxsize=16)
def upper_triangle(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows and columns of the upper triangle of a (count, count) matrix."""
    rows, columns = np.triu_indices(count)
    return rows.astype(np.int64), columns.astype(np.int64)
