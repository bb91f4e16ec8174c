"""Stops at Binance's algo service: the real ccxt against payloads and the simulated venue.

Payload shapes: developers.binance.com, USDⓈ-M futures, REST, "New Algo Order", "Query Algo Order",
"Cancel Algo Order", "Current All Algo Open Orders", "Auto Cancel All Open Orders".
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from perptui.model.clock import SystemClock, VenueClock
from perptui.model.errors import BadResponse, VenueRejected
from perptui.model.money import floor_to_tick
from perptui.model.order import Effect, LegState, OrderIntent, OrderKind, Side
from perptui.settings.credentials import Secret
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from tests.venues import payloads
from tests.venues.payloads import BTC
from tests.venues.wire_server import WireServer

pytestmark = pytest.mark.asyncio

ALGO = "/fapi/v1/algoOrder"
OPEN = "/fapi/v1/openAlgoOrders"
COUNTDOWN = "/fapi/v1/countdownCancelAll"
CLIENT_ID = "pt" + "a" * 30


def stop_intent(trigger: str = "60000", size: str = "1") -> OrderIntent:
    return OrderIntent(
        id=BTC,
        side=Side.SELL,
        effect=Effect.REDUCE,
        contracts=Decimal(size),
        notional_usd=Decimal(64600),
        limit_price=Decimal(trigger),
        mark_price=Decimal(64600),
        reduce_only=True,
        before=Decimal(size),
        after=Decimal(0),
        kind=OrderKind.STOP_MARKET,
        trigger_price=Decimal(trigger),
    )


def row(**changes: Any) -> dict[str, Any]:
    return {
        "algoId": 2146760,
        "clientAlgoId": CLIENT_ID,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "1.000",
        "algoStatus": "NEW",
        "actualOrderId": "",
        "actualPrice": "0.00000",
        "triggerPrice": "60000.0",
        "price": "0.0",
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": True,
        "createTime": payloads.NOW_MS,
        "updateTime": payloads.NOW_MS,
        "triggerTime": 0,
        "goodTillDate": 0,
        **changes,
    }


async def test_a_stop_goes_to_the_algo_service_as_it_was_confirmed(
    venue: Venue, server: WireServer
) -> None:
    server.answer(ALGO, row(), method="POST")
    outcome = await venue.submit(stop_intent(), CLIENT_ID)
    assert outcome.state is LegState.ACKED
    assert outcome.report is not None
    assert (outcome.report.state, outcome.report.kind) == (LegState.OPEN, OrderKind.STOP_MARKET)
    assert outcome.report.venue_order_id == "algo:2146760"
    assert outcome.report.trigger_price == 60_000
    (request,) = server.requests
    sent = request.parameters
    assert (request.method, request.path) == ("POST", ALGO)
    wanted = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "triggerPrice": "60000",
        "workingType": "MARK_PRICE",
        "reduceOnly": "true",
        "clientAlgoId": CLIENT_ID,
    }
    assert wanted.items() <= sent.items()
    assert Decimal(sent["quantity"]) == 1
    assert not {"price", "stopPrice", "newClientOrderId", "timeInForce"} & set(sent)


@pytest.mark.parametrize(
    "changes",
    [
        {"clientAlgoId": "ptother"},
        {"side": "BUY"},
        {"quantity": "2.000"},
        {"triggerPrice": "61000.0"},
        {"reduceOnly": False},
        {"workingType": "CONTRACT_PRICE"},
        {"orderType": "STOP"},
        {"algoId": 0},
        {"algoStatus": "SOON"},
        {"symbol": "ETHUSDT"},
        {"quantity": "NaN"},
    ],
)
async def test_an_answer_of_another_stop_leaves_the_outcome_unknown(
    venue: Venue, server: WireServer, changes: dict[str, Any]
) -> None:
    server.answer(ALGO, row(**changes), method="POST")
    outcome = await venue.submit(stop_intent(), CLIENT_ID)
    assert outcome.state is LegState.UNKNOWN


@pytest.mark.parametrize("body", [{}, [], b"<html></html>", b"", None])
async def test_a_garbage_answer_is_no_acknowledgement(
    venue: Venue, server: WireServer, body: Any
) -> None:
    server.answer(ALGO, body, method="POST")
    server.answer(ALGO, body, method="DELETE")
    server.answer(COUNTDOWN, body, method="POST")
    assert (await venue.submit(stop_intent(), CLIENT_ID)).state is LegState.UNKNOWN
    assert (await venue.cancel_stop(BTC, CLIENT_ID)).state is LegState.UNKNOWN
    assert (await venue.arm_dead_man(BTC, 60_000)).state is LegState.UNKNOWN


async def test_a_stop_that_would_trigger_at_once_is_refused_for_good(
    venue: Venue, server: WireServer
) -> None:
    error = {"code": -2021, "msg": "Order would immediately trigger."}
    server.answer(ALGO, error, method="POST", status=400)
    outcome = await venue.submit(stop_intent(), CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.REJECTED, "-2021")


async def test_a_stop_that_is_none_never_leaves(venue: Venue, server: WireServer) -> None:
    for changed in (
        {"trigger_price": Decimal(59_000)},
        {"reduce_only": False},
        {"trigger_price": None},
    ):
        intent = msgspec.structs.replace(stop_intent(), **changed)
        outcome = await venue.submit(intent, CLIENT_ID)
        assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "LOCAL")
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", LegState.OPEN),
        ("TRIGGERING", LegState.OPEN),
        ("CANCELED", LegState.CANCELED),
        ("EXPIRED", LegState.EXPIRED),
        ("REJECTED", LegState.REJECTED),
    ],
)
async def test_where_a_stop_stands(
    venue: Venue, server: WireServer, status: str, state: LegState
) -> None:
    server.answer(ALGO, row(algoStatus=status))
    report = (await venue.stop(BTC, CLIENT_ID)).value
    assert report is not None
    assert (report.state, report.filled, report.protective) == (state, Decimal(0), True)
    assert server.requests[-1].parameters["clientAlgoId"] == CLIENT_ID


@pytest.mark.parametrize(
    ("status", "executed", "state"),
    [
        ("FILLED", "1.000", LegState.FILLED),
        ("EXPIRED", "0.400", LegState.EXPIRED),
        ("PARTIALLY_FILLED", "0.400", LegState.PARTIAL),
        ("NEW", "0.000", LegState.OPEN),
    ],
)
async def test_a_triggered_stop_is_what_its_order_is(
    venue: Venue, server: WireServer, status: str, executed: str, state: LegState
) -> None:
    server.answer(ALGO, row(algoStatus="TRIGGERED", actualOrderId="123456"))
    order = payloads.order(
        status=status, orderId=123456, side="SELL", executedQty=executed, origQty="1.000"
    )
    server.answer("/fapi/v1/order", order)
    report = (await venue.stop(BTC, CLIENT_ID)).value
    assert report is not None
    assert (report.state, report.filled) == (state, Decimal(executed))
    assert (report.client_id, report.venue_order_id) == (CLIENT_ID, "123456")
    assert server.requests[-1].parameters["orderId"] == "123456"


async def test_an_order_cut_to_a_smaller_position_ends_the_stop_in_part(
    venue: Venue, server: WireServer
) -> None:
    server.answer(ALGO, row(algoStatus="FINISHED", actualOrderId="123456"))
    cut = payloads.order(
        status="FILLED", orderId=123456, side="SELL", executedQty="0.3", origQty="0.3"
    )
    server.answer("/fapi/v1/order", cut)
    report = (await venue.stop(BTC, CLIENT_ID)).value
    assert report is not None
    assert (report.state, report.filled) == (LegState.EXPIRED, Decimal("0.3"))


@pytest.mark.parametrize("changes", [{"side": "BUY"}, {"orderId": 7}, {"symbol": "ETHUSDT"}])
async def test_another_order_is_not_the_stops(
    venue: Venue, server: WireServer, changes: dict[str, Any]
) -> None:
    server.answer(ALGO, row(algoStatus="FINISHED", actualOrderId="123456"))
    fields = {"status": "FILLED", "orderId": 123456, "side": "SELL", "executedQty": "1.000"}
    server.answer("/fapi/v1/order", payloads.order(**{**fields, **changes}))
    with pytest.raises(BadResponse):
        await venue.stop(BTC, CLIENT_ID)


async def test_an_order_that_the_venue_forgot_had_no_fill(venue: Venue, server: WireServer) -> None:
    gone = {"code": -2013, "msg": "Order does not exist."}
    server.answer(ALGO, row(algoStatus="FINISHED", actualOrderId="123456"))
    server.answer("/fapi/v1/order", gone, status=400)
    report = (await venue.stop(BTC, CLIENT_ID)).value
    assert report is not None
    assert (report.state, report.filled) == (LegState.EXPIRED, Decimal(0))
    server.answer(ALGO, gone, status=400)
    assert (await venue.stop(BTC, CLIENT_ID)).value is None
    server.answer(ALGO, {"code": -1121, "msg": "Invalid symbol."}, status=400)
    with pytest.raises(VenueRejected):
        await venue.stop(BTC, CLIENT_ID)


async def test_open_orders_name_the_stops_and_keep_their_list_a_while(
    venue: Venue, server: WireServer
) -> None:
    server.answer("/fapi/v1/openOrders", [])
    server.answer(OPEN, [row()])
    (report,) = (await venue.open_orders()).value
    assert (report.client_id, report.protective) == (CLIENT_ID, True)
    await venue.open_orders()
    assert sum(request.path == OPEN for request in server.requests) == 1
    server.answer(
        ALGO,
        {"algoId": 2146760, "clientAlgoId": CLIENT_ID, "code": "200", "msg": "ok"},
        method="DELETE",
    )
    assert (await venue.cancel_stop(BTC, CLIENT_ID)).state is LegState.ACKED
    server.answer(OPEN, [])
    assert (await venue.open_orders()).value == ()
    server.answer(OPEN, [row(), row()])
    server.answer(ALGO, row(algoStatus="CANCELED"))
    await venue.stop(BTC, CLIENT_ID)
    with pytest.raises(BadResponse):
        await venue.open_orders()


async def test_the_countdown_is_asked_for_by_contract(venue: Venue, server: WireServer) -> None:
    server.answer(COUNTDOWN, {"symbol": "BTCUSDT", "countdownTime": "60000"}, method="POST")
    assert (await venue.arm_dead_man(BTC, 60_000)).state is LegState.ACKED
    sent = server.requests[-1].parameters
    assert (sent["symbol"], sent["countdownTime"]) == ("BTCUSDT", "60000")
    assert (await venue.arm_dead_man(BTC, 0)).state is LegState.UNKNOWN
    assert (await venue.arm_dead_man("binanceusdm:NO/USDT:USDT", 0)).state is LegState.NOT_SENT


# ------------------------------------------------------------------------- the simulated venue


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    """A running simulated venue: its socket."""
    with tempfile.TemporaryDirectory(prefix="pt-") as directory:
        path = Path(directory) / "venue.sock"
        command = [sys.executable, "-m", "perptui", "simulate", "--socket", str(path)]
        with subprocess.Popen([*command, "--seed", "5"], stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert run.stdout.readline().startswith("ready")
            yield path
            run.terminate()


@pytest.fixture
def moving() -> VenueClock:
    return VenueClock(SystemClock(), SystemClock().utc_ms())


@pytest_asyncio.fixture
async def simulated(socket: Path, moving: VenueClock) -> AsyncIterator[Venue]:
    key = Secret("simulated")
    opened = open_venue("binance", clock=moving, socket=socket, key=key, secret=key)
    await opened.open()
    moving.anchor((await opened.server_time()).value)
    yield opened
    await opened.close()


async def _placed(venue: Venue, share: str, client_id: str) -> OrderIntent:
    """Place a stop of all of the long in BTC at this share of the mark."""
    held = {one.id: one.contracts for one in (await venue.account()).value.positions}[BTC]
    mark = {quote.id: quote.mark for quote in (await venue.quotes()).value}[BTC]
    trigger = floor_to_tick(mark * Decimal(share), Decimal("0.1"))
    intent = msgspec.structs.replace(
        stop_intent(str(trigger), str(held)), mark_price=mark, notional_usd=held * mark
    )
    outcome = await venue.submit(intent, client_id)
    assert outcome.state is LegState.ACKED, outcome.text
    return intent


@pytest.mark.slow
async def test_a_stop_rests_and_is_cancelled_at_the_simulated_venue(simulated: Venue) -> None:
    client_id = "pt" + "1" * 30
    await _placed(simulated, "0.8", client_id)
    (report,) = (await simulated.open_orders()).value
    assert (report.client_id, report.protective) == (client_id, True)
    assert (await simulated.order(BTC, client_id)).value is None
    assert (await simulated.cancel(BTC, client_id)).state is LegState.REJECTED
    assert (await simulated.arm_dead_man(BTC, 60_000)).state is LegState.ACKED
    assert (await simulated.arm_dead_man(BTC, 0)).state is LegState.ACKED
    assert (await simulated.cancel_stop(BTC, client_id)).state is LegState.ACKED
    stop = (await simulated.stop(BTC, client_id)).value
    assert stop is not None
    assert stop.state is LegState.CANCELED
    assert (await simulated.cancel_stop(BTC, client_id)).code == "-2011"
    assert (await simulated.stop(BTC, "pt" + "9" * 30)).value is None


@pytest.mark.slow
async def test_a_stop_closes_the_position_at_the_simulated_venue(
    simulated: Venue, moving: VenueClock
) -> None:
    client_id = "pt" + "2" * 30
    since_ms = (await simulated.server_time()).value
    intent = await _placed(simulated, "0.9995", client_id)
    assert simulated.control is not None
    await simulated.control.set_speed(2_000)
    for _ in range(200):
        stop = (await simulated.stop(BTC, client_id)).value
        assert stop is not None
        if stop.state is not LegState.OPEN:
            break
        await asyncio.sleep(0.05)
    await simulated.control.set_speed(1)
    moving.anchor((await simulated.server_time()).value)
    assert stop is not None
    assert (stop.state, stop.filled) == (LegState.FILLED, intent.contracts)
    fills = [
        fill
        for fill in (await simulated.fills(BTC, since_ms)).value
        if fill.venue_order_id == stop.venue_order_id
    ]
    assert sum(fill.contracts for fill in fills) == intent.contracts
    assert BTC not in {held.id for held in (await simulated.account()).value.positions}
