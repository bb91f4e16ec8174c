"""Filtered historical simulation with funding: returns of all contracts over the horizon.

Barone-Adesi, Giannopoulos & Vosper (1999): rows of standardised residuals, which hold every coin
of one date, are drawn with replacement, and each path's own variance runs on from what it drew.
A coin's contracts share its path, and differ by their basis. The same date's rows of funding shocks
make each contract's funding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import SMALLEST_DAILY_VOLATILITY
from perptui.estimation.recursion import decay, divided
from perptui.estimation.tails.contracts import Contracts, check_contracts, each_alone
from perptui.estimation.tails.residuals import LEAST_ROWS, complete_rows, residual_rows
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PATHS = 10_000
RECURSION_HALFLIFE_DAYS = 11.0
"""RiskMetrics' lambda of .94 a day."""
_BLOCK = 2_000
LARGEST_DAILY_VOLATILITY = 3.0
"""Above this a variance is in wrong units, or of nothing that could be held."""
CLIP = 4.2
"""Residuals feed a path's variance up to here (method §2), and are drawn whole."""
LARGEST_LOG_RETURN = 5.0
"""Over the horizon, either way: a path that left every real price stays finite."""


@dataclass(frozen=True, slots=True)
class VarianceRecursion:
    """h' = omega + alpha r² + beta h by coin, each (C,); `initial` is of the first day ahead.

    r² is of a day's log return. EWMA is omega = 0, alpha = 1 - b, beta = b.
    """

    omega: FloatArray
    alpha: FloatArray
    beta: FloatArray
    initial: FloatArray


@dataclass(frozen=True, slots=True)
class FundingDraw:
    """Funding over the horizon: mean and sd of the sum F (N,), f > 0: a long pays.

    `shocks` (D, N) are daily funding shocks of the residuals' own dates, of mean 0 and variance 1;
    without them F is normal, and independent of prices and of other contracts.
    """

    mean: FloatArray
    deviation: FloatArray
    shocks: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Returns over the horizon on S paths.

    Attributes
    ----------
    returns : (S, N) array
        Of a unit long in each contract: exp(r) - 1 - F.
    dates : int
        Days that rows were drawn from.
    coins : (S, C) array
        exp(r) - 1 of each coin, the part of `returns` that a coin's contracts have in common.
    owner : (N,) array
        Each contract's coin.
    funding : (S, N) array
        F less its mean; `funding_deviation` (N,) is the sd that it was drawn with.
    made : tuple of N int
        Cells of each contract's coin's rows that were made, not observed; see `complete_rows`.
    """

    returns: FloatArray
    horizon_days: float
    seed: int
    dates: int
    coins: FloatArray
    owner: IntArray
    funding: FloatArray
    funding_deviation: FloatArray
    made: tuple[int, ...] = ()

    def book(self, weights: FloatArray) -> FloatArray:
        """Return the book's returns (S,), fractions of equity: the sum of w_i (exp(r_i)-1-F_i)."""
        moved: FloatArray = self.returns @ weights
        return moved


def ewma_recursion(initial: FloatArray, halflife_days: float) -> VarianceRecursion:
    """Return the recursion of an exponentially weighted variance that stands at `initial` (C,)."""
    b = np.full(len(initial), decay(halflife_days))
    return VarianceRecursion(np.zeros(len(initial)), 1.0 - b, b, initial)


def horizon_scenarios(
    daily: FloatArray,
    variance: FloatArray,
    funding: FundingDraw,
    horizon_days: float,
    seed: int,
    halflife_days: float = RECURSION_HALFLIFE_DAYS,
    contracts: Contracts | None = None,
) -> Scenarios:
    """Return simulated returns over the horizon from what is kept of C coins and N contracts.

    Parameters
    ----------
    daily : (D, C) array
        Log returns of coins by day; NaN in holes.
    variance : (D, C) array
        Variance of a day's log return, forecast at the end of each day for the next, or the mean
        over the horizon; the last row starts the paths, on which it goes on as an EWMA with
        `halflife_days`, which keeps that mean.
    funding : FundingDraw
        Mean and sd of the sum over the horizon; its `shocks` (D, N) are daily, from
        `funding_residuals`, and may have holes. A drift D over the horizon goes in as a mean of
        E[F] - D.
    contracts : Contracts, optional
        Without it each coin is one contract.

    Raises
    ------
    EstimationError
        As `residual_rows`, `complete_rows` and `simulate` do.
    """
    rows = residual_rows(daily, variance)
    usable = np.isfinite(rows).any(axis=1)
    if funding.shocks is not None:
        usable &= np.isfinite(funding.shocks).any(axis=1)
        shocks, _ = complete_rows(funding.shocks[usable], seed)
        funding = FundingDraw(funding.mean, funding.deviation, shocks)
    complete, made = complete_rows(rows[usable], seed)
    recursion = ewma_recursion(variance[-1], halflife_days)
    simulated = simulate(complete, recursion, horizon_days, seed, funding, contracts=contracts)
    return replace(simulated, made=tuple(made[simulated.owner].tolist()))


