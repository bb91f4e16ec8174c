"""The simulated exchange's true history against a desk's journal: what must hold at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from perptui.journal.events import OWN_PREFIX, LegSending
from perptui.journal.journal import Journal
from perptui.journal.queries import LegRow
from perptui.journal.verify import verify_file
from perptui.model.order import LegState
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import Order, Status
from tests.canary import CANARY

WITHOUT_ORDER = frozenset({LegState.REJECTED, LegState.NOT_SENT, LegState.NEVER_ACCEPTED})
PARTLY = frozenset({LegState.CANCELED, LegState.EXPIRED})


def violations(exchange: Exchange, journal: Journal, prefix: str) -> list[str]:
    """Return what contradicts: orders, fills, states, positions, the chain, the canary.

    Parameters
    ----------
    prefix : str
        The venue's name, as instrument ids begin.
    """
    legs = {leg.client_id: leg for head in journal.tickets(10_000) for leg in journal.legs(head.id)}
    orders = [o for o in exchange.orders.values() if o.client_id.startswith(OWN_PREFIX)]
    return [
        *_orders(orders, legs, journal),
        *(text for leg in legs.values() for text in _leg(leg, orders)),
        *_fills(exchange, journal, legs),
        *_positions(exchange, journal, prefix),
        *_chain(journal),
        *_secrets(journal.path),
    ]


def _orders(orders: list[Order], legs: dict[str, LegRow], journal: Journal) -> Iterator[str]:
    """I1, I2: one confirmed, sent intent an order, and no more of it than was confirmed."""
    records = [event.record() for event in journal.events(1)]
    sent = {record.client_id for record in records if isinstance(record, LegSending)}
    for client_id, times in Counter(order.client_id for order in orders).items():
        if times > 1:
            yield f"I1: order {client_id} is {times} times at the venue"
        if client_id not in legs or client_id not in sent:
            yield f"I1: order {client_id} has no intent in the journal"
    for order in orders:
        leg = legs.get(order.client_id)
        if leg is not None and order.request.quantity > leg.contracts:
            yield f"I2: order {leg.client_id} is of {order.request.quantity}, of {leg.contracts}"


def _leg(leg: LegRow, orders: list[Order]) -> Iterator[str]:
    """I5, I6: every leg has ended, and as the venue says that it has."""
    order = next((one for one in orders if one.client_id == leg.client_id), None)
    if not leg.settled:
        yield f"I5: leg {leg.client_id} is still {leg.state}, {leg.executed} executed"
    if (order is None) != (leg.state in WITHOUT_ORDER):
        yield f"I6: leg {leg.client_id} is {leg.state}, at the venue: {order is not None}"
    if order is None:
        return
    if (leg.state is LegState.FILLED) != (order.status is Status.FILLED):
        yield f"I6: leg {leg.client_id} is {leg.state}, at the venue {order.status}"
    if leg.state in PARTLY and leg.filled != order.filled:
        yield f"I6: leg {leg.client_id} has {leg.filled}, at the venue {order.filled}"


def _fills(exchange: Exchange, journal: Journal, legs: dict[str, LegRow]) -> Iterator[str]:
    """I3: each execution of ours once in the journal, with what it was."""
    kept = {
        (fill.client_id, fill.trade_id): (fill.contracts, fill.price)
        for head in journal.tickets(10_000)
        for fill in journal.fills_of(head.id)
    }
    made = {
        (trade.client_id, str(trade.id)): (trade.quantity, trade.price)
        for trade in exchange.trades.values()
        if trade.client_id in legs
    }
    if kept != made:
        missing, invented = made.keys() - kept.keys(), kept.keys() - made.keys()
        yield f"I3: {len(missing)} fills are missing, {len(invented)} were never made"


def _positions(exchange: Exchange, journal: Journal, prefix: str) -> Iterator[str]:
    theirs = {s: h.quantity for s, h in exchange.account.open_holdings().items()}
    ours = {_symbol(key, prefix): held for key, held in journal.positions().items() if held}
    if ours != theirs:
        yield f"I3: positions differ: {_differing(ours, theirs)}"


def _differing(ours: dict[str, Decimal], theirs: dict[str, Decimal]) -> str:
    zero = Decimal(0)
    both = sorted({*ours, *theirs})
    pairs = {s: (ours.get(s, zero), theirs.get(s, zero)) for s in both}
    return ", ".join(f"{s} {a} / {b}" for s, (a, b) in pairs.items() if a != b)


def _symbol(identifier: str, prefix: str) -> str:
    return identifier.removeprefix(f"{prefix}:").partition(":")[0].replace("/", "")


def _chain(journal: Journal) -> Iterator[str]:
    """I4, I12: the chain verifies, which replays it."""
    verdict = verify_file(journal.path)
    if not verdict.ok:
        yield f"I4: event {verdict.bad_seq}: {verdict.reason}"


def _secrets(path: Path) -> Iterator[str]:
    """I10: the canary is in no byte of what is kept."""
    for file in path.parent.glob(f"{path.name}*"):
        if CANARY.encode() in file.read_bytes():
            yield f"I10: {file.name} holds the canary"
