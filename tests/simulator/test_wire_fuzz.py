"""Whatever a client sends, the wire answers in the venue's shape and never breaks."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perptui.simulator.wire import WireRequest
from tests.simulator.client import Client

NAMES = [
    "symbol",
    "side",
    "type",
    "quantity",
    "price",
    "timeInForce",
    "reduceOnly",
    "newClientOrderId",
    "orderId",
    "limit",
    "origClientOrderId",
    "startTime",
    "endTime",
    "fromId",
    "interval",
    "pair",
    "leverage",
    "marginType",
    "batchOrders",
    "orderIdList",
    "origClientOrderIdList",
    "countdownTime",
    "dualSidePosition",
    "incomeType",
    "positionSide",
    "recvWindow",
    "newOrderRespType",
]
TEXTS = st.one_of(
    st.sampled_from(["BTCUSDT", "ETHUSDT", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "1h"]),
    st.sampled_from(["true", "false", "BOTH", "[]", "{}", "[1]", '["a"]', "null", "NaN", "1e9"]),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-(10**9), 10**9, places=9).map(str),
    st.text(max_size=20),
)


@pytest.fixture(scope="module")
def client() -> Client:
    """One account for all: what happens to it is part of the test."""
    return Client()


@pytest.mark.unmeasured
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), params=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=9))
def test_any_parameters_get_an_answer(
    client: Client, data: st.DataObject, params: dict[str, Any]
) -> None:
    method, path = data.draw(st.sampled_from(sorted(client.wire.endpoints)))
    client.clock.advance(61)
    reply = client.raw(method, path, params)
    assert reply.status in {200, 400}
    answer = msgspec.json.decode(reply.body)
    if reply.status == 400:
        assert answer["code"] < 0
        assert isinstance(answer["msg"], str)
    account = client.exchange.account
    assert account.wallet.is_finite()
    assert sum(b.amount for b in account.bookings) == account.wallet


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_bytes_get_an_answer(query: str, body: str) -> None:
    client = Client()
    headers = {"x-mbx-apikey": "simulated"}
    for method, path in (("GET", "/fapi/v3/account"), ("POST", "/fapi/v1/order")):
        reply = client.wire.handle(WireRequest(method, path, query, body, headers))
        assert reply.status == 400
        assert msgspec.json.decode(reply.body)["code"] in {-1100, -1102, -1022}
