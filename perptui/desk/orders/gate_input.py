"""What the gate looks at, and what it answers."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.limit import Limits
from perptui.model.order import OrderIntent, Side
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot


class Refusal(Record, frozen=True):
    """Why not: a stable code and a line for a person."""

    reason: str
    text: str


class SentOrder(Record, frozen=True):
    """An order that was sent lately and may live, for the duplicate check."""

    id: str
    side: Side
    contracts: Decimal
    sent_ms: int


class GateInput(Record, frozen=True):
    """Everything the gate looks at.

    Attributes
    ----------
    now_ms, now_mono : int, float
        Venue time and monotonic time.
    legs : tuple[OrderIntent, ...]
        The legs still to be sent, in order; the book is judged after all of them.
    ticket_legs, ticket_notional_usd : int, Decimal
        Of the whole ticket.
    snapshot : MarketSnapshot | None
        The picture now: prices, rules, tiers, equity.
    basis : MarketSnapshot | None
        The picture that the orders were made from, which the collar keeps near the one of now.
    positions : dict[str, Decimal]
        Signed contracts now, own fills in.
    stand : str
        Why the token does not stand ("" while it does): used, expired, void, drifted.
    kill_state : str
        ACTIVE, REDUCING or HALTED.
    unclean : str
        Why the last reconcile was not clean, "" when it was.
    stale : str
        Which input is stale, "" when none is.
    clock_offset_ms : dict[str, int]
        Offset of each venue's clock; a venue that is absent is not known.
    volume_usd_day, volatility_annual : dict[str, float]
        By instrument, as estimated; an absent volume refuses.
    day_notional_usd : Decimal
        Sent today already.
    sent_mono : dict[str, tuple[float, ...]]
        When messages went to each venue, monotonic seconds.
    recent : tuple[SentOrder, ...]
        Orders of other tickets.
    unknown : tuple[str, ...]
        Instruments with a leg of which the outcome is not known.
    daily_loss : float | None
        Loss of the UTC day as a fraction of equity at its start; a profit is negative; None: not
        known, which stops what adds.
    """

    now_ms: int
    now_mono: float
    legs: tuple[OrderIntent, ...]
    ticket_legs: int
    ticket_notional_usd: Decimal
    snapshot: MarketSnapshot | None
    basis: MarketSnapshot | None
    positions: dict[str, Decimal]
    limits: Limits
    stand: str
    kill_state: str
    unclean: str
    stale: str
    clock_offset_ms: dict[str, int]
    volume_usd_day: dict[str, float]
    volatility_annual: dict[str, float]
    day_notional_usd: Decimal
    sent_mono: dict[str, tuple[float, ...]]
    recent: tuple[SentOrder, ...]
    unknown: tuple[str, ...]
    daily_loss: float | None

    @property
    def venues(self) -> tuple[str, ...]:
        """Venues that the legs go to, sorted."""
        return tuple(sorted({leg.id.partition(":")[0] for leg in self.legs}))

    @property
    def notional_usd(self) -> Decimal:
        """Notional of the legs still to be sent, USD."""
        return sum((leg.notional_usd for leg in self.legs), Decimal(0))
