"""Binance's conditional orders -> model records.

A stop has two lives at the venue: it waits in the algo service under an `algoId`, and once its mark
was reached an ordinary order with an id of its own does what there is to do. A report tells of both
as one: `venue_order_id` is ``algo:`` with the first id until the second is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perptui.model.money import ZERO
from perptui.model.order import LegState, OrderIntent, OrderKind, OrderReport
from perptui.model.text import safe_text
from perptui.venues import wire_binance as wire
from perptui.venues.fields import bad, positive, stamp
from perptui.venues.parse_account import side_of
from perptui.venues.parse_market import Names

STOP_MARKET = "STOP_MARKET"
WORKING_TYPE = "MARK_PRICE"
STATES = {
    "NEW": LegState.OPEN,
    "TRIGGERING": LegState.OPEN,
    "TRIGGERED": LegState.OPEN,
    "FINISHED": LegState.EXPIRED,
    "CANCELED": LegState.CANCELED,
    "EXPIRED": LegState.EXPIRED,
    "REJECTED": LegState.REJECTED,
}
"""By `algoStatus`, where its own order is not known (Event Algo Order Update)."""


def stop(row: wire.Stop, names: Names, received_ms: int) -> OrderReport:
    """Return what the venue says of one conditional order, of any type, nothing of it filled.

    Raises
    ------
    BadResponse
        For an unknown status or an id that is none.
    """
    state = STATES.get(row.algoStatus)
    if state is None or row.algoId <= 0 or not row.clientAlgoId:
        raise bad("a stop with an id and a known status", f"{row.algoId} {row.algoStatus}")
    ts_ms = row.updateTime or row.createTime
    return OrderReport(
        id=names.identifier(row.symbol),
        client_id=safe_text(row.clientAlgoId),
        venue_order_id=f"algo:{row.algoId}",
        state=state,
        side=side_of(row.side),
        contracts=positive(row.quantity, "quantity"),
        filled=ZERO,
        average_price=None,
        ts_ms=received_ms if ts_ms is None else stamp(ts_ms, "updateTime"),
        kind=OrderKind.STOP_MARKET,
        trigger_price=positive(row.triggerPrice, "triggerPrice"),
    )


def order_id(row: wire.Stop) -> str:
    """Return the id of the order that a triggered stop became, "" while there is none.

    Raises
    ------
    BadResponse
        When it is no id.
    """
    text = str(row.actualOrderId or "")
    if text in {"", "0"}:
        return ""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise bad("the id of an order", text)
    return text


def triggered(report: OrderReport, order: OrderReport) -> OrderReport:
    """Return the report of a stop with what its order did.

    An order that was cut to a smaller position and filled whole has not filled the stop: the rest
    of it ended without one.

    Raises
    ------
    BadResponse
        When the order is of another contract or side, or filled beyond the stop.
    """
    asked = (report.id, report.side)
    if (order.id, order.side) != asked or order.filled > report.contracts:
        raise bad("the order of that stop", f"{order.id} {order.side} {order.filled}", "reconcile")
    state = order.state
    if state is LegState.FILLED and order.filled < report.contracts:
        state = LegState.EXPIRED
    return msgspec.structs.replace(
        report,
        venue_order_id=order.venue_order_id,
        state=state,
        filled=order.filled,
        average_price=order.average_price,
        ts_ms=order.ts_ms,
    )


def acknowledgement(
    body: bytes, intent: OrderIntent, client_id: str, names: Names, received_ms: int
) -> OrderReport:
    """Return the report of exactly this stop.

    Raises
    ------
    BadResponse
        When the body is no stop, or differs in anything that was asked for.
    """
    row = wire.decode(body, wire.Stop)
    report = stop(row, names, received_ms)
    asked = (intent.id, client_id, intent.side, intent.contracts, intent.trigger_price)
    given = (report.id, report.client_id, report.side, report.contracts, report.trigger_price)
    terms = (row.orderType, row.workingType, row.reduceOnly)
    if asked != given or terms != (STOP_MARKET, WORKING_TYPE, True):
        said = " ".join(map(str, (*given, *terms)))
        raise bad(f"the reduce-only stop {client_id} on the mark", said, "reconcile")
    return report


def requested(
    row: wire.Stop, identifier: str, client_id: str, names: Names, received_ms: int
) -> OrderReport:
    """Return the report of the stop asked for, or raise BadResponse when it is another."""
    report = stop(row, names, received_ms)
    if (report.id, report.client_id) != (identifier, client_id):
        raise bad(f"the stop {client_id}", f"{report.id} {report.client_id}", "reconcile")
    return report


def cancellation(body: bytes, identifier: str, client_id: str) -> OrderReport | None:
    """Return None for the venue's word that it cancelled exactly this stop.

    Raises
    ------
    BadResponse
        For anything else.
    """
    row = wire.decode(body, wire.StopCanceled)
    if row.clientAlgoId != client_id or str(row.code) != "200" or row.algoId <= 0:
        raise bad(f"the cancelled stop {client_id} of {identifier}", row.clientAlgoId, "reconcile")
    return None


def countdown(body: bytes, symbol: str, countdown_ms: int) -> None:
    """Take the venue's word that a contract's countdown is what was asked for.

    Raises
    ------
    BadResponse
        For anything else.
    """
    row = wire.decode(body, wire.Countdown)
    if (row.symbol, str(row.countdownTime)) != (symbol, str(countdown_ms)):
        raise bad(f"a countdown of {countdown_ms} ms", f"{row.symbol} {row.countdownTime}")


def unique_stops(
    rows: Sequence[wire.Stop], names: Names, received_ms: int
) -> tuple[OrderReport, ...]:
    """Return stops that wait; raise BadResponse when a venue id comes twice."""
    found = [stop(row, names, received_ms) for row in rows]
    if len({report.venue_order_id for report in found}) != len(found):
        raise bad("each stop once", len(found))
    return tuple(found)
