"""Reconcile: journal against venue; the same code at start, after UNKNOWN and every 30 s.

Server time, then each unsettled leg by its client id, open orders, own trades since the earliest
such leg less a minute, positions. What the venue did and the journal did not is EXTERNAL; what
looks like ours without an entry, or contradicts a final state, is an ALARM. A query that fails
proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from perptui.desk.orders import denied as refused
from perptui.desk.orders import outside, stop_news
from perptui.desk.orders.denied import Denied
from perptui.desk.orders.executor import SETTLING, WORKING, moved
from perptui.desk.orders.lost import Lost, out_of_reach
from perptui.desk.orders.outside import Outside
from perptui.desk.orders.stops import rests
from perptui.journal.events import (
    OWN_PREFIX,
    Alarm,
    Baseline,
    Body,
    External,
    FillSeen,
    LegOutcome,
    Reconciled,
)
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.account import Account
from perptui.model.clock import DAY_MS, MINUTE_MS, Clock
from perptui.model.errors import VenueError, VenueRejected
from perptui.model.money import plain
from perptui.model.order import TERMINAL_STATES, Fill, LegState, OrderReport, Side
from perptui.model.record import Record
from perptui.venues.base import Venue

LOOK_BACK_MS = MINUTE_MS
"""Own trades are read from this long before the earliest unsettled leg."""
LATE_FILL_MS = DAY_MS
"""How far back final legs are asked about again when a position does not agree."""
SECOND_LOOK_S = 0.5
WITHOUT_ORDER = refused.WITHOUT_ORDER


class Findings(Record, frozen=True):
    """What a reconcile found.

    Attributes
    ----------
    clean : bool
        Every venue answered, nothing is unresolved, positions agree.
    reasons : tuple[str, ...]
        Why it is not clean.
    external : bool
        A position changed outside: open confirmations are void.
    answered : bool
        Every venue could be read.
    """

    clean: bool
    reasons: tuple[str, ...]
    external: bool
    answered: bool = True


class Reconciler:
    """Compares one desk's journal with its venues.

    The caller holds the send lock, so no leg is between SENDING and its outcome.

    Parameters
    ----------
    journal : Journal
        Changed by what is found.
    venues : mapping of str to Venue
        By name.
    pause : callable, optional
        Waits seconds before the second look at a position that does not agree.
    denied : Denied, optional
        Told of orders that should not be; the caller cancels those that work.
    clock : Clock, optional
        Whose monotonic time must agree that an order is too old to be accepted.
    """

    def __init__(
        self,
        journal: Journal,
        venues: Mapping[str, Venue],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        denied: Denied | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._journal = journal
        self._venues = venues
        self._pause = pause
        self._memory = _Memory(Lost(journal, clock), denied or Denied(journal), Outside(journal))
        self._last: Findings | None = None

    async def run(self) -> Findings:
        """Compare once and journal what is new.

        Raises
        ------
        JournalError
            When it cannot be journalled.
        """
        reasons: list[str] = []
        external, answered = False, True
        for name, venue in self._venues.items():
            try:
                found = await _Pass(self._journal, venue, self._pause, self._memory).run()
            except VenueError as error:
                reasons.append(f"{name}: {error}")
                answered = False
                continue
            reasons.extend(found.reasons)
            external = external or found.external
        reasons.extend(self._memory.denied.reasons)
        if missing := out_of_reach(self._journal, self._venues):
            reasons.extend(missing)
            answered = False
        findings = Findings(not reasons, tuple(reasons), external, answered)
        if self._last is None or self._last.clean != findings.clean:
            self._journal.append(Reconciled(findings.clean, findings.reasons))
        self._last = findings
        return findings


class _Memory(NamedTuple):
    """What is known from one comparison to the next."""

    lost: Lost
    denied: Denied
    outside: Outside


class _Pass:
    """One comparison with one venue."""

    def __init__(
        self,
        journal: Journal,
        venue: Venue,
        pause: Callable[[float], Awaitable[None]],
        memory: _Memory,
    ) -> None:
        self._journal = journal
        self._venue = venue
        self._pause = pause
        self._lost, self._denied, self._outside = memory
        self._now_ms = 0
        self._watched: dict[str, int] = {}
        self._late: dict[str, Decimal] = {}
        self._order_ids: dict[str, str] = {}
        self._reasons: list[str] = []
        self._external = False

    async def run(self) -> Findings:
        now_ms = self._now_ms = (await self._venue.server_time()).value
        await self._first_sight()
        missing = [leg for leg in self._unsettled() if not await self._ask(leg, now_ms)]
        self._watched = self._outside.watched(self._venue.name, now_ms)
        suspects = self._denied.suspects(self._venue.name, now_ms, self._watched)
        for leg in suspects:
            await self._ask_again(leg)
        await self._open_orders()
        await self._trades(self._since(suspects))
        disagree = await self._positions()
        self._lost.never_accepted(missing, disagree, now_ms)
        self._sum_up(disagree, {leg.client_id for leg in missing})
        self._tell(*stop_news.pointless(self._unsettled(), self._journal.positions()))
        return Findings(not self._reasons, tuple(self._reasons), self._external)

    def _unsettled(self) -> list[LegRow]:
        return self._journal.unsettled_legs(self._venue.name)

    def _moving(self) -> list[LegRow]:
        """Return the unsettled legs that may change a position: all but the stops that wait."""
        return [leg for leg in self._unsettled() if not rests(leg)]

    def _since(self, suspects: list[LegRow]) -> dict[str, int]:
        """Return by contract since when own trades are to be read."""
        since = dict(self._watched)
        wanted = self._denied.instruments
        for leg in (*self._moving(), *(one for one in suspects if one.instrument in wanted)):
            if leg.sent_ms is not None:
                since[leg.instrument] = min(since.get(leg.instrument, leg.sent_ms), leg.sent_ms)
        return since

    async def _ask_again(self, leg: LegRow) -> None:
        """Ask about a leg whose final state says that the venue has no order of it."""
        try:
            report = await self._order(leg)
        except VenueRejected:
            return  # a venue that does not know the contract cannot be asked
        if report is None:
            self._denied.missed(leg, self._now_ms)
        else:
            self._learn(leg.client_id, report, "order query")

    async def _first_sight(self) -> None:
        if self._journal.has_baseline(self._venue.name):
            return
        account = (await self._venue.account()).value
        self._journal.append(Baseline(self._venue.name, _positions(account)))

    async def _ask(self, leg: LegRow, now_ms: int) -> bool:
        """Ask for one leg's order by client id; False when the venue says it has none."""
        if leg.state is LegState.SENDING:
            self._journal.append(
                LegOutcome(leg.client_id, LegState.UNKNOWN, "found_sending", "the desk ended there")
            )
        if leg.state in TERMINAL_STATES:
            return True
        self._lost.asked(leg)
        report = await self._order(leg)
        if report is None:
            self._lost.note(leg, now_ms)
            return False
        self._lost.found(leg.client_id)
        self._learn(leg.client_id, report, "order query")
        return True

    async def _order(self, leg: LegRow) -> OrderReport | None:
        ask = self._venue.stop if leg.protective else self._venue.order
        return (await ask(leg.instrument, leg.client_id)).value

    def _learn(self, client_id: str, report: OrderReport, evidence: str) -> None:
        """Bring a leg to what the venue reports of its order."""
        leg = self._journal.leg(client_id)
        if leg is None:
            return
        self._order_ids[report.venue_order_id] = client_id
        if not leg.filled <= report.filled <= leg.contracts:
            text = f"the venue reports {plain(report.filled)} filled of leg {client_id}"
            self._alarm("report", f"report:{client_id}", text)
            return
        # A venue's own REJECTED of an order that it has is one that ended without (more) fills.
        state = report.state if report.state in SETTLING else LegState.CANCELED
        if self._denied.concerns(leg):
            self._denied.met(leg, report, self._now_ms)
        if leg.state in TERMINAL_STATES:
            return
        if (leg.state, leg.filled) == (state, report.filled):
            return
        if state is LegState.OPEN and leg.state is LegState.PARTIAL:
            state = LegState.PARTIAL
        self._journal.append(moved(client_id, report, state, evidence))
        if rests(leg):
            self._tell(stop_news.ended(leg, state, report))

    def _tell(self, *notices: External) -> None:
        for notice in notices:
            if not self._journal.has_notice(notice.key):
                self._journal.append(notice)

    async def _open_orders(self) -> None:
        for report in (await self._venue.open_orders()).value:
            if self._journal.leg(report.client_id) is not None:
                self._learn(report.client_id, report, "open orders")
            elif report.client_id.startswith(OWN_PREFIX):
                text = f"order {report.client_id} of {report.id} is ours and not in the journal"
                self._alarm("foreign order", f"order:{report.client_id}", text)
            else:
                self._tell(outside.placed(self._venue.name, report))

    async def _trades(self, since: Mapping[str, int]) -> None:
        """Take own trades, by contract since a venue time less `LOOK_BACK_MS`."""
        for instrument, since_ms in sorted(since.items()):
            for fill in (await self._venue.fills(instrument, since_ms - LOOK_BACK_MS)).value:
                owner = self._owner(fill)
                if owner is not None:
                    self._take(fill, owner)

    def _owner(self, fill: Fill) -> LegRow | None:
        if fill.client_id:
            leg = self._journal.leg(fill.client_id)
            if leg is None and fill.client_id.startswith(OWN_PREFIX):
                text = f"trade {fill.trade_id} of {fill.id} is ours and not in the journal"
                self._alarm("foreign trade", f"trade:{fill.id}:{fill.trade_id}", text)
            return leg
        known = self._order_ids.get(fill.venue_order_id)
        if known is not None:
            return self._journal.leg(known)
        return self._journal.leg_of_order(self._venue.name, fill.venue_order_id)

    def _take(self, fill: Fill, leg: LegRow) -> None:
        kept = self._journal.fill(fill.id, fill.trade_id)
        key = f"fill:{fill.id}:{fill.trade_id}"
        if kept is not None:
            same = (kept.client_id, kept.side, kept.contracts, kept.price)
            if same != (leg.client_id, fill.side, fill.contracts, fill.price):
                text = f"trade id {fill.trade_id} of {fill.id} came twice with other content"
                # The first one of an order that should not be has used its own key for an alarm.
                key += ":reused" if leg.state in WITHOUT_ORDER else ""
                self._alarm("reused trade id", key, text)
            return
        bodies: list[Body] = [FillSeen(_with_owner(fill, leg.client_id))]
        total = leg.executed + fill.contracts
        beyond = total > leg.contracts or fill.side is not leg.side
        ended = leg.state in TERMINAL_STATES and total > leg.filled and not beyond
        if self._denied.concerns(leg) or ended:
            had = f" with {plain(leg.filled)} filled" if leg.filled else ""
            has = f"has a fill of {plain(fill.contracts)}"
            text = f"leg {leg.client_id} is {leg.state}{had} and {has}"
            bodies.append(Alarm("late fill", key, text))
        if beyond:
            text = f"leg {leg.client_id} of {plain(leg.contracts)} {leg.side} has fills beyond it"
            bodies.append(Alarm("overfill", f"over:{leg.client_id}", text))
        self._journal.append(*bodies)
        self._denied.filled(leg.client_id)
        if fill.id in self._watched:
            signed = fill.contracts if fill.side is Side.BUY else -fill.contracts
            self._late[fill.id] = self._late.get(fill.id, Decimal(0)) + signed

    async def _positions(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return where journal and venue disagree, after a second look; record what is EXTERNAL."""
        disagree = await self._compare()
        if disagree:
            await self._late_fills(set(disagree))
            await self._pause(SECOND_LOOK_S)
            again = await self._compare()
            disagree = {key: pair for key, pair in again.items() if key in disagree}
            await self._ask_stops(set(disagree))
        moves = [leg for leg in self._moving() if self._lost.moves(leg, disagree)]
        moving = {leg.instrument for leg in moves} | self._denied.instruments
        for instrument, (ours, theirs) in disagree.items():
            if instrument not in moving:
                self._outside_position(instrument, ours, theirs)
        return {key: pair for key, pair in disagree.items() if key in moving}

    async def _ask_stops(self, instruments: set[str]) -> None:
        """Ask again about the stops that wait there: one may have been triggered meanwhile.

        After the position was read, so that what it shows is known of its stop too.
        """
        for leg in self._unsettled():
            if rests(leg) and leg.instrument in instruments:
                report = await self._order(leg)
                if report is not None:
                    self._learn(leg.client_id, report, "order query")

    async def _compare(self) -> dict[str, tuple[Decimal, Decimal]]:
        theirs = _positions((await self._venue.account()).value)
        prefix, zero = f"{self._venue.name}:", Decimal(0)
        held = self._journal.positions()
        ours = {key: contracts for key, contracts in held.items() if key.startswith(prefix)}
        pairs = {key: (ours.get(key, zero), theirs.get(key, zero)) for key in {*ours, *theirs}}
        return {key: pairs[key] for key in sorted(pairs) if pairs[key][0] != pairs[key][1]}

    async def _late_fills(self, instruments: set[str]) -> None:
        """Ask again about final legs of these instruments: one may have been filled after all."""
        since = (await self._venue.server_time()).value - LATE_FILL_MS
        sent = [leg for leg in self._denied.lately(since) if leg.instrument in instruments]
        for leg in sent:
            if self._denied.concerns(leg):
                await self._ask_again(leg)
        first: dict[str, int] = {}
        for leg in sent:
            if leg.sent_ms is not None:
                first[leg.instrument] = min(first.get(leg.instrument, leg.sent_ms), leg.sent_ms)
        await self._trades(first)

    def _outside_position(self, instrument: str, ours: Decimal, theirs: Decimal) -> None:
        self._external = True
        late = self._late.get(instrument, Decimal(0))
        self._journal.append(outside.changed(instrument, ours, theirs, late))

    def _sum_up(self, disagree: Mapping[str, object], missing: set[str]) -> None:
        for leg in self._unsettled():
            lost = leg.client_id in missing or leg.instrument in disagree
            if leg.state in TERMINAL_STATES:
                self._reasons.append(f"fills of leg {leg.client_id[:8]} are not all here yet")
                self._lost.short(leg, self._now_ms)
            elif leg.state not in WORKING or lost:
                self._reasons.append(f"leg {leg.client_id[:8]} of {leg.instrument} is {leg.state}")

    def _alarm(self, what: str, key: str, text: str) -> None:
        if not self._journal.has_notice(key):
            self._journal.append(Alarm(what, key, text))


def _positions(account: Account) -> dict[str, Decimal]:
    return {held.id: held.contracts for held in account.positions if held.contracts != 0}


def _with_owner(fill: Fill, client_id: str) -> Fill:
    return msgspec.structs.replace(fill, client_id=client_id)
