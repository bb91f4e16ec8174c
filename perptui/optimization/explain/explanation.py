"""All that stands behind one proposal, in one record."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.explanation import Explanation
from perptui.model.limit import LimitCheck
from perptui.optimization.explain.break_even import break_evens
from perptui.optimization.explain.drift import drift_of, usd_a_day
from perptui.optimization.explain.ledger import ledger_of
from perptui.optimization.explain.prices import limit_prices
from perptui.optimization.explain.slopes import at_optimum
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.rebalanced import Rebalance


def explanation_of(
    inputs: ProgramInputs,
    answer: Rebalance,
    optimum: Sequence[LimitCheck],
) -> Explanation:
    """Return ledger, prices, break-evens and drift of an optimum; empty where there is none.

    Parameters
    ----------
    optimum : sequence of LimitCheck
        Of its book before rounding.
    """
    solution = answer.solution
    if solution.status != "optimal" or not solution.prices:
        return Explanation()
    slopes = at_optimum(inputs, solution)
    return Explanation(
        ledger=ledger_of(inputs, solution, slopes),
        limits=limit_prices(inputs, solution, optimum, slopes),
        break_even=break_evens(inputs, answer.rounded),
        drift=drift_of(inputs, solution.exact),
        objective_usd_per_day=usd_a_day(inputs, float(inputs.objective(solution.exact))),
    )
