"""The base of all records: frozen, and closed to NaN and infinity."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec


def _refuse_non_finite(owner: str, field: str, value: Any) -> None:
    if isinstance(value, float):
        finite = math.isfinite(value)
    elif isinstance(value, Decimal):
        finite = value.is_finite()
    elif isinstance(value, tuple):
        if not _all_finite(value):
            for item in value:
                _refuse_non_finite(owner, field, item)
        return
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_non_finite(owner, field, item)
        return
    else:
        return
    if not finite:
        raise ValueError(f"expected a finite {owner}.{field}, was {value}; drop the observation")


def _all_finite(values: tuple[Any, ...]) -> bool:
    """Return whether all are finite numbers: rows of matrices are checked without a call each."""
    try:
        return all(map(math.isfinite, values))
    except (TypeError, ValueError, OverflowError):
        return False


class Record(msgspec.Struct, frozen=True):
    """A frozen record whose floats and decimals are finite (msgspec alone accepts NaN).

    Raises
    ------
    ValueError
        When a float or Decimal field, or one inside a tuple or dict, is NaN or infinite.
        While decoding, msgspec turns it into ``msgspec.ValidationError``.
    """

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            _refuse_non_finite(type(self).__name__, field, getattr(self, field))
