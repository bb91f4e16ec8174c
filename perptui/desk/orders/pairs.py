"""Hedged pairs: two legs of one ticket in one coin and opposite directions, and how they stand.

What was ordered as a hedge is a bet when only half of it is there. A pair is judged by positions,
so that a leg that an outsider or the venue closed counts as missing as one that never filled; and
only until a later ticket trades either of its contracts: a person has then changed it on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import combinations

from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import DAY_MS
from perptui.model.instrument import split_id
from perptui.model.order import Effect, OrderIntent
from perptui.model.record import Record

HALF = Decimal("0.5")
"""A leg that is done by less than this share of its way is missing."""
REMEMBERED_MS = 7 * DAY_MS
"""Pairs that were sent before this long are taken for left alone on purpose."""


class Pair(Record, frozen=True):
    """Two orders that hedge each other."""

    ticket: str
    first: OrderIntent
    second: OrderIntent

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.ticket, self.first.id, self.second.id


class Pairs:
    """The pairs of one desk's tickets that still stand as they were sent."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tickets: dict[str, tuple[Pair, ...]] = {}
        self._since_ms: dict[tuple[str, str, str], int] = {}
        self._looked = False
        self._head = 0
        self._found: dict[tuple[str, str, str], str] = {}

    def one_legged(self, now_ms: int) -> Iterator[tuple[int, str]]:
        """Yield (venue time in ms since when, words) of each pair that stands on one leg."""
        head = self._journal.head[0]
        if head != self._head:
            self._find(now_ms)
            self._head = head
        for key, words in self._found.items():
            yield self._since_ms[key], words

    def _find(self, now_ms: int) -> None:
        sent = self._journal.sent_since(now_ms - REMEMBERED_MS)
        held = self._journal.positions() if sent else {}
        self._found = {}
        for pair in self._standing(sent):
            done = [progress(leg, held) >= HALF for leg in (pair.first, pair.second)]
            if done[0] != done[1]:
                # Of a pair that closes, the leg that is done is the one that is gone.
                opened = pair.first.effect is not Effect.REDUCE
                there, missing = (pair.first, pair.second)[:: 1 if done[0] is opened else -1]
                words = f"{pair.ticket}: {there.id} stands without its hedge {missing.id}"
                self._found[pair.key] = words
        # What an earlier process left so has stood so since it was sent.
        first_look, self._looked = not self._looked, True
        self._since_ms = {
            key: self._since_ms.get(key, _last_sent(sent, key[0]) if first_look else now_ms)
            for key in self._found
        }

    def _standing(self, sent: Sequence[LegRow]) -> Iterator[Pair]:
        """Yield the pairs of tickets that no later ticket has traded the contracts of."""
        newest: dict[str, str] = {}
        for leg in sent:
            if not leg.protective:
                newest[leg.instrument] = leg.ticket
        for ticket in dict.fromkeys(newest.values()):
            for pair in self._of(ticket):
                ids = (pair.first.id, pair.second.id)
                if all(newest.get(identifier, ticket) == ticket for identifier in ids):
                    yield pair

    def _of(self, ticket: str) -> tuple[Pair, ...]:
        if ticket not in self._tickets:
            intents = tuple(leg.intent for leg in self._journal.ticket(ticket).legs)
            self._tickets[ticket] = pairs_of(ticket, intents)
        return self._tickets[ticket]


def pairs_of(ticket: str, intents: Sequence[OrderIntent]) -> tuple[Pair, ...]:
    """Return the pairs among a ticket's orders: one coin, two contracts, opposite directions.

    Both must open or both close: an order that closes and one that opens elsewhere move a
    position, they hedge nothing.
    """
    trades = [one for one in intents if not one.protective]
    return tuple(
        Pair(ticket, first, second)
        for first, second in combinations(trades, 2)
        if first.id != second.id
        and _coin(first.id) == _coin(second.id)
        and first.side is not second.side
        and first.effect is second.effect
    )


def _coin(identifier: str) -> str:
    return split_id(identifier)[1].partition("/")[0]


def progress(intent: OrderIntent, held: dict[str, Decimal]) -> Decimal:
    """Return how far the position has gone from before the order (0) to after it (1)."""
    now = held.get(intent.id, Decimal(0))
    return (now - intent.before) / (intent.after - intent.before)


def _last_sent(sent: Sequence[LegRow], ticket: str) -> int:
    return max(leg.sent_ms or 0 for leg in sent if leg.ticket == ticket)
