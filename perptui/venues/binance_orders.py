"""Orders at Binance USD-M: one attempt each, and what the venue says of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from perptui.model.errors import BadResponse, RateLimited, VenueError, VenueRejected
from perptui.model.money import decimal_of, plain
from perptui.model.order import Consequence, LegState, OrderIntent, OrderReport, Outcome
from perptui.venues import parse_account, parse_stop
from perptui.venues import wire_binance as wire
from perptui.venues.base import Reading
from perptui.venues.binance_link import BinanceLink, Kept
from perptui.venues.classify import classify
from perptui.venues.markets_binance import NAME
from perptui.venues.outcomes.binance import BINANCE

NO_SUCH_ORDER = "-2013"
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
STOPS_S = 15.0
"""Seconds for which the list of stops is kept, unless one is known to have changed: reading it each
time that orders are read would take a third of the venue's budget. Stops of ours are asked one by
one by whoever reconciles."""
CONDITIONAL = {"trigger": True}
"""Tells ccxt that an order is one of the algo service."""


class BinanceOrders(BinanceLink):
    """Orders and stops by our client id."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stops: Kept[list[wire.Stop]] | None = None

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        """Return every order and stop of the account that still works, ours or not."""
        exchange, rows = await self._read(list[wire.Order], "fetch_open_orders", weight=40)
        found = parse_account.unique_orders(rows, self._names, exchange.received_ms)
        kept = self._stops
        if kept is None or self._age(kept) > STOPS_S:
            other, stops = await self._read(
                list[wire.Stop], "fetch_open_orders", None, None, None, CONDITIONAL, weight=40
            )
            kept = self._stops = Kept(stops, other)
        waiting = parse_stop.unique_stops(kept.value, self._names, exchange.received_ms)
        return self._reading((*found, *waiting), None, exchange, "open_orders")

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

    async def stop(self, identifier: str, client_id: str) -> Reading[OrderReport | None]:
        """Return one stop by client id, with what its order did once it was triggered.

        None only for the venue's own "no such order".
        """
        symbol, _ = self._symbols_of(identifier)
        call = f"stop {client_id}"
        try:
            exchange, row = await self._read(
                wire.Stop,
                "fetch_order",
                None,
                symbol,
                {**CONDITIONAL, "clientAlgoId": client_id},
                weight=1,
            )
        except VenueRejected as error:
            if error.code != NO_SUCH_ORDER:
                raise
            return Reading(None, None, self._clock.monotonic(), f"{NAME} {call}")
        report = parse_stop.requested(row, identifier, client_id, self._names, exchange.received_ms)
        if report.state is not LegState.OPEN:
            self._stops = None
        if order_id := parse_stop.order_id(row):
            report = await self._triggered(report, symbol, order_id)
        return self._reading(report, report.ts_ms, exchange, call)

    async def _triggered(self, report: OrderReport, symbol: str, order_id: str) -> OrderReport:
        """Return the report of a stop with what its order did.

        The venue forgets an order only when it ended without a fill: of one that it does not know
        the service's own word stands.
        """
        self._stops = None
        try:
            exchange, row = await self._read(wire.Order, "fetch_order", order_id, symbol, weight=1)
        except VenueRejected as error:
            if error.code != NO_SUCH_ORDER:
                raise
            return report
        order = parse_account.order(row, self._names, exchange.received_ms)
        if order.venue_order_id != order_id:
            raise BadResponse(
                f"expected order {order_id}, was {order.venue_order_id}; reconcile", "BAD_RESPONSE"
            )
        return parse_stop.triggered(report, order)

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        """Send one order, LIMIT IOC or a stop: exactly one attempt, classified."""
        try:
            symbol, _ = self._symbols_of(intent.id)
            self._refuse_unsendable(symbol, intent, client_id)
            if intent.protective:
                return await self._submit_stop(symbol, intent, client_id)
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

    async def _submit_stop(self, symbol: str, intent: OrderIntent, client_id: str) -> Outcome:
        """Send a reduce-only STOP_MARKET on the mark price to the algo service."""
        if intent.trigger_price != intent.limit_price or not intent.reduce_only:
            raise VenueRejected(
                f"expected a reduce-only stop of {intent.id} at its trigger, was another; "
                "make it anew",
                "LOCAL",
            )
        self._stops = None
        return await self._attempt(
            lambda body, received_ms: parse_stop.acknowledgement(
                body, intent, client_id, self._names, received_ms
            ),
            "create_order",
            symbol,
            "market",
            intent.side.value,
            plain(intent.contracts),
            None,
            {
                "triggerPrice": plain(intent.limit_price),
                "workingType": parse_stop.WORKING_TYPE,
                "reduceOnly": "true",
                "clientAlgoId": client_id,
            },
        )

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

    async def cancel_stop(self, identifier: str, client_id: str) -> Outcome:
        """Cancel one stop by client id: exactly one attempt, classified."""
        try:
            symbol, _ = self._symbols_of(identifier)
            self._stops = None
            return await self._attempt(
                lambda body, _: parse_stop.cancellation(body, identifier, client_id),
                "cancel_order",
                None,
                symbol,
                {**CONDITIONAL, "clientAlgoId": client_id},
                cancel=True,
            )
        except VenueError as error:
            return _not_sent(error)

    async def arm_dead_man(self, identifier: str, countdown_ms: int) -> Outcome:
        """Have the venue cancel the contract's orders after a time, unless it is armed again.

        Binance's documentation of ``countdownCancelAll`` speaks of "all open orders of the
        specified symbol" and does not say whether conditional orders are among them; they have a
        cancel-all of their own (``DELETE algoOpenOrders``). Whoever arms it must take it that they
        are.
        """
        try:
            _, symbol = self._symbols_of(identifier)
            return await self._attempt(
                lambda body, _: parse_stop.countdown(body, symbol, countdown_ms),
                "fapiPrivatePostCountdownCancelAll",
                {"symbol": symbol, "countdownTime": str(countdown_ms)},
                cancel=True,
            )
        except VenueError as error:
            return _not_sent(error)

    async def _attempt(
        self,
        read_back: Callable[[bytes, int], OrderReport | None],
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
            BINANCE,
            self._calls.redact,
        )
        if outcome.consequence is Consequence.SYNC:
            self._calls.lose_step()
        if not word or outcome.state is LegState.ACKED:
            return outcome
        return msgspec.structs.replace(outcome, text=f"{outcome.text} [{word}]"[:200])


def _not_sent(error: VenueError) -> Outcome:
    until_ms = error.until_ms if isinstance(error, RateLimited) else None
    return Outcome(LegState.NOT_SENT, code=error.code, text=str(error), until_ms=until_ms)
