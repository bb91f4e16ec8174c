"""GARCH walked forward: refits at fixed dates, the filter on every day, no look ahead.

Fits are made on **UTC days** at epochs of absolute time (every so many days since 1970), so that a
live process refits once an epoch and not once an hour; the filter then runs on the panel's own
days, 24 hours that end at this time of the clock. An epoch's fit uses only days that ended before
it, in a window of whole steps of the epoch where there are enough: the window does not slide with
the panel's start, and the fit can be kept. What is kept is keyed by the returns themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from perptui.estimation.panel import IntArray, Panel
from perptui.estimation.recursion import BoolArray, FloatArray, divided, ewma
from perptui.estimation.variance.garch import (
    BAND,
    BAND_HALFLIFE_DAYS,
    LEAST_DAYS,
    GarchFit,
    Specification,
    band_words,
    fit_garch,
)
from perptui.estimation.variance.garch_path import mean_variance_ahead, variance_paths
from perptui.model.clock import DAY_MS, HOUR_MS

REFIT_DAYS = 90
WINDOW_DAYS = 1440
KEPT_FITS = 16_384
"""A few hundred bytes each: three years of 500 contracts have as many."""
HOURS = 24


@dataclass(frozen=True, slots=True)
class GarchForecasts:
    """Forecasts of N contracts, made at the end of each of D days.

    Attributes
    ----------
    variance : (D, N) array
        Mean daily variance of the next H days; NaN where the model does not speak and EWMA must.
    reasons : (N,) tuple of str
        Why it does not speak on the last day, as "garch: 312 of 500 days"; "" where it does.
    fits : (N,) tuple of GarchFit
        Those in force on the last day, rejected ones too.
    """

    variance: FloatArray
    reasons: tuple[str, ...]
    fits: tuple[GarchFit, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One contract between two epochs: rows [first, last) speak from `fit`, filtered from start."""

    column: int
    start: int
    first: int
    last: int
    fit: GarchFit


def walk_forward_garch(
    panel: Panel,
    horizon: int,
    specification: Specification,
    *,
    refit_days: int = REFIT_DAYS,
    window_days: int = WINDOW_DAYS,
) -> GarchForecasts:
    """Return what `specification` forecast on each day of the panel, from what was known by then.

    Parameters
    ----------
    panel : Panel
        At least 500 days for anything to be said.
    horizon : int
        H, 1..30 days.
    specification : Specification
    refit_days : int
        Between epochs, counted from 1970-01-01.
    window_days : int
        Most days of a fit.

    Raises
    ------
    EstimationError
        When the horizon is outside 1..30, or the model is none of ours.
    """
    stretches, current = _stretches(panel, specification, refit_days, window_days)
    variance, ahead = np.full(panel.daily.shape, np.nan), np.full(panel.daily.shape, np.nan)
    for stretch, path in zip(stretches, _filtered(panel, stretches), strict=True):
        here = slice(stretch.first, stretch.last), stretch.column
        ahead[here] = path
        variance[here] = mean_variance_ahead(stretch.fit, path, horizon)
    level = ewma(panel.daily**2, BAND_HALFLIFE_DAYS)
    ratio = divided(ahead, level, level > 0)
    spoken = np.isfinite(panel.daily) & (ratio >= BAND[0]) & (ratio <= BAND[1])
    reasons = tuple(
        _reason(fit, float(panel.daily[-1, k]), float(ahead[-1, k]), float(level[-1, k]))
        for k, fit in enumerate(current)
    )
    return GarchForecasts(np.where(spoken, variance, np.nan), reasons, current)


def _stretches(
    panel: Panel, specification: Specification, refit_days: int, window_days: int
) -> tuple[list[_Stretch], tuple[GarchFit, ...]]:
    """Return the stretches with a usable fit, and the fits in force on the last day."""
    ends, returns = utc_daily_returns(panel)
    columns = [np.ascontiguousarray(column) for column in returns.T]
    listed = [int(np.argmax(np.append(np.isfinite(column), True))) for column in columns]
    row_day = (panel.end_ms - DAY_MS * np.arange(panel.days)[::-1]) // DAY_MS
    epochs = row_day // refit_days * refit_days
    stretches: list[_Stretch] = []
    current: list[GarchFit] = []
    for epoch in np.unique(epochs):
        first, last = (int(row) for row in np.searchsorted(epochs, (epoch, epoch + 1)))
        known = int(np.searchsorted(ends, epoch, side="right"))
        current = []
        for column, (series, start) in enumerate(zip(columns, listed, strict=True)):
            days = _window_days(known - start, refit_days, window_days)
            fit = kept_fit(series[known - days : known], specification)
            current.append(fit)
            if fit.usable:
                stretches.append(_Stretch(column, max(first - days, 0), first, last, fit))
    return stretches, tuple(current)


