"""An order as the venue has it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.model.order import LegState, OrderKind, OrderReport, Side

ALIVE = frozenset({LegState.OPEN, LegState.PARTIAL})


class TrueOrder(msgspec.Struct):
    """An order as the venue has it."""

    order_id: str
    client_id: str
    instrument: str
    side: Side
    contracts: Decimal
    limit_price: Decimal
    reduce_only: bool
    protective: bool
    trigger_price: Decimal | None
    ts_ms: int
    state: LegState = LegState.OPEN
    filled: Decimal = Decimal(0)
    turnover: Decimal = Decimal(0)
    triggered: bool = False
    foreign: bool = False

    @property
    def alive(self) -> bool:
        """True while it works."""
        return self.state in ALIVE

    @property
    def waits(self) -> bool:
        """True of a stop that its mark never reached: it has an id of the algo service alone."""
        return self.protective and not self.triggered

    def report(self) -> OrderReport:
        """Return what the venue says of it."""
        return OrderReport(
            id=self.instrument,
            client_id=self.client_id,
            venue_order_id=f"algo:{self.order_id}" if self.waits else self.order_id,
            state=self.state,
            side=self.side,
            contracts=self.contracts,
            filled=self.filled,
            average_price=round(self.turnover / self.filled, 8) if self.filled else None,
            ts_ms=self.ts_ms,
            kind=OrderKind.STOP_MARKET if self.protective else OrderKind.LIMIT_IOC,
            trigger_price=self.trigger_price,
        )
