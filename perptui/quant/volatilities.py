"""The volatility record of one contract: every model's say, downside, jumps, funding, leaving."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perptui.estimation.recursion import FloatArray
from perptui.estimation.variance.forecast import MODELS
from perptui.model.forecast import ModelVolatility, VolatilityForecast
from perptui.quant.day import DayView
from perptui.quant.track import YEAR_DAYS


@dataclass(frozen=True, slots=True)
class PresentVolatility:
    """Annualised volatilities at one hour, by contract (N,), and the models' records.

    They change with the hour, not with a quote.
    """

    ewma: tuple[float, ...]
    realised: tuple[float, ...]
    combined: tuple[float, ...]
    models: tuple[tuple[ModelVolatility, ...], ...]


def present_volatility(day: DayView, pace: FloatArray) -> PresentVolatility:
    """Return midnight's variances at the present hour, as annualised volatilities.

    Each takes over its share of the change of the fast mean: v·pace^elasticity.

    Parameters
    ----------
    pace : (N,) array
        Present fast mean of realised variances over midnight's.
    """
    found, own = day.variances, day.elasticity
    daily = np.stack([found.ewma[-1], found.realised[-1], found.combined[-1]])
    ewma, realised, combined = _annual(daily, pace, (*own.models[:2], own.combined))
    models = _annual(found.combination.levelled[:, -1], pace, own.models)
    return PresentVolatility(
        tuple(ewma.tolist()),
        tuple(realised.tolist()),
        tuple(combined.tolist()),
        tuple(_models(day, k, column) for k, column in enumerate(models.T.tolist())),
    )


def _annual(daily: FloatArray, pace: FloatArray, elasticity: tuple[float, ...]) -> FloatArray:
    year: FloatArray = np.sqrt(YEAR_DAYS * daily * pace ** np.array(elasticity)[:, None])
    return year


def _models(day: DayView, k: int, said: list[float]) -> tuple[ModelVolatility, ...]:
    """Return what each of `MODELS` says of contract `k`, and its weight as it is used."""
    found, scores = day.variances, day.sitting.models
    own = found.combination.weights[:, -1, k].tolist()
    return tuple(
        ModelVolatility(
            name=name,
            volatility=said[row],
            weight=own[row] if day.combined else scores[row].weight,
            fallback=found.fallbacks[row][k],
        )
        for row, name in enumerate(MODELS)
    )


def volatility_of(
    k: int,
    day: DayView,
    present: PresentVolatility,
    total: float,
    funding_variance: float,
    shared: float,
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
    a_year = YEAR_DAYS / day.horizon_days
    funding = math.sqrt(funding_variance)
    return VolatilityForecast(
        ewma=present.ewma[k],
        realised=present.realised[k],
        combined=present.combined[k],
        models=present.models[k],
        downside=_known(float(day.downside[k])),
        jump_share=_known(float(day.jump_share[k])),
        total=math.sqrt(total * a_year),
        funding=funding * math.sqrt(a_year),
        return_funding_correlation=shared / funding if funding > 0.0 else None,
        exit_cost_sd=math.sqrt(float(day.liquidity.exit_variance[k])),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
