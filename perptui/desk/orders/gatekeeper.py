"""Asks the gate on a ticket's behalf: gathers what it looks at, as it is at that instant."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from perptui.desk.orders.gate import DUPLICATE_MS, drawdown_stop, gate, loss_stop
from perptui.desk.orders.gate_input import GateInput, Refusal, SentOrder
from perptui.desk.orders.kill import KillSwitch
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.model.clock import Clock
from perptui.model.limit import Limits
from perptui.model.order import LegState, OrderIntent, Side

WITHOUT_ORDER = frozenset({LegState.REJECTED, LegState.NOT_SENT, LegState.NEVER_ACCEPTED})
UNSURE = frozenset({LegState.SENDING, LegState.UNKNOWN, LegState.ACKED})


class Gatekeeper:
    """Gathers the gate's input from journal, picture, kill switch and clock.

    Parameters
    ----------
    sent_mono : mapping
        When messages went to each venue; read whenever the gate is asked.

    Attributes
    ----------
    unclean : str
        Why nothing may be sent until a reconcile is clean; set by the caller.
    """

    def __init__(
        self,
        journal: Journal,
        limits: Limits,
        clock: Clock,
        picture: TradingPicture,
        kill: KillSwitch,
        sent_mono: Mapping[str, tuple[float, ...]],
    ) -> None:
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._picture = picture
        self._kill = kill
        self._sent_mono = sent_mono
        self.unclean = "not reconciled yet"

    def ask(
        self, inputs: TicketInputs, left: tuple[OrderIntent, ...], stand: str
    ) -> tuple[Refusal, ...]:
        """Return why `left`, the legs of a ticket still to be sent, may not be; () when they may.

        Parameters
        ----------
        stand : str
            Why the ticket's confirmation does not stand, "" while it does or none is needed yet.
        """
        now_ms = self._clock.utc_ms()
        return gate(
            GateInput(
                now_ms=now_ms,
                now_mono=self._clock.monotonic(),
                legs=left,
                ticket_legs=len(inputs.legs),
                ticket_notional_usd=sum((leg.notional_usd for leg in inputs.legs), Decimal(0)),
                snapshot=self._picture.snapshot(),
                basis=inputs.basis,
                positions=self.known_positions(),
                limits=self._limits,
                stand=stand,
                kill_state=self._kill.state(),
                unclean=self.unclean or self._journal.fault,
                stale=self._picture.stale(),
                clock_offset_ms=self._picture.clock_offset_ms(),
                volume_usd_day=self._picture.volume_usd_day(),
                volatility_annual=self._picture.volatility_annual(),
                day_notional_usd=self._journal.day_notional_usd(),
                sent_mono=dict(self._sent_mono),
                recent=self._recent(inputs.ticket, now_ms),
                unknown=self._unsure(inputs.ticket),
                daily_loss=self._picture.daily_loss(),
            )
        )

    @property
    def only_reducing(self) -> str:
        """Why only reductions may be sent, in words; "" while additions may be too."""
        why = loss_stop(self._picture.daily_loss(), self._limits)
        why = why or drawdown_stop(self._picture.snapshot(), self._limits)
        return f"all but reductions, {why}" if why else ""

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
        return tuple(
            sorted({leg.instrument for leg in live if leg.ticket != ticket and leg.state in UNSURE})
        )

    def _recent(self, ticket: str, now_ms: int) -> tuple[SentOrder, ...]:
        return tuple(
            SentOrder(leg.instrument, leg.side, leg.contracts, leg.sent_ms)
            for leg in self._journal.sent_since(now_ms - DUPLICATE_MS)
            if leg.ticket != ticket and leg.state not in WITHOUT_ORDER and leg.sent_ms is not None
        )


def signed(leg: LegRow, contracts: Decimal) -> Decimal:
    """Return contracts with the sign of the leg's side."""
    return contracts if leg.side is Side.BUY else -contracts
