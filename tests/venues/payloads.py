"""Payloads of Binance USD-M in the shapes its documentation shows, for one small market."""

from typing import Any

from tests.canary import CANARY

NOW_MS = 1_722_470_400_000
"""2024-08-01T00:00Z."""

HOUR_MS = 3_600_000
BTC, ETH = "binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT"
CLIENT_ID = "pt" + "0a" * 15
KEY, SECRET = f"{CANARY}-key", f"{CANARY}-secret"


def symbol(name: str = "BTCUSDT", base: str = "BTC", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "maxPrice": "4529764",
                "minPrice": "556.80",
                "tickSize": "0.10",
            },
            {"filterType": "LOT_SIZE", "maxQty": "1000", "minQty": "0.001", "stepSize": "0.001"},
            {
                "filterType": "MARKET_LOT_SIZE",
                "maxQty": "120",
                "minQty": "0.001",
                "stepSize": "0.001",
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        **changes,
    }


def exchange_info() -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": NOW_MS,
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [],
        "symbols": [symbol(), symbol("ETHUSDT", "ETH")],
    }


def brackets(name: str) -> dict[str, Any]:
    # Continuity (method §11): cum_2 = 0 + 50000·(0.005 - 0.004) = 50.
    return {
        "symbol": name,
        "brackets": [
            {
                "bracket": 1,
                "initialLeverage": 125,
                "notionalCap": 50000,
                "notionalFloor": 0,
                "maintMarginRatio": 0.004,
                "cum": 0.0,
            },
            {
                "bracket": 2,
                "initialLeverage": 100,
                "notionalCap": 600000,
                "notionalFloor": 50000,
                "maintMarginRatio": 0.005,
                "cum": 50.0,
            },
        ],
    }


def account_info() -> dict[str, Any]:
    return {
        "totalInitialMargin": "3230.00000000",
        "totalMaintMargin": "258.40000000",
        "totalWalletBalance": "100000.00000000",
        "totalUnrealizedProfit": "-120.50000000",
        "totalMarginBalance": "99879.50000000",
        "totalPositionInitialMargin": "3230.00000000",
        "totalOpenOrderInitialMargin": "0.00000000",
        "totalCrossWalletBalance": "100000.00000000",
        "totalCrossUnPnl": "-120.50000000",
        "availableBalance": "96649.50000000",
        "maxWithdrawAmount": "96649.50000000",
        "assets": [
            {
                "asset": "USDT",
                "walletBalance": "100000.00000000",
                "unrealizedProfit": "-120.50000000",
                "marginBalance": "99879.50000000",
                "maintMargin": "258.40000000",
                "initialMargin": "3230.00000000",
                "positionInitialMargin": "3230.00000000",
                "openOrderInitialMargin": "0.00000000",
                "crossWalletBalance": "100000.00000000",
                "crossUnPnl": "-120.50000000",
                "availableBalance": "96649.50000000",
                "maxWithdrawAmount": "96649.50000000",
                "updateTime": NOW_MS - 5000,
            }
        ],
        "positions": [
            {
                "symbol": "BTCUSDT",
                "positionSide": "BOTH",
                "positionAmt": "-1.000",
                "unrealizedProfit": "-120.50000000",
                "isolatedMargin": "0.00000000",
                "notional": "-64600.00000000",
                "isolatedWallet": "0",
                "initialMargin": "3230.00000000",
                "maintMargin": "258.40000000",
                "updateTime": NOW_MS - 5000,
            }
        ],
    }


def position_risk() -> list[dict[str, Any]]:
    return [
        {
            "symbol": "BTCUSDT",
            "positionSide": "BOTH",
            "positionAmt": "-1.000",
            "entryPrice": "64479.50000000",
            "breakEvenPrice": "64447.3",
            "markPrice": "64600.00000000",
            "unRealizedProfit": "-120.50000000",
            "liquidationPrice": "163500.12345678",
            "isolatedMargin": "0",
            "notional": "-64600.00000000",
            "marginAsset": "USDT",
            "isolatedWallet": "0",
            "initialMargin": "3230.00000000",
            "maintMargin": "258.40000000",
            "positionInitialMargin": "3230.00000000",
            "openOrderInitialMargin": "0",
            "adl": 2,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": NOW_MS - 5000,
        }
    ]


def premium(name: str = "BTCUSDT", mark: str = "64600.10000000") -> dict[str, Any]:
    return {
        "symbol": name,
        "markPrice": mark,
        "indexPrice": "64612.43021277",
        "estimatedSettlePrice": "64580.00000000",
        "lastFundingRate": "0.00007500",
        "interestRate": "0.00010000",
        "nextFundingTime": NOW_MS + 8 * HOUR_MS,
        "time": NOW_MS,
    }


def premium_index() -> list[dict[str, Any]]:
    return [premium(), premium("ETHUSDT", "3232.10000000")]


def book_ticker(name: str, bid: str, ask: str) -> dict[str, Any]:
    return {
        "symbol": name,
        "bidPrice": bid,
        "bidQty": "4.000",
        "askPrice": ask,
        "askQty": "9.000",
        "time": NOW_MS,
        "lastUpdateId": 1027024,
    }


def book_tickers() -> list[dict[str, Any]]:
    return [
        book_ticker("BTCUSDT", "64600.00", "64600.10"),
        book_ticker("ETHUSDT", "3232.09", "3232.10"),
    ]


