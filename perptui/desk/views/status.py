"""The status lines that are always there."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from perptui.desk.book import Book
from perptui.desk.daybook import combined
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.state import VITAL_CALLS, Picture, VenuePicture
from perptui.desk.views.funding import total_carry_after
from perptui.desk.views.limits import breaches, drawdown_now, mends
from perptui.model.forecast import Estimates
from perptui.model.limit import LimitCheck, Limits
from perptui.protocol.views import EventLine, Feed, StatusView

DIGEST_SHOWN = 4
NEWS_SHOWN = 8


class Standing(msgspec.Struct, frozen=True):
    """What the trading side of the desk says of itself, for the status lines."""

    kill_state: str = "ACTIVE"
    sends_locked: str = ""
    unknown_legs: int = 0
    news: tuple[EventLine, ...] = ()


class Identity(msgspec.Struct, frozen=True):
    """What does not change while the desk runs; `market` once the venue said what it is."""

    mode: str
    desk: str
    account: str
    market: str = ""


class VenueTime(msgspec.Struct, frozen=True):
    """Venue time `venue_ms` was read at `mono` and runs at `speed`."""

    venue_ms: int
    mono: float
    speed: float


def feeds(
    picture: Picture,
    age_limit_s: Callable[[str], float],
    is_stale: Callable[[VenuePicture, str], bool],
) -> tuple[Feed, ...]:
    """Return each venue's worst poll: the vital call that is oldest for its interval."""
    return tuple(_feed(venue, age_limit_s, is_stale) for venue in picture.venues)


def _feed(
    venue: VenuePicture,
    age_limit_s: Callable[[str], float],
    is_stale: Callable[[VenuePicture, str], bool],
) -> Feed:
    observed = {call: venue.observed_mono(call) for call in VITAL_CALLS}
    unread = [call for call, moment in observed.items() if moment is None]
    if unread:
        return Feed(venue.name, None, stale=True, text=_trouble(venue, (*unread, *_EARLY)))
    worst = min(VITAL_CALLS, key=lambda call: (observed[call] or 0.0) + age_limit_s(call))
    stale = [call for call in VITAL_CALLS if is_stale(venue, call)]
    return Feed(venue.name, observed[worst], stale=bool(stale), text=_trouble(venue, VITAL_CALLS))


_EARLY = ("open", "clock", "instruments")


def _trouble(venue: VenuePicture, calls: tuple[str, ...]) -> str:
    for call in calls:
        if call in venue.troubles:
            return venue.troubles[call].text
    return ""


def status_view(
    who: Identity,
    time: VenueTime,
    picture: Picture,
    book: Book,
    proposed: ProposalPicture,
    checks: tuple[LimitCheck, ...],
    limits: Limits,
    standing: Standing,
    venue_feeds: tuple[Feed, ...],
    quant: str,
    now_mono: float,
) -> StatusView:
    """Return the status lines."""
    stamps = [quote.next_ms for quote in picture.funding.values()]
    orders = [row for venue in picture.venues for row in venue.open_orders]
    stops = sum(row.protective for row in orders)
    status = StatusView(
        mode=who.mode,
        desk=who.desk,
        account=who.account,
        market=who.market,
        venue_ms=time.venue_ms,
        venue_mono=time.mono,
        speed=time.speed,
        feeds=venue_feeds,
        quant=quant,
        drawdown_max=limits.drawdown_max,
        gross_max=limits.gross_max,
        breaches=breaches(checks),
        next_funding_ms=min(stamps, default=None),
        unknown_legs=standing.unknown_legs,
        working_orders=len(orders) - stops,
        protective_stops=stops,
        kill_state=standing.kill_state,
        sends_locked=standing.sends_locked,
        news=merged_news(picture.news, standing.news),
    )
    status = _with_profit(status, picture)
    if not book.missing:
        status = _with_book(status, book)
    return _with_proposal(status, picture, proposed, checks, now_mono)


def _with_profit(status: StatusView, picture: Picture) -> StatusView:
    profit = combined(venue.day for venue in picture.venues if venue.day is not None)
    return msgspec.structs.replace(
        status,
        equity_usd=picture.equity_usd,
        today_usd=profit.total_usd if profit else None,
        today_price_usd=profit.price_usd if profit else None,
        today_funding_usd=profit.funding_usd if profit else None,
        today_fees_usd=profit.fees_usd if profit else None,
        drawdown=drawdown_now(picture),
    )


def _with_book(status: StatusView, book: Book) -> StatusView:
    worst = book.worst
    return msgspec.structs.replace(
        status,
        gross=book.multiple(book.gross_usd),
        worst_account=worst.account.key if worst else "",
        margin_ratio=worst.margin_ratio if worst else None,
        liquidation_down=worst.shock.down if worst else None,
        liquidation_up=worst.shock.up if worst else None,
        free_usd=free_by_venue(book),
        carry_usd_day=book.carry_usd_day if book.accounts else None,
    )


def _with_proposal(
    status: StatusView,
    picture: Picture,
    proposed: ProposalPicture,
    checks: tuple[LimitCheck, ...],
    now_mono: float,
) -> StatusView:
    fresh = proposed.target if proposed.fresh(now_mono) else None
    estimates = proposed.estimates
    return msgspec.structs.replace(
        status,
        regime=estimates.regime.label if estimates else "",
        regime_probability=_probability(estimates),
        regime_since_ms=estimates.regime.since_ms if estimates else None,
        exposure=proposed.target.exposure if proposed.target else None,
        proposal=fresh.digest[:DIGEST_SHOWN] if fresh else "",
        proposal_mends=mends(checks, fresh),
        carry_usd_day_after=total_carry_after(picture, proposed.target),
    )


def free_by_venue(book: Book) -> tuple[tuple[str, Decimal], ...]:
    """Return free collateral by venue; the accounts of one venue are summed."""
    totals: dict[str, Decimal] = {}
    for account in book.accounts:
        venue = account.account.venue
        totals[venue] = totals.get(venue, Decimal(0)) + account.free_usd
    return tuple(totals.items())


def merged_news(*sources: tuple[EventLine, ...]) -> tuple[EventLine, ...]:
    """Return the newest lines of all sources, oldest first."""
    lines = sorted((line for source in sources for line in source), key=lambda line: line.ts_ms)
    return tuple(lines[-NEWS_SHOWN:])


def _probability(estimates: Estimates | None) -> float | None:
    if estimates is None:
        return None
    names = ("calm", "normal", "stress", "crisis")
    chances = dict(zip(names, estimates.regime.probabilities, strict=True))
    return chances.get(estimates.regime.label)
