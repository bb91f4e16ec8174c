"""How far the book is from its target, three ways (method §12, Drift)."""

from __future__ import annotations

import numpy as np

from perptui.model.explanation import Drift
from perptui.optimization.inputs import FloatArray, ProgramInputs

DAYS_A_YEAR = 365.0


def drift_of(inputs: ProgramInputs, target: FloatArray) -> Drift:
    """Return the drift of the book before the trade from a target.

    Parameters
    ----------
    target : (N,) array
        Weights of the optimum.
    """
    trade = target - inputs.before
    variance = float(trade @ inputs.covariance @ trade)
    held = inputs.unhedged or inputs
    gain = float(inputs.objective(target)) - float(held.objective(inputs.before))
    return Drift(
        half_turnover=0.5 * float(np.abs(trade).sum()),
        tracking=float(np.sqrt(max(variance, 0.0) * DAYS_A_YEAR / inputs.horizon_days)),
        regret_usd_day=usd_a_day(inputs, gain),
    )


def usd_a_day(inputs: ProgramInputs, objective: float) -> float:
    """Return an objective, fraction of equity over the horizon, in USD a day."""
    return objective * float(inputs.equity) / inputs.horizon_days
