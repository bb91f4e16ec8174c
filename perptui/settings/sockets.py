"""UNIX sockets of our own: never in the place of a file, nor of a process that still listens.

Who listens says the kernel: in a folder that others may write, anybody can put a socket of theirs
in the place of the desk's. The desk's user owns the folder, so that terminals can tell.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path

from perptui.model.errors import ConfigError, InputError

_CREDENTIALS = struct.Struct("3i")


def peer_credentials(line: socket.socket) -> tuple[int, int, int]:
    """Return pid, uid and gid of the process at the other end, as the kernel has them."""
    raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return pid, uid, gid


def require_desk_of(line: socket.socket, path: Path) -> None:
    """Talk to no desk but one of this user, of root, or of whoever owns the socket's folder.

    Parameters
    ----------
    line : socket.socket
        Connected to `path`.

    Raises
    ------
    ConfigError
        When another user listens there.
    """
    listener, owner = peer_credentials(line)[1], path.parent.stat().st_uid
    if listener not in {os.getuid(), owner, 0}:
        raise ConfigError(
            f"expected a desk of uid {owner}, who owns {path.parent}, was a process of uid "
            f"{listener}: it may be anybody's; find out whose it is, and remove {path}"
        )


def require_own_folder(path: Path) -> None:
    """Let no shared desk listen in a folder of another user: terminals could not tell it apart.

    Raises
    ------
    InputError
        When the folder of `path` is another's.
    """
    try:
        owner = path.parent.stat().st_uid
    except OSError:
        return
    if owner != os.getuid():
        raise InputError(
            f"expected {path.parent} to belong to uid {os.getuid()}, as which this desk runs, was "
            f"uid {owner}; chown it, so that terminals know whose socket is in it"
        )


class BoundSocket:
    """A socket bound at a path, not listening yet, with its mode from the start.

    Parameters
    ----------
    path : Path
        At most 107 bytes. A socket there on which nobody answers is replaced.
    mode : int
        Of the file.

    Attributes
    ----------
    listener : socket.socket
        To be handed to a server, which closes it.

    Raises
    ------
    InputError
        When another file is there, a process listens there, or the path cannot be bound.
    """

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        remove_stale(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.listener.bind(str(path))
            # Nobody can connect before it listens, so nobody finds it with another mode.
            path.chmod(mode)
            # Held open, its inode number cannot be given to another file: `remove` compares it.
            self._held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self.listener.close()
            raise InputError(
                f"expected to listen at {path}, was refused ({error.strerror}); "
                "choose a path in a directory of your own, or check the directory's owner and mode"
            ) from None

    def remove(self) -> None:
        """Remove the socket, once; what another process has put in its place stays."""
        ours = os.fstat(self._held)
        with suppress(OSError):
            if os.path.samestat(ours, self._path.lstat()):
                self._path.unlink()
        os.close(self._held)


def remove_stale(path: Path) -> None:
    """Remove a socket on which nobody answers; where there is nothing, nothing is done.

    Raises
    ------
    InputError
        When it is another kind of file, or a process answers.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise InputError(
            f"expected a free path for a socket, was a file at {path}; choose another path"
        )
    if not refuses(path):
        raise InputError(
            f"expected nobody to listen at {path}, was a process; end it or choose another path"
        )
    path.unlink(missing_ok=True)


def refuses(path: Path) -> bool:
    """Return True when the socket at `path` is certainly nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            # A full queue, or a socket that is not ours to connect to: somebody may be there.
            return False
    return False


def closed_to_us(path: Path) -> bool:
    """Return True where there may be a socket at `path` that this user may not connect to."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(path, os.W_OK, effective_ids=True)
