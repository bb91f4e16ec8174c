"""Funding beside price: their covariance, a perp's total variance, shocks across contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.process import LARGEST_PHI, LEAST_SD
from perptui.estimation.funding.series import Settled
from perptui.estimation.recursion import decay, divided, lagged
from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

HALFLIFE_DAYS = 90.0
LEAST_DAYS = 30
"""Fewer days with both and a contract's slope is the pooled one."""
HIGHEST_CORRELATION = 0.95
WINSOR = 4.2
IDENTITY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class FundingSlope:
    """How funding follows price, (N,) each: change of a day's funding sum per unit of return.

    `own` is each contract's regression (NaN with too few days), `slope` after shrinkage to
    `pooled`; `days` how many stand behind it.
    """

    slope: FloatArray
    own: FloatArray
    pooled: float
    days: FloatArray


def daily_funding(settled: Sequence[Settled], end_ms: int, days: int) -> FloatArray:
    """Return funding sums of the `days` 24-h windows up to `end_ms`, (D, N).

    A window is (start, end] and NaN where its settlements do not cover its 24 hours.
    """
    sums = np.full((days, len(settled)), np.nan)
    for i, one in enumerate(settled):
        day = -((end_ms - one.ts_ms) // DAY_MS) + days - 1
        inside = (day >= 0) & (one.ts_ms <= end_ms)
        rate = np.bincount(day[inside], one.rate[inside], minlength=days)
        hours = np.bincount(day[inside], one.interval_h[inside], minlength=days)
        whole = np.abs(hours - 24.0) < 1e-6
        sums[whole, i] = rate[whole]
    return sums


def daily_persistence(daily: FloatArray) -> FloatArray:
    """Return what remains of a deviation of a day's funding after a day, (N,), 0 to .98.

    The AR(1) slope of daily sums (D, N) about their mean over days known with the day before
    them; 0 where there are fewer than `LEAST_DAYS` or the sums do not vary.
    """
    before = lagged(daily)
    joint = np.isfinite(before) & np.isfinite(daily)
    count = joint.sum(axis=0)
    mean = divided(np.where(joint, before, 0.0).sum(axis=0), count, count > 0, 0.0)
    x, y = (np.where(joint, each - mean, 0.0) for each in (before, daily))
    spread = (x * x).sum(axis=0)
    usable = (count >= LEAST_DAYS) & (spread > count * (24.0 * LEAST_SD) ** 2)
    slope = divided((x * y).sum(axis=0), spread, usable, 0.0)
    persistence: FloatArray = np.clip(slope, 0.0, LARGEST_PHI)
    return persistence


def funding_shocks(daily: FloatArray, phi: FloatArray) -> FloatArray:
    """Return F_t - phi F_{t-1} less its mean so far, (D, N): what did not carry over from a day.

    `daily` (D, N) from `daily_funding`; `phi` (N,) what remains of a deviation after a day.
    """
    change = np.full(daily.shape, np.nan)
    change[1:] = daily[1:] - phi * daily[:-1]
    seen = np.isfinite(change)
    filled = np.where(seen, change, 0.0)
    count = np.cumsum(seen, axis=0)
    return change - divided(np.cumsum(filled, axis=0), count, count > 0, 0.0)


def fit_funding_slope(shocks: FloatArray, returns: FloatArray) -> FundingSlope:
    """Regress funding shocks on the same day's price return; both (D, N) by day.

    Least squares through the origin with half-life 90 d. Each slope is a normal draw around the
    pooled one (precision-weighted), with the variance that the spread of slopes leaves beyond
    their standard errors; it is shrunk by its own standard error.

    Raises
    ------
    EstimationError
        When the shapes differ.
    """
    if shocks.shape != returns.shape:
        raise EstimationError(
            f"expected shocks and returns of one shape, was {shocks.shape} and {returns.shape}; "
            "build both from one panel"
        )
    both = np.isfinite(shocks) & np.isfinite(returns)
    age = np.arange(len(shocks))[::-1, None]
    w = np.where(both, decay(HALFLIFE_DAYS) ** age, 0.0)
    x, y = np.where(both, returns, 0.0), np.where(both, shocks, 0.0)
    xx, days = (w * x * x).sum(axis=0), both.sum(axis=0).astype(np.float64)
    usable = (days >= LEAST_DAYS) & (xx > 0.0)
    own = divided((w * x * y).sum(axis=0), xx, usable)
    rest = y - np.where(usable, own, 0.0) * x
    error = divided((w**2 * x**2 * rest**2).sum(axis=0), xx**2, usable)
    slope, pooled = _shrunk(own, error, usable)
    return FundingSlope(slope, own, pooled, days)


def _shrunk(
    own: FloatArray, error: FloatArray, usable: NDArray[np.bool_]
) -> tuple[FloatArray, float]:
    """Return slopes after shrinkage, and the pooled one; 0 where nothing can be regressed."""
    if not usable.any():
        return np.zeros(len(own)), 0.0
    b, e = own[usable], np.maximum(error[usable], 1e-18)
    between = max(0.0, float(np.var(b)) - float(e.mean()))
    weight = 1.0 / (between + e)
    pooled = float(weight @ b / weight.sum())
    slope = np.full(len(own), pooled)
    slope[usable] = (between * b + e * pooled) / (between + e)
    return slope, pooled


def price_funding_covariance(
    slope: FloatArray,
    phi: FloatArray,
    daily_variance: FloatArray,
    funding_variance: FloatArray,
    horizon_days: float,
) -> FloatArray:
    """Return Cov(r, F) over the horizon, (N,), with its sign.

    With F_t = m + phi F_{t-1} + b r_t + e_t by day, the return of a day moves the funding of that
    day by b and of the j-th after it by b phi^j, so over n days Cov = b s² sum over m = 1..n of
    (1-phi^m)/(1-phi). A horizon of broken days is interpolated; |correlation| is at most .95.

    Parameters
    ----------
    slope, phi : (N,) arrays
        Of `fit_funding_slope`; what remains of a funding shock after a day.
    daily_variance, funding_variance : (N,) arrays
        Of the price return per day; of F over the horizon.
    """
    whole = int(horizon_days)
    steps = np.arange(1, whole + 2)[:, None]
    reached = np.where(phi < 1.0, (1.0 - phi**steps) / np.where(phi < 1.0, 1.0 - phi, 1.0), steps)
    total = reached[:whole].sum(axis=0) + (horizon_days - whole) * reached[whole]
    bound = HIGHEST_CORRELATION * np.sqrt(horizon_days * daily_variance * funding_variance)
    covariance: FloatArray = np.clip(slope * daily_variance * total, -bound, bound)
    return covariance


def shock_correlation(shocks: FloatArray) -> FloatArray:
    """Return the correlation of funding shocks across contracts, (N, N), PSD, unit diagonal.

    Shocks (D, N) by their root mean square, clipped at 4.2, decayed with half-life 90 d; a hole
    counts as no shock, so a contract with holes correlates less; a tenth of the identity is mixed
    in. One without shocks correlates with none. A Gram matrix, rescaled: PSD by construction.
    """
    seen = np.isfinite(shocks)
    filled = np.where(seen, shocks, 0.0)
    count = seen.sum(axis=0)
    size = np.sqrt(divided((filled**2).sum(axis=0), count, count > 0, 0.0))
    z = np.clip(divided(filled, size[None, :], np.broadcast_to(size > 0, filled.shape), 0.0),
                -WINSOR, WINSOR)  # fmt: skip
    z = z * (decay(HALFLIFE_DAYS) ** (0.5 * np.arange(len(z))[::-1]))[:, None]
    gram = z.T @ z
    scale = np.sqrt(np.diag(gram))
    known = scale > 0
    unit = divided(gram, np.outer(scale, scale), np.outer(known, known), 0.0)
    unit = (1.0 - IDENTITY_SHARE) * 0.5 * (unit + unit.T)
    np.fill_diagonal(unit, 1.0)
    return unit
