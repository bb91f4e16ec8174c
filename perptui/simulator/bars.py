"""Candles of a simulated market: closed bars, and the running one from the path so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from perptui.model.clock import DAY_MS, HOUR_MS, MINUTE_MS
from perptui.simulator.market import Market, Series
from perptui.simulator.path import GRID, GRID_MS

INTERVALS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
}


class Candle(NamedTuple):
    """One bar: stamp of its open, prices in USD, volume in base coin and in USD."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float


def candles(
    market: Market,
    symbol: str,
    interval_ms: int,
    now_ms: int,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
) -> list[Candle]:
    """Return up to `limit` bars that opened in [start, end] and not after now, oldest first.

    Without a start the most recent ones; the bar of the present holds only what has happened.
    """
    market.source.extend(now_ms)
    series = market.source.series[symbol]
    newest = min(now_ms, now_ms if end_ms is None else end_ms) // interval_ms * interval_ms
    oldest = -(-series.first_ms // interval_ms) * interval_ms
    if start_ms is None:
        first = max(oldest, newest - (limit - 1) * interval_ms)
    else:
        first = max(oldest, -(-start_ms // interval_ms) * interval_ms)
    last = min(newest, first + (limit - 1) * interval_ms)
    found = (
        _candle(market, symbol, series, stamp, interval_ms, now_ms)
        for stamp in range(first, last + 1, interval_ms)
    )
    return [candle for candle in found if candle is not None]


def _candle(
    market: Market, symbol: str, series: Series, stamp: int, interval_ms: int, now_ms: int
) -> Candle | None:
    if interval_ms == HOUR_MS and stamp + HOUR_MS <= now_ms:
        # Closed hours, of which a desk asks thousands, are rows of the series as they are.
        whole = _part(market, symbol, series, (stamp - series.first_ms) // HOUR_MS, 0, GRID)
        return None if whole is None else Candle(stamp, *whole[1:])
    end = min(stamp + interval_ms, now_ms // GRID_MS * GRID_MS + GRID_MS)
    parts = [
        part
        for hour, first, points in _hours(series, stamp, end)
        if (part := _part(market, symbol, series, hour, first, points)) is not None
    ]
    if not parts:
        return None
    return Candle(
        stamp,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        sum(part.volume for part in parts),
        sum(part.turnover for part in parts),
    )


def _hours(series: Series, begin_ms: int, end_ms: int) -> Iterator[tuple[int, int, int]]:
    """Yield (row, first grid point, count of points) of the grid points in [begin, end)."""
    first_hour = (begin_ms - series.first_ms) // HOUR_MS
    last_hour = (end_ms - 1 - series.first_ms) // HOUR_MS
    for hour in range(first_hour, min(last_hour, len(series.close) - 1) + 1):
        opened = series.first_ms + hour * HOUR_MS
        first = max(0, (begin_ms - opened) // GRID_MS)
        points = min(GRID, -(-(end_ms - opened) // GRID_MS)) - first
        if points > 0:
            yield hour, int(first), int(points)


def _part(
    market: Market, symbol: str, series: Series, hour: int, first: int, points: int
) -> Candle | None:
    if not series.traded[hour]:
        return None
    volume = float(series.volume[hour]) * points / GRID
    if points == GRID:
        prices = (series.open[hour], series.high[hour], series.low[hour], series.close[hour])
    else:
        path = market.path(symbol, hour)[first : first + points]
        prices = (path[0], path.max(), path.min(), path[-1])
    opened, high, low, close = map(float, prices)
    return Candle(0, opened, high, low, close, volume, volume * (opened + close) / 2)


def day_statistics(market: Market, symbol: str, now_ms: int) -> Candle:
    """Return the rolling day as one bar: 24 h of hourly bars that end with the running one."""
    day = candles(market, symbol, HOUR_MS, now_ms, now_ms - DAY_MS, None, 25)
    if not day:
        price = market.last(symbol, now_ms)
        return Candle(now_ms, price, price, price, price, 0.0, 0.0)
    return Candle(
        day[0].ts_ms,
        day[0].open,
        float(np.max([bar.high for bar in day])),
        float(np.min([bar.low for bar in day])),
        day[-1].close,
        float(np.sum([bar.volume for bar in day])),
        float(np.sum([bar.turnover for bar in day])),
    )
