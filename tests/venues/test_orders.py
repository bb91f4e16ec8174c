"""What must never leave, and whose answer must never be believed."""

from decimal import Decimal

import msgspec
import pytest

from perptui.model.errors import BadResponse, VenueError, VenueRejected
from perptui.model.order import LegState, OrderIntent
from perptui.venues.base import Venue
from tests.venues import payloads
from tests.venues.payloads import BTC, CLIENT_ID, ETH, NOW_MS
from tests.venues.wire_server import Reply, WireServer, json_body

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    "changes",
    [
        {"contracts": Decimal("1.0005")},
        {"contracts": Decimal(0)},
        {"contracts": Decimal(-1)},
        {"limit_price": Decimal("64700.05")},
        {"limit_price": Decimal(0)},
        {"id": "binanceusdm:DOGE/USDT:USDT"},
        {"id": "bybit:BTC/USDT:USDT"},
    ],
)
async def test_what_ccxt_would_round_or_not_know_is_not_sent(
    server: WireServer, venue: Venue, intent: OrderIntent, changes: dict[str, object]
) -> None:
    outcome = await venue.submit(msgspec.structs.replace(intent, **changes), CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "LOCAL")
    assert server.requests == []


@pytest.mark.parametrize("client_id", ["", "x" * 37, "a b", "id&side=SELL", "käse"])
async def test_a_client_id_the_venue_could_not_keep_is_not_sent(
    server: WireServer, venue: Venue, intent: OrderIntent, client_id: str
) -> None:
    outcome = await venue.submit(intent, client_id)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "LOCAL")
    assert server.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"clientOrderId": "x-broker-1"},
        {"symbol": "ETHUSDT"},
        {"side": "SELL"},
        {"origQty": "2.000"},
        {"orderId": 0},
        {"orderId": None},
        {"status": "ACCEPTED"},
        {"executedQty": "1.500"},
    ],
)
async def test_an_acknowledgement_of_another_order_is_unknown(
    server: WireServer, venue: Venue, intent: OrderIntent, changes: dict[str, object]
) -> None:
    server.answer("/fapi/v1/order", payloads.order(**changes), method="POST")
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.UNKNOWN, "BAD_RESPONSE")


async def test_a_partly_filled_ioc_is_acknowledged_as_expired(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    answer = payloads.order(status="EXPIRED", executedQty="0.400")
    server.answer("/fapi/v1/order", answer, method="POST")
    outcome = await venue.submit(intent, CLIENT_ID)
    assert outcome.state is LegState.ACKED
    assert outcome.report is not None
    assert (outcome.report.state, outcome.report.filled) == (LegState.EXPIRED, Decimal("0.4"))


async def test_an_unfilled_order_has_no_price(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    answer = payloads.order(status="EXPIRED", executedQty="0", avgPrice="0.00")
    server.answer("/fapi/v1/order", answer, method="POST")
    outcome = await venue.submit(intent, CLIENT_ID)
    assert outcome.report is not None
    assert outcome.report.average_price is None


async def test_the_cancel_of_another_order_is_unknown(server: WireServer, venue: Venue) -> None:
    server.answer("/fapi/v1/order", payloads.order(clientOrderId="other"), method="DELETE")
    assert (await venue.cancel(BTC, CLIENT_ID)).state is LegState.UNKNOWN


async def test_a_cancel_of_what_is_gone_is_rejected(server: WireServer, venue: Venue) -> None:
    server.answer(
        "/fapi/v1/order",
        {"code": -2011, "msg": "Unknown order sent."},
        method="DELETE",
        status=400,
    )
    outcome = await venue.cancel(BTC, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.REJECTED, "-2011")


async def test_a_cancel_in_an_unlisted_contract_is_not_sent(
    server: WireServer, venue: Venue
) -> None:
    outcome = await venue.cancel("binanceusdm:DOGE/USDT:USDT", CLIENT_ID)
    assert outcome.state is LegState.NOT_SENT
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "code"), [(400, -2011), (503, -2013), (400, -1121), (429, -2013)]
)
async def test_only_one_code_under_one_status_says_no_such_order(
    server: WireServer, venue: Venue, status: int, code: int
) -> None:
    server.answer("/fapi/v1/order", {"code": code, "msg": "Order does not exist."}, status=status)
    with pytest.raises(VenueError):
        await venue.order(BTC, CLIENT_ID)


async def test_open_orders_of_others_are_read_too(server: WireServer, venue: Venue) -> None:
    rows = [
        payloads.order(status="NEW", executedQty="0", clientOrderId="web_1", orderId=7),
        payloads.order(status="PARTIALLY_FILLED", executedQty="0.4", symbol="ETHUSDT"),
    ]
    server.answer("/fapi/v1/openOrders", rows)
    found = (await venue.open_orders()).value
    assert [(report.id, report.client_id) for report in found] == [
        (ETH, CLIENT_ID),
        (BTC, "web_1"),
    ]


async def test_an_order_in_an_unlisted_contract_is_an_error(
    server: WireServer, venue: Venue
) -> None:
    server.answer("/fapi/v1/openOrders", [payloads.order(status="NEW", symbol="NEWUSDT")])
    with pytest.raises(BadResponse):
        await venue.open_orders()
    with pytest.raises(VenueRejected, match="load the markets again"):
        await venue.order("binanceusdm:NEW/USDT:USDT", CLIENT_ID)


async def test_with_the_budget_used_up_orders_wait_for_nothing_but_cancels_go(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    body = json_body({"serverTime": NOW_MS})
    server.replies["GET", "/fapi/v1/time"] = Reply(body, headers={"X-MBX-USED-WEIGHT-1M": "2350"})
    await venue.server_time()
    server.requests.clear()
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "BUDGET")
    assert server.requests == []
    assert (await venue.cancel(BTC, CLIENT_ID)).state is LegState.ACKED


async def test_an_order_never_waits_for_budget_and_a_cancel_may(
    server: WireServer, venue: Venue, intent: OrderIntent
) -> None:
    """The gate's yes is for this instant: an order that waits could leave after a kill."""
    spent = Reply(json_body(payloads.order()), headers={"X-MBX-USED-WEIGHT-1M": "2300"})
    server.replies["GET", "/fapi/v1/order"] = spent
    await venue.order(BTC, CLIENT_ID)
    server.requests.clear()
    outcome = await venue.submit(intent, CLIENT_ID)
    assert (outcome.state, outcome.code) == (LegState.NOT_SENT, "BUDGET")
    assert server.requests == []
    await venue.cancel(BTC, CLIENT_ID)
    assert [request.method for request in server.requests] == ["DELETE"]
