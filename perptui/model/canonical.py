"""Canonical JSON (RFC 8785) and SHA-256 digests of records.

Decimals are written as strings without exponent, so a digest never depends on how a number was
entered; floats follow ECMAScript's shortest form as RFC 8785 §3.2.2.3 asks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

import msgspec

from perptui.model.money import plain


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, was {value}; JSON has no word for it")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, _, exponent_text = f"{Decimal(repr(abs(value))):e}".partition("e")
    mantissa = digits.replace(".", "").rstrip("0")
    point = int(exponent_text) + 1
    count = len(mantissa)
    if count <= point <= 21:
        return sign + mantissa + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{mantissa[:point]}.{mantissa[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{mantissa}"
    head = mantissa[0] + (f".{mantissa[1:]}" if count > 1 else "")
    return f"{sign}{head}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def _float(value: float) -> str:
    """Return the text of a float; Python's own shortest form is it where no exponent stands."""
    text = repr(value)
    if "e" in text or "n" in text or value == 0:
        return _number(value)
    return text.removesuffix(".0")


@lru_cache(maxsize=1024)
def _ordered(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return each key with its text before the value, by UTF-16 code units.

    Kept: the fields of a record come in one order, thousands of times.
    """
    ordered = sorted(keys, key=lambda key: key.encode("utf-16-be"))
    return tuple((key, f"{encode_basestring(key)}:") for key in ordered)


def _object(value: dict[str, Any]) -> str:
    parts = [f"{before}{_write(value[key])}" for key, before in _ordered(tuple(value))]
    return f"{{{','.join(parts)}}}"


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    return f"[{','.join([_write(item) for item in value])}]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    float: _float,
    Decimal: lambda value: f'"{plain(value)}"',
    int: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    dict: _object,
    list: _array,
    tuple: _array,
}


def _write(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"expected a JSON value, was {type(value).__name__}; convert it first")
    return writer(value)


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a record or plain value, UTF-8.

    Raises
    ------
    TypeError, ValueError
        For a value JSON cannot hold, such as NaN.
    """
    return _write(msgspec.to_builtins(value, builtin_types=(Decimal,))).encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
