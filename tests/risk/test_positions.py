"""Liquidation prices of single positions against the closed formula of method §11."""

from dataclasses import replace
from decimal import Decimal

import pytest

from perptui.risk.book import Book, Holding
from perptui.risk.liquidation_price import inverse_liquidation_price, liquidation_price
from perptui.risk.margin import Tier, maintenance
from perptui.risk.positions import liquidation_moves
from tests.optimization.market import TIERS

D = Decimal
MARKS = {"BTC": D(60000), "ETH": D(3000), "SOL": D(150)}
SIZES = {"BTC": D("1.5"), "ETH": D(-20), "SOL": D(200)}
TABLE: tuple[Tier[Decimal], ...] = TIERS


def leg(coin: str, size: Decimal, *, linear: bool = True) -> Holding[Decimal]:
    notional = size * MARKS[coin] if linear else size
    return Holding(f"one:{coin}", coin, "one", notional, notional, TABLE, linear=linear)


@pytest.mark.parametrize("equity", ["9000", "30000", "200000"])
def test_a_legs_own_price_is_the_closed_formulas(equity: str) -> None:
    legs = [leg(coin, size) for coin, size in SIZES.items()]
    moves = liquidation_moves(Book(tuple(legs), {"one": D(equity), "two": D(1)}))
    assert set(moves) == {one.id for one in legs}
    for one in legs:
        others = [maintenance(other.notional, TABLE) for other in legs if other is not one]
        # At entries equal to marks nothing is unrealised: the wallet is the equity.
        price = liquidation_price(
            SIZES[one.coin], MARKS[one.coin], D(equity), TABLE, 0, sum(others, D(0))
        )
        move = moves[one.id]
        if price is None:
            assert move is None
        else:
            assert move is not None
            assert float(MARKS[one.coin] * (1 + move)) == pytest.approx(float(price), rel=1e-9)


def test_coin_that_is_collateral_moves_with_its_contract() -> None:
    # Two coins of collateral, long contracts of 150 000 USD at 60 000.
    held = leg("BTC", D(150000), linear=False)
    move = liquidation_moves(Book((held,), {"one": D(2) * MARKS["BTC"]}))[held.id]
    price = inverse_liquidation_price(D(150000), D(1), MARKS["BTC"], D(2), TABLE)
    assert move is not None
    assert price is not None
    assert float(MARKS["BTC"] * (1 + move)) == pytest.approx(float(price), rel=1e-9)


def test_what_is_not_held_has_none_and_a_lost_account_is_at_its_mark() -> None:
    flat = replace(leg("ETH", D(1)), notional=D(0))
    held = leg("BTC", D(1))
    assert liquidation_moves(Book((flat, held), {"one": D(10)})) == {held.id: D(0)}
