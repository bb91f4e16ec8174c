"""Binance account payloads -> model records: positions, orders, fills and cash flows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perptui.model.account import Account, CashFlow, Position
from perptui.model.order import Fill, LegState, OrderIntent, OrderReport, Side
from perptui.model.text import safe_text
from perptui.venues import wire_binance as wire
from perptui.venues.fields import (
    bad,
    number,
    number_or_none,
    positive,
    positive_or_none,
    stamp,
    unsigned,
)
from perptui.venues.parse_market import Names

ORDER_STATES = {
    "NEW": LegState.OPEN,
    "PARTIALLY_FILLED": LegState.PARTIAL,
    "FILLED": LegState.FILLED,
    "CANCELED": LegState.CANCELED,
    "EXPIRED": LegState.EXPIRED,
    "EXPIRED_IN_MATCH": LegState.EXPIRED,
    "REJECTED": LegState.REJECTED,
}
CASHFLOW_KINDS = {
    "FUNDING_FEE": "funding",
    "COMMISSION": "fee",
    "COMMISSION_REBATE": "fee",
    "API_REBATE": "fee",
    "REALIZED_PNL": "realised",
    "INSURANCE_CLEAR": "realised",
}
"""Income types of Binance; any other moves money in or out and is a "transfer"."""

DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "USD", "BUSD", "USD1", "BFUSD"})
"""Coins whose amounts are taken as USD."""

SUMS_AGREE = Decimal("1e-6")
"""How far totals of one payload may be apart, fraction of them."""

PROFIT_AGREES = Decimal("0.01")
"""How far a position's stated P&L may be from its size times its prices, fraction of notional."""

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


def side_of(text: str) -> Side:
    """Return the side of BUY or SELL, or raise BadResponse."""
    side = _SIDES.get(text)
    if side is None:
        raise bad("BUY or SELL", text)
    return side


def held(rows: Sequence[wire.PositionRisk] | Sequence[wire.AccountPosition]) -> dict[str, Decimal]:
    """Return signed contracts by symbol and position side, without the flat ones.

    Raises
    ------
    BadResponse
        When a symbol and side come twice.
    """
    found: dict[str, Decimal] = {}
    for row in rows:
        key = f"{row.symbol} {row.positionSide}"
        if key in found:
            raise bad("each position once", key)
        found[key] = number(row.positionAmt, "positionAmt")
    return {key: contracts for key, contracts in found.items() if contracts}


def agree(balance: wire.AccountInfo, rows: Sequence[wire.PositionRisk]) -> bool:
    """Return whether balance and positions tell of the same book.

    An empty list of positions is what a flat account and a broken answer both look like; the
    account payload names its positions too, or at least the margin they bind.
    """
    if balance.positions is not None:
        return held(balance.positions) == held(rows)
    margin = number_or_none(balance.totalMaintMargin, "totalMaintMargin")
    return bool(held(rows)) or not margin


def account(
    balance: wire.AccountInfo,
    rows: Sequence[wire.PositionRisk],
    mode: wire.PositionMode,
    names: Names,
    venue: str,
    ts_ms: int,
) -> tuple[Account, tuple[str, ...]]:
    """Return the margin account with its open positions, sorted by id.

    Raises
    ------
    BadResponse
        When a number is not one, a position comes twice or its contract is not known.
    """
    kept = frozenset(held(rows))
    _check_sums(balance)
    positions = sorted(
        (_position(row, names) for row in rows if f"{row.symbol} {row.positionSide}" in kept),
        key=lambda position: position.id,
    )
    one_way = not mode.dualSidePosition and all(row.positionSide == "BOTH" for row in rows)
    found = Account(
        venue=venue,
        name="main",
        collateral="USDT",
        ts_ms=ts_ms,
        wallet_usd=number(balance.totalWalletBalance, "totalWalletBalance"),
        equity_usd=number(balance.totalMarginBalance, "totalMarginBalance"),
        positions=tuple(positions),
        available_usd=number_or_none(balance.availableBalance, "availableBalance"),
        initial_margin_usd=_margin(balance.totalInitialMargin, "totalInitialMargin"),
        maintenance_margin_usd=_margin(balance.totalMaintMargin, "totalMaintMargin"),
        one_way=one_way,
    )
    return found, _missing(found)


