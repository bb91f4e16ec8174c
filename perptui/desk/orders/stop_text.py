"""What a ticket says about protective stops, in words, in lines of the canonical text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from perptui.desk.orders.stops import RestingStop
from perptui.model.money import plain
from perptui.model.order import OrderIntent, Side

POLICIES = {
    "stop": "a leg that is rejected or unknown stops the rest",
    "go_on": (
        "a leg that is rejected stops nothing but its own coin's legs; one that is unknown or left "
        "working stops the rest"
    ),
}
"""By `[confirmation] on_rejection`."""
STOPS_GO = (
    "stops of legs that were filled are sent all the same, of one whose answer was lost once it is "
    "found filled while this confirmation stands"
)


def stop_lines(
    number: int,
    leg: OrderIntent,
    volatility_daily: Mapping[str, float],
    cancels: Sequence[RestingStop],
) -> Iterator[str]:
    """Yield what a protective leg does: trigger, distance, what it replaces."""
    venue, _, symbol = leg.id.partition(":")
    yield (
        f"{number:>2}  {symbol} {venue}  STOP MARKET {leg.side.value} "
        f"{plain(leg.contracts)} contracts  reduce-only"
    )
    falls = leg.side is Side.SELL
    where = f"at or {'below' if falls else 'above'} {plain(leg.limit_price)}"
    yield f"    rests until the mark is {where}, then closes at market"
    moved = f"{_signed(leg.before)} -> {_signed(leg.after)} contracts"
    yield f"    {_distance(leg, volatility_daily)}; position {moved}"
    for old in cancels:
        if old.id == leg.id:
            yield f"    replaces {_old(old)}, cancelled once this one rests"


def _distance(leg: OrderIntent, volatility_daily: Mapping[str, float]) -> str:
    share = abs(leg.limit_price / leg.mark_price - 1)
    daily = volatility_daily.get(leg.id)
    if daily is None or daily <= 0:
        return f"{float(share):.2%} from the mark: the farthest, its volatility is not known"
    return f"{float(share):.2%} from the mark, {float(share) / daily:.1f} x {daily:.2%} a day"


def count_line(legs: Sequence[OrderIntent]) -> Iterator[str]:
    """Yield how many stops there are, where there are any; their notional is no trade."""
    count = sum(leg.protective for leg in legs)
    if count:
        yield f"{count} protective stop{'s' if count > 1 else ''}, counted in no total here"


def cancel_lines(legs: Sequence[OrderIntent], cancels: Sequence[RestingStop]) -> Iterator[str]:
    """Yield the stops that are cancelled without one in their place."""
    replaced = {leg.id for leg in legs if leg.protective}
    for old in cancels:
        if old.id not in replaced:
            yield f"cancels {_old(old)} of {old.id.partition(':')[2]}: nothing is left to protect"


def policy_line(policy: str, legs: Sequence[OrderIntent]) -> str:
    """Return what a leg that is not taken does to the rest."""
    words = POLICIES[policy]
    if any(leg.protective for leg in legs) and any(not leg.protective for leg in legs):
        words += f"; {STOPS_GO}"
    return words


def _old(stop: RestingStop) -> str:
    return f"the stop {stop.side.value} {plain(stop.contracts)} at {plain(stop.trigger_price)}"


def _signed(contracts: Decimal) -> str:
    return plain(contracts) if contracts <= 0 else f"+{plain(contracts)}"
