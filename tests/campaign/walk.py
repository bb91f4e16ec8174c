"""The true state of things, walked through entry by entry, and what the rules ask of both."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tests.campaign.truth import (
    Armed,
    CancelSent,
    Entry,
    Life,
    Mark,
    Opened,
    Outside,
    Over,
    Sent,
    Sky,
    Taken,
    Traded,
    Typed,
)

ENDED = frozenset({"FILLED", "CANCELED", "EXPIRED"})
NO_ORDER = frozenset({"REJECTED", "NOT_SENT", "NEVER_ACCEPTED"})
TERMINAL = ENDED | NO_ORDER
UNSURE = frozenset({"SENDING", "UNKNOWN", "ACKED"})
PLACED = frozenset({"ACKED", "OPEN", "PARTIAL", "FILLED"})
"""Where a stop stands that did, or will do, what it is for."""
STOP = "STOP MARKET"
SHUT = frozenset({"403 firewall", "401 -2015"})
"""Answers after which nothing goes to the venue for a while, or until a person lets it."""


class World(msgspec.Struct):
    """The true state of things while the history is walked through."""

    positions: dict[str, Decimal] = {}
    marks: dict[str, Decimal] = {}
    sky: dict[str, str] = {}
    alive: dict[str, Taken] = {}
    sent: list[Sent] = []
    typed: list[Typed] = []
    refused: list[tuple[int, str]] = []

    def take(self, entry: Entry) -> None:
        """Let an entry change the state."""
        if isinstance(entry, Opened):
            self.positions = dict(entry.positions)
        elif isinstance(entry, Traded):
            signed = entry.contracts if entry.side.value == "buy" else -entry.contracts
            held = self.positions.get(entry.instrument, Decimal(0))
            self.positions[entry.instrument] = held + signed
        elif isinstance(entry, Outside):
            self.positions[entry.instrument] = entry.after
        elif isinstance(entry, Mark):
            self.marks[entry.instrument] = entry.price
        elif isinstance(entry, Sky):
            self.sky[entry.what] = entry.value
        else:
            self._take_order(entry)

    def _take_order(self, entry: Entry) -> None:
        if isinstance(entry, Taken):
            self.alive[entry.order_id] = entry
        elif isinstance(entry, Over):
            self.alive.pop(entry.order_id, None)
        elif isinstance(entry, Sent):
            self.sent.append(entry)
        elif isinstance(entry, Typed):
            self.typed.append(entry)
        elif isinstance(entry, CancelSent | Armed):
            if entry.fate in SHUT:
                self.refused.append((entry.ts_ms, entry.fate))
        elif isinstance(entry, Life):
            # What a desk had not written down before it died is not known to the next one.
            self.refused.clear()
