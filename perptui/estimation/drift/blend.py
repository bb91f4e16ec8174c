"""The weights of drifts by lookback: a ridge regression walked forward, and a cross-section's pull.

Everything is made of running sums of 3x3 products by day, so that a fit at any day costs the
solution of a small system, and a day's fit is the same whatever comes after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import FloatArray, divided

IntArray = NDArray[np.int64]

LOOKBACKS = (1, 7, 30)
"""Days."""
DEFAULT_BLEND = (0.2, 0.3, 0.5)
DEFAULT_SHARE = 0.5
"""How far the regression's weights are drawn to the default (method §1.1)."""
REFIT_DAYS = 30
LEAST_FIT_DAYS = 180
"""Days with an outcome before the weights are fitted at all."""
BLOCKS = 5
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Of the ridge, in units of each lookback's own sum of squares: 1 halves a lone coefficient."""


def nested_covariance() -> FloatArray:
    """Return Cov(m_L, m_L')/sigma² = 1/max(L, L'), (3, 3): the windows end on the same day."""
    return 1.0 / np.maximum.outer(LOOKBACKS, LOOKBACKS).astype(np.float64)


def effective_lookback(weights: FloatArray) -> FloatArray:
    """Return L_eff, days, with Var(sum of omega_L m_L) = sigma²/L_eff, from weights (..., 3).

    Weights are scaled to a sum of one, negative ones left out; without a positive one it is the
    default's.
    """
    kept = np.maximum(weights, 0.0)
    kept = np.where(kept.sum(axis=-1, keepdims=True) > 0.0, kept, DEFAULT_BLEND)
    share = kept / kept.sum(axis=-1, keepdims=True)
    spread = np.einsum("...l,lk,...k->...", share, nested_covariance(), share)
    return np.asarray(1.0 / spread, dtype=np.float64)


def walked_weights(
    drifts: FloatArray, outcome: FloatArray, variance: FloatArray, horizon: int
) -> FloatArray:
    """Return the weights of the lookbacks in force on each day, (D, 3), half-way to the default.

    Pooled over coins, each row divided by its variance, so that no coin speaks alone; fitted anew
    every 30 days on the days whose outcome was complete by then, with the penalty of least loss
    in five blocks of time, between which and the rest `horizon` days are left out (Lopez de Prado
    2018, ch. 7). Until 180 such days are there the default stands.

    Parameters
    ----------
    drifts : (3, D, C) array
        k_L·m_L, known at the end of each day.
    outcome : (D, C) array
        Of row t: the mean drift of days t+1..t+H; NaN where it is not complete.
    variance : (D, C) array
        Of daily returns, known at the end of each day.
    horizon : int
        H, days.
    """
    sums = _running_products(drifts, outcome, variance)
    weights = np.tile(DEFAULT_BLEND, (drifts.shape[1], 1))
    first = int(np.searchsorted(sums[:, 3, 3], 0.0, side="right")) - 1
    fits = np.arange(0, drifts.shape[1], REFIT_DAYS)
    until = fits + 1 - horizon
    enough = until - first >= LEAST_FIT_DAYS
    if not enough.any():
        return weights
    fits, until = fits[enough], until[enough]
    penalty = best_penalties(sums, first, until, horizon)
    fitted = _ridge(sums[until], penalty[:, None])
    blend = (1.0 - DEFAULT_SHARE) * fitted + DEFAULT_SHARE * np.array(DEFAULT_BLEND)
    in_force = np.repeat(blend, REFIT_DAYS, axis=0)[: len(weights) - fits[0]]
    weights[fits[0] :] = in_force
    return weights


def _running_products(drifts: FloatArray, outcome: FloatArray, variance: FloatArray) -> FloatArray:
    """Return sums over the first t days of products of (m_1, m_7, m_30, y), (D + 1, 4, 4)."""
    rows = np.concatenate([drifts, outcome[None]])
    known = np.isfinite(rows).all(axis=0) & (variance > 0)
    scale = np.sqrt(np.where(known, variance, 1.0))
    scaled = np.where(known, rows, 0.0) / scale
    total = np.zeros((rows.shape[1] + 1, 4, 4))
    for i in range(4):
        for j in range(i + 1):
            # Row by row: a matrix product's rounding depends on how many rows there are.
            total[1:, i, j] = total[1:, j, i] = np.cumsum(_by_day(scaled[i], scaled[j]))
    return total


