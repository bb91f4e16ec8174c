"""Reducing a book far beyond its limits: orders that can be sent, and less broken after them."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.proposal import Proposal
from perptui.optimization.compose import compose
from perptui.optimization.explain.clash import clashes
from perptui.optimization.explain.reduction import (
    least_violation,
    reduce_only_share,
    reduction_offer,
)
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from perptui.optimization.search import run
from perptui.risk.arrays import limit_excess
from tests.optimization.explain.random_books import FOUR, RandomBook
from tests.optimization.market import BALANCED, LIMITS
from tests.optimization.three_coins import BTC, DRIFTLESS, ETH, SOL, market_of, posed

TRADE_LIMITS = ("turnover", "participation")


def proposed(book: RandomBook) -> Proposal:
    inputs = book.posed(reduce_only=True)
    return compose(
        inputs, rebalance(inputs), book.snapshot, book.estimates, book.strategy, "digest"
    )


def test_the_offer_is_the_largest_share_that_keeps_position_limits() -> None:
    inputs = posed({BTC: "1", ETH: "20", SOL: "-400"}, reduce_only=True, limits={"gross_max": 0.9})
    # Gross is .6 + .6 + .6 = 1.8, so half of it may stay.
    assert reduce_only_share(inputs) == 0.5
    assert "cut to 50.0% of its size" in reduction_offer(inputs, reduce_only_share(inputs))
    assert "repeat" not in reduction_offer(inputs, reduce_only_share(inputs))


def test_no_share_will_do_where_a_floor_asks_for_more() -> None:
    inputs = posed({BTC: "1"}, reduce_only=True, limits={"net_min": 0.7})
    assert reduce_only_share(inputs) is None
    assert "no plain reduction" in reduction_offer(inputs, reduce_only_share(inputs))


def test_what_may_not_be_traded_stays_whole_in_the_offer() -> None:
    rules = msgspec.structs.replace(LIMITS, gross_max=0.9, restricted=(SOL,))
    held = {BTC: "1", ETH: "20", SOL: "-400"}
    snap = market_of(held)
    # .6 of SOL stays: .3 of the other 1.2.
    share = reduce_only_share(program_inputs(snap, DRIFTLESS, BALANCED, rules, {}))
    assert share == pytest.approx(0.25)


def test_a_book_far_beyond_its_limits_is_reduced_as_far_as_turnover_goes() -> None:
    # 3.0 of BTC with .8 allowed and a turnover of .25: one proposal brings it to 2.5.
    held = {BTC: "5"}
    inputs = posed(held, reduce_only=True, limits={"turnover_max": 0.25})
    assert {one.name for one in clashes(inputs)} >= {"turnover"}
    answer = rebalance(inputs)
    assert answer.rounded == pytest.approx([2.5002, 0.0, 0.0], abs=1e-3)
    snap = market_of(held)
    proposal = compose(inputs, answer, snap, DRIFTLESS, BALANCED, "digest")
    assert (proposal.status, proposal.exportable) == ("ok", True)
    assert [one.reduce_only for one in proposal.orders] == [True]
    assert proposal.orders[0].contracts == Decimal("0.833")
    assert any("exceeds them least" in reason for reason in proposal.reasons)
    assert next(row for row in proposal.rows if row.id == BTC).why == "limits"
    # Without being asked for it nothing is sent.
    plain = rebalance(posed(held, limits={"turnover_max": 0.25}))
    assert plain.solution.status == "infeasible"


def test_margin_comes_before_net() -> None:
    # The only turnover there is goes where margin is short: the large leg, not the small one.
    inputs = posed(
        {BTC: "6", ETH: "-10"},
        reduce_only=True,
        limits={"turnover_max": 0.1, "net_max": 0.5, "margin_ratio_max": 0.05},
    )
    target = run(least_violation(inputs))
    assert target is not None
    assert target == pytest.approx([3.4, -0.3, 0.0], abs=1e-5)


def test_nothing_is_reduced_where_bounds_are_in_the_way() -> None:
    inputs = posed({BTC: "5"}, reduce_only=True, limits={"turnover_max": 0.25})
    pinned = msgspec.structs.replace(LIMITS, turnover_max=0.25)
    snap = market_of({BTC: "5"})
    fixed = program_inputs(snap, DRIFTLESS, BALANCED, pinned, {BTC: 1.0}, reduce_only=True)
    assert run(least_violation(inputs)) is not None
    assert run(least_violation(fixed)) is None
    assert rebalance(fixed).solution.status == "infeasible"
    assert run(least_violation(posed({}, reduce_only=True))) is None


@pytest.mark.unmeasured
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_reductions_can_be_sent_and_break_no_limit_more(seed: int, tight: int) -> None:
    book = RandomBook(seed, tight)
    book.targets = {}
    proposal = proposed(book)
    if proposal.status != "ok":
        return
    assert proposal.exportable, proposal.reasons
    before = {check.name: check for check in proposal.limits_now if not check.ok}
    for check in proposal.limits:
        if not check.ok and check.name != "drawdown":
            assert not check.name.startswith(TRADE_LIMITS)
            was = before[check.name]
            assert check.value >= was.value if check.at_least else check.value <= was.value
    assert all(order.reduce_only for order in proposal.orders)
    # No dust of a solver in what is told.
    assert all(row.weight_target == round(row.weight_target, 9) for row in proposal.rows)
    inputs = book.posed(reduce_only=True)
    after = np.array([row.weight_rounded for row in proposal.rows])
    assert (np.abs(after) <= np.abs(inputs.before)).all()
    excess = [
        sum(
            float(np.maximum(part, 0.0).sum())
            for name, part in limit_excess(one[None, :], inputs.before, inputs.limits).items()
            if name not in TRADE_LIMITS
        )
        for one in (inputs.before, after)
    ]
    assert excess[1] <= excess[0]
    assert len(after) == len(FOUR)


def of_positions(positions: dict[str, str], targets: dict[str, float], **limits: Any) -> Proposal:
    """Return the proposal of a reduction to fixed targets."""
    snap = market_of(positions)
    rules = msgspec.structs.replace(LIMITS, **limits)
    inputs = program_inputs(snap, DRIFTLESS, BALANCED, rules, targets, reduce_only=True)
    return compose(inputs, rebalance(inputs), snap, DRIFTLESS, BALANCED, "digest")


def test_a_reduction_that_leaves_limits_broken_is_headed_so() -> None:
    inputs = posed({BTC: "5"}, reduce_only=True, limits={"turnover_max": 0.25})
    snap = market_of({BTC: "5"})
    found = compose(inputs, rebalance(inputs), snap, DRIFTLESS, BALANCED, "digest")
    broken = tuple(check.name for check in found.limits if not check.ok)
    assert "coin_net:BTC" in broken
    assert found.stays_broken == broken
    assert found.headline == f"reduction: {len(broken)} limits stay broken"
    assert found.reasons[0].startswith(f"{found.headline}: ")
    assert all(name in found.reasons[0] for name in broken)
    assert (found.status, found.exportable) == ("ok", True)


def test_a_reduction_that_mends_nothing_that_is_broken_has_no_send_path() -> None:
    """1.2 of BTC is beyond its .8 of a coin, and may not be traded: selling ETH is no cure."""
    loose = {"net_max": 3.0, "volatility_max": 3.0}
    found = of_positions({BTC: "2", ETH: "10"}, {ETH: 0.1}, restricted=(BTC,), **loose)
    assert [check.name for check in found.limits_now if not check.ok] == ["coin_net:BTC"]
    assert found.orders
    assert found.stays_broken == ("coin_net:BTC",)
    assert found.headline == "reduction: 1 limit stays broken"
    assert not found.exportable
    assert found.reasons[1].startswith("not sent: none of the broken limits is mended by it")
    mending = of_positions({BTC: "2", ETH: "10"}, {BTC: 1.0}, **loose)
    assert (mending.exportable, mending.stays_broken) == (True, ("coin_net:BTC",))
    clean = of_positions({BTC: "0.5", ETH: "10"}, {ETH: 0.1})
    assert (clean.headline, clean.stays_broken, clean.exportable) == ("ok", (), True)
