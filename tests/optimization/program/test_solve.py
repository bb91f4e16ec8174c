from collections.abc import Mapping, Sequence
from dataclasses import replace

import cvxpy as cp
import msgspec
import numpy as np
import pytest
from scipy.optimize import minimize

from perptui.model.errors import OptimizationError
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.answer import Attempt
from perptui.optimization.program.compiled import compiled
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.solution import largest_excess
from perptui.optimization.program.solve import solve
from perptui.optimization.program.structure import Structure
from perptui.risk.arrays import limit_excess
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    WIDE,
    covariance,
    estimates,
    instrument,
    snapshot,
)

COINS = ("BNB", "BTC", "ETH", "SOL", "XRP")
PRICES = ("600", "60000", "3000", "150", "0.5")
BASE = [instrument(coin) for coin in COINS]
IDS = [one.id for one in BASE]
MARKS = dict(zip(IDS, PRICES, strict=True))
FREE = msgspec.structs.replace(
    BALANCED, cost_aversion=0.0, uncertainty=0.0, cluster_correlation=1.0
)


def inputs_of(
    expected: Sequence[float],
    sigma: Sequence[Sequence[float]],
    *,
    strategy: StrategyParameters = FREE,
    limits: Limits = WIDE,
    deviation: Sequence[float] | None = None,
    positions: Mapping[str, str] | None = None,
    overrides: Mapping[str, float] | None = None,
    equity: str = "100000",
) -> ProgramInputs:
    legs = BASE[: len(expected)]
    snap = snapshot(legs, MARKS, {"binanceusdm": equity}, positions)
    found = estimates(legs, MARKS, expected, sigma, deviation=deviation)
    return program_inputs(snap, found, strategy, limits, overrides or {})


def test_without_costs_and_limits_the_optimum_is_the_closed_form() -> None:
    mu = np.array([0.01, -0.02, 0.015, 0.005, -0.003])
    sigma = np.array(covariance([0.6, 0.5, 0.7, 0.9, 0.8], 0.4))
    found = solve(inputs_of(mu.tolist(), sigma.tolist()))
    assert found.status == "optimal"
    expected = np.linalg.solve(4.0 * sigma, mu)
    assert np.abs(expected).max() > 0.1
    assert found.weights == pytest.approx(expected, abs=1e-6)


def test_two_assets_by_hand() -> None:
    sigma = [[0.04, 0.006], [0.006, 0.01]]
    # w = (s22 m1 - s12 m2, s11 m2 - s12 m1) / (gamma det), det = 4e-4 - 3.6e-5.
    expected = np.array([0.01 * 0.02 - 0.006 * 0.005, 0.04 * 0.005 - 0.006 * 0.02]) / 4 / 3.64e-4
    assert solve(inputs_of([0.02, 0.005], sigma)).weights == pytest.approx(expected, abs=1e-7)


def test_the_worst_case_box_shrinks_each_mean_towards_zero() -> None:
    deviation = [0.004, 0.05, 0.02]
    mu = [0.03, 0.02, -0.015]
    sigma = np.diag([0.02, 0.01, 0.03])
    strategy = msgspec.structs.replace(FREE, uncertainty=0.5)
    found = solve(inputs_of(mu, sigma.tolist(), strategy=strategy, deviation=deviation))
    # w_i = sign(mu_i)·max(|mu_i| - z_c sd_i, 0) / (gamma s_i²), diagonal Sigma.
    assert found.weights == pytest.approx([0.028 / 0.08, 0.0, -0.005 / 0.12], abs=1e-7)


def test_no_trade_inside_the_cost_of_trading() -> None:
    strategy = msgspec.structs.replace(FREE, cost_aversion=1.0)
    # Fee .0005 and half-spread .0001 exceed the gain of the first trade, not of the second.
    found = solve(inputs_of([0.0005, 0.02], [[0.01, 0.0], [0.0, 0.01]], strategy=strategy))
    assert found.weights[0] == pytest.approx(0.0, abs=1e-7)
    # mu - c - 3/2 k sqrt(z) - gamma s² z = 0 with k = sigma_day sqrt(E/V).
    k = np.sqrt(0.01 / 10.0) * np.sqrt(1e5 / 1e9)
    root = (-1.5 * k + np.sqrt(2.25 * k**2 + 4 * 0.04 * (0.02 - 0.0006))) / (2 * 0.04)
    assert found.weights[1] == pytest.approx(root**2, abs=1e-6)


