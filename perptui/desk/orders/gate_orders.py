"""The gate's checks of the orders: is each what it should be, and not too large for its market."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

from perptui.desk.orders.gate_input import GateInput, Reasons
from perptui.model.clock import MINUTE_MS
from perptui.model.instrument import Instrument
from perptui.model.market import Book, BookLevel
from perptui.model.order import Effect, OrderIntent, Side
from perptui.risk.collar import collar_bps, collar_width

DUPLICATE_MS = MINUTE_MS
CENT = Decimal("0.01")


def schema(given: GateInput) -> Reasons:
    """Require orders that add up in themselves, and stops that only reduce."""
    if not given.legs:
        yield "schema", "expected orders, was none; solve again"
    for leg in given.legs:
        signed = leg.contracts if leg.side is Side.BUY else -leg.contracts
        if leg.contracts <= 0 or leg.limit_price <= 0 or leg.mark_price <= 0:
            yield "schema", f"expected positive contracts and prices of {leg.id}, was not"
        elif leg.before + signed != leg.after:
            yield "schema", f"expected before, order and after of {leg.id} to add up, was not"
        elif leg.effect is not _effect(leg):
            yield "schema", f"expected {_effect(leg)} of {leg.id}, was {leg.effect}"
        elif leg.reduce_only and leg.effect is not Effect.REDUCE:
            yield "schema", f"expected reduce-only to reduce {leg.id}, was {leg.effect}"
        elif leg.protective:
            yield from _stop(leg)
        elif leg.trigger_price is not None:
            yield "schema", f"expected no trigger of {leg.id}, was {leg.trigger_price}"


def _stop(leg: OrderIntent) -> Reasons:
    if not leg.reduce_only:
        yield "schema", f"expected the stop of {leg.id} to be reduce-only, was not"
    elif leg.trigger_price is None or leg.trigger_price != leg.limit_price:
        yield "schema", f"expected a trigger of the stop of {leg.id}, was {leg.trigger_price}"


def _effect(leg: OrderIntent) -> Effect:
    if leg.before * leg.after < 0:
        return Effect.FLIP
    return Effect.REDUCE if abs(leg.after) < abs(leg.before) else Effect.ADD


def positions(given: GateInput) -> Reasons:
    """Require the positions that the orders rest on; a stop moves none while it rests."""
    held = dict(given.positions)
    for leg in given.legs:
        now = held.get(leg.id, Decimal(0))
        # A stop only reduces: after a partial fill it may be for more than there is.
        stands = now * leg.before > 0 if leg.protective else now == leg.before
        if not stands:
            yield "position", f"{leg.id} is {now}, its order rests on {leg.before}: solve again"
        if not leg.protective:
            held[leg.id] = leg.after


def instruments(given: GateInput) -> Reasons:
    """Require contracts that trade, and orders of their tick, step, bounds and least notional."""
    known = given.rules
    for leg in given.legs:
        found = known.get(leg.id)
        if found is None:
            yield "instrument", f"{leg.id} is not a contract with a price"
        elif not found.active:
            yield "instrument", f"{leg.id} is not trading"
        else:
            yield from _filters(leg, found)


def _filters(leg: OrderIntent, found: Instrument) -> Reasons:
    if found.tick <= 0 or leg.limit_price % found.tick:
        yield "tick", f"{leg.limit_price} of {leg.id} is no multiple of the tick {found.tick}"
    if found.step <= 0 or leg.contracts % found.step:
        yield "step", f"{leg.contracts} of {leg.id} is no multiple of the step {found.step}"
    most = found.max_contracts
    if leg.contracts < found.min_contracts or (most is not None and leg.contracts > most):
        yield "size", f"{leg.contracts} contracts of {leg.id} are outside the venue's bounds"
    worth = leg.contracts * found.contract_size * (leg.mark_price if found.linear else 1)
    if abs(worth - leg.notional_usd) > max(CENT, worth / 1_000_000):
        yield (
            "notional",
            f"{leg.id}: {leg.notional_usd} USD is not its worth, {worth}",
        )
    # Venues exempt orders that only reduce, so that a small remainder can be closed.
    if not leg.reduce_only and leg.notional_usd < found.min_notional_usd:
        yield "min_notional", f"{leg.id}: {leg.notional_usd} USD is under {found.min_notional_usd}"


def collar(given: GateInput) -> Reasons:
    """Hold prices to their marks, and marks to where they were; let no stop trigger at once."""
    marks = given.marks
    for leg in given.legs:
        mark = marks.get(leg.id)
        if leg.protective:
            yield from _not_reached(leg, mark)
            continue
        annual = given.volatility_annual.get(leg.id)
        reducing = leg.effect is Effect.REDUCE
        allowed = collar_width(leg.mark_price, collar_bps(given.limits, annual, reducing=reducing))
        if abs(leg.limit_price - leg.mark_price) > allowed:
            yield "collar", f"the limit price of {leg.id} is too far from its mark"
        if mark is not None and abs(mark - leg.mark_price) > allowed:
            yield "collar", f"the price of {leg.id} left its collar: price it anew"


def _not_reached(leg: OrderIntent, mark: Decimal | None) -> Reasons:
    prices = [leg.mark_price] if mark is None else [leg.mark_price, mark]
    below = leg.side is Side.SELL
    if any(leg.limit_price >= price if below else leg.limit_price <= price for price in prices):
        yield "collar", f"the stop of {leg.id} would trigger at once: price it anew"


def order_size(given: GateInput) -> Reasons:
    """Hold each order to the desk's notional and to its share of the daily volume."""
    most = given.limits.order_notional_max_usd
    for leg in given.trades:
        if leg.notional_usd > most:
            yield "order_notional", f"{leg.id}: {leg.notional_usd} USD is above {most}"
        volume = given.volume_usd_day.get(leg.id)
        if volume is None or not volume > 0:
            yield "participation", f"the daily volume of {leg.id} is not known"
        elif not float(leg.notional_usd) / volume <= given.limits.participation_max:
            yield "participation", f"{leg.id} is above its share of the daily volume"


