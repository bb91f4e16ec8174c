"""The executor: one attempt a leg, in order; nothing trades after one that the venue did not end.

SENDING is committed before the first byte leaves, so whatever happens afterwards the journal knows
that an order may exist. Nothing is ever sent twice: a leg's client id is spent by its one attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.holds import Holds
from perptui.desk.orders.stop_news import bare
from perptui.desk.orders.stops import stop_standing
from perptui.desk.orders.throttle import messages_of, order_wait_s
from perptui.journal.events import (
    Actor,
    Body,
    GateSaidNo,
    LegMoved,
    LegOutcome,
    LegSending,
)
from perptui.journal.journal import Journal
from perptui.model.clock import Clock
from perptui.model.errors import VenueError
from perptui.model.instrument import split_id
from perptui.model.limit import Limits
from perptui.model.order import Leg, LegState, OrderIntent, OrderReport, Outcome, Ticket
from perptui.venues.base import Reading, Venue

PACE_MAX_S = 2.0
"""Longest wait for the message throttle; beyond it the gate refuses instead."""
ASK_TIMES = 5
ASK_EVERY_S = 0.1
WORKING = frozenset({LegState.ACKED, LegState.OPEN, LegState.PARTIAL})
ENDED = frozenset({LegState.FILLED, LegState.CANCELED, LegState.EXPIRED})
"""How an immediate-or-cancel order ends once the venue took it; only then the next leg goes."""
PLACED = frozenset({LegState.ACKED, LegState.OPEN, LegState.PARTIAL, LegState.FILLED})
"""Where a stop stands that did, or will do, what it is for."""
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
    holds : Holds, optional
        Told of every answer: one may hold all further orders back from its venue.
    on_rejection : str
        "stop": a rejected leg ends the ticket; "go_on": it ends its own coin's legs alone, so that
        of a hedged pair no second leg is sent without the first.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        clock: Clock,
        limits: Limits,
        checkpoint: Callable[[str], None] = go_on,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_rejection: str = "stop",
        holds: Holds | None = None,
    ) -> None:
        self._holds = holds or Holds(journal, clock)
        self._journal = journal
        self._on_rejection = on_rejection
        self._venues = venues
        self._clock = clock
        self._limits = limits
        self._checkpoint = checkpoint
        self._pause = pause

    async def send(
        self, ticket: Ticket, trader: Actor, admit: Admit, changed: Callable[[], None]
    ) -> None:
        """Attempt each leg once, in order, until one is refused, not acknowledged or left working.

        The caller holds the send lock. What is not attempted becomes NOT_SENT. Stops of legs that
        were filled are sent whatever became of other legs; one that is not placed is an ALARM, and
        one of an order that may still work stays confirmed: `protect` it when that has ended.

        Raises
        ------
        JournalError
            When a step cannot be journalled: nothing further is sent.
        """
        why = ""
        for place, leg in enumerate(ticket.legs):
            row = self._journal.leg(leg.client_id)
            if row is not None and row.state is LegState.NOT_SENT:
                continue
            if leg.intent.protective:
                unplaced = await self.protect(ticket, leg, trader, admit, changed, wait=True)
                why = why or unplaced
            elif why:
                self._leave((leg,), why, trader)
            else:
                why = await self._trade(ticket, place, trader, admit, changed)
            changed()

    async def _trade(
        self,
        ticket: Ticket,
        place: int,
        trader: Actor,
        admit: Admit,
        changed: Callable[[], None],
    ) -> str:
        """Attempt one leg; return why no further one may trade, "" while the next one may."""
        leg = ticket.legs[place]
        await self._pace(leg)
        if refusals := admit(leg):
            self._refuse(ticket, leg, refusals, trader)
            return "the gate stopped the ticket"
        await self._attempt(leg, trader, changed)
        state = await self._ended(leg)
        if state in ENDED:
            return ""
        if state is LegState.REJECTED and self._on_rejection == "go_on":
            of_coin = coin_of(leg.intent.id)
            rest = (one for one in ticket.legs[place + 1 :] if not one.intent.protective)
            pair = tuple(one for one in rest if coin_of(one.intent.id) == of_coin)
            self._leave(pair, f"leg {place + 1} of {of_coin} is {state}", trader)
            return ""
        return f"leg {place + 1} is {state}"

    async def protect(
        self,
        ticket: Ticket,
        leg: Leg,
        trader: Actor,
        admit: Admit,
        changed: Callable[[], None],
        *,
        wait: bool,
    ) -> str:
        """Send a stop where there is something to protect; return why no further leg may trade.

        Its quantity is what was confirmed, though the position may be smaller after a partial fill:
        it only reduces. While an order of its contract may still work it is not sent: with `wait`
        it stays confirmed, else it is left for good, which is an ALARM. The caller holds the send
        lock.

        Raises
        ------
        JournalError
            When a step cannot be journalled.
        """
        standing = stop_standing(ticket, self._journal.legs(ticket.id), leg)
        if standing.idle:
            self._leave((leg,), standing.idle, trader)
            return ""
        if standing.unsure and wait:
            return f"the stop of {leg.intent.id} waits: {standing.unsure}"
        if standing.unsure:
            self._leave((leg,), standing.unsure, trader)
        else:
            await self._pace(leg)
            if refusals := admit(leg):
                self._refuse(ticket, leg, refusals, trader)
            else:
                await self._attempt(leg, trader, changed)
        state = await self._ended(leg)
        if state in PLACED:
            return ""
        row = self._journal.leg(leg.client_id)
        said = "" if row is None else " ".join(filter(None, (row.code, row.note)))
        why = f"its stop is {state} {said}".rstrip()
        self._journal.append(bare(leg.client_id, leg.intent.id, why, sure=True))
        return f"the stop of {leg.intent.id} is {state}"

    async def _pace(self, leg: Leg) -> None:
        venue = leg.intent.id.partition(":")[0]
        now_ms = self._clock.utc_ms()
        wait = order_wait_s(messages_of(self._journal, now_ms), venue, now_ms, self._limits)
        if 0 < wait <= PACE_MAX_S:
            await self._pause(wait)

    async def _ended(self, leg: Leg) -> LegState:
        """Return where an acknowledged leg stands, asked of the venue where it did not say."""
        venue = self._venues[leg.intent.id.partition(":")[0]]
        for _ in range(ASK_TIMES):
            row = self._journal.leg(leg.client_id)
            if row is None or row.state not in WORKING:
                break
            if leg.intent.protective and row.state is LegState.OPEN:
                break
            try:
                report = (await asked_of(venue, leg)).value
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
            LegSending(leg.client_id, self._journal.fence, traded_usd(intent), trader.name),
            actor=trader,
        )
        self._checkpoint("sending")
        changed()
        # Whatever interrupts the call, the order may exist: that is what is recorded.
        outcome = Outcome(LegState.UNKNOWN, "interrupted", "the call did not end")
        try:
            outcome = await venue.submit(intent, leg.client_id)
            self._checkpoint("answered")
        finally:
            asked = self._holds.asked_by(name, outcome)
            self._journal.append(*outcome_events(leg, outcome), *asked)
        self._checkpoint("recorded")

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


def asked_of(venue: Venue, leg: Leg) -> Awaitable[Reading[OrderReport | None]]:
    """Ask a venue where a leg's order or stop stands."""
    ask = venue.stop if leg.intent.protective else venue.order
    return ask(leg.intent.id, leg.client_id)


def traded_usd(intent: OrderIntent) -> Decimal:
    """Return what a leg counts for in the day's notional: a stop trades nothing yet."""
    return Decimal(0) if intent.protective else intent.notional_usd


def coin_of(identifier: str) -> str:
    """Return the coin of an instrument id: what its legs at all venues have in common."""
    return split_id(identifier)[1].partition("/")[0]


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