def with_settings(
    found: Account,
    mode: wire.PositionMode,
    configs: Sequence[wire.SymbolConfig],
    names: Names,
) -> Account:
    """Return the account with its margin modes and leverages, of the contracts that are known.

    Raises
    ------
    BadResponse
        When a leverage is not positive, or no contract is listed.
    """
    isolated, leverages = [], {}
    for row in configs:
        if row.symbol not in names.known:
            continue
        if row.leverage <= 0:
            raise bad("a positive leverage", f"{row.symbol} {row.leverage}")
        leverages[names.identifier(row.symbol)] = Decimal(row.leverage)
        if row.marginType.upper() != "CROSSED":
            isolated.append(names.identifier(row.symbol))
    if not leverages:
        raise bad("settings of the contracts", "none of them")
    return msgspec.structs.replace(
        found,
        multi_assets=mode.multiAssetsMargin,
        isolated=tuple(sorted(isolated)),
        leverages=tuple(sorted(leverages.items())),
    )


def _check_sums(balance: wire.AccountInfo) -> None:
    """Refuse totals that are not each other's sum: one of them is wrong, and not which is told."""
    wallet = number(balance.totalWalletBalance, "totalWalletBalance")
    unrealised = number(balance.totalUnrealizedProfit, "totalUnrealizedProfit")
    equity = number(balance.totalMarginBalance, "totalMarginBalance")
    if abs(wallet + unrealised - equity) > SUMS_AGREE * max(abs(wallet), abs(equity), Decimal(1)):
        raise bad("equity that is wallet and unrealised", f"{wallet} + {unrealised} = {equity}")


def _unrealised(row: wire.PositionRisk) -> Decimal | None:
    """Return the P&L where it is that of the row's own size and prices, else None."""
    stated = number_or_none(row.unRealizedProfit, "unRealizedProfit")
    mark = positive_or_none(row.markPrice, "markPrice")
    if stated is None or mark is None:
        return stated
    contracts, entry = number(row.positionAmt, "positionAmt"), number(row.entryPrice, "entryPrice")
    worth = contracts * (mark - entry)
    return stated if abs(stated - worth) <= PROFIT_AGREES * abs(contracts) * mark + 1 else None


def _margin(text: str | None, name: str) -> Decimal | None:
    return None if text is None or text == "" else unsigned(text, name)


def _missing(found: Account) -> tuple[str, ...]:
    totals = ("available_usd", "initial_margin_usd", "maintenance_margin_usd")
    fields = ("mark_price", "unrealised_usd", "venue_liquidation_price", "leverage")
    missing = [f"account.{name}" for name in totals if getattr(found, name) is None]
    for position in found.positions:
        missing += [f"{position.id}.{name}" for name in fields if getattr(position, name) is None]
    return tuple(missing)


def _position(row: wire.PositionRisk, names: Names) -> Position:
    return Position(
        id=names.identifier(row.symbol),
        contracts=number(row.positionAmt, "positionAmt"),
        entry_price=positive(row.entryPrice, "entryPrice"),
        mark_price=positive_or_none(row.markPrice, "markPrice"),
        unrealised_usd=_unrealised(row),
        venue_liquidation_price=positive_or_none(row.liquidationPrice, "liquidationPrice"),
    )


def order(row: wire.Order, names: Names, received_ms: int) -> OrderReport:
    """Return what the venue says of one order.

    Raises
    ------
    BadResponse
        For an unknown status, a fill above the order, or an id that is none.
    """
    state = ORDER_STATES.get(row.status)
    contracts, filled = positive(row.origQty, "origQty"), unsigned(row.executedQty, "executedQty")
    if state is None or row.orderId <= 0 or not row.clientOrderId:
        raise bad("an order with an id and a known status", f"{row.orderId} {row.status}")
    if filled > contracts or (state is LegState.FILLED and filled != contracts):
        raise bad("a fill that fits the order", f"{row.executedQty} of {row.origQty}")
    ts_ms = row.updateTime or row.time
    return OrderReport(
        id=names.identifier(row.symbol),
        client_id=safe_text(row.clientOrderId),
        venue_order_id=str(row.orderId),
        state=state,
        side=side_of(row.side),
        contracts=contracts,
        filled=filled,
        average_price=positive_or_none(row.avgPrice, "avgPrice") if filled else None,
        ts_ms=received_ms if ts_ms is None else stamp(ts_ms, "updateTime"),
    )


