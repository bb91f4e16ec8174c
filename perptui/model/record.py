"""The base of all records: frozen, and closed to NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

Check = Callable[[Any], bool]


def _finite(value: Any) -> bool:
    """Return whether every float and Decimal in `value` is finite."""
    check = _CHECKS[type(value)]
    return check is None or check(value)


def _finite_items(values: tuple[Any, ...]) -> bool:
    kinds = set(map(type, values))
    if len(kinds) == 1:
        # Rows of matrices, and records, are checked without a call each.
        check = _CHECKS[kinds.pop()]
        return check is None or all(map(check, values))
    return all(map(_finite, values))


def _finite_values(entries: dict[Any, Any]) -> bool:
    return all(map(_finite, entries.values()))


class _Checks(dict[type, Check | None]):
    """How values of each type are looked at, None where they are finite whatever they are.

    Of a type not met before it is found out once; a record was looked at when it was made.
    """

    def __missing__(self, kind: type) -> Check | None:
        bases = (base for base in (float, Decimal, tuple, dict) if issubclass(kind, base))
        return self.setdefault(kind, self.get(next(bases, str)))


_CHECKS = _Checks(
    {
        float: math.isfinite,
        Decimal: Decimal.is_finite,
        tuple: _finite_items,
        dict: _finite_values,
        **dict.fromkeys((str, int, bool, bytes, type(None))),
    }
)


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
        values = msgspec.structs.astuple(self)
        for value in values:
            check = _CHECKS[type(value)]
            if check is not None and not check(value):
                break
        else:
            return
        wrong = next(k for k, value in enumerate(values) if not _finite(value))
        raise ValueError(
            f"expected a finite {type(self).__name__}.{self.__struct_fields__[wrong]}, "
            f"was {_first_wrong(values[wrong])}; drop the observation"
        )
