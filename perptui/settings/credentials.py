"""Keys of venues: where they are looked for, and what does not happen to them.

Sources, the first that has them wins:

1. systemd: ``$CREDENTIALS_DIRECTORY/perptui-VENUE-ACCOUNT`` (``LoadCredential=``);
2. a descriptor that the starter of the process holds open for it, named by
   ``PERPTUI_CREDENTIALS_FD``: TOML with a table ``[VENUE-ACCOUNT]`` for each account, read once;
3. a file ``credentials/VENUE-ACCOUNT.toml`` in the config directory, mode 0600, owned by the user,
   no symbolic link;
4. the keyring of the desktop, where the extra ``perptui[keyring]`` is installed: service
   ``perptui``, user ``VENUE-ACCOUNT``, the value as JSON;
5. the environment: ``PERPTUI_VENUE_ACCOUNT_API_KEY`` and ``PERPTUI_VENUE_ACCOUNT_SECRET``, which
   `forget_environment` takes out of it once they are read.

Files are TOML with two keys, ``api_key`` and ``secret``.
"""

from __future__ import annotations

import hmac
import importlib
import json
import os
import re
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import tomli

from perptui.model.errors import ConfigError
from perptui.model.text import safe_text
from perptui.settings.paths import credentials_dir

KEYS = ("api_key", "secret")
LARGEST_FILE_BYTES = 65_536
HANDED = "PERPTUI_CREDENTIALS_FD"
SERVICE = "perptui"
_VISIBLE = re.compile(r"[!-~]+").fullmatch
_IN_ENVIRONMENT = re.compile(r"PERPTUI_.*_(?:API_KEY|SECRET)|PERPTUI_CREDENTIALS_FD")

_handed: dict[int, dict[str, Any]] = {}
"""What came over a descriptor: it can be read but once."""


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child that needs no keys."""
    return {name: text for name, text in environment.items() if not _names_secret(name)}


def handed_descriptors(environment: Mapping[str, str] | None = None) -> tuple[int, ...]:
    """Return the descriptor with keys, if one is held open, for the child that has to read them."""
    number = (os.environ if environment is None else environment).get(HANDED, "")
    try:
        os.fstat(int(number))
    except (ValueError, OSError):
        return ()
    return (int(number),)


def forget_environment(environment: MutableMapping[str, str] | None = None) -> None:
    """Take keys out of the environment, the process's own unless given: no child inherits them."""
    environment = os.environ if environment is None else environment
    for name in [name for name in environment if _names_secret(name)]:
        del environment[name]
    _handed.clear()


def _names_secret(name: str) -> bool:
    return _IN_ENVIRONMENT.fullmatch(name) is not None or name == "CREDENTIALS_DIRECTORY"


SHORTEST = 6
"""A shorter text is no key: to blank it out would blank out ordinary words."""

PUBLIC = "simulated"
"""The key of every simulated venue: no secret, and a word of every screen."""

_held: set[str] = set()


def held() -> tuple[str, ...]:
    """Return the texts of all secrets made in this process, the longest first, for redaction."""
    return tuple(sorted(_held, key=len, reverse=True))


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
        if len(value) >= SHORTEST and value != PUBLIC:
            _held.add(value)

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

    def __copy__(self) -> NoReturn:
        raise TypeError("expected a value to copy, was a Secret; pass the one there is")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("expected a value to copy, was a Secret; pass the one there is")


class Credentials:
    """The key and secret of one account at one venue, and which source had them."""

    __slots__ = ("api_key", "secret", "source")

    def __init__(self, api_key: Secret, secret: Secret, source: str) -> None:
        self.api_key = api_key
        self.secret = secret
        self.source = source

    def __repr__(self) -> str:
        return f"Credentials(api_key=***, secret=***, source={self.source!r})"


def file_of(venue: str, account: str) -> Path:
    """Return where the file with the keys of an account is, or would be."""
    return credentials_dir() / f"{venue}-{account}.toml"


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
    if handed := environment.get(HANDED):
        found = _from_descriptor(handed, f"{venue}-{account}")
        if found is not None:
            return found
    file = file_of(venue, account)
    if file.is_symlink() or file.exists():
        return _from_file(file, owners=(os.getuid(),))
    found = _from_keyring(f"{venue}-{account}")
    return found or _from_environment(venue, account, environment)


def _from_file(file: Path, owners: tuple[int, ...]) -> Credentials:
    text = _read_private(file, owners)
    try:
        values = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError):
        # Its message would quote the file.
        raise ConfigError(
            f'expected TOML in {file}, was not; write api_key = "..." and secret = "..."'
        ) from None
    return _pair({key: values.get(key) for key in KEYS}, str(file), set(values) - set(KEYS))


def _from_descriptor(number: str, name: str) -> Credentials | None:
    """Return the table `name` of what a descriptor holds; None where it has no such table."""
    source = f"descriptor {number}"
    try:
        descriptor = int(number)
        if descriptor not in _handed:
            with open(descriptor, "rb") as handed:
                _handed[descriptor] = tomli.loads(handed.read(LARGEST_FILE_BYTES).decode())
    except (ValueError, OSError, RecursionError):
        # A TOML error quotes what it read; `open` closes the descriptor.
        raise ConfigError(
            f"expected TOML with a table [{name}] at {HANDED}={safe_text(number)}, was not; "
            "hand over an open descriptor with api_key and secret in that table"
        ) from None
    table = _handed[descriptor].get(name)
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"expected a table [{name}] in {source}, was a value; write a table")
    return _pair({key: table.get(key) for key in KEYS}, source, set(table) - set(KEYS))


def _from_keyring(name: str) -> Credentials | None:
    """Return what the desktop's keyring holds, None without the extra or an entry."""
    try:
        keyring = importlib.import_module("keyring")
        errors = importlib.import_module("keyring.errors")
    except ModuleNotFoundError:
        return None
    source = f"the keyring, {SERVICE} {name}"
    try:
        text = keyring.get_password(SERVICE, name)
        values = None if text is None else json.loads(text)
    except (errors.KeyringError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"expected JSON with api_key and secret from {source}, was {type(error).__name__}; "
            "unlock it, or set the entry anew"
        ) from None
    if values is None:
        return None
    if not isinstance(values, dict):
        raise ConfigError(f"expected a JSON object from {source}, was not; set the entry anew")
    return _pair({key: values.get(key) for key in KEYS}, source, set(values) - set(KEYS))


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
    if not _VISIBLE(str(values["api_key"])) or not str(values["secret"]).strip():
        # It goes into a header as it stands, and would be blanked out only as it stands.
        raise ConfigError(
            f"expected an api_key of visible ASCII and a secret in {source}, was other text; "
            "copy them again, without blanks around"
        )
    return Credentials(Secret(str(values["api_key"])), Secret(str(values["secret"])), source)
