"""The desk's signing key, and the places where it publishes signed heads."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from perptui.journal.heads import HEAD_VERSION, SYSLOG_TAG, Head, latest, read_heads
from perptui.model.errors import ConfigError, InputError, JournalError
from perptui.settings.paths import config_dir, private_directory

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "audit.key"
LARGEST_KEY_BYTES = 4096
SYSLOG_SOCKET = Path("/dev/log")
SYSLOG_PRIORITY = 10 * 8 + 6
"""Facility authpriv, severity informational (RFC 3164)."""
SYSLOG_WAIT_S = 5.0
TAIL_BYTES = 1 << 20


def key_file() -> Path:
    """Return where the desk's signing key is, or would be."""
    return config_dir() / KEY_FILE


def make_key(path: Path) -> str:
    """Write a new private key, 0600, PEM PKCS8; return its public key, 64 hex digits.

    Raises
    ------
    InputError
        When there is one already, or it cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private_directory(path.parent)
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as stream:
            os.fchmod(descriptor, 0o600)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise InputError(
            f"expected no key at {path} yet, was one; heads it signed need it: move it away first"
        ) from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            f"expected to write {path}, was not to be written ({error.strerror}); mend the folder"
        ) from None
    return public_of(key)


def public_of(key: Ed25519PrivateKey) -> str:
    """Return the public key that belongs to a private one, 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


class Signer:
    """Signs the heads of one desk and account.

    Attributes
    ----------
    key : str
        Its public key, 64 hex digits.
    """

    def __init__(self, private: Ed25519PrivateKey, desk: str, account: str) -> None:
        self._private = private
        self._desk = desk
        self._account = account
        self.key = public_of(private)

    def head(self, seq: int, own_hash: str, utc_ms: int) -> Head:
        """Return the signed head of event `seq`, signed at venue time `utc_ms`."""
        made = Head(HEAD_VERSION, self._desk, self._account, seq, own_hash, utc_ms, self.key)
        return msgspec.structs.replace(made, sig=self._private.sign(made.signed_bytes).hex())

    def latest(self, heads: tuple[Head, ...]) -> Head | None:
        """Return the one of the highest event among those that it signed itself."""
        return latest(heads, self._desk, self._account, self.key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file of one's own that is closed to others.

    Raises
    ------
    ConfigError
        When there is none, or it cannot be trusted or read.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read_private(path), password=None)
    except (ValueError, TypeError):
        # Its message might quote the file.
        raise ConfigError(f"expected an Ed25519 key in {path}, was none; make it anew") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"expected an Ed25519 key in {path}, was another kind; make it anew")
    return key


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ConfigError(
            f"expected a signing key at {path}, was none; make it with `perptui audit keygen`"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"expected a signing key at {path}, was not to be read ({error.strerror}); mend it"
        ) from None
    try:
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid()
        if not own or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(
                f"expected {path} to be a file of one's own, closed to others, was not; "
                f"chmod 600 {path}, and make a new key if others use this machine"
            )
        return os.read(descriptor, LARGEST_KEY_BYTES)
    finally:
        os.close(descriptor)


class Target(Protocol):
    """Where heads go."""

    def publish(self, heads: tuple[Head, ...]) -> None:
        """Publish them; they are there for good on return.

        Raises
        ------
        JournalError
            When they could not be.
        """
        ...

    def published(self) -> tuple[Head, ...]:
        """Return the newest heads that are there, as far as they can be read back."""
        ...


def target_of(configured: str) -> Target:
    """Return the place that ``[audit] heads`` names.

    Raises
    ------
    ConfigError
        When it is neither "syslog" nor an absolute path.
    """
    if configured == "syslog":
        return Syslog(SYSLOG_SOCKET)
    path = Path(configured).expanduser()
    if not path.is_absolute():
        raise ConfigError(
            f'expected an absolute path or "syslog" for audit.heads, was {configured!r}; '
            "name a file elsewhere"
        )
    return HeadsFile(path)


class HeadsFile:
    """A file that is only appended to, better on another machine or under another user."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, heads: tuple[Head, ...]) -> None:
        """Append one line a head, in one write, and let it reach the disk."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        text = b"".join(head.line + b"\n" for head in heads)
        try:
            descriptor = os.open(self._path, flags, 0o644)
            try:
                self._append(descriptor, text)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise JournalError(
                f"expected to append signed heads to {self._path}, was {error.strerror}; mend it: "
                "they are published later"
            ) from None

    def _append(self, descriptor: int, text: bytes) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "no regular file")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            text = b"\n" + text
        if os.write(descriptor, text) != len(text):
            # A file that may only be appended to keeps the torn line; readers pass over it.
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise OSError(0, "a full disk")
        os.fsync(descriptor)

    def published(self) -> tuple[Head, ...]:
        """Return the heads in the file's last megabyte; none where it cannot be read."""
        try:
            return read_heads(self._path, TAIL_BYTES).heads
        except (InputError, JournalError):
            return ()


class Syslog:
    """The machine's syslog, which a site forwards to where the desk's user cannot reach."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, heads: tuple[Head, ...]) -> None:
        """Send one message a head."""
        begin = f"<{SYSLOG_PRIORITY}>{SYSLOG_TAG}: ".encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(SYSLOG_WAIT_S)
                line.connect(str(self._path))
                for head in heads:
                    line.send(begin + head.line)
        except OSError as error:
            raise JournalError(
                f"expected syslog at {self._path}, was {error.strerror or error}; start it, or "
                "name a path in audit.heads: heads are published later"
            ) from None

    def published(self) -> tuple[Head, ...]:
        """Return nothing: syslog is not read back."""
        return ()