def test_permuting_the_contracts_permutes_the_weights() -> None:
    mu = np.array([0.03, -0.02, 0.025, 0.015, -0.01])
    base = np.array(covariance([0.6, 0.5, 0.7, 0.9, 0.8], 0.6))
    order = np.array([3, 0, 4, 2, 1])
    one = solve(inputs_of(mu.tolist(), base.tolist(), strategy=BALANCED, limits=LIMITS))
    two = solve(
        inputs_of(
            mu[order].tolist(),
            base[np.ix_(order, order)].tolist(),
            strategy=BALANCED,
            limits=LIMITS,
        )
    )
    assert np.abs(one.weights).max() > 0.1
    assert two.weights == pytest.approx(one.weights[order], abs=1e-6)


def fresh(inputs: ProgramInputs) -> FloatArray:
    """Write the program a second time, plainly, from method §6."""
    limits, count = inputs.limits, len(inputs.before)
    w = cp.Variable(count)
    z = w - inputs.before
    objective = (
        inputs.expected_return @ w
        - inputs.uncertainty @ cp.abs(w)
        - inputs.cost_aversion
        * (inputs.linear_cost @ cp.abs(z) + inputs.impact @ cp.power(cp.abs(z), 1.5, approx=False))
        - 0.5 * inputs.risk_aversion * cp.quad_form(w, cp.psd_wrap(inputs.covariance))
    )

    def margins(moves: np.ndarray) -> list[cp.Expression]:
        return [
            cp.maximum(
                *(
                    limits.tier_rates[k, i] * (1 + moves[i]) * cp.abs(w[i])
                    - limits.tier_deductions[k, i]
                    for k in range(len(limits.tier_rates))
                )
            )
            if len(limits.tier_rates) > 1
            else limits.tier_rates[0, i] * (1 + moves[i]) * cp.abs(w[i])
            for i in range(count)
        ]

    constraints = [
        cp.norm1(w) <= limits.gross_max,
        cp.sum(w) >= limits.net_min,
        cp.sum(w) <= limits.net_max,
        cp.abs(w) <= limits.coin_net_max,
        0.5 * cp.norm1(z) <= limits.turnover_max,
        cp.norm(limits.root @ w, 2) <= limits.volatility_max,
        cp.abs(z) <= limits.trade_max,
        w >= inputs.lower,
        w <= inputs.upper,
        cp.sum(cp.hstack(margins(np.zeros(count)))) <= limits.margin_ratio_max,
        *(
            (1 + limits.cushion) * cp.sum(cp.hstack(margins(moves))) <= 1 - limits.depeg + moves @ w
            for moves in limits.stress
        ),
        *(limits.cluster @ cp.abs(w) <= limits.cluster_max for _ in limits.cluster[:1]),
    ]
    problem = cp.Problem(cp.Maximize(1e4 * objective), constraints)
    tolerances = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
    problem.solve(cp.CLARABEL, **tolerances)  # type: ignore[no-untyped-call]
    assert problem.status == "optimal"
    return np.asarray(w.value)


TIGHT = {
    "gross": {"gross_max": 0.6},
    "net_max": {"net_max": 0.15},
    "net_min": {"net_min": 0.9, "net_max": 2.0},
    "coin_net": {"coin_net_max": 0.2},
    "turnover": {"turnover_max": 0.2},
    "volatility": {"volatility_max": 0.2},
    "participation": {"participation_max": 1e-5},
    "margin_ratio": {"margin_ratio_max": 0.003, "liquidation_distance_min": 0.01},
    "stress": {"liquidation_distance_min": 0.95, "net_max": 3.0},
    "cluster": {},
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("binding", TIGHT)
def test_a_second_implementation_agrees_where_each_limit_binds(binding: str) -> None:
    generator = np.random.default_rng(sum(map(ord, binding)))
    mu = generator.normal(0.02, 0.02, 5)
    if binding == "net_min":
        mu = -np.abs(mu)
    sigma = covariance([0.5, 0.5, 0.6, 0.7, 0.6], 0.5)
    base = msgspec.structs.replace(WIDE, coin_net_max=3.0)
    limits = msgspec.structs.replace(base, **TIGHT[binding])
    strategy = msgspec.structs.replace(
        BALANCED,
        risk_aversion=1.0,
        cluster_correlation=0.4 if binding == "cluster" else 1.0,
        cluster_gross_max=0.4,
    )
    positions = {IDS[1]: "0.3", IDS[3]: "-100"}
    inputs = inputs_of(
        mu.tolist(),
        sigma,
        strategy=strategy,
        limits=limits,
        deviation=[0.004] * 5,
        positions=positions,
    )
    found = solve(inputs)
    assert found.status == "optimal"
    assert found.residual <= 1e-6
    excess = limit_excess(found.weights[None, :], inputs.before, inputs.limits)
    tightest = max(
        float(part.max()) for name, part in excess.items() if name.startswith(binding) and part.size
    )
    assert tightest == pytest.approx(0.0, abs=2e-6), "the limit must bind, or this tests nothing"
    assert found.weights == pytest.approx(fresh(inputs), abs=1e-5)


def test_a_general_solver_finds_nothing_better() -> None:
    mu = [0.02, -0.015, 0.03, 0.01, -0.02]
    sigma = covariance([0.6, 0.5, 0.7, 0.9, 0.8], 0.5)
    inputs = inputs_of(mu, sigma, strategy=BALANCED, limits=LIMITS, positions={IDS[2]: "-10"})
    found = solve(inputs)
    best = float(inputs.objective(found.weights))
    for start in (inputs.before, found.weights, np.zeros(5)):
        other = minimize(
            lambda w: -1e4 * float(inputs.objective(w)),
            start,
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda w: -1e3 * largest_excess_signed(w, inputs)},
        )
        if largest_excess(other.x, inputs) <= 1e-8:
            assert float(inputs.objective(other.x)) <= best + 1e-9


