"""The venue's rule for the rate: clamp and cap, and the premium behind a clamped rate.

Binance-type rules set F = P + clamp(I - P, ±δ), δ = .05 % (method §1.2 d), which is
F - I = soft(P - I, δ): the rate stays at I while the premium P is within δ of it, and moves with P
beyond. For an interval of h hours both are divided by 8/h (method §15), so a rate by the hour
times 8 obeys the same rule at any interval. Here a premium is P - I, per 8 h, and a rate is by the
hour unless said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.process import LARGEST_PHI, corrected_phi
from perptui.estimation.funding.series import ATOM_WIDTH, Settled
from perptui.model.clock import HOUR_MS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

RULE_H = 8.0
"""The interval that the rule's figures are for."""
CLAMP = 5e-4
"""δ: .05 % per 8 h."""
CAP = 0.03
"""Largest rate of one settlement, either way, where the venue's own is not known: 3 %."""
SWEEPS = 3
BISECTIONS = 30
LONGEST = 400
"""Settlements, the last ones, that a premium is inferred from: 133 days at 8 h, 16 at 1 h."""


@dataclass(frozen=True, slots=True)
class Premium:
    """The premium's process, per 8 h less the interest: x' = level + phi_d (x - level) + shock.

    `last` and `last_variance` are its mean and variance at the last settlement given the rates;
    `kappa` by the hour; `stationary` its variance; `interest` by the hour.
    """

    level: float
    kappa: float
    stationary: float
    last: float
    last_variance: float
    interest: float


def density(x: FloatArray) -> FloatArray:
    """Return the standard normal density."""
    y: FloatArray = np.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))
    return y


def probability(x: FloatArray) -> FloatArray:
    """Return the standard normal distribution function, within 1e-7.

    Abramowitz and Stegun (1964) 26.2.17: numpy has no error function.
    """
    t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
    series = 1.781477937 + t * (-1.821255978 + t * 1.330274429)
    upper = density(x) * t * (0.319381530 + t * (-0.356563782 + t * series))
    y: FloatArray = np.where(x >= 0.0, 1.0 - upper, upper)
    return y


def premium_of(rate: FloatArray, interest: float, clamp: float = CLAMP) -> FloatArray:
    """Return the premium behind hourly rates off the interest; 0 where a rate is the interest."""
    off = np.where(np.abs(rate - interest) <= ATOM_WIDTH, 0.0, (rate - interest) * RULE_H)
    premium: FloatArray = off + clamp * np.sign(off)
    return premium


def rate_of(
    premium: FloatArray, interest: float, cap_hourly: float, clamp: float = CLAMP
) -> FloatArray:
    """Return the hourly rate that the rule makes of a premium: clamp, then cap."""
    off = np.sign(premium) * np.maximum(np.abs(premium) - clamp, 0.0)
    rate: FloatArray = np.clip(interest + off / RULE_H, -cap_hourly, cap_hourly)
    return rate


def clamped_mean(
    mean: FloatArray,
    deviation: FloatArray,
    interest: float,
    cap_hourly: float,
    clamp: float = CLAMP,
) -> FloatArray:
    """Return the mean hourly rate when the premium is normal, in closed form.

    The rate less the interest is, on each side, (x-δ)+ - (x-δ-c)+ with c the room up to the cap;
    E[x+] = m Φ(m/s) + s φ(m/s).
    """
    up = max(cap_hourly - interest, 0.0) * RULE_H
    down = max(cap_hourly + interest, 0.0) * RULE_H
    off = _beyond(mean, deviation, clamp)
    # Eight deviations inside the cap, it takes less away than a float can hold.
    if float(np.abs(mean).max() + 8.0 * deviation.max()) > clamp + min(up, down):
        off = off - _beyond(mean, deviation, clamp + up, clamp + down)
    rate: FloatArray = np.clip(interest + off / RULE_H, -cap_hourly, cap_hourly)
    return rate


def _beyond(
    mean: FloatArray, deviation: FloatArray, above: float, below: float | None = None
) -> FloatArray:
    """Return E(x - above)+ - E(-x - below)+ of normal x; `below` is `above` unless given."""
    past = np.array([mean - above, -mean - (above if below is None else below)])
    where = past / deviation
    parts = past * probability(where) + deviation * density(where)
    beyond: FloatArray = parts[0] - parts[1]
    return beyond


def infer_premium(settled: Settled, interest: float, level_rate: float, cap: float) -> Premium:
    """Return the premium's process from clamped rates.

    Where the rate is the interest, the premium is only known to be within δ of it (Tobin 1958).
    `SWEEPS` times in turn: the moments (level, lag-one correlation at the commonest distance,
    variance) from the premia; then, at each such rate, the mean and variance of a normal given its
    neighbours, truncated to ±δ. It is the EM algorithm with neighbours at their means. The level
    is last set so that the rule's mean rate under the stationary premium is `level_rate`: short
    runs come from the premium, the long run from the anchored level.

    Parameters
    ----------
    settled : Settled
        The series; its last `LONGEST` settlements are used.
    interest, level_rate : float
        By the hour.
    cap : float
        Of one settlement.
    """
    last = slice(max(0, len(settled.ts_ms) - LONGEST), None)
    rate, gap_h = settled.hourly[last], np.diff(settled.ts_ms[last]) / HOUR_MS
    common = float(np.bincount(gap_h.astype(np.int64)).argmax()) or 1.0
    within = np.abs(rate - interest) <= ATOM_WIDTH
    x, v = premium_of(rate, interest), np.zeros(len(rate))
    kappa = stationary = 0.0
    for _ in range(SWEEPS):
        kappa, stationary, level = _moments(x, v, gap_h, common)
        mean, variance = _bridge(x - level, np.exp(-kappa * gap_h), stationary)
        middle, spread = _truncated(mean[within] + level, np.sqrt(variance[within]))
        x[within], v[within] = middle, spread
    phi = math.exp(-kappa * common)
    phi = float(corrected_phi(np.array(phi), len(rate)))
    cap_hourly = cap / float(settled.interval_h[-1])
    level = _level_for(level_rate, math.sqrt(stationary), interest, cap_hourly)
    return Premium(level, -math.log(phi) / common, stationary, float(x[-1]), float(v[-1]), interest)


