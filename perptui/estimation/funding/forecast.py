"""Expected funding over a horizon, with its standard deviation (method §1.2).

`fit_funding` says what the settled history decides: it changes with a settlement. `forecast` adds
the open interval's rate and the time, and is cheap. Four members state the sum: the quoted rate
kept, EWMAs of settled rates with half-lives of 1 and 7 days, and the autoregression towards an
anchored level, on the premium behind the clamp where the rule shows itself. Their weights and the
deviation come from how such forecasts did (`funding_score`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import mul

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.fit import ANCHOR_SHARE, FundingFit, fit_funding
from perptui.estimation.funding.process import (
    LARGEST_PHI,
    LEAST_SD,
    sum_variance,
    sum_weight,
)
from perptui.estimation.funding.regime import HOURS_PER_YEAR, funding_caps, next_regime
from perptui.estimation.funding.rules import clamped_sum, coming_premium
from perptui.estimation.funding.score import MEMBERS
from perptui.estimation.funding.series import FEWEST_SETTLEMENTS, WINDOW_DAYS, Open, Settled
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import FundingForecast, FundingPart, FundingTerm

__all__ = [
    "FEWEST_SETTLEMENTS",
    "FundingEstimate",
    "FundingFit",
    "Open",
    "Settled",
    "fit_funding",
    "forecast",
    "forecast_funding",
    "settlements_ahead",
]

FloatArray = NDArray[np.float64]

TERMS = (("1d", 24.0), ("7d", 168.0), ("30d", 720.0))


@dataclass(frozen=True, slots=True)
class FundingEstimate:
    """The forecast record, and the variance of E[F] that comes from its parameters and members.

    `reasons` says in words why a cap comes down.
    """

    forecast: FundingForecast
    parameter_variance: float
    flags: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The coming settlements: rates per interval of `interval_h` hours, variance per interval.

    `passed` is the share of the open interval that is over; `clamped` the autoregression's sums
    of the first 0, 1, ... rates where the premium is followed.
    """

    rate: float
    interval_h: float
    passed: float
    phi: float
    shock: float
    day: float
    week: float
    clamped: FloatArray | None


