"""I9: nothing is sent on stale, missing or void input, nor faster than the throttle lets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from perptui.settings.schema import Settings
from tests.campaign.record import LegFacts, Line, Record
from tests.campaign.truth import Sent
from tests.campaign.walk import STOP, UNSURE, World

OFFSET_MAX_MS = 2_500
EQUITY = Decimal(30_000)
MARKS_MOVED = 1.03


def standing(sent: Sent, leg: LegFacts, record: Record, world: World) -> Iterator[str]:
    """I9: nothing is sent on what is void: outside changes, a locked symbol, another position."""
    name, proposed = sent.client_id[:8], record.tickets[leg.ticket]
    for line in _external(record, leg, sent.seq):
        voids = line.body["what"] == "position" and proposed.seq < line.seq <= sent.seq
        was = shown_positions(proposed).get(line.body["id"], Decimal(0))
        if voids and Decimal(line.body["after"]) != was:
            yield f"I9: {name} was sent after a position changed outside"
    started = max((line.seq for line in record.of("STARTED") if line.seq <= sent.seq), default=0)
    if not any(
        line.body["clean"] and started < line.seq <= sent.seq for line in record.of("RECONCILED")
    ):
        yield f"I9: {name} was sent before a reconcile was clean"
    for client_id, other in record.legs.items():
        elsewhere = other.ticket != leg.ticket and other.intent["id"] == sent.instrument
        if elsewhere and other.at(sent.seq) in UNSURE:
            yield f"I9: {name} was sent while {client_id[:8]} was {other.at(sent.seq)}"
    known = known_positions(record, sent.seq).get(sent.instrument, Decimal(0))
    before = Decimal(leg.intent["before"])
    # A stop only reduces: after a partial fill it may be for more than there is.
    stands = known * before > 0 if leg.intent["kind"] == STOP else known == before
    if not stands:
        yield f"I9: {name} rests on {leg.intent['before']}, the journal knows {known}"
    own = {other.intent["id"] for other in record.legs.values() if other.ticket == leg.ticket}
    shown = shown_positions(proposed)
    for instrument in sorted({*shown, *world.positions} - own):
        now = world.positions.get(instrument, Decimal(0))
        if now != shown.get(instrument, Decimal(0)):
            yield f"I9: {name} was sent after {instrument} had changed to {now}"


def _external(record: Record, leg: LegFacts, seq: int) -> list[Line]:
    """Return the changes from outside that count: a stop's order went, its contract alone does."""
    told = [line for line in record.of("EXTERNAL") if line.seq <= seq]
    if leg.intent["kind"] != STOP:
        return told
    return [line for line in told if line.body["id"] == leg.intent["id"]]


def known_positions(record: Record, seq: int) -> dict[str, Decimal]:
    """Return the positions that the events up to `seq` add up to, reported fills in."""
    held: dict[str, Decimal] = {}
    executed: dict[str, Decimal] = {}
    for line in record.lines:
        if line.seq > seq:
            break
        if line.kind == "BASELINE":
            held |= {key: Decimal(value) for key, value in line.body["positions"].items()}
        elif line.kind == "EXTERNAL" and line.body["what"] == "position":
            held[line.body["id"]] = Decimal(line.body["after"])
        elif line.kind == "FILL":
            fill = line.body["fill"]
            amount = Decimal(fill["contracts"])
            executed[fill["client_id"]] = executed.get(fill["client_id"], Decimal(0)) + amount
            signed = amount if fill["side"] == "buy" else -amount
            held[fill["id"]] = held.get(fill["id"], Decimal(0)) + signed
    for client_id, leg in record.legs.items():
        filled = max((row[3] for row in leg.states if row[0] <= seq), default=Decimal(0))
        missing = filled - executed.get(client_id, Decimal(0))
        if missing > 0:
            signed = missing if leg.intent["side"] == "buy" else -missing
            held[leg.intent["id"]] = held.get(leg.intent["id"], Decimal(0)) + signed
    return held


def shown_positions(proposed: Line) -> dict[str, Decimal]:
    """Return the positions that a ticket showed."""
    accounts: list[dict[str, Any]] = proposed.body["shown"]["accounts"]
    return {
        held["id"]: Decimal(held["contracts"])
        for account in accounts
        for held in account["positions"]
        if Decimal(held["contracts"])
    }


def fresh(
    sent: Sent, leg: LegFacts, record: Record, world: World, settings: Settings
) -> Iterator[str]:
    """I9: nothing is sent on stale, missing or void input."""
    name, sky = sent.client_id[:8], world.sky
    for what in ("stale", "blank", "offset unknown", "hedge mode"):
        if sky.get(what):
            yield f"I9: {name} was sent with {what}: {sky[what]}"
    shown = record.tickets[leg.ticket].body["shown"]
    if sky.get("settings", shown["settings_digest"]) != shown["settings_digest"]:
        yield f"I9: {name} was sent after the settings had changed"
    needed = ("quote", "inactive") if sent.kind.value == STOP else ("quote", "volume", "inactive")
    for what in needed:
        if sky.get(what) == sent.instrument:
            yield f"I9: {name} was sent without {what}"
    if sky.get("book") == sent.instrument and leg.intent["effect"] != "REDUCE":
        yield f"I9: {name} adds without a book"
    if abs(int(sky.get("offset") or 0)) >= OFFSET_MAX_MS:
        yield f"I9: {name} was sent with a clock {sky['offset']} ms off"
    if not sent.reduce_only:
        yield from _adds(sent, leg, record, world, settings)
    mark, then = world.marks[sent.instrument], Decimal(leg.intent["mark_price"])
    beyond = mark - sent.limit_price if sent.side.value == "buy" else sent.limit_price - mark
    stop = sent.kind.value == STOP
    if (stop and beyond >= 0) or (not stop and abs(mark - then) > abs(sent.limit_price - then)):
        yield f"I9: {name} was sent with the mark at {mark}, confirmed at {then}"


def _adds(
    sent: Sent, leg: LegFacts, record: Record, world: World, settings: Settings
) -> Iterator[str]:
    """I9: nothing adds after today's loss, past the gross limit, or far below the peak."""
    name, sky = sent.client_id[:8], world.sky
    if sky.get("loss unknown") or float(sky.get("loss") or 0) >= settings.limits.daily_loss_max:
        yield f"I9: {name} adds after today's loss"
    if record.tickets[leg.ticket].body["ticket"]["override"]:
        return
    if world.sky.get("drawdown"):
        yield f"I9: {name} adds {world.sky['drawdown']} below the peak, and nobody passed over it"
    after = dict(world.positions)
    signed = sent.contracts if sent.side.value == "buy" else -sent.contracts
    after[sent.instrument] = after.get(sent.instrument, Decimal(0)) + signed
    gross = sum(abs(held) * world.marks[key] for key, held in after.items()) / EQUITY
    # The gate judges at the marks that the proposal was made from, which have moved since.
    if float(gross) > settings.limits.gross_max * MARKS_MOVED:
        yield f"I9: {name} brings gross to {gross:.3f}, and nobody passed over the limit"


def throttled(sent: Sent, world: World, settings: Settings) -> Iterator[str]:
    """I9: no more messages than the throttle lets through."""
    ages = [sent.ts_ms - earlier.ts_ms for earlier in world.sent]
    if sum(0 <= age < 990 for age in ages) >= settings.limits.messages_per_second:
        yield f"I9: {sent.client_id[:8]} was sent against the throttle"
