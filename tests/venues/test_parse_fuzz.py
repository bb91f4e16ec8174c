"""Whatever bytes arrive, a parser returns records with sane numbers, or BadResponse."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.errors import BadResponse
from perptui.model.order import LegState
from perptui.model.record import Record
from perptui.venues import parse_account, parse_market
from perptui.venues import wire_binance as wire
from perptui.venues.markets_binance import name_contracts
from perptui.venues.parse_market import Names
from tests.venues import payloads
from tests.venues.payloads import BTC, ETH, NOW_MS

pytestmark = pytest.mark.unmeasured

NAMES = Names({"BTCUSDT": BTC, "ETHUSDT": ETH}, ("BTCUSDT", "ETHUSDT"))
TOPS = [
    wire.BookTicker("BTCUSDT", "64600", "64600.1"),
    wire.BookTicker("ETHUSDT", "3232", "3232.1"),
]
PREMIUM = [wire.PremiumIndex("BTCUSDT", "64600", NOW_MS)]
MARKETS = [{"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True}]
BALANCE = wire.AccountInfo("1", "0", "1", [])
ONE_WAY = wire.PositionMode(dualSidePosition=False)
RISK = [wire.PositionRisk("BTCUSDT", "BOTH", "1", "64600")]


def _instruments(info: wire.ExchangeInfo) -> list[object]:
    names, _ = name_contracts(info, MARKETS, (BTC,))
    rows = parse_market.by_symbol(info.symbols, lambda row: row.symbol, names.wanted)
    return [parse_market.instrument(row, BTC, None, None) for row in rows.values()]


def _account(balance: wire.AccountInfo, rows: list[wire.PositionRisk]) -> object:
    parse_account.agree(balance, rows)
    return parse_account.account(balance, rows, ONE_WAY, NAMES, "binanceusdm", NOW_MS)


PARSERS: dict[str, tuple[Any, Any, Callable[[Any], object]]] = {
    "contracts": (payloads.exchange_info(), wire.ExchangeInfo, _instruments),
    "tiers": (
        [payloads.brackets("BTCUSDT")],
        list[wire.Brackets],
        lambda rows: [parse_market.tiers(row.brackets) for row in rows],
    ),
    "marks": (
        payloads.premium_index(),
        list[wire.PremiumIndex],
        lambda rows: parse_market.quotes(rows, TOPS, {}, NAMES),
    ),
    "tops": (
        payloads.book_tickers(),
        list[wire.BookTicker],
        lambda rows: parse_market.quotes(PREMIUM, rows, {}, NAMES),
    ),
    "volumes": (
        [payloads.day_ticker()],
        list[wire.DayTicker],
        lambda rows: parse_market.volumes(rows, NAMES),
    ),
    "funding": (
        payloads.premium_index(),
        list[wire.PremiumIndex],
        lambda rows: parse_market.funding(rows, {"BTCUSDT": 8, "ETHUSDT": 4}, NAMES),
    ),
    "intervals": (
        payloads.REPLIES["/fapi/v1/fundingInfo"],
        list[wire.FundingInfo],
        lambda rows: parse_market.funding_hours(rows, NAMES),
    ),
    "bars": (
        payloads.klines(),
        list[wire.Kline],
        lambda rows: parse_market.bars(rows, NOW_MS, traded=True),
    ),
    "settlements": (
        payloads.funding_rates(),
        list[wire.FundingRate],
        lambda rows: parse_market.settlements(rows, "BTCUSDT", 8),
    ),
    "book": (
        payloads.depth(),
        wire.Depth,
        lambda payload: parse_market.book(payload, BTC, NOW_MS),
    ),
    "balance": (
        payloads.account_info(),
        wire.AccountInfo,
        lambda payload: _account(payload, RISK),
    ),
    "positions": (
        payloads.position_risk(),
        list[wire.PositionRisk],
        lambda rows: _account(BALANCE, rows),
    ),
    "income": (
        [payloads.income()],
        list[wire.Income],
        lambda rows: [parse_account.cashflow(row, NAMES) for row in rows],
    ),
    "fills": (
        [payloads.trade()],
        list[wire.UserTrade],
        lambda rows: [parse_account.fill(row, Decimal(0), Decimal(0), NAMES)[0] for row in rows],
    ),
    "orders": (
        [payloads.order()],
        list[wire.Order],
        lambda rows: parse_account.unique_orders(rows, NAMES, NOW_MS),
    ),
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        [
            *("", "0", "-0", "1e999", "-1e-999", "NaN", "Infinity", "1_000", " 1", "\u0661"),
            *("0x10", "+1", "1.", ".5", "9" * 60, "[@click=app.x]SAFE[/]", "\x1b[2J", "BOTH"),
        ]
    )
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += _places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _places(item, (*path, index))
    return found


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


def _check(name: str, body: bytes) -> None:
    _, shape, parse = PARSERS[name]
    refusal, found = "", None
    try:
        found = parse(wire.decode(body, shape))
    except BadResponse as error:
        refusal = str(error)
    assert refusal.isprintable()
    _check_numbers(found)


def _check_numbers(found: object) -> None:
    """Every Decimal and float that got through is finite and of sane size."""
    if isinstance(found, Record):
        for field in found.__struct_fields__:
            _check_numbers(getattr(found, field))
    elif isinstance(found, list | tuple):
        for item in found:
            _check_numbers(item)
    elif isinstance(found, dict):
        _check_numbers(list(found.values()))
    elif isinstance(found, Decimal | float):
        assert abs(Decimal(found)) <= Decimal(10) ** 21
    else:
        assert found is None or isinstance(found, str | bool | int | LegState)


def test_the_payloads_themselves_are_read() -> None:
    for name, (payload, shape, parse) in PARSERS.items():
        assert parse(wire.decode(json.dumps(payload).encode(), shape)), name


@given(st.sampled_from(sorted(PARSERS)), st.data())
@settings(max_examples=400, deadline=None)
def test_any_field_may_hold_anything(name: str, data: st.DataObject) -> None:
    payload = PARSERS[name][0]
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(payload)
        payload = _replaced(payload, data.draw(st.sampled_from(places)), data.draw(ANYTHING))
    _check(name, json.dumps(payload).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(PARSERS)), st.data())
@settings(max_examples=300, deadline=None)
def test_any_byte_may_be_lost_or_changed(name: str, data: st.DataObject) -> None:
    body = bytearray(json.dumps(PARSERS[name][0]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    _check(name, bytes(body[: data.draw(st.integers(0, len(body)))]))
    _check(name, bytes(body))


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_may_come(name: str, body: bytes) -> None:
    _check(name, body)
