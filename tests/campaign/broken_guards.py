"""Broken guards: stops, dead man's switch, watchdog, overrides, held venues, approvals, others."""

from __future__ import annotations

from typing import Any

import msgspec

from perptui.desk.orders import approval, executor, gate, lost, reconciler
from perptui.desk.orders.approval import Approvals
from perptui.desk.orders.canceling import Cancels
from perptui.desk.orders.dead_man import DeadMan
from perptui.desk.orders.denied import Denied
from perptui.desk.orders.holds import Holds
from perptui.desk.orders.late_stops import LateStops
from perptui.desk.orders.stops import StopStanding
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading import Trading
from perptui.desk.orders.watchdog import Watchdog
from perptui.journal import tickets
from perptui.journal.events import CancelOutcome, CancelSending
from perptui.model.errors import JournalError
from perptui.model.order import Consequence, LegState, OrderIntent
from tests.campaign.mutant_parts import Made, adding_to, doing, doing_later, part, venue_of
from tests.campaign.mutants import Mutant, Patch
from tests.campaign.world import WorldVenue

GUARDS: list[Mutant] = []
_mutant = adding_to(GUARDS)

# ---------------------------------------------------------------------- stops


_mutant("a stop goes though nothing was filled, or may still be")(
    doing(executor, "stop_standing", StopStanding())
)


@_mutant("a stop that is not placed is no alarm")
def _quiet_stop() -> tuple[Patch, ...]:
    return ((executor, "PLACED", frozenset(LegState)),)


@_mutant("stops are cancelled with the orders that work")
def _stops_too() -> tuple[Patch, ...]:
    real = Cancels.__dict__["_within_reach"]

    def within_reach(self: Any, *, protective: bool = False) -> Any:
        return real(self, protective=True)

    return ((Cancels, "_within_reach", within_reach),)


_mutant("a stop that was replaced stays beside its heir", "stops")(
    doing_later(Cancels, "replaced", 0)
)


@_mutant("a stop is cancelled before its heir is there", "stops")
def _early_heir() -> tuple[Patch, ...]:
    real = executor.Executor.__dict__["send"]

    async def send(self: Any, ticket: Any, trader: Any, admit: Any, changed: Any) -> None:
        journal = part(self, "_journal")
        for client_id in ticket.cancels:
            leg = journal.leg(client_id)
            if leg.state in executor.WORKING:
                journal.append(CancelSending(client_id, ticket.id), actor=trader)
                venue = part(self, "_venues")[leg.venue]
                outcome = await venue.cancel_stop(leg.instrument, client_id)
                journal.append(CancelOutcome(client_id, outcome.state, outcome.text))
        await real(self, ticket, trader, admit, changed)

    return ((executor.Executor, "send", send),)


@_mutant("a stop's trigger is another on its way out")
def _other_trigger() -> tuple[Patch, ...]:
    real = WorldVenue.__dict__["submit"]

    async def submit(self: Any, intent: OrderIntent, client_id: str) -> Any:
        if intent.trigger_price is not None:
            intent = msgspec.structs.replace(intent, trigger_price=intent.trigger_price + 1)
        return await real(self, intent, client_id)

    return ((WorldVenue, "submit", submit),)


@_mutant("a stop is asked for among the orders", "stops")
def _among_orders() -> tuple[Patch, ...]:
    async def order(self: Any, leg: Any) -> Any:
        return (await part(self, "_venue").order(leg.instrument, leg.client_id)).value

    return ((vars(reconciler)["_Pass"], "_order", order),)


@_mutant("a stop that died on its way is no alarm", "stops")
def _lost_stop() -> tuple[Patch, ...]:
    real = lost.Lost.__dict__["_alarm"]

    def alarm(self: Any, what: str, key: str, text: str) -> None:
        if what != "unprotected":
            real(self, what, key, text)

    return (
        (lost.Lost, "_alarm", alarm),
        (executor, "PLACED", executor.PLACED | {LegState.UNKNOWN}),
    )


_mutant("a stop that waits for its order is forgotten")(doing_later(LateStops, "look"))

# ---------------------------------------------------------------------- the dead man's switch

_mutant("the dead man's switch is never set")(doing_later(DeadMan, "look"))
_mutant("the dead man's switch is not journalled")(doing(DeadMan, "_tell", None))


@_mutant("the dead man's switch is set where a stop waits")
def _over_stops() -> tuple[Patch, ...]:
    def wanted(self: Any) -> set[str]:
        live = part(self, "_journal").live_legs()
        return {leg.instrument for leg in live if leg.state in executor.WORKING}

    return ((DeadMan, "_wanted", wanted),)


_mutant("the dead man's switch stays on")(doing_later(DeadMan, "_disarm"))

# ---------------------------------------------------------------------- the watchdog

