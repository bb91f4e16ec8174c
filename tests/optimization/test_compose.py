import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.model.errors import OptimizationError
from perptui.model.explanation import COARSE
from perptui.model.limit import Limits
from perptui.model.order import Effect, Side
from perptui.model.proposal import Proposal, TargetRow
from perptui.model.strategy import StrategyParameters
from perptui.optimization.compose import compose
from perptui.optimization.costs import trade_costs
from perptui.optimization.explain.clash import HOLD
from perptui.optimization.orders import beyond_limits
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    WIDE,
    covariance,
    estimates,
    snapshot,
)
from tests.optimization.three_coins import BTC, DRIFTLESS, ETH, LEGS, MARKS, SIGMA, SOL, market_of

D = Decimal


def proposed(
    expected: Sequence[float],
    positions: Mapping[str, str] | None = None,
    *,
    limits: Limits = LIMITS,
    strategy: StrategyParameters = BALANCED,
    overrides: Mapping[str, float] | None = None,
    peak: str | None = None,
    label: str = "normal",
    exposure: float = 1.0,
) -> Proposal:
    snap = market_of(positions, peak)
    found = estimates(LEGS, MARKS, expected, SIGMA, label=label, exposure=exposure)
    inputs = program_inputs(snap, found, strategy, limits, overrides or {})
    return compose(inputs, rebalance(inputs), snap, found, strategy, "digest of the snapshot")


def row(proposal: Proposal, identifier: str) -> TargetRow:
    return next(one for one in proposal.rows if one.id == identifier)


def test_a_flip_is_a_reduce_only_close_and_then_an_opening() -> None:
    proposal = proposed([0.04, 0.0, 0.0], {BTC: "-0.5"})
    legs = [order for order in proposal.orders if order.id == BTC]
    assert [(leg.effect, leg.reduce_only) for leg in legs] == [
        (Effect.REDUCE, True),
        (Effect.ADD, False),
    ]
    assert legs[0].before == D("-0.5")
    assert legs[0].after == 0 == legs[1].before
    assert legs[1].after == row(proposal, BTC).contracts_after > 0
    assert all(leg.side is Side.BUY for leg in legs)
    kinds = [order.reduce_only for order in proposal.orders]
    assert kinds == sorted(kinds, reverse=True), "reductions go first"


def test_prices_stand_at_the_collar_towards_the_mark() -> None:
    collar = msgspec.structs.replace(LIMITS, collar_bps=37.0)
    proposal = proposed([0.03, -0.05, 0.0], limits=collar)
    prices = {order.id: order.limit_price for order in proposal.orders}
    # 60 000·1.0037 = 60 222; 3 000·.9963 = 2 988.9; both are ticks of .1 already.
    assert prices[BTC] == D("60222")
    assert prices[ETH] == D("2988.9")
    narrow = proposed([0.03, -0.05, 0.0], limits=msgspec.structs.replace(LIMITS, collar_bps=0.011))
    # 60 000.066 floors to 60 000.0 for a buyer, 2 999.9967 ceils to 3 000.0 for a seller.
    assert {order.limit_price for order in narrow.orders} >= {D("60000.0"), D("3000.0")}


def test_reducing_legs_have_the_wide_collar_of_a_storm() -> None:
    """Five times the volatility: 3 sigma of 30 s is above 30 bp, and only reductions get it."""
    positions = {BTC: "1.5", ETH: "-20"}
    wild = covariance([4.0, 4.0, 4.0], 0.7)
    snap = market_of(positions)
    found = estimates(LEGS, MARKS, [0.0, 0.0, 0.0], wild)
    inputs = program_inputs(snap, found, BALANCED, WIDE, {BTC: 0.3, ETH: -0.7})
    made = compose(inputs, rebalance(inputs), snap, found, BALANCED, "digest of the snapshot")
    legs = {order.id: order for order in made.orders}
    assert legs[BTC].reduce_only
    assert not legs[ETH].reduce_only
    # 117.041 bp of 60 000 is 702.25, ceiled towards the mark; 30 bp of 3 000 is 9.
    assert legs[BTC].limit_price == D("59297.8")
    assert legs[ETH].limit_price == D("2991")


