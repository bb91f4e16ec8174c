"""Conflicts of limits: by hand, and minimal by definition on random books."""

from dataclasses import replace
from decimal import Decimal
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.explanation import Clash
from perptui.optimization.explain.clash import clashes, explain, minimal_conflict, summary
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.explain.reduction import reduce_only_share
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from perptui.optimization.search import run
from perptui.risk.arrays import limit_excess
from tests.optimization import three_coins
from tests.optimization.explain.oracle import every_key, least_excess
from tests.optimization.explain.random_books import RandomBook
from tests.optimization.market import BALANCED, LIMITS, estimates, snapshot
from tests.optimization.three_coins import BTC, DRIFTLESS, ETH, LEGS, MARKS, SIGMA, SOL, market_of

pytestmark = pytest.mark.unmeasured

WIDER = {"coin_net_max": 3.0, "coin_gross_max": 3.0, "net_max": 3.0, "volatility_max": 3.0}


STRESSED = estimates(LEGS, MARKS, [0.0] * 3, SIGMA, label="stress", exposure=0.5)
posed = partial(three_coins.posed, found=STRESSED)


def needs(inputs: ProgramInputs) -> dict[str, float | None]:
    return {one.name: one.needed for one in clashes(inputs)}


def test_turnover_and_a_coin_limit_by_hand() -> None:
    # 1.5 to .8 takes a turnover of .35; with .3 of it the coin keeps .9.
    inputs = posed({BTC: "2.5"}, limits={"turnover_max": 0.3})
    found = clashes(inputs)
    assert [(one.name, one.setting, one.limit) for one in found] == [
        ("turnover", "turnover_max", 0.3),
        ("coin_net:BTC", "coin_net_max", 0.8),
    ]
    assert needs(inputs) == pytest.approx({"turnover": 0.35, "coin_net:BTC": 0.9}, rel=5e-5)
    words = explain(inputs, found, reduce_only_share(inputs))
    assert words[0] == (
        "no book keeps every limit: turnover 30% and coin_net:BTC 0.8x cannot hold together: "
        "needs turnover 35.01% or coin_net:BTC 0.9001x"
    )
    assert words[1].startswith("hold")
    # .8/1.5 = 53.3 % of the size, on a grid of .1 %.
    assert "53.3% of its size" in words[2]
    assert "repeat" in words[2]
    assert found[0].text == "turnover 30% cannot hold with coin_net:BTC 0.8x: needs 35.01%"


def test_a_fixed_target_is_a_member_with_its_nearest_possible_weight() -> None:
    name = f"target:{BTC}"
    inputs = posed(targets={BTC: 0.95})
    assert needs(inputs) == pytest.approx({"coin_net:BTC": 0.95, name: 0.8}, rel=5e-5)
    assert clashes(inputs)[-1].setting == name
    offers = explain(inputs, clashes(inputs), reduce_only_share(inputs))
    assert "not needed" in offers[2]


@pytest.mark.parametrize(
    ("name", "limits", "value"),
    [
        # Two fixed longs of .6 and .55: gross, net and turnover are arithmetic.
        ("gross", {"gross_max": 0.3}, 1.15),
        ("net_min", {"net_min": 1.3}, 1.15),
        ("net_max", {"net_max": 1.1}, 1.15),
        ("turnover", {"turnover_max": 0.3}, 0.575),
        ("coin_gross:BTC", {"coin_gross_max": 0.56}, 0.6),
        ("venue_gross:binanceusdm", {"venue_gross_max": 0.2}, 1.15),
        # MM: .005·60 000 - 50 and .005·55 000 - 50, of 100 000.
        ("margin_ratio:binanceusdm", {"margin_ratio_max": 0.001}, 0.00475),
        # 25x is the tiers' leverage at what the limits allow: 20 above a million, 50 below.
        (f"participation:{BTC}", {"participation_max": 5.7e-5}, 6e-5),
        ("beta", {"beta_max": 0.9}, 0.6 + 0.55 * 0.7 * 0.65 / 0.5),
        (
            "volatility",
            {"volatility_max": 0.3, "standalone_risk_max": 5.0, "first_component_max": 5.0},
            (0.3**2 + 0.3575**2 + 2 * 0.7 * 0.3 * 0.3575) ** 0.5,
        ),
        (f"standalone_risk:{BTC}", {"standalone_risk_max": 0.119}, 0.12167),
    ],
)
def test_each_limit_against_fixed_targets(
    name: str, limits: dict[str, float], value: float
) -> None:
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    if name.startswith("standalone"):
        targets = {BTC: 0.73, ETH: 0.0, SOL: 0.0}  # .73·.5/3 of the budget
    inputs = posed(targets=targets, limits={**WIDER, **limits})
    found = {one.name: one for one in clashes(inputs)}
    assert found[name].needed == pytest.approx(value, rel=5e-5)
    assert found[name].limit == pytest.approx(next(iter(limits.values())))
    assert found[name].setting in limits


