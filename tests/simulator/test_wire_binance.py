"""Binance USD-M on the wire: codes, statuses, shapes; figures by hand."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.simulator.orders import Reason
from perptui.simulator.wire import WireRequest
from perptui.simulator.wire_binance_errors import REFUSALS, WireError
from perptui.simulator.wire_binance_params import Credentials, Params
from tests.simulator.client import Client
from tests.simulator.scripted import START_MS

ORDER = "/fapi/v1/order"


@pytest.fixture
def client() -> Client:
    """A client of a fresh account of 100,000 USD; BTC at 20,000, ETH at 1,500."""
    return Client()


# ---------------------------------------------------------------- signatures and limits


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret": "wrong"}, 400, -1022),
        ({"tamper": "&quantity=9"}, 400, -1022),
        ({"key": "other"}, 401, -2015),
        ({"key": ""}, 401, -2014),
        ({"timestamp": START_MS + 1001}, 400, -1021),
        ({"timestamp": START_MS - 5001}, 400, -1021),
        ({"timestamp": START_MS - 1001, "recv_window": 1000}, 400, -1021),
        ({"timestamp": "soon"}, 400, -1100),
        ({"timestamp": ""}, 400, -1102),
        ({"recv_window": 60_001}, 400, -1131),
        ({"recv_window": 0}, 400, -1130),
    ],
)
def test_what_is_not_signed_well_is_refused(
    client: Client, changes: dict[str, Any], status: int, code: int
) -> None:
    reply = client.raw("GET", "/fapi/v3/account", {}, **changes)
    assert reply.status == status
    assert msgspec.json.decode(reply.body)["code"] == code


@pytest.mark.parametrize("in_query", [True, False])
def test_a_signature_covers_query_and_body_with_nothing_between(in_query: bool) -> None:
    """The mixed example of the venue's documentation, with its own key, secret and signature."""
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    signature = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
    body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    signed = f"&signature={signature}"
    request = WireRequest(
        "POST",
        ORDER,
        query + signed if in_query else query,
        body if in_query else body + signed,
        {"x-mbx-apikey": "key"},
    )
    keys = Credentials("key", secret)
    keys.check(request, Params.of(request), 1_499_827_319_559, 1.0)
    changed = msgspec.structs.replace(request, body=request.body.replace("0.1", "0.2"))
    with pytest.raises(WireError) as refused:
        keys.check(changed, Params.of(changed), 1_499_827_319_559, 1.0)
    assert refused.value.code == -1022


@pytest.mark.parametrize("stamp", [START_MS + 1000, START_MS - 5000])
def test_the_edges_of_the_receive_window_are_inside(client: Client, stamp: int) -> None:
    assert client.raw("GET", "/fapi/v3/account", {}, timestamp=stamp).status == 200


def test_the_receive_window_is_real_time_at_any_speed(client: Client) -> None:
    client.wire.speed = 60.0
    early = START_MS - 60 * 5000
    assert client.raw("GET", "/fapi/v3/account", {}, timestamp=early).status == 200
    assert client.raw("GET", "/fapi/v3/account", {}, timestamp=early - 1).status == 400


def test_request_weight_is_limited_by_the_minute(client: Client) -> None:
    replies = [client.raw("GET", "/fapi/v1/income", {}) for _ in range(81)]
    assert [r.status for r in replies] == [200] * 80 + [429]
    assert replies[79].headers["X-MBX-USED-WEIGHT-1M"] == "2400"
    assert msgspec.json.decode(replies[80].body)["code"] == -1003
    client.clock.advance(61)
    assert client.raw("GET", "/fapi/v1/income", {}).status == 200


def test_orders_are_limited(client: Client) -> None:
    for _ in range(300):
        client.order(quantity="0")
    assert client.order()["code"] == -1015


def test_unknown_paths_are_a_page_not_an_answer(client: Client) -> None:
    reply = client.wire.handle(WireRequest("GET", "/fapi/v9/nothing"))
    assert (reply.status, reply.content_type) == (404, "text/html")


