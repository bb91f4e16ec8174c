"""Value at risk and shortfall of the books on screen, from scenarios made once a day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perptui.estimation.filtered import FundingDraw, Scenarios, horizon_scenarios
from perptui.estimation.funding_process import sum_variance
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray, divided
from perptui.estimation.residuals import funding_shocks
from perptui.estimation.tail_books import TailInputs, tail_risks
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import TailRisk
from perptui.quant.funding import DayFunding


@dataclass(frozen=True, slots=True)
class DayTails:
    """Scenarios of r - F over the horizon, made at midnight; None with the reason in `silent`.

    Nothing is expected in them: no drift, and no mean of funding.
    """

    scenarios: Scenarios | None
    silent: str


def day_tails(
    panel: Panel, variance: FloatArray, funding: DayFunding, horizon_days: float
) -> DayTails:
    """Return filtered historical scenarios; the seed is the day's number.

    Parameters
    ----------
    variance : (D, N) array
        The forecast in force, daily.
    """
    own = _shock_variance(funding.shocks)
    days = max(1, round(horizon_days))
    deviation = np.sqrt(
        [sum_variance(float(s), float(phi), days) for s, phi in zip(own, funding.phi, strict=True)]
    )
    try:
        scenarios = horizon_scenarios(
            panel.daily,
            variance,
            FundingDraw(np.zeros(len(deviation)), deviation, _shocks(funding)),
            horizon_days,
            seed=panel.end_ms // DAY_MS,
        )
    except EstimationError as error:
        return DayTails(None, f"no scenarios of losses: {error}")
    return DayTails(scenarios, "")


def _shock_variance(shocks: FloatArray) -> FloatArray:
    """Return mean squared shocks (N,); the widest of the others where a contract has none known."""
    seen = np.isfinite(shocks)
    count = seen.sum(axis=0)
    own = divided(np.square(np.where(seen, shocks, 0.0)).sum(axis=0), count, count > 0)
    return np.where(np.isfinite(own), own, max(own[np.isfinite(own)], default=0.0))


def _shocks(funding: DayFunding) -> FloatArray | None:
    """Return standardised funding shocks (D, N); None, for normal draws, with too few days."""
    try:
        return funding_shocks(funding.daily)
    except EstimationError:
        return None


def present_tails(
    tails: DayTails,
    books: dict[str, FloatArray],
    daily: FloatArray,
    funding: DayFunding,
    covariance: FloatArray,
    mean: FloatArray,
    swollen: FloatArray,
) -> tuple[TailRisk, ...]:
    """Return the rows of `books` now: midnight's scenarios at the present volatility and means.

    Parameters
    ----------
    daily : (D, N) array
        Log returns by day.
    covariance : (N, N) array
        Of r - F over the horizon.
    mean : (N,) array
        Expected return of a unit long, funding included.
    swollen : (N,) array
        Present daily variance over midnight's.
    """
    made = tails.scenarios
    if made is None:
        return ()
    returns = made.returns * np.sqrt(swollen) + mean
    inputs = TailInputs(
        daily=daily,
        funding=funding.daily,
        covariance=covariance,
        mean=mean,
        scenarios=replace(made, returns=returns),
    )
    return tail_risks(books, inputs)