def largest_excess_signed(weights: FloatArray, inputs: ProgramInputs) -> float:
    parts = limit_excess(weights[None, :], inputs.before, inputs.limits).values()
    return max(float(part.max()) for part in parts if part.size)


def test_a_fixed_target_is_met_and_the_rest_is_optimised_around_it() -> None:
    mu = [0.02, 0.02, 0.02]
    sigma = covariance([0.6, 0.5, 0.7], 0.6)
    inputs = inputs_of(mu, sigma, overrides={IDS[0]: 0.3}, limits=LIMITS)
    found = solve(inputs)
    assert found.weights[0] == 0.3
    # The rest in closed form, given w_0: S_rr w_r = mu_r/gamma - S_r0 w_0.
    s = np.array(sigma)
    rest = np.linalg.solve(s[1:, 1:], np.array(mu[1:]) / 4.0 - s[1:, 0] * 0.3)
    assert found.weights[1:] == pytest.approx(rest, abs=1e-6)


def test_limits_that_cannot_all_hold_are_infeasible_not_an_error() -> None:
    limits = msgspec.structs.replace(LIMITS, net_min=0.5, net_max=0.6, turnover_max=0.1)
    inputs = inputs_of([0.02, 0.01], covariance([0.5, 0.6], 0.5), limits=limits)
    found = solve(inputs)
    assert found.status == "infeasible"
    assert found.weights == pytest.approx(inputs.before)


def test_an_answer_does_not_depend_on_what_was_solved_before() -> None:
    mu = [0.02, -0.015, 0.03]
    sigma = covariance([0.6, 0.5, 0.7], 0.5)
    inputs = inputs_of(mu, sigma, strategy=BALANCED, limits=LIMITS)
    alone = solve(inputs).weights
    for overrides in ({IDS[0]: 0.25}, {IDS[2]: -0.4}):
        solve(inputs_of(mu, sigma, strategy=BALANCED, limits=LIMITS, overrides=overrides))
    assert solve(inputs).weights.tolist() == alone.tolist()


def test_shapes_are_compiled_once() -> None:
    inputs = inputs_of([0.02, 0.01], covariance([0.5, 0.6], 0.5))
    other = inputs_of([0.05, -0.01], covariance([0.4, 0.9], 0.1), positions={IDS[0]: "9"})
    assert compiled(Structure.of(inputs)) is compiled(Structure.of(other))


def test_an_answer_short_of_its_tolerance_is_no_answer() -> None:
    mu, sigma = [0.02, -0.015, 0.03], covariance([0.6, 0.5, 0.7], 0.5)
    out_of_reach = (Attempt("CLARABEL", 1e4, tolerance=1e-40),)
    inputs = inputs_of(mu, sigma, strategy=BALANCED, limits=LIMITS, positions={IDS[0]: "3"})
    found = solve_roughly(inputs, out_of_reach)
    assert found.status == "failed"
    assert "CLARABEL ended with" in found.detail
    assert found.weights.tolist() == inputs.before.tolist()
    # Where phase 1 needs slack, the reason is the limits and not the numbers.
    clash = msgspec.structs.replace(LIMITS, turnover_max=0.1, coin_net_max=0.1, gross_max=0.2)
    inputs = inputs_of(mu, sigma, strategy=BALANCED, limits=clash, positions={IDS[1]: "3"})
    assert solve_roughly(inputs, out_of_reach).status == "infeasible"


def test_an_infinite_bound_never_reaches_the_solver() -> None:
    inputs = inputs_of([0.02, 0.01], covariance([0.5, 0.6], 0.5))
    broken = replace(inputs, limits=replace(inputs.limits, gross_max=float("inf")))
    with pytest.raises(OptimizationError, match="finite"):
        solve(broken)
