"""Numbers and stamps out of a venue's payload, or a refusal: nothing missing becomes zero."""

from __future__ import annotations

import re
from decimal import Decimal

from perptui.model.errors import BadResponse
from perptui.model.money import decimal_of
from perptui.model.text import safe_text

LARGEST = Decimal(10) ** 20
LARGEST_FLOAT = 1e20
FINEST_EXPONENT = -24
EARLIEST_MS = 1_230_768_000_000
"""2009-01-01: no venue had a clock before it."""

LATEST_MS = 7_258_118_400_000
"""2200-01-01."""

_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,24})?").fullmatch
_SCIENTIFIC = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?").fullmatch


def bad(what: str, value: object, cure: str = "refuse the payload") -> BadResponse:
    """Return the error for a field that is not what the endpoint promises."""
    return BadResponse(f"expected {what}, was {safe_text(repr(value))}; {cure}", "BAD_RESPONSE")


def number(text: object, name: str) -> Decimal:
    """Return a finite number of sane size.

    Raises
    ------
    BadResponse
        When it is missing, not a number, not finite, or out of 1e-24 .. 1e20.
    """
    if isinstance(text, str) and _PLAIN(text):
        return Decimal(text)
    if isinstance(text, str) and not _SCIENTIFIC(text):
        raise bad(f"a number for {name}", text)
    try:
        value = decimal_of(text, name)
    except ValueError:
        raise bad(f"a number for {name}", text) from None
    exponent = value.as_tuple().exponent
    if abs(value) > LARGEST or not isinstance(exponent, int) or exponent < FINEST_EXPONENT:
        raise bad(f"a number of sane size for {name}", text)
    return value


def float_of(text: object, name: str) -> float:
    """Return a finite number of at least zero and of sane size, for estimators, not for money.

    Raises
    ------
    BadResponse
        When it is not a numeral in text, negative, or above 1e20.
    """
    if not isinstance(text, str) or not _SCIENTIFIC(text):
        raise bad(f"a number for {name}", text)
    value = float(text)
    if not 0 <= value <= LARGEST_FLOAT:
        raise bad(f"{name} of at least zero and of sane size", text)
    return value


def positive(text: object, name: str) -> Decimal:
    """Return a number above zero, or raise BadResponse."""
    value = number(text, name)
    if value <= 0:
        raise bad(f"{name} above zero", text)
    return value


def unsigned(text: object, name: str) -> Decimal:
    """Return a number of at least zero, or raise BadResponse."""
    value = number(text, name)
    if value < 0:
        raise bad(f"{name} of at least zero", text)
    return abs(value)


def positive_or_none(text: object, name: str) -> Decimal | None:
    """Return a number above zero; None for a field left out, empty or zero as "not known"."""
    if text is None or text == "":
        return None
    return unsigned(text, name) or None


def number_or_none(text: object, name: str) -> Decimal | None:
    """Return a number, None for a field left out or empty."""
    return None if text is None or text == "" else number(text, name)


def stamp(value: int, name: str) -> int:
    """Return milliseconds since the epoch of a plausible time, or raise BadResponse."""
    if not EARLIEST_MS <= value < LATEST_MS:
        raise bad(f"{name} in milliseconds since the epoch", value)
    return value


def fraction(text: object, name: str, bound: int = 1) -> Decimal:
    """Return a signed fraction of size below `bound`, or raise BadResponse."""
    value = number(text, name)
    if abs(value) >= bound:
        raise bad(f"{name} between -{bound} and {bound}", text)
    return value
