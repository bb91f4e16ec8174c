"""Endings: of confirmed tickets with nothing more to be learned, and of those a restart found."""

from __future__ import annotations

from perptui.desk.orders.stop_news import bare
from perptui.desk.orders.stops import rests, stop_standing
from perptui.journal.events import Alarm, ApprovalDeclined, LegOutcome, TicketEnded
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.order import LegState

UNSENT = frozenset({LegState.CONFIRMED, LegState.APPROVED})
UNPLACED = frozenset({LegState.REJECTED, LegState.NOT_SENT})
LEFT = "the desk started anew"


def end_settled(journal: Journal) -> dict[str, str]:
    """End every confirmed ticket whose legs are all settled; return by id what came of each."""
    ended = {}
    for head in journal.open_tickets("CONFIRMED"):
        legs = journal.legs(head.id)
        if not all(leg.settled or rests(leg) for leg in legs):
            continue
        trades = [leg for leg in legs if not leg.protective]
        filled = sum(leg.state is LegState.FILLED for leg in trades)
        ended[head.id] = f"{filled} of {len(trades)} legs filled{_stops(legs)}"
        journal.append(TicketEnded(head.id, "DONE", ended[head.id]))
    return ended


def _stops(legs: list[LegRow]) -> str:
    stops = [leg for leg in legs if leg.protective]
    return f", {sum(map(rests, stops))} of {len(stops)} stops rest" if stops else ""


def end_leftovers(journal: Journal) -> None:
    """End what an earlier process left open: nothing of it is sent, or approved, by this one."""
    for head in journal.open_tickets("PROPOSED"):
        journal.append(TicketEnded(head.id, "VOID", LEFT))
    for row in journal.pending_approvals():
        journal.append(
            ApprovalDeclined(row.ticket, "VOID", LEFT), TicketEnded(row.ticket, "VOID", LEFT)
        )
    _tell_unplaced(journal)
    leave_unsent(journal, journal.live_legs(), "restart", LEFT)


def _tell_unplaced(journal: Journal) -> None:
    """Raise the alarm that an earlier process did not come to: a stop was answered with a no."""
    for head in journal.open_tickets("CONFIRMED"):
        ticket, rows = journal.ticket(head.id), journal.legs(head.id)
        states = {row.client_id: row.state for row in rows}
        for leg in ticket.legs:
            state = states[leg.client_id]
            if not leg.intent.protective or state not in UNPLACED:
                continue
            alarm = bare(leg.client_id, leg.intent.id, f"its stop is {state}")
            if not stop_standing(ticket, rows, leg).idle and not journal.has_notice(alarm.key):
                journal.append(alarm)


def leave_unsent(journal: Journal, legs: list[LegRow], code: str, why: str) -> None:
    """Give up what is confirmed of these legs and was not attempted: nothing of it is sent."""
    for leg in legs:
        if leg.state in UNSENT:
            outcome = LegOutcome(leg.client_id, LegState.NOT_SENT, code, why)
            journal.append(outcome, *_bare(journal, leg))


def _bare(journal: Journal, stop: LegRow) -> tuple[Alarm, ...]:
    """Return the alarm for a stop that is not sent though orders of its contract were."""
    sent = (leg for leg in journal.legs(stop.ticket) if leg.instrument == stop.instrument)
    if not stop.protective or all(leg.sent_ms is None for leg in sent):
        return ()
    return (bare(stop.client_id, stop.instrument, "its stop was never sent"),)
