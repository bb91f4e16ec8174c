"""Parameters of a strategy that hold several values: each is one text of a what-if.

=============================================  =================================================
assignment                                     what it says
=============================================  =================================================
``stablecoin_min=0.3``, ``=0,0,0.1,0.3``       one of all regimes; of calm, normal, stress, crisis
``soft_limits=net,cvar``                       names of limits, told from the least important on
``hedge_shorts=ID,ID``                         instrument ids
``holding_costs=binanceusdm:0.02``             VENUE:APR, fraction of notional a year
``soft_limits=none``                           none of them; so of each but those by regime
=============================================  =================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from perptui.model.errors import InputError
from perptui.model.given import number, shown
from perptui.model.instrument import VENUE_ALIASES, split_id
from perptui.model.money import plain
from perptui.model.strategy import REGIMES, SOFT_LIMITS, HoldingCost, StrategyParameters
from perptui.model.text import safe_text

NONE = "none"
"""Text of no values at all."""

_BY_REGIME = tuple(
    field.name
    for field in msgspec.structs.fields(StrategyParameters)
    if field.type == tuple[float, float, float, float]
)


def values_of(name: str, text: str) -> tuple[Any, ...]:
    """Return the values of a parameter in the types of its field.

    Raises
    ------
    InputError
        When the text holds no such values.
    """
    parts = [] if text == NONE else [part.strip() for part in text.split(",")]
    return SEVERAL[name](name, parts)


def text_of(values: Sequence[Any]) -> str:
    """Return values as they would be typed, the shortest: `values_of` gives them back."""
    texts = [_text(value) for value in values]
    if values and isinstance(values[0], float) and len(set(texts)) == 1:
        texts = texts[:1]
    return ",".join(texts) or NONE


def _text(value: Any) -> str:
    if isinstance(value, HoldingCost):
        return f"{value.venue}:{_text(value.apr)}"
    return plain(Decimal(repr(value))) if isinstance(value, float) else str(value)


def _by_regime(name: str, parts: Sequence[str]) -> tuple[float, ...]:
    if len(parts) not in {1, len(REGIMES)}:
        raise InputError(
            f"expected {name} of every regime or of {', '.join(REGIMES)}, was "
            f"{shown(','.join(parts) or NONE)}; write it like {name}=0.3 or {name}=0,0,0.1,0.3"
        )
    values = tuple(float(number(part, name)) for part in parts)
    return values if len(values) > 1 else values * len(REGIMES)


def _soft_limits(name: str, parts: Sequence[str]) -> tuple[str, ...]:
    unknown = [part for part in parts if part not in SOFT_LIMITS]
    if unknown:
        raise InputError(
            f"expected {name} among {', '.join(SOFT_LIMITS)}, was {shown(unknown[0])}; "
            f"write it like {name}=net,cvar or {name}={NONE}"
        )
    return tuple(sorted(dict.fromkeys(parts), key=lambda one: -SOFT_LIMITS[one]))


def _identifiers(name: str, parts: Sequence[str]) -> tuple[str, ...]:
    try:
        named = [split_id(part) for part in parts]
    except ValueError:
        raise InputError(
            f"expected instrument ids for {name}, was {shown(','.join(parts))}; "
            f"write it like {name}=binanceusdm:BTC/USDT:USDT or {name}={NONE}"
        ) from None
    return tuple(dict.fromkeys(safe_text(f"{venue}:{symbol}") for venue, symbol in named))


def _holding_costs(name: str, parts: Sequence[str]) -> tuple[HoldingCost, ...]:
    costs = {}
    for part in parts:
        named, colon, apr = part.partition(":")
        venue = VENUE_ALIASES.get(named, named)
        if not colon or not venue.isascii() or not venue.isalnum() or venue in costs:
            raise InputError(
                f"expected {name} as VENUE:APR, each venue once, was {shown(part)}; "
                f"write it like {name}=binanceusdm:0.02 or {name}={NONE}"
            )
        costs[venue] = HoldingCost(venue, float(number(apr, name)))
    return tuple(costs.values())


SEVERAL: dict[str, Callable[[str, Sequence[str]], tuple[Any, ...]]] = {
    **dict.fromkeys(_BY_REGIME, _by_regime),
    "soft_limits": _soft_limits,
    "hedge_shorts": _identifiers,
    "holding_costs": _holding_costs,
}
"""How each of them is read, by name."""