def test_the_cost_of_an_order_is_fee_half_spread_and_root_impact() -> None:
    proposal = proposed([0.03, 0.0, 0.0])
    order = next(one for one in proposal.orders if one.id == BTC)
    size = float(order.notional_usd)
    assert order.fee_usd == (order.notional_usd * D("0.0005")).quantize(D("0.01"))
    impact = 0.5 / 365**0.5 * size * (size / 1e9) ** 0.5
    assert float(order.slippage_usd) == pytest.approx(0.0001 * size + impact, abs=0.006)
    assert proposal.cost_usd == sum(one.fee_usd + one.slippage_usd for one in proposal.orders)


def test_rows_say_what_is_before_and_after() -> None:
    proposal = proposed([0.03, -0.04, 0.0], {BTC: "0.2"})
    btc = row(proposal, BTC)
    assert btc.weight_now == pytest.approx(0.12)
    assert btc.contracts_now == D("0.2")
    assert btc.weight_rounded == pytest.approx(float(btc.contracts_after) * 0.6)
    assert btc.trade_usd == (btc.contracts_after - D("0.2")) * 60000
    # E[F] over 10 days is .003 and a long pays it: .0003 a day.
    assert btc.carry_usd_day_now == D("-3.60")
    assert btc.carry_apr == pytest.approx(-0.1095)
    assert proposal.status == "ok"
    assert proposal.exportable
    assert proposal.turnover == pytest.approx(
        sum(abs(one.weight_rounded - one.weight_now) for one in proposal.rows) / 2
    )
    gross = sum(abs(one.weight_rounded) for one in proposal.rows)
    assert proposal.risk.gross == pytest.approx(gross)
    assert proposal.risk_now.gross == pytest.approx(0.12)
    # BTC 20 % down: nothing liquidates a book this small.
    assert proposal.risk_now.liquidation_down is None
    assert proposal.risk_now.worst_account == "binanceusdm"


def test_the_reason_is_the_largest_gain_along_the_trade() -> None:
    assert row(proposed([0.04, 0.0, 0.0]), BTC).why == "drift"
    # Funding alone: mu = -E[F], the drift is nothing.
    assert row(proposed([-0.003, -0.003, -0.003]), BTC).why in {"carry", ""}
    carry = proposed(
        [-0.003, -0.003, -0.003], strategy=msgspec.structs.replace(BALANCED, cost_aversion=0.0)
    )
    assert row(carry, BTC).why == "carry"
    assert row(carry, BTC).trade_usd < 0
    assert row(proposed([0.0, 0.0, 0.0], {BTC: "1.2"}), BTC).why in {"risk", "carry"}
    assert row(proposed([0.04, 0.0, 0.0], {BTC: "2"}), BTC).why == "coin limit"
    edited = row(proposed([0.0, 0.0, 0.0], overrides={ETH: 0.3}), ETH)
    assert (edited.why, edited.edited, edited.contracts_after) == ("edited", True, D("10.000"))


def test_a_book_over_its_limits_is_brought_back() -> None:
    proposal = proposed([0.0, 0.0, 0.0], {BTC: "2", ETH: "20"})
    assert {one.name for one in proposal.limits_now if not one.ok} >= {"coin_net:BTC", "net_max"}
    assert all(one.ok for one in proposal.limits)
    assert proposal.exportable


def test_binding_limits_are_marked_as_of_before_rounding() -> None:
    limits = msgspec.structs.replace(LIMITS, coin_net_max=0.1001)
    proposal = proposed([0.05, 0.0, 0.0], limits=limits)
    btc = next(one for one in proposal.limits if one.name == "coin_net:BTC")
    assert btc.binding
    assert btc.value < btc.limit
    assert not next(one for one in proposal.limits if one.name == "coin_net:ETH").binding


def test_clashing_limits_are_named_with_what_they_would_need() -> None:
    limits = msgspec.structs.replace(LIMITS, turnover_max=0.3)
    proposal = proposed([0.0, 0.0, 0.0], {BTC: "2.5"}, limits=limits)
    assert proposal.status == "infeasible" == proposal.solver.status
    assert not proposal.exportable
    assert proposal.orders == ()
    assert all(one.weight_target == one.weight_now for one in proposal.rows)
    clash, hold, reduce = proposal.reasons
    assert "turnover 30% and coin_net:BTC 0.8x" in clash
    assert hold.startswith("hold")
    assert reduce.startswith("reduce-only")


