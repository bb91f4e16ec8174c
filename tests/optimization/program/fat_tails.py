"""Programs with fat-tailed scenarios, and the same programs written down plainly a second time."""

from collections.abc import Mapping
from dataclasses import replace

import cvxpy as cp
import msgspec
import numpy as np

from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.tail_cuts import TailPoint, without_tail
from tests.optimization.market import BALANCED, WIDE, estimates, instrument, snapshot

TIGHT = msgspec.structs.replace(
    WIDE, gross_max=3.0, net_min=-1.0, net_max=1.0, coin_net_max=0.5, turnover_max=2.0
)
FREE = msgspec.structs.replace(BALANCED, cluster_correlation=1.0)
HUNDRED = "100"


def fat_inputs(
    contracts: int,
    scenarios: int,
    seed: int = 0,
    *,
    strategy: StrategyParameters = FREE,
    impact: bool = False,
    overrides: Mapping[str, float] | None = None,
) -> ProgramInputs:
    """Return inputs with Student scenarios of one common and three lesser factors; no cap yet."""
    rng = np.random.default_rng(seed)
    common = 0.05 * rng.standard_t(4, (scenarios, 1)) @ rng.normal(1.0, 0.3, (1, contracts))
    lesser = 0.03 * rng.standard_t(5, (scenarios, 3)) @ rng.normal(0.0, 0.5, (3, contracts))
    returns = common + lesser + 0.04 * rng.standard_t(4, (scenarios, contracts))
    returns -= returns.mean(axis=0)
    mean = rng.normal(0.0, 0.01, contracts)
    legs = [instrument(f"C{place:03d}") for place in range(contracts)]
    marks = {leg.id: HUNDRED for leg in legs}
    held = {
        leg.id: str(int(at)) for leg, at in zip(legs, rng.normal(0, 500, contracts), strict=True)
    }
    snap = snapshot(legs, marks, {"binanceusdm": "1000000"}, held)
    covariance = np.cov(returns.T).reshape(contracts, contracts)
    found = estimates(legs, marks, mean.tolist(), covariance.tolist(), deviation=[2e-3] * contracts)
    inputs = program_inputs(snap, found, strategy, TIGHT, overrides or {})
    limits = replace(
        inputs.limits, scenarios=returns + mean, scenario_offset=np.zeros(scenarios), cvar_max=50.0
    )
    return replace(inputs, limits=limits, impact=inputs.impact if impact else np.zeros(contracts))


def capped(inputs: ProgramInputs, share: float = 0.6) -> ProgramInputs:
    """Return inputs whose CVaR cap is a share of what the uncapped optimum has."""
    plain = solve_roughly(without_tail(inputs))
    worst = TailPoint.at(inputs.limits, plain.exact).value
    return replace(inputs, limits=replace(inputs.limits, cvar_max=share * worst))


def stated(inputs: ProgramInputs) -> tuple[cp.Problem, cp.Variable]:
    """Return the Rockafellar-Uryasev form with every scenario, in bp, and its weights."""
    bounds = inputs.limits
    count, paths = len(inputs.before), len(bounds.scenarios)
    w, edge, beyond = cp.Variable(count), cp.Variable(), cp.Variable(paths)
    z = w - inputs.before
    objective = (
        inputs.gain @ w
        - inputs.size_cost @ cp.abs(w)
        - inputs.trade_cost @ cp.abs(z)
        - 0.5 * inputs.risk_aversion * cp.quad_form(w, cp.psd_wrap(inputs.covariance))
    )
    if inputs.impact.any():
        objective -= inputs.cost_aversion * (inputs.impact @ cp.power(cp.abs(z), 1.5, approx=True))
    constraints = [
        cp.norm1(w) <= bounds.gross_max,
        cp.sum(w) >= bounds.net_min,
        cp.sum(w) <= bounds.net_max,
        cp.abs(w) <= bounds.coin_net_max,
        0.5 * cp.norm1(z) <= bounds.turnover_max,
        w >= inputs.lower,
        w <= inputs.upper,
        beyond >= 0,
        beyond >= -(bounds.scenarios @ w) - bounds.scenario_offset - edge,
        edge + cp.sum(beyond) / (bounds.tail * paths) <= bounds.cvar_max,
    ]
    return cp.Problem(cp.Maximize(1e4 * objective), constraints), w


def direct(inputs: ProgramInputs) -> FloatArray:
    """Return the optimum of the form with every scenario, by Clarabel.

    At 1e-12; with impact, which it knows as second-order cones, at 1e-9.
    """
    curved = bool(inputs.impact.any())
    tolerances = dict.fromkeys(
        ("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9 if curved else 1e-12
    )
    problem, w = stated(inputs)
    problem.solve(  # type: ignore[no-untyped-call]
        cp.CLARABEL, max_iter=500, equilibrate_enable=not curved, **tolerances
    )
    assert problem.status == "optimal"
    return np.asarray(w.value)
