"""Everything a terminal shows, from the desk's records: pure, figures only, no formatting."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from perptui.desk.book import Book, book_of
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.state import Picture, VenuePicture
from perptui.desk.views.book import oldest, positions_view
from perptui.desk.views.funding import funding_view
from perptui.desk.views.limits import checks_now, limits_view, loss_row
from perptui.desk.views.proposal import rebalance_view
from perptui.desk.views.regime import regime_view
from perptui.desk.views.status import Identity, Standing, VenueTime, feeds, status_view
from perptui.model.forecast import Estimates
from perptui.model.limit import LimitCheck, Limits
from perptui.protocol.views import (
    DeskView,
    FundingView,
    LimitsView,
    Panel,
    PositionsView,
    RegimeView,
    StatusView,
)
from perptui.protocol.views_rebalance import RebalanceView
from perptui.protocol.views_ticket import JournalView, TicketView

Told = Callable[[], tuple[Standing, JournalView, TicketView]]
"""What the trading side of the desk shows."""


class Present(msgspec.Struct, frozen=True):
    """The present book, and every limit of the desk held against it."""

    book: Book
    checks: tuple[LimitCheck, ...]


def present_of(picture: Picture, limits: Limits, estimates: Estimates | None) -> Present:
    """Return the book that a picture holds, with its checks."""
    book = book_of(picture)
    return Present(book, checks_now(picture, book, limits, estimates))


class Scene(msgspec.Struct, frozen=True):
    """What the views are made from.

    Attributes
    ----------
    told : callable
        What the trading side shows.
    waits : callable
        Why there is no snapshot, "" when there is one.
    is_stale, age_limit_s : callable
        Of one venue's call, as `DeskState` says.
    """

    who: Identity
    time: VenueTime
    picture: Picture
    present: Present
    proposed: ProposalPicture
    limits: Limits
    told: Told
    quant: str
    now_mono: float
    waits: Callable[[], str]
    is_stale: Callable[[VenuePicture, str], bool]
    age_limit_s: Callable[[str], float]


MARKET_PANELS = frozenset(("positions", "funding", "regime"))
"""Panels that no answer to a person changes first, and that nothing but their own pictures need."""


def panels(scene: Scene, looked_at: Collection[str] = MARKET_PANELS) -> dict[str, Panel]:
    """Return the panels by their field of `DeskView`.

    Parameters
    ----------
    looked_at : collection of str
        Those of `MARKET_PANELS` that are wanted.
    """
    picture, proposed = scene.picture, scene.proposed
    book = scene.present.book
    found = answer_panels(scene) | panels_around(scene)
    if "positions" in looked_at:
        found["positions"] = positions_view(picture, book, proposed.target, scene.is_stale)
    if "funding" in looked_at:
        found["funding"] = funding_view(picture, book, proposed, scene.is_stale)
    if "regime" in looked_at:
        found["regime"] = regime_view(picture, proposed)
    return found


def answer_panels(scene: Scene) -> dict[str, Panel]:
    """Return the panels that are the answer to a what-if, by field of `DeskView`."""
    picture, proposed = scene.picture, scene.proposed
    waits = scene.waits() or picture.history if proposed.proposal is None else ""
    return {
        "rebalance": rebalance_view(picture, proposed, waits),
        "limits": limits_view(
            scene.present.checks,
            proposed,
            scene.present.book,
            oldest(picture, ("account", "quotes")),
            loss_row(picture, scene.limits),
            scene.limits,
        ),
    }


def panels_around(scene: Scene) -> dict[str, Panel]:
    """Return the panels around an answer, which it changes too, by field of `DeskView`."""
    standing, journal, ticket = scene.told()
    return {
        "status": status_view(
            scene.who,
            scene.time,
            scene.picture,
            scene.present.book,
            scene.proposed,
            scene.present.checks,
            scene.limits,
            standing,
            feeds(scene.picture, scene.age_limit_s, scene.is_stale),
            scene.quant,
            scene.now_mono,
        ),
        "journal": journal,
        "ticket": ticket,
    }


def first_view(who: Identity, time: VenueTime) -> DeskView:
    """Return what a terminal sees before anything was read: each panel says what it waits for."""
    status = StatusView(
        mode=who.mode,
        desk=who.desk,
        account=who.account,
        market=who.market,
        venue_ms=time.venue_ms,
        venue_mono=time.mono,
        speed=time.speed,
    )
    return DeskView(
        status=status,
        positions=PositionsView(),
        funding=FundingView(),
        regime=RegimeView(),
        rebalance=RebalanceView(),
        limits=LimitsView(),
        journal=JournalView(),
        ticket=TicketView(),
    )
