"""Orders, tickets and fills: the only words in which anything is ever sent."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from perptui.model.record import Record


class Side(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"


class Effect(StrEnum):
    """What an order does to the position it meets."""

    ADD = "ADD"
    REDUCE = "REDUCE"
    FLIP = "FLIP"


class OrderKind(StrEnum):
    """What a leg is at the venue: immediate or cancel, or a protective stop that rests there."""

    LIMIT_IOC = "LIMIT IOC"
    STOP_MARKET = "STOP MARKET"


class LegState(StrEnum):
    """Life of a leg; APPROVED only where a ticket takes a second person."""

    PROPOSED = "PROPOSED"
    CONFIRMED = "CONFIRMED"
    APPROVED = "APPROVED"
    SENDING = "SENDING"
    ACKED = "ACKED"
    REJECTED = "REJECTED"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    NEVER_ACCEPTED = "NEVER_ACCEPTED"


TERMINAL_STATES = frozenset(
    {
        LegState.REJECTED,
        LegState.NOT_SENT,
        LegState.FILLED,
        LegState.CANCELED,
        LegState.EXPIRED,
        LegState.NEVER_ACCEPTED,
    }
)


class OrderIntent(Record, frozen=True):
    """One order as proposed: LIMIT, immediate or cancel, at the collar; or a protective stop.

    Attributes
    ----------
    contracts : Decimal
        Unsigned quantity, a multiple of the instrument's step.
    notional_usd : Decimal
        contracts x contract size x mark.
    mark_price : Decimal
        The mark the intent was made from.
    fee_usd, slippage_usd : Decimal
        Expected cost, positive.
    before, after : Decimal
        Signed position in contracts around the order; of a stop, around its execution.
    kind : OrderKind
        LIMIT IOC, or STOP MARKET: reduce-only, resting at the venue until the mark reaches
        `trigger_price`; its `limit_price` is the trigger, for nothing bounds its fills.
    trigger_price : Decimal | None
        Of a stop only: below the mark for a sale, above it for a purchase.
    """

    id: str
    side: Side
    effect: Effect
    contracts: Decimal
    notional_usd: Decimal
    limit_price: Decimal
    mark_price: Decimal
    reduce_only: bool
    before: Decimal
    after: Decimal
    fee_usd: Decimal = Decimal(0)
    slippage_usd: Decimal = Decimal(0)
    kind: OrderKind = OrderKind.LIMIT_IOC
    trigger_price: Decimal | None = None

    @property
    def protective(self) -> bool:
        """True of a stop: it rests at the venue and moves no position until it is triggered."""
        return self.kind is OrderKind.STOP_MARKET


class Leg(Record, frozen=True):
    """An intent inside a ticket, with the client id it keeps for ever."""

    index: int
    client_id: str
    intent: OrderIntent


class Ticket(Record, frozen=True):
    """What one confirmation covers. `token` is the SHA-256 of everything that was shown.

    Attributes
    ----------
    purpose : str
        "send" or "export".
    text : tuple[str, ...]
        The canonical 80-column screen, line by line.
    cancels : tuple[str, ...]
        Client ids of own resting stops that this ticket's replace or make pointless; each is
        cancelled after the ticket's legs of its contract have ended.
    override : str
        Why limits that the gate would hold are passed over; "" where none is. Takes a second
        person.
    approval : tuple[str, ...]
        Why a second person has to approve, in words; empty where one person is enough.
    """

    id: str
    purpose: str
    desk: str
    account: str
    trader: str
    created_ms: int
    expires_mono: float
    proposal_digest: str
    settings_digest: str
    model_version: str
    legs: tuple[Leg, ...]
    text: tuple[str, ...]
    token: str
    cancels: tuple[str, ...] = ()
    override: str = ""
    approval: tuple[str, ...] = ()


class OrderReport(Record, frozen=True):
    """What a venue says of one order. Quantities in contracts, unsigned.

    Attributes
    ----------
    venue_order_id : str
        Of a stop that waits: the id under which it waits; once it was triggered, the order's.
    kind, trigger_price : OrderKind, Decimal | None
        STOP MARKET and its trigger for a stop, whether it waits or was triggered.
    """

    id: str
    client_id: str
    venue_order_id: str
    state: LegState
    side: Side
    contracts: Decimal
    filled: Decimal
    average_price: Decimal | None
    ts_ms: int
    kind: OrderKind = OrderKind.LIMIT_IOC
    trigger_price: Decimal | None = None

    @property
    def protective(self) -> bool:
        """True of a stop."""
        return self.kind is OrderKind.STOP_MARKET


class Fill(Record, frozen=True):
    """One execution. `fee_usd` positive is paid."""

    id: str
    trade_id: str
    venue_order_id: str
    side: Side
    contracts: Decimal
    price: Decimal
    fee_usd: Decimal
    ts_ms: int
    client_id: str = ""
    maker: bool = False


class Consequence(StrEnum):
    """What an answer asks for beyond its order.

    SYNC: the clock is off, nothing can be sent until the offset is known. HALT: the key is refused,
    nothing can be sent at all. BREAK: the venue's door is shut to this address; let it rest.
    """

    NONE = ""
    SYNC = "sync"
    HALT = "halt"
    BREAK = "break"


class Outcome(Record, frozen=True):
    """How one attempt to send ended: ACKED, REJECTED, NOT_SENT or UNKNOWN, and why."""

    state: LegState
    code: str = ""
    text: str = ""
    report: OrderReport | None = None
    until_ms: int | None = None
    consequence: Consequence = Consequence.NONE
