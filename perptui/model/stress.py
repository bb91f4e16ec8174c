"""Named stresses: moves of prices that the book must survive, and be judged by."""

from __future__ import annotations

from perptui.model.record import Record


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
