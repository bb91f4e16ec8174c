"""Numbers as a person gives them: read strictly, refused in one line."""

from __future__ import annotations

import re
from decimal import Decimal

from perptui.model.errors import InputError
from perptui.model.text import safe_text

AMOUNT_MAX = Decimal("1e12")
"""Largest amount, in dollars or contracts, that is no slip of the pen."""
AMOUNT_MIN = Decimal("1e-12")
"""Least size of an amount other than zero."""
MOST_CHARACTERS = 64
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
        raise InputError(
            f"expected a plain number for {name}, was {shown(text)}; write it like 1000 or 0.25"
        )
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