def member(inputs: ProgramInputs, name: str) -> Clash:
    return next(one for one in clashes(inputs) if one.name == name)


def test_limits_in_dollars_are_named_where_they_are_the_narrower() -> None:
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    ticket: dict[str, float | Decimal] = {**WIDER, "ticket_notional_max_usd": Decimal(80_000)}
    found = member(posed(targets=targets, limits=ticket), "turnover")
    # Both legs are 115 000 USD in one ticket.
    assert (found.setting, found.limit) == ("ticket_notional_max_usd", 80_000)
    assert found.needed == pytest.approx(115_000, rel=5e-5)
    assert found.text.startswith("ticket_notional_max_usd 80000 USD cannot hold with target:")
    assert "needs 115100 USD" in found.text
    order: dict[str, float | Decimal] = {**WIDER, "order_notional_max_usd": Decimal(50_000)}
    found = member(posed(targets={BTC: 0.6}, limits=order), f"participation:{BTC}")
    assert (found.setting, found.limit) == ("order_notional_max_usd", 50_000)
    # Not for the share of volume, which is another limit.
    assert found.text.startswith(f"order_notional_max_usd 50000 USD ({BTC}) cannot hold")
    assert found.needed == pytest.approx(60_000, rel=5e-5)
    # A ticket that may be no larger stops a turnover that may.
    both: dict[str, float | Decimal] = {
        **WIDER,
        "turnover_max": 0.3,
        "ticket_notional_max_usd": Decimal(80_000),
    }
    assert member(posed(targets=targets, limits=both), "turnover").needed is None


def test_a_share_of_volume_stands_behind_every_contract_up_to_the_largest_order() -> None:
    # 60 000 and 55 000 USD of a billion a day each: one share lets both through, or neither.
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    shares: dict[str, float | Decimal] = {**WIDER, "participation_max": 5e-5}
    found = [one for one in clashes(posed(targets=targets, limits=shares)) if one.needed]
    share = next(one for one in found if one.name.startswith("participation"))
    assert (share.setting, share.limit) == ("participation_max", 5e-5)
    assert share.needed == pytest.approx(6e-5, rel=5e-5)
    # Behind the share stands the largest order, which stops the larger of the two.
    shares["order_notional_max_usd"] = Decimal(58_000)
    found = list(clashes(posed(targets=targets, limits=shares)))
    needs = {one.setting: one.needed for one in found}
    assert needs.get("participation_max") is None
    assert "participation_max" in needs


def test_the_venues_largest_order_is_no_setting() -> None:
    small = [msgspec.structs.replace(LEGS[0], max_contracts=Decimal("0.5")), *LEGS[1:]]
    snap = snapshot(small, MARKS, {"binanceusdm": "100000"})
    found = estimates(small, MARKS, [0.0] * 3, SIGMA)
    inputs = program_inputs(snap, found, BALANCED, LIMITS, {BTC: 0.6})
    stop = member(inputs, f"participation:{BTC}")
    assert (stop.setting, stop.limit) == ("", 0.3)
    assert stop.needed == pytest.approx(0.6, rel=5e-5)


