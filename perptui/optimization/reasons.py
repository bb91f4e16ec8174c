"""Why each contract is traded: the largest reason, in one word (the full ledger is method §12)."""

from __future__ import annotations

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import limit_excess

POSITION_LIMITS = {
    "gross": "gross",
    "net_min": "net",
    "net_max": "net",
    "coin_net": "coin limit",
    "coin_gross": "coin limit",
    "venue_gross": "venue limit",
    "margin_ratio": "margin",
    "stress_up": "margin",
    "stress_down": "margin",
    "volatility": "risk",
    "cluster": "cluster",
}


def reasons_of(inputs: ProgramInputs, weights: FloatArray) -> tuple[str, ...]:
    """Return the reason of each trade to `weights`; empty where nothing is traded.

    "edited" where the trader fixed the target; a limit's name where the book broke it and the
    trade reduces; else the largest of the marginal gains of drift, carry and risk along the trade,
    taken half-way; "limits" where none of them gains and the trade only makes room for others.
    """
    trade = weights - inputs.before
    broken = _broken(inputs)
    gains = _gains(inputs, inputs.before + 0.5 * trade, np.sign(trade))
    words = []
    for index, contract in enumerate(inputs.contracts):
        reducing = abs(weights[index]) < abs(inputs.before[index])
        name, gain = max(
            ((name, float(values[index])) for name, values in gains.items()),
            key=lambda item: item[1],
        )
        if trade[index] == 0:
            words.append("")
        elif contract.id in inputs.edited:
            words.append("edited")
        elif reducing and broken:
            words.append(broken)
        else:
            words.append(name if gain > 0 else "limits")
    return tuple(words)


def _gains(
    inputs: ProgramInputs, halfway: FloatArray, direction: FloatArray
) -> dict[str, FloatArray]:
    """Return d objective/dw along each trade, by term."""
    funding = np.array(
        [one.forecast.funding.horizon_mean if one.forecast else 0.0 for one in inputs.contracts]
    )
    drift = inputs.expected_return + funding
    return {
        "drift": direction * drift,
        "carry": direction * -funding,
        "risk": direction * -inputs.risk_aversion * (inputs.covariance @ halfway),
    }


def _broken(inputs: ProgramInputs) -> str:
    """Return the word for the limit that today's book breaks most, or nothing."""
    excess = limit_excess(inputs.before[None, :], inputs.before, inputs.limits)
    worst, word = 0.0, ""
    for name, said in POSITION_LIMITS.items():
        amount = float(excess[name].max(initial=0.0))
        if amount > worst:
            worst, word = amount, said
    return word
