from decimal import Decimal

import msgspec
import pytest

from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.optimization.orders import positions_after
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from tests.optimization.market import BALANCED, LIMITS, covariance, estimates
from tests.optimization.three_coins import BTC, ETH, LEGS, MARKS, SOL, market_of

# Weights before: BTC .6 long, ETH .3 short, SOL none.
SNAP = market_of({BTC: "1", ETH: "-10"})


def paying(**caps: tuple[float, float]) -> Estimates:
    found = estimates(LEGS, MARKS, [0.0, 0.0, 0.0], covariance([0.5, 0.6, 0.9], 0.5))
    rows = []
    for row in found.instruments:
        long_cap, short_cap = caps.get(row.coin, (1.0, 1.0))
        # A short is the side that pays where the sum over the horizon is negative.
        z = -1.7 if short_cap < 1.0 else 1.7
        funding = msgspec.structs.replace(
            row.funding, long_cap=long_cap, short_cap=short_cap, horizon_z=z
        )
        rows.append(msgspec.structs.replace(row, funding=funding))
    return msgspec.structs.replace(found, instruments=tuple(rows))


def bounds(
    found: Estimates, limits: Limits = LIMITS, edited: dict[str, float] | None = None
) -> tuple[list[float], list[float], tuple[str, ...]]:
    inputs = program_inputs(SNAP, found, BALANCED, limits, edited or {})
    return inputs.lower.tolist(), inputs.upper.tolist(), inputs.notes


def test_without_a_paying_side_nothing_changes() -> None:
    lower, upper, notes = bounds(paying())
    assert lower == pytest.approx([-3.03] * 3)
    assert upper == pytest.approx([3.03] * 3)
    assert notes == ()


def test_the_paying_side_has_less_room_and_the_other_keeps_its_own() -> None:
    lower, upper, notes = bounds(paying(SOL=(0.5, 1.0), ETH=(1.0, 0.75)))
    assert upper == pytest.approx([3.03, 3.03, 0.4])
    # 0.8 of equity times 0.75.
    assert lower == pytest.approx([-3.03, -0.6, -3.03])
    assert notes == (
        f"{ETH}: funding caps it at 0.60 short of equity: a short pays 1.7 sd over the horizon",
        f"{SOL}: funding caps it at 0.40 long of equity: a long pays 1.7 sd over the horizon",
    )


def test_a_side_that_receives_is_never_said_to_pay() -> None:
    # z = -1.7: the short pays; both sides have less room because funding is unsteady.
    notes = bounds(paying(SOL=(0.5, 0.25)))[2]
    assert notes == (
        f"{SOL}: funding caps it at 0.40 long, 0.20 short of equity: "
        "a short pays 1.7 sd over the horizon, unsteady",
    )
    found = paying(SOL=(0.5, 0.5))
    rows = [
        msgspec.structs.replace(row, funding=msgspec.structs.replace(row.funding, horizon_z=0.3))
        for row in found.instruments
    ]
    notes = bounds(msgspec.structs.replace(found, instruments=tuple(rows)))[2]
    assert notes == (f"{SOL}: funding caps it at 0.40 long, 0.40 short of equity: unsteady",)


def test_what_is_held_beyond_the_cap_comes_down_as_far_as_trades_reach() -> None:
    found = paying(BTC=(0.25, 1.0))
    assert bounds(found)[1][0] == pytest.approx(0.2)
    small = msgspec.structs.replace(LIMITS, order_notional_max_usd=10_000)
    # 166 lots of 60 USD.
    assert bounds(found, small)[1][0] == pytest.approx(0.5004)
    # Half of what a one-way turnover of 5 % can trade: 5 % of equity.
    slow = msgspec.structs.replace(LIMITS, turnover_max=0.05)
    assert bounds(found, slow)[1][0] == pytest.approx(0.55)


def test_the_least_violation_is_reached_in_lots_where_a_funding_cap_is_out_of_reach() -> None:
    # Nothing keeps the coin's limit of .1 of equity: 16,000 of the 60,000 are all that trades.
    limits = msgspec.structs.replace(
        LIMITS, coin_net_max=0.1, coin_gross_max=0.1, order_notional_max_usd=Decimal("16003")
    )
    inputs = program_inputs(SNAP, paying(BTC=(0.25, 1.0)), BALANCED, limits, {}, reduce_only=True)
    after = positions_after(inputs, rebalance(inputs).steps)
    # 266 lots of 60 USD are 15,960; the last may be left by the shares tried.
    assert Decimal("0.734") <= after[0] <= Decimal("0.735")


@pytest.mark.parametrize("most", ["10003", "9999.99", "50001"])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_a_position_beyond_its_cap_by_more_than_one_order_comes_down_by_whole_lots(
    most: str, reduce_only: bool
) -> None:
    limits = msgspec.structs.replace(LIMITS, order_notional_max_usd=Decimal(most))
    inputs = program_inputs(
        SNAP, paying(BTC=(0.25, 1.0)), BALANCED, limits, {}, reduce_only=reduce_only
    )
    after = positions_after(inputs, rebalance(inputs).steps)
    # Lots of .001 at 60,000: 60 USD. The cap is .2 of 100,000, held are 60,000.
    assert after[0] <= max(Decimal("20000"), 60000 - Decimal(most) // 60 * 60) / 60000
    assert 60000 * (1 - after[0]) <= Decimal(most)


def test_a_coin_limit_of_none_leaves_funding_nothing_to_cap() -> None:
    limits = msgspec.structs.replace(LIMITS, coin_net_max=0.0)
    lower, upper, notes = bounds(paying(SOL=(0.5, 1.0)), limits)
    assert (lower, upper, notes) == bounds(paying(), limits)


def test_a_target_that_the_trader_fixed_stands() -> None:
    lower, upper, _ = bounds(paying(BTC=(0.25, 1.0)), edited={BTC: 0.7})
    assert (lower[0], upper[0]) == (0.7, 0.7)
