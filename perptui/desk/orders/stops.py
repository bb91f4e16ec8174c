"""Protective stops: pure functions that make them, and tell what they protect.

A stop closes the whole position that its ticket leaves, at market, once the mark has moved against
it by so many standard deviations of a day. It rests at the venue, reduce-only, and belongs to the
ticket it was confirmed with; the next ticket that changes the position replaces it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from perptui.journal.queries import LegRow
from perptui.model.errors import InputError
from perptui.model.instrument import Instrument
from perptui.model.money import ZERO, ceil_to_tick, floor_to_tick
from perptui.model.order import (
    TERMINAL_STATES,
    Effect,
    Leg,
    LegState,
    OrderIntent,
    OrderKind,
    Side,
    Ticket,
)
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.schema import StopSettings

DAYS_A_YEAR = 365.0
RESTING = frozenset({LegState.ACKED, LegState.OPEN, LegState.PARTIAL})
"""States in which a stop is at the venue as far as the journal knows."""


class RestingStop(Record, frozen=True):
    """A stop of ours at the venue, as the ticket that cancels it names it."""

    client_id: str
    id: str
    side: Side
    contracts: Decimal
    trigger_price: Decimal


class Protection(Record, frozen=True):
    """What a ticket does about stops.

    Attributes
    ----------
    legs : tuple[OrderIntent, ...]
        The ticket's orders with a stop directly after the last one of each contract.
    cancels : tuple[RestingStop, ...]
        Stops of ours that are replaced, or that nothing is left of to protect.
    volatility_daily : dict[str, float]
        By contract, what the distance was made from; absent where no estimate was known, and the
        stop stands at the farthest distance.
    """

    legs: tuple[OrderIntent, ...]
    cancels: tuple[RestingStop, ...] = ()
    volatility_daily: dict[str, float] = {}  # noqa: RUF012  msgspec copies an empty default


def distance(settings: StopSettings, volatility_daily: float | None) -> float:
    """Return how far from the mark a stop stands, as a fraction of it.

    clamp(sigmas x standard deviation of a day, distance_min, distance_max); the farthest where the
    volatility is not known or is no positive number.
    """
    known = volatility_daily is not None and math.isfinite(volatility_daily)
    if volatility_daily is None or not known or volatility_daily <= 0:
        return settings.distance_max
    wanted = settings.sigmas * volatility_daily
    return min(max(wanted, settings.distance_min), settings.distance_max)


def trigger_price(mark: Decimal, tick: Decimal, side: Side, share: float) -> Decimal:
    """Return mark x (1 -/+ share), rounded to the tick away from the mark; below it for a sale.

    Raises
    ------
    InputError
        When no positive price on the other side of the mark is left.
    """
    away = Decimal(repr(share))
    if side is Side.SELL:
        price = floor_to_tick(mark * (1 - away), tick)
    else:
        price = ceil_to_tick(mark * (1 + away), tick)
    beyond = price < mark if side is Side.SELL else price > mark
    if price <= 0 or not beyond:
        raise InputError(
            f"expected a trigger beyond the mark {mark}, was {price}; change [stops] distance_min"
        )
    return price


def stop_order(
    instrument: Instrument, mark: Decimal, position: Decimal, share: float
) -> OrderIntent:
    """Return the stop that closes all of `position`, signed contracts, at `share` from the mark."""
    side = Side.SELL if position > 0 else Side.BUY
    trigger = trigger_price(mark, instrument.tick, side, share)
    contracts = abs(position)
    return OrderIntent(
        id=instrument.id,
        side=side,
        effect=Effect.REDUCE,
        contracts=contracts,
        notional_usd=contracts * instrument.contract_size * (mark if instrument.linear else 1),
        limit_price=trigger,
        mark_price=mark,
        reduce_only=True,
        before=position,
        after=ZERO,
        kind=OrderKind.STOP_MARKET,
        trigger_price=trigger,
    )


def protect(
    orders: Sequence[OrderIntent],
    snapshot: MarketSnapshot,
    settings: StopSettings,
    volatility_annual: Mapping[str, float],
    resting: Iterable[RestingStop],
) -> Protection:
    """Return the orders with their stops, and the stops of ours that are cancelled after them.

    Parameters
    ----------
    orders : sequence of OrderIntent
        In sending order; none is a stop.
    volatility_annual : mapping of str to float
        By contract, as estimated.
    resting : iterable of RestingStop
        Stops of ours at the venues.

    Raises
    ------
    InputError
        When a contract has no price, or no trigger fits it.
    """
    last = {order.id: place for place, order in enumerate(orders)}
    legs: list[OrderIntent] = []
    for place, order in enumerate(orders):
        legs.append(order)
        if settings.sigmas > 0 and last[order.id] == place and order.after:
            legs.append(_stop_of(order.id, order.after, snapshot, settings, volatility_annual))
    after = held_in(snapshot) | {order.id: order.after for order in orders}
    replaced = {leg.id for leg in legs if leg.protective}
    cancels = tuple(
        stop for stop in resting if stop.id in replaced or not reduces(stop.side, after, stop.id)
    )
    return Protection(tuple(legs), cancels, _known(replaced, volatility_annual))


def unprotected(
    snapshot: MarketSnapshot,
    settings: StopSettings,
    volatility_annual: Mapping[str, float],
    resting: Iterable[RestingStop],
) -> Protection:
    """Return stops for every position that those at the venue do not cover whole.

    A stop that covers a position in part is replaced by one for all of it; one without a position
    on its side is cancelled.

    Raises
    ------
    InputError
        When a contract has no price, or no trigger fits it.
    """
    there = tuple(resting)
    held = held_in(snapshot)
    bare = bare_positions(held, there) if settings.sigmas > 0 else {}
    legs = tuple(
        _stop_of(identifier, position, snapshot, settings, volatility_annual)
        for identifier, position in sorted(bare.items())
    )
    cancels = tuple(
        stop for stop in there if stop.id in bare or not reduces(stop.side, held, stop.id)
    )
    return Protection(legs, cancels, _known(set(bare), volatility_annual))


def bare_positions(
    positions: Mapping[str, Decimal], resting: Iterable[RestingStop]
) -> dict[str, Decimal]:
    """Return the positions, signed contracts, that resting stops do not cover whole."""
    covered: dict[str, Decimal] = {}
    for stop in resting:
        if reduces(stop.side, positions, stop.id):
            covered[stop.id] = covered.get(stop.id, ZERO) + stop.contracts
    return {key: held for key, held in positions.items() if abs(held) > covered.get(key, ZERO)}


def reduces(side: Side, positions: Mapping[str, Decimal], identifier: str) -> bool:
    """Return True when an order of that side would make the position smaller."""
    held = positions.get(identifier, ZERO)
    return held > 0 if side is Side.SELL else held < 0


def rests(leg: LegRow) -> bool:
    """Return True of a stop that waits at the venue: nothing of it is to be learned until later."""
    return leg.protective and leg.state is LegState.OPEN


def resting_stops(live: Iterable[LegRow]) -> tuple[RestingStop, ...]:
    """Return the stops among the journal's live legs that are at a venue."""
    return tuple(
        RestingStop(leg.client_id, leg.instrument, leg.side, leg.contracts, leg.trigger_price)
        for leg in live
        if leg.protective and leg.state in RESTING and leg.trigger_price is not None
    )


