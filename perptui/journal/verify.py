"""Verification that needs nothing but the events: of a database, or of an exported file."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from perptui.journal.chain import read_stored
from perptui.journal.database import DAMAGE, Database, version_of
from perptui.journal.events import GENESIS_PREV, VERSION, Body, Genesis
from perptui.journal.heads import Witnesses
from perptui.journal.schema import MIGRATIONS, PROJECTION_TABLES, PROJECTIONS
from perptui.journal.stored import Stored, parse_line
from perptui.journal.tickets import Stamp, project
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


def verify_events(events: Iterable[Stored], witnesses: Witnesses | None = None) -> Verdict:
    """Check a whole chain, GENESIS first: numbering, links, hashes, and that each event can be.

    What can be is what a replay allows: a chain forged to its end has good hashes and an
    impossible history. Truncation at the end cannot be seen from the events alone: give the heads
    that were published, or compare `Verdict.head` with one that was kept elsewhere.
    """
    with closing(empty_projections()) as replayed:
        return _verified(iter(events), replayed, witnesses)


def _verified(
    stream: Iterator[Stored], replayed: sqlite3.Connection, witnesses: Witnesses | None
) -> Verdict:
    count, prev = 0, GENESIS_PREV
    while True:
        try:
            event = next(stream, None)
            if event is None:
                return _whole(count, prev, witnesses)
            if reason := _fault(event, count + 1, prev) or _impossible(event, replayed, witnesses):
                return Verdict(count, prev, count + 1, reason)
        except JournalError as error:
            return Verdict(count, prev, count + 1, str(error))
        except DAMAGE as error:
            return Verdict(count, prev, count + 1, f"the database is damaged there ({error})")
        count, prev = count + 1, event.hash


def _whole(count: int, head: str, witnesses: Witnesses | None) -> Verdict:
    if count == 0:
        return Verdict(0, head, 1, "expected a GENESIS event, was an empty chain")
    missing = witnesses.missing(count) if witnesses is not None else ""
    return Verdict(count, head, count + 1, missing) if missing else Verdict(count, head)


def _fault(event: Stored, seq: int, prev: str) -> str:
    if event.seq != seq:
        return f"expected event {seq}, was {event.seq}"
    if event.v != VERSION:
        return f"expected version {VERSION}, was {event.v}"
    if event.prev != prev:
        return "the link to the event before is broken"
    if event.hash != event.own_hash:
        return "the hash does not fit the content"
    if (event.kind == "GENESIS") != (seq == 1):
        return "GENESIS must be the first event, and only the first"
    return ""


def _impossible(event: Stored, replayed: sqlite3.Connection, witnesses: Witnesses | None) -> str:
    """Return why the event cannot be, from what is before it or was published of it.

    Raises
    ------
    JournalError
        When it is malformed or cannot follow.
    """
    actor, body = event.opened()
    try:
        project(replayed, Stamp(event.seq, event.ts, actor.uid), body)
    except sqlite3.Error as error:
        return f"impossible after the events before it ({error})"
    return "" if witnesses is None else _contradicted(event, body, witnesses)


def _contradicted(event: Stored, body: Body, witnesses: Witnesses) -> str:
    wrong = witnesses.of(body) if isinstance(body, Genesis) else ""
    return wrong or witnesses.contradiction(event.seq, event.hash)


def verify_database(connection: sqlite3.Connection, witnesses: Witnesses | None = None) -> Verdict:
    """Check the chain, that the projections are exactly what it makes, and what guards it.

    A journal of an older version is held against the tables of its own version.
    """
    version = version_of(connection)
    with closing(empty_projections()) as replayed:
        verdict = _verified(read_stored(connection), replayed, witnesses)
        if not verdict.ok:
            return verdict
        wrong = _differing(connection, replayed, version)
    reason = ""
    if wrong:
        reason = f"the chain stands, but these tables are not what it makes: {', '.join(wrong)}"
    elif altered := altered_schema(connection, version):
        reason = (
            "the chain stands, but the database does not guard it as it was made to: "
            f"{', '.join(altered)} missing, added or changed"
        )
    return Verdict(verdict.events, verdict.head, verdict.events, reason) if reason else verdict


def altered_schema(
    connection: sqlite3.Connection, version: int = len(MIGRATIONS)
) -> tuple[str, ...]:
    """Return the tables, indices and triggers that are not as that version's journal is made."""
    wanted, found = _made_schema(version), _schema(connection)
    names = sorted({*wanted, *found})
    return tuple(name for name in names if wanted.get(name) != found.get(name))


@functools.cache
def _made_schema(version: int) -> dict[str, tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript("".join(MIGRATIONS[:version]))
        return _schema(made)


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
    with closing(empty_projections()) as replayed:
        replay(read_stored(connection), replayed)
        return _differing(connection, replayed, version_of(connection))


def _differing(
    connection: sqlite3.Connection, replayed: sqlite3.Connection, version: int
) -> tuple[str, ...]:
    columns = _columns(version)
    return tuple(
        table
        for table in PROJECTION_TABLES
        if table in columns
        and _rows(connection, table, columns[table]) != _rows(replayed, table, columns[table])
    )


@functools.cache
def _columns(version: int) -> dict[str, str]:
    """Return the columns of each table as that version has them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript("".join(MIGRATIONS[:version]))
        rows = made.execute(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c "
            "WHERE t.type = 'table' ORDER BY t.name, c.cid"
        ).fetchall()
    names: dict[str, list[str]] = {}
    for table, column in rows:
        names.setdefault(table, []).append(column)
    return {table: ", ".join(columns) for table, columns in names.items()}


def replay(events: Iterable[Stored], into: sqlite3.Connection) -> None:
    """Make the projections of the events in tables that are empty.

    Raises
    ------
    JournalError
        When an event is malformed, or impossible after the ones before it.
    """
    for event in events:
        actor, body = event.opened()
        project(into, Stamp(event.seq, event.ts, actor.uid), body)


@functools.cache
def _empty() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(PROJECTIONS)
        return made.serialize()


def empty_projections() -> sqlite3.Connection:
    """Return projections in memory with nothing in them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_empty())
    # One transaction that never ends: what is replayed here is compared and forgotten.
    connection.execute("BEGIN")
    return connection


def _rows(connection: sqlite3.Connection, table: str, columns: str) -> list[tuple[object, ...]]:
    return connection.execute(
        f"SELECT {columns} FROM {table} ORDER BY 1, 2"  # noqa: S608  own constants
    ).fetchall()


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


def verify_file(path: Path, witnesses: Witnesses | None = None) -> Verdict:
    """Check a journal database or an exported file of JSON lines.

    Parameters
    ----------
    witnesses : Witnesses, optional
        Published heads that the chain must agree with.

    Raises
    ------
    JournalError
        When the file cannot be read at all.
    """
    if not is_database(path):
        return verify_events(read_lines(path), witnesses)
    try:
        database = Database.reader(path)
    except JournalError as error:
        return Verdict(0, GENESIS_PREV, 1, str(error))
    try:
        return verify_database(database.connection, witnesses)
    except DAMAGE as error:
        return Verdict(0, GENESIS_PREV, 1, f"the database is damaged ({error})")
    finally:
        database.close()


def read_lines(path: Path) -> Iterator[Stored]:
    """Yield the events of an exported file.

    Raises
    ------
    JournalError
        When a line is not an event in canonical form; the message names the line.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            yield parse_line(line, number)
