"""What must hold of protective stops: none is missing without an alarm, none stays beside its heir.

Read from the journal alone: what became of a stop at the venue is for the other rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tests.campaign.record import LegFacts, Line, Record
from tests.campaign.void_rules import known_positions
from tests.campaign.walk import NO_ORDER, PLACED, STOP


def stops_stand(record: Record) -> Iterator[str]:
    """Yield what is wrong with the stops of tickets that were sent."""
    for ended in record.of("ENDED"):
        if ended.body["state"] != "DONE":
            continue
        legs = {k: v for k, v in record.legs.items() if v.ticket == ended.body["ticket"]}
        for client_id, leg in legs.items():
            if leg.intent["kind"] == STOP:
                trades = [other for other in legs.values() if _trades_with(other, leg)]
                left = _left(leg, trades)
                yield from _alarmed(client_id, leg, trades, left, record)
                if Decimal(leg.intent["contracts"]) >= abs(left):
                    yield from _heir(leg, ended, record)


def heirs(record: Record) -> Iterator[str]:
    """I1: a ticket cancels no stop that still protects something that nothing else does."""
    for line in record.of("CANCEL"):
        old = record.legs[line.body["client_id"]]
        if not line.body["ticket"] or old.intent["kind"] != STOP:
            continue
        mine = [
            leg
            for leg in record.legs.values()
            if leg.ticket == line.body["ticket"] and leg.intent["id"] == old.intent["id"]
        ]
        heir = any(leg.intent["kind"] == STOP and leg.at(line.seq) in PLACED for leg in mine)
        left = known_positions(record, line.seq).get(old.intent["id"], Decimal(0))
        needed = left > 0 if old.intent["side"] == "sell" else left < 0
        if needed and not heir:
            yield f"I1: {line.body['client_id'][:8]} was cancelled and nothing protects {left}"


def _trades_with(other: LegFacts, stop: LegFacts) -> bool:
    return bool(other.intent["id"] == stop.intent["id"]) and other.intent["kind"] != STOP


def _left(stop: LegFacts, trades: list[LegFacts]) -> Decimal:
    """Return the position that a stop's ticket left in its contract."""
    position = Decimal(trades[0].intent["before"] if trades else stop.intent["before"])
    for leg in trades:
        filled = leg.last[3]
        position += filled if leg.intent["side"] == "buy" else -filled
    return position


def _alarmed(
    client_id: str, stop: LegFacts, trades: list[LegFacts], left: Decimal, record: Record
) -> Iterator[str]:
    """I5: a position that its ticket was to protect, and did not, is an ALARM."""
    if stop.last[2] not in NO_ORDER or _gave_up(client_id, record) == "restart":
        return
    bare = left > 0 if stop.intent["side"] == "sell" else left < 0
    idle = trades and not any(leg.last[3] for leg in trades)
    if bare and not idle and not _told(f"unprotected:{client_id}", record):
        yield f"I5: the stop {client_id[:8]} is {stop.last[2]} and nobody was told"


def _gave_up(client_id: str, record: Record) -> str:
    own = [line for line in record.of("OUTCOME") if line.body["client_id"] == client_id]
    return str(own[-1].body["code"]) if own else ""


def _told(key: str, record: Record) -> bool:
    return any(line.body["key"] == key for line in record.of("ALARM"))


def _heir(stop: LegFacts, ended: Line, record: Record) -> Iterator[str]:
    """I1: a stop that was confirmed to be replaced is cancelled once its heir rests.

    Only of an heir that covers the whole position: the other stays beside a smaller one.
    """
    rests = next((row[0] for row in stop.states if row[2] == "OPEN"), None)
    acked = any(row[2] == "ACKED" for row in stop.states)
    started = any(
        rests is not None and rests < line.seq < ended.seq for line in record.of("STARTED")
    )
    if rests is None or not acked or started:
        return
    for old in record.tickets[stop.ticket].body["ticket"]["cancels"]:
        leg = record.legs[old]
        if leg.intent["id"] != stop.intent["id"] or leg.at(ended.seq) != "OPEN":
            continue
        if not any(line.body["client_id"] == old for line in record.of("CANCEL")):
            yield f"I1: the stop {old[:8]} was to be replaced by {stop.ticket} and was not"
