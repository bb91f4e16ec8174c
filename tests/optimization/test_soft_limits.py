from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.strategy import SOFT_LIMITS
from perptui.optimization.soft_limits import (
    EXCESS_NAMES,
    is_soft,
    soft_levels,
    soft_prices,
    with_room,
)
from perptui.risk.arrays import limit_excess
from tests.optimization.market import BALANCED
from tests.optimization.program.fat_tails import fat_inputs

SOFT = msgspec.structs.replace(BALANCED, soft_limits=("turnover", "net", "cvar"), soft_penalty=0.8)


def test_each_less_important_limit_costs_a_quarter() -> None:
    assert soft_prices(SOFT) == {"cvar": 0.8, "net_min": 0.2, "net_max": 0.2, "turnover": 0.05}
    assert soft_levels(SOFT) == ()
    assert soft_prices(BALANCED) == {}


def test_levels_come_most_important_first() -> None:
    strict = msgspec.structs.replace(SOFT, soft_order="lexicographic")
    assert soft_levels(strict) == (("cvar",), ("net_min", "net_max"), ("turnover",))


def test_every_soft_limit_is_one_that_is_held() -> None:
    """Each name stands for limits that `limit_excess` knows."""
    inputs = fat_inputs(3, 300, 1)
    limits = replace(
        inputs.limits,
        market=inputs.covariance[0] / np.sqrt(inputs.covariance[0, 0]),
        market_correlation_max=0.9,
    )
    excess = limit_excess(inputs.before[None, :], inputs.before, limits)
    for name in SOFT_LIMITS:
        assert set(EXCESS_NAMES[name]) <= set(excess), name


def test_checks_are_told_by_their_limit() -> None:
    priced = replace(fat_inputs(2, 50), soft_prices={"beta_up": 1.0, "standalone_risk": 1.0})
    assert is_soft("beta", priced)
    assert is_soft("standalone_risk:v:BTC", priced)
    assert not is_soft("turnover", priced)
    levels = replace(priced, soft_prices={}, soft_levels=(("net_min", "net_max"),))
    assert is_soft("net_max", levels)
    assert not is_soft("beta", levels)


@pytest.mark.parametrize("name", [one for names in EXCESS_NAMES.values() for one in names])
def test_room_is_what_the_limit_gives_way_by(name: str) -> None:
    inputs = fat_inputs(3, 300, 1)
    limits = replace(
        inputs.limits,
        market=inputs.covariance[0] / np.sqrt(inputs.covariance[0, 0]),
        market_correlation_max=0.1,
        cluster=np.array([[1.0, 1.0, 0.0]]),
    )
    inputs = replace(inputs, limits=limits, soft_prices={name: 1.0, "gross": 1.0})
    book = np.array([0.4, -0.1, 0.2])
    before = limit_excess(book[None, :], inputs.before, limits)
    room = {name: np.full_like(before[name][0], 0.01)}
    after = with_room(inputs, room, book)
    assert after.soft_prices == {"gross": 1.0}
    found = limit_excess(book[None, :], inputs.before, after.limits)
    for one, excess in before.items():
        expected = excess - 0.01 if one == name else excess
        assert found[one] == pytest.approx(expected, abs=1e-12), one


def test_no_room_leaves_a_limit_alone() -> None:
    inputs = fat_inputs(3, 300, 1)
    after = with_room(inputs, {"cvar": np.zeros(1)}, inputs.before)
    assert after.limits is inputs.limits
