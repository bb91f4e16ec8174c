"""What a venue says we have: positions and margin, per margin account."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from perptui.model.instrument import Instrument
from perptui.model.record import Record

USUAL_COLLATERAL = "USDT"
"""Collateral that an account's name does not mention."""


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
    multi_assets : bool
        True when several assets are margin for one another: nothing may be sent then.
    isolated : tuple[str, ...]
        Ids of contracts that are not on cross margin.
    leverages : tuple[tuple[str, Decimal], ...]
        Instrument ids with the leverage that is set, held or not; where the venue says so. Pairs,
        since a picture of the market is a key of what is made from it.
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
    multi_assets: bool = False
    isolated: tuple[str, ...] = ()
    leverages: tuple[tuple[str, Decimal], ...] = ()

    @property
    def key(self) -> str:
        """Name of the account on screen and in limits: no two accounts of a desk have the same.

        The venue, the sub-account if any, and a collateral that is not the usual one:
        ``bybit``, ``bybit/carry``, ``bybit(BTC)``.
        """
        place = self.venue if self.name in {"", "main"} else f"{self.venue}/{self.name}"
        return place if self.collateral == USUAL_COLLATERAL else f"{place}({self.collateral})"

    def all_leverages(self) -> dict[str, Decimal]:
        """Return the leverage of each contract of which the venue states it, by instrument id."""
        held = {one.id: one.leverage for one in self.positions if one.leverage is not None}
        return {**dict(self.leverages), **held}


def account_of(instrument: Instrument, accounts: Sequence[Account]) -> Account | None:
    """Return the account that carries an instrument: at its venue; None where there is none.

    The one that holds it, or else one whose collateral it settles in, or else the first.
    """

    def fits(account: Account) -> tuple[bool, bool]:
        held = any(one.id == instrument.id and one.contracts for one in account.positions)
        return held, account.collateral == instrument.settle

    at_venue = (account for account in accounts if account.venue == instrument.venue)
    return max(at_venue, key=fits, default=None)


class CashFlow(Record, frozen=True):
    """A change of wallet: kind is "funding", "fee", "realised" or "transfer"; sign as booked."""

    id: str
    ts_ms: int
    kind: str
    amount_usd: Decimal
    reference: str = ""
