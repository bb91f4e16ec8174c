"""The program against a plain second formulation on random problems of every shape."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.risk.arrays import limit_excess
from tests.optimization.program.plain import Kind, Plain
from tests.optimization.program.random_programs import (
    TIGHTENED,
    Shape,
    random_program,
    tightened,
)

pytestmark = pytest.mark.unmeasured

SHAPES = (
    Shape(1),
    Shape(2, 2),
    Shape(5),
    Shape(4, 2),
    Shape(3, 1, ("pinned",)),
    Shape(5, 1, ("impact",)),
    Shape(4, 2, ("impact", "robust", "pinned")),
    Shape(6, 1, ("ellipsoid", "yield")),
    Shape(5, 2, ("robust", "pinned", "inverse")),
    Shape(8, 1, ("factors",)),
    Shape(8, 1, ("factors", "impact", "yield")),
    Shape(6, 1, ("impact", "ellipsoid", "robust")),
)
EACH = 17
AGREE = 1e-5
"""Largest difference of any weight, fraction of equity."""


@dataclass(frozen=True, eq=False)
class Solved:
    """One random problem with both answers."""

    inputs: ProgramInputs
    found: Solution
    expected: FloatArray
    tolerance: float


@cache
def reference(kind: Kind) -> Plain:
    return Plain(kind)


def problem(shape: Shape, seed: int, most: int = 4) -> ProgramInputs:
    """Return a random problem with up to `most` limits tightened."""
    rng = np.random.default_rng(seed)
    names = rng.choice(TIGHTENED, rng.integers(1, most + 1), replace=False).tolist()
    return tightened(random_program(shape, seed), names, rng)


def solved(shape: Shape, seed: int) -> Solved:
    inputs = problem(shape, seed)
    expected, tolerance = reference(Kind.of(inputs)).weights(inputs)
    return Solved(inputs, solve_roughly(inputs), expected, tolerance)


@pytest.fixture(scope="module")
def all_solved() -> list[Solved]:
    """204 problems, 1 to 10 contracts."""
    return [
        solved(shape, 1_000 * place + seed)
        for place, shape in enumerate(SHAPES)
        for seed in range(EACH)
    ]


def binding(one: Solved) -> set[str]:
    """Return the limits that the optimum stands at, at a price."""
    excess = limit_excess(one.found.exact[None, :], one.inputs.before, one.inputs.limits)
    return {
        name
        for name, part in excess.items()
        if part.size and part.max() > -1e-6 and one.found.prices[name].max() > 1e-6
    }


def test_weights_are_those_of_the_plain_formulation(all_solved: list[Solved]) -> None:
    assert len(all_solved) >= 200
    for one in all_solved:
        assert one.found.status == "optimal"
        assert np.abs(one.found.exact - one.expected).max() <= AGREE
    # Where its cones do not let the reference come to 1e-12, it came to 1e-11 or 1e-10.
    assert np.mean([one.tolerance == 1e-12 for one in all_solved]) > 0.8


def test_every_limit_binds_in_several_of_them(all_solved: list[Solved]) -> None:
    bound = Counter(name for one in all_solved for name in binding(one))
    assert {name for name in (*TIGHTENED, "stress_down") if bound[name] < 3} == set()
    assert sum(len(binding(one)) >= 2 for one in all_solved) > 50


def test_every_limit_holds_on_the_rounded_weights(all_solved: list[Solved]) -> None:
    for one in all_solved:
        excess = limit_excess(one.found.weights[None, :], one.inputs.before, one.inputs.limits)
        assert max(float(part.max(initial=-1.0)) for part in excess.values()) <= 1e-6
        assert (one.found.weights >= one.inputs.lower - 1e-9).all()
        assert (one.found.weights <= one.inputs.upper + 1e-9).all()


def test_both_solvers_take_part(all_solved: list[Solved]) -> None:
    by = Counter(one.found.solver for one in all_solved)
    assert by["PIQP"] > 50
    assert by["CLARABEL"] > 50


def test_duals_and_slopes_make_the_gradient_vanish(all_solved: list[Solved]) -> None:
    """The Lagrangian's gradient, written down from method §6 with what the solution says."""
    for one in all_solved:
        if not one.inputs.ellipsoid:
            assert np.abs(gradient(one.inputs, one.found)).max() <= 1e-6


