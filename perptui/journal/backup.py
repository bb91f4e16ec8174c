"""Backups of a journal, and putting one back, both verified.

A backup may be older than what the venues know: orders sent after it are theirs and not in it. So
a restored journal begins HALTED, and says why: a person looks at what reconciling finds and then
releases the desk. What it replaced is kept beside it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

from perptui.journal.chain import append, head, read_stored
from perptui.journal.copying import copy_database, flush
from perptui.journal.database import Database, version_of
from perptui.journal.events import Actor, Genesis, KillChanged
from perptui.journal.place import is_held, take_lock
from perptui.journal.verify import Verdict, is_database, verify_file
from perptui.model.clock import iso
from perptui.model.errors import JournalError
from perptui.model.record import Record


class Restored(Record, frozen=True):
    """What a restore did.

    Attributes
    ----------
    events, head : int, str
        Of the backup, before the event that says it was restored.
    aside : str
        Where the journal that it replaced is now, "" when there was none.
    lost : int
        How many events that one had more, 0 when none or it cannot be read.
    """

    events: int
    head: str
    aside: str
    lost: int


def backup(path: Path, to: Path | None, utc_ms: int) -> tuple[Path, Verdict]:
    """Copy a journal, also one that a desk writes to; return the copy and its verification.

    Parameters
    ----------
    to : Path, optional
        A new file, or a directory; beside the journal when left out.
    utc_ms : int
        Now, for the name.

    Raises
    ------
    JournalError
        When the journal cannot be read or the copy not be written, or it does not verify: then
        nothing is left of it.
    """
    database = Database.reader(path)
    try:
        target = _target(path, to, version_of(database.connection), utc_ms)
        copy_database(database.connection, target)
    finally:
        database.close()
    verdict = verify_file(target)
    if not verdict.ok:
        target.unlink()
        raise JournalError(
            f"expected a journal that verifies, was bad at event {verdict.bad_seq}: "
            f"{verdict.reason}; keep {path} for a person to look at"
        )
    return target, verdict


def _target(path: Path, to: Path | None, version: int, utc_ms: int) -> Path:
    folder = path.parent if to is None else to
    if to is not None and not to.is_dir():
        return to
    return _free(folder / f"{path.stem}-v{version}-{_stamp(utc_ms)}.db")


def _stamp(utc_ms: int) -> str:
    return iso(utc_ms).replace("-", "").replace(":", "").replace(".", "")


def _free(path: Path) -> Path:
    """Return `path`, or with a number after it the first that nothing is at."""
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def restore(file: Path, path: Path, *, desk: str, actor: Actor, utc_ms: int) -> Restored:
    """Put a backup in the place of a desk's journal, HALTED; keep what was there.

    Raises
    ------
    JournalError
        When a desk runs on the journal, or the backup does not verify, is no database, or is of
        another desk; or it cannot be written. Nothing is changed then.
    """
    lock = take_lock(path)
    try:
        verdict = _restorable(file, path, desk)
        made = path.with_name(f"{path.name}.restoring")
        made.unlink(missing_ok=True)
        _copy_halted(file, made, actor, utc_ms, _fence(path))
        lost = max(_count(path) - verdict.events, 0)
        aside = _put_aside(path, utc_ms)
        os.replace(made, path)
        flush(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(
            f"expected to put {file} in the place of {path}, was {error}; mend it, then try again"
        ) from None
    finally:
        os.close(lock)
    return Restored(verdict.events, verdict.head, str(aside or ""), lost)


def _restorable(file: Path, path: Path, desk: str) -> Verdict:
    if not is_database(file):
        raise JournalError(
            f"expected a backup of `perptui journal backup`, was another file ({file}); name one"
        )
    if path.exists() and file.samefile(path):
        raise JournalError(f"expected a backup, was the journal itself ({file}); name another")
    verdict = verify_file(file)
    if not verdict.ok:
        raise JournalError(
            f"expected a backup that verifies, was bad at event {verdict.bad_seq}: "
            f"{verdict.reason}; name an older one"
        )
    named = desk_of(file)
    if named.desk != desk:
        raise JournalError(
            f"expected a backup of desk {desk}, was of {named.desk}; name the desk with --desk"
        )
    return verdict


def desk_of(path: Path) -> Genesis:
    """Return the desk and account that a journal database is bound to.

    Raises
    ------
    JournalError
        When it cannot be read or does not begin with a GENESIS event.
    """
    database = Database.reader(path)
    try:
        with database.reading() as connection:
            first = next(read_stored(connection, 1, 1), None)
    finally:
        database.close()
    body = None if first is None else first.opened()[1]
    if not isinstance(body, Genesis):
        raise JournalError(f"expected a GENESIS event first, was none ({path}); verify it")
    return body


class About(Record, frozen=True):
    """What a journal is of and how far it goes; `held`: a sender has its lock."""

    desk: str
    account: str
    version: int
    fence: int
    events: int
    head: str
    last_ms: int
    bytes: int
    held: bool


def about(path: Path) -> About:
    """Return what a journal database says of itself; `audit verify` says whether it is so.

    Raises
    ------
    JournalError
        When it cannot be read.
    """
    genesis = desk_of(path)
    database = Database.reader(path)
    try:
        with database.reading() as connection:
            seq, own_hash = head(connection)
            (last_ms,) = connection.execute("SELECT ts FROM event WHERE seq = ?", (seq,)).fetchone()
            (fence,) = connection.execute("SELECT fence FROM lease").fetchone()
            version = version_of(connection)
    finally:
        database.close()
    size, held = path.stat().st_size, is_held(path)
    named = (genesis.desk, genesis.account, version, fence)
    return About(*named, seq, own_hash, last_ms, size, held)


def _copy_halted(file: Path, made: Path, actor: Actor, utc_ms: int, fence: int) -> None:
    database = Database.reader(file)
    try:
        copy_database(database.connection, made)
    finally:
        database.close()
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        seq, own_hash = head(connection)
        reason = (
            f"restored from a backup that ends at event {seq} ({own_hash[:12]}): "
            "what was sent after it is at the venues and not here; look, then release"
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        # A lease that the replaced journal gave out is not given out again.
        connection.execute("UPDATE lease SET fence = max(fence, ?)", (fence,))
        halted = KillChanged("HALTED", reason)
        append(connection, halted, ts_ms=utc_ms, host=socket.gethostname(), actor=actor)
        connection.execute("COMMIT")
    flush(made)


def _fence(path: Path) -> int:
    return _asked(path, "SELECT fence FROM lease")


def _count(path: Path) -> int:
    return _asked(path, "SELECT coalesce(max(seq), 0) FROM event")


def _asked(path: Path, query: str) -> int:
    """Return a number out of the journal that is replaced, 0 when it cannot be read."""
    try:
        database = Database.reader(path)
    except JournalError:
        return 0
    try:
        with database.reading() as connection:
            return int(connection.execute(query).fetchone()[0])
    except JournalError:
        return 0
    finally:
        database.close()


def _put_aside(path: Path, utc_ms: int) -> Path | None:
    """Copy what is there and take it away, -wal as well: SQLite would read it into the new file."""
    wal = Path(f"{path}-wal")
    aside = _free(path.with_name(f"{path.stem}-replaced-{_stamp(utc_ms)}.db"))
    found = [(path, aside), (wal, Path(f"{aside}-wal"))]
    found = [(old, kept) for old, kept in found if old.exists()]
    for old, kept in found:
        shutil.copy2(old, kept)
        flush(kept)
    flush(path.parent)
    if path.exists():
        _empty_wal(path)
    wal.unlink(missing_ok=True)
    Path(f"{path}-shm").unlink(missing_ok=True)
    return found[0][1] if found else None


def _empty_wal(path: Path) -> None:
    """Bring what stands in -wal into the file itself, where the file is whole enough for it.

    A crash between taking -wal away and putting the backup in place then leaves the old journal.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        return
