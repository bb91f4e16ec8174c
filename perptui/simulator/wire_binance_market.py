"""Public endpoints of Binance USD-M futures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from perptui.model.money import plain
from perptui.model.order import Side
from perptui.risk.contract_rules import QUOTE, ContractRules
from perptui.simulator.bars import INTERVALS_MS, Candle, candles, day_statistics
from perptui.simulator.exchange import Exchange
from perptui.simulator.wire_binance_errors import WireError
from perptui.simulator.wire_binance_params import Params

INTEREST = "0.00010000"
PERPETUAL_DELIVERY_MS = 4_133_404_800_000
DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


def fixed(value: float | Decimal, decimals: int) -> str:
    """Return `value` with exactly `decimals` digits after the point."""
    return f"{value:.{decimals}f}"


class MarketEndpoints:
    """What needs no key."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    @property
    def listed(self) -> tuple[str, ...]:
        """Contracts that trade now."""
        return self.exchange.market.listed(self.exchange.now_ms)

    def ping(self, params: Params) -> Any:
        """Answer nothing."""
        return {}

    def time(self, params: Params) -> Any:
        """Answer the venue's clock."""
        return {"serverTime": self.exchange.now_ms + self.exchange.skew_ms}

    def exchange_info(self, params: Params) -> Any:
        """Answer the contracts and their filters."""
        return {
            "timezone": "UTC",
            "serverTime": self.exchange.now_ms + self.exchange.skew_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": [
                _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
                _rate_limit("ORDERS", "MINUTE", 1, 1200),
                _rate_limit("ORDERS", "SECOND", 10, 300),
            ],
            "exchangeFilters": [],
            "assets": [
                {"asset": QUOTE, "marginAvailable": True, "autoAssetExchange": "-10000"},
            ],
            "symbols": [self._contract(s) for s in self.listed],
        }

    def _contract(self, symbol: str) -> dict[str, Any]:
        market = self.exchange.market
        row = _contract(self.exchange.rules[symbol], market.source.series[symbol].first_ms)
        return row | {"status": "SETTLING"} if symbol in market.settling else row

    def premium_index(self, params: Params) -> Any:
        """Answer mark, index and the open funding interval, of one contract or all."""
        return self._one_or_all(params, self._premium)

    def funding_info(self, params: Params) -> Any:
        """Answer the contracts whose open funding interval is not 8 h."""
        rows = []
        for symbol in self.listed:
            _, hours = self.exchange.market.next_settlement(symbol, self.exchange.now_ms)
            cap = fixed(self.exchange.rules[symbol].funding_cap, 8)
            if hours != 8:
                rows.append(
                    {
                        "symbol": symbol,
                        "adjustedFundingRateCap": cap,
                        "adjustedFundingRateFloor": f"-{cap}",
                        "fundingIntervalHours": int(hours),
                        "disclaimer": False,
                    }
                )
        return rows

    def funding_rate(self, params: Params) -> Any:
        """Answer settled funding, oldest first."""
        symbol = params.optional_symbol(self.listed)
        limit = params.limit(100, 1000)
        start, end = params.integer("startTime"), params.integer("endTime")
        now = self.exchange.now_ms
        found = self.exchange.market.settlements(
            -1 if start is None else start - 1,
            now if end is None else min(end, now),
            self.listed if symbol is None else (symbol,),
        )
        part = found[-limit:] if start is None else found[:limit]
        return [
            {
                "symbol": s.symbol,
                "fundingTime": s.ts_ms,
                "fundingRate": fixed(s.rate, 8),
                "markPrice": fixed(self.exchange.market.mark(s.symbol, s.ts_ms), 8)
                if s.ts_ms >= self.exchange.market.source.series[s.symbol].first_ms
                else "",
            }
            for s in part
        ]

    def ticker_day(self, params: Params) -> Any:
        """Answer 24-hour statistics."""
        return self._one_or_all(params, self._day)

    def ticker_book(self, params: Params) -> Any:
        """Answer best bid and ask."""
        return self._one_or_all(params, self._touch)

    def ticker_price(self, params: Params) -> Any:
        """Answer last prices."""
        return self._one_or_all(
            params,
            lambda s: {"symbol": s, "price": self._last(s), "time": self.exchange.now_ms},
        )

    def open_interest(self, params: Params) -> Any:
        """Answer open interest: a third of a day's volume."""
        symbol = params.symbol(self.listed)
        volume, _ = self.exchange.market.day_volume(symbol, self.exchange.now_ms)
        decimals = self.exchange.rules[symbol].quantity_decimals
        return {
            "openInterest": fixed(volume / 3, decimals),
            "symbol": symbol,
            "time": self.exchange.now_ms,
        }

    def depth(self, params: Params) -> Any:
        """Answer the order book."""
        symbol = params.symbol(self.listed)
        limit = params.integer("limit") or 500
        if limit not in DEPTH_LIMITS:
            raise WireError(-4021, f"{limit} is not valid depth limit.")
        rules = self.exchange.rules[symbol]
        now = self.exchange.now_ms
        sides = {}
        for name, side in (("bids", Side.SELL), ("asks", Side.BUY)):
            levels = self.exchange.books.levels(symbol, side, now)
            sides[name] = [
                [fixed(price, rules.price_decimals), fixed(size, rules.quantity_decimals)]
                for price, size in (level for level, _ in zip(levels, range(limit), strict=False))
            ]
        return {"lastUpdateId": now, "E": now, "T": now, **sides}

    def klines(self, params: Params) -> Any:
        """Answer bars of traded prices."""
        symbol = params.symbol(self.listed)
        rules = self.exchange.rules[symbol]
        digits, sizes = rules.price_decimals, rules.quantity_decimals
        return [
            _kline(bar, interval, digits, sizes) for bar, interval in self._bars(params, symbol)
        ]

    def mark_klines(self, params: Params) -> Any:
        """Answer bars of the mark."""
        symbol = params.symbol(self.listed)
        return [
            self._shifted(symbol, bar, interval, self.exchange.market.mark)
            for bar, interval in self._bars(params, symbol)
        ]

    def index_klines(self, params: Params) -> Any:
        """Answer bars of the index (parameter `pair`)."""
        params.values.setdefault("symbol", params.text("pair"))
        symbol = params.symbol(self.listed)
        return [
            self._shifted(symbol, bar, interval, self.exchange.market.index)
            for bar, interval in self._bars(params, symbol)
        ]

    # ------------------------------------------------------------------ rows

    def _one_or_all(self, params: Params, row: Any) -> Any:
        symbol = params.optional_symbol(self.listed)
        return [row(s) for s in self.listed] if symbol is None else row(symbol)

    def _last(self, symbol: str) -> str:
        decimals = self.exchange.rules[symbol].price_decimals
        return fixed(self.exchange.market.last(symbol, self.exchange.now_ms), decimals)

    def _premium(self, symbol: str) -> dict[str, Any]:
        market, now = self.exchange.market, self.exchange.now_ms
        following, _ = market.next_settlement(symbol, now)
        index = fixed(market.index(symbol, now), 8)
        return {
            "symbol": symbol,
            "markPrice": fixed(self.exchange.mark(symbol), 8),
            "indexPrice": index,
            "estimatedSettlePrice": index,
            "lastFundingRate": fixed(market.source.funding_estimate(symbol, now), 8),
            "interestRate": INTEREST,
            "nextFundingTime": following,
            "time": now,
        }

    def _day(self, symbol: str) -> dict[str, Any]:
        now = self.exchange.now_ms
        day = day_statistics(self.exchange.market, symbol, now)
        rules = self.exchange.rules[symbol]
        last = self.exchange.market.last(symbol, now)
        digits = rules.price_decimals
        return {
            "symbol": symbol,
            "priceChange": fixed(last - day.open, digits),
            "priceChangePercent": fixed((last / day.open - 1) * 100, 3),
            "weightedAvgPrice": fixed(day.turnover / day.volume if day.volume else last, digits),
            "lastPrice": fixed(last, digits),
            "lastQty": plain(rules.step),
            "openPrice": fixed(day.open, digits),
            "highPrice": fixed(day.high, digits),
            "lowPrice": fixed(day.low, digits),
            "volume": fixed(day.volume, rules.quantity_decimals),
            "quoteVolume": fixed(day.turnover, 2),
            "openTime": day.ts_ms,
            "closeTime": now,
            "firstId": 1,
            "lastId": now // 250,
            "count": int(day.turnover / 5000),
        }

    def _touch(self, symbol: str) -> dict[str, Any]:
        now, rules = self.exchange.now_ms, self.exchange.rules[symbol]
        row: dict[str, Any] = {"symbol": symbol}
        for name, side in (("bid", Side.SELL), ("ask", Side.BUY)):
            price, size = next(self.exchange.books.levels(symbol, side, now), (Decimal(0),) * 2)
            row[f"{name}Price"] = fixed(price, rules.price_decimals)
            row[f"{name}Qty"] = fixed(size, rules.quantity_decimals)
        row["time"] = now
        row["lastUpdateId"] = now
        return row

    def _bars(self, params: Params, symbol: str) -> list[tuple[Candle, int]]:
        interval = INTERVALS_MS.get(params.text("interval"))
        if interval is None:
            raise WireError(-1120, "Invalid interval.")
        start, end = params.integer("startTime"), params.integer("endTime")
        if start is not None and end is not None and start > end:
            raise WireError(-1023, "Start time is greater than end time.")
        limit = params.limit(500, 1500)
        now = self.exchange.now_ms
        bars = candles(self.exchange.market, symbol, interval, now, start, end, limit)
        return [(bar, interval) for bar in bars]

    def _shifted(self, symbol: str, bar: Candle, interval: int, price: Any) -> list[Any]:
        end = min(bar.ts_ms + interval, self.exchange.now_ms)
        opened, close = price(symbol, bar.ts_ms), price(symbol, end)
        ends = (opened, close)
        high = float(np.max([bar.high + opened - bar.open, *ends]))
        low = float(np.min([bar.low + opened - bar.open, *ends]))
        row: list[Any] = [bar.ts_ms, *(fixed(p, 8) for p in (opened, high, low, close))]
        return [*row, "0", bar.ts_ms + interval - 1, "0", 0, "0", "0", "0"]


