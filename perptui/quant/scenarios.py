"""From the hour's scenarios to the program's: brought to the funding that is forecast now."""

from __future__ import annotations

import math

import numpy as np

from perptui.estimation.recursion import divided
from perptui.model.forecast import Estimates
from perptui.model.stress import Stress
from perptui.optimization.kept import Kept
from perptui.optimization.scenarios import HorizonScenarios
from perptui.quant.hour import HourView

DAYS_A_YEAR = 365.0
_STRESSED: Kept[HorizonScenarios] = Kept(6)


def stressed(scenarios: HorizonScenarios, estimates: Estimates, stress: Stress) -> HorizonScenarios:
    """Return the scenarios with the desk's named stresses among them; the same for the same.

    A stress that comes `times_a_year` comes within the horizon with probability
    1 - exp(-times_a_year·H/365).

    Raises
    ------
    OptimizationError
        When the stresses leave no room for other paths.
    """
    horizon = estimates.horizon_days
    probability = -math.expm1(-stress.times_a_year * horizon / DAYS_A_YEAR)
    coin_of = {row.id: row.coin for row in estimates.instruments}
    return _STRESSED.of(
        (scenarios,),
        (stress, horizon),
        lambda: scenarios.with_stresses(coin_of, stress.moves, probability),
    )


def horizon_scenarios_of(view: HourView, estimates: Estimates) -> HorizonScenarios:
    """Return what the program needs of the hour's scenarios: no mean is in them.

    Funding is scaled to the deviation that is forecast now, as the rows of tail risk have it. The
    mean is added where the program is posed, so that a trader's view shifts every path alike.

    Parameters
    ----------
    estimates : Estimates
        Of the same hour, for funding deviations; its rows are the contracts of `view`.
    """
    made = view.scenarios
    if made is None:
        return HorizonScenarios.none(view.day.tails.silent)
    centred = made.returns + made.change[:, made.owner]
    drawn = made.funding_deviation
    now = np.array([row.funding.horizon_sd for row in estimates.instruments])
    wider = divided(now, drawn, drawn > 0.0, 1.0) - 1.0
    if wider.any():
        centred -= made.funding * wider
    names, _ = view.day.panel.by_coin()
    return HorizonScenarios(
        ids=tuple(row.id for row in estimates.instruments),
        centred=centred,
        coins=tuple(names),
        coin_moves=made.coins + made.change,
    )
