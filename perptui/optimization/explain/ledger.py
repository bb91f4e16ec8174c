"""The ledger: what pulls at each contract and what holds it (method §12).

At the optimum L(w) = objective(w) - sum_j lambda_j g_j(w) has slope zero in every weight: alpha and
carry, less the charges for risk, uncertainty, cost and limits, add up to nothing. A contract that
is not traded is held by the cost of trading it, of which it uses up as much as it would gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from perptui.model.explanation import LedgerRow
from perptui.optimization.explain.contract_bounds import bound_name
from perptui.optimization.explain.relaxation import relaxation_in_force
from perptui.optimization.explain.slopes import Slopes, at_optimum
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.active import APART, Active, Key
from perptui.optimization.program.conditions import Conditions
from perptui.optimization.program.solution import Solution

BASIS_POINTS = 1e4
DAYS_A_YEAR = 365.0
PRICE_MIN = 1e-12
"""Price, objective per weight unit, below which a limit does not bind."""
TRADED_MIN = 1e-9
TERMS = ("alpha", "carry", "risk", "uncertainty", "cost")


@dataclass(frozen=True, eq=False)
class Terms:
    """What a unit of weight brings through each term, (N,) each, fraction of equity over H.

    Attributes
    ----------
    limits : dict of (str, int) to (N,) array
        Of each limit with a price, by its name and place in `limit_excess`.
    bounds : (N,) array
        Of bounds and fixed targets.
    """

    alpha: FloatArray
    carry: FloatArray
    risk: FloatArray
    uncertainty: FloatArray
    cost: FloatArray
    limits: dict[Key, FloatArray]
    bounds: FloatArray

    @property
    def residual(self) -> FloatArray:
        """Their sum, (N,): zero at an optimum."""
        every = (self.alpha, self.carry, self.risk, self.uncertainty, self.cost)
        return np.asarray(sum(every) + sum(self.limits.values(), self.bounds))


def terms_of(inputs: ProgramInputs, solution: Solution, slopes: Slopes) -> Terms:
    """Return every term's slope in each weight, signed as a gain.

    Parameters
    ----------
    slopes : Slopes
        Of the optimum (the marginal ledger), or along the trade to it.
    """
    funding = expected_funding(inputs)
    holding = inputs.size_cost - inputs.uncertainty
    pull = inputs.gain - inputs.expected_return
    return Terms(
        alpha=inputs.expected_return + funding,
        carry=-funding,
        risk=pull - inputs.risk_aversion * slopes.risk,
        uncertainty=-inputs.uncertainty * slopes.size - slopes.doubt,
        cost=-inputs.trade_cost * slopes.trade
        - inputs.cost_aversion * inputs.impact * slopes.impact
        - holding * slopes.size,
        limits={
            key: -price * slopes.of_limit(inputs.limits, key, solution.exact)
            for key, price in priced(solution.prices).items()
        },
        bounds=-_bound_price(solution),
    )


def priced(prices: Mapping[str, FloatArray]) -> dict[Key, float]:
    """Return the limits that have a price, by name and place."""
    return {
        (name, place): price
        for name, values in prices.items()
        for place, price in enumerate(values.tolist())
        if price > PRICE_MIN
    }


def expected_funding(inputs: ProgramInputs) -> FloatArray:
    """Return E[F] over the horizon of each contract, (N,): what a unit long pays."""
    if inputs.funding is not None:
        return inputs.funding
    rows = [contract.forecast for contract in inputs.contracts]
    return np.array([row.funding.horizon_mean if row is not None else 0.0 for row in rows])


def ledger_of(
    inputs: ProgramInputs, solution: Solution, slopes: Slopes | None = None
) -> tuple[LedgerRow, ...]:
    """Return the ledger of every contract at an optimum, bp of equity a year per unit of weight.

    Parameters
    ----------
    slopes : Slopes, optional
        At the optimum, where they are at hand.
    """
    slopes = slopes or at_optimum(inputs, solution)
    terms = terms_of(inputs, solution, slopes)
    year = BASIS_POINTS * DAYS_A_YEAR / inputs.horizon_days
    labels = {key: relaxation_in_force(key, inputs).name for key in terms.limits}
    distance = _distances(inputs, solution, slopes)
    traded = np.abs(solution.exact - inputs.before) > TRADED_MIN
    shown = {name: (year * getattr(terms, name)).tolist() for name in (*TERMS, "bounds")}
    by_limit = [(labels[key], (year * values).tolist()) for key, values in terms.limits.items()]
    rows = []
    for at, name in enumerate(inputs.ids):
        parts: dict[str, float] = {}
        for label, values in by_limit:
            if values[at] != 0.0:
                parts[label] = parts.get(label, 0.0) + values[at]
        if shown["bounds"][at] != 0.0:
            upper = shown["bounds"][at] < 0.0
            parts[bound_name(inputs, at, upper=upper)] = shown["bounds"][at]
        own = {term: shown[term][at] for term in TERMS}
        limits = sum(parts.values())
        rows.append(
            LedgerRow(
                id=name,
                **own,
                limits=limits,
                residual=sum(own.values()) + limits,
                traded=bool(traded[at]),
                distance=0.0 if traded[at] else year * float(distance[at]),
                by_limit=parts,
            )
        )
    return tuple(rows)


def _bound_price(solution: Solution) -> FloatArray:
    return solution.bound_price if len(solution.bound_price) else np.zeros_like(solution.exact)


def _distances(inputs: ProgramInputs, solution: Solution, slopes: Slopes) -> FloatArray:
    """Return by how much each gain would have to grow to leave its kink, (N,), at least 0.

    Of the two directions the nearer one that bounds leave open; 0 where they leave none.
    """
    weights = solution.exact
    conditions, costs = conditions_at(inputs, solution, slopes)
    left, right = conditions.features.slopes(weights)
    used = (costs * slopes.features).sum(axis=0)
    up = np.where(weights >= conditions.upper, np.inf, (costs * right).sum(axis=0) - used)
    down = np.where(weights <= conditions.lower, np.inf, used - (costs * left).sum(axis=0))
    nearer = np.minimum(up, down)
    return np.where(np.isfinite(nearer), np.maximum(nearer, 0.0), 0.0)


def conditions_at(
    inputs: ProgramInputs, solution: Solution, slopes: Slopes
) -> tuple[Conditions, FloatArray]:
    """Return the optimality conditions, and what a unit of each feature costs there, (F, N)."""
    conditions, weights = Conditions(inputs), solution.exact
    summed = {key: price for key, price in priced(solution.prices).items() if key[0] not in APART}
    active = Active(weights, np.zeros(len(weights), dtype=bool), slopes.features, summed)
    conditions.rows(active)
    return conditions, conditions.costs(active)
