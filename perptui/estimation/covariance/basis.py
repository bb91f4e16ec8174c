"""Contracts against their coin: what a venue does to all its coins, and what is a contract's own.

r_i = r_c(i) + g_v(i) + e_i (method §3.4). The basis level of a contract is its log price against
the mean of its coin's contracts, on the clock of the slowest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import Panel
from perptui.estimation.recursion import divided

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BASIS_FLOOR_PER_DAY = 2e-4
"""Least standard deviation of a contract against its coin: 2 bp a day (method §3.4)."""
ROUNDING = 1e-6
"""Own variances stand this part above the floor: rounding takes no eigenvalue below it."""
BASIS_WINDOW_H = 30 * 24
LEAST_ROWS = 48
"""Common closes of a coin's contracts below which nothing is measured."""
LEAST_COINS = 3
"""Coins that a venue needs in common with others before a shock of its own is told apart."""
NEWEY_WEST_LAGS = 2
"""For changes over an hour or less: bars of two venues do not close in the same instant."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Variances over the horizon of what contracts have beyond their coin.

    Attributes
    ----------
    own : (N,) array
        d²: of the contract alone; never below (2 bp)²·H, also where a coin has one contract.
    venue : (V,) array
        s²: of the shock that all contracts of a venue share; 0 where it cannot be told apart.
    venues : tuple of str
        Names, sorted.
    venue_of : (N,) array
        Index of each contract's venue.
    assumed : (N,) array
        True where a coin has several contracts but too few common closes: the median of the
        measured contracts, or the floor where there are none.
    """

    own: FloatArray
    venue: FloatArray
    venues: tuple[str, ...]
    venue_of: IntArray
    assumed: BoolArray

    @property
    def total(self) -> FloatArray:
        """Own and venue's variance of each contract, (N,)."""
        both: FloatArray = self.own + self.venue[self.venue_of]
        return both


@dataclass(frozen=True, slots=True)
class _Levels:
    """Basis levels (R, N) of the window and where they are fresh; NaN for a lone contract."""

    level: FloatArray
    fresh: BoolArray


def forecast_basis(panel: Panel, horizon_days: float) -> Basis:
    """Return the variances of venues and contracts over the horizon.

    Levels of the last 30 days are scaled by sqrt(n/(n-1)), which undoes that a coin's mean of n
    contracts holds the contract itself; each has the variance of its own AR(1) over the horizon.
    What two contracts of a venue share is their levels' covariance, brought to the horizon as
    their variances are; a venue's shock has the median over its pairs, so that one coin that
    breaks away moves no other, and a contract's own variance is what is left of its whole.
    """
    names = tuple(sorted({identifier.partition(":")[0] for identifier in panel.ids}))
    venue_of = np.array([names.index(one.partition(":")[0]) for one in panel.ids], dtype=np.int64)
    floor = BASIS_FLOOR_PER_DAY**2 * horizon_days
    levels, shared = _levels(panel)
    whole = _whole(levels, horizon_days * 24.0)
    venue = np.array([_shared(levels, whole, venue_of == k) for k in range(len(names))])
    measured = np.isfinite(whole)
    usual = float(np.median(whole[measured])) if measured.any() else floor
    left = np.where(measured, whole, usual) - venue[venue_of]
    own = np.maximum(np.where(shared, left, floor), floor * (1.0 + ROUNDING))
    return Basis(own, venue, names, venue_of, shared & ~measured)


def basis_variance(panel: Panel, horizon_days: float) -> FloatArray:
    """Return each contract's variance against its coin over the horizon, own and venue's, (N,)."""
    return forecast_basis(panel, horizon_days).total


def _levels(panel: Panel) -> tuple[_Levels, BoolArray]:
    """Return scaled basis levels, and which contracts share their coin with another, (N,)."""
    _, owner = panel.by_coin()
    shared = np.bincount(owner)[owner] > 1
    among = np.flatnonzero(shared)
    recent = panel.closing[-BASIS_WINDOW_H:][:, among]
    known = np.isfinite(recent)
    present = known & known[-1]
    _, coin = np.unique(owner[among], return_inverse=True)
    belongs = np.equal.outer(coin, np.arange(len(np.unique(coin)))).astype(np.float64)
    count = (known[-1].astype(np.float64) @ belongs)[coin]
    # A contract that joined or came back late is measured from there on.
    joint = (present @ belongs)[:, coin] == count
    since = np.logical_and.accumulate(joint[::-1], axis=0)[::-1]
    closed = (((recent != 0.0) & present) @ belongs)[:, coin] == count
    mean = (np.where(present, recent, 0.0) @ belongs)[:, coin] / np.maximum(count, 1.0)
    scale = np.sqrt(divided(count, count - 1.0, count > 1, 0.0))
    level = scale * np.cumsum(np.where(since & present, recent - mean, 0.0), axis=0)
    rows = since & closed
    usable = known[-1] & (count > 1) & (rows.sum(axis=0) >= LEAST_ROWS)
    levels = np.full((len(recent), len(owner)), np.nan)
    fresh = np.zeros(levels.shape, dtype=bool)
    levels[:, among[usable]], fresh[:, among[usable]] = level[:, usable], rows[:, usable]
    return _Levels(levels, fresh), shared


