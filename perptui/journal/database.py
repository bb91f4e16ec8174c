"""The journal's SQLite file: private, durable, one sender, refused where it cannot be trusted.

A commit with WAL and synchronous=FULL takes some 5 ms, and the desk makes a handful of them for a
leg, so the desk's event loop calls it directly: "committed before the first byte" is then the
order of two lines in one function, not a promise between threads.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perptui.journal.schema import APPLICATION_ID, MIGRATIONS
from perptui.model.errors import JournalError
from perptui.settings.paths import private_directory

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2"}
    | {"ncpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone"}
)
"""File systems whose locks or shared memory cannot be relied on for WAL."""

MOUNTS = Path("/proc/self/mountinfo")


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
        Why nothing can be written any more, "" while all is well.
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

    @classmethod
    def sender(cls, path: Path) -> Database:
        """Open `path` for the desk, creating it, and take the sender's lease.

        Raises
        ------
        JournalError
            When the file is not ours, newer than we are, on a network file system, damaged, not
            writable, or another process is the sender.
        """
        private_directory(path.parent)
        refuse_network_file_system(path.parent)
        lock = _lock(path)
        try:
            _make_private(path)
            with _as_journal_error(path):
                connection = sqlite3.connect(path, isolation_level=None)
                _pragmas(connection, writer=True)
                database = cls(path, connection, lock)
                database._migrate()
                database._take_lease()
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
            When it is absent, not a journal, or of another version.
        """
        if not path.is_file():
            raise JournalError(f"expected a journal at {path}, was none; name the desk or file")
        with _as_journal_error(path):
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            connection.isolation_level = None
            _pragmas(connection, writer=False)
            database = cls(path, connection, None)
            database._require_version()
        return database

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
        except sqlite3.Error as error:
            self.fault = _unusable(self.path, error)
            raise JournalError(self.fault) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block inside BEGIN IMMEDIATE; what raises leaves no trace.

        Raises
        ------
        JournalError
            When another sender holds a newer lease, or SQLite cannot write or commit.
        """
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
        except sqlite3.Error as error:
            self.fault = _unusable(self.path, error)
            raise JournalError(self.fault) from None

    def _commit(self) -> None:
        started = time.perf_counter()
        self.connection.execute("COMMIT")
        self.last_commit_s = time.perf_counter() - started
        self.worst_commit_s = max(self.worst_commit_s, self.last_commit_s)

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

    def _version(self) -> tuple[int, int]:
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return application, version

    def _require_version(self) -> None:
        application, version = self._version()
        if application != APPLICATION_ID:
            raise JournalError(f"expected a perptui journal, was another file ({self.path})")
        if version != len(MIGRATIONS):
            raise JournalError(
                f"expected journal version {len(MIGRATIONS)}, was {version}; "
                "open it with the perptui that wrote it"
            )

    def _migrate(self) -> None:
        application, version = self._version()
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if (application, version, tables) == (0, 0, 0):
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif application != APPLICATION_ID:
            raise JournalError(
                f"expected a perptui journal, was another database ({self.path}); move it away"
            )
        for number in range(version, len(MIGRATIONS)):
            self.connection.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )
        self._require_version()


def refuse_network_file_system(directory: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a directory whose file system cannot hold a WAL journal.

    Parameters
    ----------
    directory : Path
        Where the journal is to be.
    mounts : Path
        The kernel's table of mounts (proc(5), mountinfo); where it is absent nothing is refused.

    Raises
    ------
    JournalError
        When the directory lies on a network file system.
    """
    if not mounts.exists():
        return
    wanted = directory.resolve()
    best, kind = Path("/"), ""
    for line in mounts.read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split()[4].encode().decode("unicode_escape"))
        if wanted.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, rest.split()[0]
    if kind in NETWORK_FILE_SYSTEMS:
        raise JournalError(
            f"expected a local file system under {directory}, was {kind}; "
            "point XDG_STATE_HOME to a local disk"
        )


def _lock(path: Path) -> int:
    descriptor = os.open(
        path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(
            f"expected to be the only sender of {path}, was the second; "
            "attach to the desk that runs"
        ) from None
    return descriptor


def _make_private(path: Path) -> None:
    """Create the file 0600 before SQLite does: -wal and -shm inherit its mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise JournalError(
            f"expected a writable journal at {path}, was not ({error.strerror}); mend the file"
        ) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise JournalError(f"expected a file of one's own at {path}, was not; move it away")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


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
    except sqlite3.Error as error:
        raise JournalError(_unusable(path, error)) from None


def _unusable(path: Path, error: sqlite3.Error) -> str:
    return (
        f"expected a journal that can be read and written, was {error} ({path}); "
        "nothing is sent until it can"
    )
