"""A failure says what failed, under which limits, and what may help."""

import msgspec
import numpy as np

from perptui.optimization.compose import compose
from perptui.optimization.program.solution import Solution
from perptui.optimization.rebalanced import Rebalance
from tests.optimization.explain.markets import LOOSE, PLAIN, market


def test_a_failure_names_what_failed_under_which_limits_and_the_cure() -> None:
    told = market(0)
    for limits, tail, named in (
        ({"volatility_max": 0.4}, False, ("volatility_max 0.4",)),
        (
            {"market_correlation_max": 0.3, "cvar_max": 0.05},
            True,
            ("market_correlation_max 0.3", "cvar_max 0.05"),
        ),
    ):
        inputs = told.posed(msgspec.structs.replace(LOOSE, **limits), tail=tail)
        solution = Solution("failed", inputs.before, detail="CLARABEL ended with no progress")
        nothing = np.zeros(len(inputs.contracts), dtype=np.int64)
        answer = Rebalance(solution, inputs.before, nothing, inputs.before)
        found = compose(inputs, answer, told.snapshot, told.estimates, PLAIN, "digest")
        assert (found.status, found.exportable, found.orders) == ("failed", False, ())
        words = found.reasons[0]
        assert words.startswith("expected an optimum under ")
        assert "CLARABEL ended with no progress; nothing is sent: loosen one of them" in words
        assert all(one in words for one in named)
        assert ("cvar_max" in words) == tail
