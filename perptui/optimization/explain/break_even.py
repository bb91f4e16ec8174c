"""How long a trade's carry takes to earn its round trip back, and what waiting is worth (§12)."""

from __future__ import annotations

import math
from decimal import Decimal

from perptui.model.explanation import BreakEven
from perptui.model.forecast import FundingForecast
from perptui.model.money import decimal_of, to_cents
from perptui.optimization.costs import trade_costs
from perptui.optimization.inputs import FloatArray, ProgramInputs

HOURS_A_DAY = 24.0
ROUND_TRIP = 2.0
"""A trade is paid for when it is made and again when it is undone."""
NEXT = "next"


def break_evens(inputs: ProgramInputs, weights: FloatArray) -> tuple[BreakEven, ...]:
    """Return the break-even of each contract that a book trades, in the order of the contracts.

    Parameters
    ----------
    weights : (N,) array
        The book after the trade.
    """
    trade = weights - inputs.before
    costs = ROUND_TRIP * trade_costs(trade, inputs.linear_cost, inputs.impact)
    hours = inputs.horizon_days * HOURS_A_DAY
    found = []
    for at, contract in enumerate(inputs.contracts):
        if trade[at] == 0.0 or contract.forecast is None:
            continue
        funding, change, cost = contract.forecast.funding, float(trade[at]), float(costs[at])
        found.append(
            BreakEven(
                id=contract.id,
                hours=hours_to_earn(cost, -change * funding.horizon_mean / hours),
                probability=chance_to_earn(cost, change, funding),
                wait_usd=_wait(change * float(inputs.equity), funding),
            )
        )
    return tuple(found)


def hours_to_earn(cost: float, carry_an_hour: float) -> float | None:
    """Return cost over the change of carry an hour; None where the trade earns no carry.

    Both in the same unit: 12 bp against 3 bp every 8 hours take 32 hours.
    """
    return cost / carry_an_hour if carry_an_hour > 0.0 else None


def chance_to_earn(cost: float, trade: float, funding: FundingForecast) -> float:
    """Return the probability that funding has earned `cost` back by the horizon's end.

    The sum F of the horizon's settlements is taken as normal with the forecast's mean and
    deviation (it is a sum of AR(1) terms, method §1.2); the trade's carry is -trade·F.

    Parameters
    ----------
    cost, trade : float
        Fractions of equity; `trade` signed.
    """
    mean, deviation = -trade * funding.horizon_mean, abs(trade) * funding.horizon_sd
    if deviation <= 0.0:
        return 1.0 if mean >= cost else 0.0
    return 0.5 * math.erfc((cost - mean) / (deviation * math.sqrt(2.0)))


def _wait(trade_usd: float, funding: FundingForecast) -> Decimal | None:
    """Return what trading after the next stamp instead of now is worth, USD; positive: wait.

    What the change of the position pays at that stamp; how prices drift until then is left out.
    """
    rate = next((term.mean for term in funding.term if term.span == NEXT), None)
    return None if rate is None else to_cents(decimal_of(trade_usd * rate, "next funding"))
