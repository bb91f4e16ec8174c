"""Value at risk and shortfall of the books on screen, from scenarios made once a day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perptui.estimation.covariance.basis import Basis
from perptui.estimation.funding.process import sum_variance
from perptui.estimation.liquidity import SPREAD_DEVIATIONS, Liquidity, liquidity_var
from perptui.estimation.panel import Panel, merge_by_coin
from perptui.estimation.recursion import FloatArray, divided
from perptui.estimation.tails.books import METHODS, TailInputs, tail_risks
from perptui.estimation.tails.contracts import Contracts
from perptui.estimation.tails.filtered import FundingDraw, Scenarios, horizon_scenarios
from perptui.estimation.tails.parametric import normal_tail
from perptui.estimation.tails.residuals import funding_residuals
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import TailRisk
from perptui.quant.funding import DayFunding

EXIT = "FHS + exit"
STRESSED = "normal, stressed"
STRESS_WORDS = "volatilities doubled, correlations half-way to one"
SIMULATED = METHODS[-1]
LINEAR = 0.05
"""Change of a deviation up to which simple returns swell as log returns do: a move of 50 % is then
off by 1.3 % of itself, the standard error of ten thousand paths."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows rest on now, beside scenarios; D days, N contracts.

    `daily` (D, N) are log returns and `funding` (D, N) funding sums by day; `covariance` (N, N) is
    of r - F over the horizon; `mean` (N,) the expected return of a unit long, funding included;
    `funding_deviation` (N,) the sd of the horizon's funding; `stressed` (N, N) the covariance of
    price returns under stress.
    """

    daily: FloatArray
    funding: FloatArray
    covariance: FloatArray
    mean: FloatArray
    funding_deviation: FloatArray
    liquidity: Liquidity
    stressed: FloatArray


@dataclass(frozen=True, slots=True)
class DayTails:
    """Scenarios of r - F over the horizon, made at midnight; None with the reason in `silent`.

    Nothing is expected in them: no drift, and no mean of funding.
    """

    scenarios: Scenarios | None
    silent: str


def day_tails(
    panel: Panel,
    coin_variance: FloatArray,
    basis: Basis,
    funding: DayFunding,
    horizon_days: float,
) -> DayTails:
    """Return filtered historical scenarios; the seed is the day's number.

    Contracts of one coin share its path and differ by basis and funding, as in the covariance.

    Parameters
    ----------
    coin_variance : (D, C) array
        The forecast in force by coin, daily, in the order of `panel.by_coin()`.
    basis : Basis
        Over the horizon.
    """
    names, owner = panel.by_coin()
    own = _shock_variance(funding.shocks)
    days = max(1, round(horizon_days))
    deviation = np.sqrt(
        [sum_variance(float(s), float(phi), days) for s, phi in zip(own, funding.phi, strict=True)]
    )
    try:
        scenarios = horizon_scenarios(
            merge_by_coin(panel.daily, owner, len(names)),
            coin_variance,
            FundingDraw(np.zeros(len(deviation)), deviation, _shocks(funding)),
            horizon_days,
            seed=panel.end_ms // DAY_MS,
            contracts=Contracts(owner, basis.own, basis.venue, basis.venue_of),
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
    """Return residuals of daily funding (D, N); None, for normal draws, with too few days."""
    try:
        return funding_residuals(funding.daily)
    except EstimationError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Scenarios):
    """Scenarios brought to the present; books are linear in them: no path is written anew.

    Basis stays as it was at midnight, as it does in the covariance.

    Attributes
    ----------
    change : (S, C) array
        How much further each coin's returns are.
    wider : (N,) array
        How much more funding there is than was drawn, as a share of it.
    mean : (N,) array
        What is expected of a unit long, funding included.
    """

    change: FloatArray
    wider: FloatArray
    mean: FloatArray

    def book(self, weights: FloatArray) -> FloatArray:
        """Return the book's returns (S,), fractions of equity."""
        by_coin = np.bincount(self.owner, weights=weights, minlength=self.change.shape[1])
        moved: FloatArray = self.returns @ weights
        moved += self.change @ by_coin
        moved -= self.funding @ (weights * self.wider)
        moved += float(weights @ self.mean)
        return moved


def swollen_scenarios(tails: DayTails, swollen: FloatArray) -> Moved | None:
    """Return midnight's scenarios at the present volatility; None where there are none.

    Log returns of coins swell by the root of their variance's ratio. Where that is within `LINEAR`
    of one, simple returns do so in its place, which is the same but for the second order.

    Parameters
    ----------
    swollen : (C,) array
        Present daily variance of each coin over midnight's.
    """
    made = tails.scenarios
    if made is None:
        return None
    scale = np.sqrt(swollen)
    change = made.coins * (scale - 1.0)
    far = np.flatnonzero(np.abs(scale - 1.0) > LINEAR)
    if len(far):
        simple = made.coins[:, far]
        change[:, far] = np.expm1(np.log1p(simple) * scale[far]) - simple
    return Moved(
        returns=made.returns,
        horizon_days=made.horizon_days,
        seed=made.seed,
        dates=made.dates,
        coins=made.coins,
        owner=made.owner,
        funding=made.funding,
        funding_deviation=made.funding_deviation,
        made=made.made,
        change=change,
        wider=np.zeros(len(made.owner)),
        mean=np.zeros(len(made.owner)),
    )


def present_tails(
    scenarios: Moved | None, books: dict[str, FloatArray], known: Known
) -> tuple[TailRisk, ...]:
    """Return the rows of `books` now; behind filtered historical simulation, the cost of leaving.

    Parameters
    ----------
    scenarios : Moved, optional
        At the present volatility, without means; no row without them. Their funding is scaled to
        the deviation that is forecast now: years ago it may have varied far more.
    """
    if scenarios is None:
        return ()
    drawn = scenarios.funding_deviation
    wider = divided(known.funding_deviation, drawn, drawn > 0.0, 1.0) - 1.0
    inputs = TailInputs(
        daily=known.daily,
        funding=known.funding,
        covariance=known.covariance,
        mean=known.mean,
        scenarios=replace(scenarios, mean=known.mean, wider=wider),
    )
    rows: list[TailRisk] = []
    for row in tail_risks(books, inputs):
        rows.append(row)
        if row.method == SIMULATED:
            rows.append(left_row(row, books[row.book], known.liquidity))
            rows.append(stressed_row(row, books[row.book], known))
    return tuple(rows)


def stressed_row(row: TailRisk, weights: FloatArray, known: Known) -> TailRisk:
    """Return the normal loss of `row`'s book and level under the stressed covariance.

    Parameters
    ----------
    weights : (N,) array
        Of the book, signed multiples of equity.
    known : Known
        Its expected returns and the stressed covariance.
    """
    deviation = float(np.sqrt(weights @ known.stressed @ weights))
    tail = normal_tail(float(weights @ known.mean), deviation, row.level)
    return TailRisk(row.book, STRESSED, row.level, tail.var, tail.shortfall, text=STRESS_WORDS)


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