def depth(given: GateInput) -> Reasons:
    """Hold what adds to its share of what the book offers within its limit price.

    Reductions are not held to it: what a thin book does not take of them expires, and the few
    levels that are read are less than there is. A book that is no book refuses every order.
    """
    known = given.rules
    for leg in given.trades:
        found, levels = known.get(leg.id), given.books.get(leg.id)
        if found is None:
            continue
        if levels is None:
            if leg.effect is not Effect.REDUCE:
                yield "depth", f"there is no fresh order book of {leg.id}: try again in a moment"
        elif why := fault_of(levels):
            yield "depth", f"the order book of {leg.id} is {why}: wait for a sound one"
        elif leg.effect is not Effect.REDUCE:
            offered = _offered(leg, levels, found)
            if leg.notional_usd > offered * Decimal(repr(given.limits.depth_max)):
                yield (
                    "depth",
                    f"{leg.id}: {leg.notional_usd:.2f} USD is above {given.limits.depth_max:.0%} "
                    f"of the {offered:.2f} that its book offers: order less",
                )


def fault_of(levels: Book) -> str:
    """Return what is wrong with an order book in a word or two, "" when it is sound."""
    if not levels.bids or not levels.asks:
        return "empty"
    if any(level.price <= 0 or level.contracts < 0 for level in (*levels.bids, *levels.asks)):
        return "not positive"
    if levels.bids[0].price >= levels.asks[0].price:
        return "crossed"
    rising = _rises(levels.asks) and _rises(reversed(levels.bids))
    return "" if rising else "out of order"


def _rises(levels: Iterable[BookLevel]) -> bool:
    return all(low.price < high.price for low, high in pairwise(levels))


def _offered(leg: OrderIntent, levels: Book, found: Instrument) -> Decimal:
    """Return what rests at the leg's limit price or better, USD."""
    buying = leg.side is Side.BUY
    taken = (
        level.contracts * found.contract_size * (level.price if found.linear else 1)
        for level in (levels.asks if buying else levels.bids)
        if (level.price <= leg.limit_price if buying else level.price >= leg.limit_price)
    )
    return sum(taken, Decimal(0))


def ticket_size(given: GateInput) -> Reasons:
    """Hold the ticket to the desk's number of orders and notional."""
    limits = given.limits
    if given.ticket_legs > limits.ticket_legs_max:
        yield "ticket_legs", f"{given.ticket_legs} orders are above {limits.ticket_legs_max}"
    if given.ticket_notional_usd > limits.ticket_notional_max_usd:
        yield (
            "ticket_notional",
            f"{given.ticket_notional_usd} USD is above {limits.ticket_notional_max_usd}",
        )


def day(given: GateInput) -> Reasons:
    """Hold what was sent today, with these orders, to the desk's limit and the trader's."""
    total = given.day_notional_usd + given.notional_usd
    if total > given.limits.day_notional_max_usd:
        yield "day_notional", f"{total} USD today is above {given.limits.day_notional_max_usd}"
    own, most = given.trader_notional_usd + given.notional_usd, given.limits
    if own > most.trader_day_notional_max_usd:
        yield (
            "trader_notional",
            f"{own} USD of this trader today is above {most.trader_day_notional_max_usd}",
        )


def duplicate(given: GateInput) -> Reasons:
    """Refuse the same order within a minute."""
    for leg in given.legs:
        for sent in given.recent:
            same = (sent.id, sent.side, sent.contracts, sent.kind) == (
                leg.id,
                leg.side,
                leg.contracts,
                leg.kind,
            )
            if same and given.now_ms - sent.sent_ms < DUPLICATE_MS:
                yield "duplicate", f"the same order of {leg.id} was sent less than a minute ago"
                break


def restricted(given: GateInput) -> Reasons:
    """Refuse contracts on the restricted list."""
    for leg in given.legs:
        if leg.id in given.limits.restricted:
            yield "restricted", f"{leg.id} is on the restricted list"
