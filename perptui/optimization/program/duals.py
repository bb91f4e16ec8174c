"""From a solver's duals to the desk's: prices of limits, slopes of kinks, prices of bounds.

With the program written as a minimisation, the Lagrangian's gradient in |w_i| says that what a unit
of |w_i| costs, limits included, is the sum of the duals of |w_i| >= w_i and |w_i| >= -w_i; in w_i
their difference enters. So the subgradient of |w_i| the optimum stands on is difference over sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.answer import Answer
from perptui.optimization.program.compiled import Compiled
from perptui.optimization.program.data import Posed, matrix_product, quadratic_product
from perptui.risk.arrays import LimitArrays

NO_DUAL = 1e-14
"""Duals below this, objective per weight unit, say nothing of a slope."""


def prices_of(
    program: Compiled, answer: Answer, limits: LimitArrays, scale: float
) -> dict[str, FloatArray]:
    """Return d objective / d limit by name, shaped as `limit_excess`; 0 of what was left out."""
    duals = np.maximum(answer.duals, 0.0) / scale

    def of(row: str) -> FloatArray:
        return np.asarray(duals[program.rows[row]])

    prices = {name: of(name) for name in _plain(program)}
    prices["coin_net"] = of("coin_net_up") + of("coin_net_down")
    if "volatility" in program.rows:
        # The cone's own right-hand side: the dual of its first entry.
        prices["volatility"] = of("volatility")[:1]
    else:
        prices["volatility"] = np.zeros(1)
    prices.setdefault("cluster", np.zeros(len(limits.cluster)))
    if "cvar" in program.rows:
        prices["cvar"] = of("cvar")
    names = np.array(limits.row_names)
    for name in dict.fromkeys(limits.row_names):
        prices[name] = of("rows")[: len(names)][names == name]
    return prices


def _plain(program: Compiled) -> tuple[str, ...]:
    structure = program.structure
    return (
        "gross",
        "net_min",
        "net_max",
        "coin_gross",
        "venue_gross",
        "margin_ratio",
        "free_collateral",
        "stablecoin",
        "turnover",
        "participation",
        "standalone_risk",
        *(f"stress_{name}" for name in structure.stresses),
        *(("cluster",) if structure.clusters else ()),
    )


def _slope(up: FloatArray, down: FloatArray, point: FloatArray) -> FloatArray:
    total = up + down
    sure = total > NO_DUAL
    ratio = (up - down) / np.where(sure, total, 1.0)
    return np.where(sure, ratio, np.sign(point))


def size_slope(program: Compiled, answer: Answer, weights: FloatArray, scale: float) -> FloatArray:
    """Return the subgradient of each |w_i|, (N,), in [-1, 1]."""
    up, down = (
        np.maximum(answer.duals[program.rows[name]], 0.0) / scale
        for name in ("size_up", "size_down")
    )
    return _slope(up, down, weights)


def trade_slope(program: Compiled, answer: Answer, trade: FloatArray, scale: float) -> FloatArray:
    """Return the subgradient of each |z_i|, (N,), in [-1, 1]."""
    up, down = (
        np.maximum(answer.duals[program.rows[name]], 0.0) / scale
        for name in ("trade_up", "trade_down")
    )
    return _slope(up, down, trade)


def tier_slope(
    program: Compiled, answer: Answer, weights: FloatArray, limits: LimitArrays, scale: float
) -> FloatArray:
    """Return d MM_i / d|w_i| under each margin limit, (Q+1, N): a mixture of the tiers' rates.

    Where a limit has no price the slope is that of the tier in force.
    """
    rates = limits.margin_rates
    duals = np.maximum(answer.duals[program.tier_rows], 0.0) / scale
    total = duals.sum(axis=1)
    sure = total > NO_DUAL
    mixed = (duals * rates).sum(axis=1) / np.where(sure, total, 1.0)
    active = (rates * np.abs(weights) - limits.tier_deductions).argmax(axis=1)
    in_force = np.take_along_axis(rates, active[:, None, :], axis=1)[:, 0]
    return np.asarray(np.where(sure, mixed, in_force))


def bound_price(
    program: Compiled, answer: Answer, posed: Posed, inputs: ProgramInputs, scale: float
) -> FloatArray:
    """Return d objective / d bound, (N,): of the upper one less that of the lower one.

    A fixed target has that of the target itself: positive where a larger one were better.
    """
    upper, lower = program.rows["upper"], program.rows["lower"]
    price = np.maximum(answer.duals[upper], 0.0) - np.maximum(answer.duals[lower], 0.0)
    pinned = inputs.lower == inputs.upper
    if pinned.any():
        duals = answer.duals.copy()
        duals[upper] = duals[lower] = 0.0
        found = answer.found.copy()
        found[program.columns["w"]] = np.where(pinned, inputs.lower, found[program.columns["w"]])
        slope = (
            posed.free.cost
            + quadratic_product(program, posed.free.quadratic, found)
            + matrix_product(program, posed.free.matrix, duals)
        )
        price = np.where(pinned, -slope[program.columns["w"]], price)
    return np.asarray(price / scale)


def slacks_of(
    program: Compiled, answer: Answer, names: tuple[str, ...]
) -> Mapping[str, FloatArray]:
    """Return by how much each soft limit is exceeded, weight units, by name.

    Parameters
    ----------
    names : tuple of str
        Of the linear rows.
    """
    slacks: dict[str, FloatArray] = {}
    for limit in program.slacks:
        value = np.maximum(answer.found[program.columns[f"slack_{limit}"]], 0.0)
        if limit != "rows":
            slacks[limit] = value
            continue
        for row, name in enumerate(names):
            if program.structure.has_slack(name) and names.index(name) == row:
                slacks[name] = value[row : row + 1]
    return slacks