def _reason(fit: GarchFit, last: float, ahead: float, level: float) -> str:
    """Return why the fit does not speak after a `last` return; "" when it does."""
    if not fit.usable:
        return "; ".join(fit.reasons)
    words = band_words(ahead, level) if np.isfinite(last) else "no return on the last day"
    return f"{fit.specification.model}: {words}" if words else ""


def utc_daily_returns(panel: Panel) -> tuple[IntArray, FloatArray]:
    """Return the whole UTC days of the panel and their log returns.

    Returns
    -------
    ends : (U,) array of int
        The day number (since 1970-01-01) of the midnight at which each day ended.
    returns : (U, N) array
        NaN before a contract's first close and on a day on which its price never moved; the return
        after k such days is scaled to one day by 1/sqrt(k + 1), as in the panel's own days.
    """
    to_midnight = panel.end_ms % DAY_MS // HOUR_MS
    stop = len(panel.closing) - int(to_midnight)
    count = max(stop // HOURS, 0)
    # Of bars wider than an hour, what matters is the day that they closed on.
    hours = panel.closing[max(stop - count * HOURS, 0) : max(stop, 0)]
    hours = hours.reshape(count, HOURS, panel.closing.shape[1])
    # Hour after hour: the order of a sum, and so its last digit, must not depend on the shape.
    total = np.zeros((count, hours.shape[2]))
    for hour in range(HOURS):
        total = total + hours[:, hour]
    moved = np.isfinite(total) & (hours != 0.0).any(axis=1)
    returns = np.where(moved, total / np.sqrt(_days_since_moved(moved)), np.nan)
    last = panel.end_ms // DAY_MS
    return last - np.arange(count, dtype=np.int64)[::-1], returns


def _days_since_moved(moved: BoolArray) -> IntArray:
    """Return the days from the last row before each that moved to it, (U, N); 1 when none did."""
    row = np.arange(len(moved), dtype=np.int64)[:, None]
    latest = np.maximum.accumulate(np.where(moved, row, -1), axis=0)
    before = np.full(moved.shape, -1, dtype=np.int64)
    before[1:] = latest[:-1]
    since: IntArray = np.where(before >= 0, row - before, 1)
    return since


def _window_days(known: int, step: int, most: int) -> int:
    """Return how many of `known` days a fit uses: whole steps where they make at least 500 days."""
    known = min(max(known, 0), most)
    whole = known // step * step
    return whole if whole >= LEAST_DAYS else known


kept_fits: dict[tuple[bytes, Specification], GarchFit] = {}
"""By the digest of the returns that each was made of."""


def kept_fit(returns: FloatArray, specification: Specification) -> GarchFit:
    """Return the fit of `specification` to `returns` (T,), made once per content."""
    if len(returns) < LEAST_DAYS:
        return fit_garch(returns, specification)
    key = blake2b(returns.tobytes(), digest_size=16).digest(), specification
    if key not in kept_fits:
        while len(kept_fits) >= KEPT_FITS:
            del kept_fits[next(iter(kept_fits))]
        kept_fits[key] = fit_garch(returns, specification)
    return kept_fits[key]


def _filtered(panel: Panel, stretches: list[_Stretch]) -> list[FloatArray]:
    """Return tomorrow's variance on each row of each stretch, all filtered side by side."""
    if not stretches:
        return []
    length = max(one.last - one.start for one in stretches)
    rows = np.array([one.start for one in stretches]) + np.arange(length)[:, None]
    columns = np.array([one.column for one in stretches])
    returns = panel.daily[np.minimum(rows, panel.days - 1), columns]
    paths = variance_paths([one.fit for one in stretches], returns)
    return [
        paths[one.first - one.start + 1 : one.last - one.start + 1, k]
        for k, one in enumerate(stretches)
    ]
