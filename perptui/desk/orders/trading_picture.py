"""What trading asks of the rest of the desk, at any instant."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from perptui.model.market import Book
from perptui.model.proposal import Proposal
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot


class ProfitMark(Record, frozen=True):
    """Where equity and profit stand.

    Attributes
    ----------
    equity_usd : Decimal
        Over all accounts.
    days : dict[str, tuple[int, Decimal]]
        By venue: the venue time in ms that its day's profit counts from, and that profit in USD
        with transfers taken out.
    """

    equity_usd: Decimal
    days: dict[str, tuple[int, Decimal]]


class TradingPicture(Protocol):
    """The market, the book and the estimates as the desk sees them now."""

    def snapshot(self) -> MarketSnapshot | None:
        """Return the newest consistent picture, None while there is none."""
        ...

    def stale(self) -> str:
        """Return which input is stale or missing, in words; "" when all are fresh."""
        ...

    def clock_offset_ms(self) -> dict[str, int]:
        """Return the offset of each venue's clock, ms; a venue not measured yet is absent."""
        ...

    def volume_usd_day(self) -> dict[str, float]:
        """Return average daily volumes by instrument id, USD, where estimated."""
        ...

    def volatility_annual(self) -> dict[str, float]:
        """Return annualised volatilities by instrument id, fractions, where estimated."""
        ...

    def settings_digest(self) -> str:
        """Return the digest of the settings in force (`Settings.digest`)."""
        ...

    def proposal(self, digest: str) -> Proposal | None:
        """Return the fresh proposal of that digest, None when another stands or it is too old."""
        ...

    def basis(self, digest: str) -> MarketSnapshot | None:
        """Return the snapshot that the proposal of that digest was made from, None when gone."""
        ...

    def books(self) -> dict[str, Book]:
        """Return the fresh order books by instrument id, of what is about to be traded."""
        ...

    def profit(self) -> ProfitMark | None:
        """Return where equity and the day's profit stand; None until every account was read."""
        ...

    def daily_loss(self) -> float | None:
        """Return the loss of the UTC day over equity at its start; None while it is not known.

        A profit is negative.
        """
        ...
