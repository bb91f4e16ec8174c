"""What trading sees of the market, the book and the estimates: the desk's records, as asked for."""

from __future__ import annotations

from collections.abc import Callable

from perptui.desk.books import BookShelf
from perptui.desk.orders.trading_picture import ProfitMark
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.state import DeskState
from perptui.model.clock import Clock
from perptui.model.market import Book
from perptui.model.order import Effect
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot

BOOKS_S = 3.0
"""Longest wait for order books before a ticket is opened; without them the gate says why not."""


class Sight:
    """A `TradingPicture` of one desk.

    Parameters
    ----------
    clock : Clock
        Monotonic time, for the proposal's age.
    digest : str
        Of the settings in force.
    shelf : BookShelf
        The order books that were read.

    Attributes
    ----------
    ticketed : callable
        Returns the contracts of tickets that may still be sent; set once there is a journal.
    """

    def __init__(
        self,
        state: DeskState,
        proposer: Proposer,
        clock: Clock,
        digest: str,
        shelf: BookShelf,
    ) -> None:
        self._state = state
        self._proposer = proposer
        self._clock = clock
        self._digest = digest
        self._shelf = shelf
        self.ticketed: Callable[[], frozenset[str]] = frozenset

    def snapshot(self) -> MarketSnapshot | None:
        """Return the newest consistent picture, None while there is none."""
        return self._state.snapshot()

    def stale(self) -> str:
        """Return which input is stale or missing, in words; "" when all are fresh."""
        return self._state.why_no_snapshot()

    def clock_offset_ms(self) -> dict[str, int]:
        """Return the offset of each venue's clock, ms; one that was not measured lately is absent.

        A clock may be set meanwhile: what was measured long ago says nothing of it.
        """
        now, oldest_s = self._clock.monotonic(), self._state.stale_after_s("clock")
        return {
            venue.name: round(venue.offset_ms)
            for venue in self._state.picture.venues
            if venue.offset_ms is not None and now - venue.offset_mono <= oldest_s
        }

    def volume_usd_day(self) -> dict[str, float]:
        """Return average daily volumes by instrument id, USD, where estimated."""
        estimates = self._proposer.picture.estimates
        rows = estimates.instruments if estimates is not None else ()
        return {row.id: row.volume_usd_day for row in rows}

    def volatility_annual(self) -> dict[str, float]:
        """Return annualised volatilities by instrument id, fractions, where estimated."""
        estimates = self._proposer.picture.estimates
        rows = estimates.instruments if estimates is not None else ()
        return {row.id: row.volatility.combined for row in rows}

    def settings_digest(self) -> str:
        """Return the digest of the settings in force."""
        return self._digest

    def proposal(self, digest: str) -> Proposal | None:
        """Return the fresh proposal of that digest, None when another stands or it is too old."""
        stands = self._proposer.picture
        if stands.proposal is None or stands.proposal.digest != digest:
            return None
        return stands.proposal if stands.fresh(self._clock.monotonic()) else None

    def basis(self, digest: str) -> MarketSnapshot | None:
        """Return the snapshot that the proposal of that digest was made from, None when gone."""
        stands = self._proposer.picture
        if stands.proposal is None or stands.proposal.digest != digest:
            return None
        return stands.snapshot

    def books(self) -> dict[str, Book]:
        """Return the fresh order books by instrument id, of what is about to be traded."""
        return self._shelf.fresh()

    async def wait_for_books(self, proposal: Proposal) -> None:
        """Wait a moment for the books of what the proposal adds to: they are read from now on."""
        adding = {leg.id for leg in proposal.orders if leg.effect is not Effect.REDUCE}
        await self._shelf.wait_for(adding, BOOKS_S)

    def traded(self) -> frozenset[str]:
        """Return the contracts whose books are worth reading: what may soon be added to.

        Those of tickets that may still be sent, and those to which the fresh proposal adds.
        """
        stands = self._proposer.picture
        orders = () if stands.proposal is None else stands.proposal.orders
        if orders and not stands.fresh(self._clock.monotonic()):
            orders = ()
        adding = frozenset(leg.id for leg in orders if leg.effect is not Effect.REDUCE)
        return adding | self.ticketed()

    def profit(self) -> ProfitMark | None:
        """Return where equity and the day's profit stand; None until every account was read."""
        picture = self._state.picture
        equity = picture.equity_usd
        if equity is None:
            return None
        days = {
            venue.name: (venue.day.since_ms, venue.day.profit().total_usd)
            for venue in picture.venues
            if venue.day is not None
        }
        return ProfitMark(equity, days)

    def daily_loss(self) -> float | None:
        """Return the loss of the UTC day over equity at its start; None while it is not known.

        A profit is negative.
        """
        return self._state.picture.daily_loss
