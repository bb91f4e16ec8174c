"""The way by a quadratic program against cones: the same optimum, or no answer."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.convex import CONIC, solve_roughly
from perptui.optimization.program.neighbour import (
    FIRST_SIZE,
    moved,
    proved,
    with_smooth_impact,
)
from perptui.optimization.program.optimum import optimum, optimum_near
from perptui.optimization.program.polish import polished
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.tail_cuts import solve_with_tail_near
from tests.optimization.program.fat_tails import capped, fat_inputs
from tests.optimization.program.random_programs import Shape, random_program, tightened

pytestmark = pytest.mark.unmeasured

ACCOUNTS = ("stress_up", "margin_ratio")
SHAPES = (
    Shape(5, 1, ("impact",)),
    Shape(4, 2, ("impact", "robust", "pinned")),
    Shape(6, 1, ("ellipsoid", "yield")),
    Shape(8, 1, ("factors", "impact")),
    Shape(6, 1, ("impact", "ellipsoid", "robust")),
    Shape(5, 2, ("robust", "inverse")),
)


def program(shape: Shape, seed: int, *names: str) -> ProgramInputs:
    rng = np.random.default_rng(seed)
    return tightened(random_program(shape, seed), names, rng)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_proved_is_the_optimum_that_cones_lead_to(shape: Shape) -> None:
    answered = 0
    for seed in range(300, 306):
        inputs = program(shape, seed, "volatility", "gross", "margin_ratio")
        found = proved(inputs)
        expected = polished(inputs, solve_roughly(inputs, CONIC))
        assert expected.polished
        if found is None:
            continue
        answered += 1
        assert found.exact == pytest.approx(expected.exact, abs=1e-9)
        for name, price in expected.prices.items():
            assert found.prices[name] == pytest.approx(price, abs=1e-8)
    assert answered >= 5


def test_a_binding_risk_limit_is_met_by_a_larger_aversion() -> None:
    found = [proved(program(Shape(6, 1, ("impact",)), seed, "volatility")) for seed in range(8)]
    prices = [float(one.prices["volatility"][0]) for one in found if one is not None]
    assert sum(price > 1e-5 for price in prices) >= 6


def test_the_same_inputs_give_the_same_bytes_whatever_came_before() -> None:
    inputs, other = (program(Shape(5, 1, ("impact",)), seed, "gross") for seed in (1, 2))
    first = proved(inputs)
    assert proved(other) is not None
    again = proved(inputs)
    assert first is not None
    assert again is not None
    assert first.exact.tobytes() == again.exact.tobytes()


def test_what_cannot_be_proved_is_no_answer() -> None:
    inputs = program(Shape(5, 1, ("impact",)), 3)
    assert proved(replace(inputs, soft_prices={"participation": 1.0})) is None
    clash = replace(inputs, limits=replace(inputs.limits, net_min=3.0, gross_max=1.0))
    assert proved(clash) is None


def without_least_trade(inputs: ProgramInputs, near: Solution) -> ProgramInputs:
    least = int(np.argmin(np.abs(near.exact - inputs.before)))
    lower, upper = inputs.lower.copy(), inputs.upper.copy()
    lower[least] = upper[least] = inputs.before[least]
    return replace(inputs, lower=lower, upper=upper)


@pytest.mark.parametrize("shape", [*SHAPES, Shape(7, 1, ("pinned",))])
def test_trades_left_out_move_the_optimum_to_where_a_fresh_one_is(shape: Shape) -> None:
    inputs = program(shape, 400, "gross", "turnover")
    near = optimum(inputs)
    held = without_least_trade(inputs, near)
    found, fresh = moved(held, near), optimum(held)
    assert found is not None
    assert found.exact == pytest.approx(fresh.exact, abs=1e-9)
    assert found.bound_price == pytest.approx(fresh.bound_price, abs=1e-8)


def test_a_capped_optimum_moves_along_its_worst_scenarios() -> None:
    for seed in range(4):
        inputs = capped(fat_inputs(6, 2_000, seed, impact=True))
        near = optimum(inputs)
        held = without_least_trade(inputs, near)
        found, fresh = solve_with_tail_near(held, near.exact), optimum(held)
        assert fresh.prices["cvar"][0] > 0.0
        assert found.polished
        assert found.exact == pytest.approx(fresh.exact, abs=1e-9)


def test_an_optimum_near_another_is_the_optimum() -> None:
    capping = random_program(Shape(4), 5)
    capping = replace(capping, limits=replace(capping.limits, market_correlation_max=0.5))
    asked = (
        program(Shape(4), 5, "gross"),
        replace(program(Shape(4), 6), soft_levels=(("gross",),)),
        capping,
        capped(fat_inputs(4, 1_000, 7, impact=False)),
    )
    for inputs in asked:
        near = optimum(inputs)
        held = without_least_trade(inputs, near)
        fresh = optimum(held).exact
        for one in (near, replace(near, polished=False)):
            assert optimum_near(held, one).exact == pytest.approx(fresh, abs=1e-7)


def test_impact_is_curved_as_its_second_order_about_a_book() -> None:
    inputs = program(Shape(3, 1, ("impact",)), 6)
    book = inputs.before + np.array([0.04, -0.09, 0.25])
    near = with_smooth_impact(inputs, book)
    step = 1e-4
    for asked in (inputs, near):
        assert np.all(asked.linear_cost >= inputs.linear_cost)
    for place in range(3):
        push = step * np.eye(3)[place]
        slopes = [
            float(asked.objective(book + push) - asked.objective(book - push)) / (2.0 * step)
            for asked in (inputs, near)
        ]
        assert slopes[0] == pytest.approx(slopes[1], abs=1e-7)
    # Where no book is known, the slope is right at trades of FIRST_SIZE.
    first = with_smooth_impact(inputs, None)
    book = inputs.before + FIRST_SIZE
    slope = [
        float(one.objective(book + 1e-5) - one.objective(book - 1e-5)) for one in (inputs, first)
    ]
    assert slope[0] == pytest.approx(slope[1], rel=1e-5)


def test_limits_of_accounts_that_bind_are_met_though_they_are_left_out_at_first() -> None:
    binding = 0
    for seed in range(400, 406):
        inputs = program(Shape(5, 2, ("impact",)), seed, "stress_up", "margin_ratio")
        found = proved(inputs)
        expected = polished(inputs, solve_roughly(inputs, CONIC))
        if found is None:
            continue
        assert found.exact == pytest.approx(expected.exact, abs=1e-9)
        binding += any(float(found.prices[name].max()) > 0.0 for name in ACCOUNTS)
    assert binding >= 4
