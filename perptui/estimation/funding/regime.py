"""The regime of a contract's funding, and what it does to the coin's cap (method §5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.series import Settled, Totals
from perptui.model.clock import DAY_MS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

HOURS_PER_YEAR = 8760.0
NEGATIVE_APR, POSITIVE_APR, EXTREME_APR = -0.05, 0.15, 0.50
HYSTERESIS = 0.2
"""A regime is left this share of its threshold nearer to zero than it was entered."""
REGIMES = ("negative", "neutral", "positive", "extreme")
LEAST_CAP = {"negative": 0.5, "neutral": 0.75, "positive": 0.5, "extreme": 0.25}
"""How far a cap comes down at most for a side that pays, by regime; to a quarter also where the
rate is below minus the extreme threshold."""
LEAST_STEADY = 0.25
STEADY_APR = POSITIVE_APR - NEGATIVE_APR
"""The width of the neutral band: a horizon's deviation beyond it is unsteady funding."""


@dataclass(frozen=True, slots=True)
class RegimeState:
    """Which thresholds are passed: what a further rate is judged from."""

    negative: bool
    positive: bool
    extreme: bool

    @property
    def label(self) -> str:
        """The regime in a word."""
        if self.negative:
            return "negative"
        if self.extreme:
            return "extreme"
        return "positive" if self.positive else "neutral"


@dataclass(frozen=True, slots=True)
class FundingCaps:
    """Scales of the coin's cap in (0, 1] for a long and a short, and why, in words."""

    long: float
    short: float
    words: tuple[str, ...]


def day_apr(settled: Settled) -> FloatArray:
    """Return the mean rate over the day up to each settlement, annualised simply, (T,)."""
    return Totals.of(settled).level(settled.ts_ms, DAY_MS) * HOURS_PER_YEAR


def _held(on: BoolArray, off: BoolArray) -> BoolArray:
    """Return the state of a switch that `on` turns on, `off` turns off and else stays, (T,)."""
    decided = np.where(on | off, np.arange(len(on)), -1)
    latest = np.maximum.accumulate(decided)
    state: BoolArray = (latest >= 0) & on[np.maximum(latest, 0)]
    return state


def _switches(apr: FloatArray) -> tuple[BoolArray, BoolArray, BoolArray]:
    inner = 1.0 - HYSTERESIS
    return (
        _held(apr < NEGATIVE_APR, apr > inner * NEGATIVE_APR),
        _held(apr > POSITIVE_APR, apr < inner * POSITIVE_APR),
        _held(apr > EXTREME_APR, apr < inner * EXTREME_APR),
    )


def regime_path(apr: FloatArray) -> tuple[str, ...]:
    """Return the regime at each row of an annualised rate, (T,), from rows up to it.

    A threshold is passed beyond itself and left behind 80 % of it.
    """
    rows = zip(*(switch.tolist() for switch in _switches(apr)), strict=True)
    return tuple(RegimeState(*row).label for row in rows)


def last_regime(apr: FloatArray) -> RegimeState:
    """Return the state after the last row of an annualised rate, (T,), T > 0."""
    return RegimeState(*(bool(switch[-1]) for switch in _switches(apr)))


def next_regime(state: RegimeState, apr: float) -> RegimeState:
    """Return the regime after one more rate."""
    inner = 1.0 - HYSTERESIS
    return RegimeState(
        apr < NEGATIVE_APR or (state.negative and apr <= inner * NEGATIVE_APR),
        apr > POSITIVE_APR or (state.positive and apr >= inner * POSITIVE_APR),
        apr > EXTREME_APR or (state.extreme and apr >= inner * EXTREME_APR),
    )


def funding_caps(mean: float, sd: float, horizon_days: float, regime: str) -> FundingCaps:
    """Return how far funding brings the cap of each side down.

    The side that pays: with z = |mean|/sd of the sum over the horizon, max(floor, min(1, 1/z)):
    1 up to one deviation, then falling; the floor goes by the regime (`LEAST_CAP`). Both sides:
    min(1, 20 % / sd a year), at least a quarter: of two contracts with one carry the steadier keeps
    the larger cap, so that a rotation goes there. The two multiply, and a quarter is the least.

    Parameters
    ----------
    mean, sd : float
        Of the funding sum over the horizon, per unit of notional; a long pays a positive mean.
    regime : str
        One of `REGIMES`.
    """
    a_year = 365.0 / horizon_days
    steady = min(1.0, max(LEAST_STEADY, STEADY_APR / max(sd * a_year, STEADY_APR)))
    z = abs(mean) / sd if sd > 0.0 else (np.inf if mean else 0.0)
    floor = LEAST_CAP[regime] if mean * a_year > -EXTREME_APR else min(LEAST_CAP.values())
    paying = max(floor, 1.0 / z) if z > 1.0 else 1.0
    side = "long" if mean > 0.0 else "short"
    words = []
    if paying < 1.0:
        words.append(
            f"a {side} pays {abs(mean) * a_year:.0%} a year, {z:.1f} sd: its cap x{paying:.2f}"
        )
    if steady < 1.0:
        words.append(f"funding unsteady, ±{sd * a_year:.0%} a year: caps x{steady:.2f}")
    least = min(LEAST_CAP.values())
    pays, receives = max(least, paying * steady), max(least, steady)
    caps = (pays, receives) if mean > 0.0 else (receives, pays)
    return FundingCaps(caps[0], caps[1], tuple(words))
