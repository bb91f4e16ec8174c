"""Broken order paths: reconcile, restart and journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from perptui.desk.orders import (
    executor,
    lost,
    reconciler,
    trading,
)
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading import Trading
from perptui.journal import chain, database, events, stored, tickets
from perptui.journal.database import Database
from perptui.journal.events import LegMoved, LegOutcome, LegSending, TicketConfirmed
from perptui.journal.journal import Journal
from perptui.model.errors import VenueError
from perptui.model.order import LegState
from tests.campaign import world
from tests.campaign.mutant_parts import Made, adding_to, part, venue_of
from tests.campaign.mutants import Mutant, Patch
from tests.campaign.weather import STEPS

JOURNAL: list[Mutant] = []
_mutant = adding_to(JOURNAL)

# ---------------------------------------------------------------------- reconcile


@_mutant("NEVER_ACCEPTED after one not-found", "outages")
def _one_not_found() -> tuple[Patch, ...]:
    return ((lost, "NOT_FOUNDS", 1),)


@_mutant("NEVER_ACCEPTED without waiting")
def _no_waiting() -> tuple[Patch, ...]:
    return ((lost, "ACCEPTANCE_MS", 0),)


@_mutant("a not-found counts while the order may still be on its way", "outages")
def _early_counts() -> tuple[Patch, ...]:
    def early(self: Any, leg: Any, now_ms: int) -> bool:
        return False

    real_never = lost.Lost.__dict__["never_accepted"]

    def never(self: Any, missing: Any, disagree: Any, now_ms: int) -> None:
        late = [leg for leg in missing if now_ms - (leg.sent_ms or now_ms) > lost.ACCEPTANCE_MS]
        real_never(self, late, disagree, now_ms)

    return ((lost.Lost, "_early", early), (lost.Lost, "never_accepted", never))


@_mutant("an order that was lost is thought to move its contract's position for ever")
def _for_ever() -> tuple[Patch, ...]:
    def moves(self: Any, leg: Any, disagree: Any) -> bool:
        return True

    return ((lost.Lost, "moves", moves),)


@_mutant("a failed query counts as not found")
def _failed_counts() -> tuple[Patch, ...]:
    real = vars(reconciler)["_Pass"].__dict__["_ask"]

    async def ask(self: Any, leg: Any, now_ms: int) -> bool:
        try:
            return bool(await real(self, leg, now_ms))
        except VenueError:
            part(self, "_lost").note(leg, now_ms)
            return False

    return ((vars(reconciler)["_Pass"], "_ask", ask),)


@_mutant("NEVER_ACCEPTED whatever positions say", "outages")
def _against_positions() -> tuple[Patch, ...]:
    real = lost.Lost.__dict__["never_accepted"]

    def never(self: Any, missing: Any, disagree: Any, now_ms: int) -> None:
        real(self, missing, {}, now_ms)

    return ((lost.Lost, "never_accepted", never),)


@_mutant("fills are not de-duplicated")
def _twice_counted() -> tuple[Patch, ...]:
    def fill(self: Any, instrument: str, trade_id: str) -> None:
        return None

    return ((Journal, "fill", fill),)


@_mutant("fills are de-duplicated by trade id across contracts")
def _across() -> tuple[Patch, ...]:
    real = Journal.__dict__["fill"]

    def fill(self: Any, instrument: str, trade_id: str) -> Any:
        found = [real(self, one, trade_id) for one in sorted(STEPS)]
        return next((one for one in found if one is not None), None)

    return ((Journal, "fill", fill),)


@_mutant("a fill that names its client id is lost")
def _named_lost() -> tuple[Patch, ...]:
    real = vars(reconciler)["_Pass"].__dict__["_owner"]

    def owner(self: Any, fill: Any) -> Any:
        return None if fill.client_id else real(self, fill)

    return ((vars(reconciler)["_Pass"], "_owner", owner),)


@_mutant("a late fill of a rejected order is dropped", "lies")
def _late_dropped() -> tuple[Patch, ...]:
    real = vars(reconciler)["_Pass"].__dict__["_take"]

    def take(self: Any, fill: Any, leg: Any) -> None:
        if leg.state not in reconciler.WITHOUT_ORDER:
            real(self, fill, leg)

    return ((vars(reconciler)["_Pass"], "_take", take),)


def _moving(changed: Callable[[Any, LegState], tuple[Any, LegState]]) -> Made:
    def made() -> tuple[Patch, ...]:
        real = executor.moved

        def moved(client_id: str, report: Any, state: LegState, evidence: str) -> Any:
            return real(client_id, *changed(report, state), evidence)

        return ((executor, "moved", moved), (reconciler, "moved", moved))

    return made


def _as_full(report: Any, state: LegState) -> tuple[Any, LegState]:
    if report.filled:
        return msgspec.structs.replace(report, filled=report.contracts), LegState.FILLED
    return report, state


def _last_price(report: Any, state: LegState) -> tuple[Any, LegState]:
    if report.average_price is None:
        return report, state
    return msgspec.structs.replace(report, average_price=report.average_price + 1), state


_mutant("a partial fill is taken for a full one")(_moving(_as_full))
_mutant("the average price is wrong")(_moving(_last_price))


@_mutant("an open order that is missing from the list is taken as cancelled")
def _missing_cancelled() -> tuple[Patch, ...]:
    real = vars(reconciler)["_Pass"].__dict__["_open_orders"]

    async def open_orders(self: Any) -> None:
        await real(self)
        listed = {one.client_id for one in (await part(self, "_venue").open_orders()).value}
        for leg in part(self, "_unsettled")():
            if leg.state in executor.WORKING and leg.client_id not in listed:
                average = leg.average_price
                said = LegMoved(
                    leg.client_id, LegState.CANCELED, leg.filled, average, "", "missing"
                )
                part(self, "_journal").append(said)

    return ((vars(reconciler)["_Pass"], "_open_orders", open_orders),)


@_mutant("what was held before the desk came is ignored")
def _no_baseline() -> tuple[Patch, ...]:
    def nothing(connection: Any, event: Any, body: Any) -> None:
        connection.execute("INSERT INTO baseline VALUES (?, ?)", (body.venue, event.seq))

    return ((vars(tickets)["_PROJECTORS"], events.Baseline, nothing),)


# ---------------------------------------------------------------------- restart and journal


@_mutant("a desk that starts again sends what was confirmed")
def _resumes() -> tuple[Patch, ...]:
    real = Trading.__dict__["start"]

    async def start(self: Any) -> None:
        journal, venues = part(self, "_journal"), part(part(self, "_executor"), "_venues")
        for row in journal.live_legs():
            if row.state is LegState.CONFIRMED:
                leg = journal.ticket(row.ticket).legs[row.number]
                journal.append(
                    LegSending(leg.client_id, journal.fence, leg.intent.notional_usd, "alice")
                )
                outcome = await venues[row.venue].submit(leg.intent, leg.client_id)
                journal.append(*executor.outcome_events(leg, outcome))
        await real(self)

    return ((Trading, "start", start),)


@_mutant("a desk that starts again forgets what was being sent")
def _forgets() -> tuple[Patch, ...]:
    real = vars(trading)["end_leftovers"]

    def end_leftovers(journal: Journal) -> None:
        for leg in journal.live_legs():
            if leg.state is LegState.SENDING:
                journal.append(LegOutcome(leg.client_id, LegState.NOT_SENT, "restart", "gone"))
        real(journal)

    return ((trading, "end_leftovers", end_leftovers),)


@_mutant("the chain's hash leaves out the event before")
def _unchained() -> tuple[Patch, ...]:
    real = stored.Stored.__dict__["own_hash"].fget

    def own_hash(self: Any) -> str:
        return str(real(self._replace(prev="")))

    return ((stored.Stored, "own_hash", property(own_hash)),)


@_mutant("the tables change in another transaction than the event")
def _apart() -> tuple[Patch, ...]:
    real = vars(chain)["project"]

    def project(connection: Any, stamp: Any, body: Any) -> None:
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        real(connection, stamp, body)

    return ((chain, "project", project),)


@_mutant("two desks may send on one journal")
def _two_senders() -> tuple[Patch, ...]:
    def lock(path: Any) -> int:
        held.append(0)
        return int(real(path.with_name(f"{path.name}-{len(held)}")))

    def lease(self: Any) -> None:
        return None

    held: list[int] = []
    real = vars(database)["take_lock"]
    return ((database, "take_lock", lock), (Database, "_require_lease", lease))


@_mutant("a confirmation is journalled after the first leg")
def _confirmed_late() -> tuple[Patch, ...]:
    real = Ticketing.__dict__["confirmed"]
    real_send = executor.Executor.__dict__["send"]

    def confirmed(self: Any, opened: Any, answer: Any, trader: Any) -> None:
        journal = part(self, "_journal")
        journal.append = lambda *bodies, **named: None
        try:
            real(self, opened, answer, trader)
        finally:
            del journal.append
        late.append(answer)

    async def send(self: Any, ticket: Any, trader: Any, admit: Any, changed: Any) -> None:
        answer = late.pop()
        first = ticket.legs[0]
        journal = part(self, "_journal")
        if not admit(first):
            await venue_of(self, first).submit(first.intent, first.client_id)
        body = TicketConfirmed(ticket.id, ticket.token, answer.columns, answer.rows)
        journal.append(body, actor=trader)
        await real_send(self, msgspec.structs.replace(ticket, legs=()), trader, admit, changed)

    late: list[Any] = []
    return ((Ticketing, "confirmed", confirmed), (executor.Executor, "send", send))


@_mutant("texts of a venue are shown as they came")
def _raw_text() -> tuple[Patch, ...]:
    return ((world, "REDACTOR", _Raw()),)


class _Raw:
    def __call__(self, text: str) -> str:
        return text
