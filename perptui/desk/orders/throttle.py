"""The message throttle: what the journal says was sent decides when the next message may go.

Orders and cancels have a budget each, so that orders never use up what is kept for cancels. The
journal is what is counted: a desk that starts anew forgets nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from perptui.journal.journal import Journal
from perptui.model.clock import MINUTE_MS
from perptui.model.limit import Limits
from perptui.model.record import Record

SECOND_MS = 1_000
SPAN_MS = MINUTE_MS
"""How far back messages count."""


class Message(Record, frozen=True):
    """One message to a venue: an order, or a cancel of one; `sent_ms` is venue time."""

    venue: str
    sent_ms: int
    cancel: bool = False


def messages_of(journal: Journal, now_ms: int) -> tuple[Message, ...]:
    """Return what was sent to the venues within the last minute, oldest first."""
    return tuple(Message(*row) for row in journal.messages_since(now_ms - SPAN_MS))


def order_wait_s(messages: Iterable[Message], venue: str, now_ms: int, limits: Limits) -> float:
    """Return the seconds until an order may go to `venue`; 0 when it may now, inf when never.

    All messages count within a second, orders alone within a minute.
    """
    there = [one for one in messages if one.venue == venue]
    every = [one.sent_ms for one in there]
    orders = [one.sent_ms for one in there if not one.cancel]
    return max(
        _wait_s(every, SECOND_MS, limits.messages_per_second, now_ms),
        _wait_s(orders, SPAN_MS, limits.messages_per_minute, now_ms),
    )


def cancels_left(messages: Iterable[Message], venue: str, now_ms: int, limits: Limits) -> int:
    """Return how many cancels may go to `venue` now; those beyond it wait.

    Only cancels count: their budget is `Limits.cancels_reserved` a minute, whatever orders did.
    """
    inside = sum(
        one.venue == venue and one.cancel and now_ms - one.sent_ms < SPAN_MS for one in messages
    )
    return max(0, limits.cancels_reserved - inside)


def _wait_s(sent_ms: Sequence[int], span_ms: int, most: int, now_ms: int) -> float:
    if most <= 0:
        return math.inf
    # One that is stamped ahead of now, by a clock that was set back, counts as well.
    inside = sorted(at for at in sent_ms if now_ms - at < span_ms)
    if len(inside) < most:
        return 0.0
    return (inside[-most] + span_ms - now_ms) / 1000