def acknowledgement(
    body: bytes, intent: OrderIntent, client_id: str, names: Names, received_ms: int
) -> OrderReport:
    """Return the report of exactly this order.

    Raises
    ------
    BadResponse
        When the body is no order, or has another client id, symbol, side or quantity.
    """
    report = order(wire.decode(body, wire.Order), names, received_ms)
    asked = (intent.id, client_id, intent.side, intent.contracts)
    given = (report.id, report.client_id, report.side, report.contracts)
    if asked != given:
        raise bad(f"the order {client_id}", " ".join(map(str, given)), "reconcile")
    return report


def requested(
    row: wire.Order, identifier: str, client_id: str, names: Names, received_ms: int
) -> OrderReport:
    """Return the report of the order asked for, or raise BadResponse when it is another."""
    report = order(row, names, received_ms)
    if (report.id, report.client_id) != (identifier, client_id):
        raise bad(f"the order {client_id}", f"{report.id} {report.client_id}", "reconcile")
    return report


def cancellation(
    body: bytes, identifier: str, client_id: str, names: Names, received_ms: int
) -> OrderReport:
    """Return the report of the cancelled order, or raise BadResponse when it is another."""
    row = wire.decode(body, wire.Order)
    return requested(row, identifier, client_id, names, received_ms)


def unique_orders(
    rows: Sequence[wire.Order], names: Names, received_ms: int
) -> tuple[OrderReport, ...]:
    """Return open orders by id; raise BadResponse when a venue id comes twice."""
    found = [order(row, names, received_ms) for row in rows]
    if len({report.venue_order_id for report in found}) != len(found):
        raise bad("each order once", len(found))
    return tuple(sorted(found, key=lambda report: (report.ts_ms, report.venue_order_id)))


def fill(
    row: wire.UserTrade, taker_fee: Decimal, maker_fee: Decimal, names: Names
) -> tuple[Fill, bool]:
    """Return one execution, and whether its fee was given in dollars.

    A fee taken in another coin has no dollar amount in the payload: it is then the schedule's
    rate on the value traded, and the caller lists it as missing.
    """
    contracts, price = positive(row.qty, "qty"), positive(row.price, "price")
    if row.id <= 0 or row.orderId <= 0:
        raise bad("a trade with the ids of itself and its order", f"{row.id} {row.orderId}")
    stated = row.commissionAsset in DOLLARS
    fee = number(row.commission, "commission")
    if not stated:
        fee = (maker_fee if row.maker else taker_fee) * contracts * price
    found = Fill(
        id=names.identifier(row.symbol),
        trade_id=str(row.id),
        venue_order_id=str(row.orderId),
        side=side_of(row.side),
        contracts=contracts,
        price=price,
        fee_usd=fee,
        ts_ms=stamp(row.time, "time"),
        maker=row.maker,
    )
    return found, stated


def cashflow(row: wire.Income, names: Names) -> CashFlow | None:
    """Return one change of wallet; None for an amount in a coin that is no dollar.

    `id` is the instrument's, empty for a transfer; `reference` tells entries apart.
    """
    if row.asset not in DOLLARS:
        number(row.income, "income")
        return None
    return CashFlow(
        id=names.identifier(row.symbol) if row.symbol else "",
        ts_ms=stamp(row.time, "time"),
        kind=CASHFLOW_KINDS.get(row.incomeType, "transfer"),
        amount_usd=number(row.income, "income"),
        reference=safe_text(f"{row.incomeType}:{row.tranId}:{row.tradeId}"),
    )
