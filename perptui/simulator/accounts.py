"""One cross-margin account in one-way mode: wallet, holdings, and every booking.

All money is Decimal USD. A booking is rounded to 1e-8, as venues book, and what is booked is what
the wallet changes by, so that the equity identity is exact: over any span, equity changes by
(quantity x mark) changes less what was paid for them, plus funding, less fees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from perptui.model.money import ZERO

CENT_MICRO = Decimal("1e-8")
BOOKINGS_KEPT = 100_000
DEFAULT_LEVERAGE = Decimal(20)


def booked(amount: Decimal) -> Decimal:
    """Return `amount` rounded to 1e-8, half to even.

    The rounding is said because ccxt changes the decimal context of every thread it is used in.
    """
    return amount.quantize(CENT_MICRO, rounding=ROUND_HALF_EVEN)


class Booking(msgspec.Struct, frozen=True):
    """One change of the wallet; `kind` in Binance's words (REALIZED_PNL, FUNDING_FEE, ...)."""

    id: int
    ts_ms: int
    kind: str
    symbol: str
    amount: Decimal
    info: str = ""
    trade_id: str = ""


@dataclass
class Holding:
    """A position: signed base quantity, and what was paid for it (signed, USD)."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    updated_ms: int = 0

    @property
    def entry(self) -> Decimal:
        """Average entry price, 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return unrealised P&L at `mark`, USD."""
        return self.quantity * mark - self.cost

    def trade(self, quantity: Decimal, price: Decimal, ts_ms: int) -> Decimal:
        """Book a signed `quantity` at `price`; return the P&L that it realises, USD."""
        closing = ZERO
        if self.quantity * quantity < 0:
            closing = max(quantity, -self.quantity, key=lambda q: -abs(q))
        realised = ZERO
        if closing:
            share = self.cost if closing == -self.quantity else booked(-closing * self.entry)
            realised = -closing * price - share
            self.cost -= share
            self.quantity += closing
        opening = quantity - closing
        self.cost += opening * price
        self.quantity += opening
        self.updated_ms = ts_ms
        return realised


@dataclass
class MarginAccount:
    """The whole account; `leverage` per symbol, 20 where never set."""

    wallet: Decimal
    holdings: dict[str, Holding] = field(default_factory=dict)
    leverage: dict[str, Decimal] = field(default_factory=dict)
    bookings: deque[Booking] = field(default_factory=lambda: deque(maxlen=BOOKINGS_KEPT))
    next_booking: int = 1

    def leverage_of(self, symbol: str) -> Decimal:
        """Return the leverage set for `symbol`."""
        return self.leverage.get(symbol, DEFAULT_LEVERAGE)

    def open_holdings(self) -> dict[str, Holding]:
        """Return the holdings that are not flat."""
        return {s: h for s, h in self.holdings.items() if h.quantity}

    def quantity(self, symbol: str) -> Decimal:
        """Return the signed quantity held."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else ZERO

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the sum of unrealised P&L at `marks`, USD."""
        return sum((h.unrealised(marks[s]) for s, h in self.open_holdings().items()), ZERO)

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return wallet plus unrealised P&L, USD."""
        return self.wallet + self.unrealised(marks)

    def book(
        self,
        ts_ms: int,
        kind: str,
        symbol: str,
        amount: Decimal,
        info: str = "",
        trade_id: str = "",
    ) -> Decimal:
        """Change the wallet by `amount` rounded to 1e-8, write it down, and return it."""
        amount = booked(amount)
        self.wallet += amount
        self.bookings.append(
            Booking(self.next_booking, ts_ms, kind, symbol, amount, info, trade_id)
        )
        self.next_booking += 1
        return amount

    def trade(
        self,
        symbol: str,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        ts_ms: int,
        trade_id: int,
    ) -> Decimal:
        """Book an execution of signed `quantity`; return the realised P&L without the fee."""
        holding = self.holdings.setdefault(symbol, Holding())
        realised = holding.trade(quantity, price, ts_ms)
        if realised:
            self.book(ts_ms, "REALIZED_PNL", symbol, realised, trade_id=str(trade_id))
        if fee:
            self.book(ts_ms, "COMMISSION", symbol, -fee, trade_id=str(trade_id))
        return realised
