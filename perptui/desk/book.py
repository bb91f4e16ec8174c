"""The book at the newest marks: notionals, carry, margin and distances to liquidation.

Signs as everywhere: x = contracts·size·mark (short negative), f > 0 means long pays, so the carry
of a position is -x·f·24/h dollars a day, positive when received.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perptui.desk.state import Picture, VenuePicture
from perptui.model.account import Account, Position
from perptui.model.carry import carry_usd_day
from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote
from perptui.risk.liquidation import (
    AccountShock,
    Exposure,
    account_shock,
    leg_shock,
)
from perptui.risk.liquidation_price import liquidation_price
from perptui.risk.margin import float_tiers, maintenance, margin_ratio

ZERO = Decimal(0)
DIFFERENCE_MAX = Decimal("0.005")
"""Of the mark: between our liquidation price and the venue's, what readings of two moments are."""


class Holding(msgspec.Struct, frozen=True):
    """A position at the newest mark. Dollars are signed in the position's own side."""

    position: Position
    instrument: Instrument
    mark: Decimal
    notional_usd: Decimal
    unrealised_usd: Decimal
    maintenance_usd: Decimal
    observed_mono: float
    funding: FundingQuote | None = None

    @property
    def carry_usd_day(self) -> Decimal | None:
        """Funding a day, None while the rate is unknown."""
        return None if self.funding is None else carry_usd_day(self.notional_usd, self.funding)


class AccountBook(msgspec.Struct, frozen=True):
    """One margin account at the newest marks; the shocks are fractions with their sign."""

    account: Account
    holdings: tuple[Holding, ...]
    maintenance_usd: Decimal
    margin_ratio: float | None
    shock: AccountShock[float]

    @property
    def free_usd(self) -> Decimal:
        """Collateral that may still be used, as the venue says, else equity less maintenance."""
        available = self.account.available_usd
        return self.account.equity_usd - self.maintenance_usd if available is None else available

    @property
    def nearest(self) -> float | None:
        """Size of the smallest common move that liquidates, None when no move does."""
        moves = [abs(move) for move in (self.shock.down, self.shock.up) if move is not None]
        return min(moves, default=None)


class Book(msgspec.Struct, frozen=True):
    """All accounts. `missing` says in words what keeps the book from being whole."""

    accounts: tuple[AccountBook, ...] = ()
    equity_usd: Decimal | None = None
    missing: str = ""

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """All positions."""
        return tuple(row for account in self.accounts for row in account.holdings)

    @property
    def gross_usd(self) -> Decimal:
        """Sum of |notional|."""
        return sum((abs(row.notional_usd) for row in self.holdings), ZERO)

    @property
    def net_usd(self) -> Decimal:
        """Sum of signed notionals."""
        return sum((row.notional_usd for row in self.holdings), ZERO)

    @property
    def unrealised_usd(self) -> Decimal:
        """Sum of unrealised profit at the newest marks."""
        return sum((row.unrealised_usd for row in self.holdings), ZERO)

    @property
    def carry_usd_day(self) -> Decimal | None:
        """Sum of carry; None while a rate is unknown."""
        parts = [row.carry_usd_day for row in self.holdings]
        known = [part for part in parts if part is not None]
        return sum(known, ZERO) if len(known) == len(parts) else None

    @property
    def worst(self) -> AccountBook | None:
        """The account that the smallest common move liquidates, else the fullest one."""
        if not self.accounts:
            return None
        return min(
            self.accounts,
            key=lambda row: (
                float("inf") if row.nearest is None else row.nearest,
                -(row.margin_ratio or 0.0),
            ),
        )

    def multiple(self, usd: Decimal) -> float | None:
        """Return `usd` as a multiple of equity, None without positive equity."""
        if self.equity_usd is None or self.equity_usd <= 0:
            return None
        return float(usd / self.equity_usd)


def book_of(picture: Picture) -> Book:
    """Return the book at the newest marks; what is not known yet is named in `missing`."""
    accounts = []
    for venue in picture.venues:
        if venue.account is None:
            return Book(missing=f"waiting for {venue.name} positions{_why(venue)}")
        found = _holdings(venue, venue.account)
        if isinstance(found, str):
            return Book(missing=found)
        accounts.append(_account_book(venue.account, found))
    return Book(accounts=tuple(accounts), equity_usd=picture.equity_usd)


