"""A market whose rules of the game change on the way: funding turned, faster, contracts renamed."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from perptui.model.clock import HOUR_MS
from perptui.simulator.market import Series, Source

FUNDING = ("funding_ms", "funding_rate", "funding_hours")


class FundingChange(NamedTuple):
    """From `from_ms` on rates are times `sign`, and settled every `hours` (None: as before)."""

    from_ms: int
    sign: float = 1.0
    hours: float | None = None


class Renaming(NamedTuple):
    """A contract of `multiple` coins under a new name: its price is that many times the old."""

    old: str
    multiple: float


class AlteredSource:
    """A source with changes laid over it; what lies before a change stays as it was.

    Parameters
    ----------
    inner : Source
        The market as it would have gone on.
    """

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.label, self.kind, self.detail = inner.label, inner.kind, inner.detail
        self.seed, self.start_ms, self.end_ms = inner.seed, inner.start_ms, inner.end_ms
        self.series: dict[str, Series] = {}
        self._changes: dict[str, list[FundingChange]] = {}
        self._renamed: dict[str, Renaming] = {}
        self._built_to = 0
        self._build()

    def change_funding(self, symbol: str, change: FundingChange) -> None:
        """Lay one change over the funding of `symbol`."""
        self._changes.setdefault(symbol, []).append(change)
        self._build()

    def rename(self, old: str, new: str, multiple: float) -> None:
        """List `old` under another name, in units of `multiple` coins, beside the old one."""
        self._renamed[new] = Renaming(old, multiple)
        self._build()

    def extend(self, to_ms: int) -> None:
        """Make the series reach beyond `to_ms`, where the source can."""
        self.inner.extend(to_ms)
        if self._end() != self._built_to:
            self._build()

    def funding_estimate(self, symbol: str, utc_ms: int) -> float:
        """Return the rate the venue shows for the open interval, from the past alone."""
        inner = self._renamed[symbol].old if symbol in self._renamed else symbol
        rate = self.inner.funding_estimate(inner, utc_ms)
        for change in self._changes.get(symbol, ()):
            if change.from_ms > utc_ms:
                continue
            rate *= change.sign
            if change.hours is not None:
                rate *= change.hours / self._hours(inner)
        return rate

    def _hours(self, symbol: str) -> float:
        hours = self.inner.series[symbol].funding_hours
        return float(hours[-1]) if len(hours) else 8.0

    def _end(self) -> int:
        return max(series.end_ms for series in self.inner.series.values())

    def _build(self) -> None:
        self._built_to = self._end()
        found = dict(self.inner.series)
        for new, (old, multiple) in self._renamed.items():
            found[new] = _in_multiples(found[old], new, multiple)
        for symbol, changes in self._changes.items():
            for change in changes:
                found[symbol] = _with_funding(found[symbol], change)
        self.series = found


def _in_multiples(series: Series, name: str, multiple: float) -> Series:
    return replace(
        series,
        symbol=name,
        open=series.open * multiple,
        high=series.high * multiple,
        low=series.low * multiple,
        close=series.close * multiple,
        mark=series.mark * multiple,
        volume=series.volume / multiple,
        bid_depth=series.bid_depth / multiple,
        ask_depth=series.ask_depth / multiple,
    )


def _with_funding(series: Series, change: FundingChange) -> Series:
    past = series.funding_ms <= change.from_ms
    stamps, rates, hours = (getattr(series, name) for name in FUNDING)
    later = (stamps[~past], rates[~past] * change.sign, hours[~past])
    if change.hours is not None and later[0].size:
        step = round(change.hours * HOUR_MS)
        first = (change.from_ms // step + 1) * step
        new = np.arange(first, later[0][-1] + 1, step, dtype=np.int64)
        # What an old interval would have cost is spread over the new ones that end inside it.
        row = np.searchsorted(later[0], new)
        later = (new, later[1][row] * change.hours / later[2][row], np.full(len(new), change.hours))
    return replace(
        series,
        funding_ms=np.concatenate([stamps[past], later[0]]),
        funding_rate=np.concatenate([rates[past], later[1]]),
        funding_hours=np.concatenate([hours[past], later[2]]),
    )
