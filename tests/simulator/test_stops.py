"""Conditional orders of the exchange core, and the algo service's wire in front of it."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.clock import HOUR_MS, ManualClock
from perptui.model.order import Side
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import (
    OrderRequest,
    OrderType,
    Reason,
    Refused,
    Status,
    Stop,
    StopStatus,
)
from perptui.simulator.path import GRID_MS
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.simulator.wire import WireRequest
from tests.simulator.scripted import START_MS, exchange_of

BTC = "BTCUSDT"


def buy(exchange: Exchange, quantity: str = "1") -> None:
    exchange.place(OrderRequest(BTC, Side.BUY, OrderType.MARKET, Decimal(quantity)))


def stop(
    exchange: Exchange,
    trigger: str,
    side: Side = Side.SELL,
    quantity: str = "1",
    client_id: str = "pt1",
) -> Stop:
    request = OrderRequest(
        BTC,
        side,
        OrderType.STOP_MARKET,
        Decimal(quantity),
        reduce_only=True,
        client_id=client_id,
    )
    return exchange.place_stop(request, Decimal(trigger))


def falling() -> Exchange:
    """Flat at 20,000 for an hour, then at 19,000, then at 18,000."""
    return exchange_of({BTC: [20_000.0, 19_000.0, 18_000.0, 18_000.0]})


def test_a_stop_waits_and_closes_the_position_once_the_mark_is_there() -> None:
    exchange = falling()
    buy(exchange)
    waiting = stop(exchange, "19500")
    exchange.advance(START_MS + HOUR_MS - GRID_MS)
    assert (waiting.status, exchange.account.quantity(BTC)) == (StopStatus.NEW, Decimal(1))
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert waiting.status is StopStatus.FINISHED
    assert waiting.order is not None
    assert waiting.order.status is Status.FILLED
    assert exchange.account.quantity(BTC) == 0
    assert exchange.mark(BTC) <= 19_500
    assert waiting.triggered_ms <= START_MS + 2 * HOUR_MS
    assert not exchange.waiting


def test_a_stop_against_a_short_waits_above() -> None:
    exchange = exchange_of({BTC: [20_000.0, 21_000.0, 21_000.0]})
    exchange.place(OrderRequest(BTC, Side.SELL, OrderType.MARKET, Decimal(1)))
    waiting = stop(exchange, "20500", Side.BUY)
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert (waiting.status, exchange.account.quantity(BTC)) == (StopStatus.FINISHED, Decimal(0))


@pytest.mark.parametrize(
    ("trigger", "side", "quantity", "reason"),
    [
        ("20000", Side.SELL, "1", Reason.TRIGGERS_AT_ONCE),
        ("20500", Side.SELL, "1", Reason.TRIGGERS_AT_ONCE),
        ("19000", Side.BUY, "1", Reason.REDUCE_ONLY),
        ("19000.05", Side.SELL, "1", Reason.TICK),
        ("19000", Side.SELL, "0.0005", Reason.PRECISION),
        ("0", Side.SELL, "1", Reason.PRICE_ZERO),
    ],
)
def test_what_the_venue_refuses(trigger: str, side: Side, quantity: str, reason: Reason) -> None:
    exchange = falling()
    buy(exchange)
    with pytest.raises(Refused) as refused:
        stop(exchange, trigger, side, quantity)
    assert refused.value.reason is reason
    assert not exchange.waiting


def test_ids_are_unique_among_those_that_wait_only() -> None:
    exchange = falling()
    buy(exchange)
    stop(exchange, "19000")
    with pytest.raises(Refused) as refused:
        stop(exchange, "18500")
    assert refused.value.reason is Reason.DUPLICATE_ID
    exchange.stops.cancel(None, "pt1")
    assert stop(exchange, "18500").id == exchange.stops.find(None, "pt1").id


def test_the_two_hundredth_is_the_last() -> None:
    exchange = falling()
    buy(exchange)
    for number in range(200):
        stop(exchange, "19000", quantity="0.001", client_id=f"pt{number}")
    with pytest.raises(Refused) as refused:
        stop(exchange, "19000", quantity="0.001", client_id="pt-last")
    assert refused.value.reason is Reason.STOP_ORDERS


def test_cancelling_all_orders_and_a_countdown_leave_stops() -> None:
    """`DELETE algoOpenOrders` is the venue's own call for them: `allOpenOrders` is not."""
    exchange = exchange_of({BTC: [20_000.0] * 3})
    buy(exchange)
    waiting = stop(exchange, "19000")
    exchange.cancel_all(BTC)
    exchange.countdowns[BTC] = exchange.now_ms + 1_000
    exchange.advance(START_MS + 10_000)
    assert list(exchange.waiting.values()) == [waiting]
    assert not exchange.countdowns
    assert exchange.stops.cancel_all(BTC) == [waiting]
    assert waiting.status is StopStatus.CANCELED


def test_a_stop_without_its_position_is_rejected_when_it_triggers() -> None:
    exchange = falling()
    buy(exchange)
    waiting = stop(exchange, "19500")
    exchange.place(OrderRequest(BTC, Side.SELL, OrderType.MARKET, Decimal(1)))
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert (waiting.status, waiting.order) == (StopStatus.REJECTED, None)
    assert exchange.account.quantity(BTC) == 0


def test_two_stops_never_turn_a_position_round() -> None:
    exchange = falling()
    buy(exchange)
    stop(exchange, "19500", client_id="pt1")
    second = stop(exchange, "19500", client_id="pt2")
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert exchange.account.quantity(BTC) == 0
    assert second.status is StopStatus.REJECTED


