"""Soft limits: exact penalties, and least violation level by level."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.soft import INTERIOR
from perptui.optimization.program.solve import solve
from perptui.risk.arrays import limit_excess
from tests.optimization.program.fat_tails import capped, fat_inputs
from tests.optimization.program.test_market_correlation import alike


def excess_of(inputs: ProgramInputs, weights: np.ndarray, name: str) -> float:
    return float(limit_excess(weights[None, :], inputs.before, inputs.limits)[name].max())


def tight(name: str) -> ProgramInputs:
    """Return inputs on which one limit binds."""
    if name == "market_correlation":
        return alike(6, 3, 0.02)
    inputs = fat_inputs(6, 1_200, 4)
    if name == "cvar":
        return capped(inputs)
    limits = inputs.limits
    bent = {
        "turnover": replace(limits, turnover_max=0.2),
        "net_max": replace(limits, net_max=-0.2),
        "cluster": replace(limits, cluster=np.ones((1, 6)), cluster_max=0.5),
        "beta_up": replace(
            limits,
            row_max=np.where(np.array(limits.row_names) == "beta_up", -0.1, limits.row_max),
        ),
        "volatility": replace(limits, volatility_max=0.02),
        "standalone_risk": replace(limits, size_max=np.full(6, 0.1)),
    }[name]
    return replace(inputs, limits=bent)


NAMES = (
    "turnover", "net_max", "cluster", "beta_up", "volatility", "standalone_risk", "cvar",
    "market_correlation",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_above_the_price_of_the_hard_limit_a_penalty_is_exact(name: str) -> None:
    """Fletcher 1987: an L1 penalty is exact where it is larger than every multiplier."""
    hard = tight(name)
    found = solve(hard)
    price = float(found.prices[name].max())
    assert price > 1e-4, "the limit must bind"
    dear = solve(replace(hard, soft_prices={name: 1.2 * price}))
    assert dear.exact == pytest.approx(found.exact, abs=2e-6)
    assert excess_of(hard, dear.exact, name) <= 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_below_it_the_limit_gives_way_and_pays_its_own_price(name: str) -> None:
    hard = tight(name)
    price = 0.5 * float(solve(hard).prices[name].max())
    soft = replace(hard, soft_prices={name: price})
    found = solve(soft)
    assert found.status == "optimal"
    over = excess_of(hard, found.exact, name)
    assert over > 1e-5
    assert float(found.prices[name].max()) == pytest.approx(price, rel=1e-3)
    assert float(found.slacks[name].max()) == pytest.approx(over, abs=1e-6)
    # No book that keeps the limit, nor a mixture with one, is worth more at that price.
    kept = solve(hard).exact
    for share in (0.0, 0.25, 0.5, 0.9):
        other = share * found.exact + (1.0 - share) * kept
        assert float(soft.objective(other)) <= float(soft.objective(found.exact)) + 1e-10


def clash() -> ProgramInputs:
    """Return inputs whose turnover and net limits, and whose net and CVaR, cannot all hold."""
    inputs = fat_inputs(5, 1_200, 8)
    return replace(
        inputs,
        limits=replace(inputs.limits, turnover_max=0.1, net_min=1.2, net_max=2.0, cvar_max=0.12),
    )


@pytest.mark.unmeasured
def test_level_by_level_the_most_important_gives_way_least() -> None:
    inputs = clash()
    assert solve(inputs).status == "infeasible"
    levels = (("cvar",), ("net_min", "net_max"), ("turnover",))
    found = solve(replace(inputs, soft_levels=levels))
    assert found.status == "optimal"
    # Turnover alone can mend it: CVaR holds, net is as near as CVaR lets it, turnover pays.
    assert excess_of(inputs, found.exact, "cvar") <= 1e-6
    cheapest = replace(inputs, limits=replace(inputs.limits, turnover_max=20.0))
    least = solve(replace(cheapest, soft_prices={"net_min": 1e3}))
    assert excess_of(inputs, found.exact, "net_min") == pytest.approx(
        max(excess_of(inputs, least.exact, "net_min"), 0.0), abs=5e-6
    )
    assert excess_of(inputs, found.exact, "turnover") > 0.05
    assert found.slacks["turnover"][0] == pytest.approx(
        excess_of(inputs, found.exact, "turnover"), abs=1e-9
    )
    # With turnover before net, net pays.
    other = solve(replace(inputs, soft_levels=(("cvar",), ("turnover",), ("net_min", "net_max"))))
    assert excess_of(inputs, other.exact, "turnover") <= 2 * INTERIOR
    assert excess_of(inputs, other.exact, "net_min") > 0.05


def test_where_all_can_hold_none_gives_way() -> None:
    inputs = tight("cvar")
    found = solve(replace(inputs, soft_levels=(("cvar",), ("turnover",))))
    hard = solve(inputs)
    assert found.exact.tobytes() == hard.exact.tobytes()
    assert found.slacks["cvar"][0] <= 1e-9


def test_hard_limits_that_clash_stay_infeasible() -> None:
    inputs = clash()
    found = solve(replace(inputs, soft_levels=(("cluster",),)))
    assert found.status == "infeasible"
