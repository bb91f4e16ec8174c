"""What trading asks of the rest of the desk, at any instant."""

from __future__ import annotations

from typing import Protocol

from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot


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

    def daily_loss(self) -> float | None:
        """Return the loss of the UTC day over equity at its start; None while it is not known.

        A profit is negative.
        """
        ...
