"""Decimal arithmetic on steps and ticks; the only way text and numbers become money."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Decimal,
    InvalidOperation,
)

ZERO = Decimal(0)
CENT = Decimal("0.01")


def _parsed(value: object) -> Decimal | None:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def decimal_of(value: object, name: str) -> Decimal:
    """Return `value` (str, int, float or Decimal) as a finite Decimal.

    A float goes through its shortest decimal form, so 0.1 becomes Decimal("0.1").

    Raises
    ------
    ValueError
        When `value` is missing, a bool, not a number, or not finite.
    """
    number = _parsed(value)
    if number is None:
        raise ValueError(f"expected a number for {name}, was {value!r}; refuse the payload")
    if not number.is_finite():
        raise ValueError(f"expected a finite {name}, was {value!r}; refuse the payload")
    return number


def _to_multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        raise ValueError(f"expected a positive step, was {step}; mend the instrument")
    return ((value / step).to_integral_value(rounding=rounding) * step).normalize() + ZERO


def truncate_to_step(contracts: Decimal, step: Decimal) -> Decimal:
    """Round signed `contracts` toward zero to a multiple of `step`: never a larger position."""
    return _to_multiple(contracts, step, ROUND_DOWN)


def nearest_step(contracts: Decimal, step: Decimal) -> Decimal:
    """Round signed `contracts` to the nearest multiple of `step`, ties to even."""
    return _to_multiple(contracts, step, ROUND_HALF_EVEN)


def floor_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Round `price` down to a multiple of `tick` (a buyer's limit)."""
    return _to_multiple(price, tick, ROUND_FLOOR)


def ceil_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Round `price` up to a multiple of `tick` (a seller's limit)."""
    return _to_multiple(price, tick, ROUND_CEILING)


def to_cents(usd: Decimal) -> Decimal:
    """Round dollars to the cent, ties to even; never -0.

    The rounding is named: ccxt changes the one of the thread's decimal context.
    """
    return usd.quantize(CENT, rounding=ROUND_HALF_EVEN) + ZERO


def plain(value: Decimal) -> str:
    """Return `value` without exponent or trailing zeros: ``Decimal("1E+2")`` is "100"."""
    text = str(value)
    if "E" in text:
        text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
