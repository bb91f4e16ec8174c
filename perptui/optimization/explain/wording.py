"""Figures of limits as a trader says them: shares in percent, multiples with an x."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from perptui.model.money import decimal_of, plain

DIGITS = 3
"""Significant digits."""
MULTIPLES = frozenset(
    {
        "gross_max",
        "net_min",
        "net_max",
        "coin_net_max",
        "coin_gross_max",
        "venue_gross_max",
        "cluster_gross_max",
    }
)
PLAIN = frozenset({"beta_max", "market_correlation_max"})
DOLLARS = frozenset({"order_notional_max_usd", "ticket_notional_max_usd"})


def figure(setting: str, value: float, *, outward_from: float | None = None) -> str:
    """Return a value of a setting, to three digits.

    Parameters
    ----------
    outward_from : float, optional
        Where the value has been relaxed from: it is rounded away from there, so that what is
        written does what it says.
    """
    scale, unit = _unit(setting)
    rounding = ROUND_HALF_EVEN
    if outward_from is not None:
        rounding = ROUND_FLOOR if value < outward_from else ROUND_CEILING
    return plain(_significant(decimal_of(value, setting) * scale, rounding)) + unit


def _unit(setting: str) -> tuple[int, str]:
    if setting in MULTIPLES:
        return 1, "x"
    if setting in DOLLARS:
        return 1, " USD"
    if setting in PLAIN:
        return 1, ""
    return 100, "%"


def _significant(value: Decimal, rounding: str) -> Decimal:
    if value == 0:
        return value
    place = Decimal(1).scaleb(value.adjusted() - DIGITS + 1)
    return value.quantize(place, rounding=rounding)


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
