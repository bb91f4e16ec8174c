from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.forecast import Estimates
from perptui.model.strategy import StrategyParameters
from perptui.optimization.pose import program_inputs, rules_of
from perptui.optimization.strategies import (
    BUDGET_MIN,
    TRADING_COSTS,
    InForce,
    Standing,
    in_force,
    tighter,
)
from perptui.risk.limits import ceiling
from tests.optimization.market import BALANCED, LIMITS, covariance, estimates, instrument, snapshot

LEGS = [instrument("BTC"), instrument("ETH")]
BTC, ETH = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000"}
SIGMA = covariance([0.5, 0.65], 0.7)
FLAT = Standing(gross=0.0, volatility=0.0, shortfall=0.0, drawdown=0.0, reach=1.0)


def with_parameters(**parameters: object) -> StrategyParameters:
    return msgspec.structs.replace(BALANCED, **parameters)


def found(label: str = "normal", exposure: float = 1.0, volatility: float = 0.5) -> Estimates:
    made = estimates(LEGS, MARKS, [0.0, 0.0], SIGMA, label=label, exposure=exposure)
    return msgspec.structs.replace(made, book_volatility=volatility)


def test_a_strategy_that_follows_nothing_has_the_limits_of_the_desk() -> None:
    rules = in_force(BALANCED, LIMITS, found("crisis", 0.2), FLAT)
    assert rules == InForce(LIMITS, 0.5, 1.0, (), depeg=TRADING_COSTS, desk=LIMITS, standing=FLAT)


def test_the_regime_scales_gross_and_chooses_cushion_and_sleeve() -> None:
    strategy = with_parameters(follow_regime=True, stablecoin_min=(0.0, 0.0, 0.2, 0.4), depeg=0.03)
    rules = in_force(strategy, LIMITS, found("crisis", 0.25), FLAT)
    assert rules.limits.gross_max == pytest.approx(3.0 * 0.25)
    assert (rules.cushion, rules.exposure) == (2.0, 0.25)
    # Half a percent more is set aside for what the trade costs.
    assert rules.stablecoin_min == 0.4
    assert rules.depeg == pytest.approx(0.035)
    assert rules.notes[0] == "40% of equity binds no margin in crisis"
    assert rules.notes[1].startswith("gross limit 0.75 = 3 x exposure 0.25")


def test_a_cut_beyond_one_proposals_turnover_goes_as_far_as_turnover() -> None:
    strategy = with_parameters(follow_regime=True)
    held = replace(FLAT, gross=2.8)
    rules = in_force(strategy, LIMITS, found("crisis", 0.1), held)
    # Wanted .3; turnover 1 moves gross by 2, of which 98 % are used: 2.8 - 1.96.
    assert rules.limits.gross_max == pytest.approx(0.84)
    assert "out of one proposal's turnover" in rules.notes[0]


@pytest.mark.parametrize(
    ("volatility", "threshold", "gross"),
    [(0.81, 0.8, 1.2), (0.80, 0.8, 3.0), (5.0, 10.0, 3.0), (0.5, 0.8, 3.0)],
)
def test_the_simple_rule_cuts_leverage_beyond_its_threshold(
    volatility: float, threshold: float, gross: float
) -> None:
    strategy = with_parameters(volatility_threshold=threshold, leverage_cut=0.4)
    rules = in_force(strategy, LIMITS, found(volatility=volatility), FLAT)
    assert rules.limits.gross_max == pytest.approx(gross)
    acts = gross < 3.0
    assert rules.notes == (
        ("volatility 81.0% is beyond 80.0%: gross limit 3 cut to 1.2",) if acts else ()
    )
    unknown = msgspec.structs.replace(found(), book_volatility=None)
    assert in_force(strategy, LIMITS, unknown, FLAT).limits == LIMITS


@pytest.mark.parametrize("drawdown", [0.0, 0.04, 0.0999])
def test_drawdown_shrinks_the_risk_budget_as_method_6_says(drawdown: float) -> None:
    strategy = with_parameters(drawdown_control=True, drawdown_share=2.0)
    rules = in_force(strategy, LIMITS, found(), replace(FLAT, drawdown=drawdown))
    share = max(1.0 - drawdown / 0.1, BUDGET_MIN)
    assert rules.limits.volatility_max == pytest.approx(0.6 * share)
    eta = max(2.0 * (0.1 - drawdown), BUDGET_MIN * 0.3)
    assert rules.limits.cvar_max == pytest.approx(min(0.3, eta))
    told = f"drawdown {drawdown:.1%} of at most 10.0%: robust volatility at most"
    assert rules.notes[0].startswith(told)


