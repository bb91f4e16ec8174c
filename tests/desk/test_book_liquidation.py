"""Liquidation prices of the desk's book: ours, in dollars or in coin, beside the venue's."""

from decimal import Decimal

import msgspec
import pytest

from perptui.desk.book import AccountBook, book_of, own_liquidation
from perptui.model.account import Account
from perptui.risk.liquidation_price import inverse_liquidation_price
from tests.desk.market import (
    BTC,
    INSTRUMENTS,
    POSITIONS,
    QUOTES,
    VENUE,
    account,
    reading,
)
from tests.desk.views.test_desk_view import Desk

D = Decimal


def seen(held: Account, *, inverse: bool = False) -> Desk:
    desk = Desk().fill()
    contracts = tuple(
        msgspec.structs.replace(one, linear=False, settle="BTC", contract_size=D(100))
        if inverse and one.id == BTC
        else one
        for one in INSTRUMENTS
    )
    desk.state.observe(VENUE, "instruments", reading(contracts))
    desk.state.observe(VENUE, "account", reading(held))
    return desk


def coin_account(contracts: str, entry: str, coins: str) -> Account:
    """Return an account of bitcoins with one inverse position of 100 USD contracts."""
    mark = QUOTES[0].mark
    position = msgspec.structs.replace(
        POSITIONS[0], contracts=D(contracts), entry_price=D(entry), unrealised_usd=None
    )
    return msgspec.structs.replace(
        account(),
        collateral="BTC",
        wallet_usd=D(coins) * mark,
        equity_usd=D(coins) * mark,
        positions=(position,),
    )


def only(desk: Desk) -> AccountBook:
    return book_of(desk.state.picture).accounts[0]


@pytest.mark.parametrize("contracts", ["500", "-3000"])
def test_an_inverse_position_is_liquidated_where_its_coins_end(contracts: str) -> None:
    book = only(seen(coin_account(contracts, "97500", "0.4"), inverse=True))
    row = book.holdings[0]
    assert row.notional_usd == D(contracts) * 100
    ours = own_liquidation(row, book)
    tiers = row.instrument.tiers
    expected = inverse_liquidation_price(D(contracts), D(100), D(97500), D("0.4"), tiers)
    assert expected is not None
    assert ours == pytest.approx(expected, rel=D("1e-20"))
    # Alone in its account, its own move is the common one.
    moves = [move for move in (book.shock.down, book.shock.up) if move is not None]
    assert moves == pytest.approx([float(expected / 97500 - 1)])


def test_profit_of_an_inverse_position_is_in_coins_at_the_mark() -> None:
    book = only(seen(coin_account("500", "90000", "0.4"), inverse=True))
    row = book.holdings[0]
    coins = D(50_000) * (1 / D(90_000) - 1 / D(97_500))
    assert row.unrealised_usd == pytest.approx(coins * D(97_500), rel=D("1e-20"))


def test_a_covered_inverse_short_has_no_price() -> None:
    book = only(seen(coin_account("-100", "97500", "0.4"), inverse=True))
    assert own_liquidation(book.holdings[0], book) is None


def test_the_venues_price_is_flagged_where_ours_is_another() -> None:
    agreed = seen(account()).panels().positions.rows
    assert not any(row.liquidation_differs for row in agreed)
    short = agreed[1]
    ours = short.liquidation_price
    assert ours is not None
    assert float(ours / short.mark_price - 1) == pytest.approx(short.liquidation_distance)
    for theirs, differs in ((ours, False), (ours * D("1.001"), False), (ours * D("1.02"), True)):
        positions = (
            POSITIONS[0],
            msgspec.structs.replace(POSITIONS[1], venue_liquidation_price=theirs),
        )
        rows = seen(msgspec.structs.replace(account(), positions=positions)).panels().positions.rows
        assert rows[1].venue_liquidation_price == theirs
        assert rows[1].liquidation_differs is differs


def test_a_price_of_the_venue_where_we_see_none_is_flagged() -> None:
    rich = account(equity="92000", wallet="90000")
    positions = (
        msgspec.structs.replace(POSITIONS[0], venue_liquidation_price=D(50_000)),
        POSITIONS[1],
    )
    row = seen(msgspec.structs.replace(rich, positions=positions)).panels().positions.rows[0]
    assert row.liquidation_price is None
    assert row.liquidation_differs