@settings(max_examples=25, deadline=None)
@given(
    prices=st.lists(st.integers(15_000, 25_000), min_size=3, max_size=4),
    sold=st.booleans(),
    away=st.integers(1, 5_000),
    step_ms=st.sampled_from([GRID_MS * 977, HOUR_MS // 3, HOUR_MS]),
)
def test_the_same_history_whether_walked_or_skipped(
    prices: list[int], sold: bool, away: int, step_ms: int
) -> None:
    histories = []
    for steps in (step_ms, 10 * HOUR_MS):
        exchange = exchange_of({BTC: [20_000.0, *map(float, prices)]}, gap=3.0)
        side, other = (Side.SELL, Side.BUY) if sold else (Side.BUY, Side.SELL)
        exchange.place(OrderRequest(BTC, side, OrderType.MARKET, Decimal(1)))
        waiting = stop(exchange, str(20_000 + (away + 10 if sold else -away)), other)
        end_ms = START_MS + len(prices) * HOUR_MS
        for at_ms in range(START_MS, end_ms + steps, steps):
            exchange.advance(min(at_ms, end_ms))
        trades = list(exchange.trades.values())
        histories.append((waiting.status, waiting.triggered_ms, trades, exchange.account.wallet))
    assert histories[0] == histories[1]


# ---------------------------------------------------------------------------------------- wire


def ask(venue: SimulatedVenue, method: str, path: str, **fields: str) -> tuple[int, Any]:
    stamped = {**fields, "timestamp": str(venue.exchange.now_ms)}
    query = urlencode(stamped)
    signature = hmac.new(b"simulated", query.encode(), hashlib.sha256).hexdigest()
    headers = {"x-mbx-apikey": "simulated"}
    request = WireRequest(
        method, f"/fapi/v1/{path}", f"{query}&signature={signature}", headers=headers
    )
    reply, _ = venue.answer(request)
    return reply.status, msgspec.json.decode(reply.body)


@pytest.fixture
def venue() -> SimulatedVenue:
    return SimulatedVenue(VenueOptions(seed=11), ManualClock(0))


def stop_fields(venue: SimulatedVenue, **changes: str) -> dict[str, str]:
    fields = {
        "symbol": BTC,
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "quantity": "0.010",
        "triggerPrice": str(int(venue.exchange.mark(BTC) * Decimal("0.95"))),
        "workingType": "MARK_PRICE",
        "reduceOnly": "true",
        "clientAlgoId": "pt7",
    }
    return {**fields, **changes}


def test_a_stop_over_the_wire_from_placing_to_cancelling(venue: SimulatedVenue) -> None:
    status, placed = ask(venue, "POST", "algoOrder", **stop_fields(venue))
    assert (status, placed["algoStatus"], placed["clientAlgoId"]) == (200, "NEW", "pt7")
    assert ask(venue, "GET", "openAlgoOrders")[1] == [placed]
    assert ask(venue, "GET", "allAlgoOrders", symbol=BTC)[1] == [placed]
    assert ask(venue, "GET", "algoOrder", clientAlgoId="pt7")[1] == placed
    assert ask(venue, "GET", "openOrders")[1] == []
    assert ask(venue, "GET", "order", symbol=BTC, origClientOrderId="pt7")[1]["code"] == -2013
    status, canceled = ask(venue, "DELETE", "algoOrder", clientAlgoId="pt7")
    assert (status, canceled["code"], canceled["algoId"]) == (200, "200", placed["algoId"])
    assert ask(venue, "DELETE", "algoOrder", clientAlgoId="pt7")[1]["code"] == -2011
    assert ask(venue, "GET", "algoOrder", algoId=str(placed["algoId"]))[1]["algoStatus"] == (
        "CANCELED"
    )
    ask(venue, "POST", "algoOrder", **stop_fields(venue))
    assert ask(venue, "DELETE", "algoOpenOrders", symbol=BTC)[0] == 200
    assert ask(venue, "GET", "openAlgoOrders", symbol=BTC)[1] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"triggerPrice": "999999"}, -2021),
        ({"side": "BUY", "triggerPrice": "999999"}, -2022),
        ({"reduceOnly": "false"}, -1130),
        ({"workingType": "CONTRACT_PRICE"}, -1130),
        ({"algoType": "VP"}, -1130),
        ({"type": "TRAILING_STOP_MARKET"}, -1116),
        ({"positionSide": "LONG"}, -4061),
        ({"clientAlgoId": "x" * 37}, -4015),
        ({"quantity": ""}, -1102),
        ({"triggerPrice": ""}, -1102),
    ],
)
def test_the_wire_refuses_with_the_venues_codes(
    venue: SimulatedVenue, changes: dict[str, str], code: int
) -> None:
    status, answer = ask(venue, "POST", "algoOrder", **stop_fields(venue, **changes))
    assert (status, answer["code"]) == (400, code)
    assert ask(venue, "GET", "openAlgoOrders")[1] == []


def test_the_old_endpoint_sends_conditional_orders_away(venue: SimulatedVenue) -> None:
    fields = {"symbol": BTC, "side": "SELL", "quantity": "0.010", "stopPrice": "90000"}
    status, answer = ask(venue, "POST", "order", type="STOP_MARKET", **fields)
    assert (status, answer["code"]) == (400, -4120)


def test_a_cancel_needs_a_name(venue: SimulatedVenue) -> None:
    assert ask(venue, "DELETE", "algoOrder")[1]["code"] == -1102
