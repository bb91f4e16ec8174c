"""What every tier counts: how it went, and which faults struck where with what outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec


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
    """

    name: str
    asked: int
    done: int
    violations: list[str]
    seconds: float

    @property
    def ok(self) -> bool:
        """True when all that was asked for ran and nothing was violated."""
        return self.done >= self.asked and not self.violations


class Coverage:
    """Counts (fault, endpoint, outcome): which faults struck, where, and what came of it."""

    def __init__(self, counts: Iterable[tuple[tuple[str, str, str], int]] = ()) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter(dict(counts))

    def note(self, fault: str, endpoint: str, outcome: str, times: int = 1) -> None:
        """Count `fault` striking `endpoint`, such as "order", with what came of it."""
        self.counts[fault, endpoint, outcome] += times

    def add(self, other: Coverage) -> None:
        """Take over what another process counted; a Coverage can be pickled."""
        self.counts.update(other.counts)

    def rows(self) -> list[tuple[str, str, int, str]]:
        """Return (fault, endpoint, times, "outcome n, outcome n"), sorted."""
        pairs = sorted({(fault, endpoint) for fault, endpoint, _ in self.counts})
        return [self._row(fault, endpoint) for fault, endpoint in pairs]

    def _row(self, fault: str, endpoint: str) -> tuple[str, str, int, str]:
        found = {
            outcome: times
            for (one, other, outcome), times in self.counts.items()
            if (one, other) == (fault, endpoint)
        }
        words = ", ".join(f"{outcome} {times}" for outcome, times in sorted(found.items()))
        return fault, endpoint, sum(found.values()), words