def test_tactical_scales_gross_and_cushion_with_the_regime() -> None:
    tactical = msgspec.structs.replace(BALANCED, name="tactical", follow_regime=True)
    proposal = proposed([0.05, 0.04, 0.05], strategy=tactical, label="crisis", exposure=0.2)
    gross = next(one for one in proposal.limits if one.name == "gross")
    assert gross.limit == pytest.approx(0.6)
    assert gross.ok
    assert proposal.exposure == 0.2
    # Cushion 2 in crisis against .5: the same book is stressed by 3 instead of 1.5 margins.
    book = {BTC: "0.5"}
    calm = proposed([0.0] * 3, book)
    crisis = proposed([0.0] * 3, book, strategy=tactical, label="crisis", exposure=0.2)

    def stress(one: Proposal) -> float:
        return next(x.value for x in one.limits_now if x.name.startswith("margin_stress"))

    # 30 000 long, 20 % down: 6 000 lost, MM(24 000) = 96; 500 set aside for what a trade costs.
    assert stress(calm) == pytest.approx((6000 + 1.5 * 96 + 500) / 1e5)
    assert stress(crisis) == pytest.approx((6000 + 3 * 96 + 500) / 1e5)


def test_a_cut_beyond_one_turnover_goes_as_far_as_it_can() -> None:
    tactical = msgspec.structs.replace(BALANCED, name="tactical", follow_regime=True)
    limits = msgspec.structs.replace(LIMITS, turnover_max=0.2)
    book = {BTC: "1", ETH: "-20", SOL: "0"}
    proposal = proposed(
        [0.0] * 3, book, strategy=tactical, limits=limits, label="crisis", exposure=0.1
    )
    assert proposal.status == "ok"
    assert proposal.exportable
    # From 1.2 towards .3, at most 2·.2·.98 in one go.
    gross = next(one for one in proposal.limits if one.name == "gross")
    assert gross.limit == pytest.approx(1.2 - 0.392)
    assert any("propose again" in reason for reason in proposal.reasons)


def test_no_trade_is_a_result_with_its_reason() -> None:
    proposal = proposed([0.0001, 0.0, -0.0001])
    assert proposal.status == "no_trade"
    assert not proposal.exportable
    assert "no trade gains more than it costs within the limits" in proposal.reasons


def test_more_orders_than_a_ticket_takes_are_not_exportable() -> None:
    limits = msgspec.structs.replace(LIMITS, ticket_legs_max=1)
    proposal = proposed([0.03, -0.05, 0.0], limits=limits)
    assert proposal.status == "ok"
    assert not proposal.exportable
    assert any("more than the 1 of one ticket" in reason for reason in proposal.reasons)


def test_a_target_whose_lots_break_a_limit_has_no_book_and_says_the_width_that_would_do() -> None:
    # A lot of SOL is 15 % of 1 000 USD. From .6 the trader wants .36, which keeps ½·.24 of turnover
    # and .4 of coin; but of the lots beside it .3 breaks the first and .45 the second.
    snap = snapshot(LEGS, MARKS, {"binanceusdm": "1000"}, {SOL: "4"})
    found = DRIFTLESS
    limits = msgspec.structs.replace(LIMITS, turnover_max=0.125, coin_net_max=0.4)
    inputs = program_inputs(snap, found, BALANCED, limits, {SOL: 0.36})
    answer = rebalance(inputs)
    proposal = compose(inputs, answer, snap, found, BALANCED, "")
    assert (answer.solution.status, answer.solution.detail) == ("infeasible", COARSE)
    assert (proposal.status, proposal.exportable, proposal.orders) == ("infeasible", False, ())
    coarse, wide, hold, _ = proposal.reasons
    assert (coarse, hold) == (COARSE, HOLD)
    # Of the lots beside it .45 is the nearer to the limit that it breaks: .05 more is needed.
    said = re.search(r"; coin_net_max (\S+)x would do", wide)
    assert said is not None, wide
    wider = msgspec.structs.replace(limits, coin_net_max=float(said[1]))
    inputs = program_inputs(snap, found, BALANCED, wider, {SOL: 0.36})
    taken = compose(inputs, rebalance(inputs), snap, found, BALANCED, "")
    assert (taken.status, taken.exportable) == ("ok", True)


