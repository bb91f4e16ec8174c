"""Whether a contract's recent history can be estimated from: what is odd is flagged or refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.forecast import Settled
from perptui.estimation.panel import Closes
from perptui.history.dataset import Bars
from perptui.history.prints import (
    SCALE_DAYS,
    SHARP_BARS,
    SPIKE_FACTOR,
    Excursion,
    bad_prints,
    excursions,
    unconfirmed,
    within,
)
from perptui.history.suspicion import idle, scales, spacing, stuck
from perptui.model.clock import DAY_MS, HOUR_MS, iso
from perptui.model.errors import EstimationError
from perptui.model.instrument import Instrument

BoolArray = NDArray[np.bool_]

LEAST_DAYS = 30
RECENT_DAYS = 30
JUMP_SHARE = 0.5
MOST_STUCK = 0.5
"""Share of closes like the one before in 30 days above which a feed is taken for dead."""
FUNDING_LATE_H = 6.0
SHIFT_DAYS = 2
LAST_SPACINGS = 10
SPACING_TOLERANCE_H = 0.1
MOST_FUNDING = 0.005
"""Median size of a rate per 8 h over 30 days above which it is no fraction of notional.

The largest of 20 contracts since 2019, over a week or more, was a half of that."""
LEAST_FUNDING_H = 7 * 24.0


def sound_closes(instrument: Instrument, bars: Bars) -> tuple[Closes, tuple[str, ...]]:
    """Return closes without bad prints and of one scale, and what is weak about them.

    Prices of another scale than the last one, by a factor of 100 or more, are left out, and so
    are stretches in other units that are over.

    Raises
    ------
    EstimationError
        When fewer than `LEAST_DAYS` days of that scale are left.
    """
    flags = []
    stamps, price, width = bars.close_ms, bars.close, bars.width_ms
    bad = bad_prints(price)
    if bad.any():
        flags.append(f"{int(bad.sum())} bad print(s) left out")
        stamps, price = stamps[~bad], price[~bad]
    ratio = price[1:] / price[:-1]
    # Two passes over years of hours are spared where no step is large enough for either.
    if len(ratio) and not (ratio.max() <= SPIKE_FACTOR and ratio.min() >= 1.0 / SPIKE_FACTOR):
        level = scales(price)
        other = level != level[-1]
        if other.any():
            flags.append(f"{int(other.sum())} bar(s) of another scale left out")
            stamps, price = stamps[~other], price[~other]
            _check_scale(instrument, stamps)
        away = excursions(price, width)
        kept = ~within(away, len(price))
        flags += _excursion_flags(away, width)
        stamps, price = stamps[kept], price[kept]
    return (
        Closes(instrument.id, instrument.coin, stamps, price, width),
        (*flags, *unconfirmed_flags(price, width), *_jump_flags(price, width)),
    )


def _excursion_flags(away: Sequence[Excursion], width_ms: int) -> list[str]:
    if not away:
        return []
    longest = max(away, key=lambda one: one.rows)
    more = f" and {len(away) - 1} shorter stretch(es)" if len(away) > 1 else ""
    hours = longest.rows * width_ms // HOUR_MS
    return [f"prices x{longest.factor:.3g} for {hours} h{more} left out"]


def unconfirmed_flags(price: NDArray[np.float64], width_ms: int) -> list[str]:
    """Return whether the last closes may yet come back from where they went."""
    one = unconfirmed(price[-SHARP_BARS - SCALE_DAYS * DAY_MS // HOUR_MS :], width_ms)
    if one is None:
        return []
    factor = max(one.factor, 1.0 / one.factor)
    if one.rows == 1:
        return [f"last bar moved by a factor of {factor:.2g}, not confirmed"]
    return [f"price moved by a factor of {factor:.2g} {one.rows} bars ago, not confirmed"]


def _check_scale(instrument: Instrument, stamps: NDArray[np.int64]) -> None:
    days = (int(stamps[-1]) - int(stamps[0])) / DAY_MS
    if days < LEAST_DAYS:
        raise EstimationError(
            f"expected at least {LEAST_DAYS} days of {instrument.id} on one scale of prices, was "
            f"{days:.1f} since {iso(int(stamps[0]))}; mend the units of its history"
        )


def recent_shift(bars: Bars) -> str:
    """Return how the price came to another scale in the last `SHIFT_DAYS` days; "" if it did not.

    A price a thousand times off would size every order: estimates of whole days see it too late.
    """
    first = -(SHIFT_DAYS * DAY_MS // bars.width_ms) - 1
    price, stamps = bars.close[first:], bars.close_ms[first:]
    good = ~bad_prints(price)
    price, stamps = price[good], stamps[good]
    level = scales(price)
    power = int(level[-1]) if len(level) else 0
    if not power:
        return ""
    since = iso(int(stamps[np.flatnonzero(level != power)[-1] + 1]))
    return f"its price is 1e{power:+d} times what it was before {since}, mend the units"


def _jump_flags(price: NDArray[np.float64], width_ms: int) -> list[str]:
    flags = []
    steps = np.diff(np.log(price[-(RECENT_DAYS * DAY_MS // width_ms) - 1 :]))
    squares = steps**2
    if squares.sum() > 0 and squares.max() > JUMP_SHARE * squares.sum():
        flags.append(f"one bar holds {squares.max() / squares.sum():.0%} of the last variance")
    if len(steps) > 1:
        pair = np.argsort(squares, kind="stable")[-2:]
        share = float(squares[pair].sum()) / max(float(squares.sum()), 1e-300)
        if steps[pair[0]] * steps[pair[1]] < 0.0 and share > JUMP_SHARE:
            flags.append(f"two opposite moves hold {share:.0%} of the last variance")
    return flags


def feed_flags(closes: Closes, traded: Bars) -> tuple[str, ...]:
    """Return whether the closes of the last 30 days stood still or nobody traded.

    Raises
    ------
    EstimationError
        When more than half of the closes repeat the one before, or nothing was traded.
    """
    recent = RECENT_DAYS * DAY_MS // closes.width_ms
    price, stamps = closes.price[-recent:], closes.close_ms[-recent:]
    still = float(np.mean(price[1:] == price[:-1]))
    if still > MOST_STUCK:
        raise EstimationError(
            f"expected prices of {closes.id} that move, was the close before again in {still:.0%} "
            f"of the bars of {RECENT_DAYS} days; fetch them anew or leave it out"
        )
    flags = []
    if runs := stuck(price):
        longest = max(runs, key=lambda run: run.rows)
        when = iso(int(stamps[longest.last]))
        flags.append(f"close unchanged for {longest.rows} bars up to {when}")
    volume = traded.volume[-(RECENT_DAYS * DAY_MS // traded.width_ms) :]
    if not volume.any():
        raise EstimationError(
            f"expected trades of {closes.id} in {RECENT_DAYS} days, was no volume; leave it out"
        )
    if quiet := sum(run.rows for run in idle(volume)):
        flags.append(f"no volume in {quiet} of {len(volume)} bars")
    return tuple(flags)


def check_funding(instrument: Instrument, settled: Settled) -> None:
    """Refuse settlements whose rates are for other hours, or in other units, than stated.

    Raises
    ------
    EstimationError
        When most of the last ten distances between stamps are not their intervals, or rates of
        the last 30 days are so large that they must be in percent.
    """
    last = slice(-LAST_SPACINGS - 1, None)
    hours, stated = np.diff(settled.ts_ms[last]) / HOUR_MS, settled.interval_h[last][1:]
    odd = np.abs(hours - stated) > SPACING_TOLERANCE_H
    if 2 * int(odd.sum()) > len(odd):
        k = int(np.flatnonzero(odd)[-1])
        raise EstimationError(
            f"expected funding of {instrument.id} settled every {stated[k]:g} h as stated, was "
            f"{hours[k]:.3g} h apart, {int(odd.sum())} of the last {len(odd)} time(s); mend "
            "interval_hours"
        )
    first = int(np.searchsorted(settled.ts_ms, settled.ts_ms[-1] - RECENT_DAYS * DAY_MS))
    if settled.interval_h[first:].sum() < LEAST_FUNDING_H:
        return
    usual = 8.0 * float(np.median(np.abs(settled.hourly[first:])))
    if usual > MOST_FUNDING:
        raise EstimationError(
            f"expected funding rates of {instrument.id} as fractions of notional, was {usual:.2%} "
            f"per 8 h in the median of {RECENT_DAYS} days; check their scale"
        )


def funding_flags(settled: Settled, as_of_ms: int) -> tuple[str, ...]:
    """Return what is odd about the settlements of the last 30 days: nothing is filled in."""
    first = int(np.searchsorted(settled.ts_ms, as_of_ms - RECENT_DAYS * DAY_MS))
    stamps, interval_h = settled.ts_ms[first:], settled.interval_h[first:]
    flags = []
    if len(stamps) > 1:
        spaced = spacing(stamps, interval_h)
        if lost := int(spaced.lost.sum()):
            flags.append(f"{lost} funding settlement(s) missing in {RECENT_DAYS} days")
        if odd := int(spaced.odd.sum()):
            k = int(np.flatnonzero(spaced.odd)[-1])
            flags.append(
                f"funding interval says {interval_h[k + 1]:g} h, stamps are "
                f"{spaced.hours[k]:.3g} h apart, {odd} time(s) in {RECENT_DAYS} days"
            )
    if not settled.rate[first:].any() and settled.rate[:first].any():
        flags.append(f"funding zero for {RECENT_DAYS} days and not before: its feed may be dead")
    age_h = (as_of_ms - int(settled.ts_ms[-1])) / HOUR_MS
    if age_h > float(settled.interval_h[-1]) + FUNDING_LATE_H:
        flags.append(f"last funding settled {age_h:.0f} h ago")
    return tuple(flags)
