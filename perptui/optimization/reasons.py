"""Why each contract is traded: the largest driver of its trade, in one word.

The ledger of method §12 along the trade. With prices lambda_j of the limits g_j the optimum is that
of L(w) = objective(w) - sum_j lambda_j g_j(w), and every term of L falls apart into legs; what a
term gains from a leg's trade is what drives that trade when positive, and what holds it back when
negative. At w_before = w it is the marginal ledger, whose terms cancel; along the trade they add up
to what the whole trade gains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perptui.optimization.costs import trade_costs
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.rebalance import Rebalance
from perptui.risk.arrays import maintenance

Prices = Mapping[str, FloatArray]

DRIVERS = (
    "drift", "carry", "risk", "uncertainty", "margin",
    "gross", "net", "coin limit", "venue limit", "cluster",
)  # fmt: skip
BRAKES = ("turnover", "participation")
"""They oppose every trade: named only where one of them stops a trade short."""
GAIN_MIN = 1e-9
"""Gain, fraction of equity, below which a term says nothing: the solver's rounding."""
STOPPED = 0.5
"""Share of a leg's drive that a brake must take up for it to have stopped the trade short."""


def reasons_of(inputs: ProgramInputs, answer: Rebalance) -> tuple[str, ...]:
    """Return the reason of each trade; empty where nothing is traded.

    "edited" where the trader fixed the target; "lots" where the optimum trades the other way or
    not at all and only rounding moved the contract; a brake's name where it stops the trade short;
    else the name of the term that gains most; "limits" where the trade only mends what broken
    limits left no price for.
    """
    terms = ledger(inputs, answer.target, answer.solution.prices)
    wanted = np.sign(np.round(answer.target - inputs.before, 9))
    words = []
    for index, contract in enumerate(inputs.contracts):
        if answer.steps[index] == 0:
            words.append("")
        elif contract.id in inputs.edited:
            words.append("edited")
        elif np.sign(answer.steps[index]) != wanted[index]:
            words.append("lots")
        else:
            words.append(_driver({name: float(gains[index]) for name, gains in terms.items()}))
    return tuple(words)


def _driver(gains: Mapping[str, float]) -> str:
    drive = sum(max(gains[name], 0.0) for name in DRIVERS)
    if drive <= GAIN_MIN:
        return "limits"
    brake = min(BRAKES, key=lambda name: gains[name])
    if -gains[brake] > STOPPED * drive:
        return brake
    return max(DRIVERS, key=lambda name: gains[name])


def ledger(inputs: ProgramInputs, weights: FloatArray, prices: Prices) -> dict[str, FloatArray]:
    """Return what each term gains from each leg's trade to `weights`, (N,), fraction of equity.

    Parameters
    ----------
    weights : (N,) array
        The program's optimum; the trade is from `inputs.before`.
    prices : mapping of str to (k,) array
        The price of each limit, as `Solution.prices`; none: limits without a price.

    Returns
    -------
    dict of str to (N,) array
        By word: `DRIVERS`, "cost" and `BRAKES`. Their sum over terms and legs is the gain of the
        objective and the relief of each limit at its price.
    """
    trade = weights - inputs.before
    grown = np.abs(weights) - np.abs(inputs.before)
    funding = np.array(
        [one.forecast.funding.horizon_mean if one.forecast else 0.0 for one in inputs.contracts]
    )
    priced = _Priced(inputs, prices)
    middle = inputs.covariance @ (0.5 * (inputs.before + weights))
    return {
        "drift": trade * (inputs.expected_return + funding),
        "carry": trade * -funding,
        "risk": -trade * (inputs.risk_aversion * middle + priced.volatility(weights)),
        "uncertainty": -grown * inputs.uncertainty,
        "margin": priced.margin(weights),
        "gross": -grown * priced.of("gross"),
        "net": -trade * (priced.of("net_max") - priced.of("net_min")),
        "coin limit": priced.coin_net(weights)
        - grown * (priced.of("coin_gross") @ inputs.limits.coin),
        "venue limit": -grown * (priced.of("venue_gross") @ inputs.limits.account),
        "cluster": -grown * (priced.of("cluster") @ inputs.limits.cluster),
        "cost": -inputs.cost_aversion * trade_costs(trade, inputs.linear_cost, inputs.impact),
        "turnover": -0.5 * np.abs(trade) * priced.of("turnover"),
        "participation": -np.abs(trade) * priced.of("participation"),
    }


class _Priced:
    """The limits' prices, and the terms of those that are not a plain sum over legs."""

    def __init__(self, inputs: ProgramInputs, prices: Prices) -> None:
        limits = inputs.limits
        accounts = len(limits.account)
        self._inputs, self._prices = inputs, prices
        self._lengths = {
            "coin_net": len(limits.coin),
            "coin_gross": len(limits.coin),
            "cluster": len(limits.cluster),
            **dict.fromkeys(("venue_gross", "margin_ratio", "stress_up", "stress_down"), accounts),
        }

    def of(self, name: str) -> FloatArray:
        """Return the price of one limit, zeros where it has none."""
        found = self._prices.get(name)
        return np.zeros(self._lengths.get(name, 1)) if found is None else found

    def volatility(self, weights: FloatArray) -> FloatArray:
        """Return the risk limit's price times the slope of s between the two books, (N,)."""
        inputs = self._inputs
        both = [float(np.linalg.norm(inputs.limits.root @ w)) for w in (inputs.before, weights)]
        if sum(both) <= 0.0:
            return np.zeros_like(weights)
        slope = inputs.covariance @ (inputs.before + weights) / sum(both)
        return np.asarray(self.of("volatility") * slope)

    def coin_net(self, weights: FloatArray) -> FloatArray:
        """Return what each leg's trade relieves of its coin's net limit, at its price, (N,)."""
        coin, before = self._inputs.limits.coin, self._inputs.before
        then, now = coin @ before, coin @ weights
        moved = np.where(now == then, 1.0, now - then)
        slope = np.where(now == then, np.sign(now), (np.abs(now) - np.abs(then)) / moved)
        return np.asarray(-(weights - before) * ((self.of("coin_net") * slope) @ coin))

    def margin(self, weights: FloatArray) -> FloatArray:
        """Return what each leg's trade relieves of margin, plain and stressed, at its price."""
        limits, before = self._inputs.limits, self._inputs.before
        stressed = (("stress_up", limits.stress_move), ("stress_down", -limits.stress_move))
        relief = -self._maintained(weights, limits.tier_rates) * self._by_leg("margin_ratio")
        for name, move in stressed:
            needed = (1.0 + limits.cushion) * self._maintained(weights, limits.shocked_rates(move))
            relief -= (needed - move * (weights - before)) * self._by_leg(name)
        return np.asarray(relief)

    def _maintained(self, weights: FloatArray, rates: FloatArray) -> FloatArray:
        deductions = self._inputs.limits.tier_deductions
        now = maintenance(weights, rates, deductions)
        return np.asarray(now - maintenance(self._inputs.before, rates, deductions))

    def _by_leg(self, name: str) -> FloatArray:
        return np.asarray(self.of(name) @ self._inputs.limits.account)
