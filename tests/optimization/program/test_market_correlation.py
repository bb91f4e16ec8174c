"""The cap on the correlation with the market against a search over all books."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.convex import solve_roughly as solve
from perptui.optimization.program.market_correlation import (
    ROUNDS_MAX,
    excess_of,
    solve_with_correlation,
)
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution, largest_excess
from perptui.risk.arrays import limit_excess
from tests.optimization.market import covariance, estimates
from tests.optimization.program.fat_tails import capped, fat_inputs
from tests.optimization.three_coins import BTC, LEGS, MARKS, SOL, posed

pytestmark = pytest.mark.unmeasured

RHO = 0.3


def alike(contracts: int, seed: int, shift: float = 0.006, rho: float = RHO) -> ProgramInputs:
    """Return inputs whose best books follow the first contract, which is the market."""
    inputs = fat_inputs(contracts, 400, seed)
    sigma = inputs.covariance
    return replace(
        inputs,
        expected_return=inputs.expected_return + shift,
        limits=replace(
            inputs.limits,
            scenarios=np.zeros((0, contracts)),
            scenario_offset=np.zeros(0),
            market=sigma[0] / np.sqrt(sigma[0, 0]),
            market_correlation_max=rho,
            net_min=-3.0,
            net_max=3.0,
        ),
    )


def correlation(inputs: ProgramInputs, weights: np.ndarray) -> float:
    risk = np.sqrt(weights @ inputs.covariance @ weights)
    return float(inputs.limits.market @ weights / risk)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_it_stands_exactly_at_the_cap(seed: int, side: float) -> None:
    """Long books stand at rho, short ones at -rho."""
    inputs = alike(8, seed, side * 0.02)
    calls = []

    def counted(asked: ProgramInputs) -> Solution:
        calls.append(asked)
        return solve(asked)

    found = solve_with_correlation(inputs, counted)
    assert found.status == "optimal"
    assert found.prices["market_correlation"][0] > 1e-3, "the cap must bind"
    assert correlation(inputs, found.exact) == pytest.approx(side * RHO, abs=1e-6)
    excess = limit_excess(found.weights[None, :], inputs.before, inputs.limits)
    assert excess["market_correlation"][0, 0] <= 1e-9
    assert len(calls) <= 8
    assert set(found.prices) >= {"gross", "market_correlation"}
    assert not any(name.startswith("market_correlation_") for name in found.prices)


@pytest.mark.parametrize("seed", [4, 11, 13])
def test_no_book_of_a_search_is_better(seed: int) -> None:
    inputs = alike(3, seed, 0.012)
    found = optimum(inputs)
    assert found.prices["market_correlation"][0] > 1e-4, "the cap must bind"
    best = float(inputs.objective(found.exact))
    grid = np.linspace(-0.5, 0.5, 51)
    books = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    excess = limit_excess(books, inputs.before, inputs.limits)
    keeps = np.all([part.max(axis=1) <= 0 for part in excess.values() if part.size], axis=0)
    assert keeps.sum() > 1_000
    worth = inputs.objective(books[keeps])
    assert worth.max() <= best + 1e-12
    # The best of the grid, mended from there by a general solver, comes to the same book.
    start = books[keeps][worth.argmax()]
    near = minimize(
        lambda w: -1e4 * float(inputs.objective(w)),
        start,
        method="SLSQP",
        bounds=[(-0.5, 0.5)] * 3,
        constraints={"type": "ineq", "fun": lambda w: -1e3 * excess_of(inputs.limits, w)},
        options={"ftol": 1e-12},
    )
    assert -near.fun / 1e4 == pytest.approx(best, rel=1e-5)


def test_the_price_is_the_objective_s_change_with_the_cap() -> None:
    """Per weight unit: d objective / d rho over the risk that rho is multiplied with."""
    inputs = alike(8, 2, 0.02)
    found = optimum(inputs)
    risk = float(np.linalg.norm(inputs.limits.root @ found.exact))
    worth = []
    for rho in (RHO - 1e-3, RHO + 1e-3):
        moved = replace(inputs, limits=replace(inputs.limits, market_correlation_max=rho))
        worth.append(float(inputs.objective(optimum(moved).exact)))
    slope = (worth[1] - worth[0]) / 2e-3
    assert slope > 0
    assert found.prices["market_correlation"][0] * risk == pytest.approx(slope, rel=0.01)


def test_the_gradient_is_that_of_the_cap() -> None:
    inputs = alike(6, 3)
    found = optimum(inputs)
    assert found.prices["market_correlation"][0] > 1e-4
    steps = 1e-6 * np.eye(6)
    numeric = [
        (excess_of(inputs.limits, found.exact + one) - excess_of(inputs.limits, found.exact - one))
        / 2e-6
        for one in steps
    ]
    assert found.market_gradient == pytest.approx(np.array(numeric), abs=1e-5)


def test_where_the_cap_holds_by_itself_nothing_is_added() -> None:
    inputs = alike(6, 3, rho=0.999)
    found, plain = optimum(inputs), solve(replace(inputs, limits=replace(
        inputs.limits, market_correlation_max=1.0)))  # fmt: skip
    assert found.prices["market_correlation"].tolist() == [0.0]
    assert found.exact == pytest.approx(plain.exact, abs=1e-8)


def test_both_caps_hold_together() -> None:
    inputs = fat_inputs(8, 1_000, 2)
    sigma = inputs.covariance
    inputs = replace(
        inputs,
        expected_return=inputs.expected_return + 0.02,
        limits=replace(inputs.limits, market=sigma[0] / np.sqrt(sigma[0, 0]), net_max=3.0),
    )
    inputs = capped(inputs, 0.5)
    both = replace(inputs, limits=replace(inputs.limits, market_correlation_max=RHO))
    found = optimum(both)
    assert found.status == "optimal"
    assert min(found.prices["cvar"][0], found.prices["market_correlation"][0]) > 1e-4
    excess = limit_excess(found.exact[None, :], both.before, both.limits)
    assert excess["cvar"][0, 0] == pytest.approx(0.0, abs=1e-9)
    assert excess["market_correlation"][0, 0] == pytest.approx(0.0, abs=1e-7)


def test_a_target_that_follows_the_market_leaves_no_book() -> None:
    inputs = alike(2, 1)
    fixed = np.array([0.4, 0.0])
    found = optimum(replace(inputs, lower=fixed, upper=fixed))
    assert found.status == "infeasible"


def test_a_book_that_keeps_the_cap_is_a_place_to_start_from() -> None:
    """The first program's tangent may leave no book; the book before keeps its own."""
    inputs = alike(4, 2, 0.02)
    held = optimum(inputs).weights
    assert np.abs(held).max() > 0.05
    # Only a little may be traded: not enough to leave the cap, nor to come back from afar.
    near = replace(inputs, before=held, limits=replace(inputs.limits, turnover_max=1e-3))
    found = optimum(near)
    assert found.status == "optimal"
    assert excess_of(near.limits, found.exact) <= 1e-9