def test_positions_that_may_not_be_traded_and_bounds_take_part() -> None:
    rules = msgspec.structs.replace(LIMITS, gross_max=0.5, restricted=(BTC,))
    snap = market_of({BTC: "1"})
    found = DRIFTLESS
    inputs = program_inputs(snap, found, BALANCED, rules, {})
    assert {one.name for one in clashes(inputs)} == {"gross", f"held:{BTC}"}
    # Only reducing, no short can make up for a net that must be below what is held elsewhere.
    rules = msgspec.structs.replace(LIMITS, net_max=0.4, restricted=(BTC,))
    held = {BTC: "1", ETH: "20"}
    snap = market_of(held)
    inputs = program_inputs(snap, found, BALANCED, rules, {}, reduce_only=True)
    names = {one.name for one in clashes(inputs)}
    assert names == {"net_max", f"held:{BTC}", f"bound:{ETH}", f"bound:{SOL}"}
    bound = member(inputs, f"bound:{ETH}")
    assert (bound.setting, bound.limit) == ("", 0.0)
    assert bound.needed == pytest.approx(-0.2, rel=5e-5)


def test_margin_limits_by_hand() -> None:
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    # 50x is what the tiers allow at 300 000, the most that the limits let one coin be.
    free = {**WIDER, "coin_gross_max": 2.9, "free_collateral_min": 0.98}
    found = member(posed(targets=targets, limits=free), "free_collateral:binanceusdm")
    assert (found.setting, found.limit) == ("free_collateral_min", 0.98)
    assert found.needed == pytest.approx(1 - 1.15 / 50, rel=5e-5)
    # 100 000 - 115 000 x = 1.5·MM: at 90 000 a leg .005·115 000 (1 - x) - 100 in all.
    far = {**WIDER, "liquidation_distance_min": 0.95}
    found = member(posed(targets=targets, limits=far), "margin_stress:binanceusdm")
    assert (found.setting, found.limit) == ("liquidation_distance_min", 0.95)
    # Below 50 000 a leg the rate is .004 and nothing is taken off; .005 is kept for costs.
    assert found.needed == pytest.approx((0.995 - 1.5 * 0.0046) / (1.15 - 1.5 * 0.0046), rel=5e-5)


def test_a_limit_lowered_by_the_regime_is_named_by_the_desks_own() -> None:
    tactical = msgspec.structs.replace(BALANCED, name="tactical", follow_regime=True)
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    limits = {**WIDER, "gross_max": 2.0}
    inputs = posed(targets=targets, limits=limits, strategy=tactical)
    assert inputs.limits.gross_max == 1.0
    gross = next(one for one in clashes(inputs) if one.name == "gross")
    assert (gross.setting, gross.limit) == ("gross_max", 2.0)
    assert gross.needed == pytest.approx(2.3, rel=5e-5)
    enough = posed(targets=targets, limits={**limits, "gross_max": 2.3001}, strategy=tactical)
    assert clashes(enough) == ()


def test_limits_lowered_by_drawdown_are_named_by_what_relaxes_them() -> None:
    careful = msgspec.structs.replace(BALANCED, drawdown_control=True)
    targets = {BTC: 0.6, ETH: 0.55, SOL: 0.0}
    # A drawdown of 5 % where 10 % is the most leaves half of the risk budget.
    limits = {**WIDER, "volatility_max": 0.6, "standalone_risk_max": 5.0}
    inputs = posed(
        targets=targets,
        limits={**limits, "first_component_max": 5.0},
        market=market_of(peak="105263.1578947368"),
        strategy=careful,
    )
    risk = next(one for one in clashes(inputs) if one.name == "volatility")
    assert (risk.setting, risk.limit) == ("volatility_max", 0.6)
    least = (0.3**2 + 0.3575**2 + 2 * 0.7 * 0.3 * 0.3575) ** 0.5
    assert risk.needed == pytest.approx(2 * least, rel=5e-5)


def test_where_no_value_will_do_it_says_what_else_clashes() -> None:
    limits = {**WIDER, "gross_max": 0.3, "turnover_max": 0.1}
    found = clashes(posed(targets={BTC: 0.6, ETH: 0.55, SOL: 0.0}, limits=limits))
    lost = [one for one in found if one.needed is None]
    assert lost
    assert any("gross 0.3x" in one.text and "turnover 10%" in one.text for one in lost)
    assert all("cannot hold either" in one.text for one in lost)


