"""What the regime's jump model is told beside the book: pair correlation and funding, by hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance.correlation import standardise
from perptui.estimation.funding.series import Settled
from perptui.estimation.panel import Panel, merge_by_coin
from perptui.estimation.recursion import FloatArray
from perptui.estimation.regime.inputs import SideInputs
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.quant.gather import Gathered
from perptui.quant.track import mean_pair_correlation

IntArray = NDArray[np.int64]

HALFLIVES_DAYS = 21.0, 63.0
"""Of volatility and correlation: the same for every strategy, as there is one regime."""
BURN_IN_DAYS = 60


@dataclass(frozen=True, slots=True)
class Side:
    """Mean pair correlation and cross-contract median hourly rate by hour, (T,); NaN unknown.

    Each as known at its hour's end.
    """

    correlation: FloatArray
    funding: FloatArray

    def last(self, hours: int) -> SideInputs:
        """Return the last `hours` as the regime takes them."""
        return SideInputs(self.correlation[-hours:], self.funding[-hours:])


def day_side(panel: Panel, gathered: Sequence[Gathered]) -> Side:
    """Return the side inputs of the panel's hours, (24·D,)."""
    _, owner = panel.by_coin()
    coins = merge_by_coin(panel.common_daily, owner, int(owner.max()) + 1)
    daily = mean_pair_correlation(standardise(coins, HALFLIVES_DAYS[0]), HALFLIVES_DAYS[1])
    daily[: len(daily) if coins.shape[1] < 2 else BURN_IN_DAYS] = np.nan
    hourly = np.full(24 * panel.days, np.nan)
    # A day's correlation is known when its last hour ends.
    hourly[23:] = np.repeat(daily, 24)[: len(hourly) - 23]
    ends = panel.end_ms - HOUR_MS * np.arange(len(hourly))[::-1]
    return Side(hourly, median_rate([one.settled for one in gathered], ends))


def present_side(side: Side, gathered: Sequence[Gathered], history: History, hour_ms: int) -> Side:
    """Return the side inputs of a day, followed by those of the hours since its midnight."""
    midnight_ms = hour_ms // DAY_MS * DAY_MS
    ends = np.arange(midnight_ms + HOUR_MS, hour_ms + 1, HOUR_MS)
    settled = []
    for one in gathered:
        instrument = one.instrument
        found = history.funding(instrument.venue, instrument.venue_symbol, hour_ms)
        settled.append(Settled(found.ts_ms, found.rate, found.interval_h))
    return Side(
        np.concatenate([side.correlation, np.repeat(side.correlation[-1:], len(ends))]),
        np.concatenate([side.funding, median_rate(settled, ends)]),
    )


def median_rate(settled: Sequence[Settled], ends_ms: IntArray) -> FloatArray:
    """Return the median over contracts of the hourly rate settled last, (T,); NaN before any.

    Parameters
    ----------
    ends_ms : (T,) array
        When each hour ended.
    """
    rates = np.full((len(ends_ms), len(settled)), np.nan)
    for column, one in enumerate(settled):
        last = np.searchsorted(one.ts_ms, ends_ms, side="right") - 1
        rates[:, column] = np.where(last >= 0, one.hourly[np.maximum(last, 0)], np.nan)
    # Sorted with NaN last: the middle of those that are known.
    count = np.isfinite(rates).sum(axis=1)
    ranked = np.sort(rates, axis=1)
    row = np.arange(len(rates))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = 0.5 * (ranked[row, low] + ranked[row, np.minimum(high, len(settled) - 1)])
    median: FloatArray = np.where(count > 0, middle, np.nan)
    return median
