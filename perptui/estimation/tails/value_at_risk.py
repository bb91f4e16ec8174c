"""The 95 % value at risk of a book by day, each from what was known then: filtered historical.

Hull & White (1998) on the book itself: its past daily returns at today's weights, funding
included, are divided by the deviation forecast before each of them; today's deviation times the
quantile of these is the value at risk. The deviation is fed by returns within the day, so that it
answers a crash on the same day; recent residuals weigh more (Boudoukh, Richardson & Whitelaw
1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.forecast import Settled
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import divided, ewma
from perptui.estimation.tails.sample import check_level
from perptui.model.clock import HOUR_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HALFLIVES_DAYS = (4.0, 40.0)
"""Of the two means of daily realised variances whose mean is the forecast. Chosen with the next
two on ten coins and two books to 2022-12, where the tick loss is flat around them: neighbours
(3, 30), (2, 30), 365 to 730 d, 125 d to none are within 1 %."""
WINDOW_DAYS = 500
RESIDUAL_HALFLIFE_DAYS = 250.0
BURN_IN_DAYS = 20
"""First days of a book, whose deviation is not yet one."""
LEAST_RESIDUALS = 60
_BLOCK = 64
LEAST_KNOWN = 0.5
"""Share of a book's gross that must be known on a past day for it to speak."""
LONGEST_INTERVAL_H = 8.0
LEAST_LISTED_DAYS = 30
"""Days of closes before a coin joins the equal-weight book."""

Quantiles = Callable[[FloatArray, FloatArray, float, int], FloatArray]
"""A method: from a book's daily returns and realised variances (D,), a level and the first day
wanted, the value at risk of the next day at the end of each day from there on."""


@dataclass(frozen=True, slots=True)
class ValueAtRiskPath:
    """By day (D,): `forecast` made at its end, `realised` the return of the day after it.

    `forecast` is a positive loss fraction, NaN with fewer than 60 residuals; `realised` is of the
    weights of that day and NaN on the last.
    """

    forecast: FloatArray
    realised: FloatArray


@dataclass(frozen=True, slots=True)
class SimpleReturns:
    """What N contracts returned to a long on D days: exp(r) - 1 - F, in simple returns.

    Attributes
    ----------
    daily : (D, N) array
        NaN where price or funding is not known.
    filled, steps : (D, N), (S, N) arrays
        By day and by step within it; a contract that is not known moves as the mean of the others.
    """

    daily: FloatArray
    filled: FloatArray
    steps: FloatArray


def simple_returns(hourly: FloatArray, funding: FloatArray, step_hours: int = 1) -> SimpleReturns:
    """Return the returns from which any book's value at risk is found.

    Parameters
    ----------
    hourly : (24·D, N) array
        Log returns by hour; NaN before a contract's first close.
    funding : (24·D, N) array
        Rates settled in each hour, 0 where none was, NaN where not known; f > 0: a long pays.
    step_hours : int
        Width of the returns within a day: that of the coarsest bar among the contracts.

    Raises
    ------
    EstimationError
        When shapes do not fit.
    """
    _check_hours(hourly, funding, step_hours)
    daily = _simple(hourly, funding, 24)
    return SimpleReturns(daily, _filled(daily), _filled(_simple(hourly, funding, step_hours)))


def var_paths(
    past: SimpleReturns,
    weights: FloatArray,
    levels: Sequence[float],
    method: Quantiles | None = None,
) -> tuple[ValueAtRiskPath, ...]:
    """Return what `book_var_path` does at each of `levels`, from returns that are at hand.

    Raises
    ------
    EstimationError
        When a weight is not finite, or a level is no probability.
    """
    for level in levels:
        check_level(level)
    days = len(past.daily)
    held = np.broadcast_to(weights, past.daily.shape)
    if not np.isfinite(held).all():
        raise EstimationError("expected finite weights, was a NaN; leave that contract out")
    realised = np.full(days, np.nan)
    realised[:-1] = _at_weights(past.daily[1:], held[:-1])
    forecasts = np.full((len(levels), days), np.nan)
    quantiles = method or filtered_quantiles
    changed = np.flatnonzero((np.diff(held, axis=0) != 0.0).any(axis=1)) + 1
    for begin, end in zip([0, *changed], [*changed, days], strict=True):
        if not held[begin].any():
            continue
        first = max(0, begin - WINDOW_DAYS - BURN_IN_DAYS)
        returns, variance = _book_days(past, held[begin], first, end)
        for forecast, level in zip(forecasts, levels, strict=True):
            forecast[begin:end] = quantiles(returns, variance, level, begin - first)
    return tuple(ValueAtRiskPath(forecast, realised) for forecast in forecasts)