def _kline(bar: Candle, interval: int, digits: int, sizes: int) -> list[Any]:
    half, turnover = f"{bar.volume / 2:.{sizes}f}", bar.turnover
    return [
        bar.ts_ms,
        f"{bar.open:.{digits}f}",
        f"{bar.high:.{digits}f}",
        f"{bar.low:.{digits}f}",
        f"{bar.close:.{digits}f}",
        f"{bar.volume:.{sizes}f}",
        bar.ts_ms + interval - 1,
        f"{turnover:.5f}",
        int(turnover / 5000),
        half,
        f"{turnover / 2:.5f}",
        "0",
    ]


def _rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _contract(rules: ContractRules, onboard_ms: int) -> dict[str, Any]:
    tick, step = plain(rules.tick), plain(rules.step)
    lot = {"stepSize": step, "minQty": step}
    return {
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": onboard_ms,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": rules.coin,
        "quoteAsset": QUOTE,
        "marginAsset": QUOTE,
        "pricePrecision": rules.price_decimals + 1,
        "quantityPrecision": rules.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": plain(rules.band),
        "liquidationFee": fixed(rules.liquidation_fee, 6),
        "marketTakeBound": plain(rules.band),
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "10000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "maxQty": plain(rules.max_limit), **lot},
            {"filterType": "MARKET_LOT_SIZE", "maxQty": plain(rules.max_market), **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": plain(rules.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": fixed(1 + rules.band, 4),
                "multiplierDown": fixed(1 - rules.band, 4),
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
