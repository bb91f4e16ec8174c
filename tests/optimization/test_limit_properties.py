"""What must hold of every book: limits in lots, and how optima answer to what changes."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from perptui.model.limit import Limits
from perptui.optimization.checks import checks_of, exact_book
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.orders import positions_after
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.optimum import optimum
from perptui.optimization.rebalance import rebalance
from perptui.optimization.rounding import hold_lots, round_to_lots
from perptui.optimization.scenarios import HorizonScenarios
from perptui.risk.arrays import limit_excess
from tests.optimization.market import BALANCED, LIMITS, covariance, estimates, instrument, snapshot
from tests.optimization.random_markets import IDS, LEGS, Market, inputs_of, limits_of

pytestmark = pytest.mark.unmeasured

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
MARKETS = st.builds(
    Market,
    seed=st.integers(0, 10_000),
    equity=st.sampled_from([30_000, 300_000, 3_000_000]),
    tight=st.sampled_from([1.0, 0.6]),
    correlation=st.sampled_from([0.2, 0.65, 0.9]),
    coarse=st.sampled_from([1, 10]),
)


@given(MARKETS)
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW, derandomize=True)
def test_every_hard_limit_holds_without_tolerance_after_rounding(market: Market) -> None:
    """Hedges, inverse legs, three accounts, coarse lots, tails: the exact checks in Decimal."""
    inputs = inputs_of(market)
    answer = rebalance(inputs)
    if answer.solution.status != "optimal":
        assert answer.solution.status == "infeasible"
        assert not answer.steps.any()
        return
    after = positions_after(inputs, answer.steps)
    failed = [one.name for one in checks_of(inputs, exact_book(inputs, after)) if not one.ok]
    if failed:
        # Lots may be too coarse for the limits; then rounding says so, and so does holding.
        assert market.coarse > 1 or market.equity == 30_000
        assert round_to_lots(answer.target, inputs).excess > 0
        assert hold_lots(inputs).excess > 0
    for count, one, contracts in zip(answer.steps, inputs.contracts, after, strict=True):
        assert contracts % one.instrument.step == 0
        if count and contracts:
            size = abs(contracts - one.position) * one.usd_per_contract / inputs.equity
            assert float(size) >= inputs.limits.trade_min.max() * (1 - 1e-9)


def test_nearly_every_random_market_can_be_rounded() -> None:
    """What the test above lets through is the exception: here every book keeps every limit."""
    binding: set[str] = set()
    for seed in range(24):
        inputs = inputs_of(Market(seed, 300_000))
        answer = rebalance(inputs)
        if answer.solution.status != "optimal":
            continue
        after = positions_after(inputs, answer.steps)
        assert all(one.ok for one in checks_of(inputs, exact_book(inputs, after))), seed
        excess = limit_excess(answer.target[None, :], inputs.before, inputs.limits)
        binding |= {name for name, part in excess.items() if part.size and part.max() > -1e-6}
    assert binding >= {
        "gross", "turnover", "standalone_risk", "market_correlation", "cvar", "volatility",
        "coin_net", "free_collateral", "beta_up", "beta_down",
    }, binding  # fmt: skip


def test_scaling_equity_scales_notionals() -> None:
    """Ten times the equity, volumes, lots and order limits: ten times every notional."""
    small = inputs_of(Market(11, 100_000), limits=LIMITS)
    large = inputs_of(Market(11, 1_000_000), limits=LIMITS)
    # Tiers are in dollars: both stay within the first, and order limits are far.
    flat = np.zeros_like(small.before)
    both = []
    for inputs in (small, large):
        first = inputs.limits.tier_rates[:1]
        arrays = replace(
            inputs.limits, tier_rates=first, tier_deductions=np.zeros_like(first),
            trade_max=flat + 0.3, initial_rate=flat + 0.05,
        )  # fmt: skip
        both.append(replace(inputs, limits=arrays, before=flat))
    one, two = (optimum(inputs) for inputs in both)
    assert one.status == two.status == "optimal"
    assert np.abs(one.weights).max() > 0.1
    assert two.weights * 1e6 == pytest.approx(10 * one.weights * 1e5, abs=1.0)


def reordered(inputs: ProgramInputs, order: list[int]) -> ProgramInputs:
    """Return the same program with its contracts in another order."""
    places = np.array(order)
    count = len(places)
    changed: dict[str, Any] = {}
    for name in inputs.limits.__dataclass_fields__:
        value = getattr(inputs.limits, name)
        by_contract = isinstance(value, np.ndarray) and value.shape[-1:] == (count,)
        if by_contract and name not in {"scenario_offset", "root_offset", "row_max"}:
            changed[name] = value[..., places]
    arrays = replace(inputs.limits, **changed)
    vectors: dict[str, Any] = {
        name: getattr(inputs, name)[places]
        for name in ("expected_return", "uncertainty", "before", "linear_cost", "impact",
                     "lower", "upper")
    }  # fmt: skip
    holding = inputs.holding_cost
    return replace(
        inputs,
        contracts=tuple(inputs.contracts[i] for i in order),
        covariance=inputs.covariance[np.ix_(places, places)],
        holding_cost=None if holding is None else holding[places],
        limits=arrays,
        **vectors,
    )


@given(st.integers(0, 200), st.permutations(range(len(IDS))))
@settings(max_examples=6, deadline=None, suppress_health_check=SLOW, derandomize=True)
def test_permuting_contracts_permutes_weights(seed: int, order: list[int]) -> None:
    inputs = inputs_of(Market(seed, 300_000))
    one = optimum(inputs)
    assume(one.status == "optimal")
    two = optimum(reordered(inputs, order))
    assert two.status == "optimal"
    assert two.weights == pytest.approx(one.weights[np.array(order)], abs=2e-6)


@pytest.mark.parametrize("seed", range(4))
def test_two_identical_venues_split_without_blowing_up_gross(seed: int) -> None:
    """The same contracts twice, at one price, cost and return: gross is that of one venue."""
    generator = np.random.default_rng(seed)
    coins = ("BTC", "ETH", "SOL")
    mu = generator.normal(0.0, 0.03, 3)
    sigma = np.array(covariance([0.5, 0.65, 0.9], 0.65))
    free = msgspec.structs.replace(LIMITS, participation_max=1.0)
    # Without impact, which is what would make it worth while to split.
    books = []
    for venues in (("binanceusdm",), ("binanceusdm", "bybit")):
        legs = sorted((instrument(c, v) for v in venues for c in coins), key=lambda one: one.id)
        marks = {one.id: "100" for one in legs}
        place = [coins.index(one.coin) for one in legs]
        matrix = sigma[np.ix_(place, place)] + np.diag(np.full(len(legs), 1e-9))
        snap = snapshot(legs, marks, {v: str(120_000 // len(venues)) for v in venues})
        found = estimates(legs, marks, mu[place].tolist(), matrix.tolist())
        draws = generator.standard_t(4, (200, 3)) @ np.linalg.cholesky(sigma).T
        paths = HorizonScenarios(tuple(marks), draws[:, place], (), np.zeros((200, 0)))
        posed = program_inputs(snap, found, BALANCED, free, {}, paths)
        inputs = replace(posed, impact=np.zeros(len(legs)))
        arrays = replace(inputs.limits, scenarios=np.zeros((0, len(legs))),
                         scenario_offset=np.zeros(0))  # fmt: skip
        answer = optimum(replace(inputs, limits=arrays))
        assert answer.status == "optimal"
        books.append((place, answer.weights))
    (_, one), (place, two) = books
    assert np.abs(one).sum() > 0.3
    assert np.abs(two).sum() == pytest.approx(np.abs(one).sum(), abs=1e-5)
    assert np.bincount(place, two) == pytest.approx(one, abs=1e-5)


SEEDS = (22, 28, 41, 43)
TIGHTER: dict[str, dict[str, float]] = {
    "collateral": {"free_collateral_min": 0.995},
    "distance": {"liquidation_distance_min": 0.95},
}
RELAXATIONS: dict[str, Callable[[Limits], dict[str, float]]] = {
    "gross_max": lambda limits: {"gross_max": limits.gross_max * 1.1},
    "net": lambda limits: {"net_min": limits.net_min * 1.2, "net_max": limits.net_max * 1.2},
    "coin_net_max": lambda limits: {"coin_net_max": limits.coin_net_max * 1.1},
    "turnover_max": lambda limits: {"turnover_max": limits.turnover_max * 1.1},
    "volatility_max": lambda limits: {"volatility_max": limits.volatility_max * 1.1},
    "beta_max": lambda limits: {"beta_max": limits.beta_max * 1.2},
    "cvar_max": lambda limits: {"cvar_max": limits.cvar_max * 1.1},
    "standalone": lambda limits: {"standalone_risk_max": limits.standalone_risk_max * 1.1},
    "correlation": lambda limits: {
        "market_correlation_max": min(limits.market_correlation_max * 1.1, 1.0)
    },
    "component": lambda limits: {"first_component_max": limits.first_component_max * 1.1},
    "collateral": lambda limits: {"free_collateral_min": limits.free_collateral_min * 0.99},
    "distance": lambda limits: {"liquidation_distance_min": limits.liquidation_distance_min * 0.9},
}


@pytest.mark.parametrize("name", RELAXATIONS)
def test_relaxing_a_limit_never_worsens_the_objective(name: str) -> None:
    gains = []
    for seed in SEEDS:
        market = Market(seed, 300_000, tight=0.6)
        drawn = limits_of(market, np.random.default_rng(seed))
        tight = msgspec.structs.replace(drawn, **TIGHTER.get(name, {}))
        wider = msgspec.structs.replace(tight, **RELAXATIONS[name](tight))
        before, after = inputs_of(market, limits=tight), inputs_of(market, limits=wider)
        one, two = optimum(before), optimum(after)
        if one.status != "optimal":
            continue
        assert two.status == "optimal"
        gain = float(after.objective(two.exact) - before.objective(one.exact))
        assert gain >= -1e-8, seed
        gains.append(gain)
    # It means something only where the limit bound.
    assert max(gains) > 1e-7


def test_the_legs_of_random_markets_are_what_they_are_named() -> None:
    assert sum(not one.linear for one in LEGS) == 2
    assert len({one.venue for one in LEGS}) == 3
    inputs = inputs_of(Market(0, 300_000))
    assert inputs.limits.collateral_beta is not None
    assert inputs.limits.collateral_beta.tolist() == [0.0, 0.0, 1.0]
    assert inputs.equity == Decimal(300_000)
