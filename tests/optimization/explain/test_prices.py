"""Prices of limits against finite differences of the re-solved objective (method §12)."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pytest

from perptui.model.explanation import LimitPrice
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.checks import checks_of, float_book
from perptui.optimization.explain.drift import usd_a_day
from perptui.optimization.explain.ledger import ledger_of
from perptui.optimization.explain.prices import limit_prices, setting_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.optimization.rebalance import rebalance
from perptui.optimization.scenarios import HorizonScenarios
from tests.optimization.explain.markets import (
    LOOSE,
    PLAIN,
    Market,
    bent,
    market,
    one_venue,
    with_regime,
)
from tests.optimization.market import BALANCED, estimates, instrument, snapshot
from tests.optimization.random_markets import inverse

Changes = Mapping[str, Any]

# By the setting that must have a price.
BINDING: dict[str, dict[str, Any]] = {
    "gross_max": {"gross_max": 0.8},
    "net_max": {"net_max": 0.1},
    "net_min": {"net_min": 0.3},
    "coin_net_max": {"coin_net_max": 0.2},
    "coin_gross_max": {"coin_gross_max": 0.25},
    "venue_gross_max": {"venue_gross_max": 0.9},
    "margin_ratio_max": {"margin_ratio_max": 0.003, "liquidation_distance_min": 0.01},
    "liquidation_distance_min": {"liquidation_distance_min": 0.7},
    "turnover_max": {"turnover_max": 0.4},
    "volatility_max": {"volatility_max": 0.25},
    "participation_max": {"participation_max": 2e-5},
    "beta_max": {"beta_max": 0.05},
    "cvar_max": {"cvar_max": 0.06},
    "standalone_risk_max": {"standalone_risk_max": 0.3, "volatility_max": 0.5},
    "market_correlation_max": {"market_correlation_max": 0.1},
    "first_component_max": {"first_component_max": 0.05, "volatility_max": 2.0},
    "free_collateral_min": {"free_collateral_min": 0.99},
    "ticket_notional_max_usd": {"ticket_notional_max_usd": Decimal(100000)},
}
# Markets in which each of them does bind.
FLOORS = {"net_min", "free_collateral_min", "liquidation_distance_min"}
SEEDS = {"net_max": (0, 2), "net_min": (1, 5), "beta_max": (0, 3), "market_correlation_max": (0, 3)}


def solved(inputs: ProgramInputs) -> Solution:
    found = solve(inputs)
    assert found.status == "optimal", found.detail
    return found


def worth(inputs: ProgramInputs) -> float:
    """Return the optimum's objective, USD a day."""
    return usd_a_day(inputs, float(inputs.objective(solved(inputs).exact)))


def prices_of(
    told: Market, limits: Limits, strategy: StrategyParameters = PLAIN, *, tail: bool = False
) -> tuple[LimitPrice, ...]:
    inputs = told.posed(limits, strategy, tail=tail)
    found = solved(inputs)
    optimum = checks_of(inputs, float_book(inputs, found.exact))
    return limit_prices(inputs, found, optimum)


def by_setting(prices: tuple[LimitPrice, ...], setting: str) -> float:
    return sum(one.price_usd_per_day for one in prices if one.setting == setting)


def slope(
    told: Market,
    limits: Limits,
    setting: str,
    strategy: StrategyParameters = PLAIN,
    *,
    tail: bool = False,
) -> float:
    """Return the finite difference of the optimum's worth, per 1.0 of a relaxed setting."""
    at = float(getattr(limits, setting))
    step = 1e-4 * abs(at)
    high, low = (
        worth(told.posed(bent(limits, setting, value), strategy, tail=tail))
        for value in (at + step, at - step)
    )
    sign = -1.0 if setting in FLOORS else 1.0
    return sign * (high - low) / (2.0 * step)


@pytest.mark.unmeasured
@pytest.mark.parametrize("setting", BINDING)
def test_a_price_is_what_the_setting_is_worth(setting: str) -> None:
    tail = setting == "cvar_max"
    for seed in SEEDS.get(setting, (0, 1)):
        told = market(seed)
        limits = msgspec.structs.replace(LOOSE, **BINDING[setting])
        found = prices_of(told, limits, tail=tail)
        price = by_setting(found, setting)
        assert price * float(getattr(limits, setting)) > 1e-3, "must bind, or this tests nothing"
        # Read by its direction alone, a price is the slope of what the optimum is worth.
        way = "down" if setting in FLOORS else "up"
        assert {one.direction for one in found if one.setting == setting} == {way}
        assert price == pytest.approx(slope(told, limits, setting, tail=tail), rel=1e-2)


