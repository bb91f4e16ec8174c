"""Orders at Binance USD-M: one attempt each, and what the venue says of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from perptui.model.errors import RateLimited, VenueError, VenueRejected
from perptui.model.money import decimal_of, plain
from perptui.model.order import LegState, OrderIntent, OrderReport, Outcome
from perptui.venues import parse_account
from perptui.venues import wire_binance as wire
from perptui.venues.base import Reading
from perptui.venues.binance_link import BinanceLink
from perptui.venues.classify import classify
from perptui.venues.markets_binance import NAME

NO_SUCH_ORDER = "-2013"
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


class BinanceOrders(BinanceLink):
    """Orders by our client id."""

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        """Return every order of the account that still works, ours or not."""
        exchange, rows = await self._read(list[wire.Order], "fetch_open_orders", weight=40)
        found = parse_account.unique_orders(rows, self._names, exchange.received_ms)
        return self._reading(found, None, exchange, "open_orders")

    async def order(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        """Return one order by client id; None only for the venue's own "no such order"."""
        symbol, _ = self._symbols_of(identifier)
        params = {"origClientOrderId": client_id}
        call = f"order {client_id}"
        try:
            exchange, row = await self._read(
                wire.Order, "fetch_order", None, symbol, params, weight=1
            )
        except VenueRejected as error:
            if error.code != NO_SUCH_ORDER:
                raise
            return Reading(None, None, self._clock.monotonic(), f"{NAME} {call}")
        report = parse_account.requested(
            row, identifier, client_id, self._names, exchange.received_ms
        )
        return self._reading(report, report.ts_ms, exchange, call)

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        """Send one LIMIT IOC order at `intent.limit_price`: exactly one attempt, classified."""
        try:
            symbol, _ = self._symbols_of(intent.id)
            self._refuse_unsendable(symbol, intent, client_id)
            params = {"timeInForce": "IOC", "newClientOrderId": client_id}
            if intent.reduce_only:
                params["reduceOnly"] = "true"
            return await self._attempt(
                lambda body, received_ms: parse_account.acknowledgement(
                    body, intent, client_id, self._names, received_ms
                ),
                "create_order",
                symbol,
                "limit",
                intent.side.value,
                plain(intent.contracts),
                plain(intent.limit_price),
                params,
            )
        except VenueError as error:
            return _not_sent(error)

    def _refuse_unsendable(self, symbol: str, intent: OrderIntent, client_id: str) -> None:
        """Refuse what ccxt would round, or the venue could not name, before anything is sent."""
        if not CLIENT_ID.fullmatch(client_id):
            raise VenueRejected(f"expected a client id of the venue, was {client_id!r}", "LOCAL")
        precision = self._exchange.market(symbol)["precision"]
        step, tick = (decimal_of(precision[name], name) for name in ("amount", "price"))
        on_step = intent.contracts > 0 and intent.contracts % step == 0
        if not on_step or intent.limit_price <= 0 or intent.limit_price % tick != 0:
            raise VenueRejected(
                f"expected steps of {plain(step)} and ticks of {plain(tick)}, was "
                f"{plain(intent.contracts)} at {plain(intent.limit_price)}; round first",
                "LOCAL",
            )

    async def cancel(self, identifier: str, client_id: str) -> Outcome:
        """Cancel one order by client id: exactly one attempt, classified."""
        try:
            symbol, _ = self._symbols_of(identifier)
            return await self._attempt(
                lambda body, received_ms: parse_account.cancellation(
                    body, identifier, client_id, self._names, received_ms
                ),
                "cancel_order",
                None,
                symbol,
                {"origClientOrderId": client_id},
                cancel=True,
            )
        except VenueError as error:
            return _not_sent(error)

    async def _attempt(
        self,
        read_back: Callable[[bytes, int], OrderReport],
        method: str,
        *arguments: Any,
        cancel: bool = False,
    ) -> Outcome:
        exchange, word = await self._calls.write(method, *arguments, cancel=cancel)
        if exchange is None:
            return Outcome(LegState.NOT_SENT, code="LOCAL", text=word)
        outcome = classify(
            exchange,
            lambda body: read_back(body, exchange.received_ms),
            shown=self._calls.redact,
        )
        if not word or outcome.state is LegState.ACKED:
            return outcome
        return msgspec.structs.replace(outcome, text=f"{outcome.text} [{word}]"[:200])


def _not_sent(error: VenueError) -> Outcome:
    until_ms = error.until_ms if isinstance(error, RateLimited) else None
    return Outcome(LegState.NOT_SENT, code=error.code, text=str(error), until_ms=until_ms)