def test_at_the_drawdown_limit_a_reduction_may_be_sent() -> None:
    proposal = proposed([0.0, 0.0, 0.0], {BTC: "1.2"}, peak="120000")
    assert [one.name for one in proposal.limits if not one.ok] == ["drawdown"]
    assert proposal.status == "ok"
    assert proposal.exportable
    assert all(order.reduce_only for order in proposal.orders)
    assert any("only reducing" in reason for reason in proposal.reasons)


def test_a_collar_that_leaves_no_price_is_refused() -> None:
    limits = msgspec.structs.replace(LIMITS, collar_bps=10000.0)
    with pytest.raises(OptimizationError, match="positive limit price"):
        proposed([-0.05, 0.0, 0.0], limits=limits)


@pytest.mark.parametrize(
    "name",
    ["margin_ratio_max", "venue_gross_max", "standalone_risk_max", "first_component_max",
     "coin_net_max", "beta_max", "gross_max"],
)  # fmt: skip
def test_a_limit_of_nothing_leaves_nothing_of_it(name: str) -> None:
    limits = msgspec.structs.replace(LIMITS, **{name: 0.0})
    flat = proposed([0.04, -0.03, 0.02], limits=limits)
    assert flat.status in {"ok", "no_trade"}
    assert all(check.ok for check in flat.limits)


@pytest.mark.parametrize(
    "name",
    ["margin_ratio_max", "venue_gross_max", "standalone_risk_max", "coin_net_max", "gross_max"],
)
def test_what_is_held_beyond_a_limit_of_nothing_is_closed(name: str) -> None:
    limits = msgspec.structs.replace(LIMITS, **{name: 0.0})
    held = proposed([0.04, -0.03, 0.02], {BTC: "0.5"}, limits=limits)
    assert held.status == "ok"
    assert held.exportable
    assert held.risk.gross == 0.0
    # No equity carries a position at a limit of nothing: no transfer would mend one.
    assert held.risk_now.accounts[0].transfer_usd == 0


def test_orders_are_held_against_their_own_limits_to_the_last_digit() -> None:
    made = proposed([0.04, -0.03, 0.02])
    largest = max(order.notional_usd for order in made.orders)
    total = sum((order.notional_usd for order in made.orders), D(0))
    most = {"order_notional_max_usd": largest, "ticket_notional_max_usd": total}
    assert beyond_limits(made.orders, msgspec.structs.replace(LIMITS, **most)) == ()
    for name, value in most.items():
        less = msgspec.structs.replace(LIMITS, **{name: value - D("0.01")})
        (said,) = beyond_limits(made.orders, less)
        assert name in said


def test_a_flip_costs_what_the_whole_trade_costs_the_program() -> None:
    proposal = proposed([0.04, 0.0, 0.0], {BTC: "-0.5"})
    snap = market_of({BTC: "-0.5"})
    found = estimates(LEGS, MARKS, [0.04, 0.0, 0.0], SIGMA)
    inputs = program_inputs(snap, found, BALANCED, LIMITS, {})
    trade = np.array([float(one.trade_usd) / 100_000 for one in proposal.rows])
    cost = trade_costs(trade, inputs.linear_cost, inputs.impact) * 100_000
    # Four amounts are rounded to cents.
    assert float(row(proposal, BTC).cost_usd) == pytest.approx(cost[0], abs=0.025)


def test_a_soft_limit_that_the_gate_holds_anyway_is_said_to_be_so() -> None:
    strategy = msgspec.structs.replace(BALANCED, soft_limits=("turnover",), soft_penalty=1e-6)
    limits = msgspec.structs.replace(LIMITS, turnover_max=0.1)
    proposal = proposed([0.04, -0.03, 0.02], limits=limits, strategy=strategy)
    assert not proposal.exportable
    assert any("turnover may give way" in text and "gate" in text for text in proposal.reasons)