# ---------------------------------------------------------------- orders


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"symbol": None}, -1102),
        ({"symbol": "LUNAUSDT"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -4120),
        ({"type": "SOON"}, -1116),
        ({"type": "LIQUIDATION"}, -1116),
        ({"quantity": None}, -1102),
        ({"quantity": "abc"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "1001"}, -4005),
        ({"price": None}, -1102),
        ({"price": "20000.05"}, -4014),
        ({"price": "20000.005"}, -1111),
        ({"price": "21000.1"}, -4016),
        ({"side": "SELL", "price": "18999"}, -4024),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "DAY"}, -1115),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "900"}, -2019),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1130),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -1100),
        ({"price": "20100", "timeInForce": "GTX"}, -5022),
        ({"price": "20001", "timeInForce": "FOK", "quantity": "90"}, -5021),
        ({"type": "MARKET", "timeInForce": None}, -1106),
    ],
)
def test_orders_refused_with_the_venues_codes(
    client: Client, terms: dict[str, Any], code: int
) -> None:
    answer = client.order(**terms)
    assert answer["code"] == code
    assert client.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []


def test_every_refusal_has_a_code() -> None:
    assert set(REFUSALS) == set(Reason)


def test_an_order_lives_and_is_found_again(client: Client) -> None:
    placed = client.order(newClientOrderId="pt1")
    assert (placed["status"], placed["clientOrderId"]) == ("NEW", "pt1")
    assert (placed["origQty"], placed["executedQty"], placed["price"]) == (
        "0.100",
        "0.000",
        "19000.0",
    )
    by_name = client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="pt1")
    by_id = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    assert by_name == by_id
    assert client.signed("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=by_id["orderId"])
    assert client.signed("GET", "/fapi/v1/openOrders") == [by_id]
    assert client.signed("GET", "/fapi/v1/openOrders", symbol="ETHUSDT") == []
    assert client.order(newClientOrderId="pt1")["code"] == -4116
    canceled = client.signed("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="pt1")
    assert canceled["status"] == "CANCELED"
    assert client.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=9)["code"] == -2011
    open_now = client.signed(
        "GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=by_id["orderId"]
    )
    assert open_now["code"] == -2013
    assert client.order(newClientOrderId="pt1")["status"] == "NEW"


def test_queries_without_an_id_and_for_nothing(client: Client) -> None:
    assert client.signed("GET", ORDER, symbol="BTCUSDT")["code"] == -1102
    assert client.signed("GET", ORDER, symbol="BTCUSDT", orderId=1)["code"] == -2013


def test_a_cancelled_order_is_forgotten_after_three_days(client: Client) -> None:
    placed = client.order()
    client.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    client.exchange.orders[placed["orderId"]].created_ms -= 3 * DAY_MS - HOUR_MS
    assert "code" not in client.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    client.advance(2)
    gone = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    assert gone["code"] == -2013


def test_market_order_trades_and_bookings(client: Client) -> None:
    filled = client.market("BUY", "0.3")
    assert (filled["status"], filled["executedQty"]) == ("FILLED", "0.300")
    (trade,) = client.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert (trade["orderId"], trade["qty"], trade["maker"]) == (filled["orderId"], "0.300", False)
    fee = Decimal(trade["quoteQty"]) * Decimal("0.0005")
    assert Decimal(trade["commission"]) == fee
    assert Decimal(filled["avgPrice"]) * Decimal("0.3") == Decimal(trade["quoteQty"])
    income = client.signed("GET", "/fapi/v1/income", incomeType="COMMISSION")
    assert [Decimal(row["income"]) for row in income] == [-fee]
    assert client.signed("GET", "/fapi/v1/income")[0]["incomeType"] == "TRANSFER"
    assert client.total("totalWalletBalance") == 100_000 - fee


def test_acknowledgement_without_result(client: Client) -> None:
    answer = client.order(price="20100", newOrderRespType="ACK")
    assert (answer["status"], answer["executedQty"]) == ("NEW", "0.000")
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=answer["orderId"])
    assert found["status"] == "FILLED"


