"""The chain of events in the database: append one, read them back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import msgspec

from perptui.journal.events import GENESIS_PREV, VERSION, Actor, Body, Event, sealed
from perptui.journal.tickets import project
from perptui.model.canonical import canonical_json
from perptui.model.errors import JournalError

_COLUMNS = "seq, ts, host, actor, kind, body, prev_hash, hash"


def head(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return sequence number and hash of the last event; (0, zeros) of an empty chain."""
    row = connection.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else (0, GENESIS_PREV)


def append(
    connection: sqlite3.Connection, body: Body, *, ts_ms: int, host: str, actor: Actor
) -> Event:
    """Append an event and change the projections with it; the caller holds the transaction.

    Raises
    ------
    JournalError
        When the event is impossible in the present state.
    """
    seq, prev = head(connection)
    event = sealed(seq=seq + 1, ts_ms=ts_ms, host=host, actor=actor, body=body, prev=prev)
    connection.execute(
        f"INSERT INTO event ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  constant names
        (
            event.seq,
            event.ts,
            event.host,
            canonical_json(event.actor).decode(),
            event.kind,
            canonical_json(event.body).decode(),
            event.prev,
            event.hash,
        ),
    )
    project(connection, event)
    return event


def read(connection: sqlite3.Connection, since: int = 1) -> Iterator[Event]:
    """Yield the events from number `since` on, as they are stored.

    Raises
    ------
    JournalError
        When a row is not an event in canonical form; the message names its number.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM event WHERE seq >= ? ORDER BY seq",  # noqa: S608  constant names
        (since,),
    )
    for row in rows:
        yield _event(row)


def _event(row: tuple[int, int, str, str, str, str, str, str]) -> Event:
    seq, ts, host, actor_text, kind, body_text, prev, own = row
    try:
        actor = msgspec.json.decode(actor_text, type=Actor)
        body = json.loads(body_text)
        canonical = (canonical_json(actor).decode(), canonical_json(body).decode())
        event = Event(
            v=VERSION,
            seq=seq,
            ts=ts,
            host=host,
            actor=actor,
            kind=kind,
            body=body,
            prev=prev,
            hash=own,
        )
    except (ValueError, TypeError) as error:
        raise JournalError(f"expected an event at {seq}, was malformed ({error})") from None
    if canonical != (actor_text, body_text):
        raise JournalError(f"expected canonical JSON at {seq}, was another form of it")
    return event
