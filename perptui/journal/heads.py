r"""Signed heads: what the journal said so far, kept where who holds the journal cannot reach.

A head is one line of RFC 8785 JSON::

    {"account":…,"desk":…,"hash":…,"key":…,"seq":…,"sig":…,"ts":…,"v":1}

``hash`` is the hash of event ``seq``, 64 hex digits; ``ts`` venue time in ms when it was signed;
``key`` the signer's Ed25519 public key, 64 hex digits; ``sig`` the signature (RFC 8032), 128 hex
digits, over the bytes ``"perptui-head-v1\n"`` followed by the same JSON without ``sig``.

To check an exported journal without perptui: for each line, take ``hash`` out, write the rest as
RFC 8785 JSON, and compare ``hash`` with SHA-256 over ``"perptui-audit-v1\n"``, the line's ``prev``
and that JSON; ``seq`` counts from 1, ``prev`` is the hash of the line before (64 zeros at first).
Then each head whose signature stands under the key you were given must have the ``hash`` of the
line of that ``seq``; a head beyond the last line means that lines were taken off the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from perptui.journal.events import Genesis
from perptui.model.canonical import canonical_json
from perptui.model.errors import InputError, JournalError
from perptui.model.record import Record

HEAD_PREFIX = b"perptui-head-v1\n"
HEAD_VERSION = 1
SYSLOG_TAG = "perptui-head"


class Head(Record, frozen=True):
    """One signed head; the fields are those of the module's docstring."""

    v: int
    desk: str
    account: str
    seq: int
    hash: str
    ts: int
    key: str
    sig: str = ""

    @property
    def line(self) -> bytes:
        """The published line, without a line end."""
        return canonical_json(self)

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        fields = msgspec.structs.asdict(self)
        del fields["sig"]
        return HEAD_PREFIX + canonical_json(fields)


def signature_stands(head: Head, key: str) -> bool:
    """Return True when the holder of public key `key` (64 hex digits) signed this head."""
    # Only who signs or verifies pays for it: a desk without a key never loads it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(head.sig), head.signed_bytes)
    except (ValueError, InvalidSignature):
        return False
    return head.key == key


class Published(Record, frozen=True):
    """What a file of published heads says.

    Attributes
    ----------
    heads : tuple[Head, ...]
        In the file's order.
    torn : int
        Lines that were cut short by a full disk: they say nothing.
    """

    heads: tuple[Head, ...]
    torn: int = 0


def read_heads(path: Path, tail_bytes: int = 0) -> Published:
    """Return the heads in a file that the desk or syslog wrote.

    Lines of other programs in a syslog are passed over.

    Parameters
    ----------
    tail_bytes : int
        Read no more than so much of the end, whole lines only; 0 for all.

    Raises
    ------
    InputError
        When the file cannot be read.
    JournalError
        When a line is no head; the message names it.
    """
    try:
        lines = _lines(path, tail_bytes)
    except OSError as error:
        raise InputError(
            f"expected a file of heads at {path}, was not to be read ({error.strerror}); name it"
        ) from None
    texts = [(number, text) for number, line in enumerate(lines, 1) if (text := _own_part(line))]
    whole = [(number, text) for number, text in texts if text.endswith(b"}")]
    return Published(tuple(_head(*entry) for entry in whole), len(texts) - len(whole))


def _lines(path: Path, tail_bytes: int) -> list[bytes]:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        beyond = size - tail_bytes if tail_bytes else 0
        stream.seek(max(beyond, 0))
        lines = stream.read().splitlines()
    return lines[1:] if beyond > 0 else lines


def _own_part(line: bytes) -> bytes:
    if line.startswith(b"{"):
        return line
    _, _, told = line.partition(f"{SYSLOG_TAG}: ".encode())
    return told.strip()


def _head(number: int, text: bytes) -> Head:
    try:
        head = msgspec.json.decode(text, type=Head)
        canonical = head.line == text
    except ValueError as error:
        raise JournalError(f"expected a head in line {number}, was malformed ({error})") from None
    if not canonical or head.v != HEAD_VERSION:
        raise JournalError(
            f"expected a head of version {HEAD_VERSION} as canonical JSON in line {number}, "
            "was another form"
        )
    return head


class Witnesses:
    """Published heads of one desk and account, to be held against a chain.

    Parameters
    ----------
    heads : iterable of Head
        As they were published; those of other desks and accounts are passed over.
    key : str
        The public key whose signature they must carry, 64 hex digits.

    Attributes
    ----------
    count : int
        How many of them the chain was held against.
    """

    def __init__(self, heads: Iterable[Head], key: str) -> None:
        self._heads = tuple(heads)
        self._key = key
        self._wanted: Mapping[int, list[Head]] = {}
        self._agreed = 0
        self.count = 0

    def of(self, genesis: Genesis) -> str:
        """Take the heads of the chain that begins so; return what is wrong with them, or ""."""
        own = [
            head
            for head in self._heads
            if (head.desk, head.account) == (genesis.desk, genesis.account)
        ]
        if not own:
            named = sorted({f"{head.desk}/{head.account}" for head in self._heads})
            return (
                f"expected published heads of {genesis.desk}/{genesis.account}, "
                f"was {', '.join(named) or 'none'}"
            )
        wanted: dict[int, list[Head]] = {}
        for head in own:
            if not signature_stands(head, self._key):
                return f"a published head of event {head.seq} is forged: its signature fails"
            wanted.setdefault(head.seq, []).append(head)
        self._wanted = wanted
        return ""

    def contradiction(self, seq: int, own_hash: str) -> str:
        """Return how event `seq` differs from what was published of it, "" when it does not."""
        for head in self._wanted.get(seq, ()):
            if head.hash != own_hash:
                return (
                    f"event {seq} is not the one whose head was published: "
                    f"one of {self._agreed + 1} to {seq} was rewritten"
                )
            self._agreed = seq
            self.count += 1
        return ""

    def missing(self, count: int) -> str:
        """Return how a chain of `count` events is shorter than what was published, or ""."""
        last = max(self._wanted, default=0)
        if last <= count:
            return ""
        return f"the chain ends at {count}, a head of event {last} was published: it was truncated"


def checked_key(text: str) -> str:
    """Return a public key as 64 lower hex digits.

    Raises
    ------
    InputError
        When it is none.
    """
    plain = text.strip().lower()
    if len(plain) != 64 or any(digit not in "0123456789abcdef" for digit in plain):
        raise InputError("expected a public key of 64 hex digits, was other text; see audit keygen")
    return plain


def latest(heads: Iterable[Head], desk: str, account: str, key: str) -> Head | None:
    """Return the head of the highest event that `key` signed for that desk and account."""
    own = _signed(heads, desk, account, key)
    return max(own, key=lambda head: head.seq, default=None)


def _signed(heads: Iterable[Head], desk: str, account: str, key: str) -> Iterator[Head]:
    for head in heads:
        if (head.desk, head.account) == (desk, account) and signature_stands(head, key):
            yield head