def test_a_book_of_the_market_alone_is_left_at_once() -> None:
    """Its tangent leaves no book but none; the book before, hedged, is where to begin."""
    inputs = alike(5, 3)
    mean = np.array([0.03, 0.0, 0.0, 0.0, 0.0])
    before = np.array([0.2, 0.15, -0.1, 0.1, 0.05])
    inputs = replace(
        inputs,
        expected_return=mean,
        uncertainty=np.full(5, 1e-4),
        before=before,
        linear_cost=np.full(5, 5e-4),
        covariance=np.diag(np.diag(inputs.covariance)),
    )
    limits = replace(
        inputs.limits,
        root=np.sqrt(inputs.covariance),
        market=inputs.covariance[0] / np.sqrt(inputs.covariance[0, 0]),
    )
    inputs = replace(inputs, limits=limits)
    calls = []

    def counted(asked: ProgramInputs) -> Solution:
        calls.append(asked)
        return solve(asked)

    found = solve_with_correlation(inputs, counted)
    assert found.status == "optimal"
    assert excess_of(inputs.limits, found.exact) <= 1e-9
    assert len(calls) <= 16
    generator = np.random.default_rng(1)
    for _ in range(400):
        book = generator.normal(0, 0.2, 5)
        if largest_excess(book, inputs) <= 0.0:
            assert float(inputs.objective(book)) <= float(inputs.objective(found.exact)) + 1e-12


@pytest.mark.parametrize("seed", [0, 2, 3, 7, 5])
def test_relaxing_the_cap_never_lowers_the_objective_and_its_price_is_the_difference(
    seed: int,
) -> None:
    """On both sides of the market, beside turnover and impact, with much and little aversion."""
    inputs = capped_at_random(seed)
    worth, checked = [], 0
    for rho in np.linspace(0.05, 0.95, 20).tolist():
        asked = at_cap(inputs, rho)
        found = optimum(asked)
        assert found.status == "optimal"
        assert largest_excess(found.exact, asked) <= 1e-9
        worth.append(float(asked.objective(found.exact)))
        price = float(found.prices["market_correlation"][0])
        if price < 1e-4:
            continue
        assert abs(correlation(inputs, found.exact)) == pytest.approx(rho, abs=1e-9)
        risk = float(np.linalg.norm(inputs.limits.root @ found.exact))
        nearby = [at_cap(inputs, rho + step) for step in (-1e-5, 1e-5)]
        less, more = (float(one.objective(optimum(one).exact)) for one in nearby)
        assert price * risk == pytest.approx((more - less) / 2e-5, rel=0.01)
        checked += 1
    assert checked >= 5
    assert np.diff(worth).min() >= -1e-10


def capped_at_random(seed: int) -> ProgramInputs:
    """Return random inputs: every second with a book before and turnover, half with impact."""
    generator = np.random.default_rng(seed)
    contracts = int(generator.integers(3, 12))
    side = float(generator.choice([-1.0, 1.0]))
    inputs = alike(contracts, seed, side * float(generator.uniform(0.002, 0.03)))
    if seed % 2:
        inputs = replace(
            inputs,
            before=generator.normal(0.0, 0.15, contracts),
            linear_cost=np.full(contracts, 5e-4),
            limits=replace(inputs.limits, turnover_max=float(generator.uniform(0.1, 0.6))),
        )
    if seed % 4 >= 2:
        inputs = replace(inputs, impact=np.full(contracts, 1e-3), risk_aversion=1.0)
    return inputs


