"""A market replayed from Parquet history: ``DIR/<venue>/<SYMBOL>-<kind>.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from perptui.history.parquet import read_columns
from perptui.model.clock import DAY_MS, HOUR_MS, iso
from perptui.model.errors import HistoryError, InputError
from perptui.risk.contract_rules import QUOTE
from perptui.simulator.market import Integers, Series
from perptui.simulator.path import Floats

OHLCV = ("open", "high", "low", "close", "volume")
HISTORY_DAYS = 730
"""How far back before the start the series reach."""

WARM_UP_DAYS = 210
"""A replay without a start begins this long after the history does."""


class ReplayMarket:
    """A history folder of one venue, from some time before `start_ms` to its end.

    Parameters
    ----------
    directory : Path
        Folder of the venue, with ``BTCUSDT-1h.parquet`` and so on.
    symbols : tuple of str
        Contracts that come first; others against USDT with hourly bars and funding follow them.
    start_ms : int, optional
        Where the replay begins; by default `WARM_UP_DAYS` after the history does.

    Raises
    ------
    InputError
        When the folder holds no hourly history, or none around `start_ms`.
    HistoryError
        When a file is malformed.
    """

    label = "REPLAY"
    kind = "history"

    def __init__(self, directory: Path, symbols: tuple[str, ...], start_ms: int | None) -> None:
        # Arrow's own pool would keep what it read with for good, some 50 MB.
        pa.set_memory_pool(pa.system_memory_pool())
        self.seed: int | None = 0
        found = _found(directory, symbols)
        if not found:
            raise InputError(
                f"expected hourly history such as BTCUSDT-1h.parquet in {directory}, found none; "
                "name the directory that holds it"
            )
        bars = {symbol: _columns(directory / f"{symbol}-1h.parquet", OHLCV) for symbol in found}
        begins = min(int(table["ts"][0]) for table in bars.values())
        self.end_ms: int | None = max(int(table["ts"][-1]) for table in bars.values()) + HOUR_MS
        self.start_ms = begins + WARM_UP_DAYS * DAY_MS if start_ms is None else start_ms
        if not begins + HOUR_MS <= self.start_ms < self.end_ms:
            raise InputError(
                f"expected a start within the history {iso(begins)} to {iso(self.end_ms)}, "
                f"was {iso(self.start_ms)}; choose one inside it"
            )
        oldest = self.start_ms - HISTORY_DAYS * DAY_MS
        self.series = {s: _series(directory, s, bars[s], oldest) for s in found}
        self.detail = f"{directory.name} {iso(begins)[:10]} to {iso(self.end_ms)[:10]}"

    def extend(self, to_ms: int) -> None:
        """Do nothing: a history is as long as it is."""

    def funding_estimate(self, symbol: str, utc_ms: int) -> float:
        """Return the last settled rate: the history holds no predicted ones (method §8)."""
        series = self.series[symbol]
        index = int(np.searchsorted(series.funding_ms, utc_ms, side="right")) - 1
        return float(series.funding_rate[index]) if index >= 0 else 0.0


def _found(directory: Path, first: Sequence[str]) -> list[str]:
    known = [symbol for symbol in first if (directory / f"{symbol}-1h.parquet").is_file()]
    # Spot and mark bars lie beside them as BTCUSDT-spot-1h and BTCUSDT-mark-1h.
    others = sorted(
        file.name.removesuffix("-1h.parquet") for file in directory.glob("*-1h.parquet")
    )
    return known + [
        symbol
        for symbol in others
        if symbol not in known
        and symbol.endswith(QUOTE)
        and (directory / f"{symbol}-funding.parquet").is_file()
    ]


def _columns(path: Path, names: Sequence[str]) -> dict[str, Any]:
    columns = read_columns(path, ("ts", *names))
    if len(columns["ts"]) == 0:
        raise HistoryError(f"expected rows in {path.name}, found none; replace the file")
    if not bool(np.all(np.diff(columns["ts"]) > 0)):
        raise HistoryError(f"expected rising stamps in {path.name}; sort and deduplicate it")
    return columns


def _optional(path: Path, names: Sequence[str]) -> dict[str, Any] | None:
    return _columns(path, names) if path.is_file() else None


def _series(directory: Path, symbol: str, bars: dict[str, Any], oldest_ms: int) -> Series:
    keep = bars["ts"] >= oldest_ms
    stamps = bars["ts"][keep]
    if len(stamps) == 0:
        stamps, keep = bars["ts"][-1:], np.arange(len(bars["ts"])) == len(bars["ts"]) - 1
    first = int(stamps[0])
    rows = (stamps - first) // HOUR_MS
    length = int(rows[-1]) + 1
    traded = np.zeros(length, bool)
    traded[rows] = True
    close = _filled(rows, bars["close"][keep], length)
    prices: dict[str, Any] = {}
    for name in ("open", "high", "low"):
        prices[name] = close.copy()
        prices[name][rows] = bars[name][keep]
    volume = np.zeros(length)
    volume[rows] = bars["volume"][keep]
    series = Series(
        symbol=symbol,
        first_ms=first,
        close=close,
        volume=volume,
        traded=traded,
        mark=_mark(directory, symbol, first, close),
        **_funding(directory, symbol, oldest_ms),
        **prices,
    )
    depth = _optional(directory / f"{symbol}-depth1pct-8h.parquet", ("bid_depth", "ask_depth"))
    if depth is not None:
        series.depth_ms = depth["ts"]
        series.bid_depth, series.ask_depth = depth["bid_depth"], depth["ask_depth"]
    return series


def _filled(rows: Integers, values: Floats, length: int) -> Floats:
    """Return `values` at `rows`, and the value before it in every hole."""
    latest = np.zeros(length, np.int64)
    latest[rows] = np.arange(len(rows))
    filled: Floats = values[np.maximum.accumulate(latest)].astype(np.float64)
    return filled


def _mark(directory: Path, symbol: str, first_ms: int, close: Floats) -> Floats:
    """Return the mark at the end of each hour; the close where no mark was recorded."""
    mark = close.copy()
    table = _optional(directory / f"{symbol}-mark-1h.parquet", ("mark_price",))
    if table is not None:
        rows = (table["ts"] - first_ms) // HOUR_MS
        inside = (rows >= 0) & (rows < len(mark))
        mark[rows[inside]] = table["mark_price"][inside]
    return mark


def _funding(directory: Path, symbol: str, oldest_ms: int) -> dict[str, Any]:
    path = directory / f"{symbol}-funding.parquet"
    table = _optional(path, ("funding_rate", "interval_hours"))
    if table is None:
        raise InputError(f"expected {path.name} beside the hourly bars, found none; add it")
    keep = table["ts"] >= oldest_ms
    return {
        "funding_ms": table["ts"][keep],
        "funding_rate": table["funding_rate"][keep].astype(np.float64),
        "funding_hours": table["interval_hours"][keep].astype(np.float64),
    }
