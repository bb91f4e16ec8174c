"""From the hour's scenarios to the program's: brought to the funding that is forecast now."""

from __future__ import annotations

import numpy as np

from perptui.estimation.recursion import divided
from perptui.model.forecast import Estimates
from perptui.optimization.scenarios import HorizonScenarios
from perptui.quant.hour import HourView


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
