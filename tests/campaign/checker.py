"""The checker: the venue's true history against the journal's file; it believes nothing else."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from perptui.journal.verify import differing_projections
from perptui.model.errors import JournalError
from perptui.settings.schema import Settings
from tests.campaign.fates import CANARY, FATES
from tests.campaign.record import LegFacts, Record, read
from tests.campaign.rules import order_rules
from tests.campaign.truth import (
    Calm,
    Entry,
    Foreign,
    Opened,
    Outside,
    Over,
    Sent,
    Shown,
    Taken,
    Traded,
)
from tests.campaign.void_rules import known_positions
from tests.campaign.walk import NO_ORDER, STOP, TERMINAL
from tests.campaign.watchdog_rules import watchdog
from tests.desk.market import VENUE

RESOLVED_MS = 70_000
"""After faults stopped: 60 s, and the look that notes it."""
CENT = Decimal("0.000001")


def check(
    entries: list[Entry], journal: Path, settings: Settings, *, replay: bool = True
) -> list[str]:
    """Return every violation of the invariants, each beginning with its name; none is well.

    `replay` False leaves out I12, which takes as long as all others together.
    """
    found = check_record(entries, read(journal), settings)
    return [*found, *replayed(journal)] if replay else found


def check_record(entries: list[Entry], record: Record, settings: Settings) -> list[str]:
    """Return the violations of all invariants but I12, which needs the journal's file."""
    return [
        *order_rules(entries, record, settings),
        *fills(entries, record),
        *positions(entries, record),
        *(f"I4: {text}" for text in record.broken),
        *resolved(entries, record),
        *ends(entries, record),
        *outcomes(entries, record),
        *watchdog(entries, record, settings.watchdog),
        *foreign(entries, record),
        *texts(entries, record),
    ]


def _mine(entries: list[Entry], record: Record) -> list[Traded]:
    return [e for e in entries if isinstance(e, Traded) and e.client_id in record.legs]


def fills(entries: list[Entry], record: Record) -> Iterator[str]:
    """I3: every venue fill is in the journal exactly once, and nothing else is."""
    alarmed = {line.body["key"] for line in record.of("ALARM")}
    wanted = Counter(
        (t.instrument, t.trade_id, t.client_id, t.side.value, t.contracts, t.price)
        for t in _mine(entries, record)
        if f"fill:{t.instrument}:{t.trade_id}" not in alarmed
    )
    found: Counter[tuple[str, str, str, str, Decimal, Decimal]] = Counter()
    late = set()
    for line in record.of("FILL"):
        fill = line.body["fill"]
        key = f"fill:{fill['id']}:{fill['trade_id']}"
        if key in alarmed:
            late.add(key)
            continue
        price, contracts = Decimal(fill["price"]), Decimal(fill["contracts"])
        side, owner = fill["side"], fill["client_id"]
        found[fill["id"], fill["trade_id"], owner, side, contracts, price] += 1
    yield from (f"I3: fill {fill[:3]} is not in the journal" for fill in (wanted - found))
    yield from (f"I3: fill {fill[:3]} is not at the venue" for fill in (found - wanted))
    for trade in _mine(entries, record):
        key = f"fill:{trade.instrument}:{trade.trade_id}"
        if key in alarmed and key not in late:
            yield f"I3: fill {key} is an alarm and was not kept"


def positions(entries: list[Entry], record: Record) -> Iterator[str]:
    """I3: positions agree at the end, and what is EXTERNAL really came from outside."""
    true: dict[str, Decimal] = {}
    outside: dict[str, Decimal] = {}
    zero = Decimal(0)
    for entry in entries:
        if isinstance(entry, Opened):
            true = dict(entry.positions)
        elif isinstance(entry, Outside):
            true[entry.instrument] = entry.after
            change = entry.after - entry.before
            outside[entry.instrument] = outside.get(entry.instrument, zero) + change
        elif isinstance(entry, Traded):
            signed = entry.contracts if entry.side.value == "buy" else -entry.contracts
            true[entry.instrument] = true.get(entry.instrument, zero) + signed
    known = known_positions(record, len(record.lines))
    told = {leg.intent["id"] for key, leg in record.legs.items() if _for_a_person(key, leg, record)}
    for name in sorted({*true, *known} - told):
        if true.get(name, zero) != known.get(name, zero):
            yield f"I3: {name} is {true.get(name)} at the venue, {known.get(name)} in the journal"
    yield from _externals(entries, record, outside, told)


