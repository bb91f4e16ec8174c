"""Verification that needs nothing but the events: of a database, or of an exported file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from perptui.journal.chain import read
from perptui.journal.database import Database
from perptui.journal.events import GENESIS_PREV, VERSION, Event, hash_of
from perptui.journal.schema import MIGRATIONS, PROJECTION_TABLES, PROJECTIONS
from perptui.journal.tickets import project
from perptui.model.errors import JournalError
from perptui.model.record import Record

SQLITE_MAGIC = b"SQLite format 3\x00"


class Verdict(Record, frozen=True):
    """Result of a verification.

    Attributes
    ----------
    events : int
        How many events stand before the first bad one.
    head : str
        Hash of the last event that stands.
    bad_seq : int | None
        Number of the first bad event, None when all stand.
    reason : str
        What is wrong with it, "" when nothing is.
    """

    events: int
    head: str
    bad_seq: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """True when every event stands."""
        return self.bad_seq is None


def verify_events(events: Iterable[Event]) -> Verdict:
    """Check a whole chain, GENESIS first: numbering, links, hashes, and that each event can be.

    What can be is what a replay allows: a chain forged to its end has good hashes and an
    impossible history. Truncation at the end cannot be seen from the events alone: compare
    `Verdict.head` with a head that was kept elsewhere.
    """
    with closing(_empty_projections()) as replayed:
        return _verified(iter(events), replayed)


def _verified(stream: Iterator[Event], replayed: sqlite3.Connection) -> Verdict:
    count, prev = 0, GENESIS_PREV
    while True:
        try:
            event = next(stream, None)
        except JournalError as error:
            return Verdict(count, prev, count + 1, str(error))
        if event is None:
            return _whole(count, prev)
        reason = _fault(event, count + 1, prev) or _impossible(event, replayed)
        if reason:
            return Verdict(count, prev, count + 1, reason)
        count, prev = count + 1, event.hash


def _whole(count: int, head: str) -> Verdict:
    if count == 0:
        return Verdict(0, head, 1, "expected a GENESIS event, was an empty chain")
    return Verdict(count, head)


def _fault(event: Event, seq: int, prev: str) -> str:
    if event.seq != seq:
        return f"expected event {seq}, was {event.seq}"
    if event.v != VERSION:
        return f"expected version {VERSION}, was {event.v}"
    if event.prev != prev:
        return "the link to the event before is broken"
    if event.hash != hash_of(event):
        return "the hash does not fit the content"
    if (event.kind == "GENESIS") != (seq == 1):
        return "GENESIS must be the first event, and only the first"
    return ""


def _impossible(event: Event, replayed: sqlite3.Connection) -> str:
    try:
        project(replayed, event)
    except JournalError as error:
        return str(error)
    except sqlite3.Error as error:
        return f"impossible after the events before it ({error})"
    return ""


def verify_database(connection: sqlite3.Connection) -> Verdict:
    """Check the chain, that the projections are exactly what it makes, and what guards it."""
    with closing(_empty_projections()) as replayed:
        verdict = _verified(read(connection), replayed)
        if not verdict.ok:
            return verdict
        wrong = _differing(connection, replayed)
    reason = ""
    if wrong:
        reason = f"the chain stands, but these tables are not what it makes: {', '.join(wrong)}"
    elif altered := altered_schema(connection):
        reason = (
            "the chain stands, but the database does not guard it as it was made to: "
            f"{', '.join(altered)} missing, added or changed"
        )
    return Verdict(verdict.events, verdict.head, verdict.events, reason) if reason else verdict


def altered_schema(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the tables, indices and triggers that are not as the journal is made with."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript("".join(MIGRATIONS))
        wanted, found = _schema(made), _schema(connection)
    names = sorted({*wanted, *found})
    return tuple(name for name in names if wanted.get(name) != found.get(name))


def _schema(connection: sqlite3.Connection) -> dict[str, tuple[str, str, str]]:
    rows = connection.execute(
        "SELECT name, type, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\'"
    )
    return {name: (kind, table, sql) for name, kind, table, sql in rows}


def differing_projections(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the projection tables that a replay of all events makes differently.

    Raises
    ------
    JournalError
        When an event is impossible after the ones before it.
    """
    with closing(replay(read(connection))) as replayed:
        return _differing(connection, replayed)


def _differing(connection: sqlite3.Connection, replayed: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(
        table for table in PROJECTION_TABLES if _rows(connection, table) != _rows(replayed, table)
    )


def replay(events: Iterable[Event]) -> sqlite3.Connection:
    """Return projections in memory, rebuilt from the events alone.

    Raises
    ------
    JournalError
        When an event is impossible after the ones before it.
    """
    connection = _empty_projections()
    for event in events:
        project(connection, event)
    return connection


def _empty_projections() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(PROJECTIONS)
    return connection


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608  own constant


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database: a journal, not an exported one.

    Raises
    ------
    JournalError
        When it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError as error:
        raise JournalError(
            f"expected a readable file at {path}, was not ({error.strerror})"
        ) from None


def verify_file(path: Path) -> Verdict:
    """Check a journal database or an exported file of JSON lines.

    Raises
    ------
    JournalError
        When the file cannot be read at all.
    """
    if not is_database(path):
        return verify_events(read_lines(path))
    try:
        database = Database.reader(path)
    except JournalError as error:
        return Verdict(0, GENESIS_PREV, 1, str(error))
    try:
        return verify_database(database.connection)
    except sqlite3.Error as error:
        return Verdict(0, GENESIS_PREV, 1, f"the database is damaged ({error})")
    finally:
        database.close()


def read_lines(path: Path) -> Iterator[Event]:
    """Yield the events of an exported file.

    Raises
    ------
    JournalError
        When a line is not an event in canonical form; the message names the line.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            yield parse_line(line, number)


def parse_line(line: bytes, number: int) -> Event:
    """Return the event of one exported line, which must be canonical to the byte.

    Raises
    ------
    JournalError
        When it is not; `number` is the line in the message.
    """
    try:
        event = msgspec.convert(json.loads(line), Event)
    except (ValueError, RecursionError) as error:
        raise JournalError(f"expected an event in line {number}, was malformed ({error})") from None
    if event.line + b"\n" != line:
        raise JournalError(f"expected canonical JSON in line {number}, was another form of it")
    return event
