"""Account and market endpoints: figures by hand, spans, settings."""

from decimal import Decimal
from typing import Any

import pytest

from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.risk.margin import maintenance
from tests.simulator.client import Client
from tests.simulator.scripted import START_MS


@pytest.fixture
def client() -> Client:
    """A client of a fresh account of 100,000 USD; BTC at 20,000, ETH at 1,500."""
    return Client()


def test_account_adds_up(client: Client) -> None:
    client.market("BUY", "2")
    client.order(quantity="1", price="19500")
    entry = Decimal(client.signed("GET", "/fapi/v3/positionRisk")[0]["entryPrice"])
    unrealised = 2 * (20_000 - entry)
    assert client.total("totalUnrealizedProfit") == pytest.approx(unrealised, abs=Decimal("1e-8"))
    assert client.total("totalMarginBalance") == client.total("totalWalletBalance") + client.total(
        "totalUnrealizedProfit"
    )
    tiers = client.exchange.rules["BTCUSDT"].tiers
    assert client.total("totalMaintMargin") == maintenance(Decimal(40_000), tiers)
    assert client.total("totalInitialMargin") == 3 * 20_000 / Decimal(20)
    assert client.total("totalPositionInitialMargin") == 2 * 20_000 / Decimal(20)
    assert client.total("totalOpenOrderInitialMargin") == 1_000
    assert client.total("availableBalance") == client.total("totalMarginBalance") - 3_000
    (asset,) = client.signed("GET", "/fapi/v2/account")["assets"]
    (balance,) = client.signed("GET", "/fapi/v3/balance")
    assert asset["availableBalance"] == balance["availableBalance"]


def test_positions_in_both_versions(client: Client) -> None:
    client.market("SELL", "2")
    (third,) = client.signed("GET", "/fapi/v3/positionRisk")
    second = client.signed("GET", "/fapi/v2/positionRisk")
    assert [row["symbol"] for row in second] == ["BTCUSDT", "ETHUSDT"]
    assert third["positionAmt"] == second[0]["positionAmt"] == "-2.000"
    assert "leverage" not in third
    assert second[0]["leverage"] == "20"
    assert Decimal(third["notional"]) == -40_000
    assert client.signed("GET", "/fapi/v3/positionRisk", symbol="ETHUSDT") == []
    (one,) = client.signed("GET", "/fapi/v2/positionRisk", symbol="ETHUSDT")
    assert (one["positionAmt"], one["liquidationPrice"]) == ("0.000", "0")


def test_liquidation_price_is_where_the_account_breaks(client: Client) -> None:
    client.market("SELL", "40")
    (row,) = client.signed("GET", "/fapi/v3/positionRisk")
    price = Decimal(row["liquidationPrice"])
    wallet, entry = client.total("totalWalletBalance"), Decimal(row["entryPrice"])
    tiers = client.exchange.rules["BTCUSDT"].tiers
    equity = wallet + 40 * (entry - price)
    assert equity == pytest.approx(maintenance(40 * price, tiers), abs=Decimal("1e-4"))


def test_positions_of_account_v3_are_those_open(client: Client) -> None:
    assert client.signed("GET", "/fapi/v3/account")["positions"] == []
    client.market("BUY", "2", "ETHUSDT")
    (row,) = client.signed("GET", "/fapi/v3/account")["positions"]
    assert row["symbol"] == "ETHUSDT"
    assert Decimal(row["notional"]) == 3_000
    assert len(client.signed("GET", "/fapi/v2/account")["positions"]) == 2


