"""What the settled history of one contract decides about its funding, at its last settlement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.process import (
    LARGEST_PHI,
    LEAST_SD,
    LEAST_SETTLEMENTS,
    Persistence,
    fit_persistence,
)
from perptui.estimation.funding.regime import HOURS_PER_YEAR, RegimeState, day_apr, last_regime
from perptui.estimation.funding.rules import CAP, CLAMP, Premium, infer_premium
from perptui.estimation.funding.score import JUDGED_DAYS, Levels, Verdict, judge, process_variance
from perptui.estimation.funding.series import (
    WINDOW_DAYS,
    Settled,
    Totals,
    checked,
    day_of,
    decayed_at,
    interest_of,
    known_by,
    missing_share,
    origins_before,
    since,
)
from perptui.estimation.recursion import divided
from perptui.model.clock import DAY_MS, HOUR_MS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ANCHOR_SHARE = 0.25
LEVEL_DAYS = 30
FAST_DAYS, SLOW_DAYS = 1.0, 7.0
REFIT_DAYS = 15
"""Past forecasts are made with the persistence of at most so many days before."""
TREND_SETTLEMENTS = 24
WIDEST_PREMIUM = 4.0
"""Largest deviation of a premium, in clamps, that is followed behind the clamp."""
GAP_SHARE = 0.1
JUMP_SHARE = 0.5
SHIFT_DAYS, SHIFT_SD = 7, 3.0


@dataclass(frozen=True, slots=True)
class FundingFit:
    """What the settled history of one contract says at its last settlement; rates by the hour.

    `theta` is the anchored level, `interest` the rule's, `kappa` the pull towards the level
    (infinite: none found), `stationary` the variance around it, `level_count` the settlements
    behind the level; `premium` is set where the rule's interest was seen; `cap` of a settlement.
    """

    last_ms: int
    last: float
    interval_h: float
    day: float
    week: float
    theta: float
    interest: float
    kappa: float
    stationary: float
    pairs: int
    level_count: int
    premium: Premium | None
    cap: float
    verdict: Verdict
    regime: RegimeState
    means: tuple[float, float, float]
    window_mean: float
    window_sd: float
    trend: tuple[float, ...]
    flags: tuple[str, ...]


def fit_funding(settled: Settled, *, interest: float | None = None, cap: float = CAP) -> FundingFit:
    """Return what the settled rates say, at the last of them.

    Parameters
    ----------
    settled : Settled
        All that is known; the last 270 days are used.
    interest : float, optional
        The rule's interest by the hour, which says that the rule is of the Binance type; None:
        the rate that comes again (then it is of that type), or .01 % per 8 h as an anchor alone.
    cap : float
        Largest rate of one settlement, either way.

    Raises
    ------
    EstimationError
        With fewer than three settlements in the last 90 days, or malformed ones.
    """
    used = checked(since(settled, _last(settled) - (JUDGED_DAYS + WINDOW_DAYS) * DAY_MS))
    recent = checked(since(used, int(used.ts_ms[-1]) - WINDOW_DAYS * DAY_MS))
    hourly = recent.hourly
    found, seen = interest_of(hourly) if interest is None else (interest, True)
    origins = origins_before(used, JUDGED_DAYS)
    process = _process(used, origins)
    levels = _levels(used, origins, process, found)
    theta, kappa = float(levels.theta[-1]), float(process.kappa[-1])
    spread = process_variance(process.stationary, levels.local)
    last = origins[-1:]
    means = Totals.of(recent).level(last, np.array([1, 7, 30]) * DAY_MS).tolist()
    clamps = seen and math.isfinite(kappa) and bool(np.ptp(hourly) > LEAST_SD)
    return FundingFit(
        last_ms=int(last[0]),
        last=float(hourly[-1]),
        interval_h=float(recent.interval_h[-1]),
        day=float(levels.day[-1]),
        week=float(levels.week[-1]),
        theta=theta,
        interest=found,
        kappa=kappa,
        stationary=float(spread[-1]) if float(spread[-1]) > LEAST_SD**2 else 0.0,
        pairs=int(process.count[-1]),
        level_count=len(recent.ts_ms) - int(known_by(recent, last - LEVEL_DAYS * DAY_MS)[0]),
        premium=_premium(recent, found, theta, cap) if clamps else None,
        cap=cap,
        verdict=judge(used, origins, levels, process),
        regime=last_regime(day_apr(recent)),
        means=(means[0], means[1], means[2]),
        window_mean=float(hourly.mean()),
        window_sd=float(hourly.std(ddof=1)),
        trend=tuple(float(u) for u in hourly[-TREND_SETTLEMENTS:]),
        flags=_series_flags(recent),
    )


def _premium(recent: Settled, interest: float, theta: float, cap: float) -> Premium | None:
    """Return the premium's process, or None where it moves so much that the clamp hardly counts.

    The rate then is the premium but for a few basis points, and a normal premium of the variance
    of a crash would put every rate beyond the clamp: the plain autoregression is the better one.
    """
    found = infer_premium(recent, interest, theta, cap)
    return found if found.stationary <= (WIDEST_PREMIUM * CLAMP) ** 2 else None


def _last(settled: Settled) -> int:
    return int(settled.ts_ms[-1]) if len(settled.ts_ms) else 0


def _process(used: Settled, origins: IntArray) -> Persistence:
    """Return the persistence known at each origin: fitted now and then, and at the last one."""
    chosen = np.append(np.arange(0, len(origins) - 1, REFIT_DAYS), len(origins) - 1)
    fitted = fit_persistence(used, origins[chosen], WINDOW_DAYS)
    of = np.searchsorted(chosen, np.arange(len(origins)), side="right") - 1
    return Persistence(fitted.kappa[of], fitted.stationary[of], fitted.count[of])


def _levels(used: Settled, origins: IntArray, process: Persistence, interest: float) -> Levels:
    """Return what the members need at each origin.

    The local variance is that of the process whose squared changes were as the recent ones
    (half-life 7 d): E(u' - u)² = 2 s² (1 - phi_d) at distance d.
    """
    at = known_by(used, origins) - 1
    hourly = used.hourly
    change, expected = np.zeros(len(hourly)), np.zeros(len(hourly))
    change[1:] = np.diff(hourly) ** 2
    gap_h = np.diff(used.ts_ms) * (1.0 / HOUR_MS)
    kappa = process.kappa[day_of(used, origins)[1:]]
    expected[1:] = 2.0 * (1.0 - np.minimum(np.exp(-kappa * gap_h), LARGEST_PHI))
    slow = decayed_at(used, origins, (used.rate, used.interval_h, change, expected), SLOW_DAYS)
    fast = decayed_at(used, origins, (used.rate, used.interval_h), FAST_DAYS)
    mean = Totals.of(used).level(origins, LEVEL_DAYS * DAY_MS)
    return Levels(
        last=hourly[at],
        interval_h=used.interval_h[at],
        day=divided(fast[:, 0], fast[:, 1], fast[:, 1] > 0),
        week=divided(slow[:, 0], slow[:, 1], slow[:, 1] > 0),
        theta=(1.0 - ANCHOR_SHARE) * mean + ANCHOR_SHARE * interest,
        local=divided(slow[:, 2], slow[:, 3], slow[:, 3] > 0, 0.0),
    )


def _series_flags(recent: Settled) -> tuple[str, ...]:
    """Return what is weak about the last 90 days, in words."""
    flags, hourly = [], recent.hourly
    if len(hourly) <= LEAST_SETTLEMENTS:
        flags.append(f"{len(hourly)} funding settlements: persistence not estimated")
    away = (hourly - hourly.mean()) ** 2
    if float(np.ptp(hourly)) <= LEAST_SD:
        flags.append(f"funding constant over {len(hourly)} settlements: its deviation is not known")
    elif away.max() > JUMP_SHARE * away.sum():
        flags.append(f"one settlement holds {away.max() / away.sum():.0%} of funding's variance")
    gap = missing_share(recent, LEVEL_DAYS)
    if gap > GAP_SHARE:
        flags.append(f"{gap:.0%} of the last {LEVEL_DAYS} days without settled funding")
    cut = int(known_by(recent, recent.ts_ms[-1:] - SHIFT_DAYS * DAY_MS)[0])
    if cut >= LEAST_SETTLEMENTS // 2:
        before, after = hourly[:cut], hourly[cut:]
        moved, sd = float(after.mean() - before.mean()), float(before.std(ddof=1))
        if abs(moved) > SHIFT_SD * sd + LEAST_SD:
            year = moved * HOURS_PER_YEAR
            flags.append(f"funding level moved by {year:+.0%} a year in {SHIFT_DAYS} days")
    return tuple(flags)
