"""Named stresses: moves of prices that the book must survive, and be judged by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perptui.model.record import Record
from perptui.model.whatif import EVERY


class Stress(Record, frozen=True):
    """Named stresses of the desk, beside the common moves by the least liquidation distance.

    Attributes
    ----------
    moves : dict of str to dict of str to float
        By name: moves of prices by coin, ``*`` for every other coin, fractions above -1.
    times_a_year : float
        How often each of them comes: among the scenarios of CVaR it has the probability that it
        comes within the horizon; 0: it has none, and only margin must survive it.
    """

    moves: dict[str, dict[str, float]] = {}
    times_a_year: float = 0.0

    def bent(self, moves: Mapping[str, float]) -> Stress:
        """Return the stresses with other moves, as `WhatIf.stresses` has them."""
        if not moves:
            return self
        mine = {name: dict(by_coin) for name, by_coin in self.moves.items()}
        for key, move in moves.items():
            name, _, coin = key.partition(":")
            mine.setdefault(name, {})[coin or EVERY] = move
        return msgspec.structs.replace(self, moves=mine)
