"""A program in other units of weight: the same book and prices, held to finer tolerances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.explain.ledger import terms_of
from perptui.optimization.explain.slopes import at_optimum
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.polish import polished
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.optimization.program.units import LEAST_UNIT, from_units, in_units, unit_for, unit_of
from perptui.risk.arrays import limit_excess
from tests.optimization.program.fat_tails import capped, fat_inputs
from tests.optimization.program.random_programs import FEATURES, Shape, random_program

UNIT = 2.0**-7
BALANCED = 1e-13
"""What is left of a contract's ledger, fraction of equity over the horizon per unit of weight."""


def residual(inputs: ProgramInputs, found: Solution) -> float:
    """Return what the ledger's terms leave (method §12)."""
    return float(np.abs(terms_of(inputs, found, at_optimum(inputs, found)).residual).max())


@pytest.mark.parametrize("seed", range(4))
def test_limits_and_objective_scale_with_the_weights(seed: int) -> None:
    """excess(u v) = u·excess(v), objective(u v) - y = u·(objective(v) - y), whatever the book."""
    inputs = random_program(Shape(5, 2, FEATURES[seed:] if seed else ("impact",)), seed)
    asked = in_units(inputs, UNIT)
    books = np.random.default_rng(seed).normal(0.0, 3.0, (6, len(inputs.before)))
    inside = limit_excess(books, asked.before, asked.limits)
    for name, excess in limit_excess(UNIT * books, inputs.before, inputs.limits).items():
        assert excess == pytest.approx(UNIT * inside[name], rel=1e-12, abs=1e-14)
    worth = inputs.objective(UNIT * books) - inputs.stablecoin_yield
    assert worth == pytest.approx(
        UNIT * (asked.objective(books) - inputs.stablecoin_yield), rel=1e-11
    )


def test_the_unit_is_a_power_of_two_and_one_unless_a_cap_is_small() -> None:
    assert unit_for(3.0) == unit_for(0.125) == 1.0
    assert unit_for(0.1) == 2.0**-4
    assert unit_for(0.0) == LEAST_UNIT
    inputs = random_program(Shape(3), 0)
    assert unit_of(inputs) == 1.0
    tight = replace(inputs, limits=replace(inputs.limits, gross_max=1e-3))
    assert unit_of(tight) == 2.0**-10
    assert unit_of(replace(tight, soft_prices={"gross": 1.0})) == 1.0


def test_an_answer_comes_back_in_units_of_equity() -> None:
    inputs = random_program(Shape(4, 1, ("impact",)), 1)
    plain, small = solve(inputs), solve(in_units(inputs, UNIT))
    found = from_units(small, inputs, UNIT)
    assert plain.polished
    assert small.polished
    assert found.exact == pytest.approx(plain.exact, abs=1e-10)
    for name, price in plain.prices.items():
        assert found.prices[name] == pytest.approx(price, abs=1e-10)
    none = Solution.without_answer("infeasible", in_units(inputs, UNIT), "why")
    assert (from_units(none, inputs, UNIT).weights == inputs.before).all()


@pytest.mark.parametrize("share", [3e-2, 1e-3, 1e-5])
def test_the_ledger_of_a_tiny_book_adds_up(share: float) -> None:
    """A CVaR cap of next to nothing leaves a book of as little, exact to its own last digits."""
    inputs = capped(fat_inputs(6, 3000, seed=4, impact=True), share)
    found = solve(inputs)
    assert found.polished
    assert residual(inputs, found) <= BALANCED
    assert found.prices["cvar"][0] > 0.0
    over = limit_excess(found.exact[None, :], inputs.before, inputs.limits)
    assert max(float(part.max()) for part in over.values() if part.size) <= 1e-12


@pytest.mark.parametrize("venues", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_coin_limit_of_nothing_is_priced_on_the_side_that_pulls(venues: int, seed: int) -> None:
    """|net| <= 0 is an equation: its price holds what pulls, either way, and no more."""
    inputs = random_program(Shape(3, venues, ("impact",)), seed)
    inputs = replace(inputs, limits=replace(inputs.limits, coin_net_max=0.0))
    found = solve(inputs)
    assert found.polished
    assert np.abs(inputs.limits.coin @ found.exact).max() <= 1e-12
    assert residual(inputs, found) <= BALANCED
    assert found.prices["coin_net"].max() < 1.0


def test_a_polished_book_that_breaks_what_the_answer_keeps_is_refused() -> None:
    """A target beyond its largest trade is kept by the polish: no answer may come of it."""
    inputs = random_program(Shape(3), 2)
    target = inputs.before + 0.2
    fixed = replace(
        inputs,
        lower=np.where(np.arange(3) == 0, target, inputs.lower),
        upper=np.where(np.arange(3) == 0, target, inputs.upper),
        limits=replace(inputs.limits, trade_max=np.full(3, 0.1)),
    )
    answer = Solution("optimal", inputs.before, exact=inputs.before)
    assert polished(fixed, answer) is answer


def test_no_unit_is_smaller_than_what_cannot_be_traded_away() -> None:
    inputs = random_program(Shape(3), 0)
    held = np.array([0.5, -0.1, 0.0])
    limits = replace(inputs.limits, gross_max=1e-3)
    stuck = replace(inputs, before=held, limits=replace(limits, trade_max=np.full(3, 0.05)))
    assert unit_of(stuck) == 1.0
    loose = replace(inputs, before=held, limits=replace(limits, trade_max=np.ones(3)))
    assert unit_of(loose) == 2.0**-10


@pytest.mark.parametrize("seed", range(3))
def test_opposite_limits_of_nothing_pay_only_their_difference(seed: int) -> None:
    """a'w <= 0 and -a'w <= 0 are one equation: no interior, and a price that stays finite."""
    inputs = random_program(Shape(4, 1, ("impact",)), seed)
    side = np.linspace(0.6, 1.4, 4)
    limits = replace(
        inputs.limits,
        rows=np.array([side, -side]),
        row_max=np.zeros(2),
        row_names=("beta_up", "beta_down"),
        gross_max=0.5 * float(np.abs(solve(inputs).exact).sum()),
    )
    level = replace(inputs, limits=limits)
    found = solve(level)
    assert found.polished
    assert abs(float(side @ found.exact)) <= 1e-12
    assert residual(level, found) <= BALANCED
    paid = [float(found.prices[name][0]) for name in limits.row_names]
    assert min(paid) == 0.0
    assert max(paid) < 1.0
