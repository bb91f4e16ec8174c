"""Copies of a journal: one private file, whole, on the disk when the call returns."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from perptui.model.errors import JournalError


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database, also one that is being written to, into a new file of mode 0600.

    The copy needs no other file beside it and may lie where nothing can be written.

    Raises
    ------
    JournalError
        When the file exists or cannot be written; nothing of it is left then.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise JournalError(
            f"expected a new file at {target}, was not to be made ({error.strerror}); "
            "name another place"
        ) from None
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        flush(target)
        flush(target.parent)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise JournalError(
            f"expected a copy of the journal at {target}, was {error}; free space there"
        ) from None


def flush(path: Path) -> None:
    """Let a file or directory reach the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
