"""What every tier counts: how it went, and which faults struck where with what outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

Cell = tuple[str, str, str]
"""Tier, fault, endpoint."""
Key = tuple[str, str, str, str]
"""Tier, fault, endpoint, outcome."""


class TierResult(msgspec.Struct, frozen=True):
    """How one tier of the campaign went.

    Attributes
    ----------
    name : str
        The tier's name, as it is printed.
    asked, done : int
        How many cases were asked for, and how many ran to their end.
    violations : list[str]
        One line a violation, with the command that replays it.
    seconds : float
        Wall time.
    cpu_s : float
        Processor time of its processes, seconds; 0 where nobody measured.
    """

    name: str
    asked: int
    done: int
    violations: list[str]
    seconds: float
    cpu_s: float = 0.0

    @property
    def ok(self) -> bool:
        """True when all that was asked for ran and nothing was violated."""
        return self.done >= self.asked and not self.violations


class Coverage:
    """Counts (fault, endpoint, outcome): which faults struck, where, and what came of it.

    Parameters
    ----------
    tier : str
        Whose faults `note` counts; each tier names endpoints its own way.
    """

    def __init__(self, tier: str = "sessions", counts: Iterable[tuple[Key, int]] = ()) -> None:
        self.tier = tier
        self.counts: Counter[Key] = Counter(dict(counts))

    def note(self, fault: str, endpoint: str, outcome: str, times: int = 1) -> None:
        """Count `fault` striking `endpoint`, such as "order", with what came of it."""
        self.counts[self.tier, fault, endpoint, outcome] += times

    def add(self, other: Coverage) -> None:
        """Take over what another process counted; a Coverage can be pickled."""
        self.counts.update(other.counts)

    def cells(self) -> Counter[Cell]:
        """Return how often each (tier, fault, endpoint) was struck."""
        cells: Counter[Cell] = Counter()
        for (tier, fault, endpoint, _), times in self.counts.items():
            cells[tier, fault, endpoint] += times
        return cells

    def rows(self) -> list[tuple[str, str, str, int, str]]:
        """Return (tier, fault, endpoint, times, "outcome n, outcome n"), sorted."""
        words: dict[Cell, list[str]] = {}
        for (tier, fault, endpoint, outcome), times in sorted(self.counts.items()):
            words.setdefault((tier, fault, endpoint), []).append(f"{outcome} {times}")
        cells = self.cells()
        return [(*cell, cells[cell], ", ".join(found)) for cell, found in sorted(words.items())]
