"""The journal's SQLite file: private, durable, one sender, refused where it cannot be trusted.

A commit with WAL and synchronous=FULL takes some 5 ms, and the desk makes a handful of them for a
leg, so the desk's event loop calls it directly: "committed before the first byte" is then the
order of two lines in one function, not a promise between threads.

What once failed stays failed for this process (`Database.fault`): whether the last outcome was
written is for the next start to find out, which reconciles with the venues first.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perptui.journal.copying import copy_database
from perptui.journal.place import (
    Place,
    make_private,
    refuse_network_file_system,
    refuse_orphan,
    take_lock,
)
from perptui.journal.schema import APPLICATION_ID, MIGRATIONS
from perptui.model.errors import JournalError

RESTART = "then start the desk again"
CURES = {
    sqlite3.SQLITE_FULL: ("the journal's disk is full", f"free space, {RESTART}"),
    sqlite3.SQLITE_READONLY: ("the journal is read-only", f"make it writable, {RESTART}"),
    sqlite3.SQLITE_BUSY: ("another program locks the journal", f"end that one, {RESTART}"),
    sqlite3.SQLITE_CORRUPT: ("the journal is damaged", "`perptui journal restore BACKUP`"),
    sqlite3.SQLITE_NOTADB: ("the journal is damaged", "`perptui journal restore BACKUP`"),
    sqlite3.SQLITE_CANTOPEN: ("the journal cannot be opened", f"mend its folder, {RESTART}"),
}
"""What is wrong in words, and what a person does about it, by SQLite's primary code."""
DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What a query of a file raises that is not what it was: the library does not hide odd bytes."""
FAILING = ("the journal's disk fails", f"check it, {RESTART}")


class Database:
    """One open journal file.

    Use `sender` for the one process that writes, `reader` for looking.

    Attributes
    ----------
    path : Path
        The file.
    fence : int
        Number of this sender's lease, rising with each; 0 for a reader.
    fault : str
        Why nothing can be written any more, what to do and where; "" while all is well.
    last_commit_s, worst_commit_s : float
        How long commits took, seconds.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self.connection = connection
        self.fence = 0
        self.fault = ""
        self.last_commit_s = 0.0
        self.worst_commit_s = 0.0
        self._lock = lock
        self._place: Place | None = None

    @classmethod
    def sender(cls, path: Path) -> Database:
        """Open `path` for the desk, creating it, and take the sender's lease.

        A journal of an older version is left as it is: `migration.migrate` brings it up.

        Raises
        ------
        JournalError
            When the file is not ours, newer than we are, on a network file system, damaged, not
            writable, or another process is the sender.
        """
        # What only verifies an exported file needs none of it.
        from perptui.settings.paths import private_directory

        private_directory(path.parent)
        refuse_network_file_system(path.parent)
        lock = take_lock(path)
        try:
            refuse_orphan(path)
            make_private(path)
            with _as_journal_error(path):
                connection = sqlite3.connect(path, isolation_level=None)
                _pragmas(connection, writer=True)
                database = cls(path, connection, lock)
                database._create()
                _require_version(path, connection)
                database._take_lease()
            database._place = Place(path)
        except JournalError:
            os.close(lock)
            raise
        return database

    @classmethod
    def reader(cls, path: Path) -> Database:
        """Open `path` read-only; the sender may go on writing.

        Raises
        ------
        JournalError
            When it is absent, not a journal, or of a newer version.
        """
        if not path.is_file():
            raise JournalError(f"expected a journal at {path}, was none; name the desk or file")
        with _as_journal_error(path):
            connection = sqlite3.connect(_reading(path), uri=True)
            connection.isolation_level = None
            _pragmas(connection, writer=False)
            _require_version(path, connection)
        return cls(path, connection, None)

    def close(self) -> None:
        """Close the file and give the lease's lock back."""
        self.connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Run the block's queries; what SQLite says no to is the journal's fault.

        Raises
        ------
        JournalError
            When the file cannot be read.
        """
        try:
            yield self.connection
        except DAMAGE as error:
            raise self.failed(error) from None

    def failed(self, error: Exception) -> JournalError:
        """Write down what SQLite said no to; return what is raised of it."""
        self.fault = fault_of(self.path, error)
        return JournalError(_unusable(self.path, error))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block inside BEGIN IMMEDIATE; what raises leaves no trace.

        Raises
        ------
        JournalError
            When it failed before, the file is gone, the event cannot follow, another sender holds
            a newer lease, or SQLite cannot write or commit.
        """
        self.require_usable()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self._require_lease()
                yield self.connection
                self._commit()
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError as error:
            # Of the event, not of the file: nothing of it was written.
            raise JournalError(f"expected an event that can follow, was {error}") from None
        except DAMAGE as error:
            raise self.failed(error) from None

    def _commit(self) -> None:
        started = time.perf_counter()
        self.connection.execute("COMMIT")
        self.last_commit_s = time.perf_counter() - started
        self.worst_commit_s = max(self.worst_commit_s, self.last_commit_s)

    def require_usable(self) -> None:
        """Look whether the files are still the ones that were opened and nothing failed yet.

        Raises
        ------
        JournalError
            When something did; what was recorded is saved first where it would be lost.
        """
        if self.fault:
            raise JournalError(self.fault)
        moved = self._place.moved() if self._place is not None else ""
        if not moved:
            return
        self.fault = (
            f"the journal was moved or deleted under the desk: {self._rescued()}, "
            f"{RESTART} ({moved})"
        )
        raise JournalError(
            f"expected {moved} where it was opened, was gone; nothing is sent: {self.fault}"
        )

    def _rescued(self) -> str:
        """Write what is still open here to a file of its own; return what to do with it."""
        rescue = self.path.with_name(f"{self.path.stem}-rescued-{self.fence}.db")
        try:
            rescue.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_database(self.connection, rescue)
        except (OSError, JournalError) as error:
            return f"put it back before this desk ends, its events could not be saved ({error})"
        return f"put it back, or `perptui journal restore {rescue}`"

    def _require_lease(self) -> None:
        (fence,) = self.connection.execute("SELECT fence FROM lease").fetchone()
        if fence != self.fence:
            self.fault = (
                f"expected the sender's lease {self.fence}, was {fence}; another desk has taken "
                "over: this one must end"
            )
            raise JournalError(self.fault)

    def _take_lease(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("UPDATE lease SET fence = fence + 1, pid = ?", (os.getpid(),))
        (self.fence,) = self.connection.execute("SELECT fence FROM lease").fetchone()
        self.connection.execute("COMMIT")

    def _create(self) -> None:
        """Make the tables of a new file, all or none."""
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        ours = _application(self.connection) in {0, APPLICATION_ID}
        if not ours or tables or version_of(self.connection):
            return
        _made().backup(self.connection)


@functools.cache
def _made() -> sqlite3.Connection:
    """Return a new journal in memory: a copy of its pages is made far sooner than its tables."""
    made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    made.executescript(
        f"BEGIN; {''.join(MIGRATIONS)} PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;"
    )
    return made


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a journal's tables; 0 of a file without any."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _application(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _require_version(path: Path, connection: sqlite3.Connection) -> None:
    if _application(connection) != APPLICATION_ID:
        raise JournalError(
            f"expected a perptui journal, was another file or database ({path}); move it away"
        )
    version = version_of(connection)
    if not 1 <= version <= len(MIGRATIONS):
        raise JournalError(
            f"expected journal version 1 to {len(MIGRATIONS)}, was {version} ({path}); "
            "open it with the newer perptui that wrote it"
        )


def _reading(path: Path) -> str:
    """Return the address of a file to be read: where nothing can be made beside it, as it is."""
    wal = path.with_name(f"{path.name}-wal")
    alone = not os.access(path.parent, os.W_OK) and not wal.exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _pragmas(connection: sqlite3.Connection, *, writer: bool) -> None:
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
    if writer:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Without it, INSERT OR REPLACE would delete without asking the trigger.
        connection.execute("PRAGMA recursive_triggers = ON")


@contextmanager
def _as_journal_error(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        said = f"{fault_of(path, error)}: nothing is sent until it can be written ({error})"
        raise JournalError(said) from None


def fault_of(path: Path, error: Exception) -> str:
    """Return what is wrong with the journal, what to do and where, for a line on the screen."""
    what, cure = _cure(error)
    return f"{what}: {cure} ({path})"


def _cure(error: Exception) -> tuple[str, str]:
    if isinstance(error, UnicodeDecodeError):
        return CURES[sqlite3.SQLITE_CORRUPT]
    # Misuse of the library itself carries no code.
    return CURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, FAILING)


def _unusable(path: Path, error: Exception) -> str:
    return (
        f"expected a journal that can be read and written, was {error} ({path}); "
        f"{_cure(error)[1]}: nothing is sent until it can"
    )
