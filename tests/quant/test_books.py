"""Weights from the accounts: signed notional over all equity."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.account import Account, Position
from perptui.model.clock import DAY_MS
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.books import books_of, equal_parts, held_weights, unseen
from perptui.quant.day import DayView, day_view
from tests.quant.markets import AS_OF, BALANCED, HOUR, instrument, market, snapshot

BOTH = [("binanceusdm", "BTC"), ("binanceusdm", "ETH"), ("bybit", "BTC")]
CONTRACTS = tuple(instrument(venue, coin) for venue, coin in BOTH)
BTC, ETH, OTHER = CONTRACTS
STRANGER = "bybit:DOGE/USDT:USDT"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> DayView:
    history = History(tmp_path_factory.mktemp("books"))
    market(history, BOTH, 60)
    return day_view(CONTRACTS, BALANCED, history, HOUR // DAY_MS * DAY_MS)


def with_accounts(*accounts: Account) -> MarketSnapshot:
    return msgspec.structs.replace(snapshot(CONTRACTS), accounts=accounts)


def position(one: str, size: str) -> Position:
    return Position(one, Decimal(size), Decimal(90))


def holding(equity: str, *positions: Position) -> Account:
    return Account(
        "binanceusdm", "main", "USDT", AS_OF, Decimal(equity), Decimal(equity), positions
    )


def test_equal_parts_are_of_coins_then_of_contracts(day: DayView) -> None:
    # BTC stands on two venues: a quarter each; ETH on one: half.
    assert equal_parts(day).tolist() == [0.25, 0.5, 0.25]


def test_weights_are_signed_notional_at_the_mark_over_all_equity(day: DayView) -> None:
    shot = with_accounts(
        holding("600", position(BTC.id, "3"), position(ETH.id, "-0.5")),
        holding("400", position(OTHER.id, "-2"), position(ETH.id, "1.5")),
    )
    # Marks are 100 dollars: 300, -50 + 150 and -200 of 1,000.
    np.testing.assert_allclose(held_weights(shot, day), [0.3, 0.1, -0.2], rtol=1e-15)
    assert list(books_of(shot, day)) == ["book", "equal weight"]


def test_an_inverse_contract_counts_its_dollars(day: DayView) -> None:
    inverse = msgspec.structs.replace(BTC, linear=False, contract_size=Decimal(10))
    gathered = tuple(
        replace(one, instrument=inverse) if one.instrument.id == BTC.id else one
        for one in day.gathered
    )
    shot = msgspec.structs.replace(
        snapshot((inverse, ETH, OTHER)), accounts=(holding("1000", position(BTC.id, "-20")),)
    )
    found = held_weights(shot, replace(day, gathered=gathered))
    np.testing.assert_allclose(found, [-0.2, 0.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize("equity", ["0", "-5"])
def test_without_equity_there_is_no_held_book_and_it_is_said(day: DayView, equity: str) -> None:
    shot = with_accounts(holding(equity, position(BTC.id, "3")))
    assert list(books_of(shot, day)) == ["equal weight"]
    assert unseen(shot, day) == (f"equity is {equity} USD: the held book has no weights",)


def test_positions_without_estimates_are_named_and_in_no_book(day: DayView) -> None:
    shot = with_accounts(holding("1000", position(STRANGER, "7")))
    assert list(books_of(shot, day)) == ["equal weight"]
    assert unseen(shot, day) == (f"{STRANGER}: held without estimates, in no book",)
    assert unseen(with_accounts(holding("1000")), day) == ()
