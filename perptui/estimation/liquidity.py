"""What it costs to leave a position, and how much that cost varies (method §2, liquidity).

A one-way trade of a share p of a day's volume costs its half-spread and Y·sigma_day·sqrt(p). Both
move: with the book's width, and with the volume that is there on the day.

Bars do not tell the half-spread of a liquid perpetual. On hourly bars of five coins 2021-22 the
estimators below say 0 to 70 bp a month, with t-values below 2, where books were under a basis
point wide; so the level comes from the book, or is assumed, and bars are believed above it only
when they are sure. How wide a market is against its own usual state they do tell (Brauneis,
Mestel, Riordan and Theissen 2021, J. Banking & Finance 124): the variation is theirs, or better
that of the inverse depth where depth is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.model.clock import DAY_MS
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WINDOW_DAYS = 30
USUAL_PARTICIPATION = 1e-3
"""The usual trade, as a share of the median day's volume, where its size is not given."""
IMPACT = 1.0
"""Y of the square-root law: 1 until own fills say otherwise (method §12)."""
ASSUMED_HALF_SPREAD = 1e-4
"""Where no book was seen: 1 bp, or half a tick where that is more."""
ASSUMED_VARIATION = 1.0
"""sd over mean of a half-spread of which too few days are known; .4 to 1.1 in 2021-22."""
SURE_T = 3.0
"""t-value from which on bars are believed to show a half-spread."""
FEWEST_DAYS = 10
SPREAD_DEVIATIONS = 3.0
"""a of the exogenous liquidity cost, 2 to 4.5 (Bangia, Diebold, Schuermann and Stroughair 1999)."""


@dataclass(frozen=True, slots=True)
class Traded:
    """Bars of one contract, the last 30 days of it or fewer, and its book where that is known.

    Arrays are (T,) by bar, `volume` in the base coin, but `depth_usd` (K,): the mean of both
    sides within 1 % of the mid. `half_tick` is a fraction of the price.
    """

    id: str
    close_ms: IntArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    depth_usd: FloatArray
    half_tick: float


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Cost of leaving each of N contracts once, as fractions of the notional traded.

    Attributes
    ----------
    half_spread, half_spread_sd : (N,) array
        In use, and its standard deviation over days.
    participation : (N,) array
        Of the usual trade in the median day's volume.
    impact, impact_sd : (N,) array
        Y·sigma_day·sqrt(p): mean and standard deviation over days.
    depth_impact : (N,) array
        Mean cost of one dollar traded into the book, by the depth within 1 %: 0.5 %/depth a
        dollar. NaN where no depth is known.
    source : tuple of str
        Where each half-spread is from: book, bars or assumed.
    """

    half_spread: FloatArray
    half_spread_sd: FloatArray
    participation: FloatArray
    impact: FloatArray
    impact_sd: FloatArray
    depth_impact: FloatArray
    source: tuple[str, ...]

    @property
    def exit_cost(self) -> FloatArray:
        """Mean cost of leaving the usual trade (N,)."""
        return self.half_spread + self.impact

    @property
    def exit_variance(self) -> FloatArray:
        """s_liq² = Var(half-spread) + (Y·sigma_day)²·Var(sqrt(p)), (N,).

        It is of one exit, whatever the horizon, and belongs on Sigma's diagonal.
        """
        return self.half_spread_sd**2 + self.impact_sd**2


def estimate_liquidity(
    contracts: Sequence[Traded],
    half_spread: FloatArray,
    daily_variance: FloatArray,
    trade_usd: FloatArray | None = None,
) -> Liquidity:
    """Return the cost of leaving each contract.

    Parameters
    ----------
    contracts : sequence of N Traded
        Their recent bars.
    half_spread : (N,) array
        Of the books now, fraction of the mid; NaN where none was seen.
    daily_variance : (N,) array
        Forecast of a day's return variance.
    trade_usd : (N,) array, optional
        Size of the usual trade; `USUAL_PARTICIPATION` of the median day without it.

    Raises
    ------
    EstimationError
        When a contract had no volume on `WINDOW_DAYS` days.
    """
    rows = [
        _exit(one, float(half_spread[k]), None if trade_usd is None else float(trade_usd[k]))
        for k, one in enumerate(contracts)
    ]
    spread, spread_sd, participation, root, root_sd, depth_impact, source = zip(*rows, strict=True)
    deviation = IMPACT * np.sqrt(daily_variance)
    return Liquidity(
        half_spread=np.array(spread),
        half_spread_sd=np.array(spread_sd),
        participation=np.array(participation),
        impact=deviation * np.array(root),
        impact_sd=deviation * np.array(root_sd),
        depth_impact=np.array(depth_impact),
        source=tuple(source),
    )


def _exit(
    one: Traded, seen: float, trade_usd: float | None
) -> tuple[float, float, float, float, float, float, str]:
    daily_usd = _daily_volume(one)
    if not (daily_usd > 0).any():
        raise EstimationError(
            f"expected trades of {one.id} in {WINDOW_DAYS} days, was none; leave it out"
        )
    usual = float(np.median(daily_usd))
    traded = daily_usd[daily_usd > 0]
    if usual <= 0:
        usual = float(np.median(traded))
    size = USUAL_PARTICIPATION * usual if trade_usd is None else trade_usd
    # Nobody is more than the whole of a day's volume.
    roots = np.sqrt(np.minimum(size / traded, 1.0))
    root_sd = float(np.std(roots, ddof=1)) if len(roots) > 1 else float(roots[0])
    level, source = _level(one, seen)
    depth_impact = 0.005 / float(np.median(one.depth_usd)) if len(one.depth_usd) else np.nan
    spread_sd = level * _variation(one)
    return level, spread_sd, size / usual, float(roots.mean()), root_sd, depth_impact, source


def _daily_volume(one: Traded) -> FloatArray:
    """Return dollars traded in each of the last 24-hour windows that have bars, oldest first."""
    day = (one.close_ms[-1] - one.close_ms) // DAY_MS
    total = np.bincount(day, weights=one.volume * one.close)
    bars = np.bincount(day)
    daily: FloatArray = total[bars > 0][::-1].astype(np.float64)
    return daily


def _level(one: Traded, seen: float) -> tuple[float, str]:
    if np.isfinite(seen):
        return seen, "book"
    assumed = max(ASSUMED_HALF_SPREAD, one.half_tick)
    squares = squared_spreads(one.high, one.low, one.close)
    if len(squares) > 2:
        mean, error = float(squares.mean()), float(squares.std(ddof=1)) / np.sqrt(len(squares))
        shown = np.sqrt(max(mean, 0.0)) / 2.0
        if error > 0 and mean > SURE_T * error and shown > assumed:
            return float(shown), "bars"
    return assumed, "assumed"


def _variation(one: Traded) -> float:
    """Return sd over mean of the half-spread: the inverse depth's, else that of the bars' proxy."""
    depth = one.depth_usd[one.depth_usd > 0]
    if len(depth) >= FEWEST_DAYS:
        inverse = 1.0 / depth
        return float(inverse.std(ddof=1) / inverse.mean())
    spreads = np.sqrt(np.maximum(squared_spreads(one.high, one.low, one.close), 0.0))
    day = (one.close_ms[-1] - one.close_ms[1:]) // DAY_MS
    total, count = np.bincount(day, weights=spreads), np.bincount(day)
    daily = total[count > 0] / count[count > 0]
    if len(daily) < FEWEST_DAYS or daily.mean() <= 0:
        return ASSUMED_VARIATION
    return float(daily.std(ddof=1) / daily.mean())


def squared_spreads(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return estimates of the squared relative spread from pairs of bars, (T-1,); may be negative.

    s² = 4(c_t - eta_t)(c_t - eta_{t+1}), eta the middle of the log range (Abdi and Ranaldo 2017,
    Review of Financial Studies 30, eq. 10); the pair is known when its second bar closed. The
    root of a mean is their monthly spread, the mean of roots, negative ones zero, the two-day
    corrected one.
    """
    middle = (np.log(high) + np.log(low)) / 2.0
    log_close = np.log(close[:-1])
    squares: FloatArray = 4.0 * (log_close - middle[:-1]) * (log_close - middle[1:])
    return squares


