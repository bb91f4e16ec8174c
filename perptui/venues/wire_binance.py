"""Binance USD-M payloads as typed structs: what each endpoint promises, and nothing looser.

Numbers stay the strings they travel as. A field without a default must be there.
Field names are the venue's own. Shapes: developers.binance.com, USDⓈ-M futures, REST.
"""

# ruff: noqa: N815 - fields are named as the venue names them

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from perptui.model.errors import BadResponse

T = TypeVar("T")


class ServerTime(msgspec.Struct, frozen=True):
    """GET /fapi/v1/time."""

    serverTime: int


class Filter(msgspec.Struct, frozen=True):
    """One trading rule of a symbol; only the fields of its `filterType` are filled."""

    filterType: str
    tickSize: str | None = None
    stepSize: str | None = None
    minQty: str | None = None
    maxQty: str | None = None
    notional: str | None = None


class Symbol(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/exchangeInfo."""

    symbol: str
    contractType: str
    status: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str
    filters: list[Filter]


class ExchangeInfo(msgspec.Struct, frozen=True):
    """GET /fapi/v1/exchangeInfo."""

    symbols: list[Symbol]
    serverTime: int | None = None


class Bracket(msgspec.Struct, frozen=True):
    """One step of a symbol's maintenance schedule; numbers, not strings."""

    initialLeverage: float
    notionalCap: float
    notionalFloor: float
    maintMarginRatio: float
    cum: float


class Brackets(msgspec.Struct, frozen=True):
    """One symbol of GET /fapi/v1/leverageBracket."""

    symbol: str
    brackets: list[Bracket]


class Commission(msgspec.Struct, frozen=True):
    """GET /fapi/v1/commissionRate."""

    symbol: str
    makerCommissionRate: str
    takerCommissionRate: str


class Asset(msgspec.Struct, frozen=True):
    """One collateral asset of GET /fapi/v3/account."""

    asset: str
    walletBalance: str
    unrealizedProfit: str
    marginBalance: str
    maintMargin: str | None = None
    initialMargin: str | None = None
    availableBalance: str | None = None
    updateTime: int | None = None


class AccountPosition(msgspec.Struct, frozen=True):
    """One position as GET /fapi/v3/account lists it."""

    symbol: str
    positionSide: str
    positionAmt: str


class AccountInfo(msgspec.Struct, frozen=True):
    """GET /fapi/v3/account."""

    totalWalletBalance: str
    totalUnrealizedProfit: str
    totalMarginBalance: str
    assets: list[Asset]
    positions: list[AccountPosition] | None = None
    totalInitialMargin: str | None = None
    totalMaintMargin: str | None = None
    availableBalance: str | None = None


class PositionRisk(msgspec.Struct, frozen=True):
    """One position of GET /fapi/v3/positionRisk."""

    symbol: str
    positionSide: str
    positionAmt: str
    entryPrice: str
    markPrice: str | None = None
    unRealizedProfit: str | None = None
    liquidationPrice: str | None = None
    updateTime: int | None = None


class PositionMode(msgspec.Struct, frozen=True):
    """GET /fapi/v1/accountConfig."""

    dualSidePosition: bool
    multiAssetsMargin: bool = False


class SymbolConfig(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/symbolConfig."""

    symbol: str
    marginType: str
    leverage: int


class PremiumIndex(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/premiumIndex; delivery contracts have an empty rate."""

    symbol: str
    markPrice: str
    time: int
    indexPrice: str | None = None
    lastFundingRate: str | None = None
    nextFundingTime: int | None = None


class BookTicker(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/ticker/bookTicker."""

    symbol: str
    bidPrice: str
    askPrice: str
    time: int | None = None


class DayTicker(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/ticker/24hr."""

    symbol: str
    quoteVolume: str


class FundingInfo(msgspec.Struct, frozen=True):
    """One contract of GET /fapi/v1/fundingInfo: those whose interval is not 8 h."""

    symbol: str
    fundingIntervalHours: int


class FundingRate(msgspec.Struct, frozen=True):
    """One settlement of GET /fapi/v1/fundingRate."""

    symbol: str
    fundingRate: str
    fundingTime: int


class Depth(msgspec.Struct, frozen=True):
    """GET /fapi/v1/depth; levels are [price, quantity], best first."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    T: int | None = None


class Income(msgspec.Struct, frozen=True):
    """One entry of GET /fapi/v1/income."""

    symbol: str
    incomeType: str
    income: str
    asset: str
    time: int
    tranId: int | str
    tradeId: int | str = ""


class UserTrade(msgspec.Struct, frozen=True):
    """One own trade of GET /fapi/v1/userTrades."""

    symbol: str
    id: int
    orderId: int
    side: str
    price: str
    qty: str
    commission: str
    commissionAsset: str
    time: int
    maker: bool = False


class Order(msgspec.Struct, frozen=True):
    """An order as POST, GET and DELETE /fapi/v1/order and GET /fapi/v1/openOrders give it."""

    symbol: str
    orderId: int
    clientOrderId: str
    status: str
    side: str
    origQty: str
    executedQty: str
    avgPrice: str | None = None
    price: str | None = None
    time: int | None = None
    updateTime: int | None = None


class Stop(msgspec.Struct, frozen=True):
    """A conditional order as POST and GET /fapi/v1/algoOrder and GET openAlgoOrders give it."""

    algoId: int
    clientAlgoId: str
    orderType: str
    symbol: str
    side: str
    quantity: str
    algoStatus: str
    triggerPrice: str
    workingType: str
    reduceOnly: bool
    actualOrderId: str | int | None = None
    createTime: int | None = None
    updateTime: int | None = None


class StopCanceled(msgspec.Struct, frozen=True):
    """DELETE /fapi/v1/algoOrder."""

    algoId: int
    clientAlgoId: str
    code: str | int
    msg: str


class Countdown(msgspec.Struct, frozen=True):
    """POST /fapi/v1/countdownCancelAll."""

    symbol: str
    countdownTime: str | int


Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]
"""Open time, open, high, low, close, base volume, close time, and five more."""


def _no_duplicate(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadResponse("expected each key once, was a duplicate; refuse the payload")
    return found


def decode(body: bytes, shape: type[T], *, unique_keys: bool = True) -> T:
    """Return `body` as `shape`, or refuse it.

    Parameters
    ----------
    unique_keys : bool
        Refuse an object that names any key twice, of which parsers take one or the other. Off for
        public market data, of which there is much: there only the names that are read are counted,
        which is enough where no object lies within another.

    Raises
    ------
    BadResponse
        For HTML, an empty or cut-off body, another type or shape, NaN, a missing field.
    """
    try:
        if unique_keys:
            json.loads(body, object_pairs_hook=_no_duplicate)
        found = msgspec.json.decode(body, type=shape)
    except BadResponse:
        raise
    except (ValueError, RecursionError) as error:
        # The library's text names places and types, never the payload itself.
        reason = str(error) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
        raise BadResponse(
            f"expected {_name(shape)}, was another shape ({reason}); refuse the payload",
            "BAD_RESPONSE",
        ) from None
    if not unique_keys:
        _refuse_repeats(body, found)
    return found


def _refuse_repeats(body: bytes, found: Any) -> None:
    """Refuse a flat payload that has a name which is read more often than it has objects."""
    rows = found if isinstance(found, list) else [found]
    names = getattr(rows[0], "__struct_fields__", ()) if rows else ()
    if any(body.count(f'"{name}"'.encode()) > len(rows) for name in names):
        raise BadResponse("expected each key once, was a duplicate; refuse the payload")


def _name(shape: Any) -> str:
    of = getattr(shape, "__args__", None)
    if getattr(shape, "__origin__", None) is list and of:
        return f"a list of {_name(of[0])}"
    return str(getattr(shape, "__name__", shape))
