"""Holdings and bookings: by hand, and the equity identity for any sequence of trades."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.simulator.accounts import Holding, MarginAccount, booked


def test_averaging_reducing_and_flipping_by_hand() -> None:
    holding = Holding()
    assert holding.trade(Decimal(2), Decimal(100), 1) == 0
    assert holding.trade(Decimal(2), Decimal(110), 2) == 0
    assert holding.entry == 105
    assert holding.trade(Decimal(-1), Decimal(120), 3) == 15
    assert (holding.quantity, holding.entry) == (Decimal(3), Decimal(105))
    assert holding.trade(Decimal(-5), Decimal(90), 4) == -45
    assert (holding.quantity, holding.entry) == (Decimal(-2), Decimal(90))
    assert holding.unrealised(Decimal(80)) == 20
    assert holding.trade(Decimal(2), Decimal(85), 5) == 10
    assert (holding.quantity, holding.cost, holding.entry) == (Decimal(0), Decimal(0), Decimal(0))


def test_bookings_are_rounded_and_written_down() -> None:
    account = MarginAccount(Decimal(100))
    assert account.book(5, "FUNDING_FEE", "BTCUSDT", Decimal("-0.123456785")) == Decimal(
        "-0.12345678"
    )
    account.trade("BTCUSDT", Decimal(1), Decimal(50), Decimal("0.025"), 6, 77)
    account.trade("BTCUSDT", Decimal(-1), Decimal(60), Decimal("0.03"), 7, 78)
    kinds = [(b.kind, b.amount, b.trade_id) for b in account.bookings]
    assert kinds == [
        ("FUNDING_FEE", Decimal("-0.12345678"), ""),
        ("COMMISSION", Decimal("-0.025"), "77"),
        ("REALIZED_PNL", Decimal(10), "78"),
        ("COMMISSION", Decimal("-0.03"), "78"),
    ]
    assert account.wallet == Decimal(100) + sum(amount for _, amount, _ in kinds)
    assert [b.id for b in account.bookings] == [1, 2, 3, 4]


def test_rounding_is_half_even() -> None:
    assert booked(Decimal("0.000000015")) == Decimal("2e-8")
    assert booked(Decimal("0.000000025")) == Decimal("2e-8")


trades = st.tuples(
    st.integers(-5_000, 5_000).filter(bool).map(lambda q: Decimal(q) / 1000),
    st.integers(1, 2_000_000).map(lambda p: Decimal(p) / 100),
)


@given(st.lists(trades, min_size=1, max_size=40), st.integers(1, 2_000_000))
def test_equity_is_cash_paid_and_quantity_at_the_mark(
    script: list[tuple[Decimal, Decimal]], last: int
) -> None:
    account, mark = MarginAccount(Decimal(0)), Decimal(last) / 100
    for quantity, price in script:
        account.trade("BTCUSDT", quantity, price, Decimal(0), 0, 1)
    expected = sum((q * (mark - price) for q, price in script), Decimal(0))
    assert account.equity({"BTCUSDT": mark}) == pytest.approx(expected, abs=Decimal("1e-8"))
    assert account.quantity("BTCUSDT") == sum((q for q, _ in script), Decimal(0))
