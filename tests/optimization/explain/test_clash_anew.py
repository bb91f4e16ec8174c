"""A conflict is named though the solver leaves questions unanswered that others depend on."""

from collections.abc import Set

import pytest

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.clash import Needs, minimal_conflict
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.found import Found
from perptui.optimization.explain.limit_rows import Key
from perptui.optimization.search import Search, run
from tests.optimization.three_coins import BTC, posed


class Tired(Feasibility):
    """Limits that give no answer where some of them are left out, as a solver may not."""

    def conflict(self, kept: Set[Key], give: Set[Key] | None = None) -> Search[Found]:
        """Raise but of all limits, or of the conflict itself."""
        if 2 < len(kept) < len(self.keys) or len(kept) < 2:
            raise OptimizationError("expected an answer, was none; ask anew")
        return (yield from super().conflict(kept, give))


@pytest.mark.parametrize("limits", [{"turnover_max": 0.3}, {"turnover_max": 0.2}])
def test_a_question_without_an_answer_is_asked_anew(limits: dict[str, float]) -> None:
    inputs = posed({BTC: "2.5"}, limits=limits)
    plain = run(minimal_conflict(Feasibility(inputs)))
    assert len(plain) == 2
    assert run(minimal_conflict(Tired(inputs))) == plain


class Lost(Feasibility):
    """Limits of which no least value is found."""

    def widened(self, *args: object) -> Search[Found]:
        """Raise."""
        yield
        raise OptimizationError("expected an answer, was none; widen")


def test_a_least_value_that_is_not_found_leaves_the_conflict_named() -> None:
    inputs = posed({BTC: "2.5"}, limits={"turnover_max": 0.3})
    lost = Lost(inputs)
    needs = Needs(lost)
    assert run(minimal_conflict(lost, proof=needs)) == run(minimal_conflict(Feasibility(inputs)))
    assert needs.unsure == {"turnover_max", "coin_net_max"}
    assert set(needs.values.values()) == {None}
