"""Contracts against their coin: what a venue does to all its coins, and what is a contract's own.

r_i = r_c(i) + g_v(i) + e_i (method §3.4). The basis level of a contract is its log price against
the mean of its coin's contracts, on the clock of the slowest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import Panel

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
    contracts holds the contract itself. A venue's shock is the mean over its contracts; what is
    left is a contract's own, times K/(K-1) for K contracts; the mean of own variances over K is
    taken off the shock's (one-way random effects by moments). Each part has its own AR(1).
    """
    names = tuple(sorted({identifier.partition(":")[0] for identifier in panel.ids}))
    venue_of = np.array([names.index(one.partition(":")[0]) for one in panel.ids], dtype=np.int64)
    floor = BASIS_FLOOR_PER_DAY**2 * horizon_days
    levels, shared = _levels(panel)
    hours = horizon_days * 24.0
    found = np.full(len(panel.ids), np.nan)
    venue = np.zeros(len(names))
    for place in range(len(names)):
        members = np.flatnonzero((venue_of == place) & np.isfinite(levels.level[-1:]).all(axis=0))
        found[members], venue[place] = _split(levels, members, hours)
    assumed = shared & ~np.isfinite(found)
    usual = float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else floor
    own = np.where(assumed, usual, np.where(np.isfinite(found), found, floor))
    return Basis(np.maximum(own, floor * (1.0 + ROUNDING)), venue, names, venue_of, assumed)


def basis_variance(panel: Panel, horizon_days: float) -> FloatArray:
    """Return each contract's variance against its coin over the horizon, own and venue's, (N,)."""
    return forecast_basis(panel, horizon_days).total


def _levels(panel: Panel) -> tuple[_Levels, BoolArray]:
    """Return scaled basis levels, and which contracts share their coin with another, (N,)."""
    _, owner = panel.by_coin()
    recent = panel.closing[-BASIS_WINDOW_H:]
    level = np.full(recent.shape, np.nan)
    fresh = np.zeros(recent.shape, dtype=bool)
    shared = np.bincount(owner)[owner] > 1
    for coin in np.unique(owner[shared]):
        members = np.flatnonzero(owner == coin)
        known = np.isfinite(recent[:, members])
        members = members[known[-1]]
        # A contract that joined or came back late is measured from there on.
        start = int(np.max(np.flatnonzero(~known[:, known[-1]].all(axis=1)), initial=-1)) + 1
        returns = recent[start:, members]
        closed = (returns != 0.0).all(axis=1)
        if len(members) < 2 or np.count_nonzero(closed) < LEAST_ROWS:
            continue
        scale = np.sqrt(len(members) / (len(members) - 1))
        against = returns - returns.mean(axis=1, keepdims=True)
        level[start:, members] = scale * np.cumsum(against, axis=0)
        fresh[start:, members] = closed[:, None]
    return _Levels(level, fresh), shared


def _split(levels: _Levels, members: IntArray, hours: float) -> tuple[FloatArray, float]:
    """Return own variances (K,) of one venue's contracts and the variance of what they share."""
    count = len(members)
    together: BoolArray = np.all(levels.fresh[:, members], axis=1)
    if count < LEAST_COINS or np.count_nonzero(together) < LEAST_ROWS:
        own = [_of_column(levels.level[:, k], levels.fresh[:, k], hours) for k in members]
        return np.array(own), 0.0
    shock = levels.level[:, members].mean(axis=1)
    correction = count / (count - 1)
    own = [correction * _of_column(levels.level[:, k] - shock, together, hours) for k in members]
    common = _of_column(shock, together, hours) - float(np.mean(own)) / count
    return np.array(own), max(common, 0.0)


def _of_column(level: FloatArray, fresh: BoolArray, hours: float) -> float:
    at = np.flatnonzero(fresh)
    return horizon_variance(level[at], at, hours)


def horizon_variance(level: FloatArray, at: IntArray, hours: float) -> float:
    """Return the variance of an OU level's change over `hours`, from its past; (R,) and (R,).

    s² = k·Var(Δb)/(1-exp(-k·Δ)) from changes over the usual step Δ, then s²(1-exp(-2k·H))/(2k)
    (method §3.4). exp(-k·Δ) is the AR(1) coefficient with Kendall's correction (1+3phi)/T; at 1 or
    above the level does not come back, and H times the changes' variance is returned, Newey-West
    with two lags where the step is an hour or less.

    Parameters
    ----------
    level : (R,) array
        Log price against the coin.
    at : (R,) array
        Hours, rising; only pairs one usual step apart are used.
    hours : float
        The horizon.
    """
    gaps = np.diff(at)
    step = int(np.bincount(gaps).argmax())
    pairs = gaps == step
    centred = level - level.mean()
    before, after = centred[:-1][pairs], centred[1:][pairs]
    spread = float(before @ before)
    if spread == 0.0:
        return 0.0
    phi = float(before @ after) / spread
    phi += (1.0 + 3.0 * phi) / len(before)
    changes = after - before
    steps = hours / step
    if phi >= 1.0:
        return steps * _long_run(changes, NEWEY_WEST_LAGS if step <= 1 else 0)
    stationary = float(changes @ changes) / len(changes) / (2.0 * (1.0 - phi))
    return float(stationary * (1.0 - max(phi, 0.0) ** (2.0 * steps)))


def _long_run(changes: FloatArray, lags: int) -> float:
    """Return the Newey-West variance of a series' mean times its length; never negative."""
    centred = changes - changes.mean()
    total = float(centred @ centred)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return max(total, 0.0) / len(changes)