def _whole(levels: _Levels, hours: float) -> FloatArray:
    """Return the horizon variance of each contract's level, (N,); NaN where it has none.

    Contracts with the same closes, which is most, are taken together.
    """
    whole = np.full(levels.level.shape[1], np.nan)
    left = np.isfinite(levels.level[-1])
    while left.any():
        clock = levels.fresh[:, np.argmax(left)]
        alike = left & (levels.fresh == clock[:, None]).all(axis=0)
        at = np.flatnonzero(clock)
        whole[alike] = horizon_variance(levels.level[np.ix_(at, np.flatnonzero(alike))], at, hours)
        left &= ~alike
    return whole


def _shared(levels: _Levels, whole: FloatArray, of_venue: BoolArray) -> float:
    """Return the horizon variance that one venue's contracts share; 0 where it is not known."""
    members = np.flatnonzero(of_venue & np.isfinite(whole))
    together = np.flatnonzero(np.all(levels.fresh[:, members], axis=1))
    if len(members) < LEAST_COINS or len(together) < LEAST_ROWS:
        return 0.0
    level = levels.level[np.ix_(together, members)]
    centred = level - level.mean(axis=0)
    covariance = centred.T @ centred / len(centred)
    variance = np.diag(covariance)
    growth = np.sqrt(divided(whole[members], variance, variance > 0, 0.0))
    pairs = np.triu_indices(len(members), k=1)
    return max(0.0, float(np.median((covariance * np.outer(growth, growth))[pairs])))


def horizon_variance(level: FloatArray, at: IntArray, hours: float) -> FloatArray:
    """Return the variance of OU levels' changes over `hours`, from their past, (K,).

    s² = k·Var(Δb)/(1-exp(-k·Δ)) from changes over the usual step Δ, then s²(1-exp(-2k·H))/(2k)
    (method §3.4). exp(-k·Δ) is the AR(1) coefficient with Kendall's correction (1+3phi)/T; at 1 or
    above the level does not come back, and H times the changes' variance is returned, Newey-West
    with two lags where the step is an hour or less.

    Parameters
    ----------
    level : (R, K) array
        Log prices against the coin.
    at : (R,) array
        Hours, rising; only pairs one usual step apart are used.
    hours : float
        The horizon.
    """
    gaps = at[1:] - at[:-1]
    step = int(np.bincount(gaps).argmax())
    pairs = gaps == step
    centred = level - level.mean(axis=0)
    before, after = centred[:-1][pairs], centred[1:][pairs]
    spread, count = np.einsum("rk,rk->k", before, before), len(before)
    phi = divided(np.einsum("rk,rk->k", before, after), spread, spread > 0, 0.0)
    phi = phi + (1.0 + 3.0 * phi) / count
    changes, steps = after - before, hours / step
    squares = np.einsum("rk,rk->k", changes, changes) / count
    returning = phi < 1.0
    stationary = divided(squares, 2.0 * (1.0 - phi), returning)
    back = stationary * (1.0 - np.clip(phi, 0.0, 1.0) ** (2.0 * steps))
    away = steps * _long_run(changes, NEWEY_WEST_LAGS if step <= 1 else 0)
    variance: FloatArray = np.where(returning, back, away)
    return variance


def _long_run(changes: FloatArray, lags: int) -> FloatArray:
    """Return the Newey-West variances (K,) of changes (R, K) by the step; never negative."""
    centred = changes - changes.mean(axis=0)
    total = np.einsum("rk,rk->k", centred, centred)
    for lag in range(1, lags + 1):
        shared = np.einsum("rk,rk->k", centred[lag:], centred[:-lag])
        total = total + 2.0 * (1.0 - lag / (lags + 1)) * shared
    variance: FloatArray = np.maximum(total, 0.0) / len(changes)
    return variance
