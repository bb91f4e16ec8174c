"""Expected funding over a horizon, with its standard deviation (method §1.2).

Rates are worked with by the hour, so that a contract whose interval changed has one history. f > 0
means that a long pays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import ewma
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import FundingForecast

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

INTEREST_PER_HOUR = 1e-4 / 8.0
"""The interest term of Binance-type rules: 0.01 % per 8 h."""
ANCHOR_SHARE = 0.25
WINDOW_DAYS = 90
LEAST_SETTLEMENTS = 60
"""Fewer and persistence is not estimated: each rate is then taken for a fresh draw."""
FEWEST_SETTLEMENTS = 3
LARGEST_PHI = 0.98
SLOW_HALFLIFE_DAYS = 7.0
LEAST_JUDGED = 30
TREND_SETTLEMENTS = 24


@dataclass(frozen=True, slots=True)
class Settled:
    """Settled rates of one contract, rising in time; each (T,); `rate` for `interval_h` hours."""

    ts_ms: IntArray
    rate: FloatArray
    interval_h: FloatArray


@dataclass(frozen=True, slots=True)
class Open:
    """The open interval: the rate that the venue shows for it, its end, its length in hours."""

    rate: float
    next_ms: int
    interval_h: float


@dataclass(frozen=True, slots=True)
class Autoregression:
    """u_{k+1} = theta + phi (u_k - theta) + eta at one interval; rates per interval.

    `shock_variance` is Var(eta); `count` the pairs it was fitted on.
    """

    theta: float
    phi: float
    shock_variance: float
    count: int


@dataclass(frozen=True, slots=True)
class FundingEstimate:
    """The forecast record, and the variance of E[F] that comes from its parameters."""

    forecast: FundingForecast
    parameter_variance: float
    flags: tuple[str, ...]


def sum_weight(phi: float, n: float) -> float:
    """Return (1-phi^n)/(1-phi) = 1 + phi + ... + phi^(n-1); n at phi = 1."""
    return n if phi == 1.0 else (1.0 - phi**n) / (1.0 - phi)


def sum_mean(
    theta: float, phi: float, n: int, *, last: float | None = None, first: float | None = None
) -> float:
    """Return E of the sum of the next n rates of an AR(1).

    With the coming rate `first` known: n theta + (first-theta)(1-phi^n)/(1-phi); with the `last`
    settled one alone: n theta + (last-theta) phi (1-phi^n)/(1-phi).

    Raises
    ------
    ValueError
        Unless exactly one of `last` and `first` is given.
    """
    if (last is None) == (first is None):
        raise ValueError("expected one of last and first, was both or none; give one")
    start = phi * (last - theta) if first is None and last is not None else (first or 0.0) - theta
    return n * theta + start * sum_weight(phi, n)


def sum_variance(shock_variance: float, phi: float, n: int) -> float:
    """Return Var of the sum of the next n rates of an AR(1) given the last settled one.

    V(n) = s²/(1-phi)² · [n - 2 phi (1-phi^n)/(1-phi) + phi² (1-phi^{2n})/(1-phi²)], which is s²
    times the sum over k = 1..n of ((1-phi^k)/(1-phi))².
    """
    if n <= 0:
        return 0.0
    bracket = n - 2 * phi * sum_weight(phi, n) + phi**2 * sum_weight(phi**2, n)
    return shock_variance / (1.0 - phi) ** 2 * bracket


def corrected_phi(phi: float, count: int) -> float:
    """Return phi + (1+3 phi)/T, at most .98: Kendall's (1954) correction of the downward bias."""
    return min(phi + (1.0 + 3.0 * phi) / count, LARGEST_PHI)


def fit_autoregression(settled: Settled, interval_h: float) -> Autoregression:
    """Fit the AR(1) of hourly rates and carry it to the present interval.

    Pairs of the commonest distance d fit phi_d; another interval h gets phi_d^{h/d}, the
    Ornstein-Uhlenbeck process seen at that distance, with the same stationary variance. Without
    `LEAST_SETTLEMENTS` pairs, or with phi <= 0, phi is 0.
    """
    hourly = settled.rate / settled.interval_h
    mean = float(hourly.mean())
    theta = (1.0 - ANCHOR_SHARE) * mean + ANCHOR_SHARE * INTEREST_PER_HOUR
    stationary = float(np.var(hourly, ddof=1))
    gaps = np.diff(settled.ts_ms)
    distances, counts = np.unique(gaps, return_counts=True)
    distance = int(distances[np.argmax(counts)])
    pairs = gaps == distance
    count = int(pairs.sum())
    phi = 0.0
    if count >= LEAST_SETTLEMENTS and stationary > 0.0:
        fitted = _slope(hourly[:-1][pairs], hourly[1:][pairs])
        at_distance = max(corrected_phi(fitted, count), 0.0)
        phi = min(at_distance ** (interval_h * HOUR_MS / distance), LARGEST_PHI)
    shock = stationary * (1.0 - phi**2) * interval_h**2
    return Autoregression(theta * interval_h, phi, shock, count)


