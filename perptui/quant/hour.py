"""What has happened since midnight: the hour's prices on top of what the whole days taught.

Models learn from whole UTC days. Within a day they are not fitted again: the day so far is taken
in as the share of a day that it is, so that a new bar costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.estimation.drift.blend import LOOKBACKS
from perptui.estimation.drift.forecast import Drift, present_drift
from perptui.estimation.panel import IntArray, equal_weight, merge_by_coin
from perptui.estimation.recursion import FloatArray, divided
from perptui.estimation.regime.inputs import MONDAY_MS
from perptui.estimation.regime.vote import LIVE_HOURS, RegimePath, label_hours
from perptui.estimation.variance.intraday import pace_of
from perptui.history.dataset import History
from perptui.history.prints import (
    PRINT_BARS,
    SHARP_BARS,
    SPIKE_FACTOR,
    unconfirmed,
    unsound,
)
from perptui.history.suspicion import STUCK_BARS, runs_of
from perptui.model.clock import DAY_MS, HOUR_MS, iso
from perptui.model.forecast import ReturnForecast
from perptui.quant.day import DayView
from perptui.quant.gather import Gathered
from perptui.quant.side import present_side
from perptui.quant.soundness import (
    JUMP_SHARE,
    RECENT_DAYS,
    SHIFT_DAYS,
    recent_shift,
    unconfirmed_flags,
)
from perptui.quant.tails import Moved, swollen_scenarios
from perptui.quant.track import book_volatility
from perptui.quant.volatilities import PresentVolatility, present_volatility

WEEK_MS = 7 * DAY_MS
REGIME_DAYS = 465
"""Of hours that the regime is told from: a year that its models learn from, and what is shown."""
HOUR_H, WIDE_H = 2, 1
"""Age from which a last close is late: an hourly desk expects an hourly price of wider bars too."""
FAR = float(np.log(SPIKE_FACTOR))


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
        What is weak about these prices.
    shift : str
        How the price came to another scale within two days; "" where it did not.
    """

    moves: FloatArray
    variance: float
    share: float
    flags: tuple[str, ...]
    shift: str


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
    drifts : tuple of C ReturnForecast
        `drift` by coin.
    volatility : PresentVolatility
        What each variance model says now.
    scenarios : Moved, optional
        The day's, at the present volatility.
    flags : tuple, by contract
        Of the prices since midnight.
    left_out : tuple of str
        Contracts that are not estimated, with their reasons.
    """

    day: DayView
    hour_ms: int
    pace: FloatArray
    swollen: FloatArray
    coin_variance: FloatArray
    drift: Drift
    drifts: tuple[ReturnForecast, ...]
    volatility: PresentVolatility
    scenarios: Moved | None
    regime: RegimePath
    book_volatility: float
    flags: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]


def since_all(day: DayView, history: History, hour_ms: int) -> tuple[Since, ...]:
    """Return what each of the day's contracts did between midnight and `hour_ms`."""
    return tuple(since_midnight(one, history, day.panel.end_ms, hour_ms) for one in day.gathered)


def hour_view(
    day: DayView,
    since: Sequence[Since],
    history: History,
    hour_ms: int,
    left_out: Sequence[str] = (),
) -> HourView:
    """Return the market at `hour_ms`, at most a day after `day` ended.

    Parameters
    ----------
    since : sequence of N Since
        From `since_all`; prices that came to another scale would size every order, so whoever
        asks leaves such a contract out of the day.
    left_out : sequence of str
        What was left out beside what the day left out.

    Raises
    ------
    EstimationError
        When the book does not carry a regime.
    """
    moves = np.column_stack([one.moves for one in since])
    variance = np.array([one.variance for one in since])
    share = np.array([one.share for one in since])
    pace = pace_of(day.fast, variance, share, day.fast_halflife_days)
    swollen = pace**day.elasticity.in_force
    coins = day.coin_variance.shape[1]
    present = merge_by_coin((day.in_force * swollen)[None, :], day.owner, coins)[0]
    hourly = day.panel.is_hourly
    known = np.where(hourly, moves, np.nan) if hourly.any() else moves
    book = np.concatenate([day.book, equal_weight(known, day.owner)])
    drift = present_drift(
        day.drift, _coin_moves(day, moves), present, day.mean_correlation, day.horizon_days
    )
    return HourView(
        day=day,
        hour_ms=hour_ms,
        pace=pace,
        swollen=swollen,
        coin_variance=present,
        drift=drift,
        drifts=tuple(
            ReturnForecast(*row) for row in np.vstack([drift.by_lookback, drift.blend]).T.tolist()
        ),
        volatility=present_volatility(day, pace),
        scenarios=swollen_scenarios(day.tails, present / day.coin_variance[-1]),
        regime=_regime(day, book, history, hour_ms),
        book_volatility=book_volatility(present, day.covariance.correlation.matrix),
        flags=tuple(
            one.flags + more for one, more in zip(since, _day_flags(day, variance), strict=True)
        ),
        left_out=tuple(sorted((*left_out, *day.left_out))),
    )