@pytest.mark.parametrize("expected", [0.2, -0.2])
def test_a_liquidation_distance_counts_that_coin_as_collateral_moves_with_it(
    expected: float,
) -> None:
    """A coin-margined leg against a linear one, the coin's own account nearest to liquidation."""
    legs = [instrument("BTC"), inverse("BTC")]
    marks = {one.id: "60000" for one in legs}
    book = snapshot(legs, marks, {"coinm": "20000", "binanceusdm": "80000"})
    alike = [[0.01, 0.0099], [0.0099, 0.01]]
    hopes = estimates(legs, marks, [0.0, expected], alike, volume_usd_day=1e9)
    told = Market(book, hopes, HorizonScenarios.none())
    limits = msgspec.structs.replace(LOOSE, liquidation_distance_min=0.45)
    found = prices_of(told, limits, BALANCED)
    assert {one.name: one for one in found}["margin_stress:coinm"].price_usd_per_day > 1.0
    price = by_setting(found, "liquidation_distance_min")
    gained = slope(told, limits, "liquidation_distance_min", BALANCED)
    assert price == pytest.approx(gained, rel=1e-3)


@pytest.mark.parametrize("setting", ["order_notional_max_usd", "ticket_notional_max_usd"])
def test_a_row_is_in_the_units_of_the_setting_that_has_its_price(setting: str) -> None:
    told = market(0)
    limits = msgspec.structs.replace(LOOSE, **{setting: Decimal(30000)})
    rows = [one for one in prices_of(told, limits) if one.setting == setting]
    priced = [one for one in rows if one.price_usd_per_day > 0.0]
    assert priced
    for one in priced:
        assert one.limit == 30000.0
        # It binds: what is traded stands at the limit, USD.
        assert one.value == pytest.approx(30000.0, rel=1e-4)


PAIRED = ("gross_max", "coin_gross_max", "turnover_max", "volatility_max", "cvar_max", "beta_max")


@pytest.mark.unmeasured
@pytest.mark.parametrize("pair", list(combinations(PAIRED, 2)), ids="-".join)
def test_prices_hold_where_limits_bind_in_pairs(pair: tuple[str, str]) -> None:
    tail, both = "cvar_max" in pair, False
    for seed, share in ((0, 0.9), (3, 0.9), (5, 0.9), (6, 0.9)):
        told = market(seed)
        limits = msgspec.structs.replace(LOOSE, **BINDING[pair[0]])
        # The second one is set below what the first one alone leaves it.
        inputs = told.posed(limits, tail=tail)
        checks = checks_of(inputs, float_book(inputs, solved(inputs).exact))
        stem = pair[1].removesuffix("_max")
        reached = max(one.value for one in checks if one.name.partition(":")[0] == stem)
        limits = bent(limits, pair[1], reached - (1.0 - share) * abs(reached))
        prices = prices_of(told, limits, tail=tail)
        values = {setting: by_setting(prices, setting) for setting in pair}
        both = min(values[one] * abs(float(getattr(limits, one))) for one in pair) > 1e-3
        for setting, price in values.items():
            found = slope(told, limits, setting, tail=tail)
            assert price == pytest.approx(found, rel=1e-2, abs=1e-3)
        if both:
            return
    assert both, "the pair must bind together somewhere"


def test_every_limit_is_named_and_one_that_does_not_bind_costs_nothing() -> None:
    told = market(0)
    inputs = told.posed(msgspec.structs.replace(LOOSE, gross_max=0.8), tail=True)
    found = solved(inputs)
    optimum = checks_of(inputs, float_book(inputs, found.exact))
    prices = limit_prices(inputs, found, optimum)
    assert [one.name for one in prices[: len(optimum)]] == [check.name for check in optimum]
    known = set(Limits.__struct_fields__) | {"cluster_gross_max", ""}
    for one, check in zip(prices, optimum, strict=False):
        assert one.setting == setting_of(check.name)
        assert one.setting in known
        if not check.binding:
            assert one.price_usd_per_day == 0.0
    assert {one.name for one in prices if one.price_usd_per_day > 0.0} == {"gross"}


