"""Limits that are left out of a solve are those that no allowed book reaches."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.program.compiled import compiled
from perptui.optimization.program.convex import QUADRATIC
from perptui.optimization.program.data import optimum_numbers
from perptui.optimization.program.layout import layout
from perptui.optimization.program.piqp_workspace import PiqpWorkspace
from perptui.optimization.program.redundancy import could_bind
from perptui.optimization.program.structure import Structure
from perptui.risk.arrays import limit_excess
from tests.optimization.program.random_programs import Shape, random_program

SHAPE = Shape(3, 2)


@pytest.mark.parametrize("seed", range(4))
def test_leaving_them_out_changes_no_weight(seed: int) -> None:
    inputs = random_program(SHAPE, seed)
    inputs = replace(inputs, limits=replace(inputs.limits, gross_max=0.6, coin_net_max=0.2))
    structure = Structure.of(inputs, volatility=False)
    program = compiled(structure)
    kept, every = could_bind(inputs, structure), frozenset(map(str, program.row_group))
    assert kept < every
    numbers = optimum_numbers(program, inputs, QUADRATIC[0].scale).numbers
    some, all_of_them = (
        PiqpWorkspace(layout(structure, groups)).solve(numbers, QUADRATIC[0])
        for groups in (kept, every)
    )
    places = program.columns["w"]
    assert some.status == all_of_them.status == "optimal"
    assert some.found[places] == pytest.approx(all_of_them.found[places], abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_no_allowed_book_breaks_one_that_is_left_out(seed: int) -> None:
    """200 random books within the bounds and the gross limit."""
    rng = np.random.default_rng(seed)
    inputs = random_program(SHAPE, seed)
    gross = float(rng.uniform(0.2, 6.0))
    limits = replace(
        inputs.limits,
        gross_max=gross,
        net_min=-float(rng.uniform(0.1, 6.0)),
        coin_net_max=float(rng.uniform(0.1, 6.0)),
        turnover_max=float(rng.uniform(0.1, 6.0)),
        margin_ratio_max=float(rng.uniform(0.01, 0.3)),
        size_max=np.full(len(inputs.before), float(rng.uniform(0.1, 6.0))),
        depeg=0.0,
    )
    inputs = replace(inputs, limits=limits)
    kept = could_bind(inputs, Structure.of(inputs))
    books = rng.normal(size=(200, len(inputs.before)))
    books *= gross / np.abs(books).sum(axis=1, keepdims=True)
    books = np.vstack([books, gross * np.eye(books.shape[1]), -gross * np.eye(books.shape[1])])
    stated = limit_excess(books, inputs.before, limits)
    for name, part in stated.items():
        if name not in kept and name not in limits.row_names and part.size:
            assert part.max() <= 0.0, name
    assert {"gross", "trade"} <= kept
