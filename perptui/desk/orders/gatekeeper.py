"""Asks the gate on a ticket's behalf: gathers what it looks at, as it is at that instant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from perptui.desk.orders.denied import WITHOUT_ORDER, Denied
from perptui.desk.orders.gate import gate
from perptui.desk.orders.gate_desk import (
    REJECTIONS_MS,
    SIMULATED,
    drawdown_stop,
    loss_stop,
    rejections_stop,
)
from perptui.desk.orders.gate_input import GateInput, Refusal, SentOrder
from perptui.desk.orders.gate_orders import DUPLICATE_MS
from perptui.desk.orders.holds import Holds
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.notes import Notes, key_fault
from perptui.desk.orders.throttle import messages_of
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import Clock
from perptui.model.order import LegState, OrderIntent, Side
from perptui.settings.schema import Settings
from perptui.venues.base import Venue

UNSENT = frozenset({LegState.PROPOSED, LegState.CONFIRMED, LegState.APPROVED})
UNSURE = frozenset({LegState.SENDING, LegState.UNKNOWN, LegState.ACKED})


class Gatekeeper:
    """Gathers the gate's input from journal, picture, kill switch and clock.

    Parameters
    ----------
    venues : mapping of str to Venue
        By name: where their orders go is asked of them.
    denied : Denied, optional
        Orders that should not be: their contracts are locked as those of UNKNOWN ones.

    Attributes
    ----------
    unclean : str
        Why nothing may be sent until a reconcile is clean; set by the caller.
    holds : Holds
        Venues that orders are held back from.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        picture: TradingPicture,
        kill: KillSwitch,
        venues: Mapping[str, Venue],
        denied: Denied | None = None,
    ) -> None:
        self._denied = denied or Denied(journal)
        self._journal = journal
        self._notes = Notes(journal)
        self.holds = Holds(journal, clock)
        self._mode = settings.desk.mode
        self._limits = settings.limits
        self._clock = clock
        self._picture = picture
        self._kill = kill
        self._venues = venues
        self.unclean = "not reconciled yet"

    def ask(
        self,
        inputs: TicketInputs,
        left: tuple[OrderIntent, ...],
        stand: str,
        *,
        approval: str = "",
        permission: str = "",
    ) -> tuple[Refusal, ...]:
        """Return why `left`, the legs of a ticket still to be sent, may not be; () when they may.

        Parameters
        ----------
        stand : str
            Why the ticket's confirmation does not stand, "" while it does or none is needed yet.
        approval : str
            Why it is not approved, "" where it is or needs not be yet.
        permission : str
            Why its trader may not send, "" while they may.

        Limits that the ticket passes over by its override refuse nothing.
        """
        passed_over = {refusal.reason for refusal in inputs.overridden}
        refusals = self.ask_all(inputs, left, stand, approval=approval, permission=permission)
        return tuple(one for one in refusals if one.reason not in passed_over)

    def ask_all(
        self,
        inputs: TicketInputs,
        left: tuple[OrderIntent, ...],
        stand: str,
        *,
        approval: str = "",
        permission: str = "",
    ) -> tuple[Refusal, ...]:
        """Return what `ask` would, had the ticket no override."""
        now_ms = self._clock.utc_ms()
        lately = self._lately()
        return gate(
            GateInput(
                now_ms=now_ms,
                legs=left,
                ticket_legs=len(inputs.trades),
                ticket_notional_usd=_notional_of(inputs.legs),
                snapshot=self._picture.snapshot(),
                basis=inputs.basis,
                shown=inputs.snapshot,
                positions=self.known_positions(),
                limits=self._limits,
                stand=stand,
                kill_state=self._kill.state(),
                unclean=self.unclean or self._journal.fault,
                stale=self._picture.stale(),
                clock_offset_ms=self._picture.clock_offset_ms(),
                volume_usd_day=_finite(self._picture.volume_usd_day()),
                volatility_annual=_finite(self._picture.volatility_annual()),
                day_notional_usd=self._journal.day_notional_usd(),
                trader_notional_usd=self._journal.day_notional_usd(inputs.trader),
                messages=messages_of(self._journal, now_ms),
                recent=_recent(lately, inputs.ticket, now_ms),
                rejections=self._rejections(lately),
                unknown=self._unsure(inputs.ticket),
                mode=self._mode,
                hosts=self.hosts(),
                confirmed_hosts=inputs.hosts,
                daily_loss=self._picture.daily_loss(),
                books=self._picture.books(),
                approval=approval,
                permission=permission,
                key_permission=self._key_fault(left),
                halted=self.holds.halted,
                resting=self.holds.resting,
            )
        )

    def hosts(self) -> dict[str, str]:
        """Return where each venue's orders go now, in words."""
        return {name: venue.host for name, venue in self._venues.items()}

    @property
    def only_reducing(self) -> str:
        """Why only reductions may be sent, in words; "" while additions may be too."""
        why = loss_stop(self._picture.daily_loss(), self._limits)
        why = why or drawdown_stop(self._picture.snapshot(), self._limits)
        why = why or rejections_stop(self._rejections(self._lately()), self._limits)
        return f"all but reductions, {why}" if why else ""

    def _lately(self) -> list[LegRow]:
        return self._journal.sent_since(self._clock.utc_ms() - REJECTIONS_MS)

    @staticmethod
    def _rejections(lately: list[LegRow]) -> int:
        return sum(leg.state is LegState.REJECTED for leg in lately)

    def known_positions(self) -> dict[str, Decimal]:
        """Return signed positions: the journal's, and fills reported that are not there yet."""
        positions = self._journal.positions()
        for leg in self._journal.legs_short_of_fills():
            missing = max(leg.filled - leg.executed, Decimal(0))
            if missing:
                held = positions.get(leg.instrument, Decimal(0))
                positions[leg.instrument] = held + signed(leg, missing)
        return {key: held for key, held in positions.items() if held}

    def _unsure(self, ticket: str) -> tuple[str, ...]:
        """Return the instruments where an order of another ticket may still do anything."""
        live = self._journal.live_legs()
        unsure = {leg.instrument for leg in live if leg.ticket != ticket and leg.state in UNSURE}
        return tuple(sorted(unsure | self._denied.instruments))

    def _key_fault(self, left: tuple[OrderIntent, ...]) -> str:
        """Return why a key that orders would really be sent with is not fit, "" when all are."""
        names = sorted({leg.id.partition(":")[0] for leg in left})
        real = [name for name, host in self.hosts().items() if host != SIMULATED]
        faults = (key_fault(self._notes.permissions.get(name)) for name in names if name in real)
        return next(filter(None, faults), "")


def _recent(lately: list[LegRow], ticket: str, now_ms: int) -> tuple[SentOrder, ...]:
    return tuple(
        SentOrder(leg.instrument, leg.side, leg.contracts, leg.sent_ms, leg.kind)
        for leg in lately
        if leg.ticket != ticket
        and leg.state not in WITHOUT_ORDER
        and leg.sent_ms is not None
        and now_ms - leg.sent_ms <= DUPLICATE_MS
    )


def _notional_of(legs: tuple[OrderIntent, ...]) -> Decimal:
    return sum((leg.notional_usd for leg in legs if not leg.protective), Decimal(0))


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that are numbers: one that is none is not known."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def ticketed(journal: Journal) -> frozenset[str]:
    """Return the contracts of tickets whose legs may still be sent."""
    return frozenset(leg.instrument for leg in journal.live_legs() if leg.state in UNSENT)


def signed(leg: LegRow, contracts: Decimal) -> Decimal:
    """Return contracts with the sign of the leg's side."""
    return contracts if leg.side is Side.BUY else -contracts
