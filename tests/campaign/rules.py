"""What must hold of every order that left the desk: I1, I2, I8, I9."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from perptui.model.canonical import digest_of
from perptui.settings.schema import Settings
from tests.campaign.record import LegFacts, Line, Record
from tests.campaign.truth import (
    CancelSent,
    Entry,
    Life,
    Mark,
    Opened,
    Outside,
    Over,
    Sent,
    Sky,
    Taken,
    Traded,
    Typed,
)

ENDED = {"FILLED", "CANCELED", "EXPIRED"}
NO_ORDER = {"REJECTED", "NOT_SENT", "NEVER_ACCEPTED"}
UNSURE = {"SENDING", "UNKNOWN", "ACKED"}
DUPLICATE_MS = 60_000
HALT_MS = 8_000
DEAD_S = 1.0
KEY_GAP_MS = 30.0
OFFSET_MAX_MS = 2_500


class World(msgspec.Struct):
    """The true state of things while the history is walked through."""

    positions: dict[str, Decimal] = {}
    marks: dict[str, Decimal] = {}
    sky: dict[str, str] = {}
    alive: dict[str, Taken] = {}
    sent: list[Sent] = []
    typed: list[Typed] = []

    def take(self, entry: Entry) -> None:
        """Let an entry change the state."""
        if isinstance(entry, Opened):
            self.positions = dict(entry.positions)
        elif isinstance(entry, Traded):
            signed = entry.contracts if entry.side.value == "buy" else -entry.contracts
            held = self.positions.get(entry.instrument, Decimal(0))
            self.positions[entry.instrument] = held + signed
        elif isinstance(entry, Outside):
            self.positions[entry.instrument] = entry.after
        elif isinstance(entry, Mark):
            self.marks[entry.instrument] = entry.price
        elif isinstance(entry, Sky):
            self.sky[entry.what] = entry.value
        else:
            self._take_order(entry)

    def _take_order(self, entry: Entry) -> None:
        if isinstance(entry, Taken):
            self.alive[entry.order_id] = entry
        elif isinstance(entry, Over):
            self.alive.pop(entry.order_id, None)
        elif isinstance(entry, Sent):
            self.sent.append(entry)
        elif isinstance(entry, Typed):
            self.typed.append(entry)


def order_rules(entries: list[Entry], record: Record, settings: Settings) -> Iterator[str]:
    """Yield what is wrong with what was sent."""
    world = World()
    for entry in entries:
        if isinstance(entry, Sent):
            leg = record.legs.get(entry.client_id)
            if leg is None:
                yield f"I1: order {entry.client_id} was sent and is not in the journal"
            else:
                yield from _confirmed(entry, leg, record, world)
                yield from _second_person(entry, leg, record, world, settings)
                yield from _once(entry, leg, record, world)
                yield from _in_turn(entry, leg, record)
                yield from _killed(entry, record, world)
                yield from _standing(entry, leg, record, world)
                yield from _fresh(entry, leg, record, world, settings)
                yield from _throttled(entry, world, settings)
        world.take(entry)
    yield from _after_earlier(entries, record)
    yield from _quantities(entries, record)
    yield from _cancels(entries, record)
    yield from _halted(entries, record)


def _confirmed(sent: Sent, leg: LegFacts, record: Record, world: World) -> Iterator[str]:
    """I1: one intent, journalled before, with a committed, unexpired confirmation by a hand."""
    name = sent.client_id[:8]
    proposed = record.tickets[leg.ticket]
    shown = proposed.body["shown"]
    sending = [line for line in record.of("SENDING") if line.body["client_id"] == sent.client_id]
    if len(sending) != 1 or sending[0].seq > sent.seq:
        yield f"I1: {name} left before SENDING was on disk"
    elif sending[0].body["fence"] != _fence(record, sending[0].seq):
        yield f"I1: {name} was sent under a lease that had been taken over"
    confirmed = record.for_ticket("CONFIRMED", leg.ticket)
    if len(confirmed) != 1 or confirmed[0].seq > sent.seq:
        yield f"I1: {name} was sent without one confirmation on disk"
        return
    approved = [line for line in record.for_ticket("APPROVED", leg.ticket) if line.seq <= sent.seq]
    age_ms = sent.ts_ms - (approved or confirmed)[-1].ts
    if age_ms > shown["expiry_s"] * 1000 + 50 or confirmed[0].ts - proposed.ts > (
        shown["expiry_s"] * 1000
    ):
        yield f"I1: {name} was sent {age_ms} ms after its confirmation, or that came late"
    ended = [line for line in record.for_ticket("ENDED", leg.ticket) if line.seq <= sent.seq]
    if ended or proposed.body["ticket"]["purpose"] != "send":
        yield f"I1: {name} is of a ticket that had ended or was not to be sent"
    yield from _intent(sent, leg, proposed)
    yield from _by_hand(confirmed[0], proposed, world)


def _fence(record: Record, seq: int) -> int:
    started = [line for line in record.of("STARTED") if line.seq <= seq]
    return int(started[-1].body["fence"]) if started else 0


def _intent(sent: Sent, leg: LegFacts, proposed: Line) -> Iterator[str]:
    """The order is the intent to the last digit; its id and token follow from what was shown."""
    intent, ticket = leg.intent, proposed.body["ticket"]
    was = (
        sent.instrument,
        sent.side.value,
        sent.contracts,
        sent.limit_price,
        sent.reduce_only,
        sent.kind.value,
    )
    wanted = (
        intent["id"],
        intent["side"],
        Decimal(intent["contracts"]),
        Decimal(intent["limit_price"]),
        intent["reduce_only"],
        intent["kind"],
    )
    if was != wanted:
        yield f"I1: {sent.client_id[:8]} was sent as {was}, confirmed as {wanted}"
    token = digest_of({**proposed.body["shown"], "text": ticket["text"]})
    named = digest_of([ticket["desk"], ticket["account"], ticket["id"], leg.index, token])
    if ticket["token"] != token or sent.client_id != "pt" + named[:30]:
        yield f"I1: {sent.client_id[:8]} does not follow from what was shown"
    shown = proposed.body["shown"]["legs"]
    if leg.index >= len(shown) or shown[leg.index] != intent:
        yield f"I1: {sent.client_id[:8]} is not what was shown"


def _by_hand(confirmed: Line, proposed: Line, world: World) -> Iterator[str]:
    """A person typed it: the right end of the token, on a screen that showed it, in time."""
    ticket = confirmed.body["ticket"]
    expiry_s = proposed.body["shown"]["expiry_s"]
    for typed in world.typed:
        if typed.use == "confirm" and typed.ticket == ticket and typed.seq == confirmed.seq - 1:
            break
    else:
        yield f"I1: {ticket} was confirmed by nobody"
        return
    if (
        typed.typed != proposed.body["ticket"]["token"][-4:]
        or typed.uid != confirmed.uid
        or typed.uid != proposed.uid
        or not DEAD_S <= typed.age_s < expiry_s
        or typed.gap_ms < KEY_GAP_MS
        or not typed.seen_end
        or typed.columns < 80
        or typed.rows < 24
    ):
        yield f"I1: {ticket} was confirmed by {typed}"


def _second_person(
    sent: Sent, leg: LegFacts, record: Record, world: World, settings: Settings
) -> Iterator[str]:
    """I1: where it takes a second person, one of another uid typed the same token in time."""
    ticket = record.tickets[leg.ticket].body["ticket"]
    intents = [one["intent"] for one in ticket["legs"]]
    total = sum(Decimal(one["notional_usd"]) for one in intents if one["kind"] == "LIMIT IOC")
    asked = record.for_ticket("APPROVAL", leg.ticket)
    if not asked and total < settings.approval.notional_usd and not ticket.get("override"):
        return
    approved = [line for line in record.for_ticket("APPROVED", leg.ticket) if line.seq <= sent.seq]
    if not asked or not approved or approved[0].ts >= asked[0].body["expires_ms"]:
        yield f"I1: {sent.client_id[:8]} was sent without its approval, or that came late"
        return
    uid, seq = approved[0].uid, approved[0].seq
    right = any(
        (typed.use, typed.ticket, typed.uid) == ("approve", leg.ticket, uid)
        and typed.typed == ticket["token"][-4:]
        and typed.seq == seq - 1
        for typed in world.typed
    )
    if not right or uid == record.for_ticket("CONFIRMED", leg.ticket)[0].uid:
        yield f"I1: {leg.ticket} was approved by uid {uid}, who may not or did not"


def _once(sent: Sent, leg: LegFacts, record: Record, world: World) -> Iterator[str]:
    """I2: never two for one."""
    for earlier in world.sent:
        if earlier.client_id == sent.client_id:
            yield f"I2: {sent.client_id[:8]} was sent twice"
            continue
        other = record.legs.get(earlier.client_id)
        if other is None or other.ticket == leg.ticket:
            continue
        same = (earlier.instrument, earlier.side, earlier.contracts) == (
            sent.instrument,
            sent.side,
            sent.contracts,
        )
        recent = sent.ts_ms - earlier.ts_ms < DUPLICATE_MS - 100
        if same and recent and other.at(sent.seq) not in NO_ORDER:
            yield f"I2: {sent.client_id[:8]} repeats {earlier.client_id[:8]} within a minute"


def _in_turn(sent: Sent, leg: LegFacts, record: Record) -> Iterator[str]:
    """I1: what was confirmed is that a leg which the venue did not end stops the rest."""
    for client_id, other in record.legs.items():
        if other.ticket == leg.ticket and other.index < leg.index:
            state = other.at(sent.seq)
            if state not in ENDED:
                yield f"I1: {sent.client_id[:8]} went while {client_id[:8]} was {state}"


def _killed(sent: Sent, record: Record, world: World) -> Iterator[str]:
    """I8: after KILL nothing but what reduces."""
    state = "ACTIVE"
    for line in record.of("KILL"):
        if line.seq <= sent.seq:
            state = line.body["state"]
    if world.sky.get("kill file"):
        state = "HALTED"
    if state == "HALTED" or (state == "REDUCING" and not sent.reduce_only):
        yield f"I8: {sent.client_id[:8]} was sent while {state}"


def _standing(sent: Sent, leg: LegFacts, record: Record, world: World) -> Iterator[str]:
    """I9: nothing is sent on what is void: outside changes, a locked symbol, another position."""
    name, proposed = sent.client_id[:8], record.tickets[leg.ticket]
    for line in record.of("EXTERNAL"):
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
    if known != Decimal(leg.intent["before"]):
        yield f"I9: {name} rests on {leg.intent['before']}, the journal knows {known}"
    own = {other.intent["id"] for other in record.legs.values() if other.ticket == leg.ticket}
    shown = shown_positions(proposed)
    for instrument in sorted({*shown, *world.positions} - own):
        now = world.positions.get(instrument, Decimal(0))
        if now != shown.get(instrument, Decimal(0)):
            yield f"I9: {name} was sent after {instrument} had changed to {now}"


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


def _fresh(
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
    for what in ("quote", "volume", "inactive"):
        if sky.get(what) == sent.instrument:
            yield f"I9: {name} was sent without {what}"
    if sky.get("book") == sent.instrument and leg.intent["effect"] != "REDUCE":
        yield f"I9: {name} adds without a book"
    if abs(int(sky.get("offset") or 0)) >= OFFSET_MAX_MS:
        yield f"I9: {name} was sent with a clock {sky['offset']} ms off"
    loss = float(sky.get("loss") or 0)
    if not sent.reduce_only and (sky.get("loss unknown") or loss >= settings.limits.daily_loss_max):
        yield f"I9: {name} adds after today's loss"
    mark, then = world.marks[sent.instrument], Decimal(leg.intent["mark_price"])
    if abs(mark - then) > abs(sent.limit_price - then):
        yield f"I9: {name} was sent with the mark at {mark}, confirmed at {then}"


def _throttled(sent: Sent, world: World, settings: Settings) -> Iterator[str]:
    """I9: no more messages than the throttle lets through."""
    ages = [sent.ts_ms - earlier.ts_ms for earlier in world.sent]
    if sum(0 <= age < 990 for age in ages) >= settings.limits.messages_per_second:
        yield f"I9: {sent.client_id[:8]} was sent against the throttle"


def _after_earlier(entries: list[Entry], record: Record) -> Iterator[str]:
    """I1: no order of a ticket reaches the venue, or works there, once a later one has left."""
    left: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, Sent) and entry.client_id in record.legs:
            leg = record.legs[entry.client_id]
            left[leg.ticket] = max(left.get(leg.ticket, -1), leg.index)
        elif isinstance(entry, Taken | Traded | Over) and entry.client_id in record.legs:
            leg = record.legs[entry.client_id]
            if leg.index < left.get(leg.ticket, -1) and leg.intent["kind"] == "LIMIT IOC":
                yield f"I1: {entry.client_id[:8]} lived when a later leg had left"


def _quantities(entries: list[Entry], record: Record) -> Iterator[str]:
    """I2: per leg, what the venue took and traded is no more than what was confirmed."""
    taken: dict[str, Decimal] = {}
    traded: dict[str, Decimal] = {}
    for entry in entries:
        if isinstance(entry, Taken):
            taken[entry.client_id] = taken.get(entry.client_id, Decimal(0)) + entry.contracts
        elif isinstance(entry, Traded):
            traded[entry.client_id] = traded.get(entry.client_id, Decimal(0)) + entry.contracts
    for client_id, leg in record.legs.items():
        most = Decimal(leg.intent["contracts"])
        if max(taken.get(client_id, Decimal(0)), traded.get(client_id, Decimal(0))) > most:
            yield f"I2: the venue took more of {client_id[:8]} than {most}"


def _cancels(entries: list[Entry], record: Record) -> Iterator[str]:
    """I1: a cancel, too, is on disk before it leaves."""
    counted: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, CancelSent):
            counted[entry.client_id] = counted.get(entry.client_id, 0) + 1
            before = sum(
                line.body["client_id"] == entry.client_id and line.seq <= entry.seq
                for line in record.of("CANCEL")
            )
            if before < counted[entry.client_id]:
                yield f"I1: a cancel of {entry.client_id[:8]} left before it was on disk"


def _halted(entries: list[Entry], record: Record) -> Iterator[str]:
    """I8: HALTED cancels what works, soon, and nothing of it is left at the end."""
    kills = record.of("KILL")
    over = {entry.order_id: entry.ts_ms for entry in entries if isinstance(entry, Over)}
    end_ms = max(entry.ts_ms for entry in entries)
    lives = [entry.ts_ms for entry in entries if isinstance(entry, Life)]
    for number, line in enumerate(kills):
        if line.body["state"] != "HALTED":
            continue
        until = kills[number + 1].ts if number + 1 < len(kills) else end_ms
        soon = line.ts + HALT_MS
        if soon > until or any(line.ts <= at <= soon for at in lives):
            continue
        for entry in entries:
            if isinstance(entry, Taken) and not entry.protective and entry.client_id in record.legs:
                working = entry.ts_ms <= line.ts and over.get(entry.order_id, end_ms) > soon
                if working and not _cancel_left(entries, entry.client_id, line.ts - 2_000, soon):
                    yield f"I8: {entry.client_id[:8]} was not cancelled after HALTED"


def _cancel_left(entries: list[Entry], client_id: str, since: int, until: int) -> bool:
    return any(
        isinstance(entry, CancelSent)
        and entry.client_id == client_id
        and since <= entry.ts_ms <= until + 3_000
        for entry in entries
    )
