"""Funding carry as the terminal shows it: rates, what is expected of them, what the book earns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from perptui.desk.book import Book
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.state import Picture
from perptui.desk.views.book import Stale, oldest
from perptui.model.carry import best_venues, carry_usd_day
from perptui.model.forecast import Estimates, FundingForecast
from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote
from perptui.model.money import decimal_of
from perptui.model.proposal import Proposal
from perptui.protocol.views import FundingRow, FundingSpan, FundingView

DAYS_A_YEAR = 365
HOURS_A_YEAR = 24 * DAYS_A_YEAR
ZERO = Decimal(0)


def funding_view(
    picture: Picture, book: Book, proposed: ProposalPicture, stale: Stale
) -> FundingView:
    """Return the funding of every contract, held or watched, or what it waits for."""
    instruments = picture.instruments
    rates = {key: rate for key, rate in picture.funding.items() if key in instruments}
    if not rates:
        return FundingView(waiting=_funding_waits(picture))
    forecasts = _forecasts(proposed.estimates)
    carry = {row.instrument.id: row.carry_usd_day for row in book.holdings}
    after = proposed_carry(picture, proposed.target)
    seen = {venue.name: venue.observed_mono("funding") or 0.0 for venue in picture.venues}
    old = {venue.name for venue in picture.venues if stale(venue, "funding")}
    held = {row.instrument.id: row.notional_usd for row in book.holdings}
    best = best_venues(instruments, rates, held)
    rows = [
        msgspec.structs.replace(
            _quoted(instruments[key], rate, seen[instruments[key].venue]),
            stale=instruments[key].venue in old,
            carry_usd_day=carry.get(key),
            carry_usd_day_after=after[key].after if key in after else None,
            best_venue=best.get(key, ""),
            **forecasts.get(key, {}),
            term=_spans(proposed.estimates, key, held.get(key)),
        )
        for key, rate in sorted(rates.items())
    ]
    return FundingView(
        rows=tuple(rows),
        next_ms=min(row.next_ms for row in rows),
        carry_usd_day=None if book.missing else book.carry_usd_day,
        carry_usd_day_after=total_carry_after(picture, proposed.target),
        observed_mono=oldest(picture, ("funding",)),
        waiting=None,
    )


def _quoted(instrument: Instrument, quote: FundingQuote, observed_mono: float) -> FundingRow:
    rate = float(quote.rate)
    return FundingRow(
        id=instrument.id,
        coin=instrument.coin,
        venue=instrument.venue,
        rate=rate,
        interval_h=quote.interval_h,
        next_ms=quote.next_ms,
        apr=rate * HOURS_A_YEAR / quote.interval_h,
        observed_mono=observed_mono,
    )


def _forecasts(estimates: Estimates | None) -> dict[str, dict[str, Any]]:
    """Return the forecast fields of a row, by contract."""
    if estimates is None:
        return {}
    return {
        row.id: _forecast_fields(row.funding, estimates.horizon_days)
        for row in estimates.instruments
    }


def _forecast_fields(funding: FundingForecast, horizon_days: float) -> dict[str, Any]:
    return {
        "mean_1d": funding.mean_1d,
        "mean_7d": funding.mean_7d,
        "mean_30d": funding.mean_30d,
        "apr_sd": funding.horizon_sd * DAYS_A_YEAR / horizon_days,
        "z": funding.z,
        "trend": funding.trend,
        "parts": funding.parts,
        "regime": funding.regime,
        "horizon_z": funding.horizon_z,
        "halflife_h": funding.halflife_h,
        "anchor_apr": funding.anchor_apr,
        "long_cap": funding.long_cap,
        "short_cap": funding.short_cap,
    }


def _spans(
    estimates: Estimates | None, key: str, notional_usd: Decimal | None
) -> tuple[FundingSpan, ...]:
    """Return the term structure of one contract, in dollars where there is a position."""
    rows = () if estimates is None else estimates.instruments
    terms = next((row.funding.term for row in rows if row.id == key), ())
    return tuple(
        FundingSpan(
            term.span,
            term.mean,
            term.sd,
            None if notional_usd is None else -notional_usd * decimal_of(term.mean, "funding"),
            None if notional_usd is None else abs(notional_usd) * decimal_of(term.sd, "sd"),
        )
        for term in terms
    )


class CarryChange(msgspec.Struct, frozen=True):
    """Dollars a day of one contract before and after the proposal, at the newest rates."""

    now: Decimal
    after: Decimal


def proposed_carry(
    picture: Picture, proposal: Proposal | None, *, supposed: bool = False
) -> dict[str, CarryChange]:
    """Return -x·f·24/h of the proposal's positions at the newest marks and rates, by contract.

    The same rule and the same rates as for the present book, so that now and after compare; the
    proposal's own carry is a forecast over its horizon.

    Parameters
    ----------
    supposed : bool
        True: after the move of prices that its what-if supposes, as its other figures are.
    """
    instruments, quotes, rates = picture.instruments, picture.quotes, picture.funding
    found = {}
    for row in proposal.rows if proposal is not None else ():
        if row.id in instruments and row.id in quotes and row.id in rates:
            one = instruments[row.id]
            per_contract = one.contract_size * quotes[row.id].mark
            if supposed:
                move = proposal.what_if.move_of(one.coin) if proposal is not None else 0.0
                per_contract *= 1 + decimal_of(move, "move")
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


def _funding_waits(picture: Picture) -> str:
    for venue in picture.venues:
        trouble = venue.troubles.get("funding") or venue.troubles.get("instruments")
        if trouble is not None:
            return f"waiting for funding rates of {venue.name}: {trouble.text}"
    return "waiting for funding rates"
