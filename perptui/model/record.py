"""The base of all records: frozen, and closed to NaN and infinity."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec

_WITHOUT_NUMBERS = frozenset((str, int, bool, bytes, type(None)))
"""Types whose values are finite whatever they are: most fields, passed over at once."""


def _finite(value: Any) -> bool:
    """Return whether every float and Decimal in `value` is finite."""
    kind = type(value)
    if kind in _WITHOUT_NUMBERS:
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, tuple):
        if value and isinstance(value[0], Record):
            return _all_records(value) or all(map(_finite, value))
        return _all_finite(value) or all(map(_finite, value))
    return all(map(_finite, value.values())) if isinstance(value, dict) else True


def _all_finite(values: tuple[Any, ...]) -> bool:
    """Return whether all are finite numbers: rows of matrices are checked without a call each."""
    try:
        return all(map(math.isfinite, values))
    except (TypeError, ValueError, OverflowError):
        return False


def _all_records(values: tuple[Any, ...]) -> bool:
    """Return whether all are records, each of which was looked at when it was made."""
    return all(issubclass(kind, Record) for kind in set(map(type, values)))


def _first_wrong(value: Any) -> Any:
    """Return the first number in `value` that is not finite."""
    if isinstance(value, tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        return _first_wrong(next(item for item in items if not _finite(item)))
    return value


class Record(msgspec.Struct, frozen=True, gc=False):
    """A frozen record whose floats and decimals are finite (msgspec alone accepts NaN).

    What is frozen holds nothing younger than itself, so no cycle: the collector passes over it.

    Raises
    ------
    ValueError
        When a float or Decimal field, or one inside a tuple or dict, is NaN or infinite.
        While decoding, msgspec turns it into ``msgspec.ValidationError``.
    """

    def __post_init__(self) -> None:
        for value in msgspec.structs.astuple(self):
            kind = type(value)
            if kind in _WITHOUT_NUMBERS:
                continue
            if not (math.isfinite(value) if kind is float else _finite(value)):
                break
        else:
            return
        values = msgspec.structs.astuple(self)
        wrong = next(k for k, value in enumerate(values) if not _finite(value))
        raise ValueError(
            f"expected a finite {type(self).__name__}.{self.__struct_fields__[wrong]}, "
            f"was {_first_wrong(values[wrong])}; drop the observation"
        )
