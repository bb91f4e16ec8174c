"""What was worked out of the same records before: kept for the last few, made anew for others."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """The `most` results last asked for of a pure function of frozen records and arrays.

    Large arguments are the same only as one and the same object: nothing is compared in depth, and
    what is kept holds them, so that no other object takes their place. Small ones are compared.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: list[tuple[tuple[object, ...], tuple[object, ...], Made]] = []

    def of(
        self, same: tuple[object, ...], equal: tuple[object, ...], make: Callable[[], Made]
    ) -> Made:
        """Return what `make` returns, or returned for the same arguments before.

        Parameters
        ----------
        same : tuple
            Arguments that must be the very objects of that time.
        equal : tuple
            Arguments that must equal those.
        """
        for place, entry in enumerate(self._made):
            if _identical(entry[0], same) and entry[1] == equal:
                # What is asked for again outlives what is not.
                self._made.append(self._made.pop(place))
                return entry[2]
        made = make()
        self._made.append((same, equal, made))
        del self._made[: -self._most]
        return made


def _identical(ones: tuple[object, ...], others: tuple[object, ...]) -> bool:
    return len(ones) == len(others) and all(map(is_, ones, others))
