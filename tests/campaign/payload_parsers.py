"""Every parser of the venues, each with a payload that it reads."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from perptui.model.order import Effect, OrderIntent, OrderReport, Outcome, Side
from perptui.venues import parse_account, parse_market
from perptui.venues import wire_binance as wire
from perptui.venues.classify import classify
from perptui.venues.failures import Redactor, failure
from perptui.venues.markets_binance import name_contracts
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.parse_market import Names
from perptui.venues.transport import Exchange
from tests.canary import CANARY
from tests.simulator.client import Client
from tests.venues import payloads
from tests.venues.payloads import BTC, CLIENT_ID, ETH, NOW_MS

NAMES = Names({"BTCUSDT": BTC, "ETHUSDT": ETH}, ("BTCUSDT", "ETHUSDT"))
TOPS = [wire.BookTicker("BTCUSDT", "64600", "64600.1"), wire.BookTicker("ETHUSDT", "3232", "3233")]
PREMIUM = [wire.PremiumIndex("BTCUSDT", "64600", NOW_MS)]
MARKETS = [{"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True}]
BALANCE = wire.AccountInfo("1", "0", "1", [])
ONE_WAY = wire.PositionMode(dualSidePosition=False)
RISK = [wire.PositionRisk("BTCUSDT", "BOTH", "1", "64600")]
INTENT = OrderIntent(
    id=BTC,
    side=Side.BUY,
    effect=Effect.ADD,
    contracts=Decimal(1),
    notional_usd=Decimal(64600),
    limit_price=Decimal(64700),
    mark_price=Decimal(64600),
    reduce_only=False,
    before=Decimal(0),
    after=Decimal(1),
)
REDACT = Redactor(CANARY)


class Parser(NamedTuple):
    """Bytes in, a record or a `VenueError` out; `payload` is one that it reads."""

    payload: Any
    parse: Callable[[bytes], object]


def _of(payload: Any, shape: Any, parse: Callable[[Any], object]) -> Parser:
    return Parser(payload, lambda body: parse(wire.decode(body, shape)))


def _instruments(info: wire.ExchangeInfo) -> list[object]:
    names, _ = name_contracts(info, MARKETS, (BTC,))
    rows = parse_market.by_symbol(info.symbols, lambda row: row.symbol, names.wanted)
    return [parse_market.instrument(row, BTC, None, None) for row in rows.values()]


def _account(balance: wire.AccountInfo, rows: list[wire.PositionRisk]) -> object:
    parse_account.agree(balance, rows)
    return parse_account.account(balance, rows, ONE_WAY, NAMES, "binanceusdm", NOW_MS)


def _answered(body: bytes, status: int) -> Exchange:
    return Exchange(
        method="POST",
        host="fapi.binance.com",
        path="/fapi/v1/order",
        sent=True,
        status=status,
        body=body,
        complete=True,
        received_ms=NOW_MS,
    )


def _outcome(body: bytes, status: int) -> Outcome:
    def acknowledge(answer: bytes) -> OrderReport:
        return parse_account.acknowledgement(answer, INTENT, CLIENT_ID, NAMES, NOW_MS)

    return classify(_answered(body, status), acknowledge, BINANCE, REDACT)


def _refusal(body: bytes) -> object:
    raise failure("binanceusdm order", _answered(body, 400), "ExchangeError", BINANCE, REDACT)


def documented() -> dict[str, Parser]:
    """Return the parsers with payloads as the venue's documentation shows them."""
    return {
        "contracts": _of(payloads.exchange_info(), wire.ExchangeInfo, _instruments),
        "tiers": _of(
            [payloads.brackets("BTCUSDT")],
            list[wire.Brackets],
            lambda rows: [parse_market.tiers(row.brackets) for row in rows],
        ),
        **_market(),
        **_books(),
        "accepted": Parser(payloads.order(), lambda body: _outcome(body, 200)),
        "refused": Parser({"code": -2019, "msg": "Margin."}, lambda body: _outcome(body, 400)),
        "overloaded": Parser({"code": -1008, "msg": "Busy."}, lambda body: _outcome(body, 503)),
        "error": Parser({"code": -1121, "msg": "Invalid symbol."}, _refusal),
    }


