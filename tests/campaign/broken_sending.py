"""Broken order paths: sending, confirmation, gate, kill and cancel."""

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
)
from perptui.desk.orders.approval import Approvals
from perptui.desk.orders.gatekeeper import Gatekeeper
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading import Trading
from perptui.journal import tickets
from perptui.journal.events import CancelOutcome, LegMoved, LegSending
from perptui.model.order import LegState, OrderIntent, Outcome, Side
from tests.campaign.mutant_parts import Made, adding_to, part, venue_of
from tests.campaign.mutants import Mutant, Patch
from tests.campaign.weather import STEPS
from tests.campaign.world import WorldVenue

SENDING: list[Mutant] = []
_mutant = adding_to(SENDING)

# ---------------------------------------------------------------------- sending


@_mutant("SENDING is journalled after the order left")
def _late_sending() -> tuple[Patch, ...]:
    async def attempt(self: Any, leg: Any, trader: Any, changed: Any) -> None:
        journal, venue = part(self, "_journal"), venue_of(self, leg)
        outcome = await venue.submit(leg.intent, leg.client_id)
        sending = LegSending(leg.client_id, journal.fence, leg.intent.notional_usd, trader.name)
        journal.append(sending, *executor.outcome_events(leg, outcome), actor=trader)

    return ((executor.Executor, "_attempt", attempt),)


def _resending(client_id: Callable[[str], str]) -> Made:
    def made() -> tuple[Patch, ...]:
        real = executor.Executor.__dict__["_attempt"]

        async def attempt(self: Any, leg: Any, trader: Any, changed: Any) -> None:
            await real(self, leg, trader, changed)
            row = part(self, "_journal").leg(leg.client_id)
            if row.state is LegState.UNKNOWN:
                await venue_of(self, leg).submit(leg.intent, client_id(leg.client_id))

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
_mutant("a ticket confirms on a screen too small for it", "journal")(
    _answering(_with(columns=80, rows=24))
)


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


@_mutant("EXTERNAL voids nothing", "other hands")
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
_mutant("today's loss stops nothing", "door")(_without("daily_loss"))
_mutant("the account's mode is not looked at", "other hands")(_without("account_mode"))


@_mutant("stale input is ignored")
def _stale() -> tuple[Patch, ...]:
    real = confirmation.drift

    def drift(*given: Any, **named: Any) -> Any:
        return real(*given, **{**named, "stale": ""})

    return (*_without("stale")(), (confirmation, "drift", drift))


_mutant("the clock's offset is ignored", "late trades")(_without("clock"))
_mutant("the depth of the book is not looked at")(_without("depth"))
_mutant("contract rules are not looked at", "clouds")(_without("instrument"))


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
        return str(part(self, "_journal").kill_state().state)

    return ((KillSwitch, "state", state),)


@_mutant("HALTED cancels nothing")
def _halted_idle() -> tuple[Patch, ...]:
    async def obey(self: Any, trader: Any) -> None:
        return None

    return ((Trading, "_obey_kill", obey),)


@_mutant("a cancel leaves before it is journalled")
def _silent_cancel() -> tuple[Patch, ...]:
    async def one(self: Any, leg: Any, trader: Any) -> None:
        await part(self, "_venues")[leg.venue].cancel(leg.instrument, leg.client_id)

    return ((canceling.Cancels, "_one", one),)


@_mutant("a cancel counts as cancelled without asking")
def _believed_cancel() -> tuple[Patch, ...]:
    real = canceling.Cancels.__dict__["_one"]

    async def one(self: Any, leg: Any, trader: Any) -> None:
        await real(self, leg, trader)
        journal = part(self, "_journal")
        row = journal.leg(leg.client_id)
        if row.state in executor.WORKING or row.state is LegState.UNKNOWN:
            said = LegMoved(
                leg.client_id, LegState.CANCELED, row.filled, row.average_price, "", "cancel"
            )
            journal.append(said, CancelOutcome(leg.client_id, LegState.ACKED))

    return ((canceling.Cancels, "_one", one),)
