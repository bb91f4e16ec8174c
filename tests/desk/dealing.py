"""A desk's trading side on a venue in memory: settings, picture, proposals, typed answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.desk.orders.trading import Trading
from perptui.desk.orders.trading_picture import ProfitMark
from perptui.journal.events import Actor, Event
from perptui.journal.journal import Journal
from perptui.model.canonical import digest_of
from perptui.model.clock import ManualClock
from perptui.model.limit import LimitCheck
from perptui.model.market import Book, FundingQuote, Quote
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.proposal import BookRisk, Proposal, SolverReport, TargetRow
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.intents import ConfirmTicket
from perptui.protocol.views_ticket import TicketView
from perptui.settings.load import load
from perptui.settings.schema import Settings
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import (
    BTC,
    ETH,
    FUNDING,
    INSTRUMENTS,
    NOW_MS,
    QUOTES,
    VENUE,
    book_around,
)

ALICE = Actor(uid=1000, name="alice")
BOB = Actor(uid=1001, name="bob")
DESK = Actor(uid=1000, name="desk")
MARKS = {BTC: Decimal(97500), ETH: Decimal(3200)}


def order(
    identifier: str, side: Side, contracts: str, before: str, *, reduce_only: bool = False
) -> OrderIntent:
    """Return an order whose limit price stands 0.2 % beyond its mark."""
    size, held, mark = Decimal(contracts), Decimal(before), MARKS[identifier]
    after = held + (size if side is Side.BUY else -size)
    effect = Effect.REDUCE if abs(after) < abs(held) else Effect.ADD
    if held * after < 0:
        effect = Effect.FLIP
    away = Decimal("1.002") if side is Side.BUY else Decimal("0.998")
    return OrderIntent(
        id=identifier,
        side=side,
        effect=effect,
        contracts=size,
        notional_usd=size * mark,
        limit_price=(mark * away).quantize(Decimal("0.1")),
        mark_price=mark,
        reduce_only=reduce_only,
        before=held,
        after=after,
        fee_usd=size * mark * Decimal("0.0005"),
        slippage_usd=size * mark * Decimal("0.0001"),
    )


REDUCE_BTC = order(BTC, Side.SELL, "0.2", "0.4", reduce_only=True)
REDUCE_ETH = order(ETH, Side.BUY, "1", "-6", reduce_only=True)
FLIP_ETH = (
    order(ETH, Side.BUY, "6", "-6", reduce_only=True),
    order(ETH, Side.BUY, "2", "0"),
)
"""From -6 to +2 in two legs, as flips are proposed."""
ADD_ETH = order(ETH, Side.SELL, "0.5", "-6")


def proposal(*orders: OrderIntent, **changes: object) -> Proposal:
    """Return an exportable proposal with these orders; equity 30,000."""
    risk = BookRisk(
        volatility_annual=0.4,
        gross=1.94,
        net=0.66,
        margin_ratio=0.01,
        carry_usd_day=Decimal("-12.5"),
        worst_account=VENUE,
        liquidation_down=-0.6,
        liquidation_up=None,
    )
    rows = tuple(
        TargetRow(
            id=one.id,
            weight_now=float(one.before * one.mark_price) / 30000,
            weight_target=float(one.after * one.mark_price) / 30000,
            weight_rounded=float(one.after * one.mark_price) / 30000,
            expected_return=0.01,
            carry_apr=-0.1,
            volatility_annual=0.6,
            contracts_now=one.before,
            contracts_after=one.after,
            trade_usd=one.notional_usd,
            cost_usd=one.fee_usd,
            carry_usd_day_now=Decimal(1),
            carry_usd_day_after=Decimal(2),
        )
        for one in orders
    )
    made = Proposal(
        status="ok",
        strategy="tactical",
        model_version="tactical-1",
        as_of_ms=NOW_MS,
        horizon_days=2.0,
        equity_usd=Decimal(30000),
        snapshot_digest="5" * 64,
        rows=rows,
        orders=orders,
        limits_now=(LimitCheck("gross", 1.94, 3.0, ok=True),),
        limits=(LimitCheck("gross", 1.29, 3.0, ok=True),),
        risk_now=risk,
        risk=risk,
        turnover=0.3,
        cost_usd=Decimal("12.3"),
        regime="stress",
        exposure=0.5,
        solver=SolverReport(status="optimal", name="clarabel", seconds=0.01),
        exportable=True,
    )
    made = msgspec.structs.replace(made, **changes)
    return msgspec.structs.replace(made, digest=digest_of(made))


_DIGESTS: dict[int, tuple[Settings, str]] = {}


def _digest_of(settings: Settings) -> str:
    """Return the digest of settings, which thousands of sessions share."""
    kept = _DIGESTS.get(id(settings))
    if kept is None or kept[0] is not settings:
        kept = _DIGESTS[id(settings)] = (settings, settings.digest)
    return kept[1]


class DeskPicture:
    """Implements `perptui.desk.trading_picture.TradingPicture` over a venue in memory."""

    def __init__(self, venue: LedgerVenue, clock: ManualClock, settings: Settings) -> None:
        self.venue = venue
        self.clock = clock
        self.digest = _digest_of(settings)
        self.quotes: tuple[Quote, ...] = QUOTES
        self.instruments = INSTRUMENTS
        self.funding: tuple[FundingQuote, ...] = FUNDING
        self.stale_text = ""
        self.offsets = {VENUE: 12}
        self.volumes = {BTC: 1e10, ETH: 5e9}
        self.sigmas: dict[str, float] = {BTC: 0.6, ETH: 0.8}
        self.proposals: dict[str, Proposal] = {}
        self.bases: dict[str, MarketSnapshot] = {}
        self.loss: float | None = 0.0
        self.depths: dict[str, Book] | None = None
        self.earned = Decimal(0)
        self.peak: Decimal | None = None
        self.blank = False

    def snapshot(self) -> MarketSnapshot | None:
        if self.blank:
            return None
        return MarketSnapshot(
            as_of_ms=self.clock.utc_ms(),
            instruments=self.instruments,
            quotes=self.quotes,
            funding=self.funding,
            accounts=(self.venue.now(),),
            peak_equity_usd=self.peak,
        )

    def stale(self) -> str:
        return self.stale_text

    def clock_offset_ms(self) -> dict[str, int]:
        return self.offsets

    def volume_usd_day(self) -> dict[str, float]:
        return self.volumes

    def volatility_annual(self) -> dict[str, float]:
        return self.sigmas

    def settings_digest(self) -> str:
        return self.digest

    def proposal(self, digest: str) -> Proposal | None:
        return self.proposals.get(digest)

    def basis(self, digest: str) -> MarketSnapshot | None:
        return self.bases.get(digest)

    def take(self, made: Proposal) -> Proposal:
        """Let a proposal rest on the present picture and be the fresh one."""
        snapshot = self.snapshot()
        if snapshot is not None:
            made = msgspec.structs.replace(made, snapshot_digest=digest_of(snapshot))
            self.bases[made.digest] = snapshot
        self.proposals = {made.digest: made}
        return made

    def daily_loss(self) -> float | None:
        return self.loss

    def books(self) -> dict[str, Book]:
        if self.depths is not None:
            return self.depths
        return {quote.id: book_around(quote.id, quote.mark) for quote in self.quotes}

    async def wait_for_books(self, _: Proposal) -> None:
        """They are there."""

    def profit(self) -> ProfitMark | None:
        snapshot = self.snapshot()
        if snapshot is None:
            return None
        return ProfitMark(snapshot.equity_usd + self.earned, {VENUE: (0, self.earned)})


def settings_of(mode: str = "paper", export_dir: str = "") -> Settings:
    """Return the shipped settings in `mode`."""
    settings = load(None, {"desk.mode": "paper"}).settings
    desk = msgspec.structs.replace(settings.desk, mode=mode, export_dir=export_dir)
    return msgspec.structs.replace(settings, desk=desk)


class Deal:
    """One desk's trading side, its venue and its clock."""

    def __init__(
        self,
        folder: Path,
        script: tuple[str, ...] = (),
        settings: Settings | None = None,
        venue: LedgerVenue | None = None,
        clock: ManualClock | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.clock = clock or ManualClock(NOW_MS)
        self.settings = settings or settings_of()
        self.venue = venue or LedgerVenue(self.clock, script)
        self.picture = DeskPicture(self.venue, self.clock, self.settings)
        self.journal = journal or Journal.open(
            folder / "journal.db",
            desk="main",
            account="main",
            clock=self.clock,
            actor=DESK,
            version="0",
        )
        self.points: list[str] = []
        self.reached: Callable[[str], None] = self.points.append
        self.changes = 0
        self.trading = Trading(
            self.journal,
            {VENUE: self.venue},
            self.settings,
            self.clock,
            self.picture,
            changed=self.changed,
            checkpoint=self.checkpoint,
            pause=self.pause,
        )

    def changed(self) -> None:
        """Count what the desk is told to paint."""
        self.changes += 1

    def checkpoint(self, point: str) -> None:
        """Hand a point inside a ticket to what a test has set for it."""
        self.reached(point)

    async def pause(self, seconds: float) -> None:
        """Move the clock instead of waiting, and let others run."""
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def open(self, *orders: OrderIntent, purpose: str = "send") -> TicketView:
        """Propose and show."""
        made = self.picture.take(proposal(*orders))
        return await self.trading.open_ticket(made, purpose, ALICE, 120, 40)

    async def confirm(self, view: TicketView, **changes: object) -> TicketView:
        """Type the token after two seconds."""
        self.clock.advance(2)
        return await self.trading.confirm(answer(view, **changes), ALICE)

    async def deal(self, *orders: OrderIntent) -> TicketView:
        """Reconcile, propose, confirm, and wait until everything was sent."""
        await self.trading.reconcile()
        await self.confirm(await self.open(*orders))
        await self.trading.sent()
        return self.trading.ticket_view

    def kinds(self) -> list[str]:
        """The kinds of all events, in order."""
        return [event.kind for event in self.events()]

    def events(self) -> list[Event]:
        """All events."""
        return self.journal.events(1)

    def states(self) -> list[str]:
        """The states of the newest ticket's legs."""
        ticket = self.journal.tickets(1)[0]
        return [leg.state.value for leg in self.journal.legs(ticket.id)]


def answer(view: TicketView, **changes: object) -> ConfirmTicket:
    """Return a confirmation as a hand types it."""
    typed = ConfirmTicket(
        id=view.id,
        typed=view.token[-4:],
        seen_end=True,
        key_gaps_ms=(120.0, 95.0, 140.0),
        columns=120,
        rows=40,
    )
    return msgspec.structs.replace(typed, **changes)
