"""I8: the kill switch, cancels, and the dead man's switch."""

from __future__ import annotations

from collections.abc import Iterator

from tests.campaign.fates import FATES
from tests.campaign.record import Record
from tests.campaign.truth import (
    Armed,
    Asked,
    Calm,
    CancelSent,
    Counting,
    Entry,
    Hung,
    Life,
    Over,
    Sent,
    Swept,
    Taken,
)
from tests.campaign.walk import NO_ORDER, STOP, World

HALT_MS = 8_000
REST_MS = 60_000
ANSWERED_MS = 2_000
"""By then a request that was refused at the door has had its answer."""
ARMED_MS = 12_000
HUNG_MS = 11_000
"""A look waits for every question that hangs."""
CALMED_MS = 20_000
"""A question that hung when the faults stopped has ended by then, and a look has followed it."""
ASKED_MS = 120_000
"""A person's cancels go one after another, each of which may hang."""


def killed(sent: Sent, record: Record, world: World) -> Iterator[str]:
    """I8: after KILL nothing but what reduces."""
    state = "ACTIVE"
    for line in record.of("KILL"):
        if line.seq <= sent.seq:
            state = line.body["state"]
    if world.sky.get("kill file"):
        state = "HALTED"
    if state == "HALTED" or (state == "REDUCING" and not sent.reduce_only):
        yield f"I8: {sent.client_id[:8]} was sent while {state}"


def held(sent: Sent, record: Record, world: World) -> Iterator[str]:
    """I8: nothing goes to a venue that refused the key, nor for a while after its door was shut."""
    held = (line for line in record.of("HELD") if line.body["state"] == "FREE")
    free = [line for line in held if line.seq <= sent.seq]
    lifted = max((line.seq for line in free), default=0)
    lifted_ms = max((line.ts for line in free), default=0)
    for ts_ms, fate in world.refused:
        recent = ANSWERED_MS <= sent.ts_ms - ts_ms < REST_MS - ANSWERED_MS
        if recent and ts_ms > lifted_ms:
            yield f"I8: {sent.client_id[:8]} was sent after another request had met {fate}"
    for line in record.of("OUTCOME"):
        if not lifted < line.seq <= sent.seq or line.body["client_id"] == sent.client_id:
            continue
        shut = line.body["code"] == "403" and sent.ts_ms - line.ts < REST_MS
        if line.body["code"] == "-2015" or shut:
            yield f"I8: {sent.client_id[:8]} was sent after the venue had said {line.body['code']}"


def cancels(entries: list[Entry], record: Record) -> Iterator[str]:
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

    yield from _stops_kept(entries, record)


def _stops_kept(entries: list[Entry], record: Record) -> Iterator[str]:
    """I8: a protective stop is cancelled by a confirmed ticket that names it, or a person."""
    asked = [entry.ts_ms for entry in entries if isinstance(entry, Asked)]
    for line in record.of("CANCEL"):
        client_id, ticket = line.body["client_id"], line.body["ticket"]
        leg = record.legs[client_id]
        if leg.intent["kind"] != STOP or leg.at(line.seq) in NO_ORDER:
            continue  # one that the venue refused and took is cancelled, with an alarm
        if ticket:
            confirmed = any(one.seq < line.seq for one in record.for_ticket("CONFIRMED", ticket))
            named = client_id in record.tickets[ticket].body["ticket"]["cancels"]
            if not (confirmed and named):
                yield f"I8: the stop {client_id[:8]} was cancelled by {ticket}, which may not"
        elif not any(0 <= line.ts - at <= ASKED_MS for at in asked):
            yield f"I8: the stop {client_id[:8]} was cancelled and nobody asked for it"


def dead_man(entries: list[Entry], record: Record) -> Iterator[str]:
    """I8: the dead man's switch is on disk, takes no stop, and is off once nothing works."""
    counting: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, Swept):
            counting.pop(entry.instrument, None)
            if entry.stops:
                yield f"I8: the dead man's switch took the stops of {entry.instrument}"
        elif isinstance(entry, Life):
            counting.clear()
        elif isinstance(entry, Counting):
            counting[entry.instrument] = entry.countdown_ms
    for instrument, left in counting.items():
        if left:
            yield f"I8: the dead man's switch of {instrument} was left on"
    yield from _over_stops(entries)
    yield from _ran_out(entries)
    if not any(isinstance(entry, Life) and entry.what != "born" for entry in entries):
        yield from _armed(entries, record)


