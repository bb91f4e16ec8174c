"""The CVaR cap against the Rockafellar-Uryasev program with every scenario, and closed forms."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from scipy.stats import norm

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.optimization.program.tail_cuts import (
    EXCESS_MAX,
    SECOND_ORDER,
    WHOLE_MAX,
    TailPoint,
    solve_with_tail,
    without_tail,
)
from perptui.risk.arrays import limit_excess
from tests.optimization.program.fat_tails import capped, direct, fat_inputs


@pytest.mark.parametrize(("scenarios", "tail"), [(200, 0.05), (333, 0.05), (61, 0.05), (15, 0.05)])
def test_a_point_is_the_least_of_rockafellar_and_uryasev(scenarios: int, tail: float) -> None:
    inputs = fat_inputs(4, scenarios, 7)
    limits = replace(inputs.limits, scenario_offset=np.linspace(-0.02, 0.03, scenarios), tail=tail)
    weights = np.array([0.3, -0.2, 0.4, 0.1])
    losses = -(limits.scenarios @ weights + limits.scenario_offset)
    edge = cp.Variable()
    least = cp.Problem(
        cp.Minimize(edge + cp.sum(cp.maximum(losses - edge, 0.0)) / (tail * scenarios))
    )
    value = least.solve(cp.CLARABEL)  # type: ignore[no-untyped-call]
    point = TailPoint.at(limits, weights)
    assert point.value == pytest.approx(value, abs=1e-8)
    assert point.gradient @ weights + point.constant == pytest.approx(point.value, abs=1e-14)
    # A tangent lies below CVaR everywhere.
    for other in np.random.default_rng(1).normal(0, 0.5, (50, 4)):
        below = point.gradient @ other + point.constant
        assert below <= TailPoint.at(limits, other).value + 1e-12


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("contracts", "scenarios", "impact"),
    [
        (1, 40, False),
        (3, 333, False),
        (5, WHOLE_MAX, True),
        (6, 2_000, True),
        (12, 3_001, False),
        (20, 4_000, False),
    ],
)
def test_weights_are_those_of_the_program_with_every_scenario(
    contracts: int, scenarios: int, *, impact: bool
) -> None:
    inputs = capped(fat_inputs(contracts, scenarios, scenarios, impact=impact))
    found = solve_with_tail(inputs)
    assert found.status == "optimal"
    assert found.prices["cvar"][0] > 1e-4, "the cap must bind, or this tests nothing"
    excess = TailPoint.at(inputs.limits, found.exact).value - inputs.limits.cvar_max
    assert -1e-7 < excess <= EXCESS_MAX
    assert found.residual <= 1e-9
    assert found.weights == pytest.approx(direct(inputs), abs=1e-5)


def test_the_price_is_the_objective_s_change_with_the_cap() -> None:
    inputs = capped(fat_inputs(8, 2_000, 3, impact=True))
    step = 1e-4 * inputs.limits.cvar_max
    price = float(solve_with_tail(inputs).prices["cvar"][0])
    worth = []
    for cap in (inputs.limits.cvar_max - step, inputs.limits.cvar_max + step):
        moved = replace(inputs, limits=replace(inputs.limits, cvar_max=cap))
        worth.append(float(inputs.objective(solve_with_tail(moved).exact)))
    assert price == pytest.approx((worth[1] - worth[0]) / (2 * step), rel=0.01)


def test_the_gradient_and_the_price_complete_the_conditions_of_the_optimum() -> None:
    """Where no other limit binds and nothing costs: gain - gamma Sigma w - price·gradient = 0."""
    inputs = fat_inputs(5, 2_000, 11)
    free = replace(
        inputs,
        uncertainty=np.zeros(5),
        linear_cost=np.zeros(5),
        lower=np.full(5, -9.0),
        upper=np.full(5, 9.0),
        limits=replace(
            inputs.limits,
            gross_max=40.0,
            net_min=-40.0,
            net_max=40.0,
            coin_net_max=40.0,
            turnover_max=40.0,
        ),
    )
    free = capped(free, 0.5)
    found = solve_with_tail(free)
    force = free.gain - free.risk_aversion * free.covariance @ found.exact
    assert np.abs(force).max() > 1e-3
    assert force == pytest.approx(found.prices["cvar"][0] * found.tail_gradient, abs=1e-9)
    assert found.tail_gradient @ found.exact == pytest.approx(free.limits.cvar_max, rel=1e-9)


def test_in_a_normal_market_the_capped_optimum_is_the_closed_form() -> None:
    """With CVaR = k·s(w) - mu'w, k = phi(z)/tail, the optimum is a multiple of Sigma^-1 mu."""
    inputs, paths = fat_inputs(3, 40_000, 5), 20_000
    sigma = inputs.covariance
    drawn = np.random.default_rng(2).standard_normal((paths, 3))
    drawn = np.vstack([drawn, -drawn])
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T))).T
    mean = np.array([0.01, 0.008, -0.006])
    free = replace(
        inputs,
        expected_return=mean,
        uncertainty=np.zeros(3),
        linear_cost=np.zeros(3),
        lower=np.full(3, -9.0),
        upper=np.full(3, 9.0),
        limits=replace(
            inputs.limits,
            scenarios=drawn @ np.linalg.cholesky(sigma).T + mean,
            gross_max=40.0,
            net_min=-40.0,
            net_max=40.0,
            coin_net_max=40.0,
            turnover_max=40.0,
            cvar_max=0.05,
        ),
    )
    found = solve_with_tail(free)
    assert found.prices["cvar"][0] > 0
    direction = np.linalg.solve(sigma, mean)
    level = norm.pdf(norm.ppf(0.05)) / 0.05
    unit = level * np.sqrt(direction @ sigma @ direction) - mean @ direction
    # 40,000 draws: the mean of 2,000 tail losses is known to about 1 %.
    assert found.exact == pytest.approx(0.05 / unit * direction, abs=0.02)


