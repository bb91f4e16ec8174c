"""UNIX sockets of our own: never in the place of a file, nor of a process that still listens."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from perptui.model.errors import InputError


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
