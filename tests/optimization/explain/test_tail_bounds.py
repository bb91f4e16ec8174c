"""CVaR by groups of scenarios: never above CVaR, and CVaR itself at the books looked at."""

import msgspec
import numpy as np
import pytest

from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.limit_rows import CVAR, DEFINED, TARGET, Layout, Rows
from perptui.optimization.explain.tail_bounds import TailRows
from perptui.optimization.inputs import FloatArray
from perptui.optimization.search import run
from perptui.risk.arrays import book_shortfall
from tests.optimization.explain.markets import LOOSE, market


def grouped(rows: list[Rows], weights: FloatArray, columns: int) -> float:
    """Return the excess over the cap that the rows leave, least over a: at one of its knots."""
    block = rows[0]
    dense = np.zeros((block.matrix.height, int(block.matrix.columns.max()) + 1))
    dense[block.matrix.rows, block.matrix.columns] = block.matrix.values
    lost = [at for at, key in enumerate(block.keys) if key == DEFINED][: (len(block.keys) - 1) // 2]
    losses = dense[lost, : len(weights)] @ weights - block.bound[lost]
    shares = dense[-1, columns + 1 :]
    least = min(float(a + shares @ np.maximum(losses - a, 0.0)) for a in losses)
    return least - float(block.bound[-1])


@pytest.mark.parametrize("seed", [1, 2])
def test_groups_never_exceed_cvar_and_meet_it_at_the_books_seen(seed: int) -> None:
    limits = market(seed, paths=3000).posed(tail=True).limits
    layout = Layout(limits)
    tail, generator = TailRows(limits, layout), np.random.default_rng(seed)
    seen = generator.normal(size=(6, layout.contracts)) * 0.1
    others = generator.normal(size=(20, layout.contracts)) * 0.1
    for book in seen:
        tail.look(book, limits.scenarios @ book + limits.scenario_offset)
    assert all(key in {CVAR, DEFINED} for key in tail.rows[0].keys)
    assert tail.columns < 1000
    for book in (*seen, *others):
        whole = float(book_shortfall(book[None, :], limits)[0]) - limits.cvar_max
        assert grouped(tail.rows, book, layout.columns) <= whole + 1e-12
    for book in seen:
        whole = float(book_shortfall(book[None, :], limits)[0]) - limits.cvar_max
        assert grouped(tail.rows, book, layout.columns) == pytest.approx(whole, abs=1e-12)


def test_the_least_widening_is_the_same_in_any_unit() -> None:
    """A dollar of a million of equity gives a millionth of what a unit of weight gives."""
    first = market(3, paths=3000)
    name = first.posed(tail=True).ids[0]
    tight = msgspec.structs.replace(LOOSE, cvar_max=0.001, gross_max=0.3)
    inputs = first.posed(tight, targets={name: 0.5}, tail=True)
    key = next(one for one in Feasibility(inputs).keys if one[0] == TARGET)
    found = [run(Feasibility(inputs).widened({key: unit}, None)) for unit in (1.0, 1e-6)]
    assert [one.status for one in found] == ["solved", "solved"]
    assert found[0].amount > 0.01
    assert found[1].amount * 1e-6 == pytest.approx(found[0].amount, rel=1e-4)