def at_cap(inputs: ProgramInputs, rho: float) -> ProgramInputs:
    return replace(inputs, limits=replace(inputs.limits, market_correlation_max=rho))


def following_the_market(seed: int) -> ProgramInputs:
    """Return a book whose first leg, which is the market, is fixed."""
    inputs = alike(4, seed, 0.01, rho=0.5)
    before = np.abs(np.random.default_rng(seed).normal(0.0, 0.2, 4))
    before[0] = 0.3
    lower, upper = inputs.lower.copy(), inputs.upper.copy()
    lower[0] = upper[0] = 0.3
    limits = replace(inputs.limits, turnover_max=5.0)
    return replace(inputs, before=before, lower=lower, upper=upper, limits=limits)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_a_book_within_reach_is_found_where_no_start_is_one(seed: int) -> None:
    """Against a grid of books: the rest may be turned over little, and no start keeps to that."""
    inputs = following_the_market(seed)
    axis = np.linspace(-0.5, 0.5, 41)
    rest = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    books = np.column_stack([np.full(len(rest), 0.3), rest])
    excess = limit_excess(books, inputs.before, inputs.limits)
    books = books[np.all([part.max(axis=1) <= 0 for part in excess.values() if part.size], axis=0)]
    turned = 0.5 * np.abs(books - inputs.before).sum(axis=1)
    worth = []
    for more in (0.0, 0.02, 0.05, 0.1, 0.2):
        most = float(turned.min()) + more
        asked = replace(inputs, limits=replace(inputs.limits, turnover_max=most + 1e-9))
        found = optimum(asked)
        assert found.status == "optimal"
        assert largest_excess(found.exact, asked) <= 1e-9
        worth.append(float(inputs.objective(found.exact)))
        assert worth[-1] >= float(inputs.objective(books[turned <= most]).max()) - 1e-12
    assert np.diff(worth).min() >= -1e-12
    small = replace(inputs.limits, turnover_max=0.5 * float(turned.min()))
    assert optimum(replace(inputs, limits=small)).status == "infeasible"


def test_what_other_holdings_have_of_the_market_counts() -> None:
    inputs = alike(6, 3)
    held = replace(inputs, limits=replace(inputs.limits, market_offset=0.002))
    found = optimum(held)
    assert found.status == "optimal"
    assert found.prices["market_correlation"][0] > 1e-4
    assert abs(excess_of(held.limits, found.exact)) <= 1e-9
    assert largest_excess(found.weights, held) <= 1e-9


def test_rounds_that_come_to_no_end_give_no_answer() -> None:
    """A solver whose answers go to and fro for ever."""
    inputs = alike(5, 2, 0.02)
    books = [solve(inputs).exact, np.full(5, 0.1)]
    turns = []

    def wandering(asked: ProgramInputs) -> Solution:
        turns.append(asked)
        book = books[len(turns) % 2] * (1.0 + 1e-3 * len(turns))
        prices = {"market_correlation_up": np.zeros(1), "market_correlation_down": np.zeros(1)}
        return Solution("optimal", book, exact=book, prices={"gross": np.zeros(1), **prices})

    capped_inputs = replace(inputs, soft_prices={"participation": 1.0})
    found = solve_with_correlation(capped_inputs, wandering)
    assert found.status == "failed"
    assert "without end" in found.detail
    assert np.array_equal(found.weights, inputs.before)
    # Four starts of a few contracts, and the program without the cap.
    assert len(turns) <= 1 + 4 * ROUNDS_MAX


def test_a_basin_where_a_third_leg_keeps_its_side_is_found() -> None:
    """A grid of all three weights, refined about its best book, found the one it is held against.

    Neither no book nor the hedged optimum without the cap leads there.
    """
    sigma = covariance([0.5, 0.65, 0.9], 0.3)
    moves, deviation = [-0.0572349, -0.0374619, 0.0157575], [0.0029249, 0.0143754, 0.0069071]
    inputs = posed(
        {BTC: "-0.03", SOL: "-155"},
        found=estimates(LEGS, MARKS, moves, sigma, deviation=deviation),
        limits={
            "market_correlation_max": 0.9,
            "turnover_max": 0.15,
            "gross_max": 2.0,
            "net_min": -0.1,
            "cvar_max": 0.9,
            "volatility_max": 0.1,
        },
    )
    other = np.array([-0.0653, -0.0273, -0.0073])
    excess = limit_excess(other[None, :], inputs.before, inputs.limits)
    assert max(float(part.max()) for part in excess.values() if part.size) <= 0.0
    found = optimum(inputs)
    assert found.status == "optimal"
    assert float(inputs.objective(found.exact)) >= float(inputs.objective(other))
