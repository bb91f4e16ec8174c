"""What Binance USD-M says of the account: margin, positions, fills and cash flows."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from perptui.model.account import Account, CashFlow
from perptui.model.errors import BadResponse
from perptui.model.order import Fill
from perptui.venues import pages, parse_account
from perptui.venues import wire_binance as wire
from perptui.venues.base import Reading
from perptui.venues.binance_link import BinanceLink, Kept
from perptui.venues.markets_binance import NAME
from perptui.venues.permission import (
    AccountRights,
    ApiRestrictions,
    KeyPermissions,
    of_key,
    of_test_network,
)
from perptui.venues.transport import Exchange

MODE_S = 30.0
"""Seconds for which the position mode is kept: the venue refuses to change it with positions."""

DEFAULT_TAKER_FEE = Decimal("0.0005")
DEFAULT_MAKER_FEE = Decimal("0.0002")


class BinanceAccount(BinanceLink):
    """Signed reads of the margin account."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._mode: Kept[wire.PositionMode] | None = None
        self._configs: Kept[list[wire.SymbolConfig]] | None = None

    async def account(self) -> Reading[Account]:
        """Return balance, open positions and position mode; both payloads must agree.

        A fill between the two requests makes them differ: they are then read once more.
        """
        for _ in range(2):
            (exchange, balance), (other, rows), mode, configs = await asyncio.gather(
                self._read(wire.AccountInfo, "fetch_balance", weight=5),
                # ccxt's fetch_positions drops what has no entry price and asks for tiers first.
                self._read(list[wire.PositionRisk], "fapiPrivateV3GetPositionRisk", weight=5),
                self._position_mode(),
                self._symbol_configs(),
            )
            if parse_account.agree(balance, rows):
                oldest = min(exchange, other, key=lambda one: one.received_mono)
                found, missing = parse_account.account(
                    balance, rows, mode, self._names, NAME, oldest.received_ms
                )
                found = parse_account.with_settings(found, mode, configs, self._names)
                return self._reading(found, None, oldest, "account", missing)
        raise BadResponse(
            f"{NAME} account: expected balance and positions to agree, did not; trust neither",
            "BAD_RESPONSE",
        )

    async def _position_mode(self) -> wire.PositionMode:
        kept = self._mode
        if kept is None or self._age(kept) > MODE_S:
            call = "fapiPrivateGetAccountConfig"
            exchange, mode = await self._read(wire.PositionMode, call, weight=5)
            kept = self._mode = Kept(mode, exchange)
        return kept.value

    async def _symbol_configs(self) -> list[wire.SymbolConfig]:
        kept = self._configs
        if kept is None or self._age(kept) > MODE_S:
            call = "fapiPrivateGetSymbolConfig"
            exchange, rows = await self._read(list[wire.SymbolConfig], call, weight=5)
            kept = self._configs = Kept(rows, exchange)
        return kept.value

    async def permissions(self) -> KeyPermissions:
        """Return what the key may do: it alone is asked, on the one path of the venue's spot host.

        Raises
        ------
        VenueError
            When the venue does not answer, or not in its shape.
        """
        if self._demo_trading:
            _, account = await self._read(AccountRights, "fapiprivatev2_get_account", weight=5)
            return of_test_network(account)
        _, key = await self._read(ApiRestrictions, "sapi_get_account_apirestrictions", weight=1)
        return of_key(key)

    async def cashflows(self, since_ms: int) -> Reading[tuple[CashFlow, ...]]:
        """Return funding, fees, realised P&L and transfers since `since_ms`, rising in time."""
        last: list[Exchange] = []

        async def page(start_ms: int, end_ms: int) -> list[wire.Income]:
            exchange, rows = await self._read(
                list[wire.Income],
                "fetch_ledger",
                None,
                start_ms,
                pages.PAGE_ROWS,
                {"until": end_ms},
                weight=30,
            )
            last[:] = [exchange]
            return rows

        rows = await pages.by_time(
            page,
            since_ms,
            self._clock.utc_ms(),
            lambda row: row.time,
            lambda row: (row.incomeType, row.tranId, row.tradeId, row.asset),
        )
        flows = [(row, parse_account.cashflow(row, self._names)) for row in rows]
        missing = tuple(f"income.{row.tranId}.amount_usd" for row, flow in flows if flow is None)
        found = tuple(flow for _, flow in flows if flow is not None)
        return self._reading(found, None, last[0], "cashflows", missing)

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        """Return own trades of one contract since `since_ms`, paged, one per trade id."""
        symbol, _ = self._symbols_of(identifier)
        last: list[Exchange] = []

        async def page(start_ms: int, end_ms: int) -> list[wire.UserTrade]:
            params = {"until": end_ms}
            exchange, rows = await self._read(
                list[wire.UserTrade],
                "fetch_my_trades",
                symbol,
                start_ms,
                pages.PAGE_ROWS,
                params,
                weight=5,
            )
            last[:] = [exchange]
            return rows

        rows = await pages.by_time(
            page, since_ms, self._clock.utc_ms(), lambda row: row.time, lambda row: row.id
        )
        known = self._instruments.get(identifier)
        taker = known.taker_fee if known else DEFAULT_TAKER_FEE
        maker = known.maker_fee if known else DEFAULT_MAKER_FEE
        parsed = [parse_account.fill(row, taker, maker, self._names) for row in rows]
        missing = tuple(f"{fill.trade_id}.fee_usd" for fill, stated in parsed if not stated)
        found = tuple(fill for fill, _ in parsed)
        return self._reading(found, None, last[0], f"fills {identifier}", missing)
