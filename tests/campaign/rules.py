"""What must hold of every order that left the desk: I1, I2; and the walk that asks all rules."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from perptui.model.canonical import digest_of
from perptui.settings.schema import Settings
from tests.campaign.kill_rules import cancels, dead_man, halted, held, killed
from tests.campaign.record import LegFacts, Line, Record
from tests.campaign.stop_rules import heirs, stops_stand
from tests.campaign.truth import Entry, Over, Sent, Taken, Traded
from tests.campaign.void_rules import fresh, standing, throttled
from tests.campaign.walk import ENDED, NO_ORDER, PLACED, STOP, TERMINAL, World

DUPLICATE_MS = 60_000
DEAD_S = 1.0
KEY_GAP_MS = 30.0


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
                yield from killed(entry, record, world)
                yield from held(entry, record, world)
                yield from standing(entry, leg, record, world)
                yield from fresh(entry, leg, record, world, settings)
                yield from throttled(entry, world, settings)
        world.take(entry)
    yield from _after_earlier(entries, record)
    yield from _quantities(entries, record)
    yield from cancels(entries, record)
    yield from halted(entries, record)
    yield from dead_man(entries, record)
    yield from stops_stand(record)
    yield from heirs(record)


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
        sent.trigger_price,
    )
    wanted = (
        intent["id"],
        intent["side"],
        Decimal(intent["contracts"]),
        Decimal(intent["limit_price"]),
        intent["reduce_only"],
        intent["kind"],
        None if intent["trigger_price"] is None else Decimal(intent["trigger_price"]),
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
        same = _what(earlier) == _what(sent)
        recent = sent.ts_ms - earlier.ts_ms < DUPLICATE_MS - 100
        if same and recent and other.at(sent.seq) not in NO_ORDER:
            yield f"I2: {sent.client_id[:8]} repeats {earlier.client_id[:8]} within a minute"


def _what(sent: Sent) -> tuple[object, ...]:
    return sent.instrument, sent.side, sent.contracts, sent.kind


def _in_turn(sent: Sent, leg: LegFacts, record: Record) -> Iterator[str]:
    """I1: what was confirmed is that a leg which the venue did not end stops the rest.

    A stop goes after the orders of its own contract, of which one was filled, whatever became of
    others. With "go_on" a rejected leg stops its own contract's alone.
    """
    shown = record.tickets[leg.ticket].body["shown"]
    go_on = shown["on_rejection"] == "go_on"
    filled, trades = Decimal(0), 0
    for client_id, other in record.legs.items():
        if other.ticket != leg.ticket or other.index >= leg.index:
            continue
        state, same = other.at(sent.seq), other.intent["id"] == sent.instrument
        if other.intent["kind"] == STOP:
            wrong = leg.intent["kind"] != STOP and not _is_placed(client_id, state, record)
        elif leg.intent["kind"] == STOP:
            wrong = same and state not in TERMINAL
            trades, filled = trades + same, filled + same * other.filled_at(sent.seq)
        else:
            wrong = state not in ENDED and not (go_on and state in NO_ORDER and not same)
        if wrong:
            yield f"I1: {sent.client_id[:8]} went while {client_id[:8]} was {state}"
    if trades and not filled:
        yield f"I1: the stop {sent.client_id[:8]} went though nothing was filled"


def _is_placed(client_id: str, state: str, record: Record) -> bool:
    """Return whether a stop does not keep further legs back: it rests, or was not needed."""
    if state != "NOT_SENT":
        return state in PLACED
    outcome = (line for line in record.of("OUTCOME") if line.body["client_id"] == client_id)
    return all(line.body["code"] == "stopped" for line in outcome)


def _after_earlier(entries: list[Entry], record: Record) -> Iterator[str]:
    """I1: no order of a ticket reaches the venue, or works there, once a later one has left.

    A stop that left counts for the orders of its own contract.
    """
    left: dict[tuple[str, str], int] = {}
    for entry in entries:
        if isinstance(entry, Sent) and entry.client_id in record.legs:
            leg = record.legs[entry.client_id]
            of = entry.instrument if leg.intent["kind"] == STOP else ""
            left[leg.ticket, of] = max(left.get((leg.ticket, of), -1), leg.index)
        elif isinstance(entry, Taken | Traded | Over) and entry.client_id in record.legs:
            leg = record.legs[entry.client_id]
            last = max(left.get((leg.ticket, of), -1) for of in ("", leg.intent["id"]))
            lied = leg.last[2] == "REJECTED"
            if leg.index < last and leg.intent["kind"] != STOP and not lied:
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