def test_a_cap_that_does_not_bind_changes_nothing() -> None:
    inputs = fat_inputs(6, 2_000, 1)
    found, plain = solve_with_tail(inputs), solve(without_tail(inputs))
    assert found.prices["cvar"].tolist() == [0.0]
    assert found.exact == pytest.approx(plain.exact, abs=1e-12)


def test_what_was_solved_before_changes_no_byte() -> None:
    inputs = capped(fat_inputs(6, 2_000, 4))
    alone = optimum(inputs)
    for share in (0.9, 0.4):
        optimum(capped(fat_inputs(6, 2_000, 5), share))
    again = optimum(inputs)
    assert again.exact.tobytes() == alone.exact.tobytes()
    assert again.prices["cvar"].tobytes() == alone.prices["cvar"].tobytes()


def test_what_is_held_beside_counts_in_every_scenario() -> None:
    inputs = fat_inputs(5, 2_000, 9)
    # A put on the first coin: it pays what the first contract loses beyond 5 %.
    paid = np.maximum(-0.05 - inputs.limits.scenarios[:, 0], 0.0) - 0.002
    held = capped(replace(inputs, limits=replace(inputs.limits, scenario_offset=0.3 * paid)))
    found = solve_with_tail(held)
    assert found.prices["cvar"][0] > 0
    assert found.weights == pytest.approx(direct(held), abs=1e-5)
    excess = limit_excess(found.exact[None, :], held.before, held.limits)["cvar"]
    assert excess[0, 0] == pytest.approx(0.0, abs=EXCESS_MAX)


def test_targets_that_lose_more_than_the_cap_leave_no_book() -> None:
    inputs = fat_inputs(2, 2_000, 2)
    names = dict.fromkeys(inputs.ids, 0.4)
    fixed = fat_inputs(2, 2_000, 2, overrides=names)
    fixed = replace(fixed, limits=replace(fixed.limits, cvar_max=0.01))
    found = solve_with_tail(fixed)
    assert found.status == "infeasible"
    assert found.weights.tolist() == fixed.before.tolist()


def test_what_cannot_be_polished_is_as_exact_as_the_solver() -> None:
    """Polishing leaves a soft limit of one contract alone; here it never gives way."""
    inputs = capped(fat_inputs(5, 2_000, 6, impact=True))
    soft = replace(inputs, soft_prices={"standalone_risk": 1.0})
    found = solve_with_tail(soft)
    assert found.status == "optimal"
    assert not found.polished
    assert found.prices["cvar"][0] > 1e-4
    assert TailPoint.at(inputs.limits, found.exact).value <= inputs.limits.cvar_max + EXCESS_MAX
    assert found.weights == pytest.approx(direct(inputs), abs=1e-5)


def test_where_no_solver_ends_with_cones_the_answer_says_what_it_is() -> None:
    inputs = capped(fat_inputs(5, 2_000, 6, impact=True))
    soft = replace(inputs, soft_prices={"standalone_risk": 1.0})

    def without_cones(asked: ProgramInputs) -> Solution:
        if asked.tail_rows is not None and asked.impact.any():
            return Solution.without_answer("failed", asked, "CLARABEL ended with no progress")
        return solve_roughly(asked)

    found = solve_with_tail(soft, without_cones)
    assert (found.status, found.detail) == ("optimal", SECOND_ORDER)
    assert found.weights == pytest.approx(direct(inputs), abs=1e-4)
    assert TailPoint.at(inputs.limits, found.exact).value <= inputs.limits.cvar_max + EXCESS_MAX

    def without_rows(asked: ProgramInputs) -> Solution:
        if asked.tail_rows is not None:
            return Solution.without_answer("failed", asked, "CLARABEL ended with no progress")
        return solve_roughly(asked)

    failed = solve_with_tail(soft, without_rows)
    assert (failed.status, failed.detail) == ("failed", "CLARABEL ended with no progress")
    assert failed.weights.tolist() == inputs.before.tolist()
