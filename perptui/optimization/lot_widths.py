"""Why an optimum that would trade ends in no book: its lots, and what they would fit into.

A limit of no width, as net_min = net_max = 0, is kept by weights and by almost no whole lots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from perptui.optimization.explain.relaxation import relaxation_in_force
from perptui.optimization.explain.wording import figure, listed
from perptui.optimization.fitting import fitted, short_of, trades, widened
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.lots import Lots
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution
from perptui.optimization.search import Search, run
from perptui.risk.arrays import limit_excess

WIDER = 2.0
"""Factor of the width from one try to the next."""
TRIES = 4
NO_GAIN = "no trade gains more than it costs within the limits"


def why_no_trade(inputs: ProgramInputs, solved: ProgramInputs, solution: Solution) -> str:
    """Return in words why nothing is traded at an optimum.

    Parameters
    ----------
    inputs, solved : ProgramInputs
        As posed, and as solved: without trades that are too small.
    """
    if trades(solution.weights, inputs):
        return run(too_coarse(solved, solution))
    if solved.left_out:
        lots = Lots.of(inputs)
        usd = float(inputs.equity)
        largest = max(solved.left_out, key=lambda name: abs(solved.left_out[name]))
        least = float(lots.least[inputs.ids.index(largest)]) * usd
        return (
            "every trade that would gain is too small to be made: the largest, of "
            f"{abs(solved.left_out[largest]) * usd:,.0f} USD in {largest}, is below the smallest "
            f"of {least:,.0f} USD"
        )
    return NO_GAIN


def too_coarse(inputs: ProgramInputs, solution: Solution) -> Search[str]:
    """Return which limits no book in lots near the optimum keeps, and the width that would do.

    It is a search that pauses between the widths that it tries.

    Parameters
    ----------
    inputs : ProgramInputs
        Whose optimum `solution` is.
    """
    gain = float(inputs.objective(solution.exact) - inputs.objective(inputs.before))
    usd = gain * float(inputs.equity) / inputs.horizon_days
    # What is fixed may well cost more than it gains: it was asked for.
    gains = "" if inputs.edited else f", which gains {usd:,.2f} USD a day"
    worth = f"lots are too coarse for the optimum{gains}"
    book = short_of(solution.weights, 1.0, inputs)
    excess = limit_excess(book[None, :], inputs.before, inputs.limits)
    over = {
        name: float(part[0].max())
        for name, part in excess.items()
        if part.size and part[0].max() > 0.0 and name not in inputs.soft_prices
    }
    if not over:
        return f"{worth}: no trade in whole lots gains more than it costs"
    for doubled in range(TRIES):
        yield
        wide = {name: room * WIDER**doubled for name, room in over.items()}
        if _trades_with(wide, inputs, book):
            return f"{worth}: {_words(wide, excess, inputs)}"
    return f"{worth}: no book in whole lots near it keeps {listed(sorted(over))}"


def _trades_with(wide: Mapping[str, float], inputs: ProgramInputs, book: FloatArray) -> bool:
    """Return whether lots trade with that much more room, and keep every limit."""
    limits = inputs.limits
    for name, room in wide.items():
        limits = widened(limits, name, room, book)
    more = replace(inputs, limits=limits)
    solution = optimum(more)
    if solution.status != "optimal":
        return False
    found = fitted(solution, more)
    return found.excess <= 0.0 and bool(found.steps.any())


def _words(
    wide: Mapping[str, float], excess: Mapping[str, FloatArray], inputs: ProgramInputs
) -> str:
    kept, enough = [], []
    for name, room in wide.items():
        key = name, int(np.argmax(excess[name][0]))
        way = relaxation_in_force(key, inputs)
        rate = way.give.get(key, 0.0)
        label = way.setting or way.name
        kept.append(f"{label} {figure(way.setting, way.limit)}")
        if rate > 0.0:
            value = way.value_after(room / rate)
            enough.append(f"{label} {figure(way.setting, value, outward_from=way.limit)}")
    cure = f"; {listed(enough)} would do" if len(enough) == len(kept) else ""
    return f"no book in whole lots near it keeps {listed(kept)}{cure}"