def _regime(day: DayView, book: FloatArray, history: History, hour_ms: int) -> RegimePath:
    # From a Monday on: the models' training days then change weekly, and their fits are kept.
    monday_ms = (hour_ms - REGIME_DAYS * DAY_MS - MONDAY_MS) // WEEK_MS * WEEK_MS + MONDAY_MS
    hours = min(len(book), (hour_ms - monday_ms) // HOUR_MS)
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
    """Return what one contract did between midnight and the hour; bad prints are left out.

    A last print before midnight can be judged only now. Where it proves bad, prices come back from
    it, so that lookbacks end at the true price, but that step is none of the variance.
    """
    instrument, width = one.instrument, one.closes.width_ms
    bars = history.bars(instrument.venue, instrument.venue_symbol, one.priced, hour_ms)
    today = int(np.searchsorted(bars.ts_ms, midnight_ms - width, side="right"))
    first = max(today - SHARP_BARS - PRINT_BARS, 0)
    price, close_ms = bars.close[first:], bars.ts_ms[first:] + width
    recent = bars.close[-(SHIFT_DAYS * DAY_MS // width) - 1 :]
    # Where no two prices are far apart there is no other scale.
    calm = bool(recent.max() < SPIKE_FACTOR * recent.min())
    bad = unsound(price, width)
    left_out = 0
    if bad.any():
        known = unsound(price[: today - first], width)
        left_out = int(np.count_nonzero(bad)) - int(np.count_nonzero(bad[: len(known)] & known))
        price, close_ms = price[~bad], close_ms[~bad]
    before = int(np.searchsorted(close_ms, midnight_ms, side="right"))
    logs = np.log(price[before - 1 :])
    steps = logs[1:] - logs[:-1]
    moved = steps.copy()
    moved[:1] += logs[0] - np.log(one.closes.price[-1])
    row = (close_ms[before:] - midnight_ms - 1) // HOUR_MS
    hours = (hour_ms - midnight_ms) // HOUR_MS
    return Since(
        moves=np.bincount(row, weights=moved, minlength=hours).astype(np.float64),
        variance=float(np.square(steps).sum()),
        share=int(close_ms[-1] - close_ms[before - 1]) / DAY_MS,
        flags=_flags(steps, close_ms[before:], (hour_ms - int(close_ms[-1])) / HOUR_MS, width)
        + ((f"{left_out} bad print(s) left out since midnight",) if left_out else ())
        + _away(price, len(steps), width),
        shift="" if calm else recent_shift(bars),
    )


def _away(price: FloatArray, rows: int, width_ms: int) -> tuple[str, ...]:
    """Return whether the last closes may yet come back; `_flags` names steps beyond `FAR`."""
    one = unconfirmed(price, width_ms)
    if one is None or one.rows > rows or abs(np.log(one.factor)) > FAR:
        return ()
    return tuple(unconfirmed_flags(price, width_ms))


def _flags(steps: FloatArray, close_ms: IntArray, age_h: float, width_ms: int) -> tuple[str, ...]:
    flags = []
    sizes = np.abs(steps)
    if len(sizes) and sizes.max() > FAR:
        for k in np.flatnonzero(sizes > FAR).tolist():
            factor = float(np.exp(sizes[k]))
            flags.append(
                f"last bar moved by a factor of {factor:.1f}, not confirmed"
                if k + 1 == len(sizes)
                else f"bar closed at {iso(int(close_ms[k]))} moved by a factor of {factor:.1f}"
            )
    if runs := runs_of(steps == 0.0, STUCK_BARS - 1):
        flags.append(f"close unchanged for {max(run.rows for run in runs) + 1} bars today")
    if age_h >= (HOUR_H if width_ms == HOUR_MS else WIDE_H):
        flags.append(f"last bar closed {age_h:.0f} h ago")
    return tuple(flags)


def _day_flags(day: DayView, variance: FloatArray) -> list[tuple[str, ...]]:
    """Return for each contract whether the day so far holds most of the last days' variance."""
    seen = day.panel.variance[-RECENT_DAYS:]
    whole = np.where(np.isfinite(seen), seen, 0.0).sum(axis=0) + variance
    share = divided(variance, whole, whole > 0.0, 0.0)
    return [
        (f"the day so far holds {part:.0%} of the variance of {RECENT_DAYS} days",)
        if part > JUMP_SHARE
        else ()
        for part in share.tolist()
    ]