def _externals(
    entries: list[Entry], record: Record, outside: dict[str, Decimal], told: set[str]
) -> Iterator[str]:
    """Baseline and EXTERNAL together are the account's opening and what other hands did."""
    opened = next(e for e in entries if isinstance(e, Opened)).positions
    zero = Decimal(0)
    noted: dict[str, Decimal] = {}
    for line in record.of("BASELINE"):
        for name, held in line.body["positions"].items():
            noted[name] = noted.get(name, zero) + Decimal(held)
    for line in record.of("EXTERNAL"):
        if line.body["what"] == "position":
            change = Decimal(line.body["after"]) - Decimal(line.body["before"])
            noted[line.body["id"]] = noted.get(line.body["id"], zero) + change
    for name in sorted({*opened, *outside, *noted} - told):
        true = opened.get(name, zero) + outside.get(name, zero)
        if noted.get(name, zero) != true:
            yield f"I3: other hands left {true} of {name}, the journal says {noted.get(name, zero)}"


def resolved(entries: list[Entry], record: Record) -> Iterator[str]:
    """I5: after faults stop, nothing is unresolved beyond 60 s."""
    calm = next(e for e in entries if isinstance(e, Calm))
    pending = {
        line.body["ticket"]
        for line in record.of("APPROVAL")
        if not record.for_ticket("APPROVED", line.body["ticket"])
        and not record.for_ticket("DECLINED", line.body["ticket"])
    }
    ended = {line.body["ticket"] for line in record.of("ENDED")}
    # What may or may not be another hand's is for a person: the alarm says so.
    asked = {key for key, leg in record.legs.items() if _for_a_person(key, leg, record)}
    pending |= {record.legs[key].ticket for key in asked}
    for client_id, leg in record.legs.items():
        _, ts, state, _, _ = leg.last
        if leg.ticket in pending or (leg.intent["kind"] == STOP and state == "OPEN"):
            continue
        late = ts > calm.ts_ms + RESOLVED_MS and state != "NOT_SENT"
        if state not in TERMINAL or late:
            yield f"I5: {client_id[:8]} was {state} {(ts - calm.ts_ms) / 1000:.0f} s after calm"
    for ticket in record.tickets:
        if ticket not in ended and ticket not in pending:
            yield f"I5: {ticket} never ended"


def _for_a_person(client_id: str, leg: LegFacts, record: Record) -> bool:
    """Return whether an alarm says that a person has to settle this leg."""
    reused = f"fill:{leg.intent['id']}:"
    for line in record.of("ALARM"):
        if line.body["key"] == f"lost:{client_id}":
            return leg.last[2] == "UNKNOWN"
        if line.body["what"] == "reused trade id" and line.body["key"].startswith(reused):
            return True
    return False


def foreign(entries: list[Entry], record: Record) -> Iterator[str]:
    """I3: an order of another hand that works at the end was told of; one like ours by an ALARM."""
    over = {entry.order_id for entry in entries if isinstance(entry, Over)}
    noted = {line.body["key"] for line in record.of("EXTERNAL")}
    alarmed = {line.body["key"] for line in record.of("ALARM")}
    for entry in entries:
        if isinstance(entry, Foreign) and entry.order_id not in over:
            if entry.client_id.startswith("pt"):
                told = f"order:{entry.client_id}" in alarmed
            else:
                told = f"order:{VENUE}:{entry.order_id}" in noted
            if not told:
                yield f"I3: the order {entry.client_id[:8]} of another hand was not told of"