def _market() -> dict[str, Parser]:
    hours = {"BTCUSDT": 8, "ETHUSDT": 4}
    info = payloads.REPLIES["/fapi/v1/fundingInfo"]
    return {
        "marks": _of(
            payloads.premium_index(),
            list[wire.PremiumIndex],
            lambda rows: parse_market.quotes(rows, TOPS, {}, NAMES)[0],
        ),
        "tops": _of(
            payloads.book_tickers(),
            list[wire.BookTicker],
            lambda rows: parse_market.quotes(PREMIUM, rows, {}, NAMES)[0],
        ),
        "volumes": _of(
            [payloads.day_ticker()],
            list[wire.DayTicker],
            lambda rows: parse_market.volumes(rows, NAMES),
        ),
        "funding": _of(
            payloads.premium_index(),
            list[wire.PremiumIndex],
            lambda rows: parse_market.funding(rows, hours, NAMES)[0],
        ),
        "intervals": _of(
            info, list[wire.FundingInfo], lambda rows: parse_market.funding_hours(rows, NAMES)
        ),
        "bars": _of(
            payloads.klines(),
            list[wire.Kline],
            lambda rows: parse_market.bars(rows, NOW_MS, traded=True),
        ),
        "settlements": _of(
            payloads.funding_rates(),
            list[wire.FundingRate],
            lambda rows: parse_market.settlements(rows, "BTCUSDT", 8),
        ),
        "book": _of(
            payloads.depth(), wire.Depth, lambda found: parse_market.book(found, BTC, NOW_MS)
        ),
    }


def _books() -> dict[str, Parser]:
    nothing = Decimal(0)
    return {
        "balance": _of(payloads.account_info(), wire.AccountInfo, lambda b: _account(b, RISK)),
        "positions": _of(
            payloads.position_risk(), list[wire.PositionRisk], lambda rows: _account(BALANCE, rows)
        ),
        "income": _of(
            [payloads.income()],
            list[wire.Income],
            lambda rows: [parse_account.cashflow(row, NAMES) for row in rows],
        ),
        "fills": _of(
            [payloads.trade()],
            list[wire.UserTrade],
            lambda rows: [parse_account.fill(row, nothing, nothing, NAMES)[0] for row in rows],
        ),
        "orders": _of(
            [payloads.order()],
            list[wire.Order],
            lambda rows: parse_account.unique_orders(rows, NAMES, NOW_MS),
        ),
        "queried": _of(
            payloads.order(),
            wire.Order,
            lambda row: parse_account.requested(row, BTC, CLIENT_ID, NAMES, NOW_MS),
        ),
        "canceled": Parser(
            payloads.order(status="CANCELED", executedQty="0"),
            lambda body: parse_account.cancellation(body, BTC, CLIENT_ID, NAMES, NOW_MS),
        ),
    }


ANSWERED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "contracts": ("/fapi/v1/exchangeInfo", {}),
    "marks": ("/fapi/v1/premiumIndex", {}),
    "tops": ("/fapi/v1/ticker/bookTicker", {}),
    "book": ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 5}),
    "bars": ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": 4}),
    "settlements": ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": 4}),
}
SIGNED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "tiers": ("/fapi/v1/leverageBracket", {}),
    "balance": ("/fapi/v3/account", {}),
    "positions": ("/fapi/v3/positionRisk", {}),
    "income": ("/fapi/v1/income", {"limit": 4}),
    "fills": ("/fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
    "orders": ("/fapi/v1/openOrders", {}),
    "queried": ("/fapi/v1/order", {"symbol": "BTCUSDT", "origClientOrderId": CLIENT_ID}),
}


def simulated() -> dict[str, Parser]:
    """Return the same parsers with what the simulated venue itself answers after some trading."""
    client = Client()
    client.market("BUY", "1.2")
    client.market("SELL", "3", "ETHUSDT")
    client.order(newClientOrderId=CLIENT_ID)
    client.order(symbol="ETHUSDT", side="SELL", price="1600", quantity="2")
    client.advance(9)
    parsers = documented()
    answers = {name: client.public(path, **terms) for name, (path, terms) in ANSWERED_BY.items()}
    answers |= {
        name: client.signed("GET", path, **terms) for name, (path, terms) in SIGNED_BY.items()
    }
    return {f"simulated {name}": Parser(answers[name], parsers[name].parse) for name in answers}


def parsed(parser: Parser, body: bytes) -> object:
    """Return what a parser makes of a body as it arrives, secrets taken out as by `Caller`.

    Raises
    ------
    VenueError
        When it refuses it.
    """
    return parser.parse(REDACT.without_secrets(body))


def encoded(payload: Any) -> bytes:
    """Return a payload as it comes over the wire."""
    return msgspec.json.encode(payload)
