"""What a venue says we have: positions and margin, per margin account."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record


class Position(Record, frozen=True):
    """An open position. `contracts` is signed (short is negative); the venue's gaps stay None."""

    id: str
    contracts: Decimal
    entry_price: Decimal
    mark_price: Decimal | None = None
    unrealised_usd: Decimal | None = None
    venue_liquidation_price: Decimal | None = None
    leverage: Decimal | None = None


class Account(Record, frozen=True):
    """One margin account = (venue, name, collateral); cross margin, one-way.

    Attributes
    ----------
    ts_ms : int
        Venue time of the reading.
    wallet_usd : Decimal
        Collateral without unrealised P&L.
    equity_usd : Decimal
        Wallet plus unrealised P&L (margin balance).
    available_usd, initial_margin_usd, maintenance_margin_usd : Decimal | None
        As the venue states them.
    one_way : bool
        False when the venue account is in hedge mode: nothing may be sent then.
    """

    venue: str
    name: str
    collateral: str
    ts_ms: int
    wallet_usd: Decimal
    equity_usd: Decimal
    positions: tuple[Position, ...] = ()
    available_usd: Decimal | None = None
    initial_margin_usd: Decimal | None = None
    maintenance_margin_usd: Decimal | None = None
    one_way: bool = True

    @property
    def key(self) -> str:
        """Name of the account on screen and in limits: the venue, and the sub-account if any."""
        return self.venue if self.name in {"", "main"} else f"{self.venue}/{self.name}"


class CashFlow(Record, frozen=True):
    """A change of wallet: kind is "funding", "fee", "realised" or "transfer"; sign as booked."""

    id: str
    ts_ms: int
    kind: str
    amount_usd: Decimal
    reference: str = ""
