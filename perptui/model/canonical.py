"""Canonical JSON (RFC 8785) and SHA-256 digests of records.

Decimals are written as strings without exponent, so a digest never depends on how a number was
entered; floats follow ECMAScript's shortest form as RFC 8785 §3.2.2.3 asks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any

import msgspec

from perptui.model.money import plain

Writer = Callable[[Any], str]
_shortest = msgspec.json.Encoder().encode
_compact = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic").encode


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, was {value}; JSON has no word for it")
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
    """Return the text of a float: msgspec's shortest digits, ten times as fast as `repr`.

    They are the text where no exponent stands; "null", which it writes of NaN, has an n.
    """
    if not value:
        return "0"
    text = _shortest(value).decode()
    return _number(value) if "e" in text or "n" in text else text.removesuffix(".0")


def _by_utf16(key: str) -> bytes:
    """Return what RFC 8785 §3.2.3 sorts the names of an object by."""
    return key.encode("utf-16-be")


def _object(value: dict[str, Any]) -> str:
    # ASCII stands in the order of its bytes in UTF-16 too.
    names = sorted(value) if "".join(value).isascii() else sorted(value, key=_by_utf16)
    parts = [f"{encode_basestring(key)}:{_WRITERS[type(value[key])](value[key])}" for key in names]
    return f"{{{','.join(parts)}}}"


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    return f"[{','.join([_WRITERS[type(item)](item) for item in value])}]"


def _record(kind: type[msgspec.Struct]) -> Writer:
    """Return the writer of one type of records, whose names are sorted and quoted only here."""
    names = sorted(kind.__struct_fields__, key=_by_utf16)
    if len(names) < 2 or kind.__struct_config__.tag is not None:
        return _plainly
    text = f"{{{','.join(f'{encode_basestring(name)}:%s' for name in names)}}}"
    values = attrgetter(*names)
    return lambda record: text % (*[_WRITERS[type(value)](value) for value in values(record)],)


def _plainly(value: Any) -> str:
    """Return the text of a value that msgspec makes plain: a tagged record, a word of an enum."""
    return _write(msgspec.to_builtins(value, builtin_types=(Decimal,)))


class _Writers(dict[type, Writer]):
    """How values of each type are written; of a type not met before it is found out once."""

    def __missing__(self, kind: type) -> Writer:
        writer = _record(kind) if issubclass(kind, msgspec.Struct) else _plainly
        return self.setdefault(kind, writer)


_WRITERS = _Writers(
    {
        str: encode_basestring,
        float: _float,
        Decimal: lambda value: f'"{plain(value)}"',
        int: str,
        bool: {True: "true", False: "false"}.__getitem__,
        type(None): {None: "null"}.__getitem__,
        dict: _object,
        list: _array,
        tuple: _array,
    }
)


def _write(value: Any) -> str:
    return _WRITERS[type(value)](value)


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a record or plain value, UTF-8.

    Raises
    ------
    TypeError, ValueError
        For a value JSON cannot hold, such as NaN.
    """
    return _write(value).encode()


def canonical_text(value: Any) -> str:
    """Return the RFC 8785 form of a record or plain value as text.

    Raises
    ------
    TypeError, ValueError
        For a value JSON cannot hold, such as NaN.
    """
    return _write(value)


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_of_made(record: msgspec.Struct) -> str:
    """Return the SHA-256 of the MessagePack form of a record that was worked out, 64 hex digits.

    Fields stand in their order, entries of dicts by name. A tenth of the work of `digest_of`; for
    identity only, not for numbers that a person entered: of Decimals it sees 1.0 and 1.00 as two.
    """
    return hashlib.sha256(_compact(record)).hexdigest()
