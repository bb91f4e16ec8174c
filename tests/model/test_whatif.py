"""The grammar of what-ifs: what it reads, what it writes back, what it refuses."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.assignment import (
    ASSIGNMENTS_MAX,
    LIMITS,
    PARAMETERS,
    assignments,
    bend,
    bend_all,
    named_in,
    unbend,
)
from perptui.model.bent import bent_limits, bent_strategy, bounds_set, shown_only
from perptui.model.clock import parse_iso
from perptui.model.errors import InputError
from perptui.model.strategy import HoldingCost
from perptui.model.whatif import PutQuote, WhatIf
from tests.optimization import market

BTC = "binanceusdm:BTC/USDT:USDT"
ETH = "bybit:ETH/USDT:USDT"
NOTHING = WhatIf()
EXPIRY = parse_iso("2026-12-25T08:00Z")


@pytest.mark.parametrize(
    ("text", "bent"),
    [
        ("gross_max=2", WhatIf(limits={"gross_max": 2.0})),
        (" gross_max = 2.50 ", WhatIf(limits={"gross_max": 2.5})),
        ("limits.net_min=-.5", WhatIf(limits={"net_min": -0.5})),
        ("ticket_legs_max=4", WhatIf(limits={"ticket_legs_max": 4.0})),
        ("risk_aversion=8", WhatIf(parameters={"risk_aversion": 8.0})),
        ("strategy.uncertainty=0", WhatIf(parameters={"uncertainty": 0.0})),
        ("robust=ellipsoid", WhatIf(parameters={"robust": "ellipsoid"})),
        ("drawdown_control=false", WhatIf(parameters={"drawdown_control": False})),
        ("stablecoin_min=.3", WhatIf(parameters={"stablecoin_min": "0.3"})),
        ("stablecoin_min = 0, 0,.10,.3", WhatIf(parameters={"stablecoin_min": "0,0,0.1,0.3"})),
        ("strategy.exposure_by_regime=1", WhatIf(parameters={"exposure_by_regime": "1"})),
        ("soft_limits=cvar, net,cvar", WhatIf(parameters={"soft_limits": "net,cvar"})),
        ("soft_limits=none", WhatIf(parameters={"soft_limits": "none"})),
        ("hedge_shorts=binance:BTC/USDT:USDT", WhatIf(parameters={"hedge_shorts": BTC})),
        (f"hedge_shorts={BTC},{ETH}", WhatIf(parameters={"hedge_shorts": f"{BTC},{ETH}"})),
        (
            "holding_costs=binance:.020,bybit:-1e-2",
            WhatIf(parameters={"holding_costs": "binanceusdm:0.02,bybit:-0.01"}),
        ),
        (f"target:{BTC}=0.25", WhatIf(targets={BTC: 0.25})),
        ("target:binance:BTC/USDT:USDT=-1", WhatIf(targets={BTC: -1.0})),
        (f"view:{BTC}=0.4", WhatIf(views={BTC: 0.4})),
        ("view:BTC=-0.4", WhatIf(views={"BTC": -0.4})),
        ("cost=2", WhatIf(costs={"*": 2.0})),
        (f"cost:{BTC}=0", WhatIf(costs={BTC: 0.0})),
        ("shock=-0.1", WhatIf(shocks={"*": -0.1})),
        ("shock:ETH=0.2", WhatIf(shocks={"ETH": 0.2})),
        ("stress:crash:BTC=-.4", WhatIf(stresses={"crash:BTC": -0.4})),
        ("stress: crash =-0.5", WhatIf(stresses={"crash": -0.5})),
        ("stress:crash:*=-0.5", WhatIf(stresses={"crash": -0.5})),
        ("regime=stress", WhatIf(regime="stress")),
        ("strategy=tactical", WhatIf(strategy="tactical")),
        ("equity=1e6", WhatIf(equity_usd=Decimal(1000000))),
        ("reduce_only=true", WhatIf(reduce_only=True)),
        (
            "put:BTC=50000, 2026-12-25T08:00Z, 1200",
            WhatIf(puts=(PutQuote("BTC", 50000.0, EXPIRY, 1200.0, 0.01),)),
        ),
        (
            "put:BTC=50000,2026-12-25T08:00Z,1200,0.1",
            WhatIf(puts=(PutQuote("BTC", 50000.0, EXPIRY, 1200.0, 0.1),)),
        ),
    ],
)
def test_an_assignment_is_read_and_written_back(text: str, bent: WhatIf) -> None:
    assert bend(NOTHING, text) == bent
    assert bend_all(NOTHING, assignments(bent)) == bent
    assert len(assignments(bent)) == 1


NUMBERS = st.floats(-0.9, 9.0, allow_nan=False).map(lambda value: round(value, 6) + 0.0)
WHAT_IFS = st.builds(
    WhatIf,
    targets=st.dictionaries(st.sampled_from((BTC, ETH)), NUMBERS),
    limits=st.dictionaries(st.sampled_from(("gross_max", "net_min", "cvar_max")), NUMBERS),
    parameters=st.dictionaries(st.sampled_from(("uncertainty", "risk_aversion")), NUMBERS),
    views=st.dictionaries(st.sampled_from((BTC, "ETH")), NUMBERS),
    costs=st.dictionaries(st.sampled_from(("*", ETH)), NUMBERS.map(abs)),
    shocks=st.dictionaries(st.sampled_from(("*", "ETH")), NUMBERS),
    regime=st.sampled_from(("", "calm", "crisis")),
    equity_usd=st.none() | st.integers(1, 10**9).map(Decimal),
    reduce_only=st.booleans(),
    strategy=st.sampled_from(("", "tactical")),
)


@pytest.mark.unmeasured
@given(WHAT_IFS)
def test_every_what_if_is_its_own_text(what_if: WhatIf) -> None:
    texts = assignments(what_if)
    again = bend_all(NOTHING, reversed(texts))
    assert again == what_if
    assert assignments(again) == texts
    for text in texts:
        less = unbend(what_if, text.partition("=")[0])
        assert bend(less, text) == what_if


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gross_max", "expected NAME=VALUE, was 'gross_max'; write it like gross_max=2"),
        ("gross_max=", "expected NAME=VALUE"),
        ("=2", "expected NAME=VALUE"),
        ("gros_max=2", "did you mean gross_max?"),
        ("limits.gros_max=2", "did you mean gross_max?"),
        ("net=1", "did you mean net_min or net_max?"),
        ("strategy.gross_max=1", "expected a limit, a parameter of the strategy or target:ID"),
        ("desk.mode=live", "expected a limit"),
        ("zzzzzz=1", "write target:ID, view:ID, cost:ID, shock:COIN, put:COIN"),
        ("goal:BTC=1", "was 'goal:BTC'"),
        ("restricted=x", "or with --set as limits.restricted=VALUE"),
        ("limits.restricted=x", "or with --set as limits.restricted=VALUE"),
        ("puts=x", "or with --set as strategy.NAME.puts=VALUE"),
        ("model_version=x", "or with --set as strategy.NAME.model_version=VALUE"),
        ("blend=a,b", "or with --set as strategy.NAME.blend=VALUE"),
        ("stablecoin_min=0,1", "of calm, normal, stress, crisis, was '0,1'; write it like"),
        ("stablecoin_min=none", "expected stablecoin_min of every regime or of calm"),
        ("margin_cushion=much", "expected a plain number for margin_cushion, was 'much'"),
        ("soft_limits=net,gross", "among cvar, volatility, "),
        ("hedge_shorts=BTC", "write it like hedge_shorts=binanceusdm:BTC/USDT:USDT"),
        ("holding_costs=0.02", "expected holding_costs as VENUE:APR, each venue once, was '0.02'"),
        ("holding_costs=bybit:0.1,bybit:0.2", "each venue once, was 'bybit:0.2'"),
        ("holding_costs=binanceusdm:0.1,binance:0.2", "each venue once, was 'binance:0.2'"),
        ("holding_costs=binance:0.1,binance:0.2", "each venue once, was 'binance:0.2'"),
        ("soft_limit=net", "did you mean soft_limits?"),
        ("name=x", "expected a limit"),
        ("gross_max=nan", "expected a plain number for gross_max, was 'nan'"),
        ("gross_max=inf", "expected a plain number for gross_max"),
        ("gross_max=1_0", "expected a plain number for gross_max"),
        ("gross_max=1e400", "in size"),
        ("ticket_legs_max=1.5", "expected a whole number for ticket_legs_max, was '1.5'"),
        ("robust=round", "expected robust one of box, ellipsoid, off, was 'round'"),
        ("drawdown_control=yes", "expected drawdown_control true or false, was 'yes'"),
        ("reduce_only=1", "expected reduce_only true or false"),
        ("regime=panic", "expected regime one of calm, normal, stress, crisis, was 'panic'"),
        ("strategy=the best", "expected the name of a strategy"),
        ("equity=-5", "expected a positive equity, was '-5'"),
        ("target:BTC=1", "expected an instrument id, was 'target:BTC'; write it like target:"),
        (f"target:{BTC}=11", "from -10 to 10, was '11'"),
        (f"target:{BTC}=nan", "expected a plain number"),
        ("view:btc=1", "expected an instrument id or a coin like BTC"),
        ("view:BTC=101", "from -100 to 100"),
        ("cost=-1", "expected cost from 0 to 100, was '-1'"),
        ("shock=-1", "expected shock from -0.95 to 10"),
        (f"shock:{BTC}=-0.1", "expected a coin"),
        (f"stress:crash:{BTC}=-0.1", "expected stress:NAME:COIN, was "),
        ("stress:=-0.1", "write it like stress:crash:BTC=-0.4"),
        ("stress:crash:BTC=-1", "expected stress:crash:BTC from -0.95 to 10, was '-1'"),
        ("put:BTC=50000,2026-12-25T08:00Z", "expected put:COIN=STRIKE,EXPIRY,PREMIUM[,STEP]"),
        ("put:btc=1,2026-12-25,1", "expected put:COIN="),
        ("put:BTC=50000,soon,3", "expected an ISO 8601 expiry, was 'soon'"),
        ("put:BTC=0,2026-12-25,3", "expected a positive strike of a put, was 0"),
        ("put:BTC=5,2026-12-25,much", "expected a plain number for a put's premium"),
        ("target:\x1b[31m/x=1", "write it like target:binanceusdm:BTC/USDT:USDT"),
    ],
)
def test_what_is_no_assignment_is_refused_with_its_cure(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        bend(NOTHING, text)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        *(f"{prefix}:{name}=-0.1" for prefix in ("target", "view", "cost", "shock")
          for name in ("btc", "BTC/USDT", "")),
        f"shock:{BTC}=-0.1", f"stress:crash:{BTC}=-0.1", "put:btc=1", "gross_max",
    ],
)  # fmt: skip
def test_what_a_cure_says_to_write_is_read(text: str) -> None:
    with pytest.raises(InputError) as refused:
        bend(NOTHING, text)
    example = re.split("write it like |write ", str(refused.value))[-1]
    written = example if "=" in example else f"{example}=0.1"
    assert assignments(bend(NOTHING, written))


def test_a_later_assignment_of_a_key_wins() -> None:
    bent = bend_all(NOTHING, ["gross_max=2", "gross_max=1.5", "robust=off", "robust=box"])
    assert assignments(bent) == ("gross_max=1.5", "robust=box")
    puts = bend_all(NOTHING, ["put:BTC=1,2026-12-25,2", "put:BTC=1,2026-12-25,3"])
    assert [one.premium_usd for one in puts.puts] == [3.0]


def test_blanks_around_a_name_are_no_part_of_it() -> None:
    assert bend(NOTHING, f"target: {BTC} =.25") == bend(NOTHING, f"target:{BTC}=0.25")


def test_dropping_one_key_leaves_the_others() -> None:
    bent = bend_all(NOTHING, [f"target:{BTC}=0.1", f"target:{ETH}=0.2", "regime=calm"])
    assert assignments(unbend(bent, f"target:{BTC}")) == ("regime=calm", f"target:{ETH}=0.2")
    assert unbend(bent, "") == NOTHING
    for missing in ("gross_max", ""):
        with pytest.raises(InputError, match="nothing to reset"):
            unbend(NOTHING, missing)


def test_a_name_of_two_things_is_refused_naming_both() -> None:
    tables = {"limits": {"depth": float}, "strategy": {"depth": float, "own": float}}
    assert named_in("own", tables) == ("strategy", "own")
    assert named_in("limits.depth", tables) == ("limits", "depth")
    with pytest.raises(InputError, match=r"write limits\.depth or strategy\.depth"):
        named_in("depth", tables)


def test_no_bare_name_means_two_things_today() -> None:
    assert not set(LIMITS) & set(PARAMETERS)


def test_a_what_if_does_not_grow_without_end() -> None:
    texts = [f"view:C{index}=0.1" for index in range(ASSIGNMENTS_MAX)]
    full = bend_all(NOTHING, texts)
    assert len(assignments(full)) == ASSIGNMENTS_MAX
    with pytest.raises(InputError, match="up to 100 assignments"):
        bend(full, "view:ONE=0.1")


def test_limits_and_parameters_keep_their_types() -> None:
    bent = bend_all(
        NOTHING,
        ["ticket_legs_max=4", "trade_min_usd=12.5", "gross_max=1", "risk_aversion=9",
         "put:BTC=50000,2026-12-25T08:00Z,1200", "stablecoin_min=0.3", "soft_limits=net,turnover",
         f"hedge_shorts={BTC}", "holding_costs=bybit:0.02,binance:-0.01"],
    )  # fmt: skip
    limits = bent_limits(bent, market.LIMITS)
    assert (limits.ticket_legs_max, limits.gross_max) == (4, 1.0)
    assert isinstance(limits.ticket_legs_max, int)
    assert limits.trade_min_usd == Decimal("12.5")
    strategy = bent_strategy(bent, market.BALANCED)
    assert strategy.risk_aversion == 9.0
    assert strategy.puts == bent.puts
    assert strategy.stablecoin_min == (0.3, 0.3, 0.3, 0.3)
    assert (strategy.soft_limits, strategy.hedge_shorts) == (("turnover", "net"), (BTC,))
    costs = HoldingCost("bybit", 0.02), HoldingCost("binanceusdm", -0.01)
    assert strategy.holding_costs == costs
    assert bent_limits(NOTHING, market.LIMITS) is market.LIMITS
    assert bent_strategy(NOTHING, market.BALANCED) is market.BALANCED


@pytest.mark.parametrize(
    "text",
    ["regime=calm", "equity=5", "shock=0.1", "cost=1.5", "gross_max=3.1", "net_min=-1.1",
     "liquidation_distance_min=0.1", "free_collateral_min=0", "drawdown_control=false",
     "cluster_correlation=0.9", "covariance_uncertainty=0", "follow_regime=false",
     "exposure_min=1", "volatility_target=0.5", "soft_penalty=0.5", "horizon_days=5",
     "soft_order=penalty", "volatility_halflife_days=500", "combined_volatility=true",
     "stablecoin_min=0,0,0.1,0.3", "margin_cushion=0", "exposure_by_regime=9",
     "soft_limits=turnover,net", "stress:crash:BTC=-0.1", f"hedge_shorts={BTC},{ETH}",
     "holding_costs=bybit:0.01", "holding_costs=none"],
)  # fmt: skip
def test_what_is_supposed_or_looser_is_only_shown(text: str) -> None:
    strategy = bent_strategy(
        WhatIf(
            parameters={
                "drawdown_control": True,
                "covariance_uncertainty": 0.02,
                "follow_regime": True,
                "soft_order": "lexicographic",
                "stablecoin_min": "0.1,0.1,0.1,0.3",
                "soft_limits": "net",
                "hedge_shorts": BTC,
                "holding_costs": "bybit:0.02",
            }
        ),
        market.BALANCED,
    )
    assert len(shown_only(bend(NOTHING, text), market.LIMITS, strategy)) == 1


@pytest.mark.parametrize(
    "text",
    ["gross_max=3", "gross_max=2", "net_min=-0.5", "net_max=1", "liquidation_distance_min=0.3",
     "trade_min_usd=10", "uncertainty=0", "robust=off", "risk_aversion=1", "reduce_only=true",
     f"target:{BTC}=0.1", "view:BTC=1", "cluster_correlation=0.7",
     "follow_regime=true", "exposure_min=0", "volatility_target=0.2", "soft_penalty=2",
     "horizon_days=20", "soft_order=lexicographic", "volatility_halflife_days=63",
     "stablecoin_min=0.3", "margin_cushion=90", "exposure_by_regime=0", "soft_limits=none",
     "hedge_shorts=none", "holding_costs=none"],
)  # fmt: skip
def test_what_a_trader_may_decide_may_be_sent(text: str) -> None:
    assert shown_only(bend(NOTHING, text), market.LIMITS, market.BALANCED) == ()


def test_what_is_looser_than_a_part_of_a_hybrid_is_only_shown() -> None:
    hybrid = market.BALANCED
    part = msgspec.structs.replace(hybrid, name="tactical", follow_regime=True)
    bent = bend(NOTHING, "follow_regime=false")
    assert shown_only(bent, market.LIMITS, hybrid) == ()
    assert shown_only(bent, market.LIMITS, hybrid, (hybrid, part)) == (
        "follow_regime false is looser than the desk's true",
    )


def test_a_put_that_the_desk_does_not_offer_itself_is_shown_only() -> None:
    put = PutQuote("BTC", 50000.0, EXPIRY, 1200.0)
    own = msgspec.structs.replace(market.BALANCED, puts=(put,), hedge_from="calm")
    assert shown_only(NOTHING, market.LIMITS, own) == ()
    assert shown_only(WhatIf(puts=(put,)), market.LIMITS, own) == (
        "a put: supposed, not so in the market",
    )


def test_bounds_are_as_they_are_set_with_those_of_the_what_if_in_place() -> None:
    limits, strategy = market.LIMITS, market.BALANCED
    bent = bend_all(NOTHING, ("volatility_max=0.35", "cluster_gross_max=0.7"))
    own, other = (bounds_set(one, limits, strategy) for one in (NOTHING, bent))
    assert own["volatility_max"] == limits.volatility_max
    assert own["liquidation_distance_min"] == limits.liquidation_distance_min
    changed = {key: value for key, value in other.items() if value != own[key]}
    assert changed == {"volatility_max": 0.35, "cluster_gross_max": 0.7}


def test_a_target_set_free_is_fixed_no_more() -> None:
    fixed = bend_all(WhatIf(), (f"target:{BTC}=0.25", f"target:{ETH}=0.1"))
    assert bend(fixed, f"target:{BTC}=free") == WhatIf(targets={ETH: 0.1})
    assert bend(WhatIf(), f"target:{BTC}=free") == WhatIf()
    with pytest.raises(InputError):
        bend(fixed, f"view:{BTC}=free")
