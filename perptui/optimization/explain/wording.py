"""Figures of limits as a trader says them: shares in percent, multiples with an x."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from perptui.model.explanation import outward
from perptui.model.money import decimal_of, plain

DIGITS = 3
"""Significant digits of a limit as it stands."""
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
SHARES = frozenset({"standalone_risk_max", "first_component_max"})
"""Shares of the volatility limit in force, whose limits are volatilities."""
TARGET = "target:"
DOLLARS = frozenset({"order_notional_max_usd", "ticket_notional_max_usd"})


def figure(setting: str, value: float, *, outward_from: float | None = None) -> str:
    """Return a value of a setting, to three digits.

    Parameters
    ----------
    outward_from : float, optional
        Where the value has been relaxed from: it is rounded away from there, so that what is
        written does what it says, and as everywhere else.
    """
    scale, unit = _unit(setting)
    exact = decimal_of(value, setting)
    if outward_from is None:
        return plain(_significant(exact * scale)) + unit
    return plain(outward(exact, rising=value > outward_from) * scale) + unit


def _unit(setting: str) -> tuple[int, str]:
    if setting in MULTIPLES:
        return 1, "x"
    if setting in DOLLARS:
        return 1, " USD"
    if setting in PLAIN or setting.startswith(TARGET):
        return 1, ""
    if setting in SHARES:
        return 100, "% of volatility_max"
    return 100, "%"


def _significant(value: Decimal) -> Decimal:
    if value == 0:
        return value
    place = Decimal(1).scaleb(value.adjusted() - DIGITS + 1)
    return value.quantize(place, rounding=ROUND_HALF_EVEN)


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