def held_in(snapshot: MarketSnapshot) -> dict[str, Decimal]:
    """Return the signed contracts of every open position."""
    return {
        position.id: position.contracts
        for account in snapshot.accounts
        for position in account.positions
        if position.contracts != 0
    }


class StopStanding(Record, frozen=True):
    """Whether a confirmed stop is to be sent: it is when both are "".

    Attributes
    ----------
    idle : str
        Why it is not needed: nothing was filled, or nothing is left to protect.
    unsure : str
        Why it cannot be told: an order of its contract may still do something.
    """

    idle: str = ""
    unsure: str = ""


def stop_standing(ticket: Ticket, rows: Sequence[LegRow], stop: Leg) -> StopStanding:
    """Return whether a stop of `ticket` is to be sent, after the legs of its contract.

    One whose ticket does not trade its contract protects a position that was there before.
    """
    identifier = stop.intent.id
    trades = [row for row in rows if row.instrument == identifier and not row.protective]
    if not trades:
        return StopStanding()
    if any(row.state not in TERMINAL_STATES for row in trades):
        return StopStanding(unsure="an order of its contract may still work")
    if not any(filled_of(row) for row in trades):
        return StopStanding(idle="no order of its contract was filled: what protects it stays")
    after = {identifier: position_after(ticket, rows, identifier) or ZERO}
    if not reduces(stop.intent.side, after, identifier):
        return StopStanding(idle="nothing is left to protect")
    return StopStanding()


