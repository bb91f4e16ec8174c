"""I7: the real optimiser's rounded targets keep every hard limit, in Decimal, with no tolerance."""

from __future__ import annotations

import sys
import time

from perptui.optimization.checks import checks_of, exact_book
from perptui.optimization.orders import positions_after
from perptui.optimization.rebalance import rebalance
from tests.campaign.coverage import TierResult
from tests.campaign.shell import main, replay
from tests.optimization.random_markets import Market, inputs_of

NAME = "targets"


def run(count: int, seed: int) -> TierResult:
    """Rebalance `count` random books of three accounts, hedges, inverse legs and tails."""
    began, violations = time.perf_counter(), []
    for number in range(seed, seed + count):
        found = violated(number)
        broken = f"I7: market {number} breaks {', '.join(found)}; {replay(NAME, number)}"
        violations += [broken] if found else []
    return TierResult("targets", count, count, violations, time.perf_counter() - began)


def violated(seed: int) -> list[str]:
    """Return the limits and lots that the rounded book of a random market breaks."""
    inputs = inputs_of(Market(seed, 300_000))
    answer = rebalance(inputs)
    if answer.solution.status != "optimal":
        return ["nothing: orders without an optimum"] if answer.steps.any() else []
    after = positions_after(inputs, answer.steps)
    found = [one.name for one in checks_of(inputs, exact_book(inputs, after)) if not one.ok]
    lots = zip(after, inputs.contracts, strict=True)
    found += [one.instrument.id for held, one in lots if held % one.instrument.step]
    return found


if __name__ == "__main__":
    sys.exit(main(NAME, 40, lambda count, seed, _: run(count, seed)))