def gradient(inputs: ProgramInputs, found: Solution) -> FloatArray:
    """Return d objective / d w less what the limits take, at the solution's slopes and prices."""
    limits, w = inputs.limits, found.exact
    size, price = found.size_slope, found.prices
    gross = np.abs(w) @ limits.sigma
    z = np.abs(w - inputs.before)
    forgone = inputs.stablecoin_yield * limits.initial_rate
    holding = 0.0 if inputs.holding_cost is None else inputs.holding_cost
    slope = (
        inputs.expected_return
        - (inputs.uncertainty + forgone + holding) * size
        - inputs.cost_aversion
        * (inputs.linear_cost + 1.5 * inputs.impact * np.sqrt(z))
        * found.trade_slope
        - inputs.risk_aversion * inputs.covariance @ w
        - inputs.risk_aversion * limits.covariance_uncertainty * gross * limits.sigma * size
        - found.bound_price
    )
    spread = limits.root @ w + limits.root_offset
    rho = limits.covariance_uncertainty
    risk = np.sqrt(spread @ spread + rho * gross**2)
    coin_sign = np.sign(limits.coin @ w)
    slope -= price["gross"][0] * size + (price["net_max"][0] - price["net_min"][0])
    slope -= price["turnover"][0] * 0.5 * found.trade_slope
    slope -= (price["coin_net"] * coin_sign) @ limits.coin
    slope -= (price["coin_gross"] @ limits.coin + price["venue_gross"] @ limits.account) * size
    slope -= price["cluster"] @ limits.cluster * size
    slope -= (price["standalone_risk"] + price["stablecoin"][0] * limits.initial_rate) * size
    slope -= price["free_collateral"] @ limits.account * limits.initial_rate * size
    slope -= price["participation"] * found.trade_slope
    slope -= (
        price["volatility"][0] / risk * (limits.root.T @ spread + rho * gross * limits.sigma * size)
    )
    slope -= price["margin_ratio"] @ limits.account * found.tier_slope[0] * size
    for place, name in enumerate(limits.stress_names, start=1):
        owed = price[f"stress_{name}"] @ limits.account
        needed = (1.0 + limits.cushion) * found.tier_slope[place] * size
        slope -= owed * (needed - limits.stress[place - 1])
    for row, name in zip(limits.rows, limits.row_names, strict=True):
        slope -= price[name][0] * row
    return np.asarray(slope)


@pytest.mark.parametrize("shape", [Shape(50), Shape(20, 2, ("robust",)), Shape(30, 1, ("impact",))])
def test_larger_books_agree_too(shape: Shape) -> None:
    one = solved(shape, shape.coins)
    assert one.found.status == "optimal"
    assert np.abs(one.found.exact - one.expected).max() <= AGREE
    assert binding(one)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [Shape(100, 2), Shape(200, 1, ("factors",))])
def test_two_hundred_contracts_agree_too(shape: Shape) -> None:
    one = solved(shape, shape.coins)
    assert one.found.status == "optimal"
    assert np.abs(one.found.exact - one.expected).max() <= AGREE
    assert binding(one)


@pytest.mark.parametrize("place", [2, 5, 8])
def test_relaxing_a_limit_never_worsens_the_objective(place: int) -> None:
    for seed in range(4):
        inputs = problem(SHAPES[place], 7_000 + seed)
        limits = inputs.limits
        wider = replace(
            limits, gross_max=1.1 * limits.gross_max, turnover_max=1.1 * limits.turnover_max
        )
        tight = float(inputs.objective(solve(inputs).exact))
        loose = float(inputs.objective(solve(replace(inputs, limits=wider)).exact))
        assert loose >= tight - 1e-11
