"""The volatility record of one contract: every model's say, downside, jumps, funding, leaving."""

from __future__ import annotations

import math

import numpy as np

from perptui.estimation.realised import downside_deviation
from perptui.estimation.volatility import MODELS
from perptui.model.forecast import ModelVolatility, VolatilityForecast
from perptui.quant.hour import HourView
from perptui.quant.track import YEAR_DAYS

DOWNSIDE_DAYS = 180
JUMP_DAYS = 30


def volatility_of(
    k: int, view: HourView, total: float, funding_variance: float, shared: float
) -> VolatilityForecast:
    """Return the record of contract `k`.

    Parameters
    ----------
    total : float
        Variance of r - F over the horizon.
    funding_variance : float
        Of F.
    shared : float
        Cov(r, F) over the standard deviation of r.
    """
    day = view.day
    a_year = YEAR_DAYS / day.horizon_days
    funding = math.sqrt(funding_variance)
    return VolatilityForecast(
        ewma=_present(view, k, day.variances.ewma[-1, k], day.elasticities[0]),
        realised=_present(view, k, day.variances.realised[-1, k], day.elasticities[1]),
        combined=_present(view, k, day.variances.combined[-1, k], day.combined_elasticity),
        models=_models(view, k),
        downside=_known(downside_deviation(day.panel.daily[-DOWNSIDE_DAYS:, k : k + 1])[0]),
        jump_share=_jump_share(view, k),
        total=math.sqrt(total * a_year),
        funding=funding * math.sqrt(a_year),
        return_funding_correlation=shared / funding if funding > 0.0 else None,
        exit_cost_sd=math.sqrt(float(day.liquidity.exit_variance[k])),
    )


def _present(view: HourView, k: int, daily_variance: float, elasticity: float) -> float:
    """Return midnight's daily variance at the present hour, as annualised volatility."""
    return math.sqrt(YEAR_DAYS * float(daily_variance) * float(view.pace[k]) ** elasticity)


def _models(view: HourView, k: int) -> tuple[ModelVolatility, ...]:
    found, scores = view.day.variances, view.day.sitting.models
    own = found.combination.weights[:, -1, k]
    used = view.day.combined
    return tuple(
        ModelVolatility(
            name=name,
            volatility=_present(
                view, k, found.combination.levelled[row, -1, k], view.day.elasticities[row]
            ),
            weight=float(own[row]) if used else scores[row].weight,
            fallback=found.fallbacks[row][k],
        )
        for row, name in enumerate(MODELS)
    )


def _jump_share(view: HourView, k: int) -> float | None:
    measures = view.day.measures
    jump, variance = (x[-JUMP_DAYS:, k] for x in (measures.jump, measures.variance))
    both = np.isfinite(jump) & np.isfinite(variance)
    total = float(variance[both].sum())
    return float(jump[both].sum()) / total if total > 0.0 else None


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
