"""Points of the efficient frontier: the same program at other aversions to risk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.explanation import FrontierPoint
from perptui.optimization.explain.figures import robust_return
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solve import solve

DECIMALS = 12
"""Decimals to which figures made of floats are kept in records."""


def frontier_point(inputs: ProgramInputs, risk_aversion: float) -> FrontierPoint | None:
    """Return the optimum of the same program with another gamma, as a point of the frontier.

    Every limit in force holds there, trading costs count in the choice, and lots do not. Without
    costs the points of rising gamma fall in volatility and in return, along a concave curve: the
    most return that any book of at most that volatility has.

    Parameters
    ----------
    risk_aversion : float
        gamma of ½ gamma w'Sigma w, positive.

    Returns
    -------
    FrontierPoint or None
        None where the program has no optimum to trust.

    Raises
    ------
    OptimizationError
        When `risk_aversion` is not positive and finite.
    """
    if not 0.0 < risk_aversion < float("inf"):
        raise OptimizationError(
            f"expected a positive risk aversion, was {risk_aversion:g}; choose some from 1e-3 to "
            "1e3"
        )
    # What puts held pull is the risk that they take off, at the aversion to it.
    pull = None if inputs.pull is None else inputs.pull * (risk_aversion / inputs.risk_aversion)
    solution = solve(replace(inputs, risk_aversion=risk_aversion, pull=pull))
    if solution.status != "optimal":
        return None
    return point_of(inputs, solution.weights, risk_aversion)


def point_of(inputs: ProgramInputs, weights: FloatArray, risk_aversion: float) -> FrontierPoint:
    """Return where a book (N,) lies: annualised volatility and robust return, before costs.

    The return has its uncertainty taken off, as `BookRisk.expected_return_annual` has; puts held
    count in the volatility.
    """
    a_year = DAYS_A_YEAR / inputs.horizon_days
    spread = inputs.limits.root @ weights + inputs.limits.root_offset
    return FrontierPoint(
        volatility_annual=round(float(np.sqrt(spread @ spread * a_year)), DECIMALS),
        return_annual=round(robust_return(inputs, weights), DECIMALS),
        risk_aversion=risk_aversion,
    )
