"""Tiered margins: the worked numbers of the method page, continuity, and the refusals."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.instrument import MarginTier
from perptui.risk.margin import (
    deductions,
    float_tiers,
    initial_margin,
    leverage_allowed,
    maintenance,
    margin_ratio,
    notional_allowed,
    tier_at,
)

FLOORS = [Decimal(0), Decimal(50_000), Decimal(250_000), Decimal(1_000_000)]
RATES = [Decimal("0.004"), Decimal("0.005"), Decimal("0.01"), Decimal("0.025")]
LEVERAGES = [Decimal(125), Decimal(100), Decimal(50), Decimal(20)]


def schedule() -> tuple[MarginTier, ...]:
    caps = [*FLOORS[1:], None]
    amounts = deductions(FLOORS, RATES)
    return tuple(
        MarginTier(floor_usd=floor, cap_usd=cap, rate=rate, deduction_usd=c, max_leverage=leverage)
        for floor, cap, rate, c, leverage in zip(
            FLOORS, caps, RATES, amounts, LEVERAGES, strict=True
        )
    )


def test_deductions_are_the_worked_numbers_of_the_method_page() -> None:
    assert [int(c) for c in deductions(FLOORS, RATES)] == [0, 50, 1_300, 16_300]


def test_maintenance_by_hand_on_every_step() -> None:
    tiers = schedule()
    assert maintenance(Decimal(10_000), tiers) == 40
    assert maintenance(Decimal(-100_000), tiers) == Decimal(100_000) * Decimal("0.005") - 50
    assert maintenance(Decimal(500_000), tiers) == 3_700
    assert maintenance(Decimal(2_000_000), tiers) == 33_700


@given(st.floats(0, 5e6))
def test_maximum_over_steps_is_the_marginal_sum(notional: float) -> None:
    tiers = float_tiers(schedule())
    marginal, caps = 0.0, [50_000.0, 250_000.0, 1_000_000.0, float("inf")]
    for tier, cap in zip(tiers, caps, strict=True):
        marginal += max(min(notional, cap) - tier.floor_usd, 0) * tier.rate
    assert maintenance(notional, tiers) == pytest.approx(marginal, abs=1e-6)


def test_float_and_decimal_agree() -> None:
    exact = maintenance(Decimal("333333.33"), schedule())
    assert maintenance(333333.33, float_tiers(schedule())) == pytest.approx(float(exact), abs=1e-9)


@pytest.mark.parametrize(
    ("floors", "rates"),
    [
        ([0.0, 1.0], [0.01, 0.01]),
        ([0.0, 1.0], [0.02, 0.01]),
        ([0.0, 0.0], [0.01, 0.02]),
        ([5.0], [0.01]),
        ([0.0], [0.01, 0.02]),
        ([], []),
    ],
)
def test_a_schedule_that_is_not_convex_is_refused(floors: list[float], rates: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        deductions(floors, rates)


def test_no_schedule_is_never_zero_margin() -> None:
    with pytest.raises(ValueError, match="at least one margin tier"):
        maintenance(1.0, [])
    with pytest.raises(ValueError, match="at least one margin tier"):
        tier_at(1.0, [])


def test_steps_begin_at_their_floor() -> None:
    tiers = schedule()
    assert tier_at(Decimal(49_999), tiers) is tiers[0]
    assert tier_at(Decimal(50_000), tiers) is tiers[1]
    assert tier_at(Decimal(-9_000_000), tiers) is tiers[3]


def test_leverage_and_notional_allowed_are_inverse() -> None:
    tiers = schedule()
    assert leverage_allowed(Decimal(60_000), tiers) == 100
    assert notional_allowed(Decimal(100), tiers) == 250_000
    assert notional_allowed(Decimal(20), tiers) is None
    with pytest.raises(ValueError, match="lower it"):
        notional_allowed(Decimal(126), tiers)


def test_initial_margin_is_notional_over_leverage() -> None:
    assert initial_margin(Decimal(-1000), Decimal(20)) == 50
    with pytest.raises(ValueError, match="positive leverage"):
        initial_margin(1.0, 0.0)


def test_margin_ratio_of_sound_empty_and_lost_accounts() -> None:
    assert margin_ratio(Decimal(200), Decimal(50)) == Decimal("0.25")
    assert margin_ratio(Decimal(-5), Decimal(0)) == 0
    assert margin_ratio(Decimal(0), Decimal(1)) == Decimal("Infinity")
    assert margin_ratio(-1.0, 1.0) == float("inf")
