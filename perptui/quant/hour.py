"""What has happened since midnight: the hour's prices on top of what the whole days taught.

Models learn from whole UTC days. Within a day they are not fitted again: the day so far is taken
in as the share of a day that it is, so that a new bar costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.drift_blend import LOOKBACKS
from perptui.estimation.intraday import pace_of
from perptui.estimation.panel import equal_weight, merge_by_coin
from perptui.estimation.recursion import FloatArray
from perptui.estimation.regime import LIVE_HOURS, RegimePath, label_hours
from perptui.estimation.returns import Drift, present_drift
from perptui.history.clean import SPIKE_FACTOR, spikes
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.quant.day import DayView
from perptui.quant.gather import Gathered
from perptui.quant.side import present_side
from perptui.quant.track import book_volatility

REGIME_DAYS = 465
"""Of hours that the regime is told from: a year that its models learn from, and what is shown."""
HOUR_H, WIDE_H = 2, 1
"""Age from which a last close is late: an hourly desk expects an hourly price of wider bars too."""


@dataclass(frozen=True, slots=True)
class Since:
    """One contract since midnight.

    Attributes
    ----------
    moves : (h,) array
        Log returns in each of the h hours; 0 in one without a new close.
    variance : float
        Sum of squared log returns between closes.
    share : float
        Of a day that these returns span.
    flags : tuple of str
        What is weak about the last price.
    """

    moves: FloatArray
    variance: float
    share: float
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HourView:
    """The market at one hour: `day` is what was learnt by midnight; C coins, N contracts.

    Attributes
    ----------
    hour_ms : int
        The hour that ended last.
    pace : (N,) array
        Present fast mean of realised variances over midnight's.
    swollen : (N,) array
        Present forecast in force of the daily variance over midnight's.
    coin_variance : (C,) array
        Present forecast in force, daily.
    flags : tuple, by contract
        Of the last prices.
    """

    day: DayView
    hour_ms: int
    pace: FloatArray
    swollen: FloatArray
    coin_variance: FloatArray
    drift: Drift
    regime: RegimePath
    book_volatility: float
    flags: tuple[tuple[str, ...], ...]


def hour_view(day: DayView, history: History, hour_ms: int) -> HourView:
    """Return the market at `hour_ms`, at most a day after `day` ended.

    Raises
    ------
    EstimationError
        When the book does not carry a regime.
    """
    since = [since_midnight(one, history, day.panel.end_ms, hour_ms) for one in day.gathered]
    moves = np.column_stack([one.moves for one in since])
    pace = pace_of(
        day.fast,
        np.array([one.variance for one in since]),
        np.array([one.share for one in since]),
    )
    swollen = pace**day.elasticity
    coins = day.coin_variance.shape[1]
    present = merge_by_coin((day.in_force * swollen)[None, :], day.owner, coins)[0]
    hourly = day.panel.is_hourly
    known = np.where(hourly, moves, np.nan) if hourly.any() else moves
    book = np.concatenate([day.book, equal_weight(known, day.owner)])
    return HourView(
        day=day,
        hour_ms=hour_ms,
        pace=pace,
        swollen=swollen,
        coin_variance=present,
        drift=present_drift(
            day.drift,
            _coin_moves(day, moves),
            present,
            day.mean_correlation,
            day.horizon_days,
        ),
        regime=_regime(day, book, history, hour_ms),
        book_volatility=book_volatility(present, day.covariance.correlation.matrix),
        flags=tuple(one.flags for one in since),
    )


def _regime(day: DayView, book: FloatArray, history: History, hour_ms: int) -> RegimePath:
    hours = min(len(book), 24 * REGIME_DAYS)
    side = present_side(day.side, day.gathered, history, hour_ms)
    start_ms = hour_ms - hours * HOUR_MS
    return label_hours(book[-hours:], start_ms, side.last(hours), recent_hours=LIVE_HOURS)


def _coin_moves(day: DayView, moves: FloatArray) -> FloatArray:
    """Return ln P_now/P_{now-L} of each coin for each lookback, (3, C); NaN where not known."""
    hours = np.concatenate([day.panel.closing, moves])[:, day.spokesmen]
    longest = 24 * max(LOOKBACKS)
    recent = hours[-longest:]
    total = np.full((len(LOOKBACKS), hours.shape[1]), np.nan)
    for row, lookback in enumerate(LOOKBACKS):
        if len(recent) >= 24 * lookback:
            total[row] = recent[-24 * lookback :].sum(axis=0)
    return total


def since_midnight(one: Gathered, history: History, midnight_ms: int, hour_ms: int) -> Since:
    """Return what one contract did between midnight and the hour; bad prints are left out."""
    instrument, width = one.instrument, one.closes.width_ms
    bars = history.bars(instrument.venue, instrument.venue_symbol, one.priced, hour_ms)
    # Two closes before midnight: the last one of the day can be judged a bad print only now.
    first = max(int(np.searchsorted(bars.ts_ms, midnight_ms - width, side="right")) - 2, 0)
    price, close_ms = bars.close[first:], bars.ts_ms[first:] + width
    good = ~spikes(price)
    price, close_ms = price[good], close_ms[good]
    new = close_ms > midnight_ms
    before = price[~new]
    base = float(before[-1]) if len(before) else float(one.closes.price[-1])
    begun = int(close_ms[~new][-1]) if len(before) else int(one.closes.close_ms[-1])
    steps = np.diff(np.log(np.concatenate([[base], price[new]])))
    hours = (hour_ms - midnight_ms) // HOUR_MS
    row = (close_ms[new] - midnight_ms - 1) // HOUR_MS
    last_ms = int(close_ms[-1]) if len(close_ms) else begun
    return Since(
        moves=np.bincount(row, weights=steps, minlength=hours).astype(np.float64),
        variance=float(steps @ steps),
        share=max(last_ms - begun, 0) / DAY_MS,
        flags=_flags(steps, (hour_ms - last_ms) / HOUR_MS, width),
    )


def _flags(steps: FloatArray, age_h: float, width_ms: int) -> tuple[str, ...]:
    flags = []
    if len(steps) and abs(steps[-1]) > np.log(SPIKE_FACTOR):
        flags.append(f"last bar moved by a factor of {np.exp(abs(steps[-1])):.1f}, not confirmed")
    if age_h >= (HOUR_H if width_ms == HOUR_MS else WIDE_H):
        flags.append(f"last bar closed {age_h:.0f} h ago")
    return tuple(flags)