def simulate(
    rows: FloatArray,
    recursion: VarianceRecursion,
    horizon_days: float,
    seed: int,
    funding: FundingDraw | None = None,
    paths: int = PATHS,
    contracts: Contracts | None = None,
) -> Scenarios:
    """Return simulated returns over the horizon, funding included.

    Parameters
    ----------
    rows : (D, C) array
        Standardised residuals of coins without holes, one date a row.
    recursion : VarianceRecursion
        The variance of the first day ahead and how it goes on.
    horizon_days : float
        Simulated in round(H) equal steps, at least one.
    seed : int
        Of the draws; the same seed draws the same dates whatever C and N are.
    funding : FundingDraw, optional
        Without it F is 0.
    paths : int
        S.
    contracts : Contracts, optional
        Without it each coin is one contract, N = C.

    Notes
    -----
    A step's log return is sqrt(h) z - h/2, so that a price without drift expects nothing, as the
    drift forecast's does. The variance runs on with min(z², 4.2²) over its mean, so that two great
    shocks on one path do not feed each other without end and its expectation is unchanged.
    F = mean + sd·(u_1 + ... + u_n)/sqrt(n) with the funding shocks of the dates that the path drew.
    A contract's return is (1 + R)(1 + B) - 1 - F with R of its coin and B from `Contracts.beyond`.

    Raises
    ------
    EstimationError
        When an input has holes, a shape does not fit, or the recursion explodes.
    """
    contracts = each_alone(rows.shape[1]) if contracts is None else contracts
    nothing = np.zeros(len(contracts.owner))
    funding = FundingDraw(nothing, nothing) if funding is None else funding
    _check_rows(rows)
    _check_recursion(recursion, rows.shape[1])
    check_contracts(contracts, rows.shape[1])
    _check_funding(funding, len(rows), len(contracts.owner))
    _check_draw(horizon_days, paths)
    steps = max(1, round(horizon_days))
    generator = np.random.default_rng(seed)
    dates = generator.integers(len(rows), size=(paths, steps))
    coins = _moved(rows, dates, recursion, horizon_days / steps)
    returns = np.take(coins, contracts.owner, axis=1)
    paid = _drawn_funding(funding, dates, generator)
    returns -= funding.mean + paid
    contracts.add_basis(returns, coins, generator)
    return Scenarios(
        returns, horizon_days, seed, len(rows), coins, contracts.owner, paid, funding.deviation
    )


def _moved(
    rows: FloatArray, dates: IntArray, recursion: VarianceRecursion, days_a_step: float
) -> FloatArray:
    """Return exp(r) - 1 of the paths that draw `dates` (S, H), (S, C).

    In single precision, block by block, so that a block stays in the processor's cache: seven
    digits are far more than 10,000 paths have.
    """
    squares = np.minimum(rows**2, CLIP**2)
    scale = squares.mean(axis=0)[None, :]
    growth = _single(recursion.alpha * divided(squares, scale, scale > 0) + recursion.beta)
    drawn, omega = _single(rows * math.sqrt(days_a_step)), _single(recursion.omega)
    moved = np.empty((len(dates), rows.shape[1]))
    for begin in range(0, len(dates), _BLOCK):
        block = np.ascontiguousarray(dates[begin : begin + _BLOCK].T)
        shape = (block.shape[1], rows.shape[1])
        variance = np.broadcast_to(_single(recursion.initial), shape).copy()
        total, move, part = (np.zeros(shape, np.float32) for _ in range(3))
        for step, date in enumerate(block):
            np.take(drawn, date, axis=0, out=move, mode="clip")
            move *= np.sqrt(variance, out=part)
            total += move
            total -= np.multiply(variance, np.float32(0.5 * days_a_step), out=part)
            if step + 1 < len(block):
                variance *= np.take(growth, date, axis=0, out=move, mode="clip")
                variance += omega
        np.clip(total, -LARGEST_LOG_RETURN, LARGEST_LOG_RETURN, out=total)
        moved[begin : begin + _BLOCK] = np.expm1(total, out=total)
    return moved


