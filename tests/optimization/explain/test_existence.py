"""A program has a book where one is found that keeps every limit; the optimum says the same."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.explain.clash import clashes
from perptui.optimization.explain.existence import Existence, keeps
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.limit_rows import Layout
from perptui.optimization.explain.tail_bounds import TailRows
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.judge import Judge
from perptui.optimization.program.solve import solve
from perptui.optimization.rebalance import rebalance
from perptui.optimization.search import run
from perptui.risk.arrays import book_shortfall
from tests.optimization.explain.markets import market
from tests.optimization.explain.random_books import RandomBook
from tests.optimization.explain.test_tail_bounds import grouped
from tests.optimization.three_coins import BTC, ETH, posed


def test_a_book_within_bounds_and_limits_is_one_and_no_other_is() -> None:
    inputs = posed(limits={"gross_max": 0.9, "net_min": 0.5})
    good = np.array([0.5, 0.2, 0.0])
    assert keeps(good, inputs)
    assert keeps(good + 1e-10, inputs)
    assert not keeps(np.array([0.2, 0.2, 0.0]), inputs)
    assert not keeps(np.array([0.6, 0.4, 0.0]), inputs)
    assert not keeps(good, replace(inputs, upper=np.array([0.4, 1.0, 1.0])))
    assert not keeps(good[:2], inputs)


@pytest.mark.parametrize("gross_max", [0.69, 0.699, 0.701, 0.71, 1.2])
def test_a_book_is_found_wherever_there_is_an_optimum(gross_max: float) -> None:
    """Fixed at .5 and -.2 two coins take a gross of .7."""

    def pose(assignment: str) -> ProgramInputs:
        value = float(assignment.removeprefix("gross_max="))
        return posed({}, {BTC: 0.5, ETH: -0.2}, limits={"gross_max": value})

    limits = Feasibility(pose("gross_max=0.3"))
    found = run(Existence("gross_max", limits, pose, np.zeros(3)).at(gross_max))
    assert found == (gross_max > 0.7)
    assert found == (solve(pose(f"gross_max={gross_max}")).status == "optimal")


@pytest.mark.parametrize("looks", [1, 5])
def test_what_is_known_of_cvar_holds_under_another_cap(looks: int) -> None:
    limits = market(4, paths=2000).posed(tail=True).limits
    layout = Layout(limits)
    tail, generator = TailRows(limits, layout), np.random.default_rng(4)
    seen = generator.normal(size=(looks, layout.contracts)) * 0.1
    for book in seen:
        tail.look(book, limits.scenarios @ book + limits.scenario_offset)
    wider = replace(limits, cvar_max=2.0 * limits.cvar_max)
    other = tail.under(wider, layout)
    whole = float(book_shortfall(seen[:1], wider)[0]) - wider.cvar_max
    if looks == 1:
        cut = other.rows[0]
        at_book = float(cut.matrix.values @ seen[0][cut.matrix.columns]) - float(cut.bound[0])
        assert at_book == pytest.approx(whole, abs=1e-12)
    else:
        assert grouped(other.rows, seen[0], layout.columns) == pytest.approx(whole, abs=1e-12)
    assert tail.under(limits, layout) is tail
    shifted = replace(limits, scenarios=limits.scenarios + 1e-3)
    assert not tail.under(shifted, layout).rows


def test_lots_want_room_that_a_book_at_the_edge_has_not() -> None:
    """Fixed trades apart, a net of .5 under a gross of .5 leaves no lot to move."""

    def pose(assignment: str) -> ProgramInputs:
        value = float(assignment.removeprefix("gross_max="))
        return posed({}, limits={"gross_max": value, "net_min": 0.5})

    exists = Existence("gross_max", Feasibility(pose("gross_max=0.4")), pose, np.zeros(3))
    assert run(exists.at(0.5000001))
    assert not run(exists.in_lots(0.5000001))
    assert run(exists.in_lots(0.51))
    answer = rebalance(pose("gross_max=0.51"))
    assert (answer.solution.status, answer.solution.detail) == ("optimal", "")


@pytest.mark.parametrize("seed", [3, 18, 21])
def test_each_way_out_taken_as_it_is_said_gives_a_book_in_lots(seed: int) -> None:
    """Where targets are fixed between two lots (18, 21) other contracts make up for it."""
    book = RandomBook(seed, 4)

    def pose(assignment: str) -> ProgramInputs:
        setting, _, value = assignment.partition("=")
        return book.posed(setting, float(value))

    found = clashes(book.posed(), pose)
    ways = [one for one in found if one.relaxed is not None and one.setting]
    assert ways
    for one in ways:
        assert one.relaxed == one.needed
        taken = pose(f"{one.setting}={one.relaxed:.12g}")
        answer = rebalance(taken)
        assert (answer.solution.status, answer.solution.detail) == ("optimal", "")
        assert Judge(taken, answer.rounded).excess(answer.rounded) <= 0.0
