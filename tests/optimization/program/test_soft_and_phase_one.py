"""Slack: soft limits at a price, room that was given, and phase 1."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.convex import solve_roughly
from perptui.optimization.program.phase_one import clashes
from perptui.risk.arrays import limit_excess
from tests.optimization.program.plain import Kind, Plain
from tests.optimization.program.random_programs import Shape, random_program, tightened

pytestmark = pytest.mark.unmeasured

SOFT = ("gross", "net_max", "coin_net", "stress_up", "turnover", "volatility", "beta_up")


def bound(name: str, seed: int, features: tuple[str, ...] = ()) -> ProgramInputs:
    """Return a program in which a limit binds."""
    inputs = random_program(Shape(4, 2, features), seed)
    if name == "net_max":
        inputs = replace(inputs, expected_return=np.abs(inputs.expected_return))
    if name == "beta_up":
        rows = np.vstack([inputs.expected_return / 0.02, inputs.limits.rows[1]])
        inputs = replace(inputs, limits=replace(inputs.limits, rows=rows))
    found = tightened(inputs, [name], np.random.default_rng(seed))
    assert solve_roughly(found).prices[name].max() > 1e-5, "the limit must bind"
    return found


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("features", [(), ("impact", "robust")])
def test_a_soft_limit_gives_way_as_far_as_its_price_lets_it(
    name: str, features: tuple[str, ...]
) -> None:
    inputs = bound(name, 3, features)
    price = float(solve_roughly(inputs).prices[name].max())
    soft = replace(inputs, soft_prices={name: 0.5 * price})
    found = solve_roughly(soft)
    assert found.status == "optimal"
    excess = limit_excess(found.exact[None, :], soft.before, soft.limits)[name][0]
    assert excess.max() > 1e-4, "it must give way, or this tests nothing"
    assert found.slacks[name] == pytest.approx(np.maximum(excess, 0.0), abs=1e-6)
    assert found.prices[name].max() == pytest.approx(0.5 * price, rel=1e-4)
    expected, _ = Plain(Kind.of(soft)).weights(soft)
    assert found.exact == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SOFT)
def test_a_penalty_above_the_price_is_exact(name: str) -> None:
    """L1 penalties are: the soft limit then holds as a hard one does (method §6)."""
    inputs = bound(name, 4)
    hard = solve_roughly(inputs)
    soft = solve_roughly(replace(inputs, soft_prices={name: 2.0 * hard.prices[name].sum()}))
    assert soft.exact == pytest.approx(hard.exact, abs=1e-5)
    assert soft.slacks[name].max() <= 1e-6


@pytest.mark.parametrize("name", SOFT)
def test_room_given_is_as_a_wider_limit(name: str) -> None:
    inputs = bound(name, 5)
    free = solve_roughly(replace(inputs, soft_prices={name: 1e-9})).exact
    needed = limit_excess(free[None, :], inputs.before, inputs.limits)[name][0]
    room = replace(inputs.limits, room={name: np.full_like(needed, needed.max() + 1e-3)})
    found = solve_roughly(replace(inputs, limits=room))
    assert found.exact == pytest.approx(free, abs=1e-5)


def clashing() -> ProgramInputs:
    """Return a program that must hold a net of .5 with a gross of .3."""
    inputs = random_program(Shape(3), 1)
    limits = replace(inputs.limits, net_min=0.5, gross_max=0.3)
    return replace(inputs, limits=limits)


def net_and_gross(net: float, gross: float) -> ProgramInputs:
    """Return a program that must hold a net under a gross limit."""
    inputs = clashing()
    return replace(inputs, limits=replace(inputs.limits, net_min=net, gross_max=gross))


def test_a_clash_is_found_where_limits_miss_each_other_by_a_hair() -> None:
    """A net of .5 needs a gross of .5."""
    assert solve_roughly(clashing()).status == "infeasible"
    assert clashes(clashing())
    assert clashes(net_and_gross(0.5, 0.5 - 1e-5))
    assert not clashes(net_and_gross(0.5, 0.5))


def test_nothing_clashes_where_a_book_exists() -> None:
    assert not clashes(bound("gross", 6))


@pytest.mark.parametrize(("share", "clash"), [(0.4 - 1e-4, True), (0.4 + 1e-4, False)])
def test_a_risk_limit_clashes_with_a_fixed_target_beyond_it(share: float, clash: bool) -> None:
    """One contract at .4 takes .4 sigma of risk."""
    inputs = random_program(Shape(1), 2)
    fixed = np.array([0.4])
    limits = replace(inputs.limits, volatility_max=share * float(inputs.limits.sigma[0]))
    asked = replace(inputs, limits=limits, lower=fixed, upper=fixed)
    assert clashes(asked) is clash
    assert (solve_roughly(asked).status == "infeasible") is clash


def test_soft_limits_are_no_part_of_a_clash() -> None:
    inputs = clashing()
    found = solve_roughly(replace(inputs, soft_prices={"net_min": 1.0}))
    assert found.status == "optimal"
    assert found.slacks["net_min"][0] == pytest.approx(0.2, abs=1e-6)
    assert not clashes(replace(inputs, soft_prices={"net_min": 1.0}))
