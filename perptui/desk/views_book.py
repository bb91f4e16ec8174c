"""Positions and funding carry as the terminal shows them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from perptui.desk.book import AccountBook, Book, Holding, carry_usd_day, own_distance
from perptui.desk.proposer import ProposalPicture
from perptui.desk.state import Picture, VenuePicture
from perptui.model.forecast import InstrumentForecast
from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote
from perptui.model.proposal import Proposal
from perptui.protocol.views import FundingRow, FundingView, PositionRow, PositionsView

DAYS_A_YEAR = 365
HOURS_A_YEAR = 24 * DAYS_A_YEAR
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
        liquidation_distance=own_distance(row, account),
        venue_liquidation_price=position.venue_liquidation_price,
        funding_today_usd=booked.get(instrument.id),
    )


def funding_view(
    picture: Picture, book: Book, proposed: ProposalPicture, stale: Stale
) -> FundingView:
    """Return the funding of every contract, held or watched, or what it waits for."""
    instruments = picture.instruments
    rates = picture.funding
    if not rates or not instruments:
        return FundingView(waiting=_funding_waits(picture))
    estimates = proposed.estimates
    forecasts = {row.id: row for row in estimates.instruments} if estimates is not None else {}
    horizon = estimates.horizon_days if estimates is not None else 0.0
    carry = {row.instrument.id: row.carry_usd_day for row in book.holdings}
    after = {key: row.after for key, row in proposed_carry(picture, proposed.proposal).items()}
    best = best_venues(instruments, rates, book)
    seen = {venue.name: venue.observed_mono("funding") or 0.0 for venue in picture.venues}
    old = {venue.name for venue in picture.venues if stale(venue, "funding")}
    rows = [
        _funding_row(
            instruments[key],
            rates[key],
            forecasts.get(key),
            horizon,
            (carry.get(key), after.get(key)),
            seen[instruments[key].venue],
            instruments[key].venue in old,
            best.get(key, ""),
        )
        for key in sorted(rates)
        if key in instruments
    ]
    return FundingView(
        rows=tuple(rows),
        next_ms=min(row.next_ms for row in rows) if rows else None,
        carry_usd_day=None if book.missing else book.carry_usd_day,
        carry_usd_day_after=total_carry_after(picture, proposed.proposal),
        observed_mono=oldest(picture, ("funding",)),
        waiting=None,
    )


class CarryChange(msgspec.Struct, frozen=True):
    """Dollars a day of one contract before and after the proposal, at the newest rates."""

    now: Decimal
    after: Decimal


def proposed_carry(picture: Picture, proposal: Proposal | None) -> dict[str, CarryChange]:
    """Return -x·f·24/h of the proposal's positions at the newest marks and rates, by contract.

    The same rule and the same rates as for the present book, so that now and after compare; the
    proposal's own carry is a forecast over its horizon.
    """
    instruments, quotes, rates = picture.instruments, picture.quotes, picture.funding
    found = {}
    for row in proposal.rows if proposal is not None else ():
        if row.id in instruments and row.id in quotes and row.id in rates:
            per_contract = instruments[row.id].contract_size * quotes[row.id].mark
            found[row.id] = CarryChange(
                carry_usd_day(row.contracts_now * per_contract, rates[row.id]),
                carry_usd_day(row.contracts_after * per_contract, rates[row.id]),
            )
    return found


def total_carry_after(picture: Picture, proposal: Proposal | None) -> Decimal | None:
    """Return the book's dollars a day after the proposal, None without one."""
    if proposal is None:
        return None
    return sum((row.after for row in proposed_carry(picture, proposal).values()), ZERO)


def best_venues(
    instruments: dict[str, Instrument], rates: dict[str, FundingQuote], book: Book
) -> dict[str, str]:
    """Return, of coins listed on several venues, where our side pays least.

    The side is the held one; a coin that is not held is judged for a long.
    """
    held = {row.instrument.id: row.notional_usd for row in book.holdings}
    rivals: dict[str, list[str]] = {}
    for key, instrument in instruments.items():
        if key in rates:
            rivals.setdefault(instrument.coin, []).append(key)
    best = {}
    for keys in rivals.values():
        if len({instruments[key].venue for key in keys}) < 2:
            continue
        for key in keys:
            side = Decimal(-1) if held.get(key, ZERO) < 0 else Decimal(1)
            winner = max(keys, key=lambda rival: carry_usd_day(side, rates[rival]))
            best[key] = instruments[winner].venue
    return best


def _funding_waits(picture: Picture) -> str:
    for venue in picture.venues:
        trouble = venue.troubles.get("funding") or venue.troubles.get("instruments")
        if trouble is not None:
            return f"waiting for funding rates of {venue.name}: {trouble.text}"
    return "waiting for funding rates"


def _funding_row(
    instrument: Instrument,
    quote: FundingQuote,
    forecast: InstrumentForecast | None,
    horizon_days: float,
    carry: tuple[Decimal | None, Decimal | None],
    observed_mono: float,
    stale: bool,
    best_venue: str,
) -> FundingRow:
    funding = None if forecast is None else forecast.funding
    rate = float(quote.rate)
    sd = None
    if funding is not None and horizon_days > 0:
        sd = funding.horizon_sd * DAYS_A_YEAR / horizon_days
    return FundingRow(
        id=instrument.id,
        coin=instrument.coin,
        venue=instrument.venue,
        rate=rate,
        interval_h=quote.interval_h,
        next_ms=quote.next_ms,
        apr=rate * HOURS_A_YEAR / quote.interval_h,
        observed_mono=observed_mono,
        stale=stale,
        mean_7d=None if funding is None else funding.mean_7d,
        mean_30d=None if funding is None else funding.mean_30d,
        apr_sd=sd,
        z=None if funding is None else funding.z,
        trend=() if funding is None else funding.trend,
        carry_usd_day=carry[0],
        carry_usd_day_after=carry[1],
        best_venue=best_venue,
    )
