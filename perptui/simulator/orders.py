"""Orders, trades and refusals of the simulated exchange, in no venue's own words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec

from perptui.model.errors import VenueRejected
from perptui.model.money import ZERO
from perptui.model.order import Side


class OrderType(StrEnum):
    """LIMIT and MARKET; STOP_MARKET waits for a mark; LIQUIDATION is the venue's own."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_MARKET = "STOP_MARKET"
    LIQUIDATION = "LIQUIDATION"


class TimeInForce(StrEnum):
    """Good till cancelled, immediate or cancel, fill or kill, post-only."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class Status(StrEnum):
    """Life of an order at the venue."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


OPEN = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


class StopStatus(StrEnum):
    """Life of a conditional order at the venue, as its algo service names it."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    FINISHED = "FINISHED"
    REJECTED = "REJECTED"


class Reason(StrEnum):
    """Why the exchange refuses; each wire has its own code for it."""

    SYMBOL = "no such contract"
    CLOSED = "contract is being settled"
    PRECISION = "more decimals than the contract has"
    QUANTITY_ZERO = "quantity not above zero"
    QUANTITY_MAX = "quantity above the largest order"
    STEP = "quantity no multiple of the step"
    PRICE_ZERO = "price not above zero"
    TICK = "price no multiple of the tick"
    PRICE_HIGH = "limit price above the band"
    PRICE_LOW = "limit price below the band"
    PERCENT_PRICE = "the book's best price is outside the band"
    NOTIONAL = "notional below the smallest order"
    REDUCE_ONLY = "nothing to reduce"
    MARGIN = "margin is insufficient"
    POSITION_LIMIT = "position above what the leverage allows"
    DUPLICATE_ID = "client id in use by an open order"
    FILL_OR_KILL = "not fillable at once"
    POST_ONLY = "would not rest"
    OPEN_ORDERS = "too many open orders"
    UNKNOWN_CANCEL = "no open order to cancel"
    UNKNOWN_ORDER = "no such order"
    LEVERAGE = "leverage outside the contract's range"
    LEVERAGE_MARGIN = "margin is insufficient at that leverage"
    TRIGGERS_AT_ONCE = "would trigger at once"
    STOP_ORDERS = "too many conditional orders"


class Refused(VenueRejected):
    """A definite no of the exchange; nothing happened. `detail` fills in a number or name."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(
            f"expected an acceptable request, was {reason.value} {detail}".rstrip()
            + "; mend the request",
            reason.name,
        )
        self.reason = reason
        self.detail = detail


class OrderRequest(msgspec.Struct, frozen=True):
    """What a client asks for; `price` is None for MARKET."""

    symbol: str
    side: Side
    kind: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    client_id: str = ""


@dataclass
class Order:
    """An order as the exchange keeps it. Quantities are unsigned, money is USD."""

    id: int
    request: OrderRequest
    client_id: str
    created_ms: int
    updated_ms: int
    status: Status = Status.NEW
    filled: Decimal = ZERO
    turnover: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        """Quantity not filled yet."""
        return self.request.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """Turnover over filled quantity, 0 before the first fill."""
        return self.turnover / self.filled if self.filled else ZERO

    @property
    def signed_remaining(self) -> Decimal:
        """Remaining quantity, negative for a sale."""
        return self.remaining if self.request.side is Side.BUY else -self.remaining


@dataclass
class Stop:
    """A conditional order: it waits for the mark, then its `order` goes to market.

    `request` is reduce-only and of kind STOP_MARKET; `trigger_price` is in USD.
    """

    id: int
    request: OrderRequest
    trigger_price: Decimal
    client_id: str
    created_ms: int
    updated_ms: int
    status: StopStatus = StopStatus.NEW
    triggered_ms: int = 0
    order: Order | None = None

    def reached(self, mark: Decimal) -> bool:
        """Return True when `mark` is at or beyond the trigger: below it for a sale."""
        if self.request.side is Side.SELL:
            return mark <= self.trigger_price
        return mark >= self.trigger_price


class Trade(msgspec.Struct, frozen=True):
    """One execution; `fee` positive is paid, `realised` is without it."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised: Decimal
    maker: bool
    ts_ms: int
