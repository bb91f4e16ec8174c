"""Where files live: XDG directories, and the data that ships with the package."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from platformdirs import PlatformDirs

from perptui.model.errors import ConfigError

SOCKET_PATH_BYTES = 107
"""Longest path of a UNIX socket (sun_path holds 108 bytes with its closing zero)."""

KILL_FILE = "KILL"
"""Name of the file beside a desk's journal whose presence halts it, now or when it starts."""

PACKAGE = Path(__file__).resolve().parents[1]


def _user() -> PlatformDirs:
    return PlatformDirs(appname="perptui", appauthor=False)


def resource(name: str) -> Path:
    """Return where `name` (``config.toml``, ``themes``) is: in the wheel, else the repository.

    Raises
    ------
    ConfigError
        When neither holds it.
    """
    for candidate in (PACKAGE / "data" / name, PACKAGE.parent / name):
        if candidate.exists():
            return candidate
    raise ConfigError(f"expected {name} inside the package, was absent; install perptui again")


def private_directory(path: Path) -> Path:
    """Return `path` after making sure it is a directory that only its owner can enter (0700).

    Raises
    ------
    ConfigError
        When it cannot be made, is no directory, or belongs to another user.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise ConfigError(
            f"expected a directory at {path}, was not to be made ({error.strerror}); "
            "make it, or point the XDG variable elsewhere"
        ) from error
    if found.st_uid != os.getuid():
        raise ConfigError(
            f"expected {path} to belong to uid {os.getuid()}, was uid {found.st_uid}; "
            "use a directory of your own"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def config_dir() -> Path:
    """Return the directory of config.toml, the user's themes and credentials; not created."""
    return Path(_user().user_config_dir)


def config_file() -> Path:
    """Return where the user's config.toml is, or would be."""
    return config_dir() / "config.toml"


def credentials_dir() -> Path:
    """Return the directory of credential files; not created."""
    return config_dir() / "credentials"


def themes_dirs() -> tuple[Path, ...]:
    """Return the directories of themes: the shipped ones, then the user's, which win."""
    return resource("themes"), config_dir() / "themes"


def known(desk: str) -> bool:
    """Return True when a desk of that name has run here; creates nothing."""
    plain = Path(desk).name == desk and desk not in {"", ".."}
    return plain and (Path(_user().user_state_dir) / desk).is_dir()


def state_dir(desk: str) -> Path:
    """Return the desk's state directory (journal, logs), created 0700."""
    return private_directory(Path(_user().user_state_dir) / desk)


def journal_file(desk: str) -> Path:
    """Return the desk's journal database."""
    return state_dir(desk) / "journal.db"


def kill_file(desk: str) -> Path:
    """Return the file whose presence halts the desk."""
    return journal_file(desk).with_name(KILL_FILE)


def shared_kill_file(desk: str, socket_dir: str) -> Path | None:
    """Return the kill file that every user of a shared desk can make, None of a private desk."""
    return Path(socket_dir).expanduser() / f"{desk}.{KILL_FILE}" if socket_dir else None


def log_file(desk: str, process: str) -> Path:
    """Return the log of one of the desk's processes: desk, quant, batch, simulator, terminal."""
    return state_dir(desk) / f"{process}.log"


def data_dir() -> Path:
    """Return the data directory, created 0700."""
    return private_directory(Path(_user().user_data_dir))


def history_dir() -> Path:
    """Return the directory of market history, ``<venue>/<SYMBOL>-<kind>.parquet``."""
    return private_directory(data_dir() / "history")


def export_dir(configured: str) -> Path:
    """Return the folder for exported orders, created 0700: `configured`, or in the data."""
    path = Path(configured).expanduser() if configured else data_dir() / "exports"
    return private_directory(path)


def runtime_dir(desk: str) -> Path:
    """Return the desk's directory of sockets, created 0700.

    It is in ``XDG_RUNTIME_DIR`` where that is a directory of ours, else in the state directory,
    which outlives the login session.
    """
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if named and Path(named).is_dir() and Path(named).stat().st_uid == os.getuid():
        return private_directory(Path(named) / "perptui" / desk)
    return private_directory(state_dir(desk) / "run")


def socket_file(desk: str, socket_dir: str = "", name: str = "desk") -> Path:
    """Return the path of a desk's socket: in `socket_dir` for a shared desk, else private.

    Raises
    ------
    ConfigError
        When the path is longer than a UNIX socket can have.
    """
    if socket_dir:
        return checked_socket(Path(socket_dir).expanduser() / f"{desk}.sock")
    return checked_socket(runtime_dir(desk) / f"{name}.sock")


def checked_socket(path: Path) -> Path:
    """Return `path` if a UNIX socket can have it.

    Raises
    ------
    ConfigError
        When it is longer than 107 bytes.
    """
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES:
        raise ConfigError(
            f"expected a socket path of at most {SOCKET_PATH_BYTES} bytes, was {length} ({path}); "
            "set XDG_RUNTIME_DIR or desk.socket_dir to a shorter directory"
        )
    return path