def _why(venue: VenuePicture) -> str:
    for call in ("account", "instruments", "clock", "open"):
        if call in venue.troubles:
            return f": {venue.troubles[call].text}"
    return ""


def _holdings(venue: VenuePicture, account: Account) -> tuple[Holding, ...] | str:
    instruments = {row.id: row for row in venue.instruments}
    quotes = {row.id: row for row in venue.quotes}
    rates = {row.id: row for row in venue.funding}
    account_mono = venue.observed_mono("account") or 0.0
    quotes_mono = venue.observed_mono("quotes")
    found = []
    for position in account.positions:
        instrument = instruments.get(position.id)
        quote = quotes.get(position.id)
        mark = quote.mark if quote is not None else position.mark_price
        if instrument is None or not instrument.tiers:
            return f"waiting for the contract of {position.id}"
        if mark is None:
            return f"waiting for the mark of {position.id}"
        seen = account_mono if quote is None or quotes_mono is None else quotes_mono
        found.append(
            _holding(position, instrument, mark, min(account_mono, seen), rates.get(position.id))
        )
    return tuple(found)


def _holding(
    position: Position,
    instrument: Instrument,
    mark: Decimal,
    observed_mono: float,
    funding: FundingQuote | None,
) -> Holding:
    size = position.contracts * instrument.contract_size
    notional = size * mark if instrument.linear else size
    return Holding(
        position=position,
        instrument=instrument,
        mark=mark,
        notional_usd=notional,
        # Inverse: size·(1/entry - 1/mark) coins, at the mark.
        unrealised_usd=notional
        * (mark - position.entry_price)
        / (mark if instrument.linear else position.entry_price),
        maintenance_usd=maintenance(notional, instrument.tiers),
        observed_mono=observed_mono,
        funding=funding,
    )


def _account_book(account: Account, holdings: tuple[Holding, ...]) -> AccountBook:
    exposures = [
        Exposure(
            row.instrument.id,
            float(row.notional_usd),
            float_tiers(row.instrument.tiers),
            linear=row.instrument.linear,
        )
        for row in holdings
    ]
    total = sum((row.maintenance_usd for row in holdings), ZERO)
    ratio = margin_ratio(account.equity_usd, total)
    return AccountBook(
        account=account,
        holdings=holdings,
        maintenance_usd=total,
        margin_ratio=float(ratio) if ratio.is_finite() else None,
        shock=account_shock(float(account.equity_usd), exposures, _coin(holdings)),
    )


def _coin(holdings: Sequence[Holding]) -> int:
    """Return 1 where the account's collateral is the coin: it carries inverse contracts."""
    return int(any(not row.instrument.linear for row in holdings))


def own_liquidation(row: Holding, account: AccountBook) -> Decimal | None:
    """Return the price of this contract alone that liquidates its account, USD.

    None when no positive price does it while the account's other legs stay where they are.
    """
    if _coin(account.holdings):
        return _liquidation_in_coin(row, account)
    others = [other for other in account.holdings if other is not row]
    return liquidation_price(
        row.position.contracts * row.instrument.contract_size,
        row.position.entry_price,
        account.account.wallet_usd,
        row.instrument.tiers,
        sum((other.unrealised_usd for other in others), ZERO),
        sum((other.maintenance_usd for other in others), ZERO),
    )


def _liquidation_in_coin(row: Holding, account: AccountBook) -> Decimal | None:
    """Return the same where coin is the collateral, whose price moves with its own contracts."""
    own = sum((leg.unrealised_usd for leg in account.holdings), account.account.wallet_usd)
    legs = [
        Exposure(
            leg.instrument.id,
            leg.notional_usd,
            leg.instrument.tiers,
            linear=leg.instrument.linear,
        )
        for leg in account.holdings
    ]
    moves = account.account.collateral == row.instrument.coin
    shock = leg_shock(own, legs, row.instrument.id, int(moves))
    roots = (shock.down, shock.up) if row.notional_usd > 0 else (shock.up, shock.down)
    move = next((root for root in roots if root is not None), None)
    return None if move is None else row.mark * (1 + move)


def liquidations_differ(row: Holding, ours: Decimal | None) -> bool:
    """Return whether the venue gives a liquidation price and ours is another one."""
    theirs = row.position.venue_liquidation_price
    if theirs is None:
        return False
    return ours is None or abs(ours - theirs) > DIFFERENCE_MAX * row.mark