def best_penalties(sums: FloatArray, first: int, until: IntArray, horizon: int) -> FloatArray:
    """Return the penalty of least squared error over five held-out blocks, for each fit, (F,).

    A fit knows days `first`..until-1. Days less than `horizon` away from the block share days of
    their outcomes with it, and are neither fitted nor judged.
    """
    edges = first + (until[:, None] - first) * np.arange(BLOCKS + 1) // BLOCKS
    begin, end = edges[:, :-1], edges[:, 1:]
    before = np.maximum(begin - horizon + 1, first)
    after = np.minimum(end + horizon - 1, until[:, None])
    held = sums[end] - sums[begin]
    rest = (sums[until] - sums[first])[:, None] - (sums[after] - sums[before])
    tried = np.array(PENALTIES)
    beta = _ridge(rest[None], tried[:, None, None, None])
    fit = np.einsum("pfbi,fbij,pfbj->pf", beta, held[..., :3, :3], beta)
    losses = fit - 2.0 * np.einsum("pfbi,fbi->pf", beta, held[..., :3, 3])
    return np.asarray(tried[losses.argmin(axis=0)], dtype=np.float64)


def _ridge(products: FloatArray, penalty: FloatArray) -> FloatArray:
    """Return (X'X + penalty·diag(X'X))^-1 X'y from products (..., 4, 4), (..., 3).

    `penalty` has one axis more than the leading axes of `products`, of length 1.
    """
    gram, cross = products[..., :3, :3], products[..., :3, 3]
    size = np.diagonal(gram, axis1=-2, axis2=-1)
    # A lookback that never moved has no say: its own equation is then 1·beta = 0.
    added = np.where(size > 0, penalty * size, 1.0)
    padded = gram + added[..., None] * np.eye(3)
    solved = np.linalg.solve(padded, np.broadcast_to(cross, added.shape)[..., None])
    return np.asarray(solved[..., 0], dtype=np.float64)


def bayes_stein(
    drift: FloatArray,
    observed: FloatArray,
    variance: FloatArray,
    mean_correlation: FloatArray,
    lookback: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return drifts drawn to the drift of the least-variance book, (D, C), and how far, (D,).

    Jorion (1986): D <- (1-phi) D + phi m0 1 with m0 = 1'S^-1 D/1'S^-1 1 and
    phi = (N+2)/((N+2) + T (m - m1 1)' S^-1 (m - m1 1)), m1 as m0 of m. (He also scales S by
    (T-1)/(T-N-2), for a sample covariance of the same T days; this one has more days.) S has the
    known variances and one correlation, the mean over pairs, so that it has an inverse on every
    day. N counts the coins known that day; with one nothing is drawn anywhere.

    Parameters
    ----------
    drift : (D, C) array
        D, a day; NaN where not known.
    observed : (D, C) array
        m, before signal-to-noise shrinkage: sampling variance S/T.
    variance : (D, C) array
        Of daily returns.
    mean_correlation : (D,) array
        Below 1.
    lookback : (D,) array
        T, the days that m averages: L_eff.
    """
    known = np.isfinite(drift) & np.isfinite(observed) & (variance > 0)
    coins = known.sum(axis=1)
    precision = np.where(known, 1.0 / np.sqrt(np.where(known, variance, 1.0)), 0.0)
    # Sherman & Morrison: the inverse of (1-rho) I + rho 11' is (I - c 11')/(1-rho).
    c = mean_correlation / (1.0 + (np.maximum(coins, 1) - 1.0) * mean_correlation)
    own, seen = (np.where(known, x, 0.0) for x in (drift, observed))
    target, off = (_least_variance_mean(x, precision, c) for x in (own, seen))
    z = precision * (seen - off[:, None])
    squared = _by_day(z, z) - c * z.sum(axis=1) ** 2
    distance = lookback * squared / (1.0 - mean_correlation)
    phi = (coins + 2.0) / (coins + 2.0 + distance)
    pulled: FloatArray = np.where(known, own + phi[:, None] * (target[:, None] - own), np.nan)
    return pulled, phi


def _least_variance_mean(x: FloatArray, precision: FloatArray, c: FloatArray) -> FloatArray:
    """Return 1'S^-1 x/1'S^-1 1 by day, (D,), for S^-1 = diag(p)(I - c 11')diag(p)/(1-rho)."""
    z, total = precision * x, precision.sum(axis=1)
    above = _by_day(precision, z) - c * total * z.sum(axis=1)
    below = _by_day(precision, precision) - c * total**2
    return divided(above, below, below > 0, 0.0)


def _by_day(x: FloatArray, y: FloatArray) -> FloatArray:
    product: FloatArray = np.einsum("dc,dc->d", x, y)
    return product