def day_ticker(name: str = "BTCUSDT") -> dict[str, Any]:
    return {
        "symbol": name,
        "priceChange": "-94.99999800",
        "priceChangePercent": "-95.960",
        "weightedAvgPrice": "0.29628482",
        "lastPrice": "64600.00",
        "lastQty": "200.00000000",
        "openPrice": "66000.00000000",
        "highPrice": "66500.00000000",
        "lowPrice": "64000.10000000",
        "volume": "8913.30000000",
        "quoteVolume": "15000000000.30000000",
        "openTime": NOW_MS - 24 * HOUR_MS,
        "closeTime": NOW_MS,
        "firstId": 28385,
        "lastId": 28460,
        "count": 76,
    }


def kline(ts_ms: int, price: float = 64000.0) -> list[Any]:
    return [
        ts_ms,
        f"{price:.2f}",
        f"{price + 120:.2f}",
        f"{price - 80:.2f}",
        f"{price + 50:.2f}",
        "1540.250",
        ts_ms + HOUR_MS - 1,
        "98576000.00",
        40210,
        "770.125",
        "49288000.00",
        "0",
    ]


def klines() -> list[list[Any]]:
    return [kline(NOW_MS - hours * HOUR_MS) for hours in (3, 2, 1, 0)]


def funding_rates() -> list[dict[str, Any]]:
    return [
        {
            "symbol": "BTCUSDT",
            "fundingRate": "0.00010000",
            "fundingTime": NOW_MS - hours * HOUR_MS + 3,
            "markPrice": "64500.1",
        }
        for hours in (16, 8, 0)
    ]


def depth() -> dict[str, Any]:
    return {
        "lastUpdateId": 1027024,
        "E": NOW_MS,
        "T": NOW_MS - 12,
        "bids": [["64600.00", "4.000"], ["64599.90", "1.500"]],
        "asks": [["64600.10", "9.000"], ["64600.30", "0.250"]],
    }


def income(kind: str = "FUNDING_FEE", amount: str = "-4.84500000") -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "incomeType": kind,
        "income": amount,
        "asset": "USDT",
        "info": kind,
        "time": NOW_MS - HOUR_MS,
        "tranId": 9689322392,
        "tradeId": "",
    }


def trade(number: int = 698759, ts_ms: int = NOW_MS - HOUR_MS) -> dict[str, Any]:
    return {
        "buyer": False,
        "commission": "25.84000000",
        "commissionAsset": "USDT",
        "id": number,
        "maker": False,
        "orderId": 25851813,
        "price": "64600.00",
        "qty": "0.800",
        "quoteQty": "51680.00000",
        "realizedPnl": "0",
        "side": "SELL",
        "positionSide": "BOTH",
        "symbol": "BTCUSDT",
        "time": ts_ms,
    }


def order(**changes: Any) -> dict[str, Any]:
    return {
        "avgPrice": "64600.05000",
        "clientOrderId": CLIENT_ID,
        "cumQuote": "64600.05",
        "executedQty": "1.000",
        "orderId": 1917641,
        "origQty": "1.000",
        "origType": "LIMIT",
        "price": "64700.00",
        "reduceOnly": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "status": "FILLED",
        "stopPrice": "0",
        "closePosition": False,
        "symbol": "BTCUSDT",
        "time": NOW_MS - 1000,
        "timeInForce": "IOC",
        "type": "LIMIT",
        "updateTime": NOW_MS - 990,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        **changes,
    }


def commission() -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "makerCommissionRate": "0.000180",
        "takerCommissionRate": "0.000450",
    }


REPLIES: dict[str, Any] = {
    "/fapi/v1/time": {"serverTime": NOW_MS},
    "/fapi/v1/exchangeInfo": exchange_info(),
    "/fapi/v1/leverageBracket": [brackets("BTCUSDT"), brackets("ETHUSDT")],
    "/fapi/v1/commissionRate": commission(),
    "/fapi/v3/account": account_info(),
    "/fapi/v3/positionRisk": position_risk(),
    "/fapi/v1/accountConfig": {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": False,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "updateTime": 0,
    },
    "/fapi/v1/symbolConfig": [
        {
            "symbol": symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": leverage,
            "maxNotionalValue": "1000000",
        }
        for symbol, leverage in (("BTCUSDT", 20), ("ETHUSDT", 5), ("OLDUSDT", 1))
    ],
    "/fapi/v1/premiumIndex": premium_index(),
    "/fapi/v1/ticker/bookTicker": book_tickers(),
    "/fapi/v1/ticker/24hr": [day_ticker(), day_ticker("ETHUSDT")],
    "/fapi/v1/fundingInfo": [
        {
            "symbol": "ETHUSDT",
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": 4,
            "disclaimer": False,
        }
    ],
    "/fapi/v1/klines": klines(),
    "/fapi/v1/markPriceKlines": klines(),
    "/fapi/v1/fundingRate": funding_rates(),
    "/fapi/v1/depth": depth(),
    "/fapi/v1/income": [income()],
    "/fapi/v1/userTrades": [trade()],
    "/fapi/v1/openOrders": [order(status="NEW", executedQty="0.000", avgPrice="0.00")],
    "/fapi/v1/openAlgoOrders": [],
    "/fapi/v1/order": order(),
}
