"""Settling by a person: orders that no answer of a venue settles, or that it has forgotten.

What the program can find out it finds out by itself; a person's word counts only for a leg over
which an alarm says so, and only while the venue, asked at that moment, has no order of it that
works. The word is journalled with who, why and what was seen. The position becomes what the venue
says it is; a fill that comes later is kept, and is an ALARM.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from perptui.desk.orders.denied import ALIVE, Denied
from perptui.desk.orders.lost import PERSONAL
from perptui.desk.orders.opened import said
from perptui.journal.events import Actor, LegSettled, SettleAsked
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow, Noted
from perptui.model.clock import Clock, iso
from perptui.model.errors import GateRefused, InputError, VenueError
from perptui.model.money import ZERO, plain
from perptui.model.order import TERMINAL_STATES, LegState, OrderReport
from perptui.model.record import Record
from perptui.settings.roles import RoleBook
from perptui.settings.schema import Settings
from perptui.venues.base import Venue

REASON_LEAST = 10
"""Fewest characters of a reason."""
BEGINNING = 8
"""Fewest characters of a client id that name a leg."""
ALONE = "one person's decision"
KINDS = ("SETTLING", "SETTLED")


class Seen(Record, frozen=True):
    """What is known of a leg at the moment that it is settled, and what it comes to."""

    state: LegState
    filled: Decimal
    evidence: tuple[str, ...]


class Settling:
    """Takes a person's word on one desk's legs.

    On a desk where somebody else may approve it takes two persons, in any mode: who asks, and
    another uid that says the same within the expiry of an approval.

    Parameters
    ----------
    reconcile : callable
        Compares journal and venues: before, so that nothing is settled that settles itself, and
        after, so that the position agrees.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        settings: Settings,
        clock: Clock,
        denied: Denied,
        reconcile: Callable[[], Awaitable[object]],
    ) -> None:
        self._journal = journal
        self._venues = venues
        self._clock = clock
        self._denied = denied
        self._reconcile = reconcile
        self._expiry_ms = round(settings.approval.expiry_s * 1000)
        shared = bool(settings.desk.socket_dir)
        self._roles = RoleBook(settings.roles, clock, os.getuid(), shared=shared)

    async def settle(self, named: str, reason: str, person: Actor) -> str:
        """Settle a leg, or ask a second person to; return in words which of the two it was.

        Parameters
        ----------
        named : str
            ``T3.1`` as the journal view has it, or how the leg's client id begins.
        reason : str
            What the person found out, and where.

        Raises
        ------
        InputError, GateRefused, JournalError
            With why nothing was settled, and the cure.
        """
        why = said(reason)
        if len(reason.strip()) < REASON_LEAST:
            raise InputError(
                f"expected a reason of {REASON_LEAST} characters or more, was {why!r}; say what "
                "the venue told you: `:settle T3.1 REASON`"
            )
        await self._reconcile()
        leg = self._for_a_person(named)
        looked = await self._look(leg)
        # Nothing is awaited from here on: what is journalled is what was found just now.
        leg = self._for_a_person(leg.client_id)
        seen = self._seen(leg, *looked)
        before = self._asked(leg, seen)
        if before is None or before.actor.uid == person.uid:
            if waits := self._ask(leg, seen, why, person, before):
                return waits
            asked_by = ALONE
        else:
            self._require_role(person, "approve")
            asked_by = f"asked by {before.actor.name}: {_reason(before)}"
        body = LegSettled(leg.client_id, seen.state, seen.filled, why, seen.evidence, asked_by)
        self._journal.append(body, actor=person)
        await self._reconcile()
        return f"{_name(leg)} is settled as {seen.state}, filled {plain(seen.filled)}"

    def _for_a_person(self, named: str) -> LegRow:
        """Return the one leg of that name that only a person can settle.

        Raises
        ------
        InputError
            When there is none, or more than one.
        """
        waiting = self._waiting()
        found = [leg for leg in waiting if _is(leg, named)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(_name(leg) for leg in waiting) or "none now"
        raise InputError(
            f"expected a leg that an ALARM leaves to a person ({names}), was {named!r}; "
            "any other is settled by the venue's own answers: wait, or :cancel what works"
        )

    def _waiting(self) -> list[LegRow]:
        open_legs = [
            *self._journal.live_legs(),
            *self._journal.legs_short_of_fills(),
            *filter(None, map(self._journal.leg, self._denied.short_ones)),
        ]
        flagged = {leg.client_id: leg for leg in open_legs if self._alarms(leg)}
        return list(flagged.values())

    def _alarms(self, leg: LegRow) -> tuple[str, ...]:
        return tuple(
            what for what in PERSONAL if self._journal.has_notice(f"{what}:{leg.client_id}")
        )

    async def _look(self, leg: LegRow) -> tuple[OrderReport | None, Decimal]:
        """Ask the venue now: what it has of the order, and which position it has there.

        Raises
        ------
        GateRefused
            When it does not answer.
        """
        venue = self._venues.get(leg.venue)
        if venue is None:
            raise GateRefused(
                f"expected {leg.venue} in the configuration, was absent; add [venues.{leg.venue}]",
                "venue",
            )
        ask = venue.stop if leg.protective else venue.order
        try:
            report = (await ask(leg.instrument, leg.client_id)).value
            account = (await venue.account()).value
        except VenueError as error:
            raise GateRefused(
                f"expected an answer of {leg.venue} about {_name(leg)}, was none ({error}); "
                "settle it when it answers",
                "unanswered",
            ) from None
        held = {one.id: one.contracts for one in account.positions}
        return report, held.get(leg.instrument, ZERO)

    def _seen(self, leg: LegRow, report: OrderReport | None, held: Decimal) -> Seen:
        """Return what a leg comes to, with the evidence.

        Raises
        ------
        GateRefused
            When the venue has the order: it works, or ended in a way that the program can take.
        """
        ended = leg.state in TERMINAL_STATES
        if report is not None and (report.state in ALIVE or not ended):
            cure = ":cancel it" if report.state in ALIVE else "the next look takes it"
            raise GateRefused(
                f"expected no order of {_name(leg)} at {leg.venue}, was {report.state}; {cure}",
                "there",
            )
        filled = max(leg.filled, leg.executed)
        if ended:
            reported = ZERO if report is None else report.filled
            filled = max(filled, reported, self._denied.short(leg.client_id) or ZERO)
        known = leg.state is not LegState.UNKNOWN or filled > 0
        state = leg.state if ended else LegState.CANCELED if known else LegState.NEVER_ACCEPTED
        answer = "no such order"
        if report is not None:
            answer = f"{report.state} with {plain(report.filled)} filled"
        here = self._journal.positions().get(leg.instrument, ZERO)
        return Seen(
            state,
            filled,
            (
                f"was {leg.state}, alarms: {', '.join(self._alarms(leg))}",
                f"{leg.venue} now: {answer}",
                f"fills here {plain(leg.executed)} of {plain(leg.contracts)}",
                f"position {plain(here)} here, {plain(held)} there",
            ),
        )

    def _asked(self, leg: LegRow, seen: Seen) -> Noted | None:
        """Return who asked for the very same a short while ago, None where nobody did."""
        of_leg = [
            one
            for one in self._journal.noted(KINDS, 1)
            if isinstance(one.body, SettleAsked | LegSettled)
            and one.body.client_id == leg.client_id
        ]
        newest = of_leg[-1] if of_leg else None
        if newest is None or not isinstance(newest.body, SettleAsked):
            return None
        same = (newest.body.state, newest.body.filled) == (seen.state, seen.filled)
        return newest if same and self._clock.utc_ms() < newest.body.expires_ms else None

    def _ask(self, leg: LegRow, seen: Seen, why: str, person: Actor, before: Noted | None) -> str:
        """Ask a second person where there may be one; return that in words, else ""."""
        self._require_role(person, "trade")
        if not self._roles.somebody_besides(person.uid, "approve"):
            return ""
        expires_ms = self._clock.utc_ms() + self._expiry_ms
        if before is None:
            body = SettleAsked(leg.client_id, seen.state, seen.filled, why, expires_ms)
            self._journal.append(body, actor=person)
        elif isinstance(before.body, SettleAsked):
            expires_ms = before.body.expires_ms
        return (
            f"{_name(leg)} as {seen.state} waits for a second person until "
            f"{iso(expires_ms)[11:19]} UTC: `:settle {_name(leg)} REASON` by another user"
        )

    def _require_role(self, person: Actor, role: str) -> None:
        if not self._roles.may(person.uid, role):
            raise GateRefused(
                f"expected the role {role}, was {person.name} without it; "
                "[roles] of the desk's config.toml gives it",
                "role",
            )


def _name(leg: LegRow) -> str:
    return f"{leg.ticket}.{leg.number + 1}"


def _is(leg: LegRow, named: str) -> bool:
    begins = len(named) >= BEGINNING and leg.client_id.startswith(named)
    return begins or _name(leg) == named.upper()


def _reason(asked: Noted) -> str:
    return asked.body.reason if isinstance(asked.body, SettleAsked) else ""