def test_a_risk_budget_out_of_reach_is_approached_and_never_raised() -> None:
    strategy = with_parameters(drawdown_control=True)
    stuck = Standing(1.0, 0.5, 0.2, 0.08, reach=0.25)
    rules = in_force(strategy, LIMITS, found(), stuck)
    # The budget is a fifth, .12; a quarter of every position can be cut.
    assert rules.limits.volatility_max == pytest.approx(0.375)
    assert rules.limits.cvar_max == pytest.approx(0.15)
    wild = in_force(strategy, LIMITS, found(), Standing(3.0, 2.0, 0.9, 0.08, reach=0.0))
    assert (wild.limits.volatility_max, wild.limits.cvar_max) == (0.6, 0.3)
    assert wild.notes == ()


def test_a_limit_out_of_reach_holds_the_book_that_it_was_worked_out_from() -> None:
    """Nothing can be cut: the book stands at its bound, and its figure has twelve decimals."""
    strategy = with_parameters(drawdown_control=True)
    for volatility in np.random.default_rng(5).uniform(0.2, 0.5, 200).tolist():
        stuck = Standing(1.0, volatility, volatility / 3.0, 0.08, reach=0.0)
        bound = in_force(strategy, LIMITS, found(), stuck).limits
        assert ceiling("volatility", round(volatility, 12), bound.volatility_max).ok
        assert ceiling("cvar", round(volatility / 3.0, 12), bound.cvar_max).ok
        assert bound.volatility_max == pytest.approx(volatility, abs=1e-12)


def test_the_tighter_of_two_keeps_to_both() -> None:
    one = InForce(
        msgspec.structs.replace(LIMITS, gross_max=1.0, net_min=-0.2, restricted=(BTC,)),
        0.5, 1.0, ("a", "b"), 0.02, 0.1,
    )  # fmt: skip
    other = InForce(
        msgspec.structs.replace(LIMITS, cvar_max=0.1, free_collateral_min=0.4, restricted=(ETH,)),
        2.0, 0.5, ("b", "c"), 0.0, 0.3,
    )  # fmt: skip
    both = tighter(one, other)
    assert both == replace(tighter(other, one), notes=both.notes, limits=both.limits)
    assert both.limits == msgspec.structs.replace(
        LIMITS,
        gross_max=1.0,
        net_min=-0.2,
        cvar_max=0.1,
        free_collateral_min=0.4,
        restricted=(BTC, ETH),
    )
    assert (both.cushion, both.exposure, both.depeg, both.stablecoin_min) == (2.0, 0.5, 0.02, 0.3)
    assert both.notes == ("a", "b", "c")
    slow = InForce(msgspec.structs.replace(LIMITS, messages_per_minute=5), 0.5, 1.0, ())
    assert tighter(one, slow).limits.messages_per_minute == 5


def test_a_book_stands_where_its_positions_and_turnover_put_it() -> None:
    strategy = with_parameters(drawdown_control=True, covariance_uncertainty=0.02)
    held = snapshot(LEGS, MARKS, {"binanceusdm": "100000"}, {BTC: "1", ETH: "-10"}, peak="105000")
    limits = msgspec.structs.replace(LIMITS, turnover_max=0.18, volatility_max=0.2)
    inputs = program_inputs(held, found(), strategy, limits, {})
    assert inputs.in_force == rules_of(held, found(), strategy, limits)
    # Weights .6 and -.3: |.6·.5 - .3·.65 at correlation .7| and the robust part, annual.
    plain = 0.3**2 + 0.195**2 - 2 * 0.7 * 0.3 * 0.195
    robust = (plain + 0.02 * (0.3 + 0.195) ** 2) ** 0.5
    # Turnover .18 moves gross by .36, of which 98 % are used, of .9.
    reached = robust * (1 - 0.98 * 0.36 / 0.9)
    budget = 0.2 * (1 - (1 - 100 / 105) / 0.1)
    assert budget < reached < 0.2
    assert inputs.in_force.limits.volatility_max == pytest.approx(reached)
    restricted = msgspec.structs.replace(limits, restricted=(ETH,))
    stuck = rules_of(held, found(), strategy, restricted)
    assert stuck.limits.volatility_max == pytest.approx(min(robust, 0.2))


def test_the_trader_may_ask_for_reductions_only() -> None:
    held = snapshot(LEGS, MARKS, {"binanceusdm": "100000"}, {BTC: "1", ETH: "-10"})
    inputs = program_inputs(held, found(), BALANCED, LIMITS, {}, reduce_only=True)
    assert inputs.reduce_only
    assert inputs.lower.tolist() == pytest.approx([0.0, -0.3])
    assert inputs.upper.tolist() == pytest.approx([0.6, 0.0])
    assert inputs.notes == ("only reducing is asked for",)
