"""Drafts: what a ticket is made from, with its orders priced at the marks of now.

A proposal fixes instruments, sides and contracts. Its prices age faster than a person reads: a
ticket's limit prices, notionals and costs are made anew when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from perptui.desk.orders import confirmation
from perptui.desk.orders.drawdown_stop import closing_orders
from perptui.desk.orders.gate_desk import drawdown_stop
from perptui.desk.orders.own_proposal import FLATTEN, OWN, own_proposal
from perptui.desk.orders.stops import Protection, protect, resting_stops, unprotected
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.model.canonical import digest_of
from perptui.model.clock import Clock
from perptui.model.errors import ConfirmationRefused, InputError
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.money import to_cents
from perptui.model.order import Effect, OrderIntent
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.risk.collar import collar_bps, limit_price
from perptui.settings.schema import Settings


class Drafts:
    """Makes the inputs of one desk's tickets."""

    def __init__(
        self, journal: Journal, settings: Settings, clock: Clock, picture: TradingPicture
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._picture = picture
        self._limits_digest = digest_of(settings.limits)
        self._own: tuple[Proposal, MarketSnapshot] | None = None

    def own(self, status: str, digest: str = "") -> Proposal | None:
        """Return a proposal of the desk's own: `status` is a key of `OWN`.

        Of another `status` the newest such one if it has this digest, else None.

        Raises
        ------
        ConfirmationRefused
            When there is nothing to protect or to close, or no drawdown beyond its limit.
        """
        if status not in OWN:
            return self._kept(digest)
        snapshot = self._require_picture()
        try:
            orders = () if status == "protect" else self._closing(status, snapshot)
            if not orders and not self._bare(snapshot).legs:
                raise ConfirmationRefused(
                    "expected a position without a stop, was none, or [stops] sigmas 0; nothing "
                    "to protect",
                    "nothing",
                )
        except InputError as error:
            raise ConfirmationRefused(str(error), "price") from None
        made = own_proposal(status, self._settings.desk.strategy, snapshot, orders)
        self._own = (made, snapshot)
        return made

    def _kept(self, digest: str) -> Proposal | None:
        return self._own[0] if self._own is not None and self._own[0].digest == digest else None

    def _closing(self, status: str, snapshot: MarketSnapshot) -> tuple[OrderIntent, ...]:
        """Return what closes a share of every position: the one asked for, or the drawdown's."""
        limits = self._settings.limits
        volumes, sigmas = self._picture.volume_usd_day(), self._picture.volatility_annual()
        if status in FLATTEN:
            orders = closing_orders(snapshot, FLATTEN[status], limits, sigmas, volumes)
            if not orders:
                raise ConfirmationRefused(
                    "expected positions, was none; nothing to close", "nothing"
                )
            return orders
        share, fallen = self._settings.stops.drawdown_share, drawdown_stop(snapshot, limits)
        orders = closing_orders(snapshot, share, limits, sigmas, volumes) if fallen else ()
        if share <= 0 or not orders:
            raise ConfirmationRefused(
                "expected positions and a drawdown beyond drawdown_max, with [stops] "
                "drawdown_share above 0, was not; nothing is prepared",
                "nothing",
            )
        return orders

    def _bare(self, snapshot: MarketSnapshot) -> Protection:
        """Return stops for what has none."""
        resting = resting_stops(self._journal.live_legs())
        return unprotected(
            snapshot, self._settings.stops, self._picture.volatility_annual(), resting
        )

    def priced_now(self, proposal: Proposal, purpose: str, trader: Actor) -> TicketInputs:
        """Return what a ticket of `proposal` is made from, priced at the newest marks.

        Raises
        ------
        ConfirmationRefused
            When the proposal is not the fresh one, cannot be traded, or has no price now.
        """
        basis, snapshot = self._require_tradable(proposal)
        legs = confirmation.in_sending_order(proposal.orders)
        try:
            legs = repriced(
                legs, snapshot, self._settings.limits, self._picture.volatility_annual()
            )
            bare = proposal.status in OWN and not legs
            protection = self._bare(snapshot) if bare else self._protected(legs, snapshot)
        except (ValueError, InputError) as error:
            raise ConfirmationRefused(str(error), "price") from None
        return self._inputs(proposal, purpose, trader, protection, snapshot, basis)

    def _protected(self, legs: tuple[OrderIntent, ...], snapshot: MarketSnapshot) -> Protection:
        """Return the orders with their stops; a ticket that trades only."""
        resting = resting_stops(self._journal.live_legs())
        return protect(
            legs, snapshot, self._settings.stops, self._picture.volatility_annual(), resting
        )

    def as_proposed(self, proposal: Proposal, purpose: str, trader: Actor) -> TicketInputs:
        """Return the same with the prices and the picture that the proposal was made from.

        Raises
        ------
        ConfirmationRefused
            When the proposal is not the fresh one or cannot be traded.
        """
        basis, _ = self._require_tradable(proposal)
        legs = confirmation.in_sending_order(proposal.orders)
        return self._inputs(proposal, purpose, trader, Protection(legs), basis, basis)

    def _require_tradable(self, proposal: Proposal) -> tuple[MarketSnapshot, MarketSnapshot]:
        """Return the snapshot that a fresh, tradable proposal rests on, and the one of now."""
        snapshot = self._require_picture()
        if self._own is not None and self._own[0].digest == proposal.digest:
            return self._own[1], snapshot
        if self._picture.proposal(proposal.digest) is None:
            raise ConfirmationRefused(
                f"expected a fresh proposal, was {proposal.digest[:4]}; solve again", "proposal"
            )
        basis = self._picture.basis(proposal.digest)
        if basis is None or digest_of(basis) != proposal.snapshot_digest:
            raise ConfirmationRefused(
                "expected the snapshot that the proposal rests on, was another; solve again",
                "basis",
            )
        if not proposal.exportable or not proposal.orders:
            raise ConfirmationRefused(
                "expected a proposal that trades and keeps every limit or only reduces, was "
                f"{'; '.join(proposal.reasons) or proposal.status}; solve again",
                "not_exportable",
            )
        return basis, snapshot

    def _require_picture(self) -> MarketSnapshot:
        """Return the fresh picture of now."""
        snapshot, stale = self._picture.snapshot(), self._picture.stale()
        if snapshot is None or stale:
            raise ConfirmationRefused(
                f"expected fresh inputs, was {stale or 'no picture'}; wait for the venue", "stale"
            )
        return snapshot

    def _inputs(
        self,
        proposal: Proposal,
        purpose: str,
        trader: Actor,
        protection: Protection,
        snapshot: MarketSnapshot,
        basis: MarketSnapshot,
    ) -> TicketInputs:
        desk, legs = self._settings.desk, protection.legs
        volumes = self._picture.volume_usd_day()
        return TicketInputs(
            ticket=self._journal.next_ticket(),
            purpose=purpose,
            mode=self._settings.words_of(purpose),
            desk=desk.name,
            account=desk.account,
            trader=trader.name,
            created_ms=self._clock.utc_ms(),
            expiry_s=self._settings.confirmation.expiry_s,
            proposal=proposal,
            legs=legs,
            snapshot=snapshot,
            basis=basis,
            settings_digest=self._picture.settings_digest(),
            limits_digest=self._limits_digest,
            volume_usd_day={leg.id: volumes[leg.id] for leg in legs if leg.id in volumes},
            cancels=protection.cancels if purpose == "send" else (),
            volatility_daily=protection.volatility_daily,
            on_rejection=self._settings.confirmation.on_rejection,
        )


def repriced(
    legs: tuple[OrderIntent, ...],
    snapshot: MarketSnapshot,
    limits: Limits,
    volatility_annual: Mapping[str, float],
) -> tuple[OrderIntent, ...]:
    """Return the same orders at the marks of `snapshot`: prices, notionals and costs alone differ.

    Raises
    ------
    ValueError
        When a contract has no price there, or its collar leaves none.
    """
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    rules = {one.id: one for one in snapshot.instruments}
    found = []
    for leg in legs:
        mark, instrument = marks.get(leg.id), rules.get(leg.id)
        if mark is None or instrument is None or leg.notional_usd <= 0:
            raise ValueError(f"expected a price of {leg.id}, was none; wait for its quote")
        reducing = leg.effect is Effect.REDUCE
        bps = collar_bps(limits, volatility_annual.get(leg.id), reducing=reducing)
        found.append(_at(leg, instrument, mark, bps))
    return tuple(found)


def _at(leg: OrderIntent, instrument: Instrument, mark: Decimal, bps: float) -> OrderIntent:
    worth = instrument.contract_size * (mark if instrument.linear else 1)
    notional = leg.contracts * worth
    return msgspec.structs.replace(
        leg,
        mark_price=mark,
        limit_price=limit_price(mark, instrument.tick, leg.side, bps),
        notional_usd=notional,
        fee_usd=to_cents(notional * instrument.taker_fee),
        # Half-spread is in proportion to the notional, and so is impact for the moves of minutes.
        slippage_usd=to_cents(leg.slippage_usd * notional / leg.notional_usd),
    )
