"""Figures as a trader reads them: signs, thousands, percents, ages. Unknown is "·", never zero."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from math import floor, log10

UNKNOWN = "·"
NONE = "none"
"""What is known not to be there: a book that no move of prices liquidates."""
MINUS = "−"
UP = "▲"
DOWN = "▼"

Number = Decimal | float | int

VENUE_NAMES = {"binanceusdm": "binance"}

_HYPHEN = re.compile(r"(?<![\w.:])-(?=\.?\d)")
"""The hyphen before a figure, and none within a date or a name."""
_CONTRACT = re.compile(r"\b[a-z][a-z0-9]*:[A-Za-z0-9]+/[A-Z0-9]+(?::[A-Z0-9-]+)?")


def _signless_zero(text: str) -> str:
    """Return `text` without a sign when all its digits are zero: there is no −0."""
    return text.lstrip("+-") if not any(c in "123456789" for c in text) else text


def with_minus(text: str) -> str:
    """Return `text` with the minus of its negative figures as it is written everywhere else."""
    return _HYPHEN.sub(MINUS, text)


def number(value: Number | None, digits: int = 0, *, sign: bool = False) -> str:
    """Return `value` with thousands and `digits` decimals; `sign` writes + before a gain."""
    if value is None:
        return UNKNOWN
    text = _signless_zero(f"{value:{'+' if sign else ''},.{digits}f}")
    return text.replace("-", MINUS)


def signed(value: Number | None, digits: int = 0) -> str:
    """Return `value` with its sign, always."""
    return number(value, digits, sign=True)


def arrow(value: Number | None) -> str:
    """Return ▲ for a gain, ▼ for a loss, a space for nothing."""
    if value is None or value == 0:
        return " "
    return UP if value > 0 else DOWN


def bare(text: str) -> str:
    """Return `text` without the zero before its decimal point: "+0.620" is "+.620"."""
    for sign in ("+", MINUS, ""):
        if text.startswith(f"{sign}0."):
            return sign + text[len(sign) + 1 :]
    return text


def short_money(value: Number | None, *, sign: bool = False) -> str:
    """Return dollars in at most seven characters: 404.3k, 1.204M."""
    if value is None:
        return UNKNOWN
    size = abs(float(value))
    if size >= 999_950:
        return number(float(value) / 1e6, 3 if size < 99e6 else 1, sign=sign) + "M"
    if size >= 999.95:
        return number(float(value) / 1e3, 1, sign=sign) + "k"
    return number(value, 0, sign=sign)


def price(value: Number | None) -> str:
    """Return a price with about six significant digits."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    digits = 5 - floor(log10(abs(float(value))))
    return number(value, min(max(digits, 1), 10))


def percent(value: Number | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return the fraction `value` in percent without its mark: 0.021 is "2.1"."""
    if value is None:
        return UNKNOWN
    return number(value * 100, digits, sign=sign)


def rate(value: Number | None) -> str:
    """Return a funding rate, a fraction of notional, in percent: "+0.0100%"."""
    return UNKNOWN if value is None else percent(value, 4, sign=True) + "%"


def multiple(value: Number | None, digits: int = 2) -> str:
    """Return a multiple of equity: "3.02x"."""
    return UNKNOWN if value is None else bare(number(value, digits)) + "x"


def weight(value: Number | None, digits: int = 3) -> str:
    """Return a signed weight, a fraction of equity: "−.446"."""
    return bare(signed(value, digits))


def probability(value: float | None) -> str:
    """Return a probability as ".86"."""
    return bare(number(value, 2))


def p_value(value: float | None) -> str:
    """Return a test's p-value: ".31", "<.001"."""
    if value is None:
        return UNKNOWN
    if value < 0.001:
        return "<.001"
    return bare(number(value, 3 if value < 0.01 else 2))


def age(seconds: float | None) -> str:
    """Return an age in its largest unit: "2 s", "3 min", "5 h", "4 d"."""
    if seconds is None:
        return UNKNOWN
    whole = max(int(seconds), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= (size if size > 60 else 120):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def short_age(seconds: float | None) -> str:
    """Return an age without its space: "2s", "3m"."""
    return age(seconds).replace(" ", "").replace("min", "m")


def countdown(milliseconds: int | None) -> str:
    """Return the time left as M:SS, H:MM:SS or days; "now" when it has passed."""
    if milliseconds is None:
        return UNKNOWN
    seconds = milliseconds // 1000
    if seconds < 0:
        return "now"
    if seconds >= 2 * 86_400:
        return f"{seconds // 86_400} d"
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def _moment(utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms / 1000, tz=UTC)


def clock_time(utc_ms: int | None, spec: str = "%H:%M:%S") -> str:
    """Return a venue time of day, UTC."""
    return UNKNOWN if utc_ms is None else _moment(utc_ms).strftime(spec)


def since(utc_ms: int | None, now_ms: int) -> str:
    """Return a venue time as HH:MM, with the day before it when that is not today's."""
    if utc_ms is None:
        return UNKNOWN
    same_day = utc_ms // 86_400_000 == now_ms // 86_400_000
    return clock_time(utc_ms, "%H:%M" if same_day else "%d %b %H:%M")


def venue(name: str, *, short: bool = False) -> str:
    """Return a venue's name on screen; `short` is three letters."""
    shown = VENUE_NAMES.get(name, name)
    return shown[:3] if short else shown


def contract(of: str) -> str:
    """Return an instrument id as coin and venue, ``BTC binance``; a venue alone as its name."""
    name, _, symbol = of.partition(":")
    return f"{symbol.partition('/')[0]} {venue(name)}" if symbol else venue(name)


def named(text: str) -> str:
    """Return `text` with its instrument ids as coin and venue, and venues' ids as their names."""
    return known_venues(_CONTRACT.sub(lambda found: contract(found[0]), text))


def known_venues(text: str) -> str:
    """Return `text` with the venues' ccxt ids as their names on screen."""
    for identifier, shown in VENUE_NAMES.items():
        text = text.replace(identifier, shown)
    return text


def side(contracts: Number) -> str:
    """Return LONG, SHORT or FLAT."""
    if contracts > 0:
        return "LONG"
    return "SHORT" if contracts < 0 else "FLAT"


def in_unit(value: float | None, unit: str, *, sign: bool = False) -> str:
    """Return a limit's or comparison's figure in its unit.

    `unit`: x (multiple of equity), fraction (percent), annual (percent a year), usd, usd_day.
    """
    if value is None:
        return UNKNOWN
    if unit == "x":
        return bare(number(value, 2, sign=sign)) + "x"
    if unit in {"fraction", "annual"}:
        if abs(value) >= 10.0:
            return ">+999%" if value > 0 else f"<{MINUS}999%"
        return percent(value, 1, sign=sign) + "%"
    return number(value, 0 if unit == "usd" else 1, sign=sign or unit == "usd_day")


def short_signed(value: Number | None) -> str:
    """Return dollars in few characters, with their sign."""
    return short_money(value, sign=True)


def thousands(value: Number) -> str:
    """Return whole thousands: 261k."""
    return f"{number(float(value) / 1000)}k"


def whole(value: float | None) -> str:
    """Return whole percent; a move of ten times and more is only said to be that."""
    if value is not None and abs(value) >= 10.0:
        return ">+999" if value > 0 else "<−999"
    return percent(value, 0, sign=True)


def both_ways(down: float | None, up: float | None) -> str:
    """Return both distances, of which one at most is none."""
    if down is None:
        return f"{NONE}/{whole(up)}%"
    return f"{whole(down)}/{whole(up)}%" if up is not None else f"{whole(down)}%/{NONE}"