def high_low_spreads(high: FloatArray, low: FloatArray) -> FloatArray:
    """Return the relative spread from the ranges of pairs of bars, (T-1,); may be negative.

    S = 2(e^a - 1)/(1 + e^a), a = (sqrt(2b) - sqrt(b))/k - sqrt(g/k), k = 3 - 2 sqrt(2), b the sum
    of both squared log ranges, g the squared log range of both bars together (Corwin and Schultz
    2012, Journal of Finance 67, eqs. 14 and 18). Markets never close: no overnight correction.
    """
    ranges = np.log(high / low) ** 2
    both = ranges[:-1] + ranges[1:]
    joint = np.log(np.maximum(high[1:], high[:-1]) / np.minimum(low[1:], low[:-1])) ** 2
    k = 3.0 - 2.0 * np.sqrt(2.0)
    a = (np.sqrt(2.0) - 1.0) * np.sqrt(both) / k - np.sqrt(joint / k)
    spreads: FloatArray = 2.0 * np.tanh(a / 2.0)
    return spreads


def exogenous_cost(
    weights: FloatArray,
    half_spread: FloatArray,
    half_spread_sd: FloatArray,
    deviations: float = SPREAD_DEVIATIONS,
) -> FloatArray:
    """Return ½·sum |w|·(mean spread + a·sd of the spread), over the last axis of `weights`.

    What is added to a VaR for liquidity, a positive loss fraction (Bangia et al. 1999).
    """
    cost: FloatArray = np.abs(weights) @ (half_spread + deviations * half_spread_sd)
    return cost


def liquidity_var(
    value_at_risk: float,
    weights: FloatArray,
    liquidity: Liquidity,
    deviations: float = SPREAD_DEVIATIONS,
) -> float:
    """Return LVaR = VaR + the exogenous cost of leaving the book `weights` (N,)."""
    cost = exogenous_cost(weights, liquidity.half_spread, liquidity.half_spread_sd, deviations)
    return value_at_risk + float(cost)
