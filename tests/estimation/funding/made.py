"""Series of funding that tests are made of."""

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.funding.series import Settled
from perptui.model.clock import HOUR_MS, parse_iso

NOW = parse_iso("2024-08-05T16:00Z")
THETA, PHI, SHOCK = 2.0e-4, 0.8, 5.0e-5
"""Of an AR(1) at 8 h: level, persistence, sd of a shock, per settlement."""


def series(rate: NDArray[np.float64], interval: int = 8, now_ms: int = NOW) -> Settled:
    """Rates settled every `interval` hours, the last at `now_ms`."""
    ts = now_ms - interval * HOUR_MS * np.arange(len(rate), dtype=np.int64)[::-1]
    return Settled(ts, np.asarray(rate, dtype=np.float64), np.full(len(rate), float(interval)))


def autoregressive(
    count: int, interval: int = 8, *, phi: float = PHI, seed: int = 3, now_ms: int = NOW
) -> Settled:
    """Rates of the AR(1) above, settled every `interval` hours."""
    rng = np.random.default_rng(seed)
    rate = np.empty(count)
    rate[0] = THETA
    for k in range(1, count):
        rate[k] = THETA + phi * (rate[k - 1] - THETA) + SHOCK * rng.standard_normal()
    return series(rate, interval, now_ms)


def mixed(hours: NDArray[np.int64], kappa: float, sd: float, seed: int) -> Settled:
    """An Ornstein-Uhlenbeck hourly rate around 1e-5, seen at the ends of intervals of `hours`."""
    rng = np.random.default_rng(seed)
    u = np.empty(len(hours))
    x = sd * rng.standard_normal()
    for k, d in enumerate(hours):
        phi = np.exp(-kappa * d)
        x = phi * x + sd * np.sqrt(1 - phi**2) * rng.standard_normal()
        u[k] = 1e-5 + x
    ts = NOW - HOUR_MS * (hours.sum() - np.cumsum(hours))
    return Settled(ts.astype(np.int64), u * hours, hours.astype(np.float64))
