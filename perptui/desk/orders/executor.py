"""The executor: one attempt a leg, in order; nothing after one that the venue did not end.

SENDING is committed before the first byte leaves, so whatever happens afterwards the journal knows
that an order may exist. Nothing is ever sent twice: a leg's client id is spent by its one attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from perptui.desk.orders.gate import throttle_wait
from perptui.desk.orders.gate_input import Refusal
from perptui.journal.events import Actor, Body, GateSaidNo, LegMoved, LegOutcome, LegSending
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import VenueError
from perptui.model.limit import Limits
from perptui.model.order import Leg, LegState, OrderReport, Outcome, Ticket
from perptui.venues.base import Venue

PACE_MAX_S = 2.0
"""Longest wait for the message throttle; beyond it the gate refuses instead."""
THROTTLE_SPAN_S = 60.0
ASK_TIMES = 5
ASK_EVERY_S = 0.1
WORKING = frozenset({LegState.ACKED, LegState.OPEN, LegState.PARTIAL})
ENDED = frozenset({LegState.FILLED, LegState.CANCELED, LegState.EXPIRED})
"""How an immediate-or-cancel order ends once the venue took it; only then the next leg goes."""
SETTLING = frozenset(
    {LegState.OPEN, LegState.PARTIAL, LegState.FILLED, LegState.CANCELED, LegState.EXPIRED}
)
"""States in which an acknowledgement may already find an order."""

Admit = Callable[[Leg], tuple[Refusal, ...]]
"""The gate as the executor asks it, with everything as it is at that instant."""


def go_on(_point: str) -> None:
    """Go on."""


class Executor:
    """Sends the legs of a confirmed ticket.

    Parameters
    ----------
    journal : Journal
        Every step is there before the next is made.
    venues : mapping of str to Venue
        By name.
    clock : Clock
        Monotonic time paces messages.
    limits : Limits
        The message throttle.
    checkpoint : callable, optional
        Called with "sending" after SENDING is committed, "answered" when the venue has answered
        and nothing of it is journalled, "recorded" after; a test ends the process there.
    pause : callable, optional
        Waits seconds; `asyncio.sleep` unless a test moves its own clock.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        clock: Clock,
        limits: Limits,
        checkpoint: Callable[[str], None] = go_on,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._venues = venues
        self._clock = clock
        self._limits = limits
        self._checkpoint = checkpoint
        self._pause = pause
        self._sent: dict[str, tuple[float, ...]] = {}

    @property
    def sent_mono(self) -> dict[str, tuple[float, ...]]:
        """When orders went to each venue in the last minute, monotonic seconds."""
        return self._sent

    async def send(
        self, ticket: Ticket, trader: Actor, admit: Admit, changed: Callable[[], None]
    ) -> None:
        """Attempt each leg once, in order, until one is refused, not acknowledged or left working.

        The caller holds the send lock. What is not attempted becomes NOT_SENT.

        Raises
        ------
        JournalError
            When a step cannot be journalled: nothing further is sent.
        """
        for place, leg in enumerate(ticket.legs):
            await self._pace(leg)
            refusals = admit(leg)
            if refusals:
                self._refuse(ticket, leg, refusals, trader)
                self._leave(ticket.legs[place + 1 :], "the gate stopped the ticket", trader)
                changed()
                return
            await self._attempt(leg, trader, changed)
            state = await self._ended(leg)
            changed()
            if state not in ENDED:
                self._leave(ticket.legs[place + 1 :], f"leg {place + 1} is {state}", trader)
                changed()
                return

    async def _pace(self, leg: Leg) -> None:
        venue = leg.intent.id.partition(":")[0]
        wait = throttle_wait(self._sent.get(venue, ()), self._clock.monotonic(), self._limits)
        if 0 < wait <= PACE_MAX_S:
            await self._pause(wait)

    async def _ended(self, leg: Leg) -> LegState:
        """Return where an acknowledged leg stands, asked of the venue where it did not say."""
        venue = self._venues[leg.intent.id.partition(":")[0]]
        for _ in range(ASK_TIMES):
            row = self._journal.leg(leg.client_id)
            if row is None or row.state not in WORKING:
                break
            try:
                report = (await venue.order(leg.intent.id, leg.client_id)).value
            except VenueError:
                report = None
            if report is not None and _believable(leg, report) and report.filled >= row.filled:
                state = report.state
                if (state, report.filled) != (row.state, row.filled):
                    self._journal.append(moved(leg.client_id, report, state, "order query"))
            await self._pause(ASK_EVERY_S)
        row = self._journal.leg(leg.client_id)
        return LegState.UNKNOWN if row is None else row.state

    async def _attempt(self, leg: Leg, trader: Actor, changed: Callable[[], None]) -> None:
        intent = leg.intent
        name = intent.id.partition(":")[0]
        venue = self._venues[name]
        self._journal.append(
            LegSending(leg.client_id, self._journal.fence, intent.notional_usd, trader.name),
            actor=trader,
        )
        self._checkpoint("sending")
        changed()
        self._note_message(name)
        # Whatever interrupts the call, the order may exist: that is what is recorded.
        outcome = Outcome(LegState.UNKNOWN, "interrupted", "the call did not end")
        try:
            outcome = await venue.submit(intent, leg.client_id)
            self._checkpoint("answered")
        finally:
            self._journal.append(*outcome_events(leg, outcome))
        self._checkpoint("recorded")

    def _note_message(self, venue: str) -> None:
        now = self._clock.monotonic()
        kept = tuple(at for at in self._sent.get(venue, ()) if now - at < THROTTLE_SPAN_S)
        self._sent[venue] = (*kept, now)

    def _refuse(
        self, ticket: Ticket, leg: Leg, refusals: tuple[Refusal, ...], trader: Actor
    ) -> None:
        text = "; ".join(refusal.text for refusal in refusals)
        codes = tuple(refusal.reason for refusal in refusals)
        self._journal.append(
            GateSaidNo(ticket.id, leg.client_id, codes, text),
            LegOutcome(leg.client_id, LegState.NOT_SENT, f"gate:{codes[0]}", text),
            actor=trader,
        )

    def _leave(self, legs: tuple[Leg, ...], why: str, trader: Actor) -> None:
        bodies = [LegOutcome(leg.client_id, LegState.NOT_SENT, "stopped", why) for leg in legs]
        if bodies:
            self._journal.append(*bodies, actor=trader)


def outcome_events(leg: Leg, outcome: Outcome) -> tuple[Body, ...]:
    """Return what is journalled of an outcome: how it ended, then what it says of the order."""
    report = outcome.report
    ended = LegOutcome(
        client_id=leg.client_id,
        state=outcome.state,
        code=outcome.code,
        text=outcome.text,
        venue_order_id="" if report is None else report.venue_order_id,
    )
    if report is None or outcome.state is not LegState.ACKED or not _believable(leg, report):
        return (ended,)
    return (ended, moved(leg.client_id, report, report.state, "acknowledgement"))


def _believable(leg: Leg, report: OrderReport) -> bool:
    return report.state in SETTLING and Decimal(0) <= report.filled <= leg.intent.contracts


def moved(client_id: str, report: OrderReport, state: LegState, evidence: str) -> LegMoved:
    """Return the event that brings a leg to what a report says."""
    return LegMoved(
        client_id=client_id,
        state=state,
        filled=report.filled,
        average_price=report.average_price,
        venue_order_id=report.venue_order_id,
        evidence=evidence,
    )