def position_after(ticket: Ticket, rows: Iterable[LegRow], identifier: str) -> Decimal | None:
    """Return the position that a ticket's fills so far leave in a contract.

    None where the ticket does not trade it.
    """
    legs = (leg.intent for leg in ticket.legs if leg.intent.id == identifier)
    first = next((intent for intent in legs if not intent.protective), None)
    if first is None:
        return None
    position = first.before
    for row in rows:
        if row.instrument == identifier and not row.protective:
            position += filled_of(row) if row.side is Side.BUY else -filled_of(row)
    return position


def filled_of(row: LegRow) -> Decimal:
    """Return what a leg has filled as far as is known, contracts."""
    return max(row.filled, row.executed)


def superseded(
    ticket: Ticket, rows: Sequence[LegRow], old: LegRow, positions: Mapping[str, Decimal]
) -> bool:
    """Return whether a stop that `ticket` cancels may go now.

    It may when a stop of the ticket rests that covers the position as it is, or when nothing is
    left for it to reduce; never while an order of its contract may still do something.

    Parameters
    ----------
    rows : sequence of LegRow
        The ticket's legs as they are.
    old : LegRow
        The stop.
    positions : mapping of str to Decimal
        Signed positions of contracts that the ticket does not trade.
    """
    mine = [row for row in rows if row.instrument == old.instrument]
    if any(row.state not in TERMINAL_STATES for row in mine if not row.protective):
        return False
    traded = position_after(ticket, rows, old.instrument)
    position = positions.get(old.instrument, ZERO) if traded is None else traded
    if not reduces(old.side, {old.instrument: position}, old.instrument):
        return True
    new = (row.contracts for row in mine if row.protective and row.state in RESTING)
    return sum(new, ZERO) >= abs(position)


def _stop_of(
    identifier: str,
    position: Decimal,
    snapshot: MarketSnapshot,
    settings: StopSettings,
    volatility_annual: Mapping[str, float],
) -> OrderIntent:
    instrument = next((one for one in snapshot.instruments if one.id == identifier), None)
    quote = next((one for one in snapshot.quotes if one.id == identifier), None)
    if instrument is None or quote is None:
        raise InputError(f"expected a price of {identifier}, was none; wait for its quote")
    daily = daily_of(volatility_annual.get(identifier))
    return stop_order(instrument, quote.mark, position, distance(settings, daily))


def daily_of(volatility_annual: float | None) -> float | None:
    """Return the standard deviation of a day from that of a year; None where it is not known."""
    return None if volatility_annual is None else volatility_annual / math.sqrt(DAYS_A_YEAR)


def _known(wanted: Iterable[str], volatility_annual: Mapping[str, float]) -> dict[str, float]:
    found = {key: daily_of(volatility_annual.get(key)) for key in sorted(wanted)}
    return {
        key: daily for key, daily in found.items() if daily is not None and math.isfinite(daily)
    }
