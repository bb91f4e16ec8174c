"""What the trading side shows: the open ticket with its legs, and the journal's tail."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perptui.desk.orders.opened import OpenTicket
from perptui.journal.audit import describe
from perptui.journal.journal import Journal
from perptui.journal.queries import FillRow, LegRow
from perptui.model.money import plain, to_cents
from perptui.model.order import LegState, OrderIntent, Side
from perptui.protocol.hand import DEAD_S
from perptui.protocol.views_ticket import (
    ApprovalView,
    JournalRow,
    JournalView,
    LegProgress,
    TicketRow,
    TicketView,
)

EVENTS_SHOWN = 200
TICKETS_SHOWN = 50
WAITS = "WAITS"
"""State of a ticket that was confirmed and is not approved yet."""
EXPLAINED = frozenset(
    {LegState.REJECTED, LegState.UNKNOWN, LegState.NOT_SENT, LegState.NEVER_ACCEPTED}
)
"""States of which the code and the reason are shown."""


class JournalTail:
    """Keeps the last events in words, reading only what is new.

    Parameters
    ----------
    journal : Journal
        Read, never written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: deque[JournalRow] = deque(maxlen=EVENTS_SHOWN)
        self._seq = max(journal.head[0] - EVENTS_SHOWN, 0)

    def view(self) -> JournalView:
        """Return the journal view as of now."""
        head = self._journal.head[0]
        if head > self._seq:
            for event in self._journal.events(self._seq + 1):
                row = JournalRow(
                    event.seq,
                    event.ts,
                    event.actor.name,
                    event.kind,
                    describe(event, self._leg_name),
                )
                self._rows.append(row)
            self._seq = head
        return JournalView(
            tickets=self._tickets(),
            events=tuple(self._rows),
            verified=f"chain verified to {head}",
            path=str(self._journal.path),
            fault=self._journal.fault,
        )

    def _leg_name(self, client_id: str) -> str:
        leg = self._journal.leg(client_id)
        if leg is None:
            return client_id
        return f"{leg.ticket}.{leg.number + 1} {_label(leg)} {leg.side.value}"

    def _tickets(self) -> tuple[TicketRow, ...]:
        rows = []
        pending = {row.ticket for row in self._journal.pending_approvals()}
        for head in self._journal.tickets(TICKETS_SHOWN):
            legs = self._journal.legs(head.id)
            filled = sum(leg.state is LegState.FILLED for leg in legs)
            rows.append(
                TicketRow(
                    id=head.id,
                    created_ms=head.created_ms,
                    purpose=head.purpose,
                    trader=head.trader,
                    legs=len(legs),
                    filled=filled,
                    state=WAITS if head.id in pending else head.state,
                    digest=head.digest,
                )
            )
        return tuple(rows)


def ticket_view(opened: OpenTicket, legs: Sequence[LegRow], fills: Sequence[FillRow]) -> TicketView:
    """Return the view of an open or sent ticket; `legs` in the ticket's order."""
    ticket, waiting = opened.ticket, opened.waiting
    asked = waiting if opened.phase == "approval" else None
    return TicketView(
        phase=opened.phase,
        id=ticket.id,
        purpose=ticket.purpose,
        token=ticket.token,
        text=ticket.text,
        opens_mono=(opened.shown_mono if asked is None else asked.asked_mono) + DEAD_S,
        expires_mono=ticket.expires_mono if asked is None else asked.expires_mono,
        legs=tuple(
            _progress(row, shortfall_usd(leg.intent, own_fills(row, fills)))
            for leg, row in zip(ticket.legs, legs, strict=True)
        ),
        reason=opened.reason,
        digest=ticket.proposal_digest,
        override=ticket.override,
        approval=_approval(opened),
        trader=opened.trader.name,
        trader_uid=opened.trader.uid,
    )


def _approval(opened: OpenTicket) -> ApprovalView | None:
    if not opened.ticket.approval:
        return None
    made = ApprovalView(opened.ticket.approval, opened.trader.name, opened.trader.uid)
    waiting = opened.waiting
    if waiting is None:
        return made
    return msgspec.structs.replace(
        made, state=waiting.state, by=waiting.by, content=waiting.content
    )


def own_fills(leg: LegRow, fills: Sequence[FillRow]) -> tuple[FillRow, ...]:
    """Return the fills of one leg."""
    return tuple(fill for fill in fills if fill.client_id == leg.client_id)


def shortfall_usd(intent: OrderIntent, fills: Sequence[FillRow]) -> Decimal | None:
    """Return the implementation shortfall of the fills so far, USD, to the cent.

    Sum of side·(price - mark)·base + fees against the mark that was confirmed; positive is a cost,
    side is +1 for a buy. None while nothing was filled.
    """
    if not fills:
        return None
    base = intent.notional_usd / (intent.contracts * intent.mark_price)
    sign = 1 if intent.side is Side.BUY else -1
    cost = Decimal(0)
    for fill in fills:
        cost += sign * (fill.price - intent.mark_price) * fill.contracts * base + fill.fee_usd
    return to_cents(cost)


def _label(leg: LegRow) -> str:
    symbol = leg.instrument.partition(":")[2]
    return f"{symbol.partition('/')[0]} {leg.venue}"


def _progress(leg: LegRow, shortfall: Decimal | None) -> LegProgress:
    return LegProgress(
        index=leg.number + 1,
        label=_label(leg),
        side=leg.side.value,
        contracts=leg.contracts,
        filled=leg.filled,
        average_price=leg.average_price,
        state=leg.state.value,
        note=_note(leg),
        shortfall_usd=shortfall,
    )


def _note(leg: LegRow) -> str:
    """Return what a person must know of a leg that did not simply go its way; "" otherwise."""
    if leg.state in EXPLAINED:
        return ": ".join(filter(None, (leg.code, leg.note)))
    if leg.filled and leg.filled < leg.contracts:
        open_contracts = plain(leg.contracts - leg.filled)
        return f"partial: {open_contracts} of {plain(leg.contracts)} contracts not filled"
    return ""
