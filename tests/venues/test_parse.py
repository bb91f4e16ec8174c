"""Parsing details that a whole read does not show."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perptui.model.errors import BadResponse
from perptui.venues import parse_account, parse_market
from perptui.venues import wire_binance as wire
from perptui.venues.fields import (
    float_of,
    fraction,
    number,
    number_or_none,
    positive_or_none,
    stamp,
)
from perptui.venues.pages import PAGE_ROWS, WINDOW_MS, by_time
from perptui.venues.parse_market import Names
from tests.venues import payloads
from tests.venues.payloads import BTC, ETH, HOUR_MS, NOW_MS

NAMES = Names({"BTCUSDT": BTC, "ETHUSDT": ETH}, ("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "1_000", "+1", "1.", ".5", "0x10", "NaN", "inf", "1e999", "\u0661"),
        *("1e-30", "9" * 41, None, True, [], float("nan"), float("inf")),
    ],
)
def test_what_is_no_plain_number_is_refused(text: object) -> None:
    with pytest.raises(BadResponse):
        number(text, "price")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.10", "0.1"), ("-5", "-5"), ("1e3", "1000"), (0.1, "0.1"), (7, "7"), ("0E-8", "0")],
)
def test_plain_numbers_are_exact(text: object, value: str) -> None:
    assert number(text, "price") == Decimal(value)


def test_what_is_left_out_stays_out() -> None:
    assert positive_or_none(None, "x") is positive_or_none("", "x") is None
    assert positive_or_none("0.00", "x") is None
    assert number_or_none("", "x") is None
    assert number_or_none("0", "x") == 0


@pytest.mark.parametrize("value", [0, 1_722_470_400, 1_722_470_400_000_000])
def test_a_stamp_in_another_unit_is_refused(value: int) -> None:
    with pytest.raises(BadResponse, match="milliseconds"):
        stamp(value, "time")


def test_a_fraction_is_below_its_bound() -> None:
    with pytest.raises(BadResponse):
        fraction("-1", "rate")


def test_tiers_keep_the_venues_deduction() -> None:
    rows = wire.decode(msgspec.json.encode([payloads.brackets("BTCUSDT")]), list[wire.Brackets])
    low, high = parse_market.tiers(rows[0].brackets)
    at_border = Decimal(50_000)
    # Maintenance margin is continuous where two steps meet (method §11).
    assert low.rate * at_border - low.deduction_usd == high.rate * at_border - high.deduction_usd


def test_settlements_take_the_gap_before_each() -> None:
    hours = (0, 8, 12, 13, 40)
    rows = [wire.FundingRate("BTCUSDT", "0.0001", NOW_MS + h * HOUR_MS + 7) for h in hours]
    found = parse_market.settlements(rows, "BTCUSDT", 4)
    assert [row.ts_ms for row in found] == [NOW_MS + h * HOUR_MS for h in hours]
    # The first gap is not in the payload, the last has lost settlements: both take the usual one.
    assert [row.interval_h for row in found] == [4.0, 8.0, 4.0, 1.0, 4.0]


def test_settlements_that_do_not_rise_are_refused() -> None:
    row = wire.FundingRate("BTCUSDT", "0.0001", NOW_MS)
    with pytest.raises(BadResponse):
        parse_market.settlements([row, row], "BTCUSDT", 8)


def test_an_interval_listed_twice_is_refused() -> None:
    row = wire.FundingInfo("BTCUSDT", 4)
    with pytest.raises(BadResponse):
        parse_market.funding_hours([row, row], NAMES)


def test_a_delivery_contract_without_funding_is_listed_as_missing() -> None:
    rows = [
        wire.PremiumIndex("BTCUSDT", "1", NOW_MS, lastFundingRate="", nextFundingTime=0),
        wire.PremiumIndex(
            "ETHUSDT", "1", NOW_MS, lastFundingRate="-0.0002", nextFundingTime=NOW_MS + 4 * HOUR_MS
        ),
    ]
    found, missing = parse_market.funding(rows, {"BTCUSDT": 8, "ETHUSDT": 4}, NAMES)
    assert [(quote.id, quote.rate, quote.interval_h) for quote in found] == [
        (ETH, Decimal("-0.0002"), 4.0)
    ]
    assert missing == (f"{BTC}.rate",)


def _trade(**changes: Any) -> wire.UserTrade:
    return msgspec.convert({**payloads.trade(), **changes}, wire.UserTrade)


def test_a_fee_in_another_coin_takes_the_schedules_rate_and_says_so() -> None:
    taker, maker = Decimal("0.0005"), Decimal("0.0002")
    fill, stated = parse_account.fill(_trade(commissionAsset="BNB"), taker, maker, NAMES)
    assert (stated, fill.fee_usd) == (False, Decimal("0.8") * 64600 * taker)
    fill, stated = parse_account.fill(
        _trade(commissionAsset="BNB", maker=True), taker, maker, NAMES
    )
    assert fill.fee_usd == Decimal("0.8") * 64600 * maker
    fill, stated = parse_account.fill(_trade(commission="-1.5"), taker, maker, NAMES)
    assert (stated, fill.fee_usd) == (True, Decimal("-1.5"))


def _income(**changes: Any) -> wire.Income:
    return msgspec.convert({**payloads.income(), **changes}, wire.Income)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("FUNDING_FEE", "funding"),
        ("COMMISSION", "fee"),
        ("REALIZED_PNL", "realised"),
        ("TRANSFER", "transfer"),
        ("WELCOME_BONUS", "transfer"),
    ],
)
def test_income_types_become_kinds(kind: str, expected: str) -> None:
    flow = parse_account.cashflow(_income(incomeType=kind), NAMES)
    assert flow is not None
    assert flow.kind == expected


def test_income_without_a_contract_or_in_another_coin() -> None:
    transfer = parse_account.cashflow(_income(symbol="", incomeType="TRANSFER"), NAMES)
    assert transfer is not None
    assert transfer.id == ""
    assert parse_account.cashflow(_income(asset="BNB"), NAMES) is None


def test_hedged_positions_are_two_and_not_one_way() -> None:
    balance = msgspec.convert({**payloads.account_info(), "positions": None}, wire.AccountInfo)
    rows = [
        wire.PositionRisk("BTCUSDT", "LONG", "1", "64000"),
        wire.PositionRisk("BTCUSDT", "SHORT", "-2", "65000"),
        wire.PositionRisk("ETHUSDT", "BOTH", "0.000", "0.0"),
    ]
    mode = wire.PositionMode(dualSidePosition=False)
    account, missing = parse_account.account(balance, rows, mode, NAMES, "binanceusdm", NOW_MS)
    assert [position.contracts for position in account.positions] == [1, -2]
    assert not account.one_way
    assert f"{BTC}.mark_price" in missing


def test_margin_without_positions_is_not_believed() -> None:
    balance = wire.AccountInfo("1", "0", "1", [], totalMaintMargin="5")
    assert not parse_account.agree(balance, [])
    assert parse_account.agree(wire.AccountInfo("1", "0", "1", [], totalMaintMargin="0.0"), [])
    assert parse_account.agree(wire.AccountInfo("1", "0", "1", []), [])


class Ledger:
    """Rows of (time, id), answered as Binance does: a week at a time, a page at a time."""

    def __init__(self, rows: list[tuple[int, int]]) -> None:
        self.rows = rows
        self.asked: list[tuple[int, int]] = []

    async def fetch(self, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        assert end_ms - start_ms < WINDOW_MS
        self.asked.append((start_ms, end_ms))
        return [row for row in self.rows if start_ms <= row[0] <= end_ms][:PAGE_ROWS]

    async def read(self, since_ms: int) -> tuple[tuple[int, int], ...]:
        return await by_time(self.fetch, since_ms, NOW_MS, lambda row: row[0], lambda row: row[1])


@pytest.mark.asyncio
async def test_paging_gives_each_row_once_over_weeks_and_full_pages() -> None:
    start = NOW_MS - 3 * WINDOW_MS
    rows = [(start + n * (3 * WINDOW_MS // 3500) // 7 * 7, n) for n in range(3500)]
    ledger = Ledger(rows)
    assert list(await ledger.read(start)) == rows
    assert len(ledger.asked) == 4, "three full pages, then the rest"


@pytest.mark.asyncio
async def test_a_row_stamped_ahead_of_our_clock_is_found() -> None:
    ahead = [(NOW_MS + 250, 1)]
    assert await Ledger(ahead).read(NOW_MS) == tuple(ahead)
    assert await Ledger(ahead).read(NOW_MS + 100) == tuple(ahead)


@pytest.mark.asyncio
async def test_a_full_page_of_one_moment_is_an_error_not_a_loop() -> None:
    ledger = Ledger([(NOW_MS - 5, n) for n in range(PAGE_ROWS)])
    with pytest.raises(BadResponse, match="reach past"):
        await ledger.read(NOW_MS - 5)


@pytest.mark.asyncio
async def test_too_many_pages_are_an_error() -> None:
    with pytest.raises(BadResponse, match="ask from a later time"):
        await Ledger([]).read(NOW_MS - 300 * WINDOW_MS)


def test_numbers_of_another_size_or_in_exponents() -> None:
    assert number("1.5e2", "x") == 150
    for text in ("1" + "0" * 21, "1e21", "1e-25"):
        with pytest.raises(BadResponse):
            number(text, "x")


@pytest.mark.parametrize("text", ["-1", "1e300", "nan", 5])
def test_a_float_for_estimators_is_a_sane_numeral_in_text(text: object) -> None:
    assert float_of("0.5", "x") == 0.5
    with pytest.raises(BadResponse):
        float_of(text, "x")


def test_a_contract_without_its_filters_is_refused() -> None:
    symbol = msgspec.convert(payloads.symbol(filters=[]), wire.Symbol)
    with pytest.raises(BadResponse, match="PRICE_FILTER"):
        parse_market.instrument(symbol, BTC, None, None)


def test_a_bar_at_zero_is_refused() -> None:
    row = msgspec.convert(
        [NOW_MS - HOUR_MS, "0", "1", "0", "1", "5", NOW_MS - 1, "1", 1, "1", "1", "0"], wire.Kline
    )
    with pytest.raises(BadResponse, match="above zero"):
        parse_market.bars([row], NOW_MS, traded=True)