def test_brackets_are_the_contracts_tiers(client: Client) -> None:
    both = client.signed("GET", "/fapi/v1/leverageBracket")
    (one,) = client.signed("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    assert one == both[0]
    first, second = one["brackets"][:2]
    assert (first["notionalFloor"], first["notionalCap"], first["maintMarginRatio"]) == (
        0,
        50_000,
        0.004,
    )
    assert (second["cum"], second["initialLeverage"]) == (50.0, 100)


def test_leverage_is_set_and_shown(client: Client) -> None:
    path = "/fapi/v1/leverage"
    answer = client.signed("POST", path, symbol="BTCUSDT", leverage=50)
    assert answer == {"symbol": "BTCUSDT", "leverage": 50, "maxNotionalValue": "12000000"}
    rows = client.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert rows[0]["leverage"] == 50
    assert client.signed("POST", path, symbol="BTCUSDT", leverage=126)["code"] == -4028
    assert client.signed("POST", path, symbol="BTCUSDT")["code"] == -1130
    one = client.signed("POST", path, symbol="BTCUSDT", leverage=1)
    assert one["maxNotionalValue"] == "1000000000000"


def test_modes(client: Client) -> None:
    dual = "/fapi/v1/positionSide/dual"
    assert client.signed("GET", dual) == {"dualSidePosition": False}
    assert client.signed("POST", dual, dualSidePosition="false")["code"] == -4059
    assert client.signed("POST", dual, dualSidePosition="yes")["code"] == -1130
    client.order()
    assert client.signed("POST", dual, dualSidePosition="true")["code"] == -4067
    client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    client.market("BUY", "0.1")
    assert client.signed("POST", dual, dualSidePosition="true")["code"] == -4068
    client.market("SELL", "0.1")
    assert client.signed("POST", dual, dualSidePosition="true")["code"] == 200
    assert client.signed("GET", "/fapi/v1/accountConfig")["dualSidePosition"] is True
    assert client.order()["code"] == -4061


def test_margin_type_is_cross(client: Client) -> None:
    path = "/fapi/v1/marginType"
    for kind, code in (("CROSSED", -4046), ("ISOLATED", -4168), ("BOTH", -1130)):
        assert client.signed("POST", path, symbol="BTCUSDT", marginType=kind)["code"] == code
    assert client.signed("GET", "/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": False}


def test_fees_are_those_charged(client: Client) -> None:
    rate = client.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (rate["makerCommissionRate"], rate["takerCommissionRate"]) == ("0.000200", "0.000500")


def test_trades_and_income_by_span(client: Client) -> None:
    first = client.market("BUY", "0.3")
    client.advance(8.5)
    client.market("SELL", "0.2")
    path = "/fapi/v1/userTrades"

    def trades(**params: Any) -> list[Any]:
        return list(client.signed("GET", path, symbol="BTCUSDT", **params))

    assert [t["qty"] for t in trades()] == ["0.300", "0.200"]
    assert [t["qty"] for t in trades(limit=1)] == ["0.200"]
    assert [t["qty"] for t in trades(orderId=first["orderId"])] == ["0.300"]
    assert [t["qty"] for t in trades(startTime=START_MS, limit=1)] == ["0.300"]
    assert [t["qty"] for t in trades(startTime=START_MS + HOUR_MS)] == ["0.200"]
    assert [t["qty"] for t in trades(endTime=START_MS + HOUR_MS)] == ["0.300"]
    assert [t["qty"] for t in trades(fromId=trades()[1]["id"])] == ["0.200"]
    wide = client.signed("GET", path, symbol="BTCUSDT", startTime=1, endTime=1 + 8 * DAY_MS)
    assert wide["code"] == -4165
    funding = client.signed("GET", "/fapi/v1/income", symbol="BTCUSDT", incomeType="FUNDING_FEE")
    assert [(row["time"], row["income"]) for row in funding] == [
        (START_MS + 8 * HOUR_MS, "-0.60000000")
    ]
    assert len(client.signed("GET", "/fapi/v1/income", limit=2)) == 2
    assert client.signed("GET", "/fapi/v1/income", limit=0)["code"] == -1130


# ---------------------------------------------------------------- market


def test_time_and_contracts(client: Client) -> None:
    assert client.public("/fapi/v1/ping") == {}
    assert client.public("/fapi/v1/time") == {"serverTime": START_MS}
    btc, _ = client.public("/fapi/v1/exchangeInfo")["symbols"]
    filters = {row["filterType"]: row for row in btc["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "100"
    assert filters["PERCENT_PRICE"]["multiplierUp"] == "1.0500"
    assert (btc["contractType"], btc["status"]) == ("PERPETUAL", "TRADING")


def test_premium_funding_and_intervals(client: Client) -> None:
    one = client.public("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert client.public("/fapi/v1/premiumIndex")[0] == one
    assert (one["markPrice"], one["nextFundingTime"]) == ("20000.00000000", START_MS + 8 * HOUR_MS)
    assert client.public("/fapi/v1/fundingInfo") == []
    client.advance(8.5)
    (changed,) = client.public("/fapi/v1/fundingInfo")
    assert (changed["symbol"], changed["fundingIntervalHours"]) == ("BTCUSDT", 2)
    assert (
        client.public("/fapi/v1/premiumIndex", symbol="BTCUSDT")["lastFundingRate"] == "0.00010000"
    )
    client.advance(2)
    rows = client.public("/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert [row["fundingRate"] for row in rows] == ["0.00010000", "0.00020000"]
    assert rows[0]["markPrice"] == "20000.00000000"
    path = "/fapi/v1/fundingRate"
    assert client.public(path, symbol="BTCUSDT", limit=1) == rows[1:]
    assert client.public(path, symbol="BTCUSDT", startTime=START_MS, limit=1) == rows[:1]
    assert client.public(path, endTime=START_MS + 9 * HOUR_MS) == rows[:1]


def test_no_settlement_of_the_future_is_shown(client: Client) -> None:
    rows = client.public("/fapi/v1/fundingRate", startTime=0, endTime=START_MS + 30 * DAY_MS)
    assert rows == []


def test_prices_book_and_statistics(client: Client) -> None:
    client.advance(30)
    day = client.public("/fapi/v1/ticker/24hr", symbol="BTCUSDT")
    assert (day["lastPrice"], day["priceChange"]) == ("20000.0", "0.0")
    assert Decimal(day["volume"]) == pytest.approx(Decimal(24_000), rel=Decimal("0.05"))
    assert len(client.public("/fapi/v1/ticker/24hr")) == 2
    touch = client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    book = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=20)
    assert [touch["bidPrice"], touch["bidQty"]] == book["bids"][0]
    assert [touch["askPrice"], touch["askQty"]] == book["asks"][0]
    assert len(book["asks"]) == 20
    asks = [Decimal(price) for price, _ in book["asks"]]
    bids = [Decimal(price) for price, _ in book["bids"]]
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    assert bids[0] < 20_000 < asks[0]
    assert client.public("/fapi/v1/ticker/price", symbol="BTCUSDT")["price"] == "20000.0"
    interest = client.public("/fapi/v1/openInterest", symbol="BTCUSDT")["openInterest"]
    assert Decimal(interest) == 8_000
    assert client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=7)["code"] == -4021


def test_depth_within_one_percent_is_what_was_recorded(client: Client) -> None:
    book = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    near = sum(Decimal(q) for p, q in book["asks"] if Decimal(p) <= 20_200)
    assert near == pytest.approx(Decimal(1_000), rel=Decimal("0.15"))


def test_klines_of_three_prices(client: Client) -> None:
    client.advance(5.5)
    terms = {"symbol": "BTCUSDT", "interval": "1h", "limit": 2}
    bars = client.public("/fapi/v1/klines", **terms)
    assert [bar[0] for bar in bars] == [START_MS + 4 * HOUR_MS, START_MS + 5 * HOUR_MS]
    assert bars[0][1:6] == ["20000.0"] * 4 + ["1000.000"]
    assert bars[0][6] == START_MS + 5 * HOUR_MS - 1
    assert client.public("/fapi/v1/markPriceKlines", **terms)[0][1] == "20000.00000000"
    index = client.public("/fapi/v1/indexPriceKlines", pair="BTCUSDT", interval="1h", limit=1)
    assert index[0][4] == "20000.00000000"
    path = "/fapi/v1/klines"
    assert client.public(path, symbol="BTCUSDT", interval="7m")["code"] == -1120
    backwards = client.public(path, symbol="BTCUSDT", interval="1h", startTime=2, endTime=1)
    assert backwards["code"] == -1023
    assert client.public(path, interval="1h")["code"] == -1102
    assert client.public(path, symbol="BTCUSDT", interval="1h", limit=1501)["code"] == -1130