def _single(x: FloatArray) -> NDArray[np.float32]:
    return x.astype(np.float32)


def _drawn_funding(
    funding: FundingDraw, dates: IntArray, generator: np.random.Generator
) -> FloatArray:
    """Return F less its mean on the paths that draw `dates` (S, H), (S, N)."""
    paths, steps = dates.shape
    if not funding.deviation.any():
        return np.zeros((paths, len(funding.mean)))
    if funding.shocks is None:
        return funding.deviation * generator.standard_normal((paths, len(funding.mean)))
    shocks = _single(funding.shocks * funding.deviation / math.sqrt(steps))
    total = np.zeros((paths, len(funding.mean)), np.float32)
    drawn = np.empty_like(total)
    for date in np.ascontiguousarray(dates.T):
        total += np.take(shocks, date, axis=0, out=drawn, mode="clip")
    return total.astype(np.float64)


def _check_draw(horizon_days: float, paths: int) -> None:
    if not (math.isfinite(horizon_days) and horizon_days > 0.0 and paths > 0):
        raise EstimationError(
            f"expected a positive horizon and number of paths, was {horizon_days} and {paths}; "
            "mend the strategy"
        )


def _check_rows(rows: FloatArray) -> None:
    if rows.ndim != 2 or len(rows) < LEAST_ROWS or not np.isfinite(rows).all():
        raise EstimationError(
            f"expected at least {LEAST_ROWS} finite rows of residuals, was {rows.shape} with "
            f"{int(np.count_nonzero(~np.isfinite(rows)))} holes; complete them"
        )


def _check_funding(funding: FundingDraw, dates: int, contracts: int) -> None:
    parts = (funding.mean, funding.deviation)
    if any(part.shape != (contracts,) or not np.isfinite(part).all() for part in parts):
        raise EstimationError(
            f"expected finite funding of {contracts} contracts, was {funding.mean.shape} and "
            f"{funding.deviation.shape}; forecast it for each"
        )
    if (funding.deviation < 0.0).any():
        raise EstimationError("expected deviations of funding of 0 or more; mend the forecast")
    shocks = funding.shocks
    wanted = (dates, contracts)
    if shocks is not None and (shocks.shape != wanted or not np.isfinite(shocks).all()):
        raise EstimationError(
            f"expected finite funding shocks of the residuals' dates {wanted}, was "
            f"{shocks.shape}; take the same rows"
        )


def _check_recursion(recursion: VarianceRecursion, coins: int) -> None:
    parts = (recursion.omega, recursion.alpha, recursion.beta, recursion.initial)
    if any(part.shape != (coins,) or not np.isfinite(part).all() for part in parts):
        raise EstimationError(
            f"expected a finite variance recursion of {coins} coins, was of "
            f"{recursion.initial.shape}; fit it for each"
        )
    if (np.minimum.reduce(parts) < 0.0).any():
        raise EstimationError("expected no negative part of a variance recursion; fit it anew")
    least, most = float(recursion.initial.min()), float(recursion.initial.max())
    if least < SMALLEST_DAILY_VOLATILITY**2 or most > LARGEST_DAILY_VOLATILITY**2:
        raise EstimationError(
            f"expected daily volatilities from {SMALLEST_DAILY_VOLATILITY:g} to "
            f"{LARGEST_DAILY_VOLATILITY:g}, was {math.sqrt(least):.1e} to {math.sqrt(most):.1e}; "
            "check the units of that contract"
        )
    persistence = float((recursion.alpha + recursion.beta).max())
    if persistence > 1.0 + 1e-9:
        raise EstimationError(
            f"expected alpha + beta of at most 1, was {persistence:.4f}; fall back to the EWMA"
        )
