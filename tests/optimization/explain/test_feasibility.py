"""The descent along a cap on correlation ends where the rounds that are left cannot finish it."""

import pytest

from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.inputs import ProgramInputs
from tests.optimization.three_coins import BTC, SOL, posed


def asked(inputs: ProgramInputs) -> tuple[Found, int]:
    """Return the least common excess over all limits, and how many solves it took."""
    limits = Feasibility(inputs)
    search, solves = limits.conflict(frozenset(limits.keys)), 0
    while True:
        try:
            next(search)
        except StopIteration as end:
            found: Found = end.value
            return found, solves
        solves += 1


@pytest.mark.parametrize(("cap", "turnover"), [(0.3, 0.1), (0.3, 0.2), (0.1, 0.1), (0.1, 0.2)])
def test_a_descent_that_its_rounds_cannot_finish_ends_early_and_says_the_same(
    cap: float, turnover: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rounds without end no step is too short, and the descent goes on until it stands."""
    limits = {"market_correlation_max": cap, "turnover_max": turnover}
    inputs = posed({BTC: "1"}, targets={SOL: 0.0}, limits=limits)
    found, solves = asked(inputs)
    monkeypatch.setattr("perptui.optimization.explain.feasibility.ROUNDS", 10**9)
    whole, most = asked(inputs)
    assert found.amount > TOLERANCE
    assert found.amount == pytest.approx(whole.amount, abs=1e-6)
    assert solves < most


def test_a_descent_that_its_rounds_can_finish_is_not_cut_short() -> None:
    limits = {"market_correlation_max": 0.3, "turnover_max": 0.2}
    found, solves = asked(posed({BTC: "1"}, limits=limits))
    assert found.amount <= TOLERANCE
    assert solves > 1
