"""Keys of venues, and a text that does not show itself.

Sources, the first that has them wins:

1. systemd: ``$CREDENTIALS_DIRECTORY/perptui-VENUE-ACCOUNT`` (``LoadCredential=``);
2. a file ``credentials/VENUE-ACCOUNT.toml`` in the config directory, mode 0600, owned by the user,
   no symbolic link;
3. the environment: ``PERPTUI_VENUE_ACCOUNT_API_KEY`` and ``PERPTUI_VENUE_ACCOUNT_SECRET``.

Files are TOML with two keys, ``api_key`` and ``secret``.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import tomli

from perptui.model.errors import ConfigError
from perptui.settings.paths import credentials_dir

KEYS = ("api_key", "secret")
LARGEST_FILE_BYTES = 65_536


class Secret:
    """A text that prints as ``***`` and refuses to be pickled, copied or encoded.

    Parameters
    ----------
    value : str
        The text; only `reveal` gives it back.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for the one call that must have it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> NoReturn:
        raise TypeError("expected a hashable value, was a Secret; do not keep secrets as keys")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("expected a picklable value, was a Secret; pass it by hand, once")


class Credentials:
    """The key and secret of one account at one venue, and which source had them."""

    __slots__ = ("api_key", "secret", "source")

    def __init__(self, api_key: Secret, secret: Secret, source: str) -> None:
        self.api_key = api_key
        self.secret = secret
        self.source = source

    def __repr__(self) -> str:
        return f"Credentials(api_key=***, secret=***, source={self.source!r})"


def find(
    venue: str, account: str = "main", environment: Mapping[str, str] | None = None
) -> Credentials | None:
    """Return the credentials of `account` at `venue`, or None where no source has any.

    Parameters
    ----------
    venue, account : str
        As in config.toml: ``binanceusdm``, ``main``.
    environment : mapping, optional
        The process's own unless given.

    Raises
    ------
    ConfigError
        When a source has them and cannot be trusted or read: a file open to others, owned by
        somebody else or a link; a missing or unknown key; half a pair in the environment.
    """
    environment = os.environ if environment is None else environment
    if directory := environment.get("CREDENTIALS_DIRECTORY"):
        file = Path(directory) / f"perptui-{venue}-{account}"
        if file.exists():
            # systemd keeps these 0400 in a directory of the service alone; root may own them.
            return _from_file(file, owners=(os.getuid(), 0))
    file = credentials_dir() / f"{venue}-{account}.toml"
    if file.is_symlink() or file.exists():
        return _from_file(file, owners=(os.getuid(),))
    return _from_environment(venue, account, environment)


def _from_file(file: Path, owners: tuple[int, ...]) -> Credentials:
    text = _read_private(file, owners)
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError:
        # Its message would quote the file.
        raise ConfigError(
            f'expected TOML in {file}, was not; write api_key = "..." and secret = "..."'
        ) from None
    return _pair({key: values.get(key) for key in KEYS}, str(file), set(values) - set(KEYS))


def _read_private(file: Path, owners: tuple[int, ...]) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(
            f"expected a readable regular file {file}, was not ({error.strerror}); "
            "put the keys into the file itself, no link"
        ) from None
    try:
        _refuse_unsafe(file, os.fstat(descriptor), owners)
        return os.read(descriptor, LARGEST_FILE_BYTES).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"expected UTF-8 text in {file}, was not; write it again") from None
    finally:
        os.close(descriptor)


def _refuse_unsafe(file: Path, found: os.stat_result, owners: tuple[int, ...]) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"expected a regular file {file}, was not; write one")
    if found.st_uid not in owners:
        raise ConfigError(
            f"expected {file} to belong to uid {owners[0]}, was uid {found.st_uid}; chown it"
        )
    if mode & 0o077:
        raise ConfigError(
            f"expected {file} to be closed to others, was mode {mode:04o}; chmod 600 {file}, "
            "and change the keys if others use this machine"
        )


def _from_environment(
    venue: str, account: str, environment: Mapping[str, str]
) -> Credentials | None:
    prefix = f"PERPTUI_{venue}_{account}_".upper().replace("-", "_")
    values = {key: environment.get(prefix + key.upper()) for key in KEYS}
    if not any(values.values()):
        return None
    return _pair(values, f"environment {prefix}*", set())


def _pair(values: Mapping[str, object], source: str, unknown: set[str]) -> Credentials:
    if unknown:
        raise ConfigError(
            f"expected api_key and secret alone in {source}, was also "
            f"{', '.join(sorted(unknown))}; take it out"
        )
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"expected {key} in {source}, was absent; write both keys")
    return Credentials(Secret(str(values["api_key"])), Secret(str(values["secret"])), source)
