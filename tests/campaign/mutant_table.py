"""The broken order paths: what somebody could write, and what must never get through."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from perptui.desk.orders import (
    approval,
    canceling,
    confirmation,
    executor,
    gate,
    gate_desk,
    lost,
    reconciler,
    trading,
)
from perptui.desk.orders.approval import Approvals
from perptui.desk.orders.gatekeeper import Gatekeeper
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading import Trading
from perptui.journal import chain, database, events, stored, tickets
from perptui.journal.database import Database
from perptui.journal.events import CancelOutcome, LegMoved, LegOutcome, LegSending, TicketConfirmed
from perptui.journal.journal import Journal
from perptui.model.errors import VenueError
from perptui.model.order import LegState, OrderIntent, Outcome, Side
from tests.campaign import world
from tests.campaign.mutants import Mutant, Patch
from tests.campaign.weather import STEPS
from tests.campaign.world import WorldVenue

Made = Callable[[], tuple[Patch, ...]]
MUTANTS: list[Mutant] = []


def _mutant(name: str) -> Callable[[Made], Made]:
    def add(made: Made) -> Made:
        MUTANTS.append(Mutant(name, made))
        return made

    return add


def _part(owner: Any, name: str) -> Any:
    """Return an inner part of the desk by name: a mutant stands inside it."""
    return getattr(owner, name)


# ---------------------------------------------------------------------- sending


@_mutant("SENDING is journalled after the order left")
def _late_sending() -> tuple[Patch, ...]:
    async def attempt(self: Any, leg: Any, trader: Any, changed: Any) -> None:
        journal, venue = _part(self, "_journal"), _venue_of(self, leg)
        outcome = await venue.submit(leg.intent, leg.client_id)
        sending = LegSending(leg.client_id, journal.fence, leg.intent.notional_usd, trader.name)
        journal.append(sending, *executor.outcome_events(leg, outcome), actor=trader)

    return ((executor.Executor, "_attempt", attempt),)


def _venue_of(sender: Any, leg: Any) -> Any:
    return _part(sender, "_venues")[leg.intent.id.partition(":")[0]]


def _resending(client_id: Callable[[str], str]) -> Made:
    def made() -> tuple[Patch, ...]:
        real = executor.Executor.__dict__["_attempt"]

        async def attempt(self: Any, leg: Any, trader: Any, changed: Any) -> None:
            await real(self, leg, trader, changed)
            row = _part(self, "_journal").leg(leg.client_id)
            if row.state is LegState.UNKNOWN:
                await _venue_of(self, leg).submit(leg.intent, client_id(leg.client_id))

        return ((executor.Executor, "_attempt", attempt),)

    return made


_mutant("an UNKNOWN order is sent again under its id")(_resending(lambda own: own))
_mutant("an UNKNOWN order is sent again under a new id")(_resending(lambda own: own[:-1] + "x"))


def _taken_for(state: LegState) -> Made:
    def made() -> tuple[Patch, ...]:
        real = executor.outcome_events

        def outcome_events(leg: Any, outcome: Outcome) -> Any:
            if outcome.state is LegState.UNKNOWN:
                outcome = msgspec.structs.replace(outcome, state=state)
            return real(leg, outcome)

        return ((executor, "outcome_events", outcome_events),)

    return made


_mutant("UNKNOWN is taken for REJECTED")(_taken_for(LegState.REJECTED))
_mutant("UNKNOWN is taken for NOT_SENT")(_taken_for(LegState.NOT_SENT))


@_mutant("the next leg goes after an UNKNOWN one")
def _after_unknown() -> tuple[Patch, ...]:
    return ((executor, "ENDED", executor.ENDED | {LegState.UNKNOWN}),)


@_mutant("the next leg goes while one still works")
def _while_working() -> tuple[Patch, ...]:
    return ((executor, "ENDED", executor.ENDED | executor.WORKING),)


def _other_order(changed: Callable[[OrderIntent], OrderIntent]) -> Made:
    def made() -> tuple[Patch, ...]:
        real = WorldVenue.__dict__["submit"]

        async def submit(self: Any, intent: OrderIntent, client_id: str) -> Any:
            return await real(self, changed(intent), client_id)

        return ((WorldVenue, "submit", submit),)

    return made


def _rounded_up(intent: OrderIntent) -> OrderIntent:
    return msgspec.structs.replace(intent, contracts=intent.contracts + STEPS[intent.id])


def _turned(intent: OrderIntent) -> OrderIntent:
    side = Side.SELL if intent.side is Side.BUY else Side.BUY
    return msgspec.structs.replace(intent, side=side)


def _may_add(intent: OrderIntent) -> OrderIntent:
    return msgspec.structs.replace(intent, reduce_only=False)


def _at_worse(intent: OrderIntent) -> OrderIntent:
    return msgspec.structs.replace(intent, limit_price=intent.limit_price + Decimal("0.1"))


_mutant("the quantity is rounded up on its way out")(_other_order(_rounded_up))
_mutant("the side is turned on its way out")(_other_order(_turned))
_mutant("reduce-only is dropped on its way out")(_other_order(_may_add))
_mutant("the limit price is another on its way out")(_other_order(_at_worse))

# ---------------------------------------------------------------------- confirmation


def _answering(changed: Callable[[Any, Any, float, float], tuple[Any, float]]) -> Made:
    """Let the check of a typed answer see another answer, or another time, than the real one."""

    def made() -> tuple[Patch, ...]:
        real = confirmation.require_typed

        def require_typed(ticket: Any, answer: Any, *, shown_mono: float, now: float) -> None:
            answer, now = changed(ticket, answer, shown_mono, now)
            real(ticket, answer, shown_mono=shown_mono, now=now)

        return ((confirmation, "require_typed", require_typed),)

    return made


def _with(**fields: Any) -> Callable[[Any, Any, float, float], tuple[Any, float]]:
    return lambda ticket, answer, shown, now: (msgspec.structs.replace(answer, **fields), now)


_mutant("the token that was typed is not checked")(
    _answering(lambda t, a, shown, now: (msgspec.structs.replace(a, typed=t.token[-4:]), now))
)
_mutant("keys are taken in the first second")(
    _answering(lambda t, a, shown, now: (a, max(now, shown + 1.5)))
)
_mutant("pasted text confirms")(_answering(_with(key_gaps_ms=(90.0, 90.0, 90.0))))
_mutant("a ticket confirms that was not seen to its end")(_answering(_with(seen_end=True)))
_mutant("a ticket confirms on a screen too small for it")(_answering(_with(columns=80, rows=24)))


@_mutant("an expired ticket confirms")
def _expired() -> tuple[Patch, ...]:
    (patch,) = _answering(lambda t, a, shown, now: (a, min(now, shown + 2)))()

    def look(self: Any) -> bool:
        return False

    return (patch, (Ticketing, "look", look))


@_mutant("another trader may confirm")
def _anybody() -> tuple[Patch, ...]:
    real = Ticketing.__dict__["require_own"]

    def require_own(self: Any, ticket: str, trader: Any) -> Any:
        return real(self, ticket, trader if self.open is None else self.open.trader)

    return ((Ticketing, "require_own", require_own),)


@_mutant("a confirmation is used twice")
def _used_twice() -> tuple[Patch, ...]:
    real = Trading.__dict__["_send"]

    async def send(self: Any, opened: Any, trader: Any) -> None:
        await real(self, opened, trader)
        await real(self, opened, trader)

    free = {state: frozenset(LegState) for state in tickets.TRANSITIONS}
    return ((Trading, "_send", send), (tickets, "TRANSITIONS", free))


@_mutant("drift since the ticket was shown is ignored")
def _no_drift() -> tuple[Patch, ...]:
    def drift(*_: Any, **__: Any) -> None:
        return None

    return ((confirmation, "drift", drift),)


@_mutant("a confirmation outlives its expiry while legs are sent")
def _outlives() -> tuple[Patch, ...]:
    def stand(self: Any, opened: Any, left: Any) -> str:
        return ""

    return ((Ticketing, "_stand", stand),)


@_mutant("EXTERNAL voids nothing")
def _external_voids_nothing() -> tuple[Patch, ...]:
    def moved(*_: Any) -> None:
        return None

    real = Ticketing.__dict__["end"]

    def end(self: Any, state: str, reason: str, actor: Any = None) -> None:
        if "changed outside" not in reason:
            real(self, state, reason, actor)

    return ((confirmation, "_moved_position", moved), (Ticketing, "end", end))


@_mutant("large tickets take nobody else")
def _unapproved() -> tuple[Patch, ...]:
    def with_reasons(self: Any, inputs: Any) -> Any:
        return inputs

    return ((Approvals, "with_reasons", with_reasons),)


@_mutant("the trader may approve their own ticket")
def _own_approval() -> tuple[Patch, ...]:
    def other(opened: Any, approver: Any) -> None:
        return None

    real = vars(tickets)["_decide"]

    def decide(*given: Any) -> Any:
        return -1, real(*given)[1]

    return ((approval, "_require_other", other), (tickets, "_decide", decide))


# ---------------------------------------------------------------------- gate


def _without(*checks: str) -> Made:
    def made() -> tuple[Patch, ...]:
        left = tuple(one for one in gate.CHECKS if one[0] not in checks)
        return ((gate, "CHECKS", left),)

    return made


_mutant("the duplicate check is off")(_without("duplicate"))
_mutant("today's loss stops nothing")(_without("daily_loss"))
_mutant("the account's mode is not looked at")(_without("account_mode"))
_mutant("rules of the contract are not looked at")(_without("instrument"))


@_mutant("stale input is ignored")
def _stale() -> tuple[Patch, ...]:
    real = confirmation.drift

    def drift(*given: Any, **named: Any) -> Any:
        return real(*given, **{**named, "stale": ""})

    return (*_without("stale")(), (confirmation, "drift", drift))


_mutant("the clock's offset is ignored")(_without("clock"))
_mutant("the depth of the book is not looked at")(_without("depth"))


@_mutant("the gate is not asked before each leg")
def _not_asked() -> tuple[Patch, ...]:
    def admit(self: Any, opened: Any, leg: Any) -> tuple[()]:
        return ()

    return ((Ticketing, "admit", admit),)


@_mutant("the message throttle is ignored")
def _no_throttle() -> tuple[Patch, ...]:
    def wait(*_: Any) -> float:
        return 0.0

    return (*_without("throttle")(), (executor, "order_wait_s", wait))


@_mutant("an UNKNOWN order does not lock its symbol")
def _no_lock() -> tuple[Patch, ...]:
    def unsure(self: Any, ticket: str) -> tuple[()]:
        return ()

    return ((Gatekeeper, "_unsure", unsure), *_without("duplicate")())


@_mutant("the position that an order rests on is not looked at")
def _any_position() -> tuple[Patch, ...]:
    def moved(*_: Any) -> None:
        return None

    return (*_without("position")(), (confirmation, "_moved_position", moved))


_mutant("a desk sends before its first reconcile was clean")(_without("reconcile"))


# ---------------------------------------------------------------------- kill and cancel


@_mutant("the kill switch is not looked at between legs")
def _kill_at_first() -> tuple[Patch, ...]:
    real = gate_desk.kill

    def kill(given: Any) -> Any:
        return real(given) if len(given.legs) == given.ticket_legs else iter(())

    checks = tuple((name, kill if name == "kill" else one) for name, one in gate.CHECKS)
    return ((gate, "CHECKS", checks),)


@_mutant("the kill file is not looked for")
def _no_file() -> tuple[Patch, ...]:
    def state(self: Any) -> str:
        return str(_part(self, "_journal").kill_state().state)

    return ((KillSwitch, "state", state),)


@_mutant("HALTED cancels nothing")
def _halted_idle() -> tuple[Patch, ...]:
    async def obey(self: Any, trader: Any) -> None:
        return None

    return ((Trading, "_obey_kill", obey),)


@_mutant("a cancel leaves before it is journalled")
def _silent_cancel() -> tuple[Patch, ...]:
    async def one(self: Any, leg: Any, trader: Any) -> None:
        await _part(self, "_venues")[leg.venue].cancel(leg.instrument, leg.client_id)

    return ((canceling.Cancels, "_one", one),)


@_mutant("a cancel counts as cancelled without asking")
def _believed_cancel() -> tuple[Patch, ...]:
    real = canceling.Cancels.__dict__["_one"]

    async def one(self: Any, leg: Any, trader: Any) -> None:
        await real(self, leg, trader)
        journal = _part(self, "_journal")
        row = journal.leg(leg.client_id)
        if row.state in executor.WORKING or row.state is LegState.UNKNOWN:
            said = LegMoved(
                leg.client_id, LegState.CANCELED, row.filled, row.average_price, "", "cancel"
            )
            journal.append(said, CancelOutcome(leg.client_id, LegState.ACKED))

    return ((canceling.Cancels, "_one", one),)


# ---------------------------------------------------------------------- reconcile


@_mutant("NEVER_ACCEPTED after one not-found")
def _one_not_found() -> tuple[Patch, ...]:
    return ((lost, "NOT_FOUNDS", 1),)


@_mutant("NEVER_ACCEPTED without waiting")
def _no_waiting() -> tuple[Patch, ...]:
    return ((lost, "ACCEPTANCE_MS", 0),)


@_mutant("a not-found counts while the order may still be on its way")
def _early_counts() -> tuple[Patch, ...]:
    real = lost.Lost.__dict__["note"]

    def note(self: Any, leg: Any, now_ms: int) -> None:
        real(self, msgspec.structs.replace(leg, sent_ms=0), now_ms)

    real_never = lost.Lost.__dict__["never_accepted"]

    def never(self: Any, missing: Any, disagree: Any, now_ms: int) -> None:
        late = [leg for leg in missing if now_ms - (leg.sent_ms or now_ms) > lost.ACCEPTANCE_MS]
        real_never(self, late, disagree, now_ms)

    return ((lost.Lost, "note", note), (lost.Lost, "never_accepted", never))


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
            _part(self, "_lost").note(leg, now_ms)
            return False

    return ((vars(reconciler)["_Pass"], "_ask", ask),)


@_mutant("NEVER_ACCEPTED whatever positions say")
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


@_mutant("a late fill of a rejected order is dropped")
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
        listed = {one.client_id for one in (await _part(self, "_venue").open_orders()).value}
        for leg in _part(self, "_unsettled")():
            if leg.state in executor.WORKING and leg.client_id not in listed:
                average = leg.average_price
                said = LegMoved(
                    leg.client_id, LegState.CANCELED, leg.filled, average, "", "missing"
                )
                _part(self, "_journal").append(said)

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
        journal, venues = _part(self, "_journal"), _part(_part(self, "_executor"), "_venues")
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
        journal = _part(self, "_journal")
        journal.append = lambda *bodies, **named: None
        try:
            real(self, opened, answer, trader)
        finally:
            del journal.append
        late.append(answer)

    async def send(self: Any, ticket: Any, trader: Any, admit: Any, changed: Any) -> None:
        answer = late.pop()
        first = ticket.legs[0]
        journal = _part(self, "_journal")
        if not admit(first):
            await _venue_of(self, first).submit(first.intent, first.client_id)
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
