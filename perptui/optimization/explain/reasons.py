"""Why each contract is traded: the largest driver of its trade, in one word.

The ledger of method §12 along the trade: its terms with secants for slopes, times the trade, fall
apart into legs. What a term gains from a leg's trade is what drives that trade when positive, and
what holds it back when negative. At w_before = w it is the marginal ledger, whose terms cancel;
along the trade they add up to what the whole trade gains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perptui.optimization.explain.ledger import terms_of
from perptui.optimization.explain.slopes import along_trade
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solution import Solution
from perptui.optimization.rebalanced import Rebalance

DRIVERS = (
    "drift", "carry", "risk", "uncertainty", "margin", "gross", "net", "coin limit",
    "venue limit", "cluster", "beta", "tail", "correlation", "collateral", "hedge budget",
)  # fmt: skip
BRAKES = ("turnover", "participation")
"""They oppose every trade: named, after what drives it, only where one stops a trade short."""
WORDS = {
    "volatility": "risk",
    "standalone_risk": "risk",
    "first_component": "risk",
    "gross": "gross",
    "net_min": "net",
    "net_max": "net",
    "coin_net": "coin limit",
    "coin_gross": "coin limit",
    "venue_gross": "venue limit",
    "cluster": "cluster",
    "margin_ratio": "margin",
    "stress": "margin",
    "beta": "beta",
    "cvar": "tail",
    "market_correlation": "correlation",
    "free_collateral": "collateral",
    "stablecoin": "collateral",
    "put_premium": "hedge budget",
    "turnover": "turnover",
    "participation": "participation",
}
"""Word of each limit, by its name without what follows: an account's, a side's, a scenario's."""
GAIN_MIN = 1e-9
"""Gain, fraction of equity, below which a term says nothing: the solver's rounding."""
STOPPED = 0.5
"""Share of a leg's drive that a brake must take up for it to have stopped the trade short."""


def reasons_of(inputs: ProgramInputs, answer: Rebalance) -> tuple[str, ...]:
    """Return the reason of each trade; empty where nothing is traded.

    "edited" where the trader fixed the target; "lots" where the optimum trades the other way or
    not at all and only rounding moved the contract; else the name of the term that gains most, and
    after it a brake's where that stops the trade short: "risk, turnover"; "limits" where the
    trade only mends what broken limits left no price for.
    """
    if not answer.steps.any():
        return ("",) * len(inputs.contracts)
    drivers = _drivers(gains_of(answer.solved or inputs, answer.solution))
    wanted = np.sign(np.round(answer.target - inputs.before, 9))
    words = []
    for index, contract in enumerate(inputs.contracts):
        if answer.steps[index] == 0:
            words.append("")
        elif contract.id in inputs.edited:
            words.append("edited")
        elif np.sign(answer.steps[index]) != wanted[index]:
            words.append("lots")
        elif not answer.solution.prices:
            words.append("limits")
        else:
            words.append(drivers[index])
    return tuple(words)


def _drivers(gains: Mapping[str, FloatArray]) -> list[str]:
    """Return what drives each leg's trade and what stops it short, from gains by word, (N,)."""
    pulls, holds = (np.array([gains[name] for name in names]) for names in (DRIVERS, BRAKES))
    drive, most = np.maximum(pulls, 0.0).sum(axis=0), -holds.min(axis=0)
    words = []
    for at, (first, brake) in enumerate(
        zip(pulls.argmax(axis=0), holds.argmin(axis=0), strict=True)
    ):
        if drive[at] <= GAIN_MIN:
            words.append("limits")
        elif most[at] > STOPPED * drive[at]:
            words.append(f"{DRIVERS[first]}, {BRAKES[brake]}")
        else:
            words.append(DRIVERS[first])
    return words


def gains_of(inputs: ProgramInputs, solution: Solution) -> dict[str, FloatArray]:
    """Return what each term gains from each leg's trade to a solution, (N,), fraction of equity.

    Returns
    -------
    dict of str to (N,) array
        By word: `DRIVERS`, "cost" and `BRAKES`. Their sum over terms and legs is the gain of the
        objective and the relief of each limit at its price.
    """
    trade = solution.exact - inputs.before
    terms = terms_of(inputs, solution, along_trade(inputs, solution))
    gains = {word: np.zeros_like(trade) for word in (*DRIVERS, "cost", *BRAKES)}
    gains["drift"] = trade * terms.alpha
    gains["carry"] = trade * terms.carry
    gains["risk"] = trade * terms.risk
    gains["uncertainty"] = trade * terms.uncertainty
    gains["cost"] = trade * terms.cost
    for (name, _), slope in terms.limits.items():
        gains[word_of(name)] += trade * slope
    return gains


def word_of(name: str) -> str:
    """Return the word of a limit, by its name in `limit_excess`."""
    plain = "stress" if name.startswith("stress_") else name
    for side in ("_up", "_down"):
        plain = plain.removesuffix(side)
    return WORDS[plain]
