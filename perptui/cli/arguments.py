"""Numbers and paths as a person gives them: read strictly, refused in one line."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from perptui.model.errors import InputError
from perptui.model.text import safe_text

AMOUNT_MAX = Decimal("1e12")
"""Largest amount, in dollars or contracts, that is no slip of the pen."""
AMOUNT_MIN = Decimal("1e-12")
"""Least size of an amount other than zero."""
MOST_CHARACTERS = 64
UNIVERSE_SIZE = 8
"""Of a universe whose size is not given: a book holds the top 5 to 10."""
UNIVERSE_MOST = 500
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def number(text: object, name: str) -> Decimal:
    """Return a number written in plain ASCII digits, no larger than `AMOUNT_MAX` in size.

    Raises
    ------
    InputError
        When it is anything else: no text, digits of another script or grouped, too large.
    """
    plainly = isinstance(text, str) and len(text) <= MOST_CHARACTERS
    if not isinstance(text, str) or not plainly or not _NUMBER.fullmatch(text):
        raise InputError(f"expected a plain number for {name}, was {shown(text)}; write it as 1000")
    value = Decimal(text)
    if value and not AMOUNT_MIN <= abs(value) <= AMOUNT_MAX:
        raise InputError(
            f"expected {name} from {AMOUNT_MIN:g} to {AMOUNT_MAX:g} in size, was {shown(text)}; "
            "mend it"
        )
    return value


def shown(value: object) -> str:
    """Return what was given, short enough that the cure after it is still read."""
    return safe_text(repr(value))


def given_path(text: str) -> Path:
    """Return the path of an argument; an empty one is a variable that was not set.

    Raises
    ------
    InputError
        When it is empty.
    """
    if not text:
        raise InputError("expected a path, was an empty argument; name one")
    return Path(text)


def equity_usd(text: str) -> Decimal:
    """Return the amount of ``--equity``.

    Raises
    ------
    InputError
        When it is no positive number.
    """
    equity = number(text, "--equity")
    if equity <= 0:
        raise InputError(f"expected a positive amount for --equity, was {shown(text)}; give USD")
    return equity


def universe_size(text: str) -> int:
    """Return the size of a universe as an argument gives it.

    Raises
    ------
    InputError
        When it is no whole number from 1 to `UNIVERSE_MOST`.
    """
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= size <= UNIVERSE_MOST:
        raise InputError(
            f"expected a size from 1 to {UNIVERSE_MOST}, was {shown(text)}; "
            f"write it as {UNIVERSE_SIZE}"
        )
    return size