def _ran_out(entries: list[Entry]) -> Iterator[str]:
    """I8: while a desk lives and nothing fails any more, no countdown runs out."""
    calm = next((entry.ts_ms for entry in entries if isinstance(entry, Calm)), None)
    lives = [entry.ts_ms for entry in entries if isinstance(entry, Life)]
    for entry in entries:
        if calm is None or not isinstance(entry, Swept) or entry.ts_ms < calm + CALMED_MS:
            continue
        if not any(entry.ts_ms - CALMED_MS <= at <= entry.ts_ms for at in lives):
            yield f"I8: the dead man's switch of {entry.instrument} ran out though the desk lived"


def _over_stops(entries: list[Entry]) -> Iterator[str]:
    """I8: no countdown is set where a stop waits."""
    waiting: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, Taken) and entry.protective:
            waiting[entry.order_id] = entry.instrument
        elif isinstance(entry, Over):
            waiting.pop(entry.order_id, None)
        elif isinstance(entry, Armed) and entry.countdown_ms:
            over = [one for one in waiting.values() if one == entry.instrument]
            yield from (f"I8: the dead man's switch was armed over a stop of {one}" for one in over)


def _armed(entries: list[Entry], record: Record) -> Iterator[str]:
    """I8: of a desk that lived, every countdown is on disk, and none is missing where one works."""
    armed = [entry for entry in entries if isinstance(entry, Armed)]
    told = {line.body["instrument"] for line in record.of("DEADMAN")}
    for instrument in sorted({entry.instrument for entry in armed} - told):
        yield f"I8: the dead man's switch of {instrument} is not in the journal"
    stops = {leg.intent["id"] for leg in record.legs.values() if leg.intent["kind"] == STOP}
    over = {entry.client_id: entry.ts_ms for entry in entries if isinstance(entry, Over)}
    hung = [entry.ts_ms for entry in entries if _hangs(entry)]
    for client_id, leg in record.legs.items():
        known = [ts for _, ts, state, _, _ in leg.states if state in {"OPEN", "PARTIAL"}]
        instrument = leg.intent["id"]
        if not known or instrument in stops:
            continue
        waits = sum(known[0] - HUNG_MS <= at <= over.get(client_id, 0) for at in hung)
        if over.get(client_id, 0) < known[0] + ARMED_MS + waits * HUNG_MS:
            continue
        if not any(e.instrument == instrument and e.ts_ms < over[client_id] for e in armed):
            yield f"I8: {client_id[:8]} worked and no dead man's switch was set"


def _hangs(entry: Entry) -> bool:
    if isinstance(entry, CancelSent | Armed | Sent):
        return bool(entry.fate) and FATES[entry.fate].status is None
    return isinstance(entry, Hung)


def halted(entries: list[Entry], record: Record) -> Iterator[str]:
    """I8: HALTED cancels what works, soon after its send has ended, and nothing of it is left."""
    kills = record.of("KILL")
    over = {entry.order_id: entry.ts_ms for entry in entries if isinstance(entry, Over)}
    end_ms = max(entry.ts_ms for entry in entries)
    lives = [entry for entry in entries if isinstance(entry, Life)]
    answered = {line.body["client_id"]: line.ts for line in record.of("OUTCOME")}
    orders = [e for e in entries if isinstance(e, Taken) and not e.protective]
    for number, line in enumerate(kills):
        if line.body["state"] != "HALTED":
            continue
        until = kills[number + 1].ts if number + 1 < len(kills) else end_ms
        for entry in orders:
            soon = max(line.ts, answered.get(entry.client_id, line.ts)) + HALT_MS
            working = entry.ts_ms <= line.ts and over.get(entry.order_id, end_ms) > soon
            if entry.client_id not in record.legs or soon > until or not working:
                continue
            if _down(lives, line.ts, soon) or _mute(lives, record, line.ts, soon):
                continue
            if not _cancel_left(entries, entry.client_id, line.ts - 2_000, soon):
                yield f"I8: {entry.client_id[:8]} was not cancelled after HALTED"


def _down(lives: list[Life], since: int, until: int) -> bool:
    """Return whether the desk began, ended or lay dead at any time between."""
    before = [life.what for life in lives if life.ts_ms < since]
    lay_dead = bool(before) and before[-1] == "died"
    return lay_dead or any(since <= life.ts_ms <= until for life in lives)


def _mute(lives: list[Life], record: Record, since: int, until: int) -> bool:
    """Return whether the journal took nothing from then on, until the desk was ended for it."""
    after = next((life for life in lives if life.ts_ms > until), None)
    if after is None or after.what != "ended":
        return False
    return not any(since < line.ts < after.ts_ms for line in record.lines)


def _cancel_left(entries: list[Entry], client_id: str, since: int, until: int) -> bool:
    return any(
        isinstance(entry, CancelSent)
        and entry.client_id == client_id
        and since <= entry.ts_ms <= until + 3_000
        for entry in entries
    )
