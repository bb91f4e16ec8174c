"""A program in other units of weight: a book of thousandths of equity is solved as one of ones.

Every limit and every kink scales with the weights, so w = u·v and objective = u·(objective of v)
make of one program another whose gradients and prices are the same and whose tolerances, absolute
in the solvers and in the polish, are u times as fine. u is a power of two: nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.kinks import effective_bounds
from perptui.optimization.program.solution import DECIMALS, Solution, largest_excess
from perptui.risk.arrays import LimitArrays

SMALL = 0.125
"""A book of less than this is solved in units of its own."""
LEAST_UNIT = 2.0**-40
"""No unit is smaller."""
TAIL_OF_SIGMA = 2.0
"""CVaR of a book over its deviation, roughly."""
_SIZES = (
    "tier_deductions",
    "equity_share",
    "root_offset",
    "trade_max",
    "trade_min",
    "size_max",
    "row_max",
    "scenario_offset",
    "gross_max",
    "net_min",
    "net_max",
    "coin_net_max",
    "coin_gross_max",
    "turnover_max",
    "volatility_max",
    "cluster_max",
    "cvar_max",
    "market_offset",
)
"""Fields of the limits that are amounts of weight, or of return times weight."""


def unit_of(inputs: ProgramInputs) -> float:
    """Return the power of two that a book within the caps on the whole of it is about as large as.

    1 where none of them keeps it small: a cap of nothing says nothing of a size.
    """
    limits = inputs.limits
    moving = median(limits.sigma.tolist()) if len(limits.sigma) else 0.0
    caps = {
        "gross": limits.gross_max,
        "turnover": 2.0 * limits.turnover_max + float(np.abs(inputs.before).sum()),
    }
    if moving > 0.0:
        caps["volatility"] = limits.volatility_max / moving
        if limits.has_tail:
            caps["cvar"] = limits.cvar_max / (TAIL_OF_SIGMA * moving)
    hard = (most for name, most in caps.items() if most > 0.0 and not inputs.soft_prices.get(name))
    return unit_for(max(min(hard, default=1.0), _left_at_least(inputs)))


def _left_at_least(inputs: ProgramInputs) -> float:
    """Return the largest position, or the mean one, that bounds and turnover leave for certain."""
    lower, upper = effective_bounds(inputs)
    apart = np.maximum(np.maximum(lower, -upper), 0.0)
    held = float(np.abs(inputs.before).sum()) - 2.0 * inputs.limits.turnover_max
    return max(float(apart.max(initial=0.0)), held / max(len(apart), 1))


def unit_for(size: float) -> float:
    """Return the unit of a book of a size: the power of two at or below it, 1 unless it is small.

    Parameters
    ----------
    size : float
        Weight units, about the largest position.
    """
    if size >= SMALL:
        return 1.0
    return max(2.0 ** math.floor(math.log2(max(size, LEAST_UNIT))), LEAST_UNIT)


def in_units(inputs: ProgramInputs, unit: float) -> ProgramInputs:
    """Return the same program of v = w / unit, its objective over `unit`.

    The inputs themselves where the unit is 1. No split of scenarios may be in them.
    """
    if unit == 1.0:
        return inputs
    return replace(
        inputs,
        before=inputs.before / unit,
        lower=inputs.lower / unit,
        upper=inputs.upper / unit,
        impact=inputs.impact * math.sqrt(unit),
        risk_aversion=inputs.risk_aversion * unit,
        limits=_limits_in(inputs.limits, unit),
    )


def _limits_in(limits: LimitArrays, unit: float) -> LimitArrays:
    room: Mapping[str, FloatArray] = {name: more / unit for name, more in limits.room.items()}
    return replace(
        limits,
        **{name: getattr(limits, name) / unit for name in _SIZES},
        stablecoin_min=1.0 - (1.0 - limits.stablecoin_min) / unit,
        room=room,
    )


def from_units(found: Solution, inputs: ProgramInputs, unit: float) -> Solution:
    """Return a solution of `in_units(inputs, unit)` as one of the inputs."""
    if unit == 1.0:
        return found
    if found.status != "optimal":
        return replace(
            Solution.without_answer(found.status, inputs, found.detail, unit * found.residual),
            seconds=found.seconds,
        )
    exact = found.exact * unit
    weights = np.round(exact, DECIMALS) + 0.0
    return replace(
        found,
        weights=weights,
        exact=exact,
        residual=largest_excess(weights, inputs),
        slacks={name: slack * unit for name, slack in found.slacks.items()},
    )


def unit_of_answer(found: Solution) -> float:
    """Return the unit of the book that an answer holds."""
    return unit_for(float(np.abs(found.exact).max(initial=0.0)))