def _book_days(
    past: SimpleReturns, weight: FloatArray, first: int, end: int
) -> tuple[FloatArray, FloatArray]:
    """Return a book's daily returns and realised variances of days `first` to `end`."""
    known = np.isfinite(past.daily[first:end])
    share = np.where(known, np.abs(weight), 0.0).sum(axis=1)
    usable = share >= LEAST_KNOWN * np.abs(weight).sum()
    a_day = len(past.steps) // len(past.daily)
    inside = _at_weights(past.steps[first * a_day : end * a_day], weight)
    variance = (inside.reshape(end - first, -1) ** 2).sum(axis=1)
    returns = _at_weights(past.filled[first:end], weight)
    return np.where(usable, returns, np.nan), np.where(usable, variance, np.nan)


def book_var_path(
    hourly: FloatArray,
    funding: FloatArray,
    weights: FloatArray,
    level: float = 0.95,
    step_hours: int = 1,
    method: Quantiles | None = None,
) -> ValueAtRiskPath:
    """Return the value at risk of the next day at the end of each, and what that day returned.

    Parameters
    ----------
    hourly, funding, step_hours
        As `simple_returns` takes them.
    weights : (D, N) or (N,) array
        Fractions of equity held from the end of each day to the end of the next; a contract
        without a close must have none.
    method : Quantiles, optional
        `filtered_quantiles` where none is given.

    Notes
    -----
    A day's return is the sum of w_i (exp(r_i) - 1 - F_i). On past days a contract held now that
    has no price or no funding moves as the mean of those that have: a neutral book stays neutral,
    and a new listing does not silence it. With less than half of the gross known, the day is left
    out. `realised` fills nothing in. Row t is the same whatever comes after t.

    Raises
    ------
    EstimationError
        When shapes do not fit, a weight is not finite, or the level is no probability.
    """
    past = simple_returns(hourly, funding, step_hours)
    return var_paths(past, weights, (level,), method)[0]


def filtered_quantiles(
    returns: FloatArray, variance: FloatArray, level: float, begin: int = 0
) -> FloatArray:
    """Return the value at risk of the next day at the end of each day from `begin` on.

    Parameters
    ----------
    returns, variance : (D,) array
        The book's daily returns and realised variances; NaN where not known.
    begin : int
        The first day wanted; earlier ones only lend their residuals.

    Notes
    -----
    The quantile joins the sorted residuals at the middle of their weights (Hyndman & Fan 5), which
    fall by half in `RESIDUAL_HALFLIFE_DAYS`.
    """
    forecast = np.mean([ewma(variance, halflife) for halflife in HALFLIVES_DAYS], axis=0)
    deviation = np.sqrt(forecast)
    mature = np.cumsum(np.isfinite(variance)) > BURN_IN_DAYS
    residual = np.full(len(returns), np.nan)
    residual[1:] = divided(returns[1:], deviation[:-1], mature[:-1] & (deviation[:-1] > 0))
    quantiles = trailing_quantiles(residual, 1.0 - level, begin)
    value_at_risk: FloatArray = -deviation[begin:] * quantiles
    return value_at_risk


