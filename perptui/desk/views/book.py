"""Positions as the terminal shows them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from perptui.desk.book import (
    AccountBook,
    Book,
    Holding,
    liquidations_differ,
    own_liquidation,
)
from perptui.desk.state import Picture, VenuePicture
from perptui.model.proposal import Proposal
from perptui.protocol.views import PositionRow, PositionsView

ZERO = Decimal(0)

Stale = Callable[[VenuePicture, str], bool]


def positions_view(
    picture: Picture, book: Book, proposal: Proposal | None, stale: Stale
) -> PositionsView:
    """Return all positions with their totals, or what they wait for."""
    if book.missing or book.equity_usd is None:
        return PositionsView(waiting=book.missing or "waiting for equity")
    targets = weights_after(proposal)
    booked = funding_today(picture)
    old = {
        venue.name for venue in picture.venues if stale(venue, "account") or stale(venue, "quotes")
    }
    rows = [
        _position_row(row, account, book, targets, booked, row.instrument.venue in old)
        for account in book.accounts
        for row in account.holdings
    ]
    return PositionsView(
        rows=tuple(rows),
        gross_usd=book.gross_usd,
        net_usd=book.net_usd,
        unrealised_usd=book.unrealised_usd,
        carry_usd_day=book.carry_usd_day,
        gross=book.multiple(book.gross_usd),
        gross_target=None if proposal is None else proposal.risk.gross,
        observed_mono=oldest(picture, ("account", "quotes")),
        waiting=None,
    )


def weights_after(proposal: Proposal | None) -> dict[str, float]:
    """Return the rounded weight of each contract after the proposal."""
    return {} if proposal is None else {row.id: row.weight_rounded for row in proposal.rows}


def funding_today(picture: Picture) -> dict[str, Decimal]:
    """Return the day's booked funding by contract, where the venue names it."""
    totals: dict[str, Decimal] = {}
    for venue in picture.venues:
        for flow in venue.day.flows if venue.day is not None else ():
            if flow.kind == "funding" and flow.id:
                totals[flow.id] = totals.get(flow.id, ZERO) + flow.amount_usd
    return totals


def oldest(picture: Picture, calls: tuple[str, ...]) -> float | None:
    """Return when the oldest of these readings came, None while one is missing."""
    seen = [venue.observed_mono(call) for venue in picture.venues for call in calls]
    known = [moment for moment in seen if moment is not None]
    return min(known) if known and len(known) == len(seen) else None


def _position_row(
    row: Holding,
    account: AccountBook,
    book: Book,
    targets: dict[str, float],
    booked: dict[str, Decimal],
    stale: bool,
) -> PositionRow:
    position, instrument, funding = row.position, row.instrument, row.funding
    ours = own_liquidation(row, account)
    return PositionRow(
        id=instrument.id,
        coin=instrument.coin,
        venue=instrument.venue,
        contracts=position.contracts,
        notional_usd=row.notional_usd,
        entry_price=position.entry_price,
        mark_price=row.mark,
        unrealised_usd=row.unrealised_usd,
        weight=book.multiple(row.notional_usd) or 0.0,
        observed_mono=row.observed_mono,
        stale=stale,
        funding_rate=None if funding is None else float(funding.rate),
        funding_interval_h=None if funding is None else funding.interval_h,
        carry_usd_day=row.carry_usd_day,
        weight_target=targets.get(instrument.id),
        liquidation_distance=None if ours is None else float(ours / row.mark - 1),
        liquidation_price=ours,
        venue_liquidation_price=position.venue_liquidation_price,
        liquidation_differs=liquidations_differ(row, ours),
        funding_today_usd=booked.get(instrument.id),
    )
