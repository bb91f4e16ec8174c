import msgspec
import pytest

from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.optimization.pose import program_inputs
from tests.optimization.market import BALANCED, LIMITS, covariance, estimates, instrument, snapshot

LEGS = [instrument("BTC"), instrument("ETH"), instrument("SOL")]
BTC, ETH, SOL = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000", SOL: "150"}
# Weights before: BTC .6 long, ETH .3 short, SOL none.
SNAP = snapshot(LEGS, MARKS, {"binanceusdm": "100000"}, {BTC: "1", ETH: "-10"})


def paying(**caps: tuple[float, float]) -> Estimates:
    found = estimates(LEGS, MARKS, [0.0, 0.0, 0.0], covariance([0.5, 0.6, 0.9], 0.5))
    rows = []
    for row in found.instruments:
        long_cap, short_cap = caps.get(row.coin, (1.0, 1.0))
        funding = msgspec.structs.replace(
            row.funding, long_cap=long_cap, short_cap=short_cap, horizon_z=1.7
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
    assert lower == [-3.0] * 3
    assert upper == [3.0] * 3
    assert notes == ()


def test_the_paying_side_has_less_room_and_the_other_keeps_its_own() -> None:
    lower, upper, notes = bounds(paying(SOL=(0.5, 1.0), ETH=(1.0, 0.75)))
    assert upper == pytest.approx([3.0, 3.0, 0.4])
    # 0.8 of equity times 0.75.
    assert lower == pytest.approx([-3.0, -0.6, -3.0])
    assert notes == (
        f"{SOL}: a long pays funding 1.7 sd over the horizon, at most 0.40 of equity",
        f"{ETH}: a short pays funding 1.7 sd over the horizon, at most 0.60 of equity",
    )


def test_what_is_held_beyond_the_cap_comes_down_as_far_as_trades_reach() -> None:
    found = paying(BTC=(0.25, 1.0))
    assert bounds(found)[1][0] == pytest.approx(0.2)
    small = msgspec.structs.replace(LIMITS, order_notional_max_usd=10_000)
    assert bounds(found, small)[1][0] == pytest.approx(0.5)
    # Half of what a one-way turnover of 5 % can trade: 5 % of equity.
    slow = msgspec.structs.replace(LIMITS, turnover_max=0.05)
    assert bounds(found, slow)[1][0] == pytest.approx(0.55)


def test_a_target_that_the_trader_fixed_stands() -> None:
    lower, upper, _ = bounds(paying(BTC=(0.25, 1.0)), edited={BTC: 0.7})
    assert (lower[0], upper[0]) == (0.7, 0.7)