def trailing_quantiles(residual: FloatArray, probability: float, begin: int = 0) -> FloatArray:
    """Return the weighted quantile of the last 500 of `residual` (D,) at each day from `begin` on.

    Days are taken by 64: what is sorted for them is only what can lie in the lower tail of one of
    their windows. NaN with fewer than 60 residuals.
    """
    padded = np.concatenate([np.full(WINDOW_DAYS - 1, np.nan), residual])
    blocks = [
        _block_quantiles(
            padded[first : min(first + _BLOCK, len(residual)) + WINDOW_DAYS - 1], probability
        )
        for first in range(begin, len(residual), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.empty(0)


def _block_quantiles(residual: FloatArray, probability: float) -> FloatArray:
    """Return the quantile of each window of 500 in `residual`, (len - 499,)."""
    days = len(residual) - WINDOW_DAYS + 1
    known = np.isfinite(residual)
    # What fades from one day to the next is common to a window, and cancels.
    fading = np.where(known, 2.0 ** (np.arange(len(residual)) / RESIDUAL_HALFLIFE_DAYS), 0.0)
    wanted = probability * _windows(fading).sum(axis=1)
    # A window's tail holds at most probability/least weight of its days; those of the block that
    # lie outside of the window may rank before them.
    least = 2.0 ** (-WINDOW_DAYS / RESIDUAL_HALFLIFE_DAYS)
    most = min(len(residual), math.ceil(probability / least * WINDOW_DAYS) + days)
    lowest = np.argsort(np.where(known, residual, np.inf), kind="stable")[:most]
    value, first = residual[lowest], np.arange(days)[:, None]
    inside = (lowest >= first) & (lowest < first + WINDOW_DAYS) & known[lowest]
    weight = np.where(inside, fading[lowest], 0.0)
    middle = np.cumsum(weight, axis=1) - 0.5 * weight
    above, below = inside & (middle >= wanted[:, None]), inside & (middle < wanted[:, None])
    row = np.arange(days)
    right = above.argmax(axis=1)
    left = np.where(below.any(axis=1), most - 1 - below[:, ::-1].argmax(axis=1), right)
    span = middle[row, right] - middle[row, left]
    share = divided(wanted - middle[row, left], span, span > 0.0, 0.0)
    quantile = value[left] + share * (value[right] - value[left])
    enough = (_windows(known).sum(axis=1) >= LEAST_RESIDUALS) & above.any(axis=1)
    return np.where(enough, quantile, np.nan)


def _windows(x: NDArray[Any]) -> NDArray[Any]:
    return np.lib.stride_tricks.sliding_window_view(x, WINDOW_DAYS)


def equal_weights(panel: Panel) -> FloatArray:
    """Return one equal part of each coin by day, (D, N), split among the coin's contracts.

    A contract counts from its 30th day of closes on; the parts sum to 1 where one does.
    """
    listed = np.cumsum(np.isfinite(panel.daily), axis=0) >= LEAST_LISTED_DAYS
    names, owner = panel.by_coin()
    belongs = np.equal.outer(owner, np.arange(len(names))).astype(np.float64)
    contracts = listed.astype(np.float64) @ belongs
    coins = (contracts > 0).sum(axis=1, keepdims=True)
    shared = contracts[:, owner] * coins
    return divided(listed.astype(np.float64), shared, listed & (shared > 0), 0.0)


def funding_by_hour(settled: Settled, end_ms: int, days: int) -> FloatArray:
    """Return the rates settled in each of the hours before `end_ms` (24·days,), 0 where none was.

    A settlement belongs to the hour that its stamp ends. An hour is NaN when the last settlement
    by its end is older than its own interval and than 8 h, the longest there is: a missing rate
    is missing. Whatever settles later, an hour stays as it is.
    """
    hours = 24 * days
    stamps = settled.ts_ms[settled.ts_ms <= end_ms]
    if not len(stamps):
        return np.full(hours, np.nan)
    past = hours - 1 - (end_ms - stamps) // HOUR_MS
    inside = past >= 0
    weights = settled.rate[: len(stamps)][inside]
    rates = np.bincount(past[inside], weights=weights, minlength=hours).astype(np.float64)
    ends = end_ms - HOUR_MS * np.arange(hours - 1, -1, -1, dtype=np.int64)
    index = np.searchsorted(stamps, ends, side="right") - 1
    latest = np.maximum(index, 0)
    age_h = (ends - stamps[latest]) / HOUR_MS
    known = (index >= 0) & (age_h <= np.maximum(settled.interval_h[latest], LONGEST_INTERVAL_H))
    by_hour: FloatArray = np.where(known, rates, np.nan)
    return by_hour


def _simple(hourly: FloatArray, funding: FloatArray, hours: int) -> FloatArray:
    """Return exp(r) - 1 - F over spans of `hours`, (T/hours, N)."""
    shape = (-1, hours, hourly.shape[1])
    moved: FloatArray = np.expm1(hourly.reshape(shape).sum(axis=1))
    paid: FloatArray = funding.reshape(shape).sum(axis=1)
    return moved - paid


def _filled(returns: FloatArray) -> FloatArray:
    """Return rows whose unknown contracts move as the mean of those known."""
    known = np.isfinite(returns)
    count = known.sum(axis=1, keepdims=True)
    mean = divided(np.where(known, returns, 0.0).sum(axis=1, keepdims=True), count, count > 0)
    return np.where(known, returns, mean)


def _at_weights(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Return sum of w_i r_i by row; NaN where a held contract is not known.

    Row by row, never as a matrix product: its rounding depends on how many rows there are.
    """
    total: FloatArray = np.where(weights != 0.0, weights * returns, 0.0).sum(axis=1)
    return total


def _check_hours(hourly: FloatArray, funding: FloatArray, step_hours: int) -> None:
    if len(hourly) % 24 or not len(hourly):
        raise EstimationError(
            f"expected whole days of hours, was {len(hourly)} hours; cut them to days"
        )
    if funding.shape != hourly.shape or np.isinf(funding).any():
        raise EstimationError(
            f"expected funding of shape {hourly.shape}, was {funding.shape}, or infinite; "
            "take funding_by_hour of each contract"
        )
    if step_hours < 1 or 24 % step_hours:
        raise EstimationError(
            f"expected a step that divides a day, was {step_hours} h; take the bar's width"
        )