def test_the_exposure_of_the_regime_passes_on_its_share() -> None:
    # gross <= gross_max·e: one more of gross_max gives e more of gross.
    told = with_regime(market(0), exposure=0.5)
    strategy = msgspec.structs.replace(PLAIN, follow_regime=True)
    limits = msgspec.structs.replace(LOOSE, gross_max=3.0)
    prices = {one.name: one for one in prices_of(told, limits, strategy)}
    assert prices["gross"].limit == 1.5
    assert prices["gross"].price_usd_per_day > 1.0
    found = slope(told, limits, "gross_max", strategy)
    assert prices["gross"].price_usd_per_day == pytest.approx(found, rel=1e-3)


def test_a_drawdown_limit_is_worth_the_risk_budget_it_gives() -> None:
    # Equity 120,000 of a peak of 125,000 is a drawdown of 4 %; volatility_max·(1 - DD/DD_max).
    told = market(0, peak="125000")
    strategy = msgspec.structs.replace(PLAIN, drawdown_control=True)
    limits = msgspec.structs.replace(LOOSE, volatility_max=0.3, drawdown_max=0.1)
    prices = {one.name: one for one in prices_of(told, limits, strategy)}
    assert prices["volatility"].limit == pytest.approx(0.3 * (1.0 - 0.04 / 0.1))
    # The drawdown itself is far from its limit: it is not what is charged.
    assert prices["drawdown"].price_usd_per_day == 0.0
    for name, setting in (("drawdown_control", "drawdown_max"), ("volatility", "volatility_max")):
        assert prices[name].price_usd_per_day > 1.0
        found = slope(told, limits, setting, strategy)
        assert prices[name].price_usd_per_day == pytest.approx(found, rel=1e-2)


SHARES_OF_RISK: dict[str, dict[str, float]] = {
    "standalone": {"standalone_risk_max": 0.3, "volatility_max": 0.5},
    "component": {"first_component_max": 0.05, "volatility_max": 2.0},
    "beside volatility": {"standalone_risk_max": 0.5, "volatility_max": 0.3},
}


@pytest.mark.parametrize("case", SHARES_OF_RISK)
def test_a_share_of_the_risk_budget_gives_the_budget_a_price(case: str) -> None:
    """Whether the volatility itself binds or not: it widens what is set as a share of it."""
    told = market(0, peak="125000")
    strategy = msgspec.structs.replace(PLAIN, drawdown_control=True)
    limits = msgspec.structs.replace(LOOSE, drawdown_max=0.1, **SHARES_OF_RISK[case])
    prices = prices_of(told, limits, strategy)
    for setting in ("drawdown_max", "volatility_max", *SHARES_OF_RISK[case]):
        price = by_setting(prices, setting)
        assert price > 1.0
        assert price == pytest.approx(slope(told, limits, setting, strategy), rel=1e-3)


def test_a_cvar_that_drawdown_sets_is_priced_by_the_drawdown_limit() -> None:
    """CVaR at most eta·(DD_max - DD): the row that binds is charged, and says which key does it."""
    told = market(0, peak="125000")
    strategy = msgspec.structs.replace(PLAIN, drawdown_control=True, drawdown_share=0.5)
    limits = msgspec.structs.replace(LOOSE, cvar_max=0.3, drawdown_max=0.1)
    prices = {one.name: one for one in prices_of(told, limits, strategy, tail=True)}
    assert prices["cvar"].setting == "drawdown_max"
    assert prices["cvar"].limit == 0.1
    # On the limit: what the book needs of it is all of it.
    assert prices["cvar"].value == pytest.approx(0.1, abs=1e-6)
    assert prices["cvar"].price_usd_per_day > 1.0
    assert prices["drawdown"].price_usd_per_day == 0.0
    found = slope(told, limits, "drawdown_max", strategy, tail=True)
    total = sum(one.price_usd_per_day for one in prices.values() if one.setting == "drawdown_max")
    assert total == pytest.approx(found, rel=1e-2)


def test_a_cluster_and_the_stablecoin_share_have_prices() -> None:
    told = market(1)
    strategy = msgspec.structs.replace(PLAIN, cluster_correlation=0.3, cluster_gross_max=0.5)
    prices = prices_of(told, LOOSE, strategy)
    step = 1e-4
    high, low = (
        worth(told.posed(LOOSE, msgspec.structs.replace(strategy, cluster_gross_max=0.5 + s)))
        for s in (step, -step)
    )
    assert by_setting(prices, "cluster_gross_max") > 1.0
    assert by_setting(prices, "cluster_gross_max") == pytest.approx(
        (high - low) / (2.0 * step), rel=1e-2
    )
    least = 0.992
    held = {one.name: one for one in prices_of(told, LOOSE, _kept_free(least))}
    high, low = (worth(told.posed(LOOSE, _kept_free(least + s))) for s in (1e-5, -1e-5))
    assert held["stablecoin"].price_usd_per_day > 1.0
    assert held["stablecoin"].price_usd_per_day == pytest.approx((low - high) / 2e-5, rel=1e-2)


