"""Numbers and paths as a person gives them: read strictly, refused in one line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from perptui.model.errors import InputError
from perptui.model.given import number, shown

UNIVERSE_SIZE = 8
"""Of a universe whose size is not given: a book holds the top 5 to 10."""
UNIVERSE_MOST = 500


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