def _slope(before: FloatArray, after: FloatArray) -> float:
    centred = before - before.mean()
    spread = float(centred @ centred)
    return float(centred @ (after - after.mean())) / spread if spread > 0.0 else 0.0


def settlements_ahead(now_ms: int, horizon_days: float, opened: Open) -> int:
    """Return how many settlements fall into (now, now + H] at the present interval."""
    end_ms = now_ms + round(horizon_days * DAY_MS)
    if opened.next_ms > end_ms:
        return 0
    return 1 + int((end_ms - opened.next_ms) // round(opened.interval_h * HOUR_MS))


def nowcast(model: Autoregression, last: float, opened: Open, now_ms: int) -> tuple[float, float]:
    """Return the coming rate and the variance of its error.

    The shown rate is an average so far: it counts by the share of its interval that has passed,
    the AR(1)'s step from the last rate by the rest.
    """
    length = opened.interval_h * HOUR_MS
    passed = min(max(1.0 - (opened.next_ms - now_ms) / length, 0.0), 1.0)
    step = model.theta + model.phi * (last - model.theta)
    return passed * opened.rate + (1.0 - passed) * step, (1.0 - passed) ** 2 * model.shock_variance


def forecast_funding(
    settled: Settled, opened: Open | None, now_ms: int, horizon_days: float
) -> FundingEstimate:
    """Return the funding forecast of one contract over (now, now + H].

    E[F] is the AR(1)'s sum and the 7-day EWMA's, weighted by the inverse of their mean squared
    errors on the settlements so far; the standard deviation is the AR(1)'s, or that of these
    errors where it is larger.

    Raises
    ------
    EstimationError
        With fewer than three settlements in the last 90 days.
    """
    recent = _window(settled, now_ms)
    last_interval = float(recent.interval_h[-1])
    flags = _flags(recent, opened, now_ms)
    opened = opened or _implied(recent, now_ms)
    h = opened.interval_h
    model = fit_autoregression(recent, h)
    last = float(recent.rate[-1]) / last_interval * h
    first, first_variance = nowcast(model, last, opened, now_ms)
    n = settlements_ahead(now_ms, horizon_days, opened)
    by_model = _model_sum(model, first, first_variance, n)
    mean, variance = _judged_sum(recent, model, by_model, first, n, h)
    forecast = FundingForecast(
        rate=opened.rate,
        interval_h=h,
        apr=opened.rate * 8760.0 / h,
        horizon_mean=mean,
        horizon_sd=math.sqrt(variance),
        mean_7d=_mean_rate(recent, now_ms, 7) * h,
        mean_30d=_mean_rate(recent, now_ms, 30) * h,
        z=_standard_score(recent, opened.rate / h),
        trend=tuple(float(u) for u in (recent.rate / recent.interval_h)[-TREND_SETTLEMENTS:]),
    )
    return FundingEstimate(forecast, _parameter_variance(model, first, n), flags)


def _window(settled: Settled, now_ms: int) -> Settled:
    first = int(np.searchsorted(settled.ts_ms, now_ms - WINDOW_DAYS * DAY_MS))
    recent = Settled(settled.ts_ms[first:], settled.rate[first:], settled.interval_h[first:])
    if len(recent.ts_ms) < FEWEST_SETTLEMENTS:
        raise EstimationError(
            f"expected at least {FEWEST_SETTLEMENTS} funding settlements in {WINDOW_DAYS} days, "
            f"was {len(recent.ts_ms)}; fetch funding history"
        )
    return recent


def _implied(recent: Settled, now_ms: int) -> Open:
    interval = float(recent.interval_h[-1])
    length = round(interval * HOUR_MS)
    passed = max(0, now_ms - int(recent.ts_ms[-1])) // length
    return Open(float(recent.rate[-1]), int(recent.ts_ms[-1]) + (passed + 1) * length, interval)


def _flags(recent: Settled, opened: Open | None, now_ms: int) -> tuple[str, ...]:
    flags = []
    if len(recent.ts_ms) <= LEAST_SETTLEMENTS:
        flags.append(f"{len(recent.ts_ms)} funding settlements: persistence not estimated")
    age_h = (now_ms - int(recent.ts_ms[-1])) / HOUR_MS
    if age_h > 3 * float(recent.interval_h[-1]):
        flags.append(f"last funding settled {age_h:.0f} h ago")
    if opened is not None and opened.interval_h != float(recent.interval_h[-1]):
        flags.append(
            f"funding interval changed from {recent.interval_h[-1]:g} h to {opened.interval_h:g} h"
        )
    return tuple(flags)


def _model_sum(
    model: Autoregression, first: float, first_variance: float, n: int
) -> tuple[float, float]:
    """Return mean and variance of the AR(1)'s sum: n - 1 shocks, and the coming rate's error."""
    if n == 0:
        return 0.0, 0.0
    reach = sum_weight(model.phi, n)
    variance = sum_variance(model.shock_variance, model.phi, n - 1) + first_variance * reach**2
    return sum_mean(model.theta, model.phi, n, first=first), variance


def _judged_sum(
    recent: Settled,
    model: Autoregression,
    by_model: tuple[float, float],
    first: float,
    n: int,
    interval_h: float,
) -> tuple[float, float]:
    """Return mean and variance of the sum after both forecasts were held against the past.

    The means are weighted by the inverse of their mean squared errors; the variance is the
    AR(1)'s or, where that was larger, the mean squared error of the weighted forecasts: a level
    that moves is no part of an AR(1) with a fixed one. With too few to judge, the AR(1) alone.
    """
    rates = recent.rate / recent.interval_h * interval_h
    judged = len(rates) - n
    if n == 0 or judged < LEAST_JUDGED:
        return by_model
    level = ewma(rates, SLOW_HALFLIFE_DAYS * 24.0 / interval_h)
    total = np.concatenate([[0.0], np.cumsum(rates)])
    came = total[n + 1 :] - total[1:-n]
    missed_model = came - _past_sums(rates[:judged], model, n, float(rates.mean()))
    missed_level = came - n * level[:judged]
    errors = float(np.mean(missed_model**2)), float(np.mean(missed_level**2))
    share = errors[1] / sum(errors) if sum(errors) > 0.0 else 1.0
    by_level = first + (n - 1) * float(level[-1])
    missed = float(np.mean((share * missed_model + (1.0 - share) * missed_level) ** 2))
    return share * by_model[0] + (1.0 - share) * by_level, max(by_model[1], missed)


def _past_sums(rates: FloatArray, model: Autoregression, n: int, mean: float) -> FloatArray:
    """Return the AR(1)'s forecast of the next n rates after each, with the mean known then."""
    anchor = model.theta - (1.0 - ANCHOR_SHARE) * mean
    theta = (1.0 - ANCHOR_SHARE) * np.cumsum(rates) / np.arange(1, len(rates) + 1) + anchor
    sums: FloatArray = n * theta + (rates - theta) * model.phi * sum_weight(model.phi, n)
    return sums


def _mean_rate(recent: Settled, now_ms: int, days: int) -> float:
    """Return the mean hourly rate over the hours of settlements in the last `days`."""
    inside = recent.ts_ms > now_ms - days * DAY_MS
    if not inside.any():
        inside = recent.ts_ms == recent.ts_ms[-1]
    return float(recent.rate[inside].sum() / recent.interval_h[inside].sum())


def _standard_score(recent: Settled, hourly: float) -> float | None:
    """Return how many standard deviations the open rate stands off its 90-day mean."""
    past = recent.rate / recent.interval_h
    spread = float(past.std(ddof=1))
    return (hourly - float(past.mean())) / spread if spread > 1e-12 else None


def _parameter_variance(model: Autoregression, first: float, n: int) -> float:
    """Return Var of E[F] from theta and phi, by the delta method."""
    if n == 0:
        return 0.0
    phi, count = model.phi, max(model.count, 1)
    theta_variance = (1.0 - ANCHOR_SHARE) ** 2 * model.shock_variance / (1.0 - phi) ** 2 / count
    by_theta = n - sum_weight(phi, n)
    slope = (sum_weight(phi, n) - n * phi ** (n - 1)) / (1.0 - phi)
    by_phi = (first - model.theta) * slope
    return by_theta**2 * theta_variance + by_phi**2 * (1.0 - phi**2) / count