def _kept_free(share: float) -> StrategyParameters:
    return msgspec.structs.replace(PLAIN, stablecoin_min=(share,) * 4)


def test_a_fixed_target_is_priced_by_what_raising_it_gains() -> None:
    told = market(0)
    name = told.snapshot.instruments[0].id
    inputs = told.posed(targets={name: 0.3})
    found = solved(inputs)
    prices = limit_prices(inputs, found, ())
    high, low = (worth(told.posed(targets={name: 0.3 + s})) for s in (1e-4, -1e-4))
    by_name = {one.name: one for one in prices}
    assert by_name[f"target:{name}"].setting == f"target:{name}"
    assert by_name[f"target:{name}"].price_usd_per_day == pytest.approx(
        (high - low) / 2e-4, rel=1e-3
    )
    assert not np.isclose(by_name[f"target:{name}"].price_usd_per_day, 0.0)


def test_ties_have_the_range_of_re_solves_to_either_side() -> None:
    """With one venue its gross limit and the book's say the same: relaxing one alone gains nothing.

    A third limit that says so too leaves two ways to share the price.
    """
    for same, ties in (
        ({"gross_max": 0.8, "venue_gross_max": 0.8}, 2),
        ({"gross_max": 0.8, "venue_gross_max": 0.8, "free_collateral_min": 0.992}, 3),
    ):
        told = one_venue(0)
        limits = msgspec.structs.replace(LOOSE, **same)
        prices = {one.name: one for one in prices_of(told, limits)}
        tied = [one for one in prices.values() if one.high is not None]
        assert len(tied) == ties
        best = worth(told.posed(limits))
        for one in tied:
            at = float(getattr(limits, one.setting))
            step, sign = 0.01 * min(at, 1.0 - at), -1.0 if one.setting.endswith("_min") else 1.0
            high, low = (
                worth(told.posed(bent(limits, one.setting, value)))
                for value in (at + sign * step, at - sign * step)
            )
            assert one.low == pytest.approx((high - best) / step, rel=5e-2, abs=1e-6)
            assert one.high == pytest.approx((best - low) / step, rel=5e-2)
            assert one.low is not None
            assert one.low <= one.price_usd_per_day <= (one.high or 0.0)


SMALL: dict[str, Any] = {"trade_min_usd": Decimal(30000), "coin_net_max": 0.3, "gross_max": 1.2}


def worth_in_trades(told: Market, setting: str, value: float) -> float:
    """Return the worth of the optimum without trades that are too small, USD a day."""
    limits = bent(msgspec.structs.replace(LOOSE, **SMALL), setting, value)
    inputs = told.posed(limits)
    return usd_a_day(inputs, float(inputs.objective(rebalance(inputs).solution.exact)))


def test_a_trade_that_is_too_small_is_charged_to_no_other_limit() -> None:
    """Against finite differences of the whole answer, small trades left out each time."""
    told = market(0)
    inputs = told.posed(msgspec.structs.replace(LOOSE, **SMALL))
    answer = rebalance(inputs)
    explained = answer.solved
    assert explained is not None
    assert explained.left_out, "must leave something out, or this tests nothing"
    optimum = checks_of(inputs, float_book(inputs, answer.target))
    prices = limit_prices(explained, answer.solution, optimum)
    for setting in ("coin_net_max", "gross_max", "trade_min_usd"):
        at = float(SMALL[setting])
        step = 1e-4 * at
        ends = [worth_in_trades(told, setting, at + way * step) for way in (1.0, -1.0)]
        price = by_setting(prices, setting)
        assert price == pytest.approx((ends[0] - ends[1]) / (2.0 * step), rel=1e-2, abs=1e-6)
    assert by_setting(prices, "gross_max") + by_setting(prices, "coin_net_max") > 1.0
    shown = {one.name: one for one in prices if one.name.startswith("trade_min:")}
    assert set(shown) == {f"trade_min:{name}" for name in explained.left_out}
    assert all(0.0 < one.value < one.limit == 30000.0 for one in shown.values())
    assert {one.setting for one in shown.values()} == {"trade_min_usd"}
    for row in ledger_of(explained, answer.solution):
        assert abs(row.residual) < 1e-3
        if row.id in explained.left_out:
            assert not {name for name in row.by_limit if name.startswith(("bound:", "funding"))}