def _moments(
    x: FloatArray, v: FloatArray, gap_h: FloatArray, common: float
) -> tuple[float, float, float]:
    level = float(x.mean())
    y = x - level
    stationary = max(float(y @ y + v.sum()) / len(y), 1e-16)
    near = gap_h == common
    before, after = y[:-1][near], y[1:][near]
    squares = float(before @ before + v[:-1][near].sum())
    phi = float(before @ after) / squares if squares > 0.0 else 0.0
    return -math.log(min(max(phi, 0.01), LARGEST_PHI)) / common, stationary, level


def _bridge(y: FloatArray, phi: FloatArray, stationary: float) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of each deviation given its neighbours; the ends have one."""
    left, right = np.append(0.0, phi), np.append(phi, 0.0)
    rest_left, rest_right = 1.0 - left**2, 1.0 - right**2
    whole = 1.0 - (left * right) ** 2
    before, after = np.append(0.0, y[:-1]), np.append(y[1:], 0.0)
    mean = (left * rest_right * before + right * rest_left * after) / whole
    return mean, stationary * rest_left * rest_right / whole


def _truncated(
    mean: FloatArray, deviation: FloatArray, clamp: float = CLAMP
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of a normal truncated to ±clamp."""
    low, high = (-clamp - mean) / deviation, (clamp - mean) / deviation
    inside = np.maximum(probability(high) - probability(low), 1e-6)
    at_low, at_high = density(low), density(high)
    shift = (at_low - at_high) / inside
    variance = deviation**2 * (1.0 + (low * at_low - high * at_high) / inside - shift**2)
    return (
        np.clip(mean + deviation * shift, -clamp, clamp),
        np.clip(variance, 0.0, clamp**2 / 3.0),
    )


def _level_for(rate: float, deviation: float, interest: float, cap_hourly: float) -> float:
    """Return the premium's level whose mean rate is `rate`, by bisection."""
    low, high = -cap_hourly * RULE_H - CLAMP, cap_hourly * RULE_H + CLAMP
    aim = (rate - interest) * RULE_H
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        above, below = middle - CLAMP, -middle - CLAMP
        mean = _positive_mean(above, deviation) - _positive_mean(below, deviation)
        low, high = (middle, high) if mean < aim else (low, middle)
    return 0.5 * (low + high)


def _positive_mean(mean: float, deviation: float) -> float:
    """Return E[x+] of a normal x."""
    where = mean / deviation
    height = math.exp(-0.5 * where * where) / math.sqrt(2.0 * math.pi)
    return mean * 0.5 * math.erfc(-where / math.sqrt(2.0)) + deviation * height


def clamped_sum(
    premium: Premium, first: float, first_variance: float, interval_h: float, n: int, cap: float
) -> FloatArray:
    """Return the means of the first 0, 1, ... n sums of the coming rates, (n + 1,).

    Parameters
    ----------
    first, first_variance : float
        Mean and variance of the coming premium; the later ones follow its process.
    interval_h : float
        Between settlements; the sums are of rates per interval.
    cap : float
        Of one settlement.
    """
    phi = math.exp(-premium.kappa * interval_h)
    # Beyond, less than a thousandth of a deviation is left: the mean stands still.
    lasting = min(n, 1 + math.ceil(math.log(1e-3) / math.log(phi)) if phi > 0.0 else 1)
    faded: FloatArray = phi ** np.arange(lasting + 1, dtype=np.float64)
    faded[-1] = faded[-1] if lasting == n else 0.0
    mean = premium.level + faded * (first - premium.level)
    latent = premium.stationary * (1.0 - faded**2) + faded**2 * first_variance
    deviation = np.sqrt(np.maximum(latent, 1e-24))
    rate = clamped_mean(mean, deviation, premium.interest, cap / interval_h) * interval_h
    total = np.zeros(n + 1)
    total[1 : lasting + 1] = np.cumsum(rate[:lasting])
    total[lasting + 1 :] = total[lasting] + rate[-1] * np.arange(1, n - lasting + 1)
    return total


def coming_premium(
    premium: Premium, quoted: float | None, passed: float, interval_h: float
) -> tuple[float, float]:
    """Return mean and variance of the premium that the open interval will settle at.

    The shown rate (`quoted`, by the hour) is an average so far and counts by the share `passed`;
    the process's step from the last premium counts by the rest. A shown rate at the interest says
    only that its premium is within ±δ.
    """
    phi = math.exp(-premium.kappa * interval_h)
    step = premium.level + phi * (premium.last - premium.level)
    spread = premium.stationary * (1.0 - phi**2) + phi**2 * premium.last_variance
    if quoted is None:
        return step, spread
    rest = 1.0 - passed
    if abs(quoted - premium.interest) <= ATOM_WIDTH:
        middle, width = _truncated(np.array([step]), np.array([math.sqrt(spread)]))
        shown, shown_variance = float(middle[0]), float(width[0])
    else:
        shown, shown_variance = float(premium_of(np.array([quoted]), premium.interest)[0]), 0.0
    mean = passed * shown + rest * step
    return mean, passed**2 * shown_variance + rest**2 * spread
