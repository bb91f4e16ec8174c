"""Value at risk and shortfall of the books on screen, from scenarios made once a day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perptui.estimation.funding.process import sum_variance
from perptui.estimation.liquidity import SPREAD_DEVIATIONS, Liquidity, liquidity_var
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray, divided
from perptui.estimation.tails.books import METHODS, TailInputs, tail_risks
from perptui.estimation.tails.filtered import FundingDraw, Scenarios, horizon_scenarios
from perptui.estimation.tails.residuals import funding_shocks
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import TailRisk
from perptui.quant.funding import DayFunding

EXIT = "FHS + exit"
SIMULATED = METHODS[-1]
LINEAR = 0.05
"""Change of a deviation up to which simple returns swell as log returns do: a move of 50 % is then
off by 1.3 % of itself, the standard error of ten thousand paths."""
LARGEST_LOSS = -0.9999
"""Of a unit long, price and funding: logs end there."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows rest on now, beside scenarios; D days, N contracts.

    `daily` (D, N) are log returns and `funding` (D, N) funding sums by day; `covariance` (N, N) is
    of r - F over the horizon; `mean` (N,) the expected return of a unit long, funding included.
    """

    daily: FloatArray
    funding: FloatArray
    covariance: FloatArray
    mean: FloatArray
    liquidity: Liquidity


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Scenarios):
    """Scenarios whose returns (S, N) are scaled by `scale` and moved by `mean`, (N,) each.

    Books are linear in them: no path is written anew for a new quote.
    """

    scale: FloatArray
    mean: FloatArray

    def book(self, weights: FloatArray) -> FloatArray:
        """Return the book's returns (S,), fractions of equity."""
        moved: FloatArray = self.returns @ (weights * self.scale) + float(weights @ self.mean)
        return moved


def swollen_scenarios(tails: DayTails, swollen: FloatArray) -> Moved | None:
    """Return midnight's scenarios at the present volatility; None where there are none.

    Log returns swell by the root of the variance's ratio. Where that is within `LINEAR` of one,
    simple returns do so in its place, which is the same but for the second order.

    Parameters
    ----------
    swollen : (N,) array
        Present daily variance over midnight's.
    """
    made = tails.scenarios
    if made is None:
        return None
    scale, returns = np.sqrt(swollen), made.returns
    far = np.flatnonzero(np.abs(scale - 1.0) > LINEAR)
    if len(far):
        returns = returns.copy()
        logs = np.log1p(np.maximum(returns[:, far], LARGEST_LOSS))
        returns[:, far] = np.expm1(logs * scale[far])
        scale[far] = 1.0
    return Moved(
        returns=returns,
        horizon_days=made.horizon_days,
        seed=made.seed,
        dates=made.dates,
        made=made.made,
        scale=scale,
        mean=np.zeros(len(scale)),
    )


def present_tails(
    scenarios: Moved | None, books: dict[str, FloatArray], known: Known
) -> tuple[TailRisk, ...]:
    """Return the rows of `books` now; behind filtered historical simulation, the cost of leaving.

    Parameters
    ----------
    scenarios : Moved, optional
        At the present volatility, without means; no row without them.
    """
    if scenarios is None:
        return ()
    inputs = TailInputs(
        daily=known.daily,
        funding=known.funding,
        covariance=known.covariance,
        mean=known.mean,
        scenarios=replace(scenarios, mean=known.mean),
    )
    rows: list[TailRisk] = []
    for row in tail_risks(books, inputs):
        rows.append(row)
        if row.method == SIMULATED:
            rows.append(left_row(row, books[row.book], known.liquidity))
    return tuple(rows)


def left_row(row: TailRisk, weights: FloatArray, liquidity: Liquidity) -> TailRisk:
    """Return `row` with the cost of leaving the whole book once (Bangia et al. 1999).

    Parameters
    ----------
    weights : (N,) array
        Of the book, signed multiples of equity.
    liquidity : Liquidity
        Half-spreads as they are now.
    """
    var = liquidity_var(row.var, weights, liquidity)
    cost = var - row.var
    return TailRisk(
        row.book,
        EXIT,
        row.level,
        var,
        row.shortfall + cost,
        row.error,
        f"leaving {row.book} takes {cost:.3%} of equity: "
        f"half-spreads, {SPREAD_DEVIATIONS:g} sd wide",
    )