_mutant("the watchdog sleeps")(doing(Watchdog, "look", False))
_mutant("the watchdog sees no loss", "losses")(doing(Watchdog, "_loss", ""))
_mutant("the watchdog sees no change from outside", "other hands")(
    doing(Watchdog, "_mismatches", "")
)

# ---------------------------------------------------------------------- overrides, approvals


@_mutant("an override takes nobody else")
def _lonely_override() -> tuple[Patch, ...]:
    real = vars(approval)["reasons_of"]

    def reasons_of(inputs: Any, asked: Any) -> Any:
        return real(msgspec.structs.replace(inputs, override=""), asked)

    return ((approval, "reasons_of", reasons_of),)


@_mutant("a breached limit is no reason")
def _no_limits() -> tuple[Patch, ...]:
    return ((gate, "CHECKS", tuple(one for one in gate.CHECKS if one[0] != "book")),)


@_mutant("an approval is not read", "plain")
def _any_approval() -> tuple[Patch, ...]:
    def require(self: Any, opened: Any, waiting: Any, answer: Any, approver: Any) -> None:
        part(approval, "_require_other")(opened, approver)

    return ((Approvals, "require_approvable", require),)


@_mutant("an approval that came late counts")
def _late_approval() -> tuple[Patch, ...]:
    real = Approvals.__dict__["require_approvable"]
    decide = vars(tickets)["_decide"]

    def require(self: Any, opened: Any, waiting: Any, answer: Any, approver: Any) -> None:
        in_time = msgspec.structs.replace(waiting, expires_mono=waiting.expires_mono + 1e6)
        real(self, opened, in_time, answer, approver)

    def decided(*given: Any) -> Any:
        return decide(*given)[0], 10**15

    return (
        (Approvals, "require_approvable", require),
        (Approvals, "is_late", lambda *_: False),
        (tickets, "_decide", decided),
    )


@_mutant("a declined ticket is sent all the same")
def _declined_sent() -> tuple[Patch, ...]:
    def decline(self: Any, answer: Any, approver: Any) -> None:
        opened = self.open
        if opened is None or opened.waiting is None:
            raise JournalError("expected a ticket that waits, was none; look again")
        self._approvals.approved(opened, opened.waiting, _Typed, approver)

    real = Trading.__dict__["decline"]

    async def declined(self: Any, answer: Any, approver: Any) -> Any:
        view = await real(self, answer, approver)
        opened = part(self, "_tickets").open
        part(self, "_tasks").spawn(part(self, "_send")(opened, opened.trader), "sending")
        return view

    return ((Ticketing, "decline", decline), (Trading, "decline", declined))


class _Typed:
    columns, rows = 120, 40


# ---------------------------------------------------------------------- held venues, other hands


def _unheard(what: str) -> Made:
    """Return patches by which one kind of alarm of the reconcile is not raised."""

    def made() -> tuple[Patch, ...]:
        owner = vars(reconciler)["_Pass"]
        real = owner.__dict__["_alarm"]

        def alarm(self: Any, said: str, key: str, text: str) -> None:
            if said != what:
                real(self, said, key, text)

        return ((owner, "_alarm", alarm),)

    return made


def _asking_nothing(consequence: Consequence) -> Made:
    """Return patches by which one consequence of an answer holds nothing back."""

    def made() -> tuple[Patch, ...]:
        real = Holds.__dict__["asked_by"]

        def asked_by(self: Any, venue: str, outcome: Any) -> Any:
            return () if outcome.consequence is consequence else real(self, venue, outcome)

        return ((Holds, "asked_by", asked_by),)

    return made


_mutant("a refused key holds nothing back", "key")(_asking_nothing(Consequence.HALT))
_mutant("a shut door is knocked at again", "door")(_asking_nothing(Consequence.BREAK))


@_mutant("another hand's order is passed over")
def _passed_over() -> tuple[Patch, ...]:
    owner = vars(reconciler)["_Pass"]
    real = owner.__dict__["_tell"]

    def tell(self: Any, *notices: Any) -> None:
        real(self, *(one for one in notices if one.what != "order"))

    return ((owner, "_tell", tell),)


_mutant("an order like ours that nobody knows is passed over")(_unheard("foreign order"))
_mutant("a trade id that comes again with other content is passed over")(
    _unheard("reused trade id")
)
_mutant("a refused order that the venue took is not asked for again")(doing(Denied, "suspects", []))


@_mutant("an order goes though the journal takes nothing")
def _unwritten() -> tuple[Patch, ...]:
    real = executor.Executor.__dict__["_attempt"]

    async def attempt(self: Any, leg: Any, trader: Any, changed: Any) -> None:
        try:
            await real(self, leg, trader, changed)
        except JournalError:
            await venue_of(self, leg).submit(leg.intent, leg.client_id)
            raise

    return ((executor.Executor, "_attempt", attempt),)
