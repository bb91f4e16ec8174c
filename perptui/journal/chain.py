"""The chain of events in the database: append one, read them back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from perptui.journal.events import GENESIS_PREV, Actor, Body, Event
from perptui.journal.stored import Stored, sealed
from perptui.journal.tickets import Stamp, project
from perptui.model.clock import DAY_MS
from perptui.model.errors import JournalError

_COLUMNS = "seq, ts, host, actor, kind, body, prev_hash, hash"
_TYPES = (int, int, str, str, str, str, str, str)


def head(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return sequence number and hash of the last event; (0, zeros) of an empty chain."""
    row = connection.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else (0, GENESIS_PREV)


def append(
    connection: sqlite3.Connection, body: Body, *, ts_ms: int, host: str, actor: Actor
) -> Stored:
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
        event[:8],
    )
    project(connection, Stamp(event.seq, ts_ms, actor.uid), body)
    return event


def read_stored(
    connection: sqlite3.Connection, since: int = 1, until: int | None = None
) -> Iterator[Stored]:
    """Yield the events from number `since` to `until`, as they are stored and not looked into.

    Raises
    ------
    JournalError
        When a row is not of the types that the table has: the file is damaged.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM event WHERE seq >= ? AND (? IS NULL OR seq <= ?) ORDER BY seq",  # noqa: S608  constant names
        (since, until, until),
    )
    for number, row in enumerate(rows, start=since):
        if tuple(map(type, row)) != _TYPES:
            raise JournalError(f"expected an event at {number}, was damaged; restore a backup")
        yield Stored(*row)


def read(connection: sqlite3.Connection, since: int = 1) -> Iterator[Event]:
    """Yield the events from number `since` on.

    Raises
    ------
    JournalError
        When a row is not an event; the message names its number.
    """
    for stored in read_stored(connection, since):
        yield stored.event()


def heads_due(
    connection: sqlite3.Connection, after: int, every: int, today: int
) -> list[tuple[int, str]]:
    """Return (seq, hash) of the events after number `after` whose heads are to be published.

    Those whose number is a multiple of `every`, and the last one of each UTC day before `today`
    (days since the epoch).
    """
    return connection.execute(
        "SELECT seq, hash FROM event WHERE seq > ?1 AND (seq % ?2 = 0 OR seq IN ("
        "SELECT max(seq) FROM event WHERE seq > ?1 AND ts / ?4 < ?3 GROUP BY ts / ?4"
        ")) ORDER BY seq",
        (after, every, today, DAY_MS),
    ).fetchall()
