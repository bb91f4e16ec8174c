"""Whether losses went beyond a value at risk as often, and as scattered, as it promises.

Returns are fractions of equity, a value at risk is a positive loss fraction, `tail` is the share
of days that may go beyond it: .05 for the 95 % VaR. A row with a NaN says nothing, and breaks the
chain from the day before to the day after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.court.significance import binomial_at_most, chi_squared_beyond
from perptui.estimation.losses import tick_loss

FloatArray = NDArray[np.float64]

LEAST_DAYS = 250
LEAST_EXPECTED = 5
"""Exceedances to be expected before a verdict: 500 days of the 99 % VaR. With 250 its Kupiec test
accepts 1 to 6, errs in 9.5 % and sees a doubled rate in 24 % (method §13)."""
QUANTILE_LAGS = 4
YELLOW, RED = 0.95, 0.9999


@dataclass(frozen=True, slots=True)
class Verdict:
    """A test's statistic and p-value; both None, with `text`, where it has no power."""

    statistic: float | None
    p_value: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """All that is said of one VaR on one book.

    `tick` is the mean quantile score, NaN without days; `light` green, yellow, red, or "" where
    there are too few days, which `text` then says.
    """

    observations: int
    exceedances: int
    expected: float
    kupiec: Verdict
    independence: Verdict
    conditional: Verdict
    dynamic_quantile: Verdict
    light: str
    tick: float
    text: str


def exceedances(returns: FloatArray, value_at_risk: FloatArray) -> FloatArray:
    """Return 1 where a loss was beyond the VaR, 0 where not, NaN where either is NaN; (T,)."""
    known = np.isfinite(returns) & np.isfinite(value_at_risk)
    hits: FloatArray = np.where(known, (returns < -value_at_risk).astype(np.float64), np.nan)
    return hits


def needed_days(tail: float) -> int:
    """Return how many days a verdict takes: 250, or what makes 5 expected exceedances."""
    return max(LEAST_DAYS, math.ceil(LEAST_EXPECTED / tail - 1e-9))


def _weak(hits: FloatArray, tail: float) -> str:
    days, needed = int(np.isfinite(hits).sum()), needed_days(tail)
    return "" if days >= needed else f"too few: {days} of {needed} days"


def _log_likelihood(failures: float, successes: float, probability: float) -> float:
    """Return failures·ln(1-p) + successes·ln(p) with 0·ln(0) = 0."""
    total = 0.0
    if failures > 0:
        total += failures * math.log1p(-probability)
    if successes > 0:
        total += successes * math.log(probability)
    return total


def kupiec_statistic(count: int, days: int, tail: float) -> float:
    """Return the likelihood ratio of `count` exceedances in `days` against the rate `tail`.

    -2 ln[(1-p)^{T-x} p^x] + 2 ln[(1-x/T)^{T-x} (x/T)^x] (Kupiec 1995), chi-squared with 1 degree;
    finite at x = 0 and x = T.
    """
    stated = _log_likelihood(days - count, count, tail)
    return 2.0 * max(_log_likelihood(days - count, count, count / days) - stated, 0.0)


def independence_statistic(hits: FloatArray) -> float:
    """Return Christoffersen's (1998) likelihood ratio of independence, chi-squared with 1 degree.

    A first-order Markov chain against one rate, over pairs of days that follow each other; 0 where
    there is no exceedance or nothing else. Few pairs of hits make it lumpy: of right 95 % VaRs it
    refuses 1.5, 3, 8 and 5 in 100 at 250, 500, 1000 and 2000 days with a critical value of 5 %.
    """
    before, after = hits[:-1], hits[1:]
    pair = np.isfinite(before) & np.isfinite(after)
    came = np.bincount((2 * before[pair] + after[pair]).astype(np.int64), minlength=4).astype(
        np.float64
    )
    quiet, hit = float(came[0] + came[2]), float(came[1] + came[3])
    if hit == 0 or quiet == 0:
        return 0.0
    chained = sum(
        _log_likelihood(float(no), float(yes), float(yes / (no + yes)))
        for no, yes in came.reshape(2, 2)
        if no + yes > 0
    )
    return 2.0 * max(chained - _log_likelihood(quiet, hit, hit / (quiet + hit)), 0.0)


