"""Where a journal may lie, its lock, and whether its files are still the ones that were opened.

A file that was renamed, deleted or put in another's place stays open and takes every write, and
all of them are gone when the process ends; so the files are looked at before each transaction.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from perptui.model.errors import JournalError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2"}
    | {"ncpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone"}
)
"""File systems whose locks or shared memory cannot be relied on for WAL."""

MOUNTS = Path("/proc/self/mountinfo")


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
    try:
        table = mounts.read_text()
    except FileNotFoundError:
        return
    wanted = f"{os.path.realpath(directory)}/"
    longest, kind = 0, ""
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        point = f"{_unescaped(fields.split(' ', 5)[4]).rstrip('/')}/"
        if wanted.startswith(point) and len(point) >= longest:
            longest, kind = len(point), rest.split(" ", 1)[0]
    if kind in NETWORK_FILE_SYSTEMS:
        raise JournalError(
            f"expected a local file system under {directory}, was {kind}; "
            "point XDG_STATE_HOME to a local disk"
        )


def _unescaped(point: str) -> str:
    return point.encode().decode("unicode_escape") if "\\" in point else point


def lock_file(path: Path) -> Path:
    """Return the file that the one sender of the journal at `path` holds locked."""
    return path.with_name(path.name + ".lock")


def take_lock(path: Path) -> int:
    """Return the descriptor of the sender's lock, which its end releases, however it ends.

    Raises
    ------
    JournalError
        When another process has it, or its file cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(lock_file(path), flags, 0o600)
    except OSError as error:
        raise JournalError(
            f"expected the journal's folder to be writable, was {error.strerror}; mend it, then "
            f"start the desk again: nothing is sent until then ({lock_file(path)})"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(
            f"expected to be the only sender of {path}, was the second; "
            "attach to the desk that runs, or end it"
        ) from None
    return descriptor


def is_held(path: Path) -> bool:
    """Return True while a sender has the lock of the journal at `path`; creates nothing."""
    try:
        descriptor = os.open(lock_file(path), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def refuse_orphan(path: Path) -> None:
    """Refuse to begin a journal beside what is left of another: SQLite would throw that away.

    Raises
    ------
    JournalError
        When there are events in -wal whose journal is gone.
    """
    wal = Path(f"{path}-wal")
    if not path.exists() and wal.exists() and wal.stat().st_size:
        raise JournalError(
            f"expected {path} beside {wal}, was gone; put it back, or put a backup in its place "
            "with `perptui journal restore BACKUP`: nothing is sent until then"
        )


def make_private(path: Path) -> None:
    """Create the file 0600 before SQLite does: -wal and -shm inherit its mode.

    Raises
    ------
    JournalError
        When it cannot be written, is no regular file, or belongs to another user.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(
            f"expected a writable journal, was {error.strerror}; mend it, then start the desk "
            f"again ({path})"
        ) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise JournalError(f"expected a file of one's own at {path}, was not; move it away")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


class Place:
    """The files of an open journal: itself, what is not in it yet (-wal), its lock."""

    def __init__(self, path: Path) -> None:
        names = (str(path), f"{path}-wal", str(lock_file(path)))
        self._files = {name: _identity(name) for name in names}

    def moved(self) -> str:
        """Return which file is no longer where it was opened, "" while all are."""
        for name, identity in self._files.items():
            if _identity(name) != identity:
                return name
        return ""


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino
