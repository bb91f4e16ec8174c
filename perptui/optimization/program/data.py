"""From a program's inputs to its numbers: parameters, quadratic part, fixed targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.answer import Numbers
from perptui.optimization.program.compiled import Compiled, IntArray
from perptui.optimization.program.quadratic import quadratic_places, quadratic_values
from perptui.optimization.program.terms import (
    UNUSED,
    Values,
    limit_values,
    objective_values,
)

TRACE_OF_TRADING = 1e-4
"""Phase 1 prefers, among relaxations that are equally small, the one with less trading."""


@dataclass(frozen=True, eq=False)
class Posed:
    """One program in numbers.

    Attributes
    ----------
    numbers : Numbers
        As solved: fixed targets stand on the right-hand sides.
    free : Numbers
        Before that: what a fixed target costs is read from these.
    """

    numbers: Numbers
    free: Numbers


def optimum_numbers(
    program: Compiled, inputs: ProgramInputs, scale: float, stated: Values | None = None
) -> Posed:
    """Return the numbers of the optimum's program, its objective times `scale`.

    Parameters
    ----------
    stated : mapping of str to array, optional
        `limit_values` of the inputs, where they are known.
    """
    structure = program.structure
    values = limit_values(inputs, structure) if stated is None else dict(stated)
    values.update(objective_values(inputs, scale))
    prices = {
        name: np.full(_slack_size(program, name), scale * inputs.soft_prices.get(name, UNUSED))
        for name in program.slacks
    }
    if "rows" in prices:
        first = _first_of(inputs.limits.row_names, len(prices["rows"]))
        prices["rows"] = np.array([scale * inputs.soft_prices.get(n, UNUSED) for n in first])
    values.update({f"price_{name}": price for name, price in prices.items()})
    return _posed(program, inputs, values, quadratic_values(inputs, structure, scale))


def relaxed_numbers(
    program: Compiled, inputs: ProgramInputs, prices: Mapping[str, FloatArray]
) -> Posed:
    """Return the numbers of phase 1.

    Parameters
    ----------
    prices : mapping of str to (k,) array
        Of each slack, by `Compiled.slacks`; what is missing costs 1.
    """
    structure, count = program.structure, program.structure.contracts
    values = limit_values(inputs, structure)
    values.update(
        gain=np.zeros(count),
        size_cost=np.zeros(count),
        trade_cost=np.full(count, TRACE_OF_TRADING),
    )
    for name in program.slacks:
        values[f"price_{name}"] = prices.get(name, np.ones(_slack_size(program, name)))
    return _posed(program, inputs, values, quadratic_values(inputs, structure, 1.0))


def _slack_size(program: Compiled, name: str) -> int:
    return len(program.columns[f"slack_{name}"])


def _first_of(names: tuple[str, ...], room: int) -> tuple[str, ...]:
    """Return the name that pays for each slack of the linear rows; "" where it is not used."""
    firsts = [name if names.index(name) == row else "" for row, name in enumerate(names)]
    return (*firsts, *([""] * (room - len(names))))


def _posed(
    program: Compiled, inputs: ProgramInputs, values: Values, quadratic: FloatArray
) -> Posed:
    matrix, bounds, cost = program.affine(values)
    free = Numbers(matrix, bounds, cost, quadratic)
    pinned = inputs.lower == inputs.upper
    if not pinned.any():
        return Posed(free, free)
    return Posed(_pinned(program, free, np.flatnonzero(pinned), inputs.lower), free)


def _pinned(program: Compiled, free: Numbers, pins: IntArray, targets: FloatArray) -> Numbers:
    """Return the numbers with w at its targets in `pins`, and a free stand-in in its place.

    Equal bounds would leave the feasible set without an interior, where interior-point steps lose
    accuracy. The stand-in, between -1 and 1, is in nothing else.
    """
    rows, columns = program.places
    fixed = np.zeros(program.shape[1])
    fixed[program.columns["w"][pins]] = targets[pins]
    stands = np.zeros(program.shape[1], dtype=bool)
    stands[program.columns["w"][pins]] = True
    matrix, gone = free.matrix.copy(), stands[columns]
    moved = np.bincount(
        rows[gone], weights=matrix[gone] * fixed[columns[gone]], minlength=program.shape[0]
    )
    own = gone & np.isin(rows, np.concatenate([program.rows["upper"], program.rows["lower"]]))
    matrix[gone & ~own] = 0.0
    bounds = free.bounds - moved
    bounds[program.rows["upper"][pins]] = bounds[program.rows["lower"][pins]] = 1.0
    p_rows, p_columns = quadratic_places(program)
    cost = free.cost + quadratic_product(program, free.quadratic, fixed)
    cost[stands] = 0.0
    touched = stands[p_rows] | stands[p_columns]
    quadratic = np.where(touched, 0.0, free.quadratic)
    return Numbers(matrix, bounds, cost, quadratic)


def quadratic_product(program: Compiled, quadratic: FloatArray, x: FloatArray) -> FloatArray:
    """Return P x, (columns,), of the upper triangle's values."""
    rows, columns = quadratic_places(program)
    size = program.shape[1]
    product = np.bincount(rows, weights=quadratic * x[columns], minlength=size)
    apart = rows != columns
    product += np.bincount(
        columns[apart], weights=quadratic[apart] * x[rows[apart]], minlength=size
    )
    return np.asarray(product)


def matrix_product(program: Compiled, matrix: FloatArray, duals: FloatArray) -> FloatArray:
    """Return A'z, (columns,)."""
    rows, columns = program.places
    weights = matrix * duals[rows]
    return np.asarray(np.bincount(columns, weights=weights, minlength=program.shape[1]))