def test_the_correlation_cap_against_a_grid() -> None:
    """Of two coins correlated .7, the least correlation with BTC within reach of the book."""
    limits = {**WIDER, "market_correlation_max": 0.3, "turnover_max": 0.1}
    inputs = posed({BTC: "1"}, targets={SOL: 0.0}, limits=limits)
    needs = {one.name: one.needed for one in clashes(inputs)}
    assert set(needs) == {"turnover", "market_correlation"}
    one, two = np.meshgrid(np.linspace(0.0, 1.2, 601), np.linspace(-0.8, 0.8, 801))
    books = np.stack([one.ravel(), two.ravel(), np.zeros(one.size)], axis=1)
    trade = 0.5 * np.abs(books - inputs.before).sum(axis=1)
    risk = np.linalg.norm(books @ inputs.limits.root.T, axis=1)
    alike = np.abs(books @ inputs.limits.market) / np.maximum(risk, 1e-12)
    within = limit_excess(books, inputs.before, inputs.limits)
    other = np.max(
        [
            part.max(axis=1)
            for name, part in within.items()
            if name not in {"turnover", "market_correlation"} and part.shape[1]
        ],
        axis=0,
    )
    assert needs["market_correlation"] == pytest.approx(
        alike[(trade <= 0.1) & (other <= 0)].min(), abs=5e-3
    )
    assert needs["turnover"] == pytest.approx(trade[(alike <= 0.3) & (other <= 0)].min(), abs=5e-3)


BOOKS = st.builds(RandomBook, st.integers(0, 2**32 - 1), st.integers(2, 8))
CLEAR = 2e-6
"""Excess, weight units, on whose side of zero two solvers agree."""


@settings(max_examples=15, deadline=None)
@given(BOOKS)
def test_a_conflict_is_one_and_without_any_member_is_none(book: RandomBook) -> None:
    inputs = book.posed()
    limits = Feasibility(inputs)
    members = run(minimal_conflict(limits))
    whole = least_excess(inputs, every_key(inputs))
    if not members:
        assert whole < CLEAR
        return
    assert whole > 0
    assert least_excess(inputs, members) > 0
    for member in members:
        assert least_excess(inputs, [key for key in members if key != member]) < CLEAR


@settings(max_examples=15, deadline=None)
@given(BOOKS)
def test_what_is_needed_is_enough_and_hardly_less_is_not(book: RandomBook) -> None:
    inputs = book.posed()
    for member in clashes(inputs):
        if not member.setting or member.needed is None:
            continue
        enough = book.posed(member.setting, member.needed)
        assert least_excess(enough, every_key(enough)) < CLEAR
        gap = member.limit - member.needed
        short = member.needed + float(
            np.clip(gap, *(1e-4 * abs(member.needed) * np.array([-1, 1])))
        )
        less = book.posed(member.setting, short)
        assert least_excess(less, every_key(less)) > 0
        short_of = Feasibility(less)
        assert run(short_of.clash(frozenset(short_of.keys)))


@pytest.mark.parametrize("seed", [2, 3])
def test_what_is_needed_beside_a_tail_of_many_scenarios(seed: int) -> None:
    """Far more than are counted one by one: 150 in the tail of 3 000."""
    book = RandomBook(seed, 1)
    book.scenarios = np.random.default_rng(seed).standard_t(4, (3000, 4)) * 0.03
    book.limits, book.targets = {"cvar_max": 0.005, "turnover_max": 0.05}, {}
    held = ("0.3", "-4", "0.2", "5") if seed == 2 else ("0.2", "2", "-0.4", "3")
    book.positions = dict(zip(book.positions, held, strict=True))
    found = clashes(book.posed())
    assert {one.name for one in found} == {"cvar", "turnover"}
    for member in found:
        assert member.needed is not None
        enough = book.posed(member.setting, member.needed)
        assert least_excess(enough, every_key(enough)) < CLEAR
        less = book.posed(member.setting, member.needed * (1.0 - 2e-4))
        assert least_excess(less, every_key(less)) > CLEAR


def test_a_soft_limit_takes_no_part() -> None:
    inputs = posed({BTC: "2.5"}, limits={"turnover_max": 0.3})
    assert clashes(replace(inputs, soft_prices={"turnover": 1.0})) == ()