def settlements_ahead(now_ms: int, horizon_days: float, opened: Open) -> int:
    """Return how many settlements fall into (now, now + H] at the present interval."""
    end_ms = now_ms + round(horizon_days * DAY_MS)
    if opened.next_ms > end_ms:
        return 0
    return 1 + int((end_ms - opened.next_ms) // round(opened.interval_h * HOUR_MS))


def forecast_funding(
    settled: Settled, opened: Open | None, now_ms: int, horizon_days: float
) -> FundingEstimate:
    """Return the funding forecast of one contract over (now, now + H]: `fit_funding`, `forecast`.

    Settlements after `now_ms` are not looked at.

    Raises
    ------
    EstimationError
        As `fit_funding` and `forecast` do.
    """
    k = int(np.searchsorted(settled.ts_ms, now_ms, side="right"))
    known = Settled(settled.ts_ms[:k], settled.rate[:k], settled.interval_h[:k])
    return forecast(fit_funding(known), opened, now_ms, horizon_days)


def forecast(
    fit: FundingFit, opened: Open | None, now_ms: int, horizon_days: float
) -> FundingEstimate:
    """Return the forecast over (now, now + H] from a fit and the open interval's rate.

    The shown rate is an average so far: it counts by the share of its interval that has passed.
    Without one, or with one that was not observed in the open interval, the last settled rate
    stands in and counts for nothing beyond that.

    Raises
    ------
    EstimationError
        When the last settlement is over 90 days old or after `now_ms`, or the shown rate or its
        interval is no number.
    """
    _check_time(fit, opened, now_ms)
    flags = (*fit.flags, *_open_flags(fit, opened, now_ms))
    shown = opened or _implied(fit, now_ms)
    h = shown.interval_h
    counts = {name: settlements_ahead(now_ms, hours / 24.0, shown) for name, hours in TERMS}
    n = settlements_ahead(now_ms, horizon_days, shown)
    ahead = _ahead(fit, opened, shown, now_ms, max(n, *counts.values(), 1))
    sums = _sums(fit, ahead, {n, 1, *counts.values()})
    mean, sd, members, weight = sums[n]
    to_next = float(max(shown.next_ms - now_ms, 0)) / HOUR_MS
    term = [FundingTerm("next", to_next, *sums[1][:2])]
    term += [FundingTerm(name, hours, *sums[counts[name]][:2]) for name, hours in TERMS]
    share = min(1.0, ahead.passed * h / 24.0)
    today = (1.0 - share) * fit.means[0] + share * shown.rate / h
    regime = next_regime(fit.regime, today * HOURS_PER_YEAR).label
    caps = funding_caps(mean, sd, horizon_days, regime)
    record = FundingForecast(
        rate=shown.rate,
        interval_h=h,
        apr=shown.rate * HOURS_PER_YEAR / h,
        horizon_mean=mean,
        horizon_sd=sd,
        mean_1d=fit.means[0] * h,
        mean_7d=fit.means[1] * h,
        mean_30d=fit.means[2] * h,
        z=(shown.rate / h - fit.window_mean) / fit.window_sd if fit.window_sd > LEAST_SD else None,
        trend=fit.trend,
        horizon_z=mean / sd if sd > 0.0 else None,
        term=tuple(term),
        parts=tuple(
            FundingPart(name, share, part)
            for name, share, part in zip(MEMBERS, weight, members, strict=True)
        ),
        regime=regime,
        halflife_h=math.log(2.0) / fit.kappa if math.isfinite(fit.kappa) else None,
        anchor_apr=fit.theta * HOURS_PER_YEAR,
        long_cap=caps.long,
        short_cap=caps.short,
    )
    uncertain = _parameter_variance(fit, ahead, n, mean, members, weight)
    return FundingEstimate(record, uncertain, flags, caps.words)


def _check_time(fit: FundingFit, opened: Open | None, now_ms: int) -> None:
    if now_ms < fit.last_ms:
        raise EstimationError(
            f"expected settlements up to {now_ms}, was one at {fit.last_ms}; cut the history there"
        )
    if now_ms - fit.last_ms > WINDOW_DAYS * DAY_MS:
        raise EstimationError(
            f"expected at least {FEWEST_SETTLEMENTS} funding settlements in {WINDOW_DAYS} days, "
            "was 0; fetch funding history"
        )
    if opened is not None and not (math.isfinite(opened.rate) and opened.interval_h > 0.0):
        raise EstimationError(
            f"expected a finite rate and a positive interval, was {opened.rate} for "
            f"{opened.interval_h} h; take another snapshot"
        )


def _open_flags(fit: FundingFit, opened: Open | None, now_ms: int) -> tuple[str, ...]:
    flags = []
    age_h = (now_ms - fit.last_ms) / HOUR_MS
    if age_h > 3 * fit.interval_h:
        flags.append(f"last funding settled {age_h:.0f} h ago")
    if opened is not None and opened.interval_h != fit.interval_h:
        flags.append(
            f"funding interval changed from {fit.interval_h:g} h to {opened.interval_h:g} h"
        )
    return tuple(flags)


def _implied(fit: FundingFit, now_ms: int) -> Open:
    length = round(fit.interval_h * HOUR_MS)
    passed = (now_ms - fit.last_ms) // length
    return Open(fit.last * fit.interval_h, fit.last_ms + (passed + 1) * length, fit.interval_h)


def _ahead(fit: FundingFit, opened: Open | None, shown: Open, now_ms: int, longest: int) -> _Ahead:
    h = shown.interval_h
    passed = 0.0
    if opened is not None and opened.observed:
        passed = min(max(1.0 - float(shown.next_ms - now_ms) / (h * HOUR_MS), 0.0), 1.0)
    phi = min(math.exp(-fit.kappa * h), LARGEST_PHI)
    now, fast, slow = shown.rate / h, *(2.0 ** (-passed * h / 24.0 / d) for d in (1.0, 7.0))
    clamped = None
    if fit.premium is not None:
        quoted = now if opened is not None and opened.observed else None
        first, variance = coming_premium(fit.premium, quoted, passed, h)
        clamped = clamped_sum(fit.premium, first, variance, h, longest, fit.cap)
    return _Ahead(
        rate=shown.rate,
        interval_h=h,
        passed=passed,
        phi=phi,
        shock=fit.stationary * (1.0 - phi**2) * h**2,
        day=(fast * fit.day + (1.0 - fast) * now) * h,
        week=(slow * fit.week + (1.0 - slow) * now) * h,
        clamped=clamped,
    )


def _sums(
    fit: FundingFit, ahead: _Ahead, counts: set[int]
) -> dict[int, tuple[float, float, tuple[float, ...], tuple[float, ...]]]:
    """Return by n: mean and sd of the sum of the next n rates, the members' means and weights.

    The variance is that of the process given the share of the open rate that is known, and that
    of the members around their mean, times the squared scale that past errors ask for.
    """
    h, phi, rest = ahead.interval_h, ahead.phi, 1.0 - ahead.passed
    members_of = _members(fit, ahead)
    found = {}
    for n in counts:
        weight, scale = fit.verdict.at(max(n, 1) * h)
        if n == 0:
            found[n] = 0.0, 0.0, (0.0,) * len(MEMBERS), weight
            continue
        reach = sum_weight(phi, n)
        members = members_of(n, reach)
        mean = sum(map(mul, weight, members))
        between = sum([w * (m - mean) ** 2 for w, m in zip(weight, members, strict=True)])
        own = sum_variance(ahead.shock, phi, n - 1) + (rest * reach) ** 2 * ahead.shock
        found[n] = mean, scale * math.sqrt(own + between), members, weight
    return found


def _members(fit: FundingFit, ahead: _Ahead) -> Callable[[int, float], tuple[float, ...]]:
    """Return what says, of n and (1-phi^n)/(1-phi), each of `MEMBERS`' sum of the next n rates.

    Inside the cap. What does not depend on n is worked out once.
    """
    h, passed, phi = ahead.interval_h, ahead.passed, ahead.phi
    known, rest = passed * ahead.rate, 1.0 - passed
    level, cap, clamped = fit.theta * h, fit.cap, ahead.clamped
    kept = known + rest * fit.last * h
    start = known + rest * (level + phi * (fit.last - fit.theta) * h) - level
    day, week = ahead.day, ahead.week

    def members(n: int, reach: float) -> tuple[float, ...]:
        if clamped is None:
            regress = n * level + start * reach
        else:
            coming = float(clamped[1])
            regress = known + rest * coming + float(clamped[n]) - coming
        most, coming_n = n * cap, n - passed
        sums = (n * kept, known + coming_n * day, known + coming_n * week, regress)
        if max(sums) <= most and min(sums) >= -most:
            return sums
        return tuple([min(max(value, -most), most) for value in sums])

    return members


def _parameter_variance(
    fit: FundingFit,
    ahead: _Ahead,
    n: int,
    mean: float,
    members: tuple[float, ...],
    weight: tuple[float, ...],
) -> float:
    """Return Var of E[F]: theta and phi by the delta method, and the members' disagreement.

    The autoregression's part counts by the square of its weight.
    """
    if n == 0:
        return 0.0
    phi, h = ahead.phi, ahead.interval_h
    of_theta = (1.0 - ANCHOR_SHARE) ** 2 * ahead.shock / (1.0 - phi) ** 2 / max(fit.level_count, 1)
    by_theta = n - sum_weight(phi, n)
    slope = (sum_weight(phi, n) - n * phi ** (n - 1)) / (1.0 - phi)
    by_phi = (fit.last - fit.theta) * h * slope
    own = by_theta**2 * of_theta + by_phi**2 * (1.0 - phi**2) / max(fit.pairs, 1)
    between = math.fsum(w * (m - mean) ** 2 for w, m in zip(weight, members, strict=True))
    return weight[-1] ** 2 * own + between
