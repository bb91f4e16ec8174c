"""What is told of protective stops: triggered, ended by another hand, pointless, or not placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from perptui.desk.orders.stops import reduces, rests
from perptui.journal.events import Alarm, External
from perptui.journal.queries import LegRow
from perptui.model.money import ZERO, plain
from perptui.model.order import LegState, OrderReport

CURE = "`:protect` makes a ticket of stops for what has none"


def bare(client_id: str, instrument: str, why: str, *, sure: bool = False) -> Alarm:
    """Return the alarm for a stop that is not placed; `sure`: there is something to protect."""
    said = "is not" if sure else "may not be"
    text = f"the position in {instrument} {said} protected: {why}; {CURE}"
    return Alarm("unprotected", f"unprotected:{client_id}", text)


def ended(leg: LegRow, state: LegState, report: OrderReport) -> External:
    """Return the notice of a stop that waited and does so no more."""
    what = f"ended as {state} without a fill"
    if report.filled:
        what = f"was triggered: {plain(report.filled)} of {plain(leg.contracts)} are closed"
    return External(
        "stop", leg.instrument, f"{_named(leg)} {what}", f"stop:{leg.client_id}:{state}"
    )


def pointless(legs: Iterable[LegRow], positions: Mapping[str, Decimal]) -> list[External]:
    """Return a notice of each stop that waits though nothing is left for it to close."""
    return [
        External(
            "stop",
            leg.instrument,
            f"{_named(leg)} protects nothing any more: the next ticket cancels it",
            f"pointless:{leg.client_id}",
        )
        for leg in legs
        if rests(leg) and not reduces(leg.side, positions, leg.instrument)
    ]


def _named(leg: LegRow) -> str:
    return f"the stop of {leg.instrument} at {plain(leg.trigger_price or ZERO)}"
