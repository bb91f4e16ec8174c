"""Scenarios of the horizon as the program sees them: a return for each contract on each path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.optimization.inputs import FloatArray

EVERY = "*"
"""Stands for every coin in a named stress."""


@dataclass(frozen=True, eq=False)
class HorizonScenarios:
    """S equally likely paths of M contracts and C coins over the horizon; nothing is expected.

    Attributes
    ----------
    ids : tuple of M str
        Contracts that are estimated.
    centred : (S, M) array
        r - F of a unit long in each, without drift and without the mean of its funding.
    coins : tuple of C str
    coin_moves : (S, C) array
        Simple price returns of coins, without drift.
    silent : str
        Why there are none (S = 0); "" where there are.
    """

    ids: tuple[str, ...]
    centred: FloatArray
    coins: tuple[str, ...]
    coin_moves: FloatArray
    silent: str = ""

    @classmethod
    def none(cls, why: str = "") -> HorizonScenarios:
        """Return no scenarios, with the reason; "" where nobody asked for them."""
        return cls((), np.zeros((0, 0)), (), np.zeros((0, 0)), why)

    @property
    def paths(self) -> int:
        """S."""
        return len(self.centred)

    def with_stresses(
        self,
        coin_of: Mapping[str, str],
        named: Mapping[str, Mapping[str, float]],
        probability: float,
    ) -> HorizonScenarios:
        """Return the scenarios with each named stress among them, at a probability of its own.

        Paths are equally likely: a stress is repeated as often as gives it its share, the nearest
        there is and at least once. Its moves are those of prices; funding and drift are what is
        expected on every other path too. Without paths, or at no probability, nothing changes.

        Parameters
        ----------
        coin_of : mapping of str to str
            Coin of each contract of `ids`.
        named : mapping of str to mapping of str to float
            As in `stress_moves`.
        probability : float
            Of each stress, within the horizon.
        """
        if not (self.paths and named and probability > 0.0):
            return self
        left = 1.0 - probability * len(named)
        if left <= 0.0:
            raise OptimizationError(
                f"expected stresses that leave other paths, was {len(named)} of {probability:.1%} "
                "within the horizon; lower stress.times_a_year"
            )
        times = max(round(self.paths * probability / left), 1)

        def repeated(coins: Sequence[str]) -> FloatArray:
            moves = stress_moves(coins, 0.0, named)[0][2:]
            return np.repeat(moves, times, axis=0)

        return replace(
            self,
            centred=np.vstack([self.centred, repeated([coin_of[name] for name in self.ids])]),
            coin_moves=np.vstack([self.coin_moves, repeated(self.coins)]),
        )

    def returns(self, ids: Sequence[str], expected: FloatArray, position: FloatArray) -> FloatArray:
        """Return r - F of a unit long in each of N contracts on each path, (S, N).

        A contract without scenarios has no choice of weight; it loses on every path as much as
        the wildest known contract moves, whichever way that is, so that it never hedges.

        Parameters
        ----------
        expected : (N,) array
            Expected return of a unit long over the horizon, funding included.
        position : (N,) array
            Weights of which the signs tell a held long from a held short; used only for contracts
            without scenarios.

        Raises
        ------
        OptimizationError
            When shapes differ or a number is not finite.
        """
        shapes = expected.shape == position.shape == (len(ids),)
        if not (shapes and np.isfinite(expected).all() and np.isfinite(position).all()):
            raise OptimizationError(
                f"expected {len(ids)} finite means and weights, was {expected.shape} and "
                f"{position.shape}; pose the program anew"
            )
        if not self.paths:
            return np.zeros((0, len(ids)))
        place = {name: column for column, name in enumerate(self.ids)}
        column = np.array([place.get(name, -1) for name in ids])
        found = self.centred[:, column] + expected
        strangers = np.flatnonzero(column < 0)
        if len(strangers):
            side = np.where(position[strangers] < 0.0, -1.0, 1.0)
            found[:, strangers] = -np.outer(self._wildest, side)
        return found

    @cached_property
    def _wildest(self) -> FloatArray:
        """Return the absolute moves of the contract that varies most, (S,)."""
        widest = int(np.square(self.centred).mean(axis=0).argmax())
        return np.abs(self.centred[:, widest])

    def notes(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return what a trader must know about the scenarios of these contracts."""
        if not self.paths:
            return (f"CVaR is not judged: {self.silent}",) if self.silent else ()
        known = set(self.ids)
        return tuple(
            f"{name} has no scenarios: it is taken to lose as much as the wildest contract moves"
            for name in ids
            if name not in known
        )

    def moves_of(self, coin: str) -> FloatArray:
        """Return the simple price returns of a coin, (S,).

        Raises
        ------
        OptimizationError
            When the coin is not among them.
        """
        if coin not in self.coins:
            raise OptimizationError(
                f"expected a coin with scenarios, was {coin} (there are {', '.join(self.coins)}); "
                "wait for its history"
            )
        moves: FloatArray = self.coin_moves[:, self.coins.index(coin)]
        return moves


def stress_moves(
    coins: Sequence[str],
    distance: float,
    named: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the moves of the margin stress, (Q, N), and their names (Q,).

    The first two are common moves by the least liquidation distance, up and down.

    Parameters
    ----------
    coins : sequence of N str
        Coin of each contract: contracts of one coin move together.
    distance : float
        The least common move that may liquidate, fraction.
    named : mapping of str to mapping of str to float
        Further stresses: moves by coin, ``*`` for every other coin; fractions above -1.

    Raises
    ------
    OptimizationError
        When a move takes a price to zero or below, or a name is taken.
    """
    rows = [[distance] * len(coins), [-distance] * len(coins)]
    names = ["up", "down"]
    for name, moves in (named or {}).items():
        if name in names:
            raise OptimizationError(
                f"expected a new name of a stress, was {name!r}; choose another"
            )
        row = [moves.get(coin, moves.get(EVERY, 0.0)) for coin in coins]
        if min(row, default=0.0) <= -1.0:
            raise OptimizationError(
                f"expected moves above -1 in stress {name!r}, was {min(row):g}; mend it"
            )
        rows.append(row)
        names.append(name)
    return np.array(rows, dtype=float).reshape(len(rows), len(coins)), tuple(names)