def ends(entries: list[Entry], record: Record) -> Iterator[str]:
    """I6: no terminal state contradicts the venue."""
    for client_id, leg in record.legs.items():
        state = leg.last[2]
        taken = [e for e in entries if isinstance(e, Taken) and e.client_id == client_id]
        over = [e for e in entries if isinstance(e, Over) and e.client_id == client_id]
        if state in {*NO_ORDER, "PROPOSED", "CONFIRMED"}:
            # A venue that lies of a rejection is found out later: that is an alarm.
            if taken and not (state == "REJECTED" and _alarmed(client_id, record)):
                yield f"I6: {client_id[:8]} is {state}, the venue has it"
        elif state == "OPEN" and (over or not taken):
            yield f"I6: the stop {client_id[:8]} is said to rest, at the venue {over}"
        elif state in TERMINAL:
            yield from _end(client_id, leg, over, entries)


def outcomes(entries: list[Entry], record: Record) -> Iterator[str]:
    """I6: an answer is taken for what safety.md's table says, whatever is found out later."""
    fates = {entry.client_id: entry.fate for entry in entries if isinstance(entry, Sent)}
    for line in record.of("OUTCOME"):
        fate = fates.get(line.body["client_id"])
        if not fate or line.body["code"] in {"interrupted", "found_sending"}:
            continue
        if line.body["state"] != FATES[fate].outcome:
            yield f"I6: {fate} was taken for {line.body['state']}"


def _alarmed(client_id: str, record: Record) -> bool:
    return any(client_id in line.body["key"] + line.body["text"] for line in record.of("ALARM"))


def _end(client_id: str, leg: LegFacts, over: list[Over], entries: list[Entry]) -> Iterator[str]:
    _, ts, state, filled, average = leg.last
    if len(over) != 1 or over[0].state.value != state or over[0].filled != filled:
        yield f"I6: {client_id[:8]} is {state} with {filled}, at the venue {over}"
        return
    if over[0].ts_ms - 65_000 > ts:
        yield f"I6: {client_id[:8]} was {state} before the venue ended it"
    trades = [e for e in entries if isinstance(e, Traded) and e.client_id == client_id]
    turnover = sum((e.contracts * e.price for e in trades), Decimal(0))
    if filled and (average is None or abs(average * filled - turnover) > CENT * turnover):
        yield f"I6: {client_id[:8]} has an average of {average}, at the venue {turnover / filled}"


def texts(entries: list[Entry], record: Record) -> Iterator[str]:
    """I10, I11: no secret anywhere, no control byte of a venue's text."""
    for line in record.lines:
        if CANARY in line.text:
            yield f"I10: the key stands in event {line.seq}"
        if not _clean(line.text, escaped=True):
            yield f"I11: event {line.seq} holds a control character"
    for entry in entries:
        if isinstance(entry, Shown):
            if CANARY in entry.text:
                yield "I10: the key stands on a screen"
            if not _clean(entry.text.replace("\n", ""), escaped=False):
                yield "I11: a control character stands on a screen"


def _clean(text: str, *, escaped: bool) -> bool:
    """Return whether no control or bidirectional character is in a text, nor as a JSON escape."""
    if escaped and "\\u00" in text:
        return False
    return (text.isascii() and text.isprintable()) or not any(map(_control, text))


def _control(character: str) -> bool:
    code = ord(character)
    return code < 32 or 127 <= code < 160 or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def replayed(journal: Path) -> list[str]:
    """I12: replaying the journal rebuilds the state; the fresh tables are compared row by row."""
    connection = sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)
    try:
        wrong = differing_projections(connection)
    except JournalError as error:
        return [f"I12: the journal cannot be replayed: {error}"]
    finally:
        connection.close()
    return [f"I12: {table} is not what the events make" for table in wrong]
