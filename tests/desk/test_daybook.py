"""Profit of the day splits into price, funding and fees without a cent left over."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from perptui.desk.daybook import Daybook, combined
from perptui.model.account import Account, CashFlow
from perptui.model.clock import parse_iso
from tests.desk.market import NOW_MS, account, flow, hours

MONEY = st.decimals(-(10**6), 10**6, places=8)


def test_the_day_counts_from_the_first_reading() -> None:
    profit = Daybook.opened(account()).profit()
    assert profit.total_usd == 0
    assert profit.price_usd == 0


def test_parts_add_up_and_have_their_signs() -> None:
    later = NOW_MS + hours(2)
    book = Daybook.opened(account()).with_account(account(later, equity="29500"))
    book = book.with_flows(
        [
            flow("funding", "-7.8", NOW_MS + hours(0.7)),
            flow("fee", "-12.5", NOW_MS + hours(1)),
            flow("realised", "40", NOW_MS + hours(1)),
        ]
    )
    profit = book.profit()
    assert profit.total_usd == Decimal(-500)
    assert profit.funding_usd == Decimal("-7.8")
    assert profit.fees_usd == Decimal("-12.5")
    # Realised profit is price profit: -500 + 7.8 + 12.5.
    assert profit.price_usd == Decimal("-479.7")


def test_a_transfer_is_no_profit() -> None:
    book = Daybook.opened(account()).with_account(account(NOW_MS + 5000, equity="31000"))
    book = book.with_flows([flow("transfer", "1000", NOW_MS + 3000)])
    assert book.profit().total_usd == 0


def test_a_flow_counts_once_and_not_before_its_reading() -> None:
    book = Daybook.opened(account())
    late = flow("fee", "-3", NOW_MS + 2000)
    book = book.with_flows([late]).with_flows([late])
    assert book.booked("fee") == 0
    assert book.with_account(account(NOW_MS + 2000)).booked("fee") == Decimal(-3)


def test_every_fill_of_a_contract_has_a_fee_of_its_own() -> None:
    stamp = NOW_MS + 2000
    book = Daybook.opened(account()).with_flows([flow("fee", "-3", stamp, number=1)])
    book = book.with_flows([flow("fee", "-3", stamp, number=1), flow("fee", "-3", stamp, number=2)])
    assert book.with_account(account(stamp)).booked("fee") == Decimal(-6)


def test_what_was_booked_before_the_start_is_left_out() -> None:
    book = Daybook.opened(account()).with_flows([flow("fee", "-3", NOW_MS)])
    assert book.flows == ()


def test_midnight_opens_a_new_day_from_the_last_reading_before_it() -> None:
    midnight = parse_iso("2024-08-06T00:00:00Z")
    book = Daybook.opened(account()).with_account(account(midnight - 1000, equity="30200"))
    book = book.with_flows([flow("funding", "-5", midnight), flow("fee", "-1", NOW_MS + 10)])
    book = book.with_account(account(midnight + 2000, equity="30190"))
    profit = book.profit()
    assert book.since_ms == midnight - 1000
    assert profit.total_usd == Decimal(-10)
    assert profit.funding_usd == Decimal(-5)
    assert profit.fees_usd == 0


@given(MONEY, MONEY, st.lists(st.tuples(st.sampled_from(["funding", "fee", "realised"]), MONEY)))
def test_the_split_is_exact(
    opening: Decimal, now: Decimal, booked: list[tuple[str, Decimal]]
) -> None:
    flows = [
        CashFlow(str(number), NOW_MS + 1 + number, kind, amount)
        for number, (kind, amount) in enumerate(booked)
    ]
    start = Account("v", "main", "USDT", NOW_MS, opening, opening)
    end = Account("v", "main", "USDT", NOW_MS + 10_000, now, now)
    profit = Daybook.opened(start).with_flows(flows).with_account(end).profit()
    assert profit.price_usd + profit.funding_usd + profit.fees_usd == profit.total_usd
    assert profit.total_usd == now - opening


def test_accounts_are_summed() -> None:
    first = Daybook.opened(account()).with_account(account(NOW_MS + 1, equity="30010"))
    second = Daybook.opened(account()).with_account(account(NOW_MS + 1, equity="29970"))
    profit = combined([first, second])
    assert profit is not None
    assert profit.total_usd == Decimal(-20)
    assert combined([]) is None
