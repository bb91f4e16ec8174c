"""A session of Binance's own USD-M client; run by its own interpreter, never by the project's.

    PEER/bin/python benchmarks/peers/binance_client.py http://127.0.0.1:PORT

Reads the account, sends and queries orders, cancels, and prints what came back as one JSON line.
"""

import json
import sys
import uuid
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    NewOrderNewOrderRespTypeEnum as Answer,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import NewOrderSideEnum as Side
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    NewOrderTimeInForceEnum as InForce,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import NewOrderTypeEnum as Kind


def plain(data: Any) -> Any:
    """Return a model of the client as plain data."""
    if isinstance(data, list):
        return [plain(item) for item in data]
    inner = getattr(data, "actual_instance", data)
    return inner.to_dict() if hasattr(inner, "to_dict") else inner


def session(base_path: str) -> dict[str, Any]:
    """Return what every call gave, by name."""
    # The simulated venue knows one key pair, and it is no secret.
    keys = dict.fromkeys(("api_key", "api_secret"), "simulated")
    configuration = ConfigurationRestAPI(base_path=base_path, timeout=10_000, **keys)
    rest = DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api
    terms = {"symbol": "BTCUSDT", "time_in_force": InForce["GTC"].value}
    terms["new_order_resp_type"] = Answer["RESULT"].value
    buy, limit, name = Side["BUY"].value, Kind["LIMIT"].value, f"peer-{uuid.uuid4().hex[:20]}"
    seen = {
        "time": plain(rest.check_server_time().data()),
        "markets": len(plain(rest.exchange_information().data())["symbols"]),
        "account": plain(rest.account_information_v3().data()),
        "balance": plain(rest.futures_account_balance_v3().data()),
        "positions": plain(rest.position_information_v3().data()),
        "brackets": plain(rest.notional_and_leverage_brackets(symbol="BTCUSDT").data()),
    }
    price = float(plain(rest.order_book(symbol="BTCUSDT", limit=5).data())["asks"][0][0])
    sent = rest.new_order(
        side=buy, type=limit, quantity=0.01, price=price, new_client_order_id=name, **terms
    )
    seen["sent"] = plain(sent.data())
    found = rest.query_order(symbol="BTCUSDT", orig_client_order_id=name)
    seen["queried"] = plain(found.data())
    seen["trades"] = plain(rest.account_trade_list(symbol="BTCUSDT").data())
    seen["income"] = plain(rest.get_income_history().data())
    low = round(price * 0.97, 1)
    resting = plain(rest.new_order(side=buy, type=limit, quantity=0.01, price=low, **terms).data())
    seen["open"] = plain(rest.current_all_open_orders().data())
    order_id = resting.get("orderId")
    seen["cancelled"] = plain(rest.cancel_order(symbol="BTCUSDT", order_id=order_id).data())
    try:
        rest.new_order(side=buy, type=limit, quantity=0.0001, price=low, **terms)
    except BadRequestError as error:
        seen["refused"] = str(error)
    return seen


if __name__ == "__main__":
    print(json.dumps(session(sys.argv[1]), default=str))