def test_immediate_or_cancel_expires_with_what_it_has(client: Client) -> None:
    answer = client.order(quantity="3", price="20000.1", timeInForce="IOC")
    assert answer["status"] == "EXPIRED"
    assert 0 < Decimal(answer["executedQty"]) < 3


def test_test_orders_place_nothing(client: Client) -> None:
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert client.signed("POST", "/fapi/v1/order/test", **terms) == {}
    assert client.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []


def test_a_batch_answers_each_order_for_itself(client: Client) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1"}
    good |= {"price": "19000", "timeInForce": "GTC"}
    batch = [good, good | {"quantity": "0.0001"}, good | {"side": "UP"}, good]
    text = msgspec.json.encode(batch).decode()
    answers = client.signed("POST", "/fapi/v1/batchOrders", batchOrders=text)
    assert [a.get("code") for a in answers] == [None, -1111, -1117, None]
    for wrong, code in (("[]", -4082), ("nonsense", -1130), (f"[{'{},' * 5}{{}}]", -4082)):
        assert client.signed("POST", "/fapi/v1/batchOrders", batchOrders=wrong)["code"] == code


def test_cancelling_many(client: Client) -> None:
    ids = [client.order(newClientOrderId=f"n{i}")["orderId"] for i in range(4)]
    answers = client.signed(
        "DELETE",
        "/fapi/v1/batchOrders",
        symbol="BTCUSDT",
        orderIdList=f"[{ids[0]},77]",
        origClientOrderIdList='["n1"]',
    )
    assert [a.get("status", a.get("code")) for a in answers] == ["CANCELED", -2011, "CANCELED"]
    path = "/fapi/v1/batchOrders"
    assert client.signed("DELETE", path, symbol="BTCUSDT")["code"] == -4083
    assert client.signed("DELETE", path, symbol="BTCUSDT", orderIdList="x")["code"] == -1130
    assert client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")["code"] == 200
    assert client.signed("GET", "/fapi/v1/openOrders") == []


def test_countdown_cancels_and_can_be_disarmed(client: Client) -> None:
    client.order()
    path = "/fapi/v1/countdownCancelAll"
    assert client.signed("POST", path, symbol="BTCUSDT")["code"] == -1102
    armed = client.signed("POST", path, symbol="BTCUSDT", countdownTime=5000)
    assert armed == {"symbol": "BTCUSDT", "countdownTime": "5000"}
    client.signed("POST", path, symbol="BTCUSDT", countdownTime=0)
    client.advance(0.01)
    assert len(client.signed("GET", "/fapi/v1/openOrders")) == 1
    client.signed("POST", path, symbol="BTCUSDT", countdownTime=5000)
    client.advance(0.01)
    assert client.signed("GET", "/fapi/v1/openOrders") == []


def test_all_orders_by_time_and_id(client: Client) -> None:
    first = client.order()
    client.advance(1)
    second = client.order()
    path, now = "/fapi/v1/allOrders", client.exchange.now_ms

    def ids(**params: Any) -> list[int]:
        return [row["orderId"] for row in client.signed("GET", path, symbol="BTCUSDT", **params)]

    assert ids() == [first["orderId"], second["orderId"]]
    assert ids(limit=1) == [second["orderId"]]
    assert ids(orderId=second["orderId"]) == [second["orderId"]]
    assert ids(startTime=now - 1000) == [second["orderId"]]
    assert ids(endTime=now - 1000) == [first["orderId"]]
    wide = client.signed("GET", path, symbol="BTCUSDT", startTime=1, endTime=8 * DAY_MS)
    assert wide["code"] == -4165


def test_liquidations_are_listed(client: Client) -> None:
    assert client.signed("GET", "/fapi/v1/forceOrders") == []
    client.market("BUY", "0.5")
    client.exchange.liquidator.liquidate(client.exchange)
    (forced,) = client.signed("GET", "/fapi/v1/forceOrders", symbol="BTCUSDT")
    assert (forced["status"], forced["side"]) == ("FILLED", "SELL")
    assert forced["clientOrderId"].startswith("autoclose-")
