"""Canonical JSON (RFC 8785) and SHA-256 digests of records.

Decimals are written as strings without exponent, so a digest never depends on how a number was
entered; floats follow ECMAScript's shortest form as RFC 8785 §3.2.2.3 asks.
"""

from __future__ import annotations

import hashlib
import json
import math
from decimal import Decimal
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


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_write(key)}:{_write(item)}" for key, item in ordered) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_write(item) for item in value) + "]"
    raise TypeError(f"expected a JSON value, was {type(value).__name__}; convert it first")


def _decimals_as_text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _decimals_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_decimals_as_text(item) for item in value]
    return value


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a record or plain value, UTF-8.

    Raises
    ------
    TypeError, ValueError
        For a value JSON cannot hold, such as NaN.
    """
    builtins = msgspec.to_builtins(value, builtin_types=(Decimal,))
    return _write(_decimals_as_text(builtins)).encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
