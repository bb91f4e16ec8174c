"""Kept workspaces: no history in any answer, and PIQP's traps walled off."""

from dataclasses import replace
from typing import Any

import numpy as np
import piqp
import pytest
import scipy.sparse as sp

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.answer import Attempt, Numbers
from perptui.optimization.program.compiled import compiled
from perptui.optimization.program.convex import QUADRATIC, solve_roughly
from perptui.optimization.program.data import optimum_numbers
from perptui.optimization.program.layout import layout
from perptui.optimization.program.piqp_workspace import PiqpWorkspace
from perptui.optimization.program.redundancy import could_bind
from perptui.optimization.program.structure import Structure
from perptui.optimization.program.workspaces import PIQP, workspace
from perptui.risk.arrays import limit_excess
from tests.optimization.program.random_programs import Shape, random_program, tightened

PLAIN, CURVED = Shape(6), Shape(5, 1, ("impact", "robust"))


def programs(shape: Shape) -> list[ProgramInputs]:
    """Return programs of one structure with other numbers, limits binding and not."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        names = ["gross", "net_max", "margin_ratio"] if seed % 2 else ["turnover"]
        found.append(tightened(random_program(shape, seed), names, rng))
    return found


@pytest.mark.parametrize("shape", [PLAIN, CURVED])
def test_the_same_inputs_give_the_same_bytes_in_any_order(shape: Shape) -> None:
    asked = programs(shape)
    workspace.cache_clear()
    alone = []
    for inputs in asked:
        workspace.cache_clear()
        alone.append(solve_roughly(inputs))
    assert {one.solver for one in alone} == {"CLARABEL" if shape.features else "PIQP"}
    rng = np.random.default_rng(1)
    for _ in range(4):
        for place in rng.permutation(len(asked)):
            again = solve_roughly(asked[place])
            assert again.exact.tobytes() == alone[place].exact.tobytes()
            for name, price in alone[place].prices.items():
                assert again.prices[name].tobytes() == price.tobytes()


def test_a_failed_solve_leaves_nothing_behind() -> None:
    inputs, other = programs(PLAIN)[:2]
    workspace.cache_clear()
    alone = solve_roughly(inputs)
    out_of_reach = (Attempt(PIQP, 1e4, 1e-40),)
    assert solve_roughly(other, out_of_reach).status == "failed"
    assert solve_roughly(inputs).exact.tobytes() == alone.exact.tobytes()


def posed(inputs: ProgramInputs) -> tuple[PiqpWorkspace, Numbers]:
    structure = Structure.of(inputs, volatility=False)
    kept = could_bind(inputs, structure)
    numbers = optimum_numbers(compiled(structure), inputs, 1e4).numbers
    return PiqpWorkspace(layout(structure, kept)), numbers


def test_piqp_itself_drops_a_row_for_good_once_its_bound_was_infinite() -> None:
    """The trap, as it is: what the next test keeps away from."""
    one = sp.csc_matrix(np.eye(1))
    solver = piqp.SparseSolver()
    solver.setup(one, np.array([-2.0]), None, None, one, None, np.array([np.inf]), None, None)
    solver.solve()
    solver.update(h_u=np.array([0.5]))
    assert solver.solve() == piqp.PIQP_SOLVED
    assert solver.result.x[0] == pytest.approx(2.0), "beyond the bound of .5"


@pytest.mark.parametrize("name", ["gross_max", "net_max", "turnover_max"])
def test_an_infinite_limit_never_reaches_a_workspace(name: str) -> None:
    inputs = programs(PLAIN)[1]
    before = solve_roughly(inputs)
    infinite: dict[str, Any] = {name: np.inf}
    broken = replace(inputs, limits=replace(inputs.limits, **infinite))
    with pytest.raises(OptimizationError, match="finite"):
        solve_roughly(broken)
    after = solve_roughly(inputs)
    assert after.exact.tobytes() == before.exact.tobytes()
    excess = limit_excess(after.weights[None, :], inputs.before, inputs.limits)
    assert max(float(part.max(initial=-1.0)) for part in excess.values()) <= 1e-6


def test_an_infinite_number_never_reaches_piqp() -> None:
    space, numbers = posed(programs(PLAIN)[0])
    bounds = numbers.bounds.copy()
    bounds[0] = np.inf
    with pytest.raises(OptimizationError, match="finite"):
        space.solve(replace(numbers, bounds=bounds), QUADRATIC[0])


def test_a_pattern_is_fixed_by_the_layout_whatever_is_zero() -> None:
    """A covariance without correlation fills the same places: no update of another pattern."""
    inputs = programs(PLAIN)[0]
    before = solve_roughly(inputs)
    diagonal = np.diag(np.diag(inputs.covariance))
    alone = replace(inputs, covariance=diagonal)
    structure = Structure.of(alone, volatility=False)
    program = compiled(structure)
    placed = layout(structure, could_bind(alone, structure))
    full = placed.quadratic.fill(optimum_numbers(program, inputs, 1.0).numbers.quadratic)
    bare = placed.quadratic.fill(optimum_numbers(program, alone, 1.0).numbers.quadratic)
    assert full.indices.tolist() == bare.indices.tolist()
    assert full.indptr.tolist() == bare.indptr.tolist()
    assert solve_roughly(alone).status == "optimal"
    assert solve_roughly(inputs).exact.tobytes() == before.exact.tobytes()


def test_answers_are_copies_not_views() -> None:
    one, other = programs(PLAIN)[:2]
    space, numbers = posed(one)
    first = space.solve(numbers, QUADRATIC[0])
    kept = first.found.copy(), first.duals.copy()
    space.solve(posed(other)[1], QUADRATIC[0])
    assert first.found.tolist() == kept[0].tolist()
    assert first.duals.tolist() == kept[1].tolist()


def test_a_layout_with_cones_is_not_for_piqp() -> None:
    inputs = programs(CURVED)[0]
    structure = Structure.of(inputs)
    with pytest.raises(OptimizationError, match="without cones"):
        PiqpWorkspace(layout(structure, could_bind(inputs, structure)))
