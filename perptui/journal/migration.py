"""Bringing an older journal's tables up to this version, with a verified backup made first.

Everything happens in one transaction: whenever the process or the machine ends, the file is either
the old journal or the new one. Events are never touched; projections are made from them anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from perptui.journal.backup import backup
from perptui.journal.chain import append, read_stored
from perptui.journal.database import Database, version_of
from perptui.journal.events import Actor, Migrated
from perptui.journal.schema import MIGRATIONS, PROJECTION_TABLES, PROJECTIONS
from perptui.journal.verify import replay


def migrate(database: Database, *, ts_ms: int, host: str, actor: Actor) -> Path | None:
    """Bring the sender's journal up to this version; return the backup, None when it was.

    Raises
    ------
    JournalError
        When the old journal does not verify, or the backup or the change cannot be written; the
        old journal then stands as it was.
    """
    before = version_of(database.connection)
    if before == len(MIGRATIONS):
        return None
    kept, _ = backup(database.path, None, ts_ms)
    with database.transaction() as connection:
        for number in range(before, len(MIGRATIONS)):
            _execute(connection, MIGRATIONS[number])
        _project_anew(connection)
        body = Migrated(before, len(MIGRATIONS), str(kept))
        append(connection, body, ts_ms=ts_ms, host=host, actor=actor)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    return kept


def _project_anew(connection: sqlite3.Connection) -> None:
    # The last ones refer to the first ones.
    for table in reversed(PROJECTION_TABLES):
        connection.execute(f"DROP TABLE {table}")
    _execute(connection, PROJECTIONS)
    replay(read_stored(connection), connection)


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """Run statements inside the transaction that is open; `executescript` would commit it."""
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
