"""Contracts beside their coins in a simulation: one path a coin, and a basis of each contract.

r_i = r_c(i) + g_v(i) + e_i, as the covariance has it (method §3.4): what is long on one venue and
short on another loses by the basis alone, so its legs must not have paths of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contracts:
    """The coin of each of N contracts, and variances over the horizon of what each has beyond it.

    Attributes
    ----------
    owner : (N,) array
        Each contract's place among C coins.
    own : (N,) array
        Of the contract alone.
    venue : (V,) array
        Of the shock that all contracts of a venue share.
    venue_of : (N,) array
        Each contract's place among the venues.
    """

    owner: IntArray
    own: FloatArray
    venue: FloatArray
    venue_of: IntArray

    def add_basis(
        self, returns: FloatArray, coins: FloatArray, generator: np.random.Generator
    ) -> None:
        """Add (1 + R)·(exp(g + e) - 1) to `returns` (S, N), where R are their `coins`' (S, C).

        g and e are normal, and the basis has mean 0. Nothing is added to the only contract of a
        coin, whose own history holds all that it does; where a coin has several, its path is that
        of their mean.
        """
        among = np.flatnonzero(np.bincount(self.owner)[self.owner] > 1)
        if not len(among):
            return
        paths, venue_of = len(returns), self.venue_of[among]
        shocks = generator.standard_normal((paths, len(self.venue)), np.float32)
        shocks *= _single(np.sqrt(self.venue))
        moved = generator.standard_normal((paths, len(among)), np.float32)
        moved *= _single(np.sqrt(self.own[among]))
        moved += np.take(shocks, venue_of, axis=1)
        moved -= _single(0.5 * (self.own[among] + self.venue[venue_of]))
        np.expm1(moved, out=moved)
        returns[:, among] += moved * (1.0 + np.take(coins, self.owner[among], axis=1))


def _single(x: FloatArray) -> NDArray[np.float32]:
    return x.astype(np.float32)


def each_alone(count: int) -> Contracts:
    """Return `count` contracts, each of a coin of its own."""
    nothing = np.zeros(count)
    return Contracts(np.arange(count), nothing, np.zeros(1), np.zeros(count, np.int64))


def check_contracts(contracts: Contracts, coins: int) -> None:
    """Refuse contracts that do not belong to `coins` coins, or whose basis has no variance.

    Raises
    ------
    EstimationError
        When an owner or venue is out of range, shapes do not fit, or a variance is negative or
        not finite.
    """
    shape = contracts.owner.shape
    fits = contracts.own.shape == contracts.venue_of.shape == shape and contracts.owner.size > 0
    if not (fits and _within(contracts.owner, coins)):
        raise EstimationError(
            f"expected contracts of {coins} coins, was {shape} with owners "
            f"{contracts.owner.tolist()}; number the coins from 0"
        )
    if not _within(contracts.venue_of, len(contracts.venue)):
        raise EstimationError(
            f"expected contracts of {len(contracts.venue)} venues, was "
            f"{contracts.venue_of.tolist()}; number the venues from 0"
        )
    variances = np.concatenate([contracts.own, contracts.venue])
    if not (np.isfinite(variances).all() and (variances >= 0.0).all()):
        bad = variances[~(variances >= 0.0)]
        raise EstimationError(f"expected basis variances of 0 or more, was {bad[:1]}; mend them")


def _within(index: IntArray, count: int) -> bool:
    return bool(((index >= 0) & (index < count)).all())
