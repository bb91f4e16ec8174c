"""From kept history to what the estimators take: closes, funding and volume of each contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.funding.series import Settled, check_settled
from perptui.estimation.liquidity import Traded
from perptui.estimation.panel import Closes, check_closes
from perptui.history.clean import missing_hours
from perptui.history.dataset import Bars, History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError, HistoryError
from perptui.model.instrument import Instrument
from perptui.quant.marks import priced, rows_from
from perptui.quant.soundness import (
    LEAST_DAYS,
    RECENT_DAYS,
    check_funding,
    feed_flags,
    funding_flags,
    sound_closes,
)

LOOKBACK_DAYS = 1100
"""Days of history that estimates rest on: a GARCH fit wants 500, and two years to be judged."""
FULL_DAYS = 180
"""Shorter histories are flagged: the regime's level wants 180 days."""
STALE_H = 24
MOST_MISSING_H = RECENT_DAYS * 24 // 5


@dataclass(frozen=True, slots=True)
class Gathered:
    """One contract's history up to the time asked, what is weak about it, and what was cleaned.

    `traded` are its bars and book of the last 30 days, for the cost of leaving it.
    """

    instrument: Instrument
    closes: Closes
    settled: Settled
    traded: Traded
    volume_usd_day: float
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    priced: str
    """Kind of the series that the closes are of: mark-1h, 1h or 8h."""

    @property
    def days(self) -> int:
        """Whole days of closes."""
        return int(self.closes.close_ms[-1] - self.closes.close_ms[0]) // DAY_MS


def gather_all(
    instruments: tuple[Instrument, ...], history: History, as_of_ms: int
) -> tuple[tuple[Gathered, ...], tuple[str, ...]]:
    """Return what can be estimated, by id, and what cannot with its reason.

    Raises
    ------
    EstimationError
        When nothing can be estimated.
    """
    found, left_out = [], []
    for instrument in sorted(instruments, key=lambda one: one.id):
        try:
            found.append(gather(instrument, history, as_of_ms))
        except (HistoryError, EstimationError) as error:
            left_out.append(f"{instrument.id}: {error}")
    if not found:
        reasons = "; ".join(left_out) or "no instrument was asked for"
        raise EstimationError(f"expected history of at least one contract, was none ({reasons})")
    return tuple(found), tuple(left_out)


def gather(instrument: Instrument, history: History, as_of_ms: int) -> Gathered:
    """Return one contract's history as known at `as_of_ms`.

    Raises
    ------
    HistoryError
        When a series is missing or unreadable.
    EstimationError
        When it is shorter than 30 days, a day old, mostly missing, constant or malformed, or its
        funding contradicts its intervals or is no fraction of notional.
    """
    venue, symbol = instrument.venue, instrument.venue_symbol
    traded = _recent(history.traded(venue, symbol, as_of_ms), as_of_ms)
    kind = "1h" if traded.width_ms == HOUR_MS else "8h"
    _check_length(traded, as_of_ms)
    prices, priced_kind, mark_flags = priced(history, instrument, traded, as_of_ms)
    closes, flags = sound_closes(instrument, prices)
    check_closes(closes)
    flags += feed_flags(closes, traded)
    settled = _settled(history, instrument, as_of_ms)
    notes = [
        history.notes(venue, symbol, name, as_of_ms) for name in {kind, priced_kind, "funding"}
    ]
    return Gathered(
        instrument,
        closes,
        settled,
        _traded(history, instrument, traded, as_of_ms),
        _volume(traded, as_of_ms),
        (*_length_flags(traded, as_of_ms), *mark_flags, *flags, *funding_flags(settled, as_of_ms)),
        tuple(sorted(line for lines in notes for line in lines)),
        priced_kind,
    )


def _recent(bars: Bars, as_of_ms: int) -> Bars:
    oldest = as_of_ms - (LOOKBACK_DAYS + 1) * DAY_MS
    return rows_from(bars, int(np.searchsorted(bars.ts_ms, oldest)))


def _check_length(bars: Bars, as_of_ms: int) -> None:
    if not len(bars.ts_ms):
        raise EstimationError("expected bars, was none by then; fetch history")
    days = (int(bars.close_ms[-1]) - int(bars.ts_ms[0])) / DAY_MS
    if days < LEAST_DAYS:
        raise EstimationError(
            f"expected at least {LEAST_DAYS} days of history, was {days:.1f}; wait or fetch more"
        )
    age_h = (as_of_ms - int(bars.close_ms[-1])) / HOUR_MS
    if age_h > STALE_H:
        raise EstimationError(
            f"expected bars up to {STALE_H} h ago, was {age_h:.0f} h; fetch history"
        )
    missing = _missing(bars, as_of_ms)
    if missing > MOST_MISSING_H:
        raise EstimationError(
            f"expected at most {MOST_MISSING_H} h of bars missing in {RECENT_DAYS} days, "
            f"was {missing}; fetch them"
        )


def _missing(bars: Bars, as_of_ms: int) -> int:
    end = as_of_ms // bars.width_ms * bars.width_ms
    return missing_hours(bars.ts_ms, bars.width_ms, end - RECENT_DAYS * DAY_MS, end)


def _length_flags(bars: Bars, as_of_ms: int) -> tuple[str, ...]:
    flags = []
    days = (int(bars.close_ms[-1]) - int(bars.ts_ms[0])) // DAY_MS
    if days < FULL_DAYS:
        flags.append(f"{days} days of history")
    if bars.width_ms > HOUR_MS:
        flags.append(f"realised variance from {DAY_MS // bars.width_ms} bars a day")
    if missing := _missing(bars, as_of_ms):
        flags.append(f"{missing} h of bars missing in {RECENT_DAYS} days")
    return tuple(flags)


def _settled(history: History, instrument: Instrument, as_of_ms: int) -> Settled:
    funding = history.funding(instrument.venue, instrument.venue_symbol, as_of_ms)
    settled = Settled(funding.ts_ms, funding.rate, funding.interval_h)
    check_settled(settled, as_of_ms)
    check_funding(instrument, settled)
    return settled


def _traded(history: History, instrument: Instrument, bars: Bars, as_of_ms: int) -> Traded:
    venue, symbol = instrument.venue, instrument.venue_symbol
    oldest = as_of_ms - RECENT_DAYS * DAY_MS
    recent = rows_from(bars, int(np.searchsorted(bars.ts_ms, oldest)))
    close_ms = recent.close_ms
    depth_usd = np.empty(0)
    if history.has(venue, symbol, "depth1pct-8h"):
        book = history.depth(venue, symbol, as_of_ms)
        first = int(np.searchsorted(book.ts_ms, oldest, side="right"))
        row = np.searchsorted(close_ms, book.ts_ms[first:], side="right") - 1
        coins = (book.bid[first:] + book.ask[first:]) / 2.0
        depth_usd = coins[row >= 0] * recent.close[row[row >= 0]]
    return Traded(
        id=instrument.id,
        close_ms=close_ms,
        high=recent.high,
        low=recent.low,
        close=recent.close,
        volume=recent.volume,
        depth_usd=depth_usd,
        half_tick=float(instrument.tick) / float(recent.close[-1]) / 2.0,
    )


def _volume(bars: Bars, as_of_ms: int) -> float:
    recent = slice(int(np.searchsorted(bars.ts_ms, as_of_ms - RECENT_DAYS * DAY_MS)), None)
    days = len(bars.ts_ms[recent]) * bars.width_ms / DAY_MS
    return float((bars.volume[recent] * bars.close[recent]).sum() / days)