def test_funding_caps_move_with_the_coins_limit_that_they_are_shares_of() -> None:
    found = DRIFTLESS
    rows = []
    for row in found.instruments:
        share = 1.0 if row.id == BTC else 0.5
        funding = msgspec.structs.replace(row.funding, long_cap=share)
        rows.append(msgspec.structs.replace(row, funding=funding))
    found = msgspec.structs.replace(found, instruments=tuple(rows))
    rules = msgspec.structs.replace(LIMITS, coin_net_max=0.1, net_min=0.5, turnover_max=2.0)
    snap = market_of()

    def asked(assignment: str) -> ProgramInputs:
        setting, _, value = assignment.partition("=")
        bent = msgspec.structs.replace(rules, **{setting: float(value)})
        return program_inputs(snap, found, BALANCED, bent, {})

    inputs = asked("coin_net_max=0.1")
    # Of m, BTC may be m and the others m/2 each: a net of .5 takes m = .25.
    for pose in (None, asked):
        members = clashes(inputs, pose)
        said = {one.setting: one.relaxed for one in members}
        caps = {f"funding_cap:{ETH}", f"funding_cap:{SOL}"}
        assert {one.name for one in members} == {"net_min", "coin_net:BTC", *caps}
        for one in members:
            assert one.setting == ("net_min" if one.name == "net_min" else "coin_net_max")
            least = 0.2 if one.name == "net_min" else 0.25
            if pose is None:
                assert one.needed == pytest.approx(least, rel=1e-4)
                continue
            # In whole lots, of 60 USD in 100,000 at the coarsest that carry the net, a little more.
            assert one.needed is not None
            assert one.needed == pytest.approx(least, rel=0.02)
            assert abs(one.needed - one.limit) > abs(least - one.limit)
            answer = rebalance(pose(f"{one.setting}={one.needed!r}"))
            assert (answer.solution.status, answer.solution.detail) == ("optimal", "")
    assert explain(inputs, members, None)[0] == (
        "no book keeps every limit: net_min 0.5x and coin_net_max 0.1x (coin_net:BTC, "
        f"funding_cap:{ETH}, funding_cap:{SOL}) cannot hold together: "
        f"needs net_min {said['net_min']:g}x or coin_net_max {said['coin_net_max']:g}x"
    )


def test_a_bound_that_no_setting_moves_says_what_does() -> None:
    rules = msgspec.structs.replace(LIMITS, gross_max=0.5, restricted=(BTC,))
    snap = market_of({BTC: "1"})
    inputs = program_inputs(snap, DRIFTLESS, BALANCED, rules, {})
    held = member(inputs, f"held:{BTC}")
    assert held.setting == ""
    assert held.text.endswith(f"{BTC} is restricted: kept as it is")


def test_a_way_out_is_proven_by_posing_the_program_with_it() -> None:
    limits = {"turnover_max": 0.3}
    inputs = posed({BTC: "2.5"}, limits=limits)
    tried: list[str] = []

    def asked(assignment: str) -> ProgramInputs:
        # A program in which more turnover makes the coin's limit stricter by half as much.
        tried.append(assignment)
        setting, _, value = assignment.partition("=")
        if setting == "turnover_max":
            stricter = 0.8 - 0.5 * (float(value) - 0.3)
            bent = {"turnover_max": float(value), "coin_net_max": stricter}
            return posed({BTC: "2.5"}, limits=bent)
        return posed({BTC: "2.5"}, limits={**limits, setting: float(value)})

    found = {one.name: one.needed for one in clashes(inputs, asked)}
    # 1.5 - 2 T <= .8 - (T - .3)/2 from T = .3667 on; .35 by the limits alone.
    assert found["turnover"] == pytest.approx(0.55 / 1.5, rel=2e-3)
    # .9 by the limits alone, which leave no room for a lot.
    assert found["coin_net:BTC"] == pytest.approx(0.9, rel=2e-4)
    for setting, name in (("turnover_max", "turnover"), ("coin_net_max", "coin_net:BTC")):
        answer = rebalance(asked(f"{setting}={found[name]!r}"))
        assert (answer.solution.status, answer.solution.detail) == ("optimal", "")
    assert tried


def test_the_summary_names_the_setting_that_mends() -> None:
    """A cap on CVaR that drawdown control sets: no cvar_max of that value would do anything."""
    other = Clash("coin_net:BTC", 0.05, None, "coin_net_max")
    words = summary((Clash("cvar", 0.1, 0.123, "drawdown_max"), other))
    assert words.endswith("needs drawdown_max 12.3%")
    assert summary((Clash("gross", 1.0, 1.5, "gross_max"),)).endswith("needs gross 1.5x")
