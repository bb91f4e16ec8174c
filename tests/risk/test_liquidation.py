"""Liquidation against brute force: the price or move where equity meets maintenance."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perptui.risk.liquidation import (
    Exposure,
    account_excess,
    account_shock,
)
from perptui.risk.liquidation_price import inverse_liquidation_price, liquidation_price
from perptui.risk.margin import FloatTier, deductions, maintenance

FLOORS = [0.0, 50_000.0, 250_000.0, 1_000_000.0, 10_000_000.0, 20_000_000.0]
RATES = [0.004, 0.005, 0.01, 0.025, 0.05, 0.1]


def tiers_of(floors: Sequence[float], rates: Sequence[float]) -> tuple[FloatTier, ...]:
    amounts = deductions(floors, rates)
    return tuple(
        FloatTier(floor, rate, amount, 20.0)
        for floor, rate, amount in zip(floors, rates, amounts, strict=True)
    )


TIERS = tiers_of(FLOORS, RATES)


def excess_at(price: float, quantity: float, entry: float, free: float) -> float:
    return free + quantity * (price - entry) - maintenance(quantity * price, TIERS)


@given(
    st.floats(0.05, 3_000).map(lambda q: round(q, 3)),
    st.booleans(),
    st.floats(0.02, 1.5),
    st.floats(-0.3, 0.3),
)
def test_price_is_where_equity_meets_maintenance(
    size: float, long: bool, margin: float, others: float
) -> None:
    entry, quantity = 20_000.0, size if long else -size
    wallet = margin * size * entry
    price = liquidation_price(quantity, entry, wallet, TIERS, others * wallet, 0.01 * wallet)
    free = wallet * (1 + others - 0.01)
    if price is None:
        assert excess_at(1e-9, quantity, entry, free) > 0
    else:
        assert excess_at(price, quantity, entry, free) == pytest.approx(0, abs=1e-6 * size * entry)


def test_price_by_hand_on_one_tier() -> None:
    # 1000 + 1·(P - 10000) = 0.004 P  =>  P = 9000/0.996
    assert liquidation_price(1.0, 10_000.0, 1_000.0, TIERS) == pytest.approx(9_000 / 0.996)
    # 1000 - 1·(P - 10000) = 0.004 P  =>  P = 11000/1.004
    assert liquidation_price(-1.0, 10_000.0, 1_000.0, TIERS) == pytest.approx(11_000 / 1.004)


def test_price_uses_the_tier_at_the_price_and_its_deduction() -> None:
    # A 24M long with 4.5M: at entry the 10 % step rules, at the liquidation price too (> 20M).
    entry, quantity, wallet = 20_000.0, 1_200.0, 4_500_000.0
    price = liquidation_price(quantity, entry, wallet, TIERS)
    assert price is not None
    top = TIERS[-1] if quantity * price >= 20e6 else TIERS[-2]
    without = (wallet - quantity * entry) / (quantity * (top.rate - 1))
    assert excess_at(price, quantity, entry, wallet) == pytest.approx(0, abs=1e-3)
    assert (without - price) / entry > 0.03, "leaving out c_k would show a wrong distance"
    # A short enters on one step and is liquidated on the next.
    short = liquidation_price(-12.0, 20_000.0, 40_000.0, TIERS)
    assert short is not None
    assert 12 * 20_000 < 250_000 <= 12 * short
    assert excess_at(short, -12.0, 20_000.0, 40_000.0) == pytest.approx(0, abs=1e-6)


def test_leaving_out_the_deduction_shows_the_wrong_distance_of_the_specification() -> None:
    # Method §11: 13.27 % becomes 7.41 % on a 24M long when c_k = 1 266 300 is left out.
    entry, quantity, rate = 20_000.0, 1_200.0, 0.1
    wallet = quantity * entry * (1 - (1 - 0.1327) * (1 - rate)) - 1_266_300
    price = liquidation_price(quantity, entry, wallet, TIERS)
    assert price == pytest.approx(entry * (1 - 0.1327))
    without = (wallet - quantity * entry) / (quantity * (rate - 1))
    assert 1 - without / entry == pytest.approx(0.0741, abs=5e-5)


def test_decimal_price_is_exact() -> None:
    tiers = tuple(
        Exact(Decimal(str(t.floor_usd)), Decimal(str(t.rate)), Decimal(str(t.deduction_usd)))
        for t in TIERS
    )
    price = liquidation_price(Decimal(1), Decimal(10_000), Decimal(1_040), tiers)
    assert price == Decimal(8_960) / Decimal("0.996")


class Exact:
    """A tier of Decimals that is no model record: tiers are accepted by shape."""

    def __init__(self, floor: Decimal, rate: Decimal, deduction: Decimal) -> None:
        self.floor_usd = floor
        self.rate = rate
        self.deduction_usd = deduction
        self.max_leverage = Decimal(20)


def test_inverse_price_is_where_coin_equity_meets_maintenance() -> None:
    contracts, size, entry, wallet = 500.0, 100.0, 20_000.0, 0.4
    price = inverse_liquidation_price(contracts, size, entry, wallet, TIERS)
    assert price is not None
    notional = contracts * size
    coin = wallet + notional * (1 / entry - 1 / price)
    assert coin == pytest.approx(maintenance(notional, TIERS) / price)
    assert price < entry
    short = inverse_liquidation_price(-contracts, size, entry, wallet, TIERS)
    assert short is not None
    assert short > entry


def test_inverse_short_covered_by_its_coin_cannot_be_liquidated() -> None:
    assert inverse_liquidation_price(-500.0, 100.0, 20_000.0, 2.5, TIERS) is None
    assert inverse_liquidation_price(-500.0, 100.0, 20_000.0, 3.0, TIERS) is None


def legs(*notionals: float) -> list[Exposure[float]]:
    return [Exposure(f"leg{i}", n, TIERS) for i, n in enumerate(notionals)]


@pytest.mark.unmeasured
@settings(max_examples=60)
@given(
    st.lists(st.floats(-3e6, 3e6).filter(lambda n: abs(n) > 100), min_size=1, max_size=6),
    st.lists(st.floats(0.3, 2.0), min_size=6, max_size=6),
    st.floats(5e4, 3e6),
)
@example(notionals=[59_460.0], betas=[1.125, 1.0, 1.0, 1.0, 1.0, 1.0], equity=59_460.0)
def test_account_shock_agrees_with_a_grid(
    notionals: list[float], betas: list[float], equity: float
) -> None:
    book = [Exposure(f"leg{i}", n, TIERS, betas[i]) for i, n in enumerate(notionals)]
    shock = account_shock(equity, book)
    if shock.down == 0:
        assert account_excess(equity, book, 0.0) <= 0
        return
    lowest = -1 / max(betas[: len(book)])
    grid = [lowest + i * (20 - lowest) / 8_000 for i in range(8_001)]
    alive = [account_excess(equity, book, x) > 0 for x in grid]
    step = grid[1] - grid[0]
    crossings = [
        (x0 + x1) / 2 for (x0, a), (x1, b) in pairwise(zip(grid, alive, strict=True)) if a is not b
    ]
    shown = [x for x in (shock.down, shock.up) if x is not None and x < 20 - step]
    assert shown == pytest.approx(crossings, abs=step)


def test_root_is_exact_and_names_the_leg_that_loses_most() -> None:
    book = legs(400_000.0, -100_000.0)
    shock = account_shock(50_000.0, book)
    assert shock.down is not None
    assert account_excess(50_000.0, book, shock.down) == pytest.approx(0, abs=1e-6)
    assert shock.down_leg == "leg0"
    assert shock.up is None
    assert shock.up_leg == ""


def test_other_legs_change_the_distance() -> None:
    alone = account_shock(50_000.0, legs(300_000.0))
    with_another = account_shock(50_000.0, legs(300_000.0, 300_000.0))
    assert alone.down is not None
    assert with_another.down is not None
    assert alone.down < 1.9 * with_another.down < 0


def test_shorts_break_upwards_and_a_pooled_book_hides_it() -> None:
    shorts = account_shock(60_000.0, legs(-250_000.0))
    pooled = account_shock(120_000.0, legs(-250_000.0, 250_000.0))
    assert shorts.down is None
    assert shorts.up is not None
    assert 0.2 < shorts.up < 0.25
    assert pooled.up is None or pooled.up > 5


def test_no_positions_and_a_lost_account() -> None:
    assert account_shock(10.0, []).down is None
    lost = account_shock(100.0, legs(1_000_000.0))
    assert (lost.down, lost.up, lost.down_leg) == (0.0, 0.0, "leg0")


def test_negative_beta_stops_where_its_price_reaches_zero() -> None:
    book = [Exposure("contrary", 100_000.0, TIERS, -2)]
    shock = account_shock(50_000.0, book)
    assert shock.down is None
    assert shock.up == pytest.approx(0.25, abs=0.01)


def test_inverse_account_moves_with_its_collateral() -> None:
    # 2.5 coin at 20000 and a 50000 USD long: W + N(1/EP - 1/P) = MM/P solved by hand.
    entry, notional, wallet = 20_000.0, 100_000.0, 2.5
    book = [Exposure("inverse", notional, TIERS, 1, linear=False)]
    shock = account_shock(wallet * entry, book, collateral_beta=1)
    price = inverse_liquidation_price(1_000.0, 100.0, entry, wallet, TIERS)
    assert price is not None
    assert shock.down == pytest.approx(price / entry - 1)


def test_decimal_account() -> None:
    tiers = (Exact(Decimal(0), Decimal("0.01"), Decimal(0)),)
    shock = account_shock(Decimal(50), [Exposure("one", Decimal(100), tiers)])
    # 50 + 100 x = 0.01·100 (1 + x)  =>  x = -49/99
    assert shock.down is not None
    assert abs(shock.down + Decimal(49) / Decimal(99)) < Decimal("1e-20")
