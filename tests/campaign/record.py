"""The journal as the checker reads it: from the file, by a connection and a parser of its own."""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

GENESIS_PREV = "0" * 64
_COLUMNS = "seq, ts, host, actor, kind, body, prev_hash, hash"


class Line(msgspec.Struct, frozen=True):
    """One event: `text` is its body's canonical JSON as stored."""

    seq: int
    ts: int
    uid: int
    kind: str
    body: dict[str, Any]
    text: str


class LegFacts(msgspec.Struct):
    """What the journal says of one leg; `states`: (seq, ts, state, filled, average price)."""

    ticket: str
    index: int
    intent: dict[str, Any]
    states: list[tuple[int, int, str, Decimal, Decimal | None]]

    def at(self, seq: int) -> str:
        """Return the state after event `seq`."""
        found = "PROPOSED"
        for number, _, state, _, _ in self.states:
            if number <= seq:
                found = state
        return found

    def filled_at(self, seq: int) -> Decimal:
        """Return what was known to be filled after event `seq`."""
        return max((row[3] for row in self.states if row[0] <= seq), default=Decimal(0))

    @property
    def last(self) -> tuple[int, int, str, Decimal, Decimal | None]:
        """The newest state."""
        return self.states[-1]


class Record(msgspec.Struct):
    """Every event, and an index of them."""

    lines: list[Line]
    by_kind: dict[str, list[Line]]
    legs: dict[str, LegFacts]
    tickets: dict[str, Line]
    broken: list[str]

    def of(self, kind: str) -> list[Line]:
        """Return the events of one kind, in order."""
        return self.by_kind.get(kind, [])

    def for_ticket(self, kind: str, ticket: str) -> list[Line]:
        """Return the events of one kind that name this ticket."""
        return [line for line in self.of(kind) if line.body["ticket"] == ticket]


def read(path: Path) -> Record:
    """Return the journal at `path`, and what is wrong with its chain."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM event ORDER BY rowid").fetchall()  # noqa: S608  own constant
    finally:
        connection.close()
    return record_of(rows)


def record_of(rows: list[tuple[int, int, str, str, str, str, str, str]]) -> Record:
    """Return the record that the rows of the table `event` make."""
    lines, broken = [], []
    prev = GENESIS_PREV
    for number, (seq, ts, host, actor, kind, body, prev_hash, own) in enumerate(rows, start=1):
        text = line_of(seq, ts, host, actor, kind, body, prev_hash)
        hashed = hashlib.sha256(b"perptui-audit-v1\n" + prev.encode() + text.encode()).hexdigest()
        if (seq, prev_hash, own) != (number, prev, hashed):
            broken.append(f"event {seq} does not follow from the one before it")
        prev = own
        uid = _uid(actor)
        lines.append(Line(seq, ts, uid, kind, msgspec.json.decode(body), body))
    by_kind: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_kind[line.kind].append(line)
    tickets = {line.body["ticket"]["id"]: line for line in by_kind["PROPOSED"]}
    return Record(lines, dict(by_kind), _legs(lines), tickets, broken)


@functools.cache
def _uid(actor: str) -> int:
    return int(json.loads(actor)["uid"])


def line_of(seq: int, ts: int, host: str, actor: str, kind: str, body: str, prev: str) -> str:
    """Return what is hashed of an event: RFC 8785 JSON of all fields but the hash."""
    quoted = json.dumps(host, ensure_ascii=False)
    return (
        f'{{"actor":{actor},"body":{body},"host":{quoted},"kind":"{kind}",'
        f'"prev":"{prev}","seq":{seq},"ts":{ts},"v":1}}'
    )


def _legs(lines: list[Line]) -> dict[str, LegFacts]:
    legs: dict[str, LegFacts] = {}
    for line in lines:
        body = line.body
        if line.kind == "PROPOSED":
            for leg in body["ticket"]["legs"]:
                facts = LegFacts(body["ticket"]["id"], leg["index"], leg["intent"], [])
                legs[leg["client_id"]] = facts
                facts.states.append((line.seq, line.ts, "PROPOSED", Decimal(0), None))
        elif line.kind in {"SENDING", "OUTCOME", "MOVED"}:
            facts = legs[body["client_id"]]
            facts.states.append(_state(line, facts))
        elif state := _of_all(line):
            for facts in legs.values():
                if facts.ticket == body["ticket"]:
                    facts.states.append((line.seq, line.ts, state, Decimal(0), None))
    return legs


def _of_all(line: Line) -> str:
    """Return the state that an event of a ticket brings all its legs to, "" for none."""
    if line.kind == "ENDED":
        return "" if line.body["state"] == "DONE" else "NOT_SENT"
    return {"CONFIRMED": "CONFIRMED", "APPROVED": "APPROVED"}.get(line.kind, "")


def _state(line: Line, facts: LegFacts) -> tuple[int, int, str, Decimal, Decimal | None]:
    filled, average = facts.last[3], facts.last[4]
    state = line.body.get("state", "SENDING")
    if line.kind == "MOVED":
        filled = Decimal(line.body["filled"])
        given = line.body["average_price"]
        average = None if given is None else Decimal(given)
    return line.seq, line.ts, state, filled, average
