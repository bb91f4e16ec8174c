"""The limits stated a second time, in cvxpy straight from method §6, to judge conflicts by."""

from collections.abc import Collection
from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.explain.limit_rows import Key
from perptui.optimization.inputs import FloatArray, ProgramInputs


def excesses(inputs: ProgramInputs, w: cp.Variable) -> dict[Key, list[Any]]:
    """Return, by limit, expressions of the weights that are at most 0 where it holds."""
    limits = inputs.limits
    size, trade = cp.abs(w), cp.abs(w - inputs.before)
    risk = [limits.root @ w + limits.root_offset]
    if limits.covariance_uncertainty:
        alone = np.sqrt(limits.covariance_uncertainty) * cp.sum(cp.multiply(limits.sigma, size))
        risk.append(cp.reshape(alone, (1,), order="C"))
    found: dict[Key, list[Any]] = {
        ("gross", 0): [cp.sum(size) - limits.gross_max],
        ("net_min", 0): [limits.net_min - cp.sum(w)],
        ("net_max", 0): [cp.sum(w) - limits.net_max],
        ("turnover", 0): [0.5 * cp.sum(trade) - limits.turnover_max],
        ("stablecoin", 0): [limits.initial_rate @ size - 1.0 + limits.stablecoin_min],
        # sqrt(a² + b'|w|²) is convex for b'|w| >= 0: written as an epigraph by the caller.
        ("volatility", 0): [_robust(risk) - limits.volatility_max],
    }
    for row, member in enumerate(limits.coin):
        found["coin_net", row] = [cp.abs(member @ w) - limits.coin_net_max]
        found["coin_gross", row] = [member @ size - limits.coin_gross_max]
    for row, member in enumerate(limits.cluster):
        found["cluster", row] = [member @ size - limits.cluster_max]
    for row, name in enumerate(limits.row_names):
        found[name, 0] = [limits.rows[row] @ w - limits.row_max[row]]
    for row in range(len(inputs.before)):
        found["participation", row] = [trade[row] - limits.trade_max[row]]
        found["standalone_risk", row] = [size[row] - limits.size_max[row]]
        below, above = inputs.lower[row] - w[row], w[row] - inputs.upper[row]
        if inputs.lower[row] == inputs.upper[row]:
            found["target", row] = [below, above]
        else:
            found["lower", row], found["upper", row] = [below], [above]
    for row, (member, share) in enumerate(zip(limits.account, limits.equity_share, strict=True)):
        found["venue_gross", row] = [member @ size - limits.venue_gross_max * share]
        bound = member @ cp.multiply(limits.initial_rate, size)
        found["free_collateral", row] = [bound - (1.0 - limits.free_collateral_min) * share]
        needed = _maintenance(inputs, size, member, np.zeros(len(inputs.before)))
        found["margin_ratio", row] = [needed - limits.margin_ratio_max * share]
        for name, moves in zip(limits.stress_names, limits.stress, strict=True):
            stressed = _maintenance(inputs, size, member, moves)
            left = (1.0 - limits.depeg) * share + (member * moves) @ w
            found[f"stress_{name}", row] = [(1.0 + limits.cushion) * stressed - left]
    if limits.has_tail:
        found["cvar", 0] = [_shortfall(inputs, w) - limits.cvar_max]
    return found


def _robust(parts: list[Any]) -> Any:
    # hstack of |w| terms in a norm is not DCP; the norm of an upper bound of each part is.
    return cp.norm(cp.hstack([cp.norm(parts[0], 2), *parts[1:]]), 2)


def _maintenance(inputs: ProgramInputs, size: Any, member: FloatArray, moves: FloatArray) -> Any:
    limits = inputs.limits
    rates = limits.tier_rates * (1.0 + moves * limits.linear)
    total = cp.Constant(0.0)
    for row in np.flatnonzero(member):
        tiers = cp.multiply(rates[:, row], size[row]) - limits.tier_deductions[:, row]
        total = total + cp.max(tiers)
    return total


def _shortfall(inputs: ProgramInputs, w: cp.Variable) -> Any:
    """Return min over a of a + E[(loss - a)+]/tail as the mean of the worst losses."""
    losses = -(inputs.limits.scenarios @ w + inputs.limits.scenario_offset)
    worst = inputs.limits.tail * len(inputs.limits.scenarios)
    return cp.sum_largest(losses, worst) / worst


def least_excess(inputs: ProgramInputs, keys: Collection[Key]) -> float:
    """Return the least common excess over these limits: positive where they clash."""
    w, excess = cp.Variable(len(inputs.before)), cp.Variable()
    limits = excesses(inputs, w)
    rows = [part <= excess for key in keys for part in limits.get(key, [])]
    problem: Any = cp.Problem(cp.Minimize(excess), [*rows, excess >= -1.0])
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    least: Any = excess.value
    return float(least)


def every_key(inputs: ProgramInputs) -> tuple[Key, ...]:
    """Return all limits of the inputs."""
    return tuple(excesses(inputs, cp.Variable(len(inputs.before))))
