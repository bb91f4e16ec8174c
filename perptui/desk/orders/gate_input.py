"""What the gate looks at, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from perptui.desk.orders.throttle import Message
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.market import Book
from perptui.model.order import OrderIntent, OrderKind, Side
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot

Reasons = Iterator[tuple[str, str]]
"""What a check yields: a stable code and a line for a person, for each reason why not."""


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
    kind: OrderKind = OrderKind.LIMIT_IOC


class GateInput(Record, frozen=True):
    """Everything the gate looks at.

    Attributes
    ----------
    now_ms : int
        Venue time.
    legs : tuple[OrderIntent, ...]
        The legs still to be sent, in order; the book is judged after all of them.
    ticket_legs, ticket_notional_usd : int, Decimal
        Of the whole ticket; stops that only rest add nothing to its notional.
    snapshot : MarketSnapshot | None
        The picture now: prices, rules, tiers, equity.
    basis : MarketSnapshot | None
        The picture that the orders were made from, which the collar keeps near the one of now.
    positions : dict[str, Decimal]
        Signed contracts now, own fills in.
    books : dict[str, Book]
        Order books by instrument id, fresh ones only; an absent one lets nothing be added.
    stand : str
        Why the token does not stand ("" while it does): used, expired, void, drifted.
    approval : str
        Why it is not approved by a second person, "" where it is or one is enough.
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
    day_notional_usd, trader_notional_usd : Decimal
        Sent today already: by the desk, and by this trader.
    messages : tuple[Message, ...]
        Orders and cancels of the last minute, from the journal.
    recent : tuple[SentOrder, ...]
        Orders of other tickets.
    rejections : int
        Orders that the venues rejected within the last ten minutes.
    unknown : tuple[str, ...]
        Instruments with a leg of which the outcome is not known.
    mode : str
        ``paper`` or ``live``: what the settings say may be sent to.
    hosts, confirmed_hosts : dict[str, str]
        Where each venue's orders go now, in words, and where they went when the ticket was made.
    daily_loss : float | None
        Loss of the UTC day as a fraction of equity at its start; a profit is negative; None: not
        known, which stops what adds.
    permission : str
        Why this trader may not send, "" while they may.
    key_permission : str
        Why the venue key in use must not, "" while it may.
    shown : MarketSnapshot | None
        The picture that the ticket was shown with; None before there is one.
    halted, resting : dict[str, str]
        By venue: why nothing may be sent there until a person lets it, or for a while.
    """

    now_ms: int
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
    trader_notional_usd: Decimal
    messages: tuple[Message, ...]
    recent: tuple[SentOrder, ...]
    rejections: int
    unknown: tuple[str, ...]
    mode: str
    hosts: dict[str, str]
    confirmed_hosts: dict[str, str]
    daily_loss: float | None
    books: dict[str, Book]
    approval: str = ""
    permission: str = ""
    key_permission: str = ""
    shown: MarketSnapshot | None = None
    halted: dict[str, str] = {}  # noqa: RUF012  msgspec copies an empty default
    resting: dict[str, str] = {}  # noqa: RUF012

    @property
    def venues(self) -> tuple[str, ...]:
        """Venues that the legs go to, sorted."""
        return tuple(sorted({leg.id.partition(":")[0] for leg in self.legs}))

    @property
    def trades(self) -> tuple[OrderIntent, ...]:
        """The legs that move a position when they are sent: all but stops, which rest."""
        return tuple(leg for leg in self.legs if not leg.protective)

    @property
    def notional_usd(self) -> Decimal:
        """Notional of the trades still to be sent, USD."""
        return sum((leg.notional_usd for leg in self.trades), Decimal(0))

    @property
    def marks(self) -> dict[str, Decimal]:
        """Marks of now by instrument id."""
        return {} if self.snapshot is None else {one.id: one.mark for one in self.snapshot.quotes}

    @property
    def rules(self) -> dict[str, Instrument]:
        """Contracts as they are now, by id."""
        return {} if self.snapshot is None else {one.id: one for one in self.snapshot.instruments}