def kupiec(hits: FloatArray, tail: float) -> Verdict:
    """Return the verdict on the number of exceedances `hits` (T,) of 0, 1 and NaN."""
    if text := _weak(hits, tail):
        return Verdict(None, None, text)
    statistic = kupiec_statistic(int(np.nansum(hits)), int(np.isfinite(hits).sum()), tail)
    return Verdict(statistic, chi_squared_beyond(statistic, 1))


def independence(hits: FloatArray, tail: float) -> Verdict:
    """Return the verdict on whether an exceedance makes another the next day likelier."""
    if text := _weak(hits, tail):
        return Verdict(None, None, text)
    statistic = independence_statistic(hits)
    return Verdict(statistic, chi_squared_beyond(statistic, 1))


def conditional_coverage(hits: FloatArray, tail: float) -> Verdict:
    """Return Christoffersen's (1998) joint verdict: the sum of both ratios, 2 degrees.

    The rate is judged on all days, the chain on days that follow each other.
    """
    if text := _weak(hits, tail):
        return Verdict(None, None, text)
    count, days = int(np.nansum(hits)), int(np.isfinite(hits).sum())
    statistic = kupiec_statistic(count, days, tail) + independence_statistic(hits)
    return Verdict(statistic, chi_squared_beyond(statistic, 2))


def dynamic_quantile(hits: FloatArray, value_at_risk: FloatArray, tail: float) -> Verdict:
    """Return Engle & Manganelli's (2004) verdict: hits are foretold by nothing known before.

    1[hit] - p on a constant, four lags of itself and the VaR; b'X'X b/(p(1-p)) is chi-squared with
    as many degrees as these columns have rank.
    """
    if text := _weak(hits, tail):
        return Verdict(None, None, text)
    off = hits - tail
    rows = len(off) - QUANTILE_LAGS
    lags = [off[QUANTILE_LAGS - j : len(off) - j] for j in range(1, QUANTILE_LAGS + 1)]
    design = np.column_stack([np.ones(rows), value_at_risk[QUANTILE_LAGS:], *lags])
    y = off[QUANTILE_LAGS:]
    used = np.isfinite(y) & np.isfinite(design).all(axis=1)
    design, y = design[used], y[used]
    if len(y) < LEAST_DAYS:
        return Verdict(None, None, f"too few: {len(y)} of {LEAST_DAYS} days without holes")
    scaled = design / np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-300)
    beta, _, rank, _ = np.linalg.lstsq(scaled, y, rcond=1e-10)
    fitted = scaled @ beta
    statistic = float(fitted @ fitted) / (tail * (1.0 - tail))
    return Verdict(statistic, chi_squared_beyond(statistic, int(rank)))


def traffic_zone(count: int, days: int, tail: float) -> str:
    """Return the Basel (1996) zone of `count` exceedances in `days`: green, yellow or red.

    Yellow begins where P(X <= count) of the binomial reaches 95 %, red where it reaches 99.99 %.
    """
    reached = binomial_at_most(count, days, tail)
    return "green" if reached < YELLOW else "yellow" if reached < RED else "red"


def judge_coverage(returns: FloatArray, value_at_risk: FloatArray, tail: float) -> Coverage:
    """Return every verdict on a VaR (T,) that was stated before the returns (T,) of its rows."""
    hits = exceedances(returns, value_at_risk)
    days, count = int(np.isfinite(hits).sum()), int(np.nansum(hits))
    weak = _weak(hits, tail)
    scores = tick_loss(returns, value_at_risk, tail)
    return Coverage(
        observations=days,
        exceedances=count,
        expected=tail * days,
        kupiec=kupiec(hits, tail),
        independence=independence(hits, tail),
        conditional=conditional_coverage(hits, tail),
        dynamic_quantile=dynamic_quantile(hits, value_at_risk, tail),
        light="" if weak else traffic_zone(count, days, tail),
        tick=float(np.nanmean(scores)) if days else float("nan"),
        text=weak,
    )
